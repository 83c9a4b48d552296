"""A result in ten lines: the run, the numbers with their chance levels, the best units."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from interpkit.cli._screen import aligned, line


def show(result: Any, *, best: int = 5) -> None:  # noqa: ANN401 - a result, whose type needs pandas
    """Print a result of any kind."""
    if result.provenance.verb == "side-by-side":
        _side_by_side(result)
        return
    count = result.images if isinstance(result.images, int) else len(result.images)
    line(f"{result.provenance.model} {result.layer} on {result.provenance.labels}: {count:,} images")
    _WORDS[result.provenance.verb](result, best)
    if result.skipped:
        images = "image" if len(result.skipped) == 1 else "images"
        line(f"  {len(result.skipped):,} {images} could not be read: {', '.join(result.skipped[:3])}")


def _dissection(result: Any, best: int) -> None:  # noqa: ANN401
    summary = result.summary()
    if not result.categories:
        line(f"  {result.units:,} units; no labels, so no names: the page shows each unit's top images")
        return
    line(
        f"  {summary['detectors']:,} of {result.units:,} units detect a concept (IoU > {result.iou_threshold:g}); "
        f"chance gives {summary['chance']['detectors']:,}"
    )
    line(
        f"  unique: {summary['unique_detectors_top_label']:,} by top label "
        f"(chance {summary['chance']['unique_detectors_top_label']:,}), "
        f"{summary['unique_detectors_every_category']:,} over every category "
        f"(chance {summary['chance']['unique_detectors_every_category']:,})"
    )
    by = summary["by_category"]
    found = ", ".join(f"{name} {value['detectors']:,}" for name, value in by.items() if value["detectors"])
    line(f"  detectors by category: {found or 'none'}")
    if summary["dead"] or summary["silent"]:
        line(f"  {summary['dead']:,} dead, {summary['silent']:,} silent (mostly at their floor)")
    table = result.table().sort_values(["iou", "unit"], ascending=[False, True]).head(best)
    _rows(
        [("unit", "concept", "category", "IoU")]
        + [
            (str(u), c or "none", g, f"{iou:.3f}")
            for u, c, g, iou in table[["unit", "concept", "category", "iou"]].to_numpy()
        ]
    )


def _rotation(result: Any, best: int) -> None:  # noqa: ANN401
    bases = "basis" if result.rotations == 1 else "bases"
    line(f"  units turned towards {result.rotations:,} random {bases}: mean number of unique detectors (top label)")
    rows: list[tuple[str, ...]] = [("alpha", "unique", "chance", "detectors", "chance")]
    for step in result.summary()["alphas"]:
        luck = step["chance"]
        pairs = [(step[name], luck[name]) for name in ("unique_detectors_top_label", "detectors")]
        rows.append((f"{step['alpha']:g}", *(f"{value:.1f}" for pair in pairs for value in pair)))
    _rows(rows)


def _shuffles(result: Any, best: int) -> None:  # noqa: ANN401
    summary = result.summary()
    luck, rate = summary["chance"], summary["false_detector_rate"]
    times = "once" if result.shuffles == 1 else f"{result.shuffles:,} times"
    line(
        f"  {summary['detectors']:,} detectors; with the labels shuffled {times} {luck['detectors']:.1f} "
        f"({luck['range'][0]:,} to {luck['range'][1]:,})"
    )
    if rate is not None:
        line(f"  false-detector rate at IoU > {result.iou_threshold:g}: {rate:.1%}")


def _untrained(result: Any, best: int) -> None:  # noqa: ANN401
    summary = result.summary()
    line(
        f"  untrained: {summary['detectors']:,} of {result.units:,} units detect a concept (chance "
        f"{summary['chance']['detectors']:,}); unique by top label {summary['unique_detectors_top_label']:,} "
        f"(chance {summary['chance']['unique_detectors_top_label']:,})"
    )


def show_units(result: Any, units: Sequence[int]) -> None:  # noqa: ANN401
    """Print chosen units of a dissection, with the image on which each fires most."""
    if not len(units):
        line("  none")
        return
    table = result.table().set_index("unit").loc[list(units)].reset_index()
    rows: list[tuple[str, ...]] = [("unit", "concept", "category", "IoU", "detector", "top image")]
    for row in table.to_dict(orient="records"):
        detects = "yes" if row["detector"] else "no"
        name = row["concept"] or "none"
        rows.append((str(row["unit"]), name, row["category"], f"{row['iou']:.3f}", detects, row["top_image"]))
    _rows(rows)


def _entanglement(result: Any, best: int) -> None:  # noqa: ANN401
    summary = result.summary()
    chance = summary["chance"]
    line(
        f"  {summary['classes']:,} classes; mutual information score {summary['mis']:.4f} nats "
        f"(permuted labels {chance['mis']:.4f}), {summary['normalised_mis']:.3f} of what there is to know "
        f"({chance['normalised_mis']:.3f})"
    )
    line(
        f"  exclusive: {_number(summary['mis_l1'])} of a unit's information is about its best class "
        f"(permuted labels {_number(chance['mis_l1'])}); {summary['classes_without_units']:,} classes own no unit"
    )
    drop = summary.get("ablation")
    if drop:
        line(
            f"  recall lost without a class's own units {_number(drop['drop_own'])}, by the other classes "
            f"{_number(drop['drop_other'])}, without as many random units {_number(drop['drop_random'])}"
        )
    for warning in result.warnings:
        line(f"  {warning}")
    table = result.table().sort_values(["information", "unit"], ascending=[False, True]).head(best)
    _rows(
        [("unit", "class", "nats", "permuted")]
        + [
            (str(unit), owner or "none", f"{nats:.4f}", f"{luck:.4f}")
            for unit, owner, nats, luck in table[["unit", "owner", "information", "permuted"]].to_numpy()
        ]
    )


def _parts(result: Any, best: int) -> None:  # noqa: ANN401
    for measure in (result.stability, result.association, result.templates):
        if measure is not None:
            line(f"  {measure.words()}")
    for warning in result.warnings:
        line(f"  {warning}")
    if result.stability is None:
        return
    steady = result.stability
    table = result.table().dropna(subset="deviation").sort_values(["deviation", "unit"]).head(best)
    part, name = steady.steadiest_to()
    rows: list[tuple[str, ...]] = [("unit", "steadiest to", "deviation", "spread", "explained")]
    for u, deviation in zip(table["unit"].tolist(), table["deviation"].tolist(), strict=True):
        p, k = int(part[u]), int(name[u])
        to = f"{steady.parts[p]} of {steady.classes[k]}" if steady.classes[k] else steady.parts[p]
        rows.append((str(u), to, f"{deviation:.3f}", _number(steady.spread[u, k]), _number(steady.explained[u, p, k])))
    if len(rows) > 1:
        _rows(rows)


def _finetuning(result: Any, best: int) -> None:  # noqa: ANN401
    told, luck = ("of the classes told rightly", "commoner answer") if result.multi else ("", "commonest class")
    accuracy = f"{result.accuracy:.1%} {told}" if told else f"accuracy {result.accuracy:.1%}"
    line(
        f"  loss {result.loss}: {accuracy} on {len(result.validation):,} validation images after "
        f"{result.epochs:,} epochs (before {result.start_accuracy:.1%}, always the {luck} "
        f"{result.chance_accuracy:.1%})"
    )
    outputs = result.outputs
    line(
        f"  outputs: largest probability {outputs.top:.1%}, entropy {_number(outputs.entropy)} nats, margin "
        f"{_number(outputs.margin)}"
    )
    for warning in result.warnings:
        line(f"  {warning}")


def _comparison(result: Any, best: int) -> None:  # noqa: ANN401
    head = ("", *result.columns, "change", "by chance", "")
    rows = [
        (one.title, one.said(one.before), one.said(one.after), one.said_change(), one.said_floor(), _verdict(one))
        for one in result.measures
    ]
    _rows([head, *rows])
    if any(one.least for one in result.measures if one.better != "neither"):
        line(
            "  about the same: within one validation image, or two standard errors over the units of one training "
            "each; another training may differ by more"
        )
    for warning in result.warnings:
        line(f"  {warning}")


def _side_by_side(result: Any) -> None:  # noqa: ANN401
    line(f"{', '.join(result.names[:-1])} and {result.names[-1]} side by side")
    if result.forced:
        line(f"  forced; they do not compare: {'; '.join(result.forced)}")
    rows: list[tuple[str, ...]] = [("", "value", "95% interval", "by chance", "change", "95% interval", "")]
    for one in result.measures:
        rows.append((one.title, *[""] * 6))
        rows += [_column_of(result, one, n) for n in range(len(result.columns))]
    _rows(rows)
    for warning in result.warnings:
        line(f"  {warning}")


def _column_of(result: Any, one: Any, n: int) -> tuple[str, ...]:  # noqa: ANN401
    """What one column has of a measure, beside the first."""
    said = [one.said(value) for value in (one.values[n], one.low[n], one.high[n], one.floors[n], one.changes[n])]
    value, low, high, floor, change = ("" if text == "none" else text for text in said)
    apart = [one.said(number) for number in (one.changes_low[n], one.changes_high[n])]
    verdict = {"unclear": "no clear change", "chance": "no better than chance", "neither": ""}.get(
        one.verdict(n), one.verdict(n)
    )
    known = apart != ["none", "none"]
    return (
        f"  {result.names[n]}",
        value,
        f"{low} to {high}" if low else "",
        floor,
        change,
        " to ".join(apart) if known else "",
        verdict if known else "",
    )


def _graph(result: Any, best: int) -> None:  # noqa: ANN401
    of = f" of class {result.class_name}" if result.class_name else ""
    apart = f"{len(result.held_out):,} images held out"
    line(f"  {result.nodes:,} part patterns in {len(result.layers):,} layers{of}; {apart}")
    found = result.evaluation
    if found is not None:
        judged = "held-out" if result.held_out else "training"
        line(f"  location instability of the 100 strongest on {judged} images, share of the diagonal, low is steady:")
    _rows(_instabilities(result))
    if found is not None and len(found.localisation):
        line("  landmarks localised from so many annotated images, error on held-out ones, share of the diagonal:")
        _rows(_localised(found.localisation))
    for warning in result.warnings:
        line(f"  {warning}")
    top, landmarks = result.layers[-1], (() if found is None else found.landmarks)
    rows: list[tuple[str, ...]] = [
        ("strongest", "row", "column", "sigma", *(("landmark", "purity") if landmarks else ()))
    ]
    for v in top.best(best).tolist():
        row, column = top.mean[v]
        name = landmarks[top.part[v]] if top.part[v] >= 0 else "none"
        known = (name, _number(top.purity[v])) if landmarks else ()
        rows.append((f"{top.layer}/{v}", f"{row:.0f}", f"{column:.0f}", f"{top.sigma[v]:.1f}", *known))
    _rows(rows)


def _instabilities(result: Any) -> list[tuple[str, ...]]:  # noqa: ANN401
    """A row a layer from the top: its nodes, and how steady they are beside the controls that were made."""
    layers = result.summary()["layers"][::-1]
    controls = ("graph", "no edges", "shuffled", "raw", "centre")
    known = [name for name in controls if any(one.get("instability", {}).get(name) is not None for one in layers)]
    rows: list[tuple[str, ...]] = [("layer", "filters", "nodes", "idle", *known)]
    for one in layers:
        counts = (f"{one['filters']:,}", f"{one['nodes']:,}", f"{one['idle']:,}")
        steady = one.get("instability", {})
        rows.append((one["layer"], *counts, *(_number(steady.get(name)) for name in known)))
    return rows


def _localised(table: Any) -> list[tuple[str, ...]]:  # noqa: ANN401
    """A row for each number of shots, mean over the landmarks."""
    means = table.groupby(["shots", "positions"], sort=False)["error"].mean().unstack("positions", sort=False)
    rows = [(str(count), *map(_number, row)) for count, row in zip(means.index, means.to_numpy(), strict=True)]
    return [("shots", *means.columns), *rows]


def _verdict(measure: Any) -> str:  # noqa: ANN401
    said = str(measure.said_verdict())
    return f"{said}, short of chance" if said and measure.beyond[1] is False else said


def _rows(rows: list[tuple[str, ...]]) -> None:
    for text in aligned(rows):
        line(f"  {text}")


def _number(value: float | None) -> str:
    return "none" if value is None or value != value else f"{value:.3f}"


_WORDS: Mapping[str, Callable[[Any, int], None]] = {
    "dissect": _dissection,
    "rotate": _rotation,
    "shuffle": _shuffles,
    "untrained": _untrained,
    "entangle": _entanglement,
    "parts": _parts,
    "graph": _graph,
    "finetune": _finetuning,
    "compare": _comparison,
}
