"""Bins for a histogram of activations: quantile levels that are refined where few images lie. numpy only."""

from math import floor, log2

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# A bin of the refined tail holds no fewer images than this, and the finest no more than a quarter of the rarest class.
TAIL_IMAGES = 8
TAIL_SHARE = 4
# Of uniform bins there are no more than give each this many images.
UNIFORM_IMAGES = 40
FEWEST = 4


def levels(images: int, smallest_share: float, *, signed: bool = False, u: int = 32) -> Floats:
    """Quantile levels between bins: ``u`` uniform ones, the last refined in steps of half an octave.

    A unit that answers to one class of a thousand puts that class into its topmost thousandth: equal bins would lose
    it among others. The rule is ours.

    Parameters
    ----------
    images
        N, images to be binned.
    smallest_share
        The smallest min(p, 1 - p) over classes, p being the share of images of a class, in (0, 0.5].
    signed
        Refine the lowest bin in the same way, for units whose low values may also mark a class.
    u
        Uniform bins where there are images enough.

    Returns
    -------
    (L,) rising, in (0, 1).

    Raises
    ------
    ValueError
        If there are no images, or ``smallest_share`` is no such share.

    Examples
    --------
    >>> levels(60, 0.3).round(4).tolist()
    [0.25, 0.5, 0.75, 0.8232]
    """
    if images < 1 or not 0 < smallest_share <= 0.5:
        raise ValueError(f"no levels for {images} images with a smallest share of {smallest_share}")
    uniform = int(min(u, max(FEWEST, images // UNIFORM_IMAGES)))
    finest = min(log2(TAIL_SHARE / smallest_share), log2(max(images / TAIL_IMAGES, 1)))
    tail = 2.0 ** (-np.arange(floor(2 * log2(uniform)) + 1, floor(2 * finest) + 1) / 2)
    return np.unique(np.concatenate([np.arange(1, uniform) / uniform, 1 - tail, tail if signed else []]))


def codes(values: npt.NDArray[np.floating], levels: Floats) -> npt.NDArray[np.unsignedinteger]:
    """The bin of each value, between the unit's own quantiles; equal values share a bin.

    A value's bin is the number of distinct quantiles below it, bins that hold nothing left out of the numbering.
    Bins depend on the order of the values alone, so that a unit may be scaled or bent by anything that keeps it.

    Parameters
    ----------
    values
        (U, N) finite, at least one image.
    levels
        (L,) quantile levels, rising.

    Returns
    -------
    (U, N) the smallest unsigned integers that can hold L; a unit's bins are 0, 1, ... without a gap.
    """
    images = values.shape[1]
    # An interpolated quantile lies at or above the order statistic of this rank and below the next distinct value: to
    # be above the one is to be above the other, and this needs no interpolation.
    ranks = np.unique(np.floor((images - 1) * levels).astype(np.intp))
    found = np.zeros(values.shape, np.min_scalar_type(len(levels)))
    above = np.empty(images, np.bool_)
    for unit, row in enumerate(values):
        ordered = np.sort(row)
        # Comparing all values with one edge after the other has no branches: five times faster than a binary search.
        for edge in np.unique(ordered[ranks]):
            np.greater(row, edge, out=above)
            found[unit] += above
    return found
