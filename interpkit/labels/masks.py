"""Masks of any size, read on a label grid: shared by the layouts whose masks have the images' own size."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interpkit.errors import LabelSetError
from interpkit.labels.contents import some
from interpkit.labels.decoding import decode_index, image_size

GRID = (112, 112)


def sampled(numbers: NDArray[Any], grid: tuple[int, int]) -> NDArray[Any]:
    """Read (H, W) label numbers at the centres of the grid's pixels, nearest neighbour: (sh, sw).

    The centre of grid pixel j lies at (j + 1/2) * H / sh - 1/2 in pixels of the mask; that centre's pixel is taken.
    """
    rows, columns = (((2 * np.arange(n) + 1) * size) // (2 * n) for n, size in zip(grid, numbers.shape, strict=True))
    return numbers[np.ix_(rows, columns)]


@dataclass(frozen=True, eq=False)
class MaskReader:
    """(mask file, image) -> (sh, sw) label numbers, 0 where the mask holds a number to ignore.

    The whole mask is looked at, so that a number that is not ``listed`` shows also where the grid steps over it.
    """

    masks: Path
    images: Path
    grid: tuple[int, int]
    listed: Sequence[int]
    ignore: Sequence[int]

    def __call__(self, mask: str, image: str) -> NDArray[Any]:
        """Read one mask.

        Raises
        ------
        LabelSetError
            If it cannot be read (``ImageError``), does not cover its image, or holds a number that is not listed.
        """
        numbers = decode_index(self.masks / mask)
        _covers(numbers.shape, image_size(self.images / image), image)
        occurring = np.flatnonzero(np.bincount(numbers.ravel()))
        strange = np.setdiff1d(occurring, [0, *self.listed, *self.ignore])
        if strange.size:
            raise LabelSetError(f"holds number {some(strange)}, which the set does not list")
        small = sampled(numbers, self.grid)
        return np.where(np.isin(small, self.ignore), 0, small)


def _covers(mask: tuple[int, ...], image: tuple[int, int], name: str) -> None:
    """Make sure that a mask has its image's size, or its shape to a pixel, smaller or larger."""
    scale = (mask[0] / image[0], mask[1] / image[1])
    if abs(scale[0] - scale[1]) * max(image) <= 1 + max(scale):
        return
    said = f"is {mask[0]} x {mask[1]} pixels where image {name} has {image[0]} x {image[1]} (rows x columns)"
    turned = mask == (image[1], image[0])
    raise LabelSetError(said + ("; it was drawn on the image turned by its EXIF orientation" if turned else ""))


def ignored_numbers(chosen: Sequence[int] | None, listed: Sequence[int]) -> list[int]:
    """List the numbers to ignore: those chosen, else 255 and 65535 (the largest of 8 and 16 bits) unless listed.

    Raises
    ------
    LabelSetError
        If a number is both a label and to be ignored.
    """
    if chosen is None:
        return [number for number in (255, 65535) if number not in set(listed)]
    both = sorted(set(chosen) & set(listed))
    if both:
        raise LabelSetError(f"number {both[0]} is listed as a label, and the manifest says to ignore it")
    return list(chosen)
