"""E- and M-step of one layer of an explanatory graph, and inference: pure tensor functions.

One layer at a time. A filter's map is a histogram: cell x holds F(x) = max(f_x, 0). A node is a Gaussian in the image
whose middle moves with the nodes of the layer above that it is tied to; N nodes and a constant noise explain the
histogram of their filter. Everything is in pixels of the network's input.

Letters: B images of a chunk, I of all, D filters, N nodes a filter, M edges a node, h w cells, V' nodes above.
Source: Zhang, Cao, Shi, Wu, Zhu, "Interpreting CNN Knowledge via an Explanatory Graph", AAAI 2018, arXiv 1708.01785.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Weight below which a node explains nothing and keeps its parameters.
IDLE = 1e-6
# Below this an agreement is 0 in single precision.
LOWEST = -60.0
# Numbers of nodes times cells at a time, so that they stay in the cache.
_DENSE = 1 << 22


@dataclass(frozen=True, eq=False)
class Grid:
    """Where cells lie: ``rows`` (h,) and ``columns`` (w,), pixels, evenly spaced."""

    rows: Tensor
    columns: Tensor

    @property
    def cell(self) -> float:
        """Pixels^2 of a cell."""
        return _spacing(self.rows) * _spacing(self.columns)


def _spacing(axis: Tensor) -> float:
    return float(axis[1] - axis[0]) if len(axis) > 1 else 1.0


@dataclass(frozen=True, eq=False)
class Nodes:
    """Parameters of a layer's nodes: ``place`` (D, N, 2) row and column, ``sigma`` (D, N), pixels."""

    place: Tensor
    sigma: Tensor


def start(filters: int, number: int, grid: Grid, *, sigma: float, draws: torch.Generator) -> Nodes:
    """``number`` nodes a filter at different cells, drawn from ``draws``, all with the same deviation.

    Fewer than asked for where a map has fewer cells.
    """
    h, w = len(grid.rows), len(grid.columns)
    cells = torch.rand(filters, h * w, generator=draws).argsort(1)[:, : min(number, h * w)].to(grid.rows.device)
    rows, columns = torch.div(cells, w, rounding_mode="floor"), cells % w
    place = torch.stack([grid.rows[rows], grid.columns[columns]], -1)
    return Nodes(place, torch.full(cells.shape, sigma, dtype=place.dtype, device=place.device))


@dataclass(frozen=True, eq=False)
class Guide:
    """What the layer above says of each node on B images.

    Attributes
    ----------
    shift
        (B, D, N, 2) how far its middle moves, pixels.
    log_agreement
        (B, D, N) logarithm of how well its neighbours agree, at most 0.
    """

    shift: Tensor
    log_agreement: Tensor


def guide(moved: Tensor, sigma: Tensor, edges: Tensor, *, seen: Tensor) -> Guide:
    """The product of what the neighbours of each node say, in closed form: one Gaussian and a factor.

    Parameters
    ----------
    moved
        (B, V', 2) how far the nodes above lie from their own mean over the training images.
    sigma
        (V',) their deviations.
    edges
        (D, N, M) which of them each node is tied to.
    seen
        (B, V') whether they have a place on the image; those without one say nothing.
    """
    weight = seen[:, edges] / sigma[edges].square()
    total = weight.sum(-1)
    told = moved[:, edges]
    shift = (weight[..., None] * told).sum(-2) / total.clamp(min=torch.finfo(total.dtype).tiny)[..., None]
    away = (weight * (told - shift[..., None, :]).square().sum(-1)).sum(-1)
    number = seen[:, edges].sum(-1).clamp(min=1)
    log_mean = (total / number).clamp(min=torch.finfo(total.dtype).tiny).log()
    geometric = (seen[:, edges] * -2 * sigma[edges].log()).sum(-1) / number
    agreement = geometric - log_mean - away / (2 * number)
    agreement = torch.where(total > 0, agreement, torch.zeros_like(agreement))
    return Guide(shift, agreement.clamp(min=LOWEST, max=0))


@dataclass(frozen=True, eq=False)
class Sums:
    """What the M-step needs, summed over images in double precision.

    Attributes
    ----------
    weight
        (D, N) sum of what each node explains.
    first
        (D, N, 2) the same times how far a cell lies from the node's middle, rows and columns, pixels.
    second
        (D, N) the same times the squared distance.
    likelihood
        (D,) sum of F(x) log P(p_x), nats.
    """

    weight: Tensor
    first: Tensor
    second: Tensor
    likelihood: Tensor


def expect(
    maps: Tensor, nodes: Nodes, grid: Grid, *, told: Guide | None, noise: float, before: Sums | None = None
) -> Sums:
    """E-step on B images: who explains which cell, and the sums over cells and images that follow from it.

    Gaussians are isotropic, so each is a product over rows and columns: three batched matrix products, and never an
    array of nodes times cells.

    Parameters
    ----------
    maps
        (B, D, h, w) F, not negative.
    told
        Of these images; None for a layer without one above.
    noise
        The constant of the component that is no part, in units of one over a cell.
    before
        Sums over earlier images, which these are added to one by one: chunks of any size then give the same.
    """
    offsets, factors = _factors(nodes, grid, told)
    (down, across), (tall, wide) = offsets, factors
    mixture = _mixture(factors, grid, noise)
    likelihood = _likelihood(maps, mixture, nodes)
    ratio = maps / mixture
    tall = (wide @ ratio.transpose(-1, -2)).mul_(tall)
    wide = (factors[0] @ ratio).mul_(wide)
    weight = tall.sum(-1)
    tall, wide = tall.mul_(down), wide.mul_(across)
    first = torch.stack([tall.sum(-1), wide.sum(-1)], -1)
    second = (tall.mul_(down)).sum(-1) + (wide.mul_(across)).sum(-1)
    parts = (weight, first, second, likelihood)
    totals = (None,) * 4 if before is None else (before.weight, before.first, before.second, before.likelihood)
    return Sums(*(_added(part, total) for part, total in zip(parts, totals, strict=True)))


