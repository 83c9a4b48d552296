"""``interpkit report`` and ``interpkit open``: pages from stored results, without torch."""

from pathlib import Path
from typing import Annotated

import typer

from interpkit.cli import _options as options
from interpkit.cli._screen import as_json, line
from interpkit.cli._shown import show

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A folder that a command wrote, such as reports/RUN.")]


def report(
    run: Run,
    *,
    units: options.Units = None,
    concepts: options.Concepts = None,
    single_file: options.SingleFile = False,
    pdf: options.Pdf = False,
    paper: options.Paper = None,
) -> None:
    """Build the page of a run again from its stored results."""
    from interpkit.report import build, build_pdf

    printed_on = options.printed_on(paper, pdf=pdf)
    subset = options.subset(units, concepts)
    line(str(build(run, single_file=single_file, units=subset.units, concepts=subset.concepts)))
    if printed_on:
        line(str(build_pdf(run, paper=printed_on, units=subset.units, concepts=subset.concepts)))


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
