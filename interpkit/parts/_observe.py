"""The pass over the images: every map kept, with where and how high each unit peaks."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpkit.errors import LabelSetError
from interpkit.labels import LabelSet
from interpkit.probe import Probe
from interpkit.quantiles import UpperQuantile
from interpkit.running import Fed, Progress, check_finite, forward

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# A unit's field on an image is where it is above this share of all its activations (Zhang et al. 2018, 5.2.1).
QUANTILE = 0.005


@dataclass(frozen=True, eq=False)
class Observed:
    """One layer's activations, negative ones as 0.

    Attributes
    ----------
    maps
        (N, U, h, w).
    peak, cell
        (N, U) the largest activation of a map, and the flat cell it is in.
    located
        (N, U) ``peak`` where the map has one; 0 where all its cells are equal, so that no place is the peak's.
    thresholds
        (U,) the 0.995 quantile of all activations.
    silent
        (U,) bool, the threshold is 0.
    """

    maps: Floats
    peak: Floats
    cell: Ints
    located: Floats
    thresholds: Floats
    silent: npt.NDArray[np.bool_]


def observe(
    probe: Probe, labels: LabelSet, fed: Fed, *, arrays: Mapping[str, Floats], progress: Progress
) -> tuple[Ints, dict[str, Observed]]:
    """Run every image through the network once; gives the rows of those that could be read, and what was seen.

    Raises
    ------
    ModelError
        If an activation is not finite.
    LabelSetError
        If no image can be read.
    """
    quantiles = {
        layer: UpperQuantile(units, len(labels) * h * w, quantile=QUANTILE)
        for layer, (units, h, w) in probe.shapes().items()
    }
    names = labels.images["image"].to_numpy(str)
    rows: list[Ints] = []
    done = 0
    for batch in fed.feeder.batches():
        for layer, maps in forward(probe, batch).items():
            n, units = maps.shape[:2]
            # Before negative values go: minus infinity would pass for silence.
            check_finite(maps.reshape(n, units, -1).swapaxes(0, 1), layer, names[batch.rows].tolist())
            values = np.maximum(maps, 0)
            flat = np.ascontiguousarray(values.reshape(n, units, -1).swapaxes(0, 1))
            quantiles[layer].add(flat.reshape(units, -1))
            arrays[layer][done : done + n] = values
        done += len(batch.rows)
        rows.append(batch.rows)
        progress("activations", int(batch.rows[-1]) + 1, len(labels))
    if not rows:
        raise LabelSetError(f"label set {labels.name}: none of its {len(labels)} images can be read")
    return np.concatenate(rows), {layer: _finish(arrays[layer][:done], quantiles[layer]) for layer in quantiles}


def _finish(maps: Floats, quantile: UpperQuantile) -> Observed:
    n, units = maps.shape[:2]
    peak, lowest = np.empty((n, units), np.float32), np.empty((n, units), np.float32)
    cell = np.empty((n, units), np.int64)
    for row, one in enumerate(maps):
        flat = one.reshape(units, -1)
        cell[row] = flat.argmax(1)
        peak[row], lowest[row] = flat[np.arange(units), cell[row]], flat.min(1)
    thresholds = quantile.result()
    return Observed(
        maps=maps,
        peak=peak,
        cell=cell,
        located=np.where(peak > lowest, peak, np.float32(0)),
        thresholds=thresholds,
        silent=thresholds <= 0,
    )
