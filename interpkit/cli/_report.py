"""``interpkit report`` and ``interpkit open``: pages from stored results, without torch."""

from pathlib import Path
from typing import Annotated, Any

import typer

from interpkit.cli import _options as options
from interpkit.cli._screen import aligned, as_json, line

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A folder that a command wrote, such as reports/RUN.")]


def report(run: Run, *, single_file: options.SingleFile = False) -> None:
    """Build the page of a run again from its stored results."""
    from interpkit.report import build

    line(str(build(run, single_file=single_file)))


def open_run(
    run: Run,
    *,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    as_document: options.Json = False,
) -> None:
    """Print what a run found, with its best units, and open its page."""
    from interpkit.report import build
    from interpkit.results import load_run

    results = load_run(run)
    page = run / "index.html"
    if not page.is_file():
        page = build(run)
    if as_document:
        as_json([result.summary() for result in results])
    else:
        for result in results:
            show(result, best=10)
        line(str(page))
    if browser:
        typer.launch(page.resolve().as_uri())


def show(result: Any, *, best: int = 5) -> None:  # noqa: ANN401 - a Dissection, whose type needs pandas
    """A result in ten lines: the run, the numbers, the best units."""
    summary = result.summary()
    line(f"{result.provenance.model} {result.layer} on {result.provenance.labels}: {result.images:,} images")
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
    if result.skipped:
        images = "image" if len(result.skipped) == 1 else "images"
        line(f"  {len(result.skipped):,} {images} could not be read: {', '.join(result.skipped[:3])}")
    table = result.table().sort_values(["iou", "unit"], ascending=[False, True]).head(best)
    rows = [("unit", "concept", "category", "IoU")]
    rows += [
        (str(u), c or "none", g, f"{iou:.3f}")
        for u, c, g, iou in table[["unit", "concept", "category", "iou"]].to_numpy()
    ]
    for text in aligned(rows):
        line(f"  {text}")
