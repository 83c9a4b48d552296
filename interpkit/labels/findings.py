"""What is wrong with a label set, said once for the reader that stops and for the check that goes on."""

from collections.abc import Callable
from dataclasses import dataclass

from interpkit.errors import LabelSetError, printable


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong in a label set.

    Attributes
    ----------
    what
        The fault, in one line.
    file
        The file it stands in, relative to the label set's folder; empty where it concerns the whole set.
    row
        The line of that file, counted from 1 with its header; ``None`` where the file has no lines.
    error
        What a reader that stops at the fault raises.
    """

    what: str
    file: str = ""
    row: int | None = None
    error: type[LabelSetError] = LabelSetError

    def __str__(self) -> str:
        """``file row N: what``."""
        place = " ".join([self.file] * bool(self.file) + [f"row {self.row}"] * (self.row is not None))
        return printable(f"{place}: {self.what}" if place else self.what)


Complain = Callable[[Finding], None]
"""Receives a fault. It raises where the label set is being used, and collects where it is being checked."""


def refuse(finding: Finding) -> None:
    """Stop at the first finding.

    Raises
    ------
    LabelSetError
        Always; an ``ImageError`` where the finding says so.
    """
    raise finding.error(str(finding))
