"""First pass over the images: thresholds, top images, and the maps kept for the second."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpkit.errors import LabelSetError, ModelError
from interpkit.feeding import Batch, Feeder
from interpkit.labels import LabelSet
from interpkit.mapstore import MapStore
from interpkit.probe import Probe
from interpkit.quantiles import LargestPeaks, UpperQuantile

Floats = npt.NDArray[np.float32]
Progress = Callable[[str, int, int], None]


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


def forward(probe: Probe, batch: Batch) -> dict[str, Floats]:
    """The maps (n, U, h, w) of a batch, as contiguous float32 arrays in memory."""
    return {layer: maps.float().cpu().contiguous().numpy() for layer, maps in probe(batch.images).items()}


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
            _check_finite(values, layer, [labels.images["image"].iloc[row] for row in batch.rows])
            peaks.add(values.max(2), batch.rows)
            quantiles.add(values.reshape(units, -1))
        if store is not None:
            store.put(maps)
        progress("thresholds", int(batch.rows[-1]) + 1, len(labels))
    if len(feeder.skipped) == len(labels):
        raise LabelSetError(f"label set {labels.name}: none of its {len(labels)} images can be read with its labels")
    return {layer: _finish(*pair) for layer, pair in statistics.items()}


def _check_finite(values: Floats, layer: str, names: list[str]) -> None:
    """Stop at values (U, n, cells) that are not finite, naming the layer, the first image and the count."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):  # one pass; a sum that overflows is looked at again
            return
    bad = ~np.isfinite(values)
    per_image = bad.sum((0, 2))
    if per_image.any():
        first = int(np.argmax(per_image > 0))
        raise ModelError(
            f"layer {layer!r} gives {int(per_image[first]):,} activations that are not finite (NaN or infinite) "
            f"on image {names[first]!r}; check the weights and the preprocessing"
        )


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
