"""Whether the units' own directions are special: unique detectors as the units are turned."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from interpkit.report.charts import Axis, even_axis
from interpkit.report.page import Page, Section
from interpkit.results import Rotation

COUNT = "unique_detectors_top_label"


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
    values = {
        "result": result,
        "steps": steps,
        "points": [(x, step, _down(up, step[COUNT])) for x, step in zip(at, steps, strict=True)],
        "mean": path([step[COUNT] for step in steps]),
        "band": f"{path(high)}L{path(low[::-1], at[::-1])}",
        "chance": path([step["chance"][COUNT] for step in steps]),
        "chance_ends": _down(up, steps[-1]["chance"][COUNT]),
        "dots": [
            (across.at(alpha), _down(up, value))
            for alpha, value in zip(every["alpha"].tolist(), every[COUNT].tolist(), strict=True)
        ],
        "across": across,
        "ends": (steps[0], steps[-1]) if len(steps) > 1 and steps[0]["alpha"] == 0 else None,
        "key": COUNT,
    }
    return page.render("rotation.html", values)


def _down(axis: Axis, value: float) -> float:
    """How far below the top of a chart a value lies, in per cent; words on points stand in the upper eighth."""
    return round(100 - 0.86 * axis.at(value), 3)


OFFER = Section(title="The same layer, turned", needs=(Rotation,), order=54, render=render)
