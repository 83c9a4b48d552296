"""What was run, in one line, and what the reader must be told."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import Dissection


def render(results: Sequence[Dissection], page: Page) -> Markup:
    """One line, the notes and the images that were left out."""
    return page.render("run.html", {"results": results, "first": results[0], "made": results[0].provenance})


OFFER = Section(title="", needs=(Dissection,), order=10, render=render, scope="run")
