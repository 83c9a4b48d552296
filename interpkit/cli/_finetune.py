"""``interpkit finetune``: a network trained to be interpretable, and its control where both are to be compared."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from interpkit.cli import _options as options
from interpkit.cli import _runs as runs
from interpkit.cli._job import Output
from interpkit.cli._screen import as_json, line, progress_shown, say_input
from interpkit.cli._shown import show

# Keyword arguments of finetune() that the command line has under the same names; `options` is --set.
TRAINING = (
    *("loss", "weight", "layer", "add_layer", "filters", "head", "train_from", "augment", "epochs", "batch_size"),
    *("rate", "head_rate", "decay", "rate_schedule", "validation", "patience", "precision"),
    *("skip_bad", "split", "limit", "device", "threads", "seed", "resume", "overwrite"),
)
DISSECTED = "broden-mini"


def finetune(
    model: options.ModelArgument,
    *,
    labels: options.Labels = "broden-mini",
    loss: Annotated[
        str, typer.Option(help="icnn: part masks and the loss of filters; class-gate; none: the control.")
    ] = "icnn",
    weight: Annotated[
        float | None, typer.Option(help="Of the loss beside that of the task; default: the loss's own.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="An option of the loss, such as tau=paper; repeat it."),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(help="Above it the new layer comes; default: the last place where maps are fine enough."),
    ] = None,
    add_layer: Annotated[
        bool,
        typer.Option(
            "--add-layer/--no-add-layer",
            help="A new 3 x 3 convolution above the layer, or none: the layer itself is then rectified, with any loss.",
        ),
    ] = True,
    filters: Annotated[
        int | None, typer.Option(help="Of the new layer; default: as many as the layer has units.")
    ] = None,
    head: Annotated[
        str, typer.Option(help="pooled: a linear layer right above; classifier: the network's own end.")
    ] = "pooled",
    train_from: Annotated[
        str | None, typer.Option(help="The first layer that is trained; default: what is new alone.")
    ] = None,
    augment: Annotated[str, typer.Option(help="none, flip, or standard: crops and flips.")] = "flip",
    epochs: Annotated[int, typer.Option(help="Passes over the images to train on.")] = 40,
    batch_size: Annotated[int, typer.Option(help="Images a training step.")] = 64,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 1e-3,
    head_rate: Annotated[
        float, typer.Option(help="How many times as fast the new last layer learns as the rest.")
    ] = 10.0,
    decay: Annotated[float, typer.Option(help="Weight decay.")] = 0.0,
    rate_schedule: Annotated[
        str, typer.Option(help="How the learning rate falls: cosine, steps, constant.")
    ] = "constant",
    validation: Annotated[
        float, typer.Option(help="Share of each class kept apart, where the set has no split of its own.")
    ] = 0.25,
    patience: Annotated[
        int | None,
        typer.Option(help="Stop after so many epochs without better validation accuracy, and keep the best one."),
    ] = None,
    precision: Annotated[str, typer.Option(help="32, bf16 or 16.")] = "32",
    before_after: Annotated[
        bool, typer.Option("--before-after", help="Train the control too, measure both, and compare them.")
    ] = False,
    dissect_labels: Annotated[
        str, typer.Option(metavar="PATH|NAME|none", help="With --before-after: what both are dissected on.")
    ] = DISSECTED,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a training that was cut off, which happens anyway.")
    ] = False,
    arch: options.Arch = None,
    trust: options.Trust = False,
    size: options.Size = None,
    mean: options.Mean = None,
    std: options.Std = None,
    interpolation: options.Interpolation = None,
    skip_bad: options.SkipBad = False,
    split: options.Split = None,
    limit: options.Limit = None,
    device: options.Device = None,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the model; default: reports/<model>-<labels>-<loss>.", show_default=False),
    ] = None,
    overwrite: options.Overwrite = False,
    report: options.Report = True,
    single_file: options.SingleFile = False,
    pdf: options.Pdf = False,
    paper: options.Paper = None,
    as_document: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a network whose units stand for parts or for classes, and show what became of them."""
    arguments = locals()
    training = {name: arguments[name] for name in TRAINING}
    asked = Training(
        model,
        labels,
        loading=options.loading(arguments),
        training={**training, "options": read_settings(settings)},
        compared_on=dissect_labels if before_after else None,
    )
    output = Output(out, overwrite, report, single_file, as_document, quiet, paper=options.printed_on(paper, pdf=pdf))
    carry_out(asked, output)


