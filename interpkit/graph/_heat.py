"""Where the stronger half of a layer's nodes lie on an image, as a heat map."""

import numpy as np
import numpy.typing as npt

from interpkit.graph._found import Found

# Cells of a heat map along the input's longer side.
CELLS = 56
# Deviation of the Gaussian that stands for a node: 15 pixels of an input of 224.
SPREAD = 15 / 224


def heat_maps(found: Found, *, input_size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """(N, gh, gw) heat of N images: a Gaussian for each node of the stronger half, from 0 to 255 on each image.

    All Gaussians weigh the same. Nodes without a place on the image draw nothing; a map that is the same everywhere is
    0. Source: the drawings of Zhang et al., "Extraction of an Explanatory Graph to Interpret a CNN", TPAMI 2020.
    """
    long = max(input_size)
    gh, gw = (max(1, round(CELLS * side / long)) for side in input_size)
    rows, columns = _centres(input_size[0], gh), _centres(input_size[1], gw)
    sigma = SPREAD * min(input_size)
    maps = np.zeros((len(found.place), gh, gw), np.uint8)
    for image, (place, score) in enumerate(zip(found.place, found.score, strict=True)):
        on = strongest(score, 0.5)
        along, across = (
            np.exp(-((axis - place[on, which, None].astype(np.float64)) ** 2) / (2 * sigma**2))
            for which, axis in enumerate((rows, columns))
        )
        maps[image] = _stretched(along.T @ across)
    return maps


def strongest(score: npt.NDArray[np.float32], share: float) -> npt.NDArray[np.int64]:
    """The share of V nodes that have the highest scores on an image, rounded up; of those that have a place there.

    Examples
    --------
    >>> strongest(np.float32([3, 0, 5, 1, 2, 0]), 0.5).tolist()
    [2, 0, 4]
    """
    best = np.argsort(-score, kind="stable")[: int(np.ceil(share * len(score)))]
    return best[score[best] > 0]


def _centres(side: int, cells: int) -> npt.NDArray[np.float64]:
    """Where the middles of equal cells lie, in pixels of the input."""
    return (np.arange(cells) + 0.5) * side / cells - 0.5


def _stretched(heat: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    low, high = heat.min(), heat.max()
    if not high > low:
        return np.zeros(heat.shape, np.uint8)
    return np.asarray(np.rint(255 * (heat - low) / (high - low)), np.uint8)
