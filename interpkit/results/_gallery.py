"""Units shown on images: what a page needs to draw a unit's crops."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

_ARRAYS = ("unit", "image", "peak", "position")


@dataclass(frozen=True, eq=False)
class Gallery:
    """Chosen units on chosen images, outlined where they fire.

    Attributes
    ----------
    names
        The images that occur, by their path in the label set.
    unit, image
        (E,) of each entry: the unit, and the position of the image in ``names``; entries of a unit stand together,
        best first.
    peak
        (E,) float32, the unit's largest activation there.
    position
        (E, 2) float64, where that peak lies, (row, column) as shares of the image's height and width.
    outlines
        E SVG paths: where the unit is above its threshold, on the grid; even-odd rule; empty where nothing is.
    grid
        (sh, sw) of the outlines.
    """

    names: tuple[str, ...]
    unit: npt.NDArray[np.int64]
    image: npt.NDArray[np.int64]
    peak: npt.NDArray[np.float32]
    position: npt.NDArray[np.float64]
    outlines: tuple[str, ...]
    grid: tuple[int, int]

    def of(self, unit: int) -> npt.NDArray[np.int64]:
        """The entries of ``unit``, best first."""
        return np.flatnonzero(self.unit == unit)

    def arrays(self) -> dict[str, Any]:
        """The arrays for storage."""
        return {f"gallery.{name}": getattr(self, name) for name in _ARRAYS}

    def document(self) -> dict[str, Any]:
        """What is no array, for storage."""
        return {"names": list(self.names), "outlines": list(self.outlines), "grid": list(self.grid)}

    @classmethod
    def restored(cls, document: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of ``arrays`` and ``document``.

        Raises
        ------
        ValueError
            If the parts belong to different galleries.
        """
        values = {name: arrays[f"gallery.{name}"] for name in _ARRAYS}
        names, outlines = tuple(document["names"]), tuple(document["outlines"])
        if {len(value) for value in values.values()} != {len(outlines)}:
            raise ValueError("the gallery's outlines are not those of its entries")
        if values["image"].max(initial=-1) >= len(names):
            raise ValueError(f"{len(names)} pictures are listed, more are shown")
        height, width = document["grid"]
        return cls(names=names, outlines=outlines, grid=(int(height), int(width)), **values)
