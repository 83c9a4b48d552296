"""First pass over the images: thresholds, top images, and the maps kept for the second."""

from collections.abc import Iterator
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


def observe(
    probe: Probe,
    feeder: Feeder,
    labels: LabelSet,
    *,
    quantile: float,
    top: int,
    store: MapStore | None,
    progress: Progress,
) -> dict[str, Observed]:
    """Run every image through the network once; keep the maps in ``store`` if there is one."""
    statistics: dict[str, tuple[UpperQuantile, LargestPeaks]] = {}
    for layer, (units, h, w) in probe.shapes().items():
        total = len(labels) * h * w
        statistics[layer] = (
            UpperQuantile(units, total, quantile=quantile),
            LargestPeaks(units, k=min(top, len(labels))),
        )
    for batch in feeder.batches():
        maps = forward(probe, batch)
        for layer, (quantiles, peaks) in statistics.items():
            n, units = maps[layer].shape[:2]
            values = np.ascontiguousarray(maps[layer].reshape(n, units, -1).swapaxes(0, 1))
            check_finite(values, layer, [labels.images["image"].iloc[row] for row in batch.rows])
            peaks.add(values.max(2), batch.rows)
            quantiles.add(values.reshape(units, -1))
        if store is not None:
            store.put(maps)
        progress("thresholds", int(batch.rows[-1]) + 1, len(labels))
    if len(feeder.skipped) == len(labels):
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


def maps_again(probe: Probe, feeder: Feeder) -> Iterator[dict[str, Floats]]:
    """The maps of all batches from a second forward pass."""
    for batch in feeder.batches():
        yield forward(probe, batch)
