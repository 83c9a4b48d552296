"""``interpkit data fetch``: a label set from its authors."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from interpkit.cli import _options as options
from interpkit.cli._screen import line, remark
from interpkit.errors import InterpkitError


def fetch_set(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A label set that `data list` says can be downloaded.")],
    *,
    resolution: Annotated[
        int | None, typer.Option(metavar="N", help="Of a set that comes in several sizes, such as 224, 227 or 384.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the download.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for it; default: its name in the data folder.", show_default=False)
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Download a label set from its authors, check it and unpack it; says what it is and how large, and asks.

    Stopped or cut off, the same command goes on where it was.
    """
    from interpkit.fetching import fetch, plan

    planned = plan(name, resolution=resolution, out=out)
    for text in planned.lines():
        line(text)
    if not planned.missing:
        # A fetch that was stopped right after all was in its place has left something to do.
        fetch(planned)
        line(f"already there: {planned.offer.home}")
        return
    if not yes and not _agreed(planned):
        line("nothing was downloaded")
        return
    with _bars(quiet=quiet) as progress:
        home = fetch(planned, progress=progress)
    line(f"now in {home}")
    _say_how_to_open(planned, by_name=out is None and resolution is None)


def _agreed(planned: Any) -> bool:  # noqa: ANN401 - a Fetch, whose room is imported when the command runs
    """Ask on the terminal.

    Raises
    ------
    InterpkitError
        If nobody is there to answer.
    """
    from interpkit.fetching import size_text

    if not sys.stdin.isatty():
        raise InterpkitError("data fetch asks before it downloads, and there is no terminal to ask on; give --yes")
    size = size_text(planned.size) if planned.size is not None else "a file of unknown size"
    return typer.confirm(f"Download {size}?")


def _say_how_to_open(planned: Any, *, by_name: bool) -> None:  # noqa: ANN401 - a Fetch, as above
    """Say what ``--labels`` takes for the set; what is wrong with it where it cannot be opened."""
    from interpkit.labels import locate

    offer = planned.offer
    sized = [one.unpacks_to for one in offer.downloads if one.resolution is not None]
    asked = offer.name if by_name else str(offer.home / "".join(sized[:1]))
    try:
        locate(asked)
    except InterpkitError as error:
        remark(f"it cannot be opened: {error}")
    else:
        line(f"to use it: --labels {shlex.quote(asked)}")


@contextmanager
def _bars(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar a stage on standard error, with bytes a second and the time left."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    columns = [TextColumn("{task.description:<8}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()]
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=quiet or not console.is_terminal) as bars:

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield show
