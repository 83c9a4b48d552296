"""``interpkit dissect`` and ``interpkit demo``: the main job, from a model file to a page."""

from pathlib import Path
from typing import Annotated

import typer

from interpkit.cli import _options as options
from interpkit.cli._job import DISSECT, Asked, Output, carry_out, chosen

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
    as_document: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Name the units of a layer by the concepts they overlap (Network Dissection)."""
    arguments = locals()
    asked = Asked(model, labels, options.layer_names(layer), options.loading(arguments), chosen(DISSECT, arguments))
    carry_out(DISSECT, asked, Output(out, overwrite, report, single_file, as_document, quiet))


def demo(
    *,
    out: Annotated[Path | None, typer.Option(help="Folder of the run.", show_default=False)] = None,
    limit: options.Limit = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Dissect a real pretrained network on the embedded label set: EfficientNet-lite0 on broden-mini."""
    dissect(DEMO_MODEL, out=out, limit=limit, overwrite=overwrite, quiet=quiet)
