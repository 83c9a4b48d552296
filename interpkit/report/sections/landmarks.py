"""Every landmark: how steady the units are to it, beside its baselines."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import PartScores, Stability

Floats = npt.NDArray[np.float64]


def render(results: Sequence[PartScores], page: Page) -> Markup:
    """A row for each class and landmark that is annotated."""
    result = results[0]
    steady = result.stability
    if steady is None:
        return Markup()
    pairs = [(k, p) for k in range(len(steady.classes)) for p in range(len(steady.parts)) if steady.used[p, k]]
    shown = frozenset(result.gallery.unit.tolist())
    values = {
        "result": result,
        "rows": [_row(steady, k, p) for k, p in pairs],
        "named": steady.classes != ("",),
        "shown": shown,
        "top": steady.top,
    }
    return page.render("landmarks.html", values)


def _row(steady: Stability, k: int, p: int) -> dict[str, Any]:
    deviation = steady.deviation[:, p, k]
    sound = steady.sound()[:, p, k]
    known = np.flatnonzero(~np.isnan(sound))
    best = int(known[deviation[known].argmin()]) if len(known) else -1
    return {
        "name": steady.classes[k],
        "part": steady.parts[p],
        "images": int(steady.used[p, k]),
        "mean": _of(np.mean, deviation),
        "best": float(deviation[best]) if best >= 0 else None,
        "unit": best,
        "explained": float(steady.explained[best, p, k]) if best >= 0 else None,
        "random": _of(np.mean, steady.random[:, p, k]),
        "centre": float(steady.centre[p, k]),
        "constant": _of(np.min, steady.constant[:, p, k]),
    }


def _of(what: Callable[[Floats], Any], values: Floats) -> float | None:
    """``what`` of the values that are not NaN; None where none is."""
    known = values[~np.isnan(values)]
    return float(what(known)) if len(known) else None


OFFER = Section(title="Landmark by landmark", needs=(PartScores,), order=240, render=render)
