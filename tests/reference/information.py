"""Mutual information of activations with classes by its definition: entropies of tables, in loops, in float64."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def bins_of(values: Sequence[float], levels: Sequence[float]) -> list[int]:
    """How many of the distinct quantiles (linear interpolation) lie below each value."""
    ordered = sorted(values)
    edges = set()
    for level in levels:
        rank = level * (len(ordered) - 1)
        low = math.floor(rank)
        high = min(low + 1, len(ordered) - 1)
        edges.add(ordered[low] + (rank - low) * (ordered[high] - ordered[low]))
    return [sum(edge < value for edge in edges) for value in values]


def entropy(observations: Sequence[Hashable], *, miller_madow: bool) -> float:
    counts = Counter(observations)
    total = len(observations)
    plain = -sum(n / total * math.log(n / total) for n in counts.values())
    return plain + (len(counts) - 1) / (2 * total) * miller_madow


def information(bins: Sequence[int], member: Sequence[bool], *, miller_madow: bool = True) -> float:
    """I(bin; member) = H(bin) + H(member) - H(bin, member), in 0..H(member)."""
    pairs = list(zip(bins, member, strict=True))
    kinds = entropy(bins, miller_madow=miller_madow), entropy(member, miller_madow=miller_madow)
    value = sum(kinds) - entropy(pairs, miller_madow=miller_madow)
    return min(max(value, 0.0), entropy(member, miller_madow=False))


def matrix(bins: NDArray[np.int64], member: NDArray[np.bool_], *, miller_madow: bool = True) -> Floats:
    """(U, K) of bins (N, U) and classes (N, K)."""
    return np.array(
        [[information(unit.tolist(), one.tolist(), miller_madow=miller_madow) for one in member.T] for unit in bins.T]
    )


def measured(pooled: Floats, member: NDArray[np.bool_], levels: Floats) -> Floats:
    """(U, K) as the toolkit estimates it by default."""
    bins = np.array([bins_of(unit.tolist(), levels.tolist()) for unit in pooled.T]).T
    return matrix(bins, member)


def without_blocks(
    pooled: Floats, member: NDArray[np.bool_], levels: Floats, *, blocks: NDArray[np.int64], left_out: Sequence[int]
) -> Floats:
    """(B, U) each unit's largest information without the images of a block, in the bins of all images."""
    bins = np.array([bins_of(unit.tolist(), levels.tolist()) for unit in pooled.T]).T
    return np.array([matrix(bins[blocks != b], member[blocks != b]).max(1) for b in left_out])
