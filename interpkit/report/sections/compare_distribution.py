"""How clear the units of each column are: their IoU on common bins."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from interpkit.report.charts import Axis, even_axis
from interpkit.report.page import Page, Section
from interpkit.results import SideBySide

BARS = 40


def render(results: Sequence[SideBySide], page: Page) -> Markup:
    """A small chart for each column beside the first: shares of units by IoU."""
    result = results[0]
    known = [n for n, values in enumerate(result.iou) if len(values)]
    axis = even_axis([*result.iou, np.array([1.5 * result.iou_threshold])]) if len(known) > 1 else None
    if axis is None:
        return Markup()
    step = (axis.high - axis.low) / BARS
    table = result.distribution(step=step)
    shares = {n: _shares(table[str(n)].tolist(), len(result.iou[n])) for n in known}
    values = {
        "result": result,
        "axis": axis,
        "line": axis.at(result.iou_threshold),
        "tallest": max(max(one) for one in shares.values()),
        "first": known[0],
        "panels": [(n, shares[n], _middle(result, n, axis)) for n in known[1:]],
        "reference": shares[known[0]],
        "middle_of_first": _middle(result, known[0], axis)[0],
    }
    return page.render("compare_distribution.html", values)


def _shares(counts: Sequence[int], units: int) -> list[float]:
    """Shares of the units a bin, as many bins as the axis has; what lies at its very end in the last."""
    held = [*counts, *([0] * BARS)]
    cut = [*held[: BARS - 1], sum(held[BARS - 1 :])]
    return [count / units for count in cut]


def _middle(result: SideBySide, n: int, axis: Axis) -> tuple[float, float]:
    value = float(np.median(result.iou[n]))
    return value, axis.at(value)


OFFER = Section(title="How clear the units are", needs=(SideBySide,), order=640, render=render)
