"""What differed between the columns, and what was equal."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import SideBySide


def render(results: Sequence[SideBySide], page: Page) -> Markup:
    """A table of what differed, and a list of the rest."""
    result = results[0]
    return page.render("compare_settings.html", {"result": result}) if result.differs or result.equal else Markup()


OFFER = Section(title="What differed, and what was equal", needs=(SideBySide,), order=670, render=render)
