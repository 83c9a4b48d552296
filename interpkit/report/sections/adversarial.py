"""How well the layer's activations give adversarial images away."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import Entanglement


def render(results: Sequence[Entanglement], page: Page) -> Markup:
    """A row for each attack, beside chance."""
    found = results[0].adversarial
    return page.render("adversarial.html", {"found": found}) if found else Markup()


OFFER = Section(title="Adversarial images told apart", needs=(Entanglement,), order=175, render=render)
