"""What the terminal sees: progress and remarks on standard error, results on standard output."""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from interpkit.strangers import shortened, visible

# Letters of a cell after which a table leaves the rest out.
LONGEST = 60


def line(text: str = "") -> None:
    """One line on standard output; what a name in it would do to the terminal is seen instead."""
    sys.stdout.write(f"{visible(text)}\n")


def as_json(values: Any) -> None:  # noqa: ANN401 - whatever JSON holds
    """A JSON document on standard output."""
    # All of it is ASCII: JSON escapes the rest.
    sys.stdout.write(f"{json.dumps(values, indent=2)}\n")


def remark(text: str, *, quiet: bool = False) -> None:
    """One line on standard error, unless quiet, as `line` writes it."""
    if not quiet:
        sys.stderr.write(f"{visible(text)}\n")


def say_input(loaded: Any, *, quiet: bool) -> None:  # noqa: ANN401 - a LoadedModel, whose type needs torch
    """What the user has to know of a loaded model, and what its input is taken to be."""
    for note in loaded.notes:
        remark(note, quiet=quiet)
    height, width = loaded.preprocessing.size
    remark(f"input {height} x {width}, {loaded.preprocessing.record}", quiet=quiet)


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines with aligned columns; columns of numbers to the right, long cells without their end.

    Examples
    --------
    >>> aligned([("name", "n"), ("a", "10"), ("bcd", "7")])
    ['name   n', 'a     10', 'bcd    7']
    """
    shown = [tuple(shortened(visible(cell), most=LONGEST) for cell in row) for row in rows]
    columns = list(zip(*shown, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(_is_number(cell) for cell in column[1:] if cell) for column in columns]
    lines = []
    for row in shown:
        cells = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True))
        lines.append("  ".join(cells).rstrip())
    return lines


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "").replace("-", "").isdigit()


@contextmanager
def progress_shown(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A progress callback that draws bars with rate and time left on standard error; remarks of the run are shown."""
    if quiet:
        yield lambda _stage, _done, _total: None
        return
    from interpkit.running import progress

    with _remarks_shown(), progress() as show:
        yield show


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """The message in one line."""
        return visible(super().format(record))


@contextmanager
def _remarks_shown() -> Iterator[None]:
    """The package's log messages on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain("%(message)s"))
    logger = logging.getLogger("interpkit")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
