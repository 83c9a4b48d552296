"""What a user can get wrong, said in one line."""

from collections.abc import Iterable
from difflib import get_close_matches

# What is said of a file may quote it, and a cell of a table may be as long as a book.
LONGEST = 2000
_COMPARED = 120


class InterpkitError(Exception):
    """A mistake in what was asked. The message is one line: what was asked, what exists, the nearest right answer.

    The command line prints the message without a traceback and exits with status 2.
    """

    exit_status = 2

    def __str__(self) -> str:
        """The message, in one line that every terminal can show."""
        return printable(super().__str__())


class UnknownNameError(InterpkitError):
    """A name (layer, label set, architecture, metric) that does not exist."""


class ModelError(InterpkitError):
    """A model that cannot be read, built or observed."""


class LabelSetError(InterpkitError):
    """A label set that is missing, incomplete or contradicts itself."""


class ImageError(LabelSetError):
    """One image that cannot be read. ``--skip-bad`` leaves it out."""


class ResultError(InterpkitError):
    """A result folder that is missing, incomplete, or holds another run."""


def nearest(name: str, have: Iterable[str], *, count: int = 3) -> list[str]:
    """The existing names that look most like ``name``, best first, at most ``count``.

    Examples
    --------
    >>> nearest("layer_4", ["layer1", "layer4", "fc"], count=1)
    ['layer4']
    """
    known = list(have)
    lowered = {item[:_COMPARED].lower(): item for item in reversed(known)}
    close = get_close_matches(name[:_COMPARED].lower(), list(lowered), n=count, cutoff=0.4)
    return [lowered[item] for item in close]


def printable(text: str) -> str:
    r"""``text`` in one line of at most 2,000 characters, what a terminal would obey or cannot show as escapes.

    Examples
    --------
    >>> printable("names 'a\x1b[2J'\nand more")
    "names 'a\\x1b[2J' and more"
    """
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 4]} ..."
    if text.isprintable():
        return text
    lines = text.translate(dict.fromkeys(map(ord, "\t\n\v\f\r\x85\u2028\u2029"), " "))
    shown = "".join(
        one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode() for one in lines
    )
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 4]} ..."


def one_line(error: Exception) -> str:
    """What somebody else's error says, in one line of at most 200 characters; its type where it says nothing.

    Of the operating system's errors the reason alone: who calls names the file.

    Examples
    --------
    >>> one_line(ValueError("no  such size"))
    'no such size'
    """
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split())[:200] or type(error).__name__
