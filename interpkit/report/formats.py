"""How numbers, dates and colours are written on a page: to the digits that mean something."""

import math
from collections.abc import Sequence
from datetime import datetime

from markupsafe import Markup, escape

from interpkit.plot import category_colours
from interpkit.strangers import shortened, visible


def count(value: int) -> str:
    """A whole number with thousands apart.

    Examples
    --------
    >>> count(1280)
    '1,280'
    """
    return f"{value:,}"


def score(value: float) -> str:
    """An IoU to three decimals, without the zero that every one of them starts with.

    Examples
    --------
    >>> score(0.07213), score(0.0), score(1.0)
    ('.072', '0', '1')
    """
    text = f"{value:.3f}"
    return {"0.000": "0", "1.000": "1"}.get(text, text.removeprefix("0"))


def number(value: float | None) -> str:
    """A measured number: three decimals, or two digits where those would all be zero; a dash for none.

    Examples
    --------
    >>> number(0.1123), number(0.00456), number(0.0)
    ('.112', '.0046', '0')
    """
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    size = abs(value)
    text = f"{size:.3f}" if size >= 0.01 or size < 1e-6 else f"{size:.{1 - math.floor(math.log10(size))}f}"
    text = {"0.000": "0", "1.000": "1"}.get(text, text.removeprefix("0"))
    return f"\N{MINUS SIGN}{text}" if value < 0 and text != "0" else text


def average(value: float) -> str:
    """A mean of whole numbers: one decimal, where there is one.

    Examples
    --------
    >>> average(9.667), average(1212.0)
    ('9.7', '1,212')
    """
    return f"{value:,.1f}".removesuffix(".0")


def signed(value: float) -> str:
    """A change: a measured number that always says which way.

    Examples
    --------
    >>> signed(0.045), signed(0.0)
    ('+.045', '0')
    """
    text = number(value)
    return f"+{text}" if value > 0 and text != "0" else text


def measured(value: float, unit: str) -> str:
    """A measure in its unit: counts as whole numbers, all else as measured numbers.

    Examples
    --------
    >>> measured(31.0, "count"), measured(0.1321, "share"), measured(float("nan"), "count")
    ('31', '.132', '\N{EN DASH}')
    """
    return count(round(value)) if unit == "count" and math.isfinite(value) else number(value)


def changed(value: float, unit: str) -> str:
    """The change of a measure in its unit.

    Examples
    --------
    >>> changed(19.0, "count"), changed(-2.0, "count"), changed(0.0123, "share")
    ('+19', '\N{MINUS SIGN}2', '+.012')
    """
    if unit != "count" or not math.isfinite(value):
        return signed(value)
    whole = round(value)
    return f"{'+' if whole > 0 else chr(0x2212) if whole < 0 else ''}{abs(whole):,}"


def limit(value: float) -> str:
    """A number that somebody chose, with the digits they chose it to.

    Examples
    --------
    >>> limit(0.04), limit(0.005), limit(2.0)
    ('.04', '.005', '2')
    """
    text = f"{value:.6g}"
    return text[1:] if text.startswith("0.") else text


def seconds(value: float) -> str:
    """A duration.

    Examples
    --------
    >>> seconds(8.31), seconds(75.2), seconds(5025)
    ('8.3 s', '1 min 15 s', '1 h 23 min')
    """
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def date(iso: str) -> str:
    """A moment in ISO 8601 as people write it; anything else as it stands.

    Examples
    --------
    >>> date("2026-01-02T03:04:05+00:00")
    '2 January 2026, 03:04 UTC'
    """
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{moment.day} {moment:%B %Y, %H:%M} {moment.tzname() or ''}".rstrip()


def verbatim(text: str) -> Markup:
    """Text to be copied, such as a command: nothing that cannot be seen is put into it.

    Examples
    --------
    >>> verbatim("interpkit demo --out \N{HEBREW LETTER ALEF}<")
    Markup('interpkit demo --out \N{HEBREW LETTER ALEF}&lt;')
    """
    return escape("\n".join(visible(line) for line in text.split("\n")))


def cut(text: str, most: int) -> str:
    """A name where there is room for ``most`` letters.

    Examples
    --------
    >>> cut("a long name", 7)
    'a long…'
    """
    return shortened(visible(text), most=most)


def listed(names: Sequence[str], *, most: int = 12) -> str:
    """Names in a row, the first ``most`` of them.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


FILTERS = {
    "average": average,
    "count": count,
    "score": score,
    "number": number,
    "limit": limit,
    "signed": signed,
    "measured": measured,
    "changed": changed,
    "seconds": seconds,
    "date": date,
    "cut": cut,
    "listed": listed,
    "verbatim": verbatim,
    "colours": category_colours,
}
