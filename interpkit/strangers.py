"""Text that strangers wrote, such as names of concepts and images, as it can be shown on a terminal and on a page."""

import html
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# Orders to a terminal, lines that are none, letters that no encoding has, and orders to read backwards (UAX #9).
_BINDING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Orders that do no harm on a page: white space.
_HARMLESS = frozenset("\t\n")
# Blocks of letters that are read from right to left.
_LEFTWARDS = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff]")
_ISOLATE, _END = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"


def visible(text: str) -> str:
    r"""The text in one line, every character that would do something instead of being seen as its escape.

    Without this a name could colour a terminal, change its title, overwrite a line, or turn what follows around.

    Examples
    --------
    >>> print(visible("a\x1b[31mb\nc"), visible("\N{RIGHT-TO-LEFT OVERRIDE}exe.jpg"))
    a\x1b[31mb\nc \u202eexe.jpg
    """
    if text.isascii() and text.isprintable():
        return text
    return _BINDING.sub(_escape, text)


def readable(text: str) -> str:
    r"""The text as a page may hold it, not yet escaped for HTML.

    What would do something is seen as its escape, but for white space. Text that is read from right to left stands in
    an isolate of its own, so that numbers and names beside it stay where they are.

    Examples
    --------
    >>> readable("a\x00b"), readable("\u05d0") == "\u2068\u05d0\u2069"
    ('a\\x00b', True)
    """
    if text.isascii() and text.isprintable():
        return text
    shown = _BINDING.sub(lambda found: found[0] if found[0] in _HARMLESS else _escape(found), text)
    return f"{_ISOLATE}{shown}{_END}" if _LEFTWARDS.search(shown) else shown


def escape(text: str) -> str:
    """The text as HTML: what `readable` gives, with nothing in it that HTML would take for its own.

    Examples
    --------
    >>> escape("<b>")
    '&lt;b&gt;'
    """
    return html.escape(readable(text))


def html_table(table: "pd.DataFrame", *, numbers: str = "{:.3f}") -> str:
    """The rows of a table as HTML, without their index.

    Parameters
    ----------
    numbers
        How numbers that are not whole are written.
    """
    named = table.rename(columns=readable).map(lambda cell: readable(cell) if isinstance(cell, str) else cell)
    return named.to_html(index=False, float_format=numbers.format)


def shortened(text: str, *, most: int) -> str:
    """The text, its end left out where it is longer than ``most`` characters.

    Examples
    --------
    >>> shortened("a long name", most=7)
    'a long…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape", "backslashreplace").decode("ascii")
