"""How often the units fire where a part is, by its masks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import Association, PartScores


def render(results: Sequence[PartScores], page: Page) -> Markup:
    """A row for each part, at both thresholds, beside chance."""
    result = results[0]
    if result.association is None:
        return Markup()
    rows = [_row(result.association, q) for q in range(len(result.association.parts))]
    values = {"result": result, "one": result.association, "rows": rows}
    return page.render("association.html", values)


def _row(one: Association, q: int) -> dict[str, Any]:
    known = np.flatnonzero(~np.isnan(one.strict[:, q]))
    best = int(known[one.strict[known, q].argmax()]) if len(known) else -1
    arrays = {"strict": one.strict, "loose": one.loose, "luck": one.chance_strict, "luck_loose": one.chance_loose}
    highest = {name: float(array[known, q].max()) if len(known) else None for name, array in arrays.items()}
    return {"part": one.parts[q], "images": int(one.images[q]), "unit": best, **highest}


OFFER = Section(title="Part by part", needs=(PartScores,), order=250, render=render)
