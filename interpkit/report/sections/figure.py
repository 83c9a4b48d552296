"""The paper's figure: the concepts found, by category, with the number of units that detect each."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import Dissection

# Bars of one drawing; longer categories go on in a second one, so that the figure can wrap on a narrow screen.
BARS = 13


def render(results: Sequence[Dissection], page: Page) -> Markup:
    """Bars per category, categories by falling number of concepts."""
    result = results[0]
    if not result.categories:
        return Markup()
    found = result.by_concept()
    groups = []
    for category in found["category"].value_counts().index:
        bars = found.loc[found["category"] == category, ["name", "count"]].to_dict(orient="records")
        pieces = [bars[i : i + BARS] for i in range(0, len(bars), BARS)]
        groups.append({"category": category, "concepts": len(bars), "pieces": pieces})
    longest = max((len(name) for name in found["name"]), default=0)
    values = {"result": result, "groups": groups, "most": found["count"].max() if groups else 0, "longest": longest}
    return page.render("figure.html", values)


OFFER = Section(title="Concepts found", needs=(Dissection,), order=40, render=render)
