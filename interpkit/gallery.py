"""Chosen units on chosen images, for pages: where the unit peaks there, and the outline of where it is on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpkit.feeding import Feeding, read_image, stack, weights_in
from interpkit.geometry import Placement, Resampler
from interpkit.labels import LabelSet
from interpkit.probe import Probe
from interpkit.results import Gallery

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Outlining:
    """How a layer's units are outlined.

    Attributes
    ----------
    layer, placement, grid
        The layer, where its cells lie, and the (sh, sw) of the outlines.
    thresholds, silent
        (U,) a unit is on where its map reaches the threshold; above it for silent units.
    """

    layer: str
    placement: Placement
    grid: tuple[int, int]
    thresholds: Floats
    silent: npt.NDArray[np.bool_]


def make_gallery(
    probe: Probe,
    labels: LabelSet,
    entries: Sequence[tuple[int, int]],
    *,
    outlining: Outlining,
    feeding: Feeding,
) -> Gallery:
    """Look again at the images of ``entries``, pairs (unit, row of the label set): one forward pass over these alone.

    Raises
    ------
    ImageError
        If one of them cannot be read any more.
    """
    rows = list(dict.fromkeys(row for _, row in entries))
    looks = _Looks(probe, labels, outlining)
    found: dict[tuple[int, int], tuple[float, tuple[float, float], str]] = {}
    for row, maps in _maps(probe, labels, rows, layer=outlining.layer, feeding=feeding):
        units = [unit for unit, at in entries if at == row]
        for unit, look in zip(units, looks.of(maps, units), strict=True):
            found[unit, row] = look
    names = [str(labels.images["image"].iloc[row]) for row in rows]
    ordered = [found[entry] for entry in entries]
    return Gallery(
        names=tuple(names),
        unit=np.array([unit for unit, _ in entries], np.int64),
        image=np.array([rows.index(row) for _, row in entries], np.int64),
        peak=np.array([look[0] for look in ordered], np.float32),
        position=np.array([look[1] for look in ordered], np.float64).reshape(-1, 2),
        outlines=tuple(look[2] for look in ordered),
        grid=outlining.grid,
    )


def _maps(
    probe: Probe, labels: LabelSet, rows: Sequence[int], *, layer: str, feeding: Feeding
) -> Iterator[tuple[int, Floats]]:
    """(row, map (U, h, w)) of each of the images ``rows``."""
    size = feeding.batch_size
    with weights_in(probe.model, feeding.memory_format):
        for first in range(0, len(rows), size):
            some = rows[first : first + size]
            images = [read_image(labels, row, probe.preprocessing) for row in some]
            maps = probe(stack(images, feeding.memory_format))[layer].float().cpu().numpy()
            yield from zip(some, maps, strict=True)


class _Looks:
    """Peaks and outlines of units on one image."""

    def __init__(self, probe: Probe, labels: LabelSet, outlining: Outlining) -> None:
        self._how = outlining
        self._input = probe.preprocessing.size
        _, h, w = probe.shapes()[outlining.layer]
        self._resampler = Resampler(outlining.placement, map_size=(h, w), input_size=self._input, grid=outlining.grid)

    def of(self, maps: Floats, units: Sequence[int]) -> list[tuple[float, tuple[float, float], str]]:
        """(peak, its (row, column) as shares of the image, outline) of each of ``units`` in maps (U, h, w)."""
        mine = np.ascontiguousarray(maps[list(units)])
        how = self._how
        index = list(units)
        squares = self._resampler.squares(mine, how.thresholds[index], strict=how.silent[index])
        looks = []
        for place, map_ in enumerate(mine):
            row, column = divmod(int(map_.argmax()), map_.shape[1])
            where = self._share(row, axis=0), self._share(column, axis=1)
            looks.append((float(map_.max()), where, self._resampler.outline(squares, place)))
        return looks

    def _share(self, cell: int, *, axis: int) -> float:
        """Where a cell lies, from 0 at the image's one edge to 1 at the other."""
        placement = self._how.placement
        at = placement.start[axis] + cell * placement.stride[axis]
        return float(np.clip((at + 0.5) / self._input[axis], 0, 1))
