"""``interpkit entangle``: what the units of a layer know about classes."""

from typing import Annotated

import typer

from interpkit.cli import _options as options
from interpkit.cli._job import ENTANGLE, Asked, Output, carry_out, chosen


def entangle(
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
    target: Annotated[
        str, typer.Option(help="The label set's classes (label), or the network's own strongest output (prediction).")
    ] = "label",
    pool: Annotated[str, typer.Option(help="One number a map: its mean or its max.")] = "mean",
    rectify: Annotated[str, typer.Option(help="Pool the map as it is (auto, no) or its positive part (yes).")] = "auto",
    estimator: Annotated[
        str, typer.Option(help="histogram, or knn (nearest neighbours, slow, as in the released code).")
    ] = "histogram",
    analyses: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="NAME",
            help="Also: ablation, compression, localisation, adversarial; repeat it or separate names by commas.",
        ),
    ] = None,
    class_limit: Annotated[int, typer.Option(help="Ablation takes at most so many classes, the largest first.")] = 50,
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
    """Measure what the units of a layer know about classes (filter-class mutual information)."""
    arguments = {**locals(), "analyses": tuple(options.layer_names(analyses) or ())}
    asked = Asked(model, labels, options.layer_names(layer), options.loading(arguments), chosen(ENTANGLE, arguments))
    output = Output(out, overwrite, report, single_file, as_document, quiet, paper=options.printed_on(paper, pdf=pdf))
    carry_out(ENTANGLE, asked, output)
