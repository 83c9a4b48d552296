"""Each class's most exclusive units, on the images on which they fire most."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from interpkit.plot import COLOURS
from interpkit.report.page import Page, Section
from interpkit.results import Entanglement

SHEET = 24


def render(results: Sequence[Entanglement], page: Page) -> Markup:
    """A card a unit, classes in their order."""
    result = results[0]
    units = list(dict.fromkeys(result.gallery.unit.tolist()))
    if not units:
        return Markup()
    cards = [_card(result, unit, page) for unit in units]
    owners = len({card["name"] for card in cards})
    values = {"result": result, "cards": cards, "owners": owners, "sheet": SHEET, "colour": COLOURS["object"]}
    return page.render("exclusive.html", values)


def _card(result: Entanglement, unit: int, page: Page) -> dict[str, Any]:
    gallery, row = result.gallery, result.information[unit]
    order = np.argsort(-row, kind="stable")
    owner = int(order[0])
    entries = gallery.of(unit)
    return {
        "unit": unit,
        "name": result.classes[owner],
        "nats": float(row[owner]),
        "next": result.classes[int(order[1])] if len(order) > 1 else "",
        "second": float(row[order[1]]) if len(order) > 1 else 0.0,
        "crops": [(page.picture(gallery.names[gallery.image[e]]), gallery.outlines[e]) for e in entries.tolist()],
    }


OFFER = Section(title="The most exclusive units", needs=(Entanglement,), order=190, render=render)
