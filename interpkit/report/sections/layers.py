"""All layers of the run beside each other."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import Dissection


def render(results: Sequence[Dissection], page: Page) -> Markup:
    """The headline numbers of each layer; nothing for a single one."""
    if len(results) < 2:
        return Markup()
    summaries = [result.summary() for result in results]
    named = bool(results[0].categories)
    return page.render("layers.html", {"results": results, "summaries": summaries, "named": named})


OFFER = Section(title="Layers", needs=(Dissection,), order=20, render=render, scope="run")
