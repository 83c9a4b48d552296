"""The answer about parts: how steady and how part-like the units are, and what chance gives of each."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import PartScores


def render(results: Sequence[PartScores], page: Page) -> Markup:
    """Large numbers with their baselines, and what they reward."""
    result = results[0]
    steady = result.stability
    # With one class both rules are the same number.
    several = steady is not None and len(steady.classes) > 1
    values = {"result": result, "summary": result.summary(), "several": several}
    return page.render("parts_headline.html", values)


OFFER = Section(title="", needs=(PartScores,), order=210, render=render)
