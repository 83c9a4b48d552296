"""First pass over the images: thresholds and top images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from interpkit.dissection._source import Look, Rows, Source
from interpkit.errors import LabelSetError
from interpkit.labels import LabelSet
from interpkit.processes import Group
from interpkit.quantiles import LargestPeaks, UpperQuantile
from interpkit.running import Progress, check_finite

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Observed:
    """What the first pass found for one layer.

    Attributes
    ----------
    thresholds
        (U,) float32.
    silent, dead
        (U,) bool: the threshold is the unit's minimum; the unit never varies.
    peaks
        The unit's top images.
    """

    thresholds: Floats
    silent: npt.NDArray[np.bool_]
    dead: npt.NDArray[np.bool_]
    peaks: LargestPeaks


@dataclass(frozen=True, eq=False)
class Seeing:
    """The images to look at, the processes that share them, and what is asked of their maps."""

    labels: LabelSet
    group: Group
    quantile: float
    top: int
    progress: Progress


class _Statistics:
    """What the first pass fills: quantiles and peaks of each layer of ``shapes`` (U, h, w), of N images at most."""

    def __init__(self, shapes: Mapping[str, tuple[int, int, int]], images: int, *, quantile: float, top: int) -> None:
        self.of = {
            layer: (UpperQuantile(units, images * h * w, quantile=quantile), LargestPeaks(units, k=min(top, images)))
            for layer, (units, h, w) in shapes.items()
        }

    def add(self, layer: str, values: Floats, rows: Rows) -> None:
        """Take in the values (U, n, cells) of images ``rows`` (n,)."""
        quantiles, peaks = self.of[layer]
        peaks.add(values.max(2), rows)
        quantiles.add(values.reshape(len(values), -1))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Those of every layer, by its number."""
        found: dict[str, npt.NDArray[Any]] = {}
        for number, (quantiles, peaks) in enumerate(self.of.values()):
            found |= {f"{number}-0-{name}": array for name, array in quantiles.state().items()}
            found |= {f"{number}-1-{name}": array for name, array in peaks.state().items()}
        return found

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """The inverse of ``state``."""
        for number, (quantiles, peaks) in enumerate(self.of.values()):
            quantiles.restore({name: arrays[f"{number}-0-{name}"] for name in ("values", "seen", "minimum", "maximum")})
            peaks.restore({name: arrays[f"{number}-1-{name}"] for name in ("peak", "image")})

    def merge(self, group: Group) -> None:
        """Bring what all processes saw to the first one, layer by layer."""
        for quantiles, peaks in self.of.values():
            _merged(quantiles, peaks, group)


def _merged(quantiles: UpperQuantile, peaks: LargestPeaks, group: Group) -> None:
    mine = (quantiles.state(), peaks)

    def take(brought: tuple[dict[str, npt.NDArray[Any]], LargestPeaks]) -> None:
        if brought is not mine:
            quantiles.take(brought[0])
            peaks.merge(brought[1])

    group.merge(mine, take)


def observe(
    source: Source, shapes: Mapping[str, tuple[int, int, int]], *, look: Look, name: str, seeing: Seeing
) -> dict[str, Observed]:
    """Look at the maps of every image once.

    Parameters
    ----------
    shapes
        (U, h, w) of what ``look`` makes of each batch's maps, by name.
    name
        Of the pass.
    """
    labels, group, span = seeing.labels, seeing.group, source.span
    statistics = _Statistics(shapes, len(labels), quantile=seeing.quantile, top=seeing.top)
    names = labels.images["image"].to_numpy(str)
    for rows, own in source.resumed(statistics, name=name):
        maps = look(own)
        for layer in shapes:
            n, units = maps[layer].shape[:2]
            values = np.ascontiguousarray(maps[layer].reshape(n, units, -1).swapaxes(0, 1))
            check_finite(values, layer, names[rows].tolist())
            statistics.add(layer, values, rows)
        seeing.progress("thresholds", int(rows[-1]) + 1 - span.start, len(span))
    if len(source.settled().skipped) == len(labels):
        raise LabelSetError(f"label set {labels.name}: none of its {len(labels)} images can be read with its labels")
    statistics.merge(group)
    return group.agreed(lambda: {layer: _finish(*pair) for layer, pair in statistics.of.items()})


def _finish(quantiles: UpperQuantile, peaks: LargestPeaks) -> Observed:
    # Added to 0, so that it has one sign whatever the order of the images.
    thresholds = quantiles.result() + np.float32(0)
    return Observed(
        thresholds=thresholds,
        silent=thresholds <= quantiles.minimum,
        dead=quantiles.minimum == quantiles.maximum,
        peaks=peaks,
    )
