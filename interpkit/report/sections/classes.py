"""Every class: how many units it owns, what they know, and which they are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from interpkit.plot import COLOURS, owner_blocks
from interpkit.report.page import Page, Section
from interpkit.results import Entanglement

# Units of a class that are named in its row.
NAMED = 6


def render(results: Sequence[Entanglement], page: Page) -> Markup:
    """A table with bars, the classes with the most units first."""
    result = results[0]
    counts = result.units_per_class
    best = result.information.max(0)
    shown = frozenset(result.gallery.unit.tolist())
    owned = _owned(result)
    rows: list[dict[str, Any]] = [
        {
            "name": result.classes[k],
            "units": int(counts[k]),
            "images": int(result.class_images[k]),
            "best": float(best[k]),
            "share": float(best[k] / result.entropy[k]) if result.entropy[k] > 0 else None,
            "named": owned[k][:NAMED],
        }
        for k in owner_blocks(result).classes.tolist()
    ]
    values = {"result": result, "rows": rows, "most": max(int(counts.max(initial=0)), 1), "shown": shown}
    return page.render("classes.html", {**values, "colour": COLOURS["object"]})


def _owned(result: Entanglement) -> list[list[int]]:
    """The units of each class, by falling information."""
    owned: list[list[int]] = [[] for _ in result.classes]
    owner = result.owner
    for unit in np.argsort(-result.best, kind="stable").tolist():
        if owner[unit] >= 0:
            owned[owner[unit]].append(unit)
    return owned


OFFER = Section(title="Units per class", needs=(Entanglement,), order=180, render=render)
