"""Cards of units that are shown in several states: a row of pictures for each."""

from collections.abc import Sequence
from typing import Any

from interpkit.report.page import Page
from interpkit.results import Gallery

# Cards that are laid out together when they come near the screen.
SHEET = 24


def state_cards(states: Sequence[tuple[str, Gallery]], page: Page) -> dict[str, Any]:
    """What the cards' template needs: units in their order, each with its pictures in every state.

    Parameters
    ----------
    states
        (words, gallery) of each state; all galleries show the same entries.
    """
    units = list(dict.fromkeys(states[0][1].unit.tolist()))
    cards = [{"unit": unit, "rows": [(words, unit_crops(one, unit, page)) for words, one in states]} for unit in units]
    most = max((len(crops) for card in cards for _, crops in card["rows"]), default=0)
    return {"cards": cards, "most": most, "sheet": SHEET, "grid": states[0][1].grid}


def unit_crops(gallery: Gallery, unit: int, page: Page) -> list[Any]:
    """(picture, outline) of each entry of a unit."""
    entries = gallery.of(unit).tolist()
    return [(page.picture(gallery.names[gallery.image[e]]), gallery.outlines[e]) for e in entries]