@dataclass(frozen=True)
class Training:
    """What the user typed.

    Attributes
    ----------
    loading, training
        Keyword arguments of load_model() and of finetune().
    compared_on
        The label set to dissect both networks on, ``none`` for none; None where there is only one to train.
    """

    model: str
    labels: str
    loading: Mapping[str, Any]
    training: Mapping[str, Any]
    compared_on: str | None


def read_settings(given: list[str] | None) -> dict[str, Any] | None:
    """The options of ``--set NAME=VALUE``: a value is what JSON makes of it, else the text.

    Raises
    ------
    typer.BadParameter
        If a setting is not NAME=VALUE, or named twice.

    Examples
    --------
    >>> read_settings(["tau=paper", "c=2.5", "learn-beta=true"])
    {'tau': 'paper', 'c': 2.5, 'learn_beta': True}
    """
    found: dict[str, Any] = {}
    for text in given or ():
        name, equals, value = (part.strip() for part in text.partition("="))
        name = name.replace("-", "_")
        if not (name and equals and value):
            raise typer.BadParameter(f"--set {text!r} is not NAME=VALUE, such as tau=paper")
        if name in found:
            raise typer.BadParameter(f"--set names {name} twice")
        found[name] = _value(value)
    return found or None


def _value(text: str) -> object:
    try:
        value = json.loads(text.lower() if text.lower() in {"true", "false"} else text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


def carry_out(asked: Training, output: Output) -> None:
    """Train what was asked for and show it: a few lines, or the summary as JSON, and where the page is."""
    from interpkit.labels import LabelSet
    from interpkit.models import load_model

    loaded = load_model(asked.model, **asked.loading)
    say_input(loaded, quiet=output.quiet)
    labels = LabelSet.open(asked.labels)
    folder = output.out or default_folder(loaded.name, labels.name, asked)
    with progress_shown(quiet=output.quiet) as progress:
        result = _train(loaded, labels, folder, asked=asked, progress=progress)
    # Of several processes one shows what came out.
    if int(os.environ.get("RANK", "0")):
        return
    page, pdf = _drawn(folder, asked, output)
    if output.as_document:
        pages = {"report": str(page) if page else None, **({"pdf": str(pdf)} if pdf else {})}
        as_json({"run": str(folder), **pages, "layers": [result.summary()]})
        return
    show(result)
    for written in filter(None, (page or (None if pdf else folder), pdf)):
        line(str(written))


def default_folder(model: str, labels: str, asked: Training) -> Path:
    """``reports/<model>-<labels>-<loss>``, and ``-before-after`` where both networks are trained."""
    words = [model, labels, asked.training["loss"], *(["before-after"] if asked.compared_on else [])]
    return runs.REPORTS / runs.safe("-".join(words))


def _train(loaded: Any, labels: Any, folder: Path, *, asked: Training, progress: Any) -> Any:  # noqa: ANN401 - need torch
    """The training's result, or the comparison of two."""
    if asked.compared_on is None:
        from interpkit.finetuning import finetune as train

        return train(loaded, labels, folder, **asked.training, progress=progress)
    from interpkit.studies import before_after

    dissected = None if asked.compared_on == "none" else asked.compared_on
    return before_after(loaded, labels, folder, dissect_labels=dissected, **asked.training, progress=progress)


def _drawn(folder: Path, asked: Training, output: Output) -> tuple[Path | None, Path | None]:
    """The page and the PDF, as far as they are asked for; the folder is held meanwhile."""
    if not (output.report or output.paper):
        return None, None
    with runs.folder_made(folder):
        return (
            _pages(folder, asked, single_file=output.single_file) if output.report else None,
            _printed(folder, asked, paper=output.paper) if output.paper else None,
        )


def _pages(folder: Path, asked: Training, *, single_file: bool) -> Path:
    """The page of the run, and where two networks were trained those that it leads to."""
    for name in () if asked.compared_on is None else ("ordinary", "interpretable"):
        runs.build_page(folder / name, single_file=single_file)
    return runs.build_page(folder, single_file=single_file)


def _printed(folder: Path, asked: Training, *, paper: str) -> Path:
    """The same as PDFs."""
    for name in () if asked.compared_on is None else ("ordinary", "interpretable"):
        runs.print_page(folder / name, paper=paper)
    return runs.print_page(folder, paper=paper)
