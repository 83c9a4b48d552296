"""What a fitted layer says of images: where its nodes are, and how strongly."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Found:
    """V nodes on N images.

    Attributes
    ----------
    place
        (N, V, 2) row and column, input pixels, on the image as it is (mirrored back where it was turned).
    score
        (N, V) activation that the node explains there, in units of its filter's scale; 0 where it has no place: where
        the filter is silent, or so far away that single precision gives nothing.
    """

    place: Floats
    score: Floats


@dataclass(frozen=True, eq=False)
class Patterns:
    """One layer's nodes, fitted in one way, on all images. For ``raw``, V = U filters at their arg-max.

    Attributes
    ----------
    layer
        Its name.
    training, held_out
        On the images that were fitted and on the others; the latter may be none.
    representative
        (V,) the node that stands for each, as in `GraphLayer`; None where nobody looked for nodes that coincide.
    """

    layer: str
    training: Found
    held_out: Found
    representative: Ints | None = None
