"""The images of one layer's run: their pooled activations and classes, and the images themselves for those who look."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from interpkit.feeding import Batch, Feeder, Feeding, weights_in
from interpkit.labels import LabelSet
from interpkit.probe import Probe
from interpkit.running import Progress, silent


@dataclass(frozen=True, eq=False)
class Sample:
    """N images of K classes, and what one layer gives on them.

    Attributes
    ----------
    probe, layer
        The network, and one of the probe's layers.
    labels, rows
        The label set, and (N,) which of its images these are, rising.
    feeding
        How the network is fed.
    pooled
        (N, U) float32, the layer's maps pooled over their cells.
    names
        K class names.
    member
        (N, K) bool, whether an image is of a class.
    signed
        Whether any of the maps that were pooled may have held a negative value.
    pool, rectify
        How ``pooled`` was made: mean or maximum over the cells, of max(a, 0) or of the maps as they are.
    progress
        Called as progress(stage, done, total).
    """

    probe: Probe
    layer: str
    labels: LabelSet
    rows: npt.NDArray[np.int64]
    feeding: Feeding
    pooled: npt.NDArray[np.float32]
    names: Sequence[str]
    member: npt.NDArray[np.bool_]
    signed: bool = True
    pool: Literal["mean", "max"] = "mean"
    rectify: bool = False
    progress: Progress = silent

    @cached_property
    def looked(self) -> Probe:
        """A probe of the layer alone."""
        return self.probe if self.probe.layers == (self.layer,) else self.probe.only(self.layer)

    def surface(self, maps: Tensor) -> Tensor:
        """The maps (n, U, h, w) as they are before pooling."""
        return maps.clamp(min=0) if self.rectify else maps

    def pooling(self, maps: Tensor) -> Tensor:
        """Maps (n, U, h, w) -> (n, U), as ``pooled`` was made."""
        flat = self.surface(maps).flatten(2)
        return flat.mean(2) if self.pool == "mean" else flat.amax(2)

    @contextmanager
    def batches(self, places: npt.NDArray[np.int64] | None = None) -> Iterator[Iterator[Batch]]:
        """Batches of all images, or of those at ``places`` (rising), whose ``rows`` count within the sample."""
        places = np.arange(len(self.rows)) if places is None else places
        left_out = np.setdiff1d(np.arange(len(self.labels)), self.rows[places])
        feeder = Feeder(self.labels.without(left_out), self.looked, feeding=self.feeding)
        with weights_in(self.looked.model, self.feeding.memory_format):
            yield (Batch(places[batch.rows], batch.images, batch.stop) for batch in feeder.batches())

    def rectified(self) -> "Sample":
        """The same with max(a, 0) pooled, so that 0 stands for a silent unit; by another pass if need be."""
        if self.rectify or not self.signed:
            return self
        new = replace(self, rectify=True, signed=False)
        if self.pool == "max":
            return replace(new, pooled=np.maximum(self.pooled, 0))
        pooled = np.empty_like(self.pooled)
        with self.batches() as batches:
            for batch in batches:
                pooled[batch.rows] = new.pooling(self.looked(batch.images)[self.layer]).float().cpu().numpy()
                self.progress("rectified activations", int(batch.rows[-1]) + 1, len(pooled))
        return replace(new, pooled=pooled)


def evenly(label: npt.NDArray[np.int64], *, at_most: int, seed: int) -> npt.NDArray[np.int64]:
    """Positions, rising, of at most so many items drawn at random: as many of every label (n,) as far as it has them.

    Examples
    --------
    >>> label = np.array([0, 0, 0, 0, 1, 1])
    >>> label[evenly(label, at_most=4, seed=0)]
    array([0, 0, 1, 1])
    """
    shuffled = np.random.default_rng(seed).permutation(len(label))
    turn = np.empty(len(label), np.int64)
    for one in np.unique(label):
        mine = shuffled[label[shuffled] == one]
        turn[mine] = np.arange(len(mine))
    return np.sort(np.lexsort((shuffled.argsort(), turn))[:at_most])
