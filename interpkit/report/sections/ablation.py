"""What the head loses without the units that a class owns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from interpkit.report.matrices import draw, singles
from interpkit.report.page import Page, Section
from interpkit.results import Ablation, Entanglement

ROW, LEAST, MOST = 20, 120, 600


def render(results: Sequence[Entanglement], page: Page) -> Markup:
    """Three numbers, the matrix of recall lost, and the classes one by one."""
    result = results[0]
    one = result.ablation
    if one is None or not len(one.ablated):
        return Markup()
    rest = np.setdiff1d(np.arange(len(result.classes)), one.ablated)
    columns = np.concatenate([one.ablated, rest]).astype(np.int64)
    names = [result.classes[k] for k in one.ablated]
    values = {
        "result": result,
        "one": one,
        "drawing": draw(one.drop, singles(np.arange(len(names)), names), singles(columns, result.classes)),
        "height": min(max(ROW * len(names), LEAST), MOST),
        "rows": [_row(one, a, result) for a in range(len(names))],
        "gained": float(max(-one.drop.min(), 0)),
    }
    return page.render("ablation.html", values)


def _row(one: Ablation, a: int, result: Entanglement) -> dict[str, Any]:
    own = int(one.ablated[a])
    others = one.drop[a].copy()
    others[own] = -np.inf
    hit = int(others.argmax())
    return {
        "name": result.classes[own],
        "removed": int(one.removed[a]),
        "base": float(one.base[own]),
        "own": float(one.drop[a, own]),
        "random": float(one.base[own] - one.control[a, own]),
        "hit": result.classes[hit] if len(others) > 1 else "",
        "most": float(others[hit]),
    }


OFFER = Section(title="Without the units of a class", needs=(Entanglement,), order=140, render=render)
