"""Unit masks on the label grid: the map read bilinearly at label-pixel centres and compared with a threshold.

A bilinear reading lies between its four cells, so a label pixel can only be on in a *square* between four cells of
which one reaches the threshold. Only those squares, about a sixth of all pixels, are ever computed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from interpkit.geometry.placement import Placement, grid_positions

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of the label grid cut into the h + 1 stretches between neighbouring cells and beyond the border.

    Attributes
    ----------
    before, after
        (h + 1,) the cells on either side of a stretch; the same cell beyond the border, where readings are clamped.
    pixel
        (h + 1, R) label pixels of a stretch; -1 where it has fewer than R.
    weight
        (h + 1, R) float32, share of the cell after; NaN where there is no pixel, so that no comparison holds.
    """

    before: Ints
    after: Ints
    pixel: Ints
    weight: Floats


def cut_axis(positions: npt.NDArray[np.float64], cells: int) -> Axis:
    """Cut an axis whose label pixels are read at ``positions`` (sh,), rising, on a map of ``cells`` cells."""
    stretch = np.clip(np.floor(positions).astype(np.int64) + 1, 0, cells)
    inside = (stretch > 0) & (stretch < cells)
    share = np.where(inside, positions - (stretch - 1), 0.0).astype(np.float32)
    place = np.arange(len(positions)) - np.searchsorted(stretch, stretch)
    shape = (cells + 1, int(place.max()) + 1)
    pixel, weight = np.full(shape, -1, np.int64), np.full(shape, np.nan, np.float32)
    pixel[stretch, place] = np.arange(len(positions))
    weight[stretch, place] = share
    edge = np.arange(cells + 1)
    return Axis(before=np.maximum(edge - 1, 0), after=np.minimum(edge, cells - 1), pixel=pixel, weight=weight)


@dataclass(frozen=True, eq=False)
class Squares:
    """Masks of several units on one image, as the squares in which something may be on.

    Attributes
    ----------
    unit
        (Q,) position in the maps given, rising.
    place
        (Q,) which square of the grid, a row of ``Resampler.pixel``.
    on
        (Q, P) bool, the mask in that square.
    """

    unit: Ints
    place: Ints
    on: Bools


class Resampler:
    """Reads maps (h, w) of one layer on a label grid (sh, sw).

    Attributes
    ----------
    pixel
        ((h + 1) * (w + 1), P) flat label pixels of each square, -1 where it has fewer than P.
    """

    def __init__(
        self,
        placement: Placement,
        *,
        map_size: tuple[int, int],
        input_size: tuple[int, int],
        grid: tuple[int, int],
    ) -> None:
        self.grid = grid
        rows, columns = grid_positions(placement, input_size=input_size, grid=grid)
        self._rows, self._columns = cut_axis(rows, map_size[0]), cut_axis(columns, map_size[1])
        self._down, self._across = self._rows.weight.T.copy(), self._columns.weight.T.copy()
        down, across = self._rows.pixel, self._columns.pixel
        flat = down[:, None, :, None] * grid[1] + across[None, :, None, :]
        exists = (down >= 0)[:, None, :, None] & (across >= 0)[None, :, None, :]
        self.pixel: Ints = np.where(exists, flat, -1).reshape(len(down) * len(across), -1)
        # First row of each stretch and the one past its last, for cutting masks out.
        self._top, self._bottom = down[:, 0], down.max(1) + 1
        self._occupied = np.outer((down >= 0).any(1), (across >= 0).any(1))

    def squares(self, maps: Floats, thresholds: Floats, *, strict: Bools) -> Squares:
        """The masks S >= T (> where ``strict``) of maps (U, h, w), in the squares where they may hold.

        Spec: Bau et al. 2017, section 2.3; ``strict`` for units whose threshold is their floor.
        """
        level = thresholds[:, None, None]
        fired = maps >= level
        if strict.any():
            fired[strict] = maps[strict] > level[strict]
        # Few cells fire: to list them is four times as fast as to ask each unit.
        firing = np.flatnonzero(fired) // (maps.shape[1] * maps.shape[2])
        firing = firing[np.flatnonzero(np.diff(firing, prepend=-1))]
        fired = fired[firing]
        reach = fired[:, self._rows.before] | fired[:, self._rows.after]
        reach = (reach[:, :, self._columns.before] | reach[:, :, self._columns.after]) & self._occupied
        unit, i, j = np.nonzero(reach)
        unit = firing[unit]
        limit = thresholds[unit]
        values = self._read(maps, unit, (i, j))
        on = values >= limit
        exclusive = strict[unit]
        if exclusive.any():
            on[:, exclusive] = values[:, exclusive] > limit[exclusive]
        place = i * len(self._columns.before) + j
        # OpenCV turns bytes five times as fast as numpy, but not none of them.
        turned = cv2.transpose(on.view(np.uint8)).view(np.bool_) if len(unit) else on.T
        return Squares(unit=unit, place=place, on=turned)

    def _read(self, maps: Floats, unit: Ints, square: tuple[Ints, Ints]) -> Floats:
        """(P, Q) readings in squares (i, j) of the units' maps; NaN where a square has no pixel."""
        i, j = square
        top, bottom = self._rows.before[i], self._rows.after[i]
        left, right = self._columns.before[j], self._columns.after[j]
        # Squares come last: numpy's inner loops then run over all of them and not over the few pixels of a side.
        across, down = self._across.take(j, axis=1), self._down.take(i, axis=1)
        above, below = maps[unit, top, left], maps[unit, bottom, left]
        upper = above + across * (maps[unit, top, right] - above)
        lower = below + across * (maps[unit, bottom, right] - below)
        values: Floats = down[:, None] * (lower - upper)
        values += upper
        return values.reshape(self.pixel.shape[1], len(unit))

    def mask(self, squares: Squares, unit: int) -> npt.NDArray[np.uint8]:
        """(sh, sw) uint8 mask of one unit: 1 on, 0 off."""
        low, high = np.searchsorted(squares.unit, [unit, unit + 1])
        flat = np.zeros(self.grid[0] * self.grid[1], np.uint8)
        flat[self.pixel[squares.place[low:high]][squares.on[low:high]]] = 1
        return flat.reshape(self.grid)

    def outline(self, squares: Squares, unit: int) -> str:
        """`outline` of one unit's mask."""
        low, high = np.searchsorted(squares.unit, [unit, unit + 1])
        own = Squares(unit=squares.unit[low:high] - unit, place=squares.place[low:high], on=squares.on[low:high])
        return self.outlines(own, 1)[0]

    def outlines(self, squares: Squares, units: int) -> list[str]:
        """`outline` of the masks of units 0 .. ``units`` - 1."""
        paths = [""] * units
        if len(squares.unit) == 0:
            return paths
        first = np.flatnonzero(np.diff(squares.unit, prepend=-1))
        last = np.append(first[1:], len(squares.unit)) - 1
        i = squares.place // len(self._columns.before)  # rising in a unit: squares come row by row
        top, bottom = self._top[i[first]], self._bottom[i[last]]
        # The rows of each mask one below the other, an empty one between: one call finds the contours of all.
        start = np.cumsum(np.append(0, bottom - top + 1))
        mosaic = np.zeros((start[-1], self.grid[1]), np.uint8)
        moved = np.repeat((start[:-1] - top) * self.grid[1], last + 1 - first)
        mosaic.reshape(-1)[(self.pixel[squares.place] + moved[:, None])[squares.on]] = 1
        corner = np.column_stack([np.zeros_like(top), top])
        for unit, path in zip(squares.unit[first].tolist(), _paths(mosaic, start[:-1], corner), strict=True):
            paths[unit] = path
        return paths


