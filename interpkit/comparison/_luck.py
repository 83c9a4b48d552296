"""How large a difference may be by luck, and what peaks that know nothing explain. numpy only."""

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Standard errors that a difference must exceed to count.
ERRORS = 2.0
# Of adjusted shares there is one from this many images on.
_FEWEST = 4


def explained_by_luck(images: Ints) -> Floats:
    """What peaks that know nothing of a landmark explain of its movement on average; NaN below four images.

    Two regressors, the peak's row and column, explain of m places R^2. Where place and peak are independent and the
    landmark moves alike in both directions, R^2 follows Beta(2, m - 3): sums of 4 and of 2 (m - 3) squared normal
    deviates. The adjusted share is 1 - (1 - R^2) (m - 1) / (m - 3), or 0 where that is below; its mean is
    4 (m - 2) / (m - 1)^2 ((m - 3) / (m - 1))^(m - 3). A landmark that moves along a line gives about a third more.

    Parameters
    ----------
    images
        Of any shape: m, on how many images each share rests.

    Examples
    --------
    >>> explained_by_luck(np.array([3, 4, 8, 25])).round(3).tolist()
    [nan, 0.296, 0.091, 0.024]
    """
    m = np.maximum(images, _FEWEST).astype(np.float64)
    mean = 4 * (m - 2) / (m - 1) ** 2 * ((m - 3) / (m - 1)) ** (m - 3)
    return np.where(images >= _FEWEST, mean, np.nan)


def least_of_means(before: Floats, after: Floats) -> float:
    """Twice the standard error of the mean difference over U units that have a value in both; 0 where that is unknown.

    It is the spread over the units of one training each. It says nothing of how much another training would differ.
    """
    apart = after - before
    apart = apart[np.isfinite(apart)]
    return float(ERRORS * apart.std(ddof=1) / np.sqrt(len(apart))) if len(apart) > 1 else 0.0


def least_of_counts(before: Bools, after: Bools) -> float:
    """Twice the root of how many changed, of so many units that are counted or not, before and after.

    If a change were as likely either way, the difference of the counts would have that root as its standard deviation.
    Source: McNemar, "Note on the sampling error of the difference between correlated proportions", 1947.
    """
    return float(ERRORS * np.sqrt(np.count_nonzero(before != after)))
