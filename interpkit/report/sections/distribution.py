"""The distribution of IoU, with a threshold that the reader can move."""

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import Dissection

# Widths of a bar, the finest that gives at most BARS bars.
STEPS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05)
BARS = 50


def render(results: Sequence[Dissection], page: Page) -> Markup:
    """Bars by IoU, the threshold, and what a script needs to count again."""
    result = results[0]
    if not result.categories:
        return Markup()
    reach = max(result.best()[1].max(initial=0), 1.5 * result.iou_threshold)
    step = next((step for step in STEPS if reach <= BARS * step), STEPS[-1])
    table = result.distribution(step=step)
    bars = max(math.ceil(reach / step - 1e-9), len(table))
    chance = result.chance.distribution(step=step, bars=bars).tolist() if result.chance else []
    values = {
        "result": result,
        "summary": result.summary(),
        "names": [name for name in table.columns[1:] if table[name].any()],
        "columns": table.to_dict(orient="list"),
        "step": step,
        "right": round(bars * step, 6),
        "chance": chance,
        "tallest": int(max([*table.iloc[:, 1:].sum(axis=1), *chance])),
        "data": _best(result),
    }
    return page.render("distribution.html", values)


def _best(result: Dissection) -> dict[str, Any]:
    """Each unit's best concept and IoU, overall and per category, to the last digit: counts must come out equal."""
    pairs = {"all": result.best()} | {category: result.best(category) for category in result.categories}
    position = {name: i for i, name in enumerate(result.categories)}
    return {
        "threshold": result.iou_threshold,
        "categories": list(result.categories),
        "category": [position[name] for name in result.concepts["category"]],
        "chance": result.chance.best().tolist() if result.chance else [],
        "best": [[rows.tolist(), value.tolist()] for rows, value in pairs.values()],
    }


OFFER = Section(title="How clear the detectors are", needs=(Dissection,), order=50, render=render)
