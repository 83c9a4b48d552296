"""Whether the units' own directions are special: unique detectors as the units are turned."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from interpkit.report.charts import Axis, even_axis
from interpkit.report.page import Page, Section
from interpkit.results import Rotation

COUNT = "unique_detectors_top_label"
# Per cent of the chart's width that a number needs, and of its height that two lines of words need.
WIDE, TALL = 9, 18
# Per cent of the chart's height below which no words fit under a line.
LOW = 92
# How far words stand from a line, in pixels: above it, below it, and above a number on it.
ABOVE, BELOW, OVER = -5, 15, -25


def render(results: Sequence[Rotation], page: Page) -> Markup:
    """The answer in a sentence, the curve with its spread and its chance level, and every count."""
    result = results[0]
    steps, every = result.summary()["alphas"], result.table()
    counts = [every[name].to_numpy(np.float64) for name in (COUNT, f"chance_{COUNT}")]
    across, up = Axis(0.0, 1.0), even_axis(counts) or Axis(0.0, 1.0)
    at = [across.at(step["alpha"]) for step in steps]

    def path(values: Sequence[float], start: Sequence[float] = at) -> str:
        points = zip(start, values, strict=True)
        return "L".join(f"{x} {_down(up, value)}" for x, value in points)

    low, high = ([float(step["range"][COUNT][side]) for step in steps] for side in (0, 1))
    ends = (_down(up, steps[-1][COUNT]), _down(up, steps[-1]["chance"][COUNT]))
    values = {
        "result": result,
        "steps": steps,
        "last": steps[-1],
        "points": [(x, step, _down(up, step[COUNT])) for x, step in zip(at, steps, strict=True)],
        "mean": path([step[COUNT] for step in steps]),
        "band": f"{path(high)}L{path(low[::-1], at[::-1])}",
        "chance": path([step["chance"][COUNT] for step in steps]),
        "luck": _beside(*ends),
        "dots": [
            (across.at(alpha), _down(up, value))
            for alpha, value in zip(every["alpha"].tolist(), every[COUNT].tolist(), strict=True)
        ],
        "across": across,
        "written": _apart(at),
        "ends": (steps[0], steps[-1]) if len(steps) > 1 and steps[0]["alpha"] == 0 else None,
        "key": COUNT,
    }
    return page.render("rotation.html", values)


def _down(axis: Axis, value: float) -> float:
    """How far below the top of a chart a value lies, in per cent; words on points stand in the upper eighth."""
    return round(100 - 0.86 * axis.at(value), 3)


def _beside(curve: float, chance: float) -> tuple[float, int]:
    """Where the word for chance stands: per cent from the top, and pixels from there; clear of the curve's number."""
    if abs(chance - curve) >= TALL:
        return chance, ABOVE
    low, high = max(curve, chance), min(curve, chance)
    return (low, BELOW) if low < LOW else (high, OVER)


def _apart(places: Sequence[float]) -> list[float]:
    """Those of the rising places whose numbers do not run into each other: the last, and others far enough from it."""
    kept: list[float] = []
    for place in reversed(places):
        if not kept or kept[-1] - place >= WIDE:
            kept.append(place)
    return kept


OFFER = Section(title="The same layer, turned", needs=(Rotation,), order=54, render=render)
