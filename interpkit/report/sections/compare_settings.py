"""What differed between the columns, and what was equal."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import SideBySide


def render(results: Sequence[SideBySide], page: Page) -> Markup:
    """A table of what differed, and a list of the rest."""
    result = results[0]
    if not (result.differs or result.equal):
        return Markup()
    return page.render("compare_settings.html", {"result": result, "equal": _equal(result.equal)})


def _equal(settings: Mapping[str, str]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(verb, its settings) where several verbs have settings of their own; (setting, its value) of all others."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, value in settings.items():
        verb, apart, setting = name.partition(": ")
        found.setdefault(verb, []).append((setting if apart else "", value or "none"))
    return list(found.items())


OFFER = Section(title="What differed, and what was equal", needs=(SideBySide,), order=670, render=render)
