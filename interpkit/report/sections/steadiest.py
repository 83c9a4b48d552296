"""The steadiest units with their peaks, and the landmarks they are steady to."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from interpkit.plot import COLOURS
from interpkit.report.page import Page, Section
from interpkit.results import PartScores

SHEET = 24


def render(results: Sequence[PartScores], page: Page) -> Markup:
    """A card a unit: a ring at its peak, a cross at the landmark."""
    result = results[0]
    units = list(dict.fromkeys(result.gallery.unit.tolist()))
    if not units:
        return Markup()
    values = {
        "result": result,
        "cards": [_card(result, unit, page) for unit in units],
        "marked": bool(np.isfinite(result.shown).all(1).any()),
        "sheet": SHEET,
        "colour": COLOURS["part"],
    }
    return page.render("steadiest.html", values)


def _card(result: PartScores, unit: int, page: Page) -> dict[str, Any]:
    gallery, steady, templates = result.gallery, result.stability, result.templates
    crops = []
    for entry in gallery.of(unit).tolist():
        marks = [("mark", result.shown[entry].tolist())] if np.isfinite(result.shown[entry]).all() else []
        marks.append(("peak", gallery.position[entry].tolist()))
        crops.append((page.picture(gallery.names[gallery.image[entry]]), gallery.outlines[entry], marks))
    card = {"unit": unit, "crops": crops, "ratio": float(templates.ratio[templates.chosen, unit]), "steady": None}
    p, k = (-1, -1) if steady is None else (int(places[unit]) for places in steady.steadiest_to())
    if steady is None or p < 0:
        return card
    part, name = steady.parts[p], steady.classes[k]
    return {
        **card,
        "steady": float(steady.deviation[unit, p, k]),
        "name": f"{part} of {name}" if name else part,
        "explained": float(steady.explained[unit, p, k]),
        "spread": float(steady.spread[unit, k]),
    }


OFFER = Section(title="The units to look at", needs=(PartScores,), order=270, render=render)
