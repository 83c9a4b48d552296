"""``interpkit parts``: how part-like and how steady the units of a layer are."""

from typing import Annotated

import typer

from interpkit.cli import _options as options
from interpkit.cli._job import PARTS, Asked, Output, carry_out, chosen


def parts(
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
    top: Annotated[int, typer.Option(help="Images a unit's steadiness is judged on, by falling peak.")] = 100,
    radius: Annotated[
        float | None,
        typer.Option(
            help="Of the disc that stands for an active cell on part masks, in input pixels; default: half the "
            "measured receptive field, at most an eighth of the image.",
            show_default=False,
        ),
    ] = None,
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
    """Measure how part-like the units of a layer are, and how steadily they fire at landmarks."""
    arguments = locals()
    asked = Asked(model, labels, options.layer_names(layer), options.loading(arguments), chosen(PARTS, arguments))
    output = Output(out, overwrite, report, single_file, as_document, quiet, paper=options.printed_on(paper, pdf=pdf))
    carry_out(PARTS, asked, output)
