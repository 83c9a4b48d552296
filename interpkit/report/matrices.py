"""Matrices as pictures: one pixel a cell, one sequential scale, blocks of units marked."""

import io
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from interpkit.strangers import readable

Numbers = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

# Cells along a side from which neighbours are drawn as one: as many as a page is wide.
CELLS = 1024
# Colours of equal steps in lightness, dark to light, that colour-blind readers tell apart: viridis at nine places.
STOPS = ("440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725")


def scale() -> npt.NDArray[np.uint8]:
    """(256, 3) colours from the least to the most."""
    stops = np.array([[int(stop[i : i + 2], 16) for i in (0, 2, 4)] for stop in STOPS])
    at = np.linspace(0, len(stops) - 1, 256)
    return np.stack([np.interp(at, range(len(stops)), stops[:, i]) for i in range(3)], 1).round().astype(np.uint8)


@dataclass(frozen=True)
class Stretch:
    """A part of a side of a matrix: its name, and where it starts and how long it is, as shares of the side."""

    name: str
    start: float
    size: float

    @property
    def middle(self) -> float:
        """Where its middle lies, as a share of the side."""
        return self.start + self.size / 2


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a matrix: which rows stand there, and how they are drawn.

    Attributes
    ----------
    order
        (n,) positions in the matrix, as they stand.
    starts
        (m,) where each drawn cell begins in ``order``; fewer than n where neighbours are drawn as one.
    stretches
        The blocks of the side, with their names.
    blocks
        Whether they are blocks of several positions, which a line parts.
    """

    order: Ints
    starts: Ints
    stretches: tuple[Stretch, ...]
    blocks: bool

    @property
    def together(self) -> int:
        """How many positions a drawn cell stands for, at most."""
        return int(np.diff(np.append(self.starts, len(self.order))).max(initial=1))

    @property
    def longest(self) -> int:
        """Letters of the longest name."""
        return max((len(one.name) for one in self.stretches), default=0)

    def said(self) -> dict[str, list[Any]]:
        """For each drawn cell the place of its block in ``names``, and its first position where a block has several."""
        ends = np.cumsum([round(one.size * len(self.order)) for one in self.stretches])
        return {
            "names": [readable(one.name) for one in self.stretches],
            "block": np.searchsorted(ends, self.starts, side="right").tolist(),
            "first": self.order[self.starts].tolist() if self.blocks else [],
        }

    def named(self, room: float) -> list[Stretch]:
        """The blocks that carry their name, of which each takes ``room`` of the side, so that none collide."""
        found: list[Stretch] = []
        for one in self.stretches:
            if not found or one.middle - found[-1].middle >= room - 1e-9:
                found.append(one)
        return found


def side(order: Ints, names: Sequence[str], sizes: Sequence[int]) -> Side:
    """A side whose blocks have ``sizes``; neighbours of one block are drawn as one where there are too many.

    Examples
    --------
    >>> side(np.array([2, 0, 1]), ["a", "b"], [2, 1]).starts.tolist()
    [0, 1, 2]
    >>> side(np.arange(2000), ["a", "b"], [1001, 999]).together
    2
    """
    total = max(len(order), 1)
    step = -(-len(order) // CELLS)
    ends = np.cumsum(sizes)
    starts = [
        place for end, size in zip(ends, sizes, strict=True) for place in range(int(end) - int(size), int(end), step)
    ]
    stretches = tuple(
        Stretch(name, (int(end) - int(size)) / total, int(size) / total)
        for name, end, size in zip(names, ends, sizes, strict=True)
        if size
    )
    return Side(order, np.array(starts, np.int64), stretches, blocks=True)


def singles(order: Ints, names: Sequence[str]) -> Side:
    """A side whose every position is a block of its own; ``names`` by position in the matrix."""
    step = -(-len(order) // CELLS)
    total = max(len(order), 1)
    stretches = tuple(Stretch(names[i], place / total, 1 / total) for place, i in enumerate(order.tolist()))
    return Side(order, np.arange(0, len(order), step), stretches, blocks=False)


@dataclass(frozen=True, eq=False)
class Drawing:
    """A matrix as a picture.

    Attributes
    ----------
    href
        A data URI.
    rows, columns
        Its sides.
    top
        The value of the lightest colour; larger values have it too.
    """

    href: str
    rows: Side
    columns: Side
    top: float

    @property
    def together(self) -> tuple[int, int]:
        """How many rows and columns a pixel stands for, at most."""
        return self.rows.together, self.columns.together


def draw(values: Numbers, rows: Side, columns: Side, *, top: float | None = None) -> Drawing:
    """The matrix as it stands on its sides, from 0 to ``top`` (default: its largest drawn value)."""
    cells = values[rows.order][:, columns.order].astype(np.float64)
    cells = _means(_means(cells, rows.starts).T, columns.starts).T
    most = float(np.nanmax(cells, initial=0)) if top is None else top
    shades = np.nan_to_num(cells / most if most > 0 else cells * 0, nan=0.0)
    return Drawing(_png((np.clip(shades, 0, 1) * 255).round().astype(np.uint8)), rows, columns, most)


def _means(values: npt.NDArray[np.float64], starts: Ints) -> npt.NDArray[np.float64]:
    """Means over the stretches of rows that begin at ``starts``."""
    if len(starts) == len(values):
        return values
    means: npt.NDArray[np.float64] = np.add.reduceat(values, starts, axis=0)
    return means / np.diff(np.append(starts, len(values)))[:, None]


def _png(shades: npt.NDArray[np.uint8]) -> str:
    image = Image.fromarray(shades, "P") if shades.size else Image.new("P", (1, 1))
    image.putpalette(scale().tobytes())
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=shades.size < CELLS * CELLS)
    return f"data:image/png;base64,{b64encode(stream.getvalue()).decode()}"


def overlay(shades: npt.NDArray[np.uint8]) -> str:
    """Shares of 255 in the colours of the scale, to be laid over an image: the less there is, the clearer it is.

    Parameters
    ----------
    shades
        (h, w).

    Returns
    -------
    str
        A data URI.
    """
    image = Image.fromarray(shades, "P")
    image.putpalette(scale().tobytes())
    stream = io.BytesIO()
    clear = bytes((_VEIL * np.linspace(0, 1, 256) ** 0.7).round().astype(np.uint8))
    image.save(stream, "PNG", optimize=True, transparency=clear)
    return f"data:image/png;base64,{b64encode(stream.getvalue()).decode()}"


# How opaque the most of a scale is over an image, of 255.
_VEIL = 200
