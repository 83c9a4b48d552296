"""The answer: how many units detect a concept, and how many concepts are detected."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import Dissection


def render(results: Sequence[Dissection], page: Page) -> Markup:
    """Large numbers, what they mean, and the same per category."""
    result = results[0]
    summary = result.summary()
    # A result that knows what chance gives says so under the key "chance", by the names of the numbers.
    return page.render("headline.html", {"result": result, "summary": summary, "chance": summary.get("chance", {})})


OFFER = Section(title="", needs=(Dissection,), order=30, render=render)