def outline(mask: npt.NDArray[np.uint8], *, offset: tuple[int, int] = (0, 0)) -> str:
    """SVG path data of a mask's outline along the edges of its pixels, x in 0..sw, y in 0..sh.

    ``offset`` (x, y) is where the mask's corner lies, for a mask cut out of a larger one. To be filled by the even-odd
    rule: holes are subpaths of their own. An empty mask gives an empty string.

    Examples
    --------
    >>> outline(np.array([[0, 1, 1], [0, 0, 0]], np.uint8))
    'M1 0v1h2v-1z'
    """
    (path,) = _paths(mask, np.zeros(1, np.int64), np.array([offset]))
    return path


def _paths(mosaic: npt.NDArray[np.uint8], start: Ints, corner: Ints) -> list[str]:
    """Path data of each of T masks that stand one below the other, from rows ``start`` (T,) on.

    ``corner`` (T, 2) is where the upper left corner of each mask lies, x and y.
    """
    # Contours run through pixel centres. On the doubled mask every pixel has its own left and right column, so a
    # contour coordinate c belongs to the pixel edge ceil(c / 2), for outer contours and for holes.
    rows, columns = mosaic.shape
    doubled = cv2.resize(mosaic, (2 * columns, 2 * rows), interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    paths = [""] * len(start)
    if not contours:
        return paths
    lengths = np.array([len(contour) for contour in contours])
    corners = (np.concatenate(contours)[:, 0].astype(np.int64) + 1) // 2
    tile = np.searchsorted(start, corners[np.cumsum(lengths) - lengths, 1], side="right") - 1
    corners += np.repeat((corner - np.column_stack([np.zeros_like(start), start]))[tile], lengths, axis=0)
    for one, subpath in zip(tile.tolist(), _subpaths(corners, lengths), strict=True):
        paths[one] += subpath
    return paths


def _subpaths(corners: Ints, lengths: Ints) -> Iterator[str]:
    """Closed paths through corner points (x, y) of consecutive contours, by relative moves, straight runs joined.

    A contour starts at a corner and does not repeat it, so that its last run never lies in line with the closing one.
    """
    contour = np.repeat(np.arange(len(lengths)), lengths)
    last = np.cumsum(lengths) - 1
    first = last + 1 - lengths
    x, y = np.diff(corners, axis=0, append=0).T
    x[last] = y[last] = 0  # from one contour to the next
    real = np.flatnonzero(x | y)
    across, contour = x[real] != 0, contour[real]
    turns = np.flatnonzero(np.diff(across, prepend=~across[:1]) | (np.diff(contour, prepend=-1) != 0))
    run = np.add.reduceat((x + y)[real], turns)
    across, contour = across[turns], contour[turns]
    reach = int(np.abs(run).max(initial=0))
    table = np.array([f"{way}{step}" for way in "vh" for step in range(-reach, reach + 1)], object)
    text = table[across * (2 * reach + 1) + run + reach].tolist()
    end = np.searchsorted(contour, np.arange(len(lengths) + 1)).tolist()
    for k, (x0, y0) in enumerate(corners[first].tolist()):
        yield f"M{x0} {y0}{''.join(text[end[k] : end[k + 1]])}z"
