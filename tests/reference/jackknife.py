"""Detectors and unique detectors without each block of images, counted anew from the blocks that are left."""

import numpy as np
from numpy.typing import NDArray

from interpkit.counts import BlockCounts


def unique_without(blocks: BlockCounts, left_out: int, *, threshold: float) -> tuple[int, int, float]:
    """Detectors, unique detectors by top label, and the mean best IoU, by the annotated rule."""
    count, units, concepts = blocks.shape
    dense = np.zeros(count * units * concepts, np.int64)
    dense[blocks.index] = blocks.value
    joint = dense.reshape(count, units, concepts)
    found, best = [], []
    for u in range(units):
        scores: list[float] = []
        for c in range(concepts):
            both = truth = active = 0
            for b in range(count):
                if b != left_out:
                    both += int(joint[b, u, c])
                    truth += int(blocks.truth[b, c])
                    active += int(blocks.active[b, u, blocks.category[c]])
            either = truth + active - both
            scores.append(both / either if either else 0.0)
        top = int(np.argmax(scores))
        best.append(scores[top])
        if scores[top] > threshold:
            found.append(top)
    return len(found), len(set(found)), float(np.mean(best))


def plain_interval(value: float, replicates: NDArray[np.float64], *, quantile: float) -> tuple[float, float]:
    """By pseudo-values: their mean's standard error, times the quantile, to either side of the value."""
    count = len(replicates)
    pseudo = [count * value - (count - 1) * one for one in replicates]
    error = np.std(pseudo, ddof=1) / np.sqrt(count)
    return value - quantile * error, value + quantile * error