def likelihood(maps: Tensor, nodes: Nodes, grid: Grid, *, told: Guide | None, noise: float) -> Tensor:
    """(B, D) sum over cells of F(x) log P(p_x), nats, of each image and filter."""
    _, factors = _factors(nodes, grid, told)
    return _likelihood(maps, _mixture(factors, grid, noise), nodes)


def _mixture(factors: tuple[Tensor, Tensor], grid: Grid, noise: float) -> Tensor:
    """(B, D, h, w) sum of the nodes' Gaussians and the noise, per squared pixel."""
    tall, wide = factors
    return tall.transpose(-1, -2) @ wide + noise / grid.cell


def _likelihood(maps: Tensor, mixture: Tensor, nodes: Nodes) -> Tensor:
    return (maps * (mixture / (nodes.sigma.shape[1] + 1)).log()).sum((-1, -2))


def _factors(nodes: Nodes, grid: Grid, told: Guide | None) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Distances from the middles (B, D, N, h) and (B, D, N, w), and the two factors of the Gaussians there."""
    middle = nodes.place[None] if told is None else nodes.place + told.shift
    down = grid.rows - middle[..., 0, None]
    across = grid.columns - middle[..., 1, None]
    steep = (-0.5 / nodes.sigma.square())[..., None]
    height = -(2 * math.pi * nodes.sigma.square()).log()
    if told is not None:
        height = height + told.log_agreement
    tall = (down.square() * steep).exp_()
    wide = (across.square() * steep + height[..., None]).exp_()
    return (down, across), (tall, wide)


def _added(values: Tensor, total: Tensor | None) -> Tensor:
    """The sum over the first axis, one image after the other, on top of ``total``."""
    total = torch.zeros(values.shape[1:], dtype=torch.float64, device=values.device) if total is None else total.clone()
    for one in values:
        total += one
    return total


def maximise(nodes: Nodes, sums: Sums, *, bounds: tuple[float, float], rate: float = 1.0) -> Nodes:
    """M-step: the places and deviations that explain best what the nodes explain; ``bounds`` of sigma, pixels.

    A node that explains nothing keeps its parameters. With ``rate`` below 1 places go only part of the way.
    """
    moves = sums.weight > IDLE
    weight = sums.weight.clamp(min=IDLE)
    step = rate * sums.first / weight[..., None]
    spread = sums.second - 2 * (step * sums.first).sum(-1) + sums.weight * step.square().sum(-1)
    sigma = (spread / (2 * weight)).clamp(min=0).sqrt().clamp(*bounds).to(nodes.sigma.dtype)
    place = nodes.place + step.to(nodes.place.dtype)
    return Nodes(torch.where(moves[..., None], place, nodes.place), torch.where(moves, sigma, nodes.sigma))


@dataclass(frozen=True, eq=False)
class Found:
    """Where nodes are on B images.

    Attributes
    ----------
    place
        (B, D, N, 2) the cell that fits best, row and column in pixels; where a filter is silent, where the node would
        be expected.
    score
        (B, D, N) F(x) P(p_x | node) there; 0 where the filter is silent.
    """

    place: Tensor
    score: Tensor


def infer(maps: Tensor, nodes: Nodes, grid: Grid, *, told: Guide | None) -> Found:
    """The cell at which each node explains most, and how much (the papers' S and p).

    A few filters at a time: nodes times cells of all of them may be gigabytes.
    """
    _, (tall, wide) = _factors(nodes, grid, told)
    few = max(1, _DENSE // max(1, len(maps) * nodes.sigma.shape[1] * math.prod(maps.shape[2:])))
    parts = (torch.split(one, few, dim=1) for one in (maps, tall, wide))
    best = [_highest(*part) for part in zip(*parts, strict=True)]
    score, row, column = (torch.cat(one, 1) for one in zip(*best, strict=True))
    found = torch.stack([grid.rows[row], grid.columns[column]], -1)
    expected = nodes.place[None] if told is None else nodes.place + told.shift
    return Found(torch.where((score > 0)[..., None], found, expected), score)


def _highest(maps: Tensor, tall: Tensor, wide: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, d, N) greatest product of some filters' maps and Gaussians, and the row and column of its cell.

    The best row is found with the best column of each row, so nodes times cells are read once.
    """
    shape = (*maps.shape[:2], tall.shape[2], *maps.shape[2:])
    # (B, d, N, h): the best of each row. The product is the one array of nodes times cells.
    best = (maps[:, :, None] * wide[..., None, :]).amax(-1).mul_(tall.expand(shape[:-1]))
    score, row = best.max(-1)
    rows = torch.take_along_dim(maps[:, :, None].expand(shape), row[..., None, None], -2)[..., 0, :]
    return score, row, (rows * wide).argmax(-1)


def explained(found: Found, nodes: Nodes) -> Tensor:
    """(B, D, N) activation that each node explains at its place: F(x) times its Gaussian there over its own peak.

    The papers' score F(x) P(p_x | node) is a density, which is highest for the narrowest nodes whatever they find.
    This one, in the units of F, ranks nodes of different deviations, and filters at their arg-max beside them. Where
    the layer above disagrees it is lower, as the score is.
    """
    return found.score * (2 * math.pi * nodes.sigma.square())
