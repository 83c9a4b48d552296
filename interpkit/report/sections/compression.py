"""How accurate the head stays as units are removed."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.plot import COLOURS
from interpkit.report.charts import Axis, even_axis
from interpkit.report.page import Page, Section
from interpkit.results import Entanglement

# Per cent of the width up to which a curve may carry its words.
MIDDLE = 55


def render(results: Sequence[Entanglement], page: Page) -> Markup:
    """A curve, and that of a random order."""
    result = results[0]
    one = result.compression
    if one is None or len(one.removed) < 2:
        return Markup()
    across = Axis(0.0, float(one.removed.max()))
    up = even_axis([one.accuracy, one.random + one.spread]) or Axis(0.0, 1.0)
    points = [across.at(float(value)) for value in one.removed]
    curves = (one.accuracy, one.random, one.random + one.spread, one.random - one.spread)
    heights = [[round(100 - up.at(float(value)), 3) for value in curve] for curve in curves]
    redundant, random, high, low = (list(zip(points, ys, strict=True)) for ys in heights)
    # The words stand where the curves are furthest apart, but where there is room to the right of them.
    gaps = [abs(a - b) if 0 < x <= MIDDLE else -1.0 for (x, a), (_, b) in zip(redundant, random, strict=True)]
    at = max(range(len(gaps)), key=lambda i: gaps[i])
    values = {
        "result": result,
        "one": one,
        "across": across,
        "up": up,
        "redundant": redundant,
        "random": random,
        "band": [*high, *reversed(low)],
        "at": at,
        "colour": COLOURS["object"],
    }
    return page.render("compression.html", values)


OFFER = Section(title="How many units it takes", needs=(Entanglement,), order=150, render=render)
