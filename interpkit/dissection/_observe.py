"""First pass over the images: thresholds, top images, and the maps kept for the second."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpkit.errors import LabelSetError
from interpkit.feeding import Feeder
from interpkit.labels import LabelSet
from interpkit.mapstore import MapStore
from interpkit.probe import Probe
from interpkit.quantiles import LargestPeaks, UpperQuantile
from interpkit.running import Progress, check_finite, forward

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


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


class Source:
    """The maps of all readable images: from the network at first, then from where they are kept.

    Parameters
    ----------
    store
        Takes the maps; None for another forward pass each time.
    """

    def __init__(self, probe: Probe, feeder: Feeder, store: MapStore | None) -> None:
        self._probe = probe
        self._feeder = feeder
        self._store = store
        self._rows: list[Rows] = []

    def __iter__(self) -> Iterator[tuple[Rows, dict[str, Floats]]]:
        """The rows (n,) of each batch, rising, and the maps (n, U, h, w) of each layer."""
        if self._store is not None and self._rows:
            yield from zip(self._rows, self._store, strict=True)
            return
        for batch in self._feeder.batches():
            maps = forward(self._probe, batch)
            yield batch.rows, maps
            # Kept when the first reader is done with them: maps that stop the run are not kept.
            if self._store is not None:
                self._store.put(maps)
                self._rows.append(batch.rows)

    def maps(self) -> Iterator[dict[str, Floats]]:
        """The maps alone."""
        for _, maps in self:
            yield maps


def observe(
    shapes: Mapping[str, tuple[int, int, int]],
    batches: Iterable[tuple[Rows, Mapping[str, Floats]]],
    labels: LabelSet,
    *,
    quantile: float,
    top: int,
    progress: Progress,
) -> dict[str, Observed]:
    """Look at the maps of every image once: layers of ``shapes`` (U, h, w), batches as from a `Source`."""
    statistics: dict[str, tuple[UpperQuantile, LargestPeaks]] = {}
    for layer, (units, h, w) in shapes.items():
        total = len(labels) * h * w
        statistics[layer] = (
            UpperQuantile(units, total, quantile=quantile),
            LargestPeaks(units, k=min(top, len(labels))),
        )
    seen = 0
    for rows, maps in batches:
        for layer, (quantiles, peaks) in statistics.items():
            n, units = maps[layer].shape[:2]
            values = np.ascontiguousarray(maps[layer].reshape(n, units, -1).swapaxes(0, 1))
            check_finite(values, layer, [labels.images["image"].iloc[row] for row in rows])
            peaks.add(values.max(2), rows)
            quantiles.add(values.reshape(units, -1))
        seen += len(rows)
        progress("thresholds", int(rows[-1]) + 1, len(labels))
    if not seen:
        raise LabelSetError(f"label set {labels.name}: none of its {len(labels)} images can be read with its labels")
    return {layer: _finish(*pair) for layer, pair in statistics.items()}


def _finish(quantiles: UpperQuantile, peaks: LargestPeaks) -> Observed:
    thresholds = quantiles.result()
    return Observed(
        thresholds=thresholds,
        silent=thresholds <= quantiles.minimum,
        dead=quantiles.minimum == quantiles.maximum,
        peaks=peaks,
    )
