"""Of two columns with matched units: those that changed most, with the pictures of both."""

import numpy as np
import numpy.typing as npt

from interpkit.comparison._columns import Column
from interpkit.results import Dissection, Gallery, Movers

Ints = npt.NDArray[np.int64]

# Units that are shown, and pictures of each.
MOST, PICTURES = 24, 6


def movers(columns: tuple[Column, Column]) -> Movers | None:
    """The units whose best IoU changed most, those that change their concept first; None without dissections.

    A unit counts where it detects a concept in either column. Both columns must have as many units, matched by number.
    """
    first, last = (one.dissection for one in columns)
    if first is None or last is None or first.units != last.units:
        return None
    tables = [one.table() for one in (first, last)]
    iou = np.stack([table["iou"].to_numpy(np.float64) for table in tables])
    names = [table["concept"].to_numpy(object) for table in tables]
    either = first.detectors() | last.detectors()
    changed = (names[0] != names[1]) | (first.detectors() != last.detectors())
    moved = np.where(either, np.abs(iou[1] - iou[0]) + np.where(changed, 1.0, 0.0), -1.0)
    chosen = np.argsort(-moved, kind="stable")[:MOST]
    chosen = chosen[moved[chosen] > 0]
    if not len(chosen):
        return None
    concepts = tuple(tuple(str(name) for name in one[chosen]) for one in names)
    galleries = (_gallery(first, chosen), _gallery(last, chosen))
    return Movers(chosen.astype(np.int64), (concepts[0], concepts[1]), iou[:, chosen], galleries)


def _gallery(one: Dissection, units: Ints) -> Gallery:
    """Each unit on the first of its top images."""
    entries = [
        (int(u), k) for u in units for k in range(min(PICTURES, one.top.image.shape[1])) if one.top.image[u, k] >= 0
    ]
    unit, place = (np.array([entry[n] for entry in entries], np.int64) for n in (0, 1))
    image = one.top.image[unit, place].astype(np.int64)
    shown = np.unique(image)
    start, step = (np.array(pair) for pair in one.placement)
    peaks = [np.unravel_index(np.argmax(one.top.maps[u, k]), one.map_size) for u, k in entries]
    position = (start + np.array(peaks, np.float64).reshape(-1, 2) * step) / np.array(one.input_size)
    return Gallery(
        names=tuple(one.top.names[i] for i in shown),
        unit=unit,
        image=np.searchsorted(shown, image),
        peak=one.top.peak[unit, place],
        position=position,
        outlines=tuple(one.top.outlines[u][k] for u, k in entries),
        grid=one.grid,
    )
