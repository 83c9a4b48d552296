"""What the trained network takes for what, on the validation images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from interpkit.plot import COLOURS, confusion_order
from interpkit.report.matrices import draw, singles
from interpkit.report.page import Page, Section
from interpkit.results import FineTuning

# More classes than these cannot be read in a matrix; their commonest errors are told instead.
MOST = 30
PAIRS = 15
# Pixels of a row, and of the whole matrix at least.
ROW, LEAST = 20, 160


def render(results: Sequence[FineTuning], page: Page) -> Markup:
    """The matrix, its largest errors, and every class; for several classes an image, every class alone."""
    result = results[0]
    if not result.confusion.sum():
        return Markup()
    if result.multi:
        rows = [_judged(name, row) for name, row in zip(result.classes, result.confusion.tolist(), strict=True)]
        rows.sort(key=lambda row: row["right"])
        return page.render("confusion_multi.html", {"result": result, "rows": rows, "colour": COLOURS["object"]})
    order = confusion_order(result)
    shares = result.confusion / np.maximum(result.confusion.sum(1, keepdims=True), 1)
    side = singles(order, result.classes)
    values = {
        "result": result,
        "drawing": draw(shares, side, side, top=1.0) if len(order) <= MOST else None,
        "height": max(ROW * len(order), LEAST),
        "pairs": _pairs(result),
        "errors": int(result.confusion.sum() - np.trace(result.confusion)),
        "rows": _classes(result),
        "colour": COLOURS["object"],
    }
    return page.render("confusion.html", values)


def _pairs(result: FineTuning) -> list[dict[str, Any]]:
    """The commonest errors, as (class, what it was called, images, share of the class's images)."""
    wrong = result.confusion * (1 - np.eye(len(result.classes), dtype=np.int64))
    of = result.confusion.sum(1)
    worst = np.argsort(-wrong.ravel(), kind="stable")[:PAIRS]
    places = [divmod(int(place), len(result.classes)) for place in worst]
    return [
        {"name": result.classes[k], "called": result.classes[j], "images": int(wrong[k, j]), "of": int(of[k])}
        for k, j in places
        if wrong[k, j]
    ]


def _classes(result: FineTuning) -> list[dict[str, Any]]:
    """Every class, those that are found least often first."""
    table = result.confusion
    right, images, called = np.diag(table), table.sum(1), table.sum(0)
    rows = [
        {
            "name": name,
            "images": int(images[k]),
            "found": float(right[k] / images[k]) if images[k] else None,
            "precision": float(right[k] / called[k]) if called[k] else None,
        }
        for k, name in enumerate(result.classes)
    ]
    return sorted(rows, key=lambda row: 2.0 if row["found"] is None else row["found"])


def _judged(name: str, told: Sequence[int]) -> dict[str, Any]:
    """One class of a set with several an image: what was found of it, and what was taken for it."""
    hit, false, missed, rest = told
    total = hit + false + missed + rest
    return {
        "name": name,
        "images": hit + missed,
        "found": hit / (hit + missed) if hit + missed else None,
        "precision": hit / (hit + false) if hit + false else None,
        "right": (hit + rest) / total if total else 0.0,
        "chance": max(hit + missed, false + rest) / total if total else None,
    }


OFFER = Section(title="What is taken for what", needs=(FineTuning,), order=330, render=render)
