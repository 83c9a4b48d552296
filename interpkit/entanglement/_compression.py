"""How many units the head could do without."""

import numpy as np
import numpy.typing as npt

from interpkit.entanglement._head import Head
from interpkit.errors import InterpkitError
from interpkit.results import Compression

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_EQUAL = 1e-9


def compress(head: Head, correlation: Floats, *, steps: int = 10, draws: int = 5, seed: int = 0) -> Compression:
    """Remove units, most redundant first, and see how many images the head still gets right.

    Parameters
    ----------
    head : Head
    correlation : (U, U)
        Between the units' activations; 0 for constant units.
    steps : int
        Points of the curve beside the first, spread evenly up to all units.
    draws : int
        Of random orders, for comparison.
    seed : int

    Raises
    ------
    InterpkitError
        If ``steps`` or ``draws`` is below 1.
    """
    if steps < 1 or draws < 1:
        raise InterpkitError(f"compression takes at least 1 step and 1 draw, not {steps} and {draws}")
    units = head.units
    removed = np.unique(np.linspace(0, units, steps + 1).round().astype(np.int64))
    rng = np.random.default_rng(seed)
    orders = [redundant_first(correlation), *(rng.permutation(units) for _ in range(draws))]
    # (orders, U) when each unit goes, and from it what is left at every point.
    turn = np.stack([np.argsort(order) for order in orders])
    kept = turn[:, None] >= removed[:, None]
    accuracy = head.measure(kept.reshape(-1, units)).accuracy.reshape(len(orders), -1)
    return Compression(
        removed=removed,
        accuracy=accuracy[0],
        random=accuracy[1:].mean(0),
        spread=accuracy[1:].std(0),
        draws=draws,
        head=head.words,
    )


def redundant_first(correlation: Floats) -> Ints:
    """(U,) units in the order in which they can be missed.

    Units that never vary go first. Then always one of the pair that correlates most among those left: the one that
    correlates more with all others left, of equals the first.
    """
    size = np.abs(np.asarray(correlation, np.float64))
    np.fill_diagonal(size, -1)
    constant = np.flatnonzero(size.max(1) <= 0) if len(size) > 1 else np.arange(0)
    order = [int(unit) for unit in constant]
    left = np.ones(len(size), np.bool_)
    left[constant] = False
    size[:, constant] = -1
    total = np.where(size > 0, size, 0).sum(1)
    partner = size.argmax(1)
    largest = size[np.arange(len(size)), partner]
    largest[constant] = -np.inf
    while left.any():
        one = int(largest.argmax())
        other = int(partner[one])
        # The sums are kept up to date by subtraction: what differs by rounding is equal.
        gone = other if left[other] and total[other] > total[one] + _EQUAL else one
        order.append(gone)
        left[gone] = False
        largest[gone] = -np.inf
        total -= np.maximum(size[:, gone], 0)
        size[:, gone] = -1
        # Only units whose closest one is gone have another one now.
        for unit in np.flatnonzero((partner == gone) & left):
            partner[unit] = size[unit].argmax()
            largest[unit] = size[unit, partner[unit]]
    return np.array(order, np.int64)
