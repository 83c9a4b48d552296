"""Measures of every unit in both networks: how they lie, and what became of each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from interpkit.report.charts import Axis, bars
from interpkit.report.page import Page, Section
from interpkit.report.sides import colour, shared_axis
from interpkit.results import Comparison, Measure

Floats = npt.NDArray[np.float64]

BARS = 30


def render(results: Sequence[Comparison], page: Page) -> Markup:
    """For each measure two outlines and a dot a unit, with the chance levels."""
    result = results[0]
    found = []
    for name in result.per_unit:
        axis = shared_axis(result, name)
        one = next((one for one in result.measures if one.name == name), None)
        if axis is not None and np.isfinite(result.per_unit[name]).any(1).all():
            found.append(_figure(result, name, one=one, axis=axis))
    return page.render("unit_changes.html", {"result": result, "figures": found}) if found else Markup()


def _figure(result: Comparison, name: str, *, one: Measure | None, axis: Axis) -> dict[str, Any]:
    before, after = result.per_unit[name]
    both = np.isfinite(before) & np.isfinite(after)
    return {
        "title": one.title if one else name.replace("_", " "),
        "better": one.better if one else "neither",
        "colour": colour(one.group) if one else "currentColor",
        "axis": axis,
        "counts": [bars(values, axis, count=BARS).tolist() for values in (before, after)],
        "means": [float(np.nanmean(values)) for values in (before, after)],
        "floors": _floors(one, axis),
        "chance": [None, None] if one is None else [_at(one.floor_before, axis), _at(one.floor_after, axis)],
        "floor": one.floor if one else "",
        "dots": [
            (axis.at(before[u]), round(100 - axis.at(after[u]), 2), u, float(before[u]), float(after[u]))
            for u in np.flatnonzero(both).tolist()
        ],
        "words_left": _words_left(result.per_unit[name], one, axis) if one else False,
        "both": int(both.sum()),
        "higher": int((after[both] > before[both]).sum()),
        "lower": int((after[both] < before[both]).sum()),
    }


def _words_left(values: Floats, one: Measure, axis: Axis) -> bool:
    """Whether the words on the chance line stand at its left, where they cover fewer dots."""
    across, up = values
    near = np.abs(up - one.floor_after) < 0.06 * (axis.high - axis.low)
    left = across < (axis.low + axis.high) / 2
    return bool((near & left).sum() < (near & ~left).sum())


def _at(value: float, axis: Axis) -> float | None:
    return axis.at(value) if np.isfinite(value) else None


def _floors(one: Measure | None, axis: Axis) -> list[tuple[float, int]]:
    """The chance levels that are drawn, with the network each is of: one where both have the same, -1 for both."""
    if one is None:
        return []
    pair = [(value, side) for side, value in enumerate((one.floor_before, one.floor_after)) if np.isfinite(value)]
    close = len(pair) == 2 and abs(pair[0][0] - pair[1][0]) < 0.02 * (axis.high - axis.low)
    return [(pair[1][0], -1)] if close else pair


OFFER = Section(title="Unit by unit", needs=(Comparison,), order=430, render=render)
