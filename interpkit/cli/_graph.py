"""``interpkit graph``: the part patterns of a network on the images of one class, and what they hang on."""

from pathlib import Path
from typing import Annotated

import typer

from interpkit.cli import _options as options
from interpkit.cli._job import GRAPH, Asked, Output, carry_out, chosen
from interpkit.cli._screen import remark

Export = Annotated[
    list[Path] | None,
    typer.Option(
        "--export",
        metavar="FILE",
        help="Also write the graph for other programs: FILE.graphml, or FILE.json in node-link form; repeat it.",
    ),
]


def graph(
    model: options.ModelArgument,
    *,
    labels: options.Labels = "broden-mini",
    class_name: Annotated[
        str | None,
        typer.Option("--class", metavar="NAME", help="The class to explain, of a label set that has several."),
    ] = None,
    layer: options.Layers = None,
    train: Annotated[
        int | None,
        typer.Option(
            help="Images to fit to, the rest is held out; default: three quarters, at most 1,000.", show_default=False
        ),
    ] = None,
    nodes: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            help="Nodes a filter, a number for each layer from low to high; default: from the size of its maps.",
            show_default=False,
        ),
    ] = None,
    edges: Annotated[int, typer.Option(help="Nodes of the layer above that a node is tied to.")] = 15,
    noise: Annotated[
        float, typer.Option(help="Constant of the component that is no part, 1 / cell; the paper's is 0.1.")
    ] = 0.01,
    iterations: Annotated[int, typer.Option(help="Of each layer's fit, at most.")] = 20,
    rule: Annotated[
        str, typer.Option(help="Edges are chosen again every fifth iteration (repick), or once (frozen).")
    ] = "repick",
    sigma: Annotated[
        str, typer.Option(help="Deviation of a node: fitted, or fused from its edges (the paper).")
    ] = "fitted",
    candidates: Annotated[int, typer.Option(help="Nodes of the layer above that edges may lead to.")] = 600,
    filters: Annotated[
        int | None, typer.Option(help="Only so many filters of each layer, the strongest; default: all that fire.")
    ] = None,
    align: options.Align = "receptive-field",
    flips: Annotated[
        bool, typer.Option("--flips/--no-flips", help="Let an image be mirrored where it is likelier so.")
    ] = False,
    precision: Annotated[
        str, typer.Option(help="Of the maps that are kept: float16, uint8, or auto, by the memory there is.")
    ] = "auto",
    cache: options.Cache = "auto",
    scratch: options.Scratch = None,
    controls: Annotated[
        bool,
        typer.Option("--controls/--no-controls", help="Fit it without edges and with shuffled ones too, to compare."),
    ] = True,
    shots: Annotated[
        str, typer.Option(metavar="N,N,...", help="Annotated images that a landmark is learnt from, to localise it.")
    ] = "1,3,5,10",
    decoder: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Train a network that draws features as images, or use the one in this folder."
        ),
    ] = None,
    decoder_epochs: Annotated[int, typer.Option(help="Passes over the images to train it on.")] = 30,
    export: Export = None,
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
    batch_size: options.BatchSize = "auto",
    memory_format: options.MemoryFormat = "auto",
    threads: options.Threads = None,
    seed: options.Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run; default: reports/<model>-<labels>-<class>.", show_default=False),
    ] = None,
    overwrite: options.Overwrite = False,
    report: options.Report = True,
    single_file: options.SingleFile = False,
    pdf: options.Pdf = False,
    paper: options.Paper = None,
    as_document: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Find the part patterns of a network on the images of one class, layer by layer (an explanatory graph)."""
    arguments = {**locals(), "nodes": options.whole_numbers(nodes), "shots": options.whole_numbers(shots)}
    _check(export)
    asked = Asked(model, labels, options.layer_names(layer), options.loading(arguments), chosen(GRAPH, arguments))
    output = Output(out, overwrite, report, single_file, as_document, quiet, paper=options.printed_on(paper, pdf=pdf))
    results = carry_out(GRAPH, asked, output)
    _write(results[0], export, quiet=quiet)


def _check(paths: list[Path] | None) -> None:
    """Stop at a file that cannot be written before the run."""
    if paths:
        from interpkit.export import check_path

        for path in paths:
            check_path(path)


def _write(result: object, paths: list[Path] | None, *, quiet: bool) -> None:
    if paths:
        from interpkit.export import STRONGEST, write_graph
        from interpkit.results import ExplanatoryGraph

        assert isinstance(result, ExplanatoryGraph)
        most = max(len(one.best()) for one in result.layers)
        for path in paths:
            write_graph(result, path)
            some = f", the {STRONGEST:,} strongest nodes of each layer" if most > STRONGEST else ""
            remark(f"written: {path}{some}", quiet=quiet)
