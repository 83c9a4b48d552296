"""Which concepts of a label set are parts, and their masks in one image."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpkit.labels.contents import ImageLabels

_CATEGORY = "part"


def part_rows(concepts: pd.DataFrame) -> NDArray[np.intp]:
    """(P,) rows of a label set's concepts table that are parts: their primary category is ``part``."""
    return np.flatnonzero((concepts["category"] == _CATEGORY).to_numpy())


def part_masks(labels: ImageLabels, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Masks of some concepts in one image: (P, sh, sw) bool on the label grid, all False where one does not occur.

    Parameters
    ----------
    labels
        Labels of the image.
    rows
        (P,) distinct rows of the concepts table, of whatever category.
    """
    masks = np.zeros((len(rows), *labels.layers.shape[1:]), np.bool_)
    if not len(rows):
        return masks
    # Concept row -> place among `rows`; one entry more than there are rows, so that "no label", -1, looks up the last.
    highest = max(int(rows.max()), int(labels.layers.max(initial=0)), int(labels.whole.max(initial=0)))
    place = np.full(highest + 2, -1, np.intp)
    place[rows] = np.arange(len(rows))
    found = place[labels.layers]
    layer, row, column = np.nonzero(found >= 0)
    masks[found[layer, row, column], row, column] = True
    whole = place[labels.whole]
    masks[whole[whole >= 0]] = True
    return masks
