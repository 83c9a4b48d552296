"""Of two columns with matched units: those that changed most, with the pictures of both."""

import numpy as np
import numpy.typing as npt

from interpkit.comparison._columns import Column
from interpkit.results import Dissection, Gallery, Movers

Ints = npt.NDArray[np.int64]

# Units that are shown, and pictures of each.
MOST, PICTURES = 24, 6
# So many other pairings are tried, and the units' own has to lie so many of their standard deviations above them.
_PAIRINGS, _FAR = 40, 4.0


def akin(columns: tuple[Column, Column]) -> bool:
    """Whether unit u of either column seems to be the same unit, as before and after a training.

    Networks of one name are taken to be; others where units of one number share more of their top images than those of
    other numbers do, by far.
    """
    if columns[0].model == columns[1].model:
        return True
    first, last = (one.dissection for one in columns)
    if first is None or last is None or first.units != last.units or first.units < 2:
        return False
    place = {name: n for n, name in enumerate(dict.fromkeys((*first.top.names, *last.top.names)))}
    tops = [_known(one, place) for one in (first, last)]
    steps = np.unique(np.linspace(1, first.units - 1, _PAIRINGS).astype(np.int64))
    shared = [_shared(tops[0], tops[1]), *(_shared(tops[0], np.roll(tops[1], step, 0)) for step in steps)]
    own, others = shared[0], np.array(shared[1:])
    return bool(own > others.mean() + _FAR * others.std())


def _known(one: Dissection, place: dict[str, int]) -> Ints:
    """(U, T) the top images of each unit, numbered alike for both columns; -1 for none."""
    number = np.array([*(place[name] for name in one.top.names), -1], np.int64)
    found: Ints = number[one.top.image]
    return found


def _shared(first: Ints, last: Ints) -> float:
    """How many top images a unit shares with its partner, on average."""
    same = (first[:, :, None] == last[:, None, :]) & (first >= 0)[:, :, None]
    return float(same.sum() / len(first))


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
