"""Unit masks on the label grid: the map read bilinearly at label-pixel centres and compared with a threshold.

A bilinear reading lies between its four cells, so a label pixel can only be on in a *square* between four cells of
which one reaches the threshold. Only those squares, about a sixth of all pixels, are ever computed.
"""

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
        down, across = self._rows.pixel, self._columns.pixel
        flat = down[:, None, :, None] * grid[1] + across[None, :, None, :]
        exists = (down >= 0)[:, None, :, None] & (across >= 0)[None, :, None, :]
        self.pixel: Ints = np.where(exists, flat, -1).reshape(len(down) * len(across), -1)
        # First label pixel of each stretch and the one past its last, for cutting masks out.
        self._top, self._bottom = down[:, 0].tolist(), (down.max(1) + 1).tolist()
        self._left, self._right = across[:, 0].tolist(), (across.max(1) + 1).tolist()
        self._occupied = np.outer((down >= 0).any(1), (across >= 0).any(1))

    def squares(self, maps: Floats, thresholds: Floats, *, strict: Bools) -> Squares:
        """The masks S >= T (> where ``strict``) of maps (U, h, w), in the squares where they may hold.

        Spec: Bau et al. 2017, section 2.3; ``strict`` for units whose threshold is their floor.
        """
        level = thresholds[:, None, None]
        fired = maps >= level
        if strict.any():
            fired[strict] = maps[strict] > level[strict]
        firing = np.flatnonzero(fired.any((1, 2)))
        fired = fired[firing]
        reach = fired[:, self._rows.before] | fired[:, self._rows.after]
        reach = (reach[:, :, self._columns.before] | reach[:, :, self._columns.after]) & self._occupied
        unit, i, j = np.nonzero(reach)
        unit = firing[unit]
        values = self._read(maps, unit, (i, j))
        limit = thresholds[unit][:, None, None]
        on = values >= limit
        exclusive = strict[unit]
        if exclusive.any():
            on[exclusive] = values[exclusive] > limit[exclusive]
        place = i * len(self._columns.before) + j
        return Squares(unit=unit, place=place, on=on.reshape(len(unit), self.pixel.shape[1]))

    def _read(self, maps: Floats, unit: Ints, square: tuple[Ints, Ints]) -> Floats:
        """(Q, Rh, Rw) readings in squares (i, j) of the units' maps; NaN where a square has no pixel."""
        i, j = square
        top, bottom = self._rows.before[i], self._rows.after[i]
        left, right = self._columns.before[j], self._columns.after[j]
        across = self._columns.weight[j]
        above, below = maps[unit, top, left][:, None], maps[unit, bottom, left][:, None]
        upper = above + across * (maps[unit, top, right][:, None] - above)
        lower = below + across * (maps[unit, bottom, right][:, None] - below)
        values: Floats = self._rows.weight[i][:, :, None] * (lower - upper)[:, None, :]
        values += upper[:, None, :]
        return values

    def mask(self, squares: Squares, unit: int) -> npt.NDArray[np.uint8]:
        """(sh, sw) uint8 mask of one unit: 1 on, 0 off."""
        low, high = np.searchsorted(squares.unit, [unit, unit + 1])
        flat = np.zeros(self.grid[0] * self.grid[1], np.uint8)
        flat[self.pixel[squares.place[low:high]][squares.on[low:high]]] = 1
        return flat.reshape(self.grid)

    def outline(self, squares: Squares, unit: int) -> str:
        """`outline` of one unit's mask."""
        low, high = np.searchsorted(squares.unit, [unit, unit + 1])
        if low == high:
            return ""
        i, j = np.divmod(squares.place[low:high], len(self._columns.before))
        top, bottom = self._top[i[0]], self._bottom[i[-1]]  # squares come row by row
        left, right = self._left[j.min()], self._right[j.max()]
        return outline(self.mask(squares, unit)[top:bottom, left:right], offset=(left, top))


def outline(mask: npt.NDArray[np.uint8], *, offset: tuple[int, int] = (0, 0)) -> str:
    """SVG path data of a mask's outline along the edges of its pixels, x in 0..sw, y in 0..sh.

    ``offset`` (x, y) is where the mask's corner lies, for a mask cut out of a larger one. To be filled by the even-odd
    rule: holes are subpaths of their own. An empty mask gives an empty string.

    Examples
    --------
    >>> outline(np.array([[0, 1, 1], [0, 0, 0]], np.uint8))
    'M1 0v1h2v-1z'
    """
    # Contours run through pixel centres. On the doubled mask every pixel has its own left and right column, so a
    # contour coordinate c belongs to the pixel edge ceil(c / 2), for outer contours and for holes.
    rows, columns = mask.shape
    doubled = cv2.resize(mask, (2 * columns, 2 * rows), interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    left, top = offset
    return "".join(_subpath(((contour[:, 0] + 1) // 2 + (left, top)).tolist()) for contour in contours)


def _subpath(corners: list[list[int]]) -> str:
    """Closed path through corner points [x, y], by relative moves, straight runs joined."""
    # Plain Python: a contour has some fifty corners, too few for arrays to pay.
    x, y = corners[0]
    path = [f"M{x} {y}"]
    right = down = 0
    for next_x, next_y in corners[1:]:
        if next_y != y and right:
            path.append(f"h{right}")
            right = 0
        if next_x != x and down:
            path.append(f"v{down}")
            down = 0
        right, down = right + next_x - x, down + next_y - y
        x, y = next_x, next_y
    if right and y != corners[0][1]:
        path.append(f"h{right}")
    if down and x != corners[0][0]:
        path.append(f"v{down}")
    return "".join(path) + "z"
