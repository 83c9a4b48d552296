"""How sure a number is of the images it was measured on: the delete-a-block jackknife. numpy only."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# 97.5 % quantiles of Student's t with 1, 2, ... 15 degrees of freedom; the last serves for more.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
# Below this many blocks with images the interval would say nothing.
_FEWEST = 4


def interval(value: float, replicates: Floats) -> tuple[float, float]:
    """The 95 % interval around ``value``: t times the delete-a-block jackknife standard error to either side.

    The standard error of a number over B blocks is sqrt((B - 1) / B sum_b (r_b - mean r)^2), where r_b is the number
    without block b.

    Parameters
    ----------
    replicates
        (B,) the number with one block of images left out; NaN for a block without images.

    Returns
    -------
    Low and high; NaN with fewer than four blocks.

    Source: Kunsch, "The jackknife and the bootstrap for general stationary observations", Annals of Statistics 1989.

    Examples
    --------
    >>> low, high = interval(2.0, np.array([1.9, 2.1, 2.0, 2.0]))
    >>> round(low, 3), round(high, 3)
    (1.61, 2.39)
    """
    known = replicates[np.isfinite(replicates)]
    count = len(known)
    if count < _FEWEST or not np.isfinite(value):
        return float("nan"), float("nan")
    error = float(np.sqrt((count - 1) / count * np.square(known - known.mean()).sum()))
    reach = _T[min(count - 1, len(_T)) - 1] * error
    return value - reach, value + reach
