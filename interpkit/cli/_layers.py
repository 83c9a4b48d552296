"""``interpkit layers``: what there is to look into."""

from typing import Annotated, Any

import typer

from interpkit.cli import _options as options
from interpkit.cli._screen import aligned, as_json, line, remark, say_input


def layers(
    model: options.ModelArgument,
    *,
    arch: options.Arch = None,
    trust: options.Trust = False,
    size: options.Size = None,
    mean: options.Mean = None,
    std: options.Std = None,
    interpolation: options.Interpolation = None,
    fields: Annotated[bool, typer.Option("--fields/--no-fields", help="Measure receptive fields.")] = True,
    as_document: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List every layer that can be asked for: name, type, output, receptive field; `*` marks the default."""
    from interpkit.geometry import receptive_fields
    from interpkit.models import load_model
    from interpkit.probe import survey

    loaded = load_model(
        model,
        arch=arch,
        trust=trust,
        size=options.size(size),
        mean=options.numbers(mean),
        std=options.numbers(std),
        interpolation=interpolation,
    )
    say_input(loaded, quiet=quiet)
    found = [layer for layer in survey(loaded) if layer.hookable]
    measured = receptive_fields(loaded, [layer.name for layer in found]) if fields else {}
    if as_document:
        as_json([_document(layer, measured.get(layer.name)) for layer in found])
        return
    head = ("", "name", "type", "output", *(("field", "stride", "centre") if fields else ()))
    rows = [head, *(_row(layer, measured.get(layer.name), fields=fields) for layer in found)]
    for text in aligned(rows):
        line(text)
    reasons = sorted({field for field in measured.values() if isinstance(field, str)})
    for reason in reasons:
        remark(f"- : {reason}", quiet=quiet)


def _row(layer: Any, field: Any, *, fields: bool) -> tuple[str, ...]:  # noqa: ANN401 - types that need torch
    output = " x ".join(str(n) for n in layer.shape)
    cells = ("*" if layer.default else "", layer.name, layer.type, output)
    if not fields:
        return cells
    if field is None or isinstance(field, str):
        return (*cells, "-", "-", "-")
    return (*cells, _pair(field.size), _pair(field.stride), _pair(field.centre))


def _pair(values: tuple[float, float]) -> str:
    """``7`` where both axes agree, else ``7 x 5`` (rows, columns)."""
    rows, columns = (f"{value:g}" for value in values)
    return rows if rows == columns else f"{rows} x {columns}"


def _document(layer: Any, field: Any) -> dict[str, Any]:  # noqa: ANN401 - types that need torch
    about = {
        "name": layer.name,
        "type": layer.type,
        "output": list(layer.shape),
        "calls": layer.calls,
        "default": layer.default,
    }
    if field is None:
        return about
    if isinstance(field, str):
        return {**about, "field": None, "why": field}
    return {**about, "field": list(field.size), "stride": list(field.stride), "centre": list(field.centre)}
