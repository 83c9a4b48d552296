"""Exact streaming statistics per unit: upper quantiles and the images with the largest peaks. numpy only."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

# Values a unit collects before the buffer is partitioned: enough to amortise the partition, little enough to stay
# in the processor's cache row by row.
MIN_BUFFER = 2048


def kept_values(total: int, quantile: float) -> int:
    """How many of ``total`` values must be kept to read their 1 - ``quantile`` quantile exactly."""
    # ceil(q (M - 1)) + 1, by way of the rank that `result` looks up: the two round alike for every q and M.
    return total - math.floor((1 - quantile) * (total - 1))


class UpperQuantile:
    """The exact 1 - q quantile of each unit's values, seen in any order and any batches.

    Equal to ``numpy.quantile(values, 1 - q)`` (linear interpolation between order statistics). Only the
    ceil(q (M - 1)) + 1 largest of the M values of a unit are kept, so memory does not grow with M itself.

    Parameters
    ----------
    units
        U.
    total
        M, the number of values a unit will see, or an upper bound of it.
    quantile
        q in (0, 1).
    """

    def __init__(self, units: int, total: int, *, quantile: float) -> None:
        self.quantile = quantile
        self.seen = 0
        self.minimum = np.full(units, np.inf, np.float32)
        self.maximum = np.full(units, -np.inf, np.float32)
        self._kept = kept_values(total, quantile)
        room = self._kept + max(min(self._kept, 1 << 16), MIN_BUFFER)
        self._values = np.full((units, room), -np.inf, np.float32)
        self._used = np.zeros(units, np.int64)  # how much of each row is filled
        self._floor = np.full(units, -np.inf, np.float32)  # values below it are out already

    def add(self, values: Floats) -> None:
        """Take in values (U, n)."""
        self.seen += values.shape[1]
        np.minimum(self.minimum, values.min(1), out=self.minimum)
        np.maximum(self.maximum, values.max(1), out=self.maximum)
        self._store(values)

    def _store(self, values: Floats) -> None:
        room = self._values.shape[1]
        while values.shape[1]:
            part, values = values[:, : room - self._kept], values[:, room - self._kept :]
            # Only values above the smallest kept one can matter, after a while about one in 1 / q of them; an equal
            # one changes nothing, since as many are kept as are asked for.
            unit, place = np.nonzero(part > self._floor[:, None])
            count = np.bincount(unit, minlength=len(part))
            if (self._used + count).max() > room:
                self._keep_largest()
            first = np.cumsum(count) - count
            self._values[unit, (self._used - first)[unit] + np.arange(len(unit))] = part[unit, place]
            self._used += count

    def _keep_largest(self) -> None:
        """Move the largest values of every row to its front and forget the others."""
        for row, used in zip(self._values, self._used, strict=True):
            if used > self._kept:
                row[:used].partition(used - self._kept)
                row[: self._kept] = row[used - self._kept : used].copy()
        self._used = np.minimum(self._used, self._kept)
        full = self._used == self._kept
        self._floor[full] = self._values[full, : self._kept].min(1)

    def merge(self, other: "UpperQuantile") -> None:
        """Take in everything ``other`` has seen (made with the same ``total`` and ``quantile``)."""
        self.take(other.state())

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """All that has been seen, as arrays that `restore` and `take` understand."""
        self._keep_largest()
        return {
            "values": self._values[:, : min(self._kept, self.seen)],
            "seen": np.array(self.seen),
            "minimum": self.minimum,
            "maximum": self.maximum,
        }

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Have seen what ``state`` says, and nothing else."""
        self.seen = 0
        self.minimum[:], self.maximum[:] = np.inf, -np.inf
        self._used[:], self._floor[:] = 0, -np.inf
        self.take(state)

    def take(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take in all that one with the same ``total`` and ``quantile`` had seen."""
        self._store(state["values"])
        self.seen += int(state["seen"])
        np.minimum(self.minimum, state["minimum"], out=self.minimum)
        np.maximum(self.maximum, state["maximum"], out=self.maximum)

    def result(self) -> Floats:
        """(U,) the quantile of all values seen so far.

        Raises
        ------
        ValueError
            If nothing was seen, or more than the announced total.
        """
        rank = (1 - self.quantile) * (self.seen - 1)
        low = math.floor(rank)
        if self.seen == 0 or self.seen - low > self._kept:
            raise ValueError(f"{self.seen} values seen, {self._kept} kept: not enough for the quantile {self.quantile}")
        self._keep_largest()
        tail = self._values[:, : self._kept].copy()
        # The places of the two order statistics, counted from the largest of those kept.
        kept = min(self._kept, self.seen)
        high = min(low + 1, self.seen - 1)
        places = [kept - (self.seen - low), kept - (self.seen - high)]
        tail = tail[:, :kept]
        tail.partition(sorted(set(places)), axis=1)
        a, b = tail[:, places[0]].astype(np.float64), tail[:, places[1]].astype(np.float64)
        return (a + (rank - low) * (b - a)).astype(np.float32)


class LargestPeaks:
    """The k images with the largest peak of each unit; equal peaks go to the image with the lower index.

    Attributes
    ----------
    peak
        (U, k) float32, falling; -inf where fewer than k images were seen.
    image
        (U, k) int64, the image's index; -1 where fewer than k images were seen.
    """

    def __init__(self, units: int, *, k: int) -> None:
        self.peak = np.full((units, k), -np.inf, np.float32)
        self.image = np.full((units, k), -1, np.int64)

    def add(self, peaks: Floats, images: npt.NDArray[np.int64]) -> None:
        """Take in the peaks (U, n) of images (n,) or, of one list a unit, (U, n)."""
        images = np.broadcast_to(images, peaks.shape)
        last, last_image = self.peak[:, -1:], self.image[:, -1:]
        enters = (peaks > last) | ((peaks == last) & ((images < last_image) | (last_image < 0)))
        units = np.flatnonzero(enters.any(1))
        if len(units) == 0:
            return
        peak = np.concatenate([self.peak[units], peaks[units]], axis=1)
        image = np.concatenate([self.image[units], images[units]], axis=1)
        order = np.lexsort((np.where(image < 0, np.iinfo(np.int64).max, image), -peak), axis=1)
        order = order[:, : self.peak.shape[1]]
        self.peak[units] = np.take_along_axis(peak, order, axis=1)
        self.image[units] = np.take_along_axis(image, order, axis=1)

    def merge(self, other: "LargestPeaks") -> None:
        """Take in the lists of ``other``, of other images."""
        self.add(other.peak, other.image)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The lists, as arrays."""
        return {"peak": self.peak, "image": self.image}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Hold the lists of a state."""
        self.peak, self.image = state["peak"].copy(), state["image"].copy()
