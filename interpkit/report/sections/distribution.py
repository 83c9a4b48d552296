"""The distribution of IoU, with a threshold that the reader can move."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import Dissection


def render(results: Sequence[Dissection], page: Page) -> Markup:
    """Bars by IoU, the threshold, and what a script needs to count again."""
    result = results[0]
    if not result.categories:
        return Markup()
    table = result.distribution()
    values = {
        "result": result,
        "summary": result.summary(),
        "names": [name for name in table.columns[1:] if table[name].any()],
        "columns": table.to_dict(orient="list"),
        "step": 0.005,
        "tallest": int(table.iloc[:, 1:].sum(axis=1).max()),
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
        "best": [[rows.tolist(), value.tolist()] for rows, value in pairs.values()],
    }


OFFER = Section(title="How clear the detectors are", needs=(Dissection,), order=50, render=render)
