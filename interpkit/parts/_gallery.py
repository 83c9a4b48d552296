"""Which units a page shows, and on which images: the steadiest, with the landmark they are steady to."""

import numpy as np
import numpy.typing as npt

from interpkit.parts._checks import Classes
from interpkit.parts._measures import Landmarks
from interpkit.parts._observe import Observed
from interpkit.results import Stability, TemplateScores

Floats = npt.NDArray[np.float64]

UNITS = 24
IMAGES = 6


def steadiest(
    seen: Observed, stability: Stability, *, landmarks: Landmarks, classes: Classes
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The 24 steadiest units on the images where they fire most, of the class and landmark they are steadiest to.

    Returns
    -------
    Pairs (unit, image), and for each the pair (image, landmark) to mark.
    """
    part, name = stability.steadiest_to()
    value = np.where(part >= 0, stability.sound()[np.arange(len(part)), part, name], np.inf)
    entries, marks = [], []
    for unit in np.argsort(value, kind="stable")[:UNITS].tolist():
        p, k = int(part[unit]), int(name[unit])
        if p < 0:
            break
        there = classes.member[:, k] & np.isfinite(landmarks.places[:, p]).all(1) & (seen.located[:, unit] > 0)
        rows = np.flatnonzero(there)
        shown = rows[np.argsort(-seen.peak[rows, unit], kind="stable")][:IMAGES]
        entries += [(unit, int(row)) for row in shown]
        marks += [(int(row), p) for row in shown]
    return entries, marks


def most_part_like(seen: Observed, templates: TemplateScores) -> list[tuple[int, int]]:
    """For a set without landmarks: the 24 units with the most template information, where they fire most."""
    ratio = np.where(templates.flagged, -1.0, templates.ratio[templates.chosen])
    entries = []
    for unit in np.argsort(-ratio, kind="stable")[:UNITS].tolist():
        if ratio[unit] <= 0:
            break
        rows = np.argsort(-seen.peak[:, unit], kind="stable")[:IMAGES]
        entries += [(unit, int(row)) for row in rows if seen.peak[row, unit] > 0]
    return entries
