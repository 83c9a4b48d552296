"""What differed between the two networks, and what was equal."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import Comparison


def render(results: Sequence[Comparison], page: Page) -> Markup:
    """A table of what differed, and a list of the rest."""
    result = results[0]
    return page.render("settings.html", {"result": result}) if result.differs or result.equal else Markup()


OFFER = Section(title="What differed, and what was equal", needs=(Comparison,), order=460, render=render)
