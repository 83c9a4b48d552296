"""``interpkit dissect`` and ``interpkit demo``: the main job, from a model file to a page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from interpkit.cli import _options as options
from interpkit.cli._job import DISSECT, ROTATE, SHUFFLE, UNTRAINED, Asked, Output, Verb, carry_out, chosen
from interpkit.cli._masks import Closer

DEMO_MODEL = "lite:efficientnet-lite0"


def dissect(
    model: options.ModelArgument,
    *,
    labels: options.Labels = "broden-mini",
    layer: options.Layers = None,
    arch: options.Arch = None,
    trust: options.Trust = False,
    size: options.Size = None,
    mean: options.Mean = None,
    std: options.Std = None,
    interpolation: options.Interpolation = None,
    align: options.Align = "half-pixel",
    quantile: Annotated[float, typer.Option(help="Share of positions above a unit's threshold.")] = 0.005,
    iou: Annotated[float, typer.Option(help="A unit detects a concept where its IoU is above this.")] = 0.04,
    category_rule: Annotated[
        str, typer.Option(help="Count a unit in images annotated for the category (annotated) or in all images (all).")
    ] = "annotated",
    top: Annotated[int, typer.Option(help="Top images a unit.")] = 10,
    rotate: Annotated[
        str | None,
        typer.Option(metavar="A,...", help="Turn the units towards random bases, so far: 0,0.2,0.4,0.6,0.8,1."),
    ] = None,
    rotations: Annotated[int, typer.Option(help="Random bases for --rotate.")] = 3,
    shuffle_labels: Annotated[
        int | None, typer.Option(metavar="K", help="Shuffle the labels so often: which detectors are luck.")
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Dissect the same network untrained too.")
    ] = False,
    export_masks: Annotated[
        str | None, typer.Option(metavar="png|rle", help="Write where units fire on every image: pictures, or COCO.")
    ] = None,
    units: options.Units = None,
    concepts: options.Concepts = None,
    cache: options.Cache = "auto",
    scratch: options.Scratch = None,
    skip_bad: options.SkipBad = False,
    split: options.Split = None,
    limit: options.Limit = None,
    device: options.Device = None,
    batch_size: options.BatchSize = "auto",
    memory_format: options.MemoryFormat = "auto",
    threads: options.Threads = None,
    seed: options.Seed = 0,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    report: options.Report = True,
    single_file: options.SingleFile = False,
    pdf: options.Pdf = False,
    paper: options.Paper = None,
    as_document: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Name the units of a layer by the concepts they overlap (Network Dissection)."""
    arguments = locals()
    asked = Asked(model, labels, options.layer_names(layer), options.loading(arguments), chosen(DISSECT, arguments))
    closer = Closer(export_masks, options.subset(units, concepts))
    output = Output(out, overwrite, report, single_file, as_document, quiet, paper=options.printed_on(paper, pdf=pdf))
    carry_out(DISSECT, asked, output, beside=judged(arguments), closer=closer)


def judged(arguments: Mapping[str, Any]) -> list[tuple[Verb, dict[str, Any]]]:
    """What judges the dissection, as far as it is asked for, with the keyword arguments of its functions."""
    alphas, shuffles = options.numbers(arguments["rotate"]), arguments["shuffle_labels"]
    given = {**arguments, "alphas": alphas, "shuffles": shuffles}
    asked = [(ROTATE, alphas is not None), (SHUFFLE, shuffles is not None), (UNTRAINED, arguments["random_weights"])]
    return [(verb, chosen(verb, given)) for verb, wanted in asked if wanted]


def demo(
    *,
    out: Annotated[Path | None, typer.Option(help="Folder of the run.", show_default=False)] = None,
    limit: options.Limit = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Dissect a real pretrained network on the embedded label set: EfficientNet-lite0 on broden-mini."""
    dissect(DEMO_MODEL, out=out, limit=limit, overwrite=overwrite, quiet=quiet)
