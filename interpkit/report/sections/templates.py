"""How the answer depends on the templates' height."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import PartScores


def render(results: Sequence[PartScores], page: Page) -> Markup:
    """A row for each setting; means over the units that fire."""
    result = results[0]
    one = result.templates
    alive = ~one.flagged
    if not alive.any():
        return Markup()
    rows = [
        {
            "name": name,
            "chosen": t == one.chosen,
            "ratio": float(one.ratio[t][alive].mean()),
            "inter": float(one.inter[t][alive].mean()),
            "spatial": float(one.spatial[t][alive].mean()),
            "low": float(one.tau[t][alive].min()),
            "high": float(one.tau[t][alive].max()),
        }
        for t, name in enumerate(one.settings)
    ]
    return page.render("templates.html", {"rows": rows, "one": one, "summary": one.summary()})


OFFER = Section(title="Like the template of a part", needs=(PartScores,), order=260, render=render)
