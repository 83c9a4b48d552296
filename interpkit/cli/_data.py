"""``interpkit data``: the label sets on this machine."""

from typing import Annotated, Any

import typer

from interpkit.cli import _clean, _fetch
from interpkit.cli import _options as options
from interpkit.cli._screen import aligned, as_json, line

app = typer.Typer(
    help="Label sets: what is there, and whether one is sound.", no_args_is_help=True, rich_markup_mode=None
)
app.command("fetch")(_fetch.fetch_set)
app.command("clean")(_clean.clean)


@app.command("list")
def list_sets(*, as_document: options.Json = False) -> None:
    """List the label sets that can be asked for by name."""
    from interpkit.labels import available

    found = available()
    if as_document:
        as_json([{**vars(one), "where": str(one.where)} for one in found])
        return
    rows = [("name", "layout", "images", "concepts", "licence", "where")]
    rows += [
        (one.name, one.layout, _count(one.images), _count(one.concepts), _short(one.licence), str(one.where))
        for one in found
    ]
    for text in aligned(rows):
        line(text)
    for one in found:
        if one.note:
            line(f"{one.name}: {one.note}")


@app.command("check")
def check_set(
    path: Annotated[str, typer.Argument(metavar="PATH|NAME", help="The label set.")],
) -> None:
    """Look at every row, image and label of a set; print what is wrong, then its statistics."""
    from interpkit.labels import check

    report: Any = check(path)
    for text in report.lines():
        line(text)
    if not report.good:
        raise typer.Exit(1)


def _short(licence: str) -> str:
    """What a licence says first; the rest is in the manifest, and `data fetch` prints it."""
    return " ".join(licence.partition(";")[0].split())


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
