"""The pass over the images: every map kept, with where and how high each unit peaks."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from interpkit.errors import LabelSetError
from interpkit.labels import LabelSet
from interpkit.mapstore import Filled
from interpkit.probe import Probe
from interpkit.processes import Group
from interpkit.quantiles import UpperQuantile
from interpkit.running import Fed, Progress, check_finite, forward, resumed
from interpkit.running.gathering import Gathering

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


class _Pass:
    """Every layer's maps and statistics of the images seen so far."""

    def __init__(self, arrays: Mapping[str, Floats], *, images: int) -> None:
        self._arrays = arrays
        self._filled = Filled(list(arrays.values()))
        self._quantiles = {
            layer: UpperQuantile(array.shape[1], images * array[0, 0].size, quantile=QUANTILE)
            for layer, array in arrays.items()
        }
        self._rows = [np.empty(0, np.int64)]
        self._done = 0

    def add(self, rows: Ints, maps: Mapping[str, Floats]) -> None:
        """Take in the maps (n, U, h, w) of the images ``rows``."""
        for layer, signed in maps.items():
            n, units = signed.shape[:2]
            values = np.maximum(signed, 0)
            flat = np.ascontiguousarray(values.reshape(n, units, -1).swapaxes(0, 1))
            self._quantiles[layer].add(flat.reshape(units, -1))
            self._arrays[layer][self._done : self._done + n] = values
        self._rows.append(rows)
        self._done += len(rows)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What the pass has taken in."""
        every = enumerate(self._quantiles.values())
        tails = {f"{i}.{name}": value for i, one in every for name, value in one.state().items()}
        return {**tails, "filled": self._filled.upto(self._done), "rows": np.concatenate(self._rows)}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """The inverse of ``state``."""
        self._done = self._filled.restore(arrays["filled"])
        for i, one in enumerate(self._quantiles.values()):
            start = f"{i}."
            one.restore({k.removeprefix(start): value for k, value in arrays.items() if k.startswith(start)})
        self._rows = [arrays["rows"]]

    def gathered(self, group: Group) -> Gathering:
        """Bring what all processes saw to the first one."""
        gathering = Gathering.of(group, np.concatenate(self._rows))
        for layer, array in self._arrays.items():
            gathering.bring([array])
            group.merge(self._quantiles[layer], partial(self._take, layer))
        return gathering

    def _take(self, layer: str, other: UpperQuantile) -> None:
        if other is not self._quantiles[layer]:
            self._quantiles[layer].merge(other)

    def finished(self, images: int) -> dict[str, Observed]:
        """What is known of the first ``images`` images that the arrays hold."""
        return {layer: _finish(self._arrays[layer][:images], one) for layer, one in self._quantiles.items()}


@dataclass(frozen=True, eq=False)
class Seen:
    """What the pass found.

    Attributes
    ----------
    rows
        (N,) the images that could be read.
    layers
        What was seen of each layer.
    content
        Digest of the files looked at.
    """

    rows: Ints
    layers: dict[str, Observed]
    content: str


def observe(
    probe: Probe, labels: LabelSet, fed: Fed, *, arrays: Mapping[str, Floats], progress: Progress
) -> Seen | None:
    """Run every image of this process through the network once.

    Returns
    -------
    What all processes saw, on the first one; None on the others.

    Raises
    ------
    ModelError
        If an activation is not finite.
    LabelSetError
        If no image can be read.
    """
    seen = _Pass({layer: arrays[layer] for layer in probe.layers}, images=len(labels))
    names = labels.images["image"].to_numpy(str)
    for batch in resumed(fed.feeder, seen, work=fed.work, name="activations"):
        fed.group.check()
        found = forward(probe, batch)
        for layer, maps in found.items():
            # Before negative values go: minus infinity would pass for silence.
            check_finite(maps.reshape(*maps.shape[:2], -1).swapaxes(0, 1), layer, names[batch.rows].tolist())
        seen.add(batch.rows, found)
        progress("activations", int(batch.rows[-1]) + 1, len(labels))
    gathering, content = seen.gathered(fed.group), fed.settle().content
    if not fed.group.first:
        return None
    if not len(gathering.rows):
        raise LabelSetError(f"label set {labels.name}: none of its {len(labels)} images can be read")
    return Seen(gathering.rows, seen.finished(len(gathering.rows)), content)


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
