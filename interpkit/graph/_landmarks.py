"""The landmarks that a graph's nodes are judged on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpkit.labels import LabelSet

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Landmarks:
    """P landmarks on the images of one graph.

    Attributes
    ----------
    names
        P names.
    training, held_out
        (I, P, 2) and (J, P, 2) row and column, input pixels, on the images that were fitted and on the others; NaN
        where not annotated.
    """

    names: tuple[str, ...]
    training: Floats
    held_out: Floats


def landmarks_of(
    labels: LabelSet, training: Sequence[int], held_out: Sequence[int], *, input_size: tuple[int, int]
) -> Landmarks | None:
    """The landmarks of some images of a label set on an input of (H, W) pixels.

    A landmark that is annotated on none of the training images is left out; None where that leaves none. Only the
    images of these rows are opened.

    Parameters
    ----------
    training, held_out
        Rows of ``labels``, in the order wanted.

    Raises
    ------
    LabelSetError
        If a landmark lies outside its image.
    ImageError
        If an image with landmarks cannot be read.
    """
    rows = np.array([*training, *held_out], dtype=np.int64)
    kept = np.unique(rows)
    some = labels.without(set(range(len(labels))) - set(kept.tolist()))
    if some.landmarks is None or not _any(some):
        return None
    names, places = some.landmarks_of_input(input_size)
    there = places[np.searchsorted(kept, rows)]
    fitted, others = there[: len(training)], there[len(training) :]
    seen = np.flatnonzero(np.isfinite(fitted).all(2).any(0))
    if not len(seen):
        return None
    return Landmarks(tuple(names[p] for p in seen), fitted[:, seen], others[:, seen])


def _any(labels: LabelSet) -> bool:
    """Whether any image has a landmark."""
    assert labels.landmarks is not None
    columns = [column for column in labels.landmarks.columns if str(column).endswith(("_row", "_col"))]
    return bool(labels.landmarks[columns].notna().to_numpy().any())
