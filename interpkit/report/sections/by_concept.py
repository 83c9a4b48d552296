"""The view by concept: which units detect it."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import Dissection


def render(results: Sequence[Dissection], page: Page) -> Markup:
    """Per category, the concepts by falling number of units, each with links to its units."""
    result = results[0]
    found = result.by_concept("every-category")
    if found.empty:
        return Markup()
    first = dict(result.by_concept()[["number", "units"]].itertuples(index=False, name=None))
    groups = [
        (category, found[found["category"] == category].to_dict(orient="records"))
        for category in found["category"].value_counts().index
    ]
    return page.render("by_concept.html", {"result": result, "groups": groups, "first": first})


OFFER = Section(title="By concept", needs=(Dissection,), order=60, render=render)
