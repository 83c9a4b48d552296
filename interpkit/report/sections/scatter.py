"""Template information of every unit against its location instability."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from interpkit.plot import COLOURS
from interpkit.report.charts import even_axis
from interpkit.report.page import Page, Section
from interpkit.results import PartScores


def render(results: Sequence[PartScores], page: Page) -> Markup:
    """A dot a unit, and the two chance levels."""
    result = results[0]
    if result.stability is None:
        return Markup()
    steady, templates = result.stability, result.templates
    x, y = steady.multi(steady.deviation), templates.ratio[templates.chosen]
    constant, chance = steady.summary()["multi"]["best_constant"], templates.summary()["chance"]
    extra = [np.array([value for value in (one,) if value is not None]) for one in (constant, chance)]
    across, up = even_axis([x, extra[0]]), even_axis([y, extra[1]])
    if across is None or up is None:
        return Markup()
    dots = [
        (across.at(x[u]), round(100 - up.at(y[u]), 2), u, bool(templates.flagged[u]))
        for u in np.flatnonzero(np.isfinite(x) & np.isfinite(y)).tolist()
    ]
    values = {
        "across": across,
        "up": up,
        "dots": dots,
        "constant": constant,
        "chance": chance,
        "setting": templates.settings[templates.chosen],
        "colour": COLOURS["part"],
    }
    return page.render("scatter.html", values)


OFFER = Section(title="Steady, and like a part", needs=(PartScores,), order=230, render=render)
