"""The answer about classes: how much the units know, how exclusively, and what chance gives of each."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import Entanglement


def render(results: Sequence[Entanglement], page: Page) -> Markup:
    """Large numbers with their floors, what they mean, and what limits them."""
    result = results[0]
    summary = result.summary()
    return page.render("entanglement_headline.html", {"result": result, "summary": summary})


OFFER = Section(title="", needs=(Entanglement,), order=110, render=render)
