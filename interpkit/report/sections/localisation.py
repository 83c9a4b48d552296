"""How well maps of the network find the object of the image's class."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import Entanglement


def render(results: Sequence[Entanglement], page: Page) -> Markup:
    """A row for each method, beside the same maps on other images' masks."""
    found = results[0].localisation
    return page.render("localisation.html", {"found": found}) if found else Markup()


OFFER = Section(title="Where the object is", needs=(Entanglement,), order=170, render=render)
