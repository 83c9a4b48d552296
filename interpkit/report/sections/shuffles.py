"""How many detectors are luck: the same masks against shuffled labels, by threshold."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from interpkit.report.charts import Axis, even_axis
from interpkit.report.page import Page, Section
from interpkit.results import Shuffles

# The thresholds shown: so many steps from half the run's own to three times it, or to 1; of a threshold of 0, up to
# the largest IoU.
STEPS = 100
LOW, HIGH = 0.5, 3.0
# Per cent of the chart right of which words stand before a line instead of after it.
LATE = 55
# The false-detector rate for which a threshold is named.
RATE = 0.05


def render(results: Sequence[Shuffles], page: Page) -> Markup:
    """The false-detector rate, and detectors beside luck for other thresholds."""
    result = results[0]
    own = result.iou_threshold
    low, high = LOW * own, min(HIGH * own, 1.0) or float(result.best().max(initial=0.0)) or 1.0
    # The run's own among them, to the last bit; the others as round as they are read.
    thresholds = np.unique(np.append(np.linspace(low, high, STEPS + 1).round(9), own))
    table, across = result.rates(thresholds), Axis(low, high)
    up = even_axis([table[name].to_numpy(np.float64) for name in ("detectors", "highest")]) or Axis(0.0, 1.0)
    at = [across.at(value) for value in table["iou"].tolist()]

    def path(name: str, *, back: bool = False) -> str:
        points = [f"{x} {round(100 - up.at(value), 3)}" for x, value in zip(at, table[name].tolist(), strict=True)]
        return "L".join(points[::-1] if back else points)

    values = {
        "result": result,
        "summary": result.summary(),
        "detectors": path("detectors"),
        "chance": path("chance"),
        "band": f"{path('highest')}L{path('lowest', back=True)}",
        "across": across,
        "up": up,
        "own": across.at(own),
        "late": across.at(own) > LATE,
        "enough": _enough(table[table["iou"] >= own]),
        "rate": RATE,
    }
    return page.render("shuffles.html", values)


def _enough(table: pd.DataFrame) -> float | None:
    """The threshold from which on no rate is above `RATE`; None where no detector is left by then."""
    above = np.flatnonzero(table["rate"].to_numpy() > RATE)
    first = int(above[-1]) + 1 if len(above) else 0
    return float(table["iou"].iloc[first]) if first < len(table) and table["detectors"].iloc[first] else None


OFFER = Section(title="How many detectors are luck", needs=(Shuffles,), order=52, render=render)
