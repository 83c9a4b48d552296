"""Landmarks as a table -> points by image and part, checked against the images and rescaled to a network's input."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpkit.errors import LabelSetError
from interpkit.labels.findings import Finding

if TYPE_CHECKING:
    from interpkit.labels.labelset import LabelSet

Floats = NDArray[np.float64]


def stored_landmarks(labels: "LabelSet") -> tuple[tuple[str, ...], Floats]:
    """Give P names and (N, P, 2) points, row and column in 0-based pixels of the stored image, NaN for none.

    Raises
    ------
    LabelSetError
        If the set has no landmarks.
    """
    table = labels.landmarks
    if table is None:
        raise LabelSetError(
            f"label set {labels.name} ({labels.layout}) has no landmarks; add landmarks.csv with columns image, "
            "<part>_row and <part>_col"
        )
    names = tuple(str(column).removesuffix("_row") for column in table.columns if str(column).endswith("_row"))
    columns = [f"{name}_{axis}" for name in names for axis in ("row", "col")]
    points = np.full((len(labels), len(names), 2), np.nan)
    row = pd.Index(table["image"]).get_indexer(pd.Index(labels.images["image"]))
    points[row >= 0] = table[columns].to_numpy(np.float64)[row[row >= 0]].reshape(-1, len(names), 2)
    return names, points


def outside(labels: "LabelSet", names: Sequence[str], *, points: Floats, sizes: Floats) -> Iterator[Finding]:
    """Find the points (N, P, 2) that lie outside their images, whose (H, W) are ``sizes`` (N, 2)."""
    high = sizes[:, None] - 0.5
    for i, p in np.argwhere(((points < -0.5) | (points > high)).any(axis=-1)):
        image, (row, column), (height, width) = labels.images["image"].iloc[i], points[i, p], sizes[i]
        where = f"{names[p]} of {image} at row {row:g}, column {column:g}"
        yield Finding(f"{where} lies outside its {height:g} x {width:g} pixels", labels.landmarked_in)


def landmarks_of_input(labels: "LabelSet", size: tuple[int, int]) -> tuple[tuple[str, ...], Floats]:
    """As ``LabelSet.landmarks_of_input``."""
    names, points = stored_landmarks(labels)
    rows = np.flatnonzero(np.isfinite(points).any(axis=(1, 2)))
    if not rows.size:
        raise LabelSetError(f"label set {labels.name}: none of its {len(labels)} images has a landmark")
    sizes = np.ones((len(labels), 2))
    with ThreadPoolExecutor() as pool:  # the headers of 10,000 images lie scattered over a disk
        sizes[rows] = list(pool.map(labels.stored_size, rows.tolist()))
    faults = list(outside(labels, names, points=points, sizes=sizes))
    if faults:
        more = f", and {len(faults) - 1} more do so" if len(faults) > 1 else ""
        raise LabelSetError(f"label set {labels.name}, {faults[0]}{more}; rows and columns count from 0")
    scale = np.array(size) / sizes[:, None]
    rescaled: Floats = (points + 0.5) * scale - 0.5
    return names, rescaled
