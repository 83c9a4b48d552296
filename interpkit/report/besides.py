"""Columns side by side: what a page says and draws of a measure of several networks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interpkit.plot import NONE
from interpkit.report.charts import Axis, span_axis
from interpkit.report.formats import changed, measured
from interpkit.results import SideBySide, SideMeasure

WORDS = {
    "better": "better",
    "worse": "worse",
    "chance": "no better than chance",
    "unclear": "no clear change",
    "neither": "",
}


@dataclass(frozen=True)
class Beside:
    """One column of a measure: its number, interval and change in words, and where they lie in per cent.

    Attributes
    ----------
    track
        (low, at, high, chance) in per cent of the axis; None for what is not known.
    """

    name: str
    value: str
    interval: str
    change: str
    change_interval: str
    verdict: str
    words: str
    chance: str
    track: tuple[float | None, float | None, float | None, float | None]


def besides(result: SideBySide, one: SideMeasure) -> list[Beside]:
    """The columns of a measure on a shared axis that holds 0."""
    axis = span_axis([np.array([0.0, *one.values, *one.floors, *one.low, *one.high])]) or Axis(0.0, 1.0)
    return [_beside(result, one, axis=axis, n=n) for n in range(len(result.columns))]


def _beside(result: SideBySide, one: SideMeasure, *, axis: Axis, n: int) -> Beside:
    places = (one.low[n], one.values[n], one.high[n], one.floors[n])
    low, at, high, chance = (axis.at(value) if np.isfinite(value) else None for value in places)
    known = np.isfinite(one.changes_low[n])
    verdict = one.verdict(n) if n and np.isfinite(one.changes[n]) else "neither"
    return Beside(
        name=result.names[n],
        value=measured(one.values[n], one.unit),
        interval=between(one.low[n], one.high[n], one.unit),
        change=changed(one.changes[n], one.unit) if n else "",
        change_interval=_signed(one, n) if n else "",
        verdict=verdict,
        words=(WORDS[verdict] if known else "no interval") if n and verdict != "neither" else "",
        chance=measured(one.floors[n], one.unit) if np.isfinite(one.floors[n]) else "",
        track=(low, at, high, chance),
    )


def between(low: float, high: float, unit: str) -> str:
    """An interval in words; '' where it is not known.

    Examples
    --------
    >>> between(16.6, 45.2, "count"), between(float("nan"), 1.0, "count")
    ('17 to 45', '')
    """
    if not (np.isfinite(low) and np.isfinite(high)):
        return ""
    return f"{measured(low, unit)} to {measured(high, unit)}"


def _signed(one: SideMeasure, n: int) -> str:
    low, high = one.changes_low[n], one.changes_high[n]
    if not (np.isfinite(low) and np.isfinite(high)):
        return ""
    return f"{changed(low, one.unit)} to {changed(high, one.unit)}"


def shades(result: SideBySide, colour: str) -> list[str]:
    """The colour of each column's bar in a category: of two, grey and the category's; of more, the category's."""
    count = len(result.columns)
    return [NONE, colour] if count == 2 else [colour] * count


def leading(result: SideBySide) -> SideMeasure | None:
    """The measure that answers first: unique detectors by the page's rule, else the first one of interpretability."""
    first = {"top-label": "unique_top_label", "every-category": "unique_every_category"}[result.rule]
    known: Sequence[SideMeasure] = [one for one in result.measures if one.name == first]
    return next(iter([*known, *(one for one in result.measures if one.group != "Accuracy"), *result.measures]), None)
