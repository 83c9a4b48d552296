"""Part masks: what lies around the one place of a map passes, the rest is cut."""

from typing import Literal

import torch
from torch import Tensor

from interpkit.errors import InterpkitError, nearest
from interpkit.templates.formulas import BETA

Position = Literal["argmax", "centre"]
POSITIONS: tuple[Position, ...] = ("argmax", "centre")


def mask(maps: Tensor, beta: Tensor | float = BETA, position: Position = "argmax") -> Tensor:
    """The positive template at each map's place, cut off at 0: what a map is multiplied by (section 3.1 of the paper).

    1 at the place, falling with the L1 distance, 0 from max(h, w) / beta on. A map with nothing above 0 has no place:
    its mask is all ones.

    Parameters
    ----------
    maps
        (N, U, h, w); negative values count as 0.
    beta
        How steeply a mask falls: a number, or (U,).
    position
        As in `place`.

    Returns
    -------
    (N, U, h, w) from 0 to 1, in the type of the maps; a constant for back-propagation.

    Raises
    ------
    InterpkitError
        If there is no such position.

    Examples
    --------
    >>> mask(torch.tensor([[[[0.0, 0, 0], [0, 5, 1], [0, 0, 0]]]]), beta=2.0)
    tensor([[[[0.0000, 0.3333, 0.0000],
              [0.3333, 1.0000, 0.3333],
              [0.0000, 0.3333, 0.0000]]]])
    """
    return fitted(maps, beta, position).clamp_(min=0)


def fitted(maps: Tensor, beta: Tensor | float = BETA, position: Position = "argmax") -> Tensor:
    """(N, U, h, w) the positive template at each map's place, from 1 down to -1; `mask` is its upper part."""
    h, w = maps.shape[-2:]
    with torch.no_grad():
        row, column, alive = place(maps, position)
        steep = torch.as_tensor(beta, dtype=row.dtype, device=maps.device) / max(h, w)
        # Without a place nothing falls.
        slope = torch.where(alive, steep, 0.0)[..., None]
        rows, columns = (torch.arange(side, dtype=row.dtype, device=maps.device) for side in (h, w))
        along = 1 - slope * (rows - row[..., None]).abs()
        across = slope * (columns - column[..., None]).abs()
        return (along[..., :, None] - across[..., None, :]).clamp_(min=-1).to(maps.dtype)


def place(maps: Tensor, position: Position = "argmax") -> tuple[Tensor, Tensor, Tensor]:
    """Where each map has its one place.

    Parameters
    ----------
    maps
        (N, U, h, w); negative values count as 0.
    position
        ``argmax``: the largest value, the first cell of equal ones, as in the paper; ``centre``: the centre of mass,
        halves rounded up, as in the authors' release.

    Returns
    -------
    row, column, alive
        (N, U) each: cells from 0, as float32 or wider, and whether the map has anything above 0; the cell of one
        that has not is of no meaning.

    Raises
    ------
    InterpkitError
        If there is no such position.
    """
    w = maps.shape[-1]
    precision = torch.promote_types(maps.dtype, torch.float32)
    if position not in POSITIONS:
        close = ", ".join(nearest(position, POSITIONS) or POSITIONS)
        raise InterpkitError(f"a map has no position {position!r}; there is {close}")
    with torch.no_grad():
        if position == "argmax":
            peak, cell = maps.flatten(2).max(-1)
            row = torch.div(cell, w, rounding_mode="floor")
            return row.to(precision), (cell - row * w).to(precision), peak > 0
        mass = maps.to(precision).clamp(min=0)
        total = mass.sum((2, 3))
        row, column = (_centre(mass.sum(dim), total) for dim in (3, 2))
        return row, column, total > 0


def _centre(mass: Tensor, total: Tensor) -> Tensor:
    """(N, U) the rounded mean cell of mass (N, U, cells) along one axis."""
    cells = torch.arange(mass.shape[-1], dtype=mass.dtype, device=mass.device)
    return ((mass * cells).sum(-1) / total.clamp(min=torch.finfo(mass.dtype).tiny) + 0.5).floor()


def spread(maps: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """(N, U) root of the mean squared distance of a map's mass from a cell (N, U), in cells; 0 for a map without mass.

    Negative values count as 0.
    """
    precision = torch.promote_types(maps.dtype, torch.float32)
    with torch.no_grad():
        mass = maps.to(precision).clamp(min=0)
        total = mass.sum((2, 3)).clamp(min=torch.finfo(precision).tiny)
        squares = _moment(mass.sum(3), row) + _moment(mass.sum(2), column)
        return (squares / total).sqrt()


def _moment(mass: Tensor, cell: Tensor) -> Tensor:
    """(N, U) sum of squared distances from a cell (N, U), weighted by mass (N, U, cells) along one axis."""
    cells = torch.arange(mass.shape[-1], dtype=mass.dtype, device=mass.device)
    return (mass * (cells - cell[..., None]).square()).sum(-1)
