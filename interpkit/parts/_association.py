"""Which units cover which part masks: what a unit sees on an image against where the part is. numpy only.

Source: Zhang, Wu and Zhu, "Interpretable Convolutional Neural Networks", CVPR 2018, section 5.2.1. A unit's sight is
the union of discs around its cells above the threshold; the paper does not give their radius.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpkit.errors import InterpkitError
from interpkit.geometry import Field, Placement
from interpkit.geometry.placement import grid_positions

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

# A disc wider than this share of the input's shorter side covers more than parts do.
LARGEST_RADIUS = 1 / 8
# IoU above one in so many: the paper's 0.2, and Network Dissection's 0.04.
PAPER, DISSECTION = 5, 25
WORD = 64

# Words of masks that are taken at a time.
_BLOCK = 1 << 20


def default_radius(field: Field, input_size: tuple[int, int]) -> float:
    """Half the side of the receptive field, at most an eighth of the input's shorter side; input pixels.

    Examples
    --------
    >>> default_radius(Field(size=(11, 11), stride=(4, 4), centre=(5, 5)), (224, 224))
    5.5
    >>> default_radius(Field(size=(196, 196), stride=(16, 16), centre=(7.5, 7.5)), (224, 224))
    28.0
    """
    return min(sum(field.size) / 4, LARGEST_RADIUS * min(input_size))


@dataclass(frozen=True, eq=False)
class Overlaps:
    """How often units cover parts, over the images that contain the part.

    Attributes
    ----------
    strict
        (U, P) share of the part's images on which the IoU of sight and part exceeds 0.2; NaN where no image has it.
    loose
        (U, P) the same for 0.04, as in Network Dissection.
    chance_strict, chance_loose
        (U, P) the same with the part masks of other images: the chance level.
    images, chance_images
        (P,) on how many images.
    """

    strict: Floats
    loose: Floats
    chance_strict: Floats
    chance_loose: Floats
    images: Ints
    chance_images: Ints


class Association:
    """Counts, image by image, where units cover parts.

    A unit's sight on an image is made of its cells above the threshold: the pixels of the label grid whose centres
    lie within ``radius`` of such a cell's centre, and the pixel that holds it. With ``radius`` None each pixel
    belongs to its nearest cell.

    Parameters
    ----------
    thresholds
        (U,) a cell is on where its activation is greater.
    placement
        Where cells lie on the input.
    map_size, input_size, grid
        (h, w), (H, W) and the part masks' (gh, gw).
    radius
        Input pixels, or None.
    parts
        P.

    Raises
    ------
    InterpkitError
        If ``radius`` is not positive.
    """

    def __init__(
        self,
        thresholds: npt.NDArray[np.floating],
        placement: Placement,
        *,
        map_size: tuple[int, int],
        input_size: tuple[int, int],
        grid: tuple[int, int],
        radius: float | None,
        parts: int,
    ) -> None:
        if radius is not None and not radius > 0:
            raise InterpkitError(f"the radius is a positive number of input pixels, this is {radius:g}")
        self._thresholds = thresholds[:, None]
        rows, columns = grid_positions(placement, input_size=input_size, grid=grid)
        if radius is None:
            down, across = _nearest(rows, map_size[0]), _nearest(columns, map_size[1])
            seen = (row[None, :, None] & across[:, None] for row in down)
        else:
            away = _away(rows, map_size[0], placement.stride[0]), _away(columns, map_size[1], placement.stride[1])
            pixel = input_size[0] / grid[0], input_size[1] / grid[1]
            seen = (_disc(row, away[1], radius=radius, pixel=pixel) for row in away[0])
        self._sight = np.concatenate([_packed(row.reshape(map_size[1], -1)) for row in seen])
        # [images' own masks, other images' masks]: hits at both limits, and images with the part.
        self._hits = np.zeros((2, 2, len(thresholds), parts), np.int64)
        self._images = np.zeros((2, parts), np.int64)

    def add(self, maps: npt.NDArray[np.floating], masks: Bools, partner: Bools | None = None) -> None:
        """Take in one image.

        Parameters
        ----------
        maps
            (U, h, w) activations.
        masks
            (P, gh, gw) where each part is.
        partner
            The same of another image, for the chance level.
        """
        given = [_packed(part.reshape(len(part), -1)) for part in (masks, partner) if part is not None]
        sizes = [np.bitwise_count(part).sum(1, dtype=np.int64) for part in given]
        present = [np.flatnonzero(size) for size in sizes]
        for images, here in zip(self._images, present, strict=False):
            images[here] += 1
        unit, cell = np.nonzero(maps.reshape(len(maps), -1) > self._thresholds)
        for units, cells in self._pieces(unit, cell):
            start = np.flatnonzero(np.diff(units, prepend=-1))
            sight = np.bitwise_or.reduceat(self._sight[cells], start, axis=0)
            covered = np.bitwise_count(sight).sum(1, dtype=np.int64)
            for hits, part, size, here in zip(self._hits, given, sizes, present, strict=False):
                for p in here:
                    both = np.bitwise_count(sight & part[p]).sum(1, dtype=np.int64)
                    either = covered + size[p] - both
                    hits[0, units[start], p] += both * PAPER > either
                    hits[1, units[start], p] += both * DISSECTION > either

    def _pieces(self, unit: Ints, cell: Ints) -> list[tuple[Ints, Ints]]:
        """The cells that are on, in pieces of whole units that take bounded memory."""
        room = max(1, _BLOCK // self._sight.shape[1])
        first = np.flatnonzero(np.diff(unit, prepend=-1))
        # A unit starts a new piece where its last cell passes a multiple of the room.
        last = np.append(first[1:], len(unit)) - 1
        cuts = first[1:][np.diff(last // room) > 0]
        return [piece for piece in zip(np.split(unit, cuts), np.split(cell, cuts), strict=True) if len(piece[0])]

    def result(self) -> Overlaps:
        """The shares of all images taken in so far."""
        shares = self._hits / np.where(self._images > 0, self._images, np.nan)[:, None, None]
        (strict, loose), (chance_strict, chance_loose) = shares
        return Overlaps(
            strict=strict,
            loose=loose,
            chance_strict=chance_strict,
            chance_loose=chance_loose,
            images=self._images[0].copy(),
            chance_images=self._images[1].copy(),
        )


def _nearest(positions: Floats, cells: int) -> Bools:
    """(cells, pixels) whether a pixel at ``positions`` on the map belongs to a cell: halves go to the later one."""
    nearest = np.clip(np.floor(positions + 0.5), 0, cells - 1)
    belongs: Bools = np.equal(nearest, np.arange(cells)[:, None])
    return belongs


def _away(positions: Floats, cells: int, stride: float) -> Floats:
    """(cells, pixels) input pixels from each cell's centre to the label pixels at ``positions`` on the map."""
    away: Floats = (positions - np.arange(cells)[:, None]) * stride
    return away


def _disc(down: Floats, across: Floats, *, radius: float, pixel: tuple[float, float]) -> Bools:
    """(w, gh, gw) what a row of cells sees: the disc around each, and the label pixel that holds its centre."""
    around = down[:, None] ** 2 + across[:, None] ** 2 <= radius**2
    holds: Bools = (np.abs(down) <= pixel[0] / 2)[:, None] & (np.abs(across) <= pixel[1] / 2)[:, None]
    return holds | around


def _packed(masks: Bools) -> Words:
    """Masks (M, G) as bits, (M, words)."""
    padded = np.zeros((len(masks), -(-masks.shape[1] // WORD) * WORD), np.bool_)
    padded[:, : masks.shape[1]] = masks
    return np.packbits(padded, axis=1).view(np.uint64)
