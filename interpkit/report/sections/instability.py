"""The distribution of location instability with its three baselines drawn in."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from interpkit.plot import BASELINES, COLOURS
from interpkit.report.charts import bars, even_axis
from interpkit.report.page import Page, Section
from interpkit.results import PartScores


def render(results: Sequence[PartScores], page: Page) -> Markup:
    """Bars of the units, and a dashed line for each baseline."""
    result = results[0]
    if result.stability is None:
        return Markup()
    values = result.stability.multi(result.stability.deviation)
    summary = result.stability.summary()["multi"]
    baselines = [(summary[name], words, True) for name, words in BASELINES.items() if summary[name] is not None]
    axis = even_axis([values, np.array([value for value, _, _ in baselines])])
    if axis is None or np.isnan(values).all():
        return Markup()
    constant = summary["best_constant"]
    shown = {
        "axis": axis,
        "bars": bars(values, axis).tolist(),
        "lines": baselines,
        "judged": int((~np.isnan(values)).sum()),
        "units": result.units,
        "below": int((values < constant).sum()) if constant is not None else 0,
        "better": int((values < summary["random"]).sum()) if summary["random"] is not None else 0,
        "colour": COLOURS["part"],
    }
    return page.render("instability.html", shown)


OFFER = Section(title="How steady the units are", needs=(PartScores,), order=220, render=render)
