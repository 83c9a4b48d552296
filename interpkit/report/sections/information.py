"""How much the units know about their best class, beside the same with permuted labels."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.plot import COLOURS
from interpkit.report.charts import bars, log_axis
from interpkit.report.page import Page, Section
from interpkit.results import Entanglement


def render(results: Sequence[Entanglement], page: Page) -> Markup:
    """Bars by information, and the dashed outline of chance."""
    result = results[0]
    best, chance = result.best, result.permuted.max(1)
    axis = log_axis([best, chance])
    if axis is None:
        return Markup()
    values = {
        "result": result,
        "axis": axis,
        "bars": bars(best[~result.dead], axis).tolist(),
        "chance": bars(chance[~result.dead], axis).tolist(),
        "above": int((best > chance.max()).sum()),
        "colour": COLOURS["object"],
    }
    return page.render("information.html", values)


OFFER = Section(title="How far above chance", needs=(Entanglement,), order=130, render=render)
