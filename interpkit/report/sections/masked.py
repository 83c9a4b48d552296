"""Units on validation images, before their mask and after it."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.plot import COLOURS
from interpkit.report.cards import state_cards
from interpkit.report.page import Page, Section
from interpkit.results import FineTuning


def render(results: Sequence[FineTuning], page: Page) -> Markup:
    """A card a unit: a row of pictures before the mask, and the same after it."""
    result = results[0]
    before, after = result.gallery, result.masked
    if not len(before.unit):
        return Markup()
    masked = after.outlines != before.outlines and len(after.unit) == len(before.unit)
    states = [("before the mask", before), ("after it", after)] if masked else [("", before)]
    values = {"result": result, "masked": masked, "colour": COLOURS["part"], **state_cards(states, page)}
    return page.render("masked.html", values)


OFFER = Section(title="Units on validation images", needs=(FineTuning,), order=360, render=render)
