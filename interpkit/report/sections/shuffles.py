"""How many detectors are luck: the same masks against shuffled labels, by threshold."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from interpkit.report.charts import Axis, even_axis
from interpkit.report.page import Page, Section
from interpkit.results import Shuffles

# The thresholds shown: so many steps from half the run's own to three times it.
STEPS = 100
LOW, HIGH = 0.5, 3.0
# The false-detector rate for which a threshold is named.
RATE = 0.05


def render(results: Sequence[Shuffles], page: Page) -> Markup:
    """The false-detector rate, and detectors beside luck for other thresholds."""
    result = results[0]
    own = result.iou_threshold
    if own <= 0:
        return Markup()
    table = result.rates(np.linspace(LOW * own, HIGH * own, STEPS + 1))
    across = Axis(LOW * own, HIGH * own)
    up = even_axis([table[name].to_numpy(np.float64) for name in ("detectors", "highest")]) or Axis(0.0, 1.0)
    at = [across.at(value) for value in table["iou"].tolist()]

    def path(name: str, *, back: bool = False) -> str:
        points = [f"{x} {round(100 - up.at(value), 3)}" for x, value in zip(at, table[name].tolist(), strict=True)]
        return "L".join(points[::-1] if back else points)

    small = table["iou"][(table["rate"] <= RATE) & (table["iou"] >= own)]
    values = {
        "result": result,
        "summary": result.summary(),
        "detectors": path("detectors"),
        "chance": path("chance"),
        "band": f"{path('highest')}L{path('lowest', back=True)}",
        "across": across,
        "up": up,
        "own": across.at(own),
        "enough": float(small.iloc[0]) if len(small) else None,
        "rate": RATE,
    }
    return page.render("shuffles.html", values)


OFFER = Section(title="How many detectors are luck", needs=(Shuffles,), order=52, render=render)
