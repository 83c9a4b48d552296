"""Which class a unit belongs to."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Estimates that differ by rounding alone are equal.
_EQUAL = 1e-9


def owners(information: Floats, class_mean: Floats, mean: Floats) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """The class that each unit knows best; of equals, the one on which it is the highest.

    With two classes, what a unit tells of the one it tells of the other: there the activation alone decides.

    Parameters
    ----------
    information
        (U, K) nats.
    class_mean, mean
        (K, U) and (U,) mean activation on each class and on all images.

    Returns
    -------
    (U,) the class, -1 for a unit that knows nothing; and (U,) bool, whether the unit is higher on it than elsewhere.

    Examples
    --------
    >>> owners(np.array([[0.5, 0.5], [0.0, 0.0]]), np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([2.0, 0.0]))
    (array([ 1, -1]), array([ True, False]))
    """
    best = information.max(1)
    higher = (class_mean - mean).T
    equal = information >= (best * (1 - _EQUAL))[:, None]
    owner = np.where(best > 0, np.where(equal, higher, -np.inf).argmax(1), -1)
    positive = (higher[np.arange(len(owner)), np.maximum(owner, 0)] > 0) & (owner >= 0)
    return owner, positive
