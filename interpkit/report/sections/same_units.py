"""The same units on the same images in both networks."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.plot import COLOURS
from interpkit.report.cards import state_cards
from interpkit.report.page import Page, Section
from interpkit.results import Comparison


def render(results: Sequence[Comparison], page: Page) -> Markup:
    """A card a unit: a row of pictures for each network."""
    result = results[0]
    if result.galleries is None or not len(result.galleries[0].unit):
        return Markup()
    states = list(zip(result.columns, result.galleries, strict=True))
    values = {"result": result, "colour": COLOURS["part"], **state_cards(states, page)}
    return page.render("same_units.html", values)


OFFER = Section(title="The same units on the same images", needs=(Comparison,), order=450, render=render)
