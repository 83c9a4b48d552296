"""Which nodes of the layer above a node is tied to, and which nodes of a filter are the same."""

from dataclasses import dataclass

import torch
from torch import Tensor

from interpkit.em.steps import Found

# Numbers of a comparison of nodes with their own candidates at a time.
_BLOCK = 1 << 24
# Nodes that are compared with all candidates at a time, so that the comparison stays in the cache; and images, at most.
_NODES, _LOOKED = 256, 200
# A logarithm of nothing.
_NOTHING = -200.0


@dataclass(frozen=True, eq=False)
class Candidates:
    """Nodes of the layer above that may be tied to, and how they moved over I images.

    Attributes
    ----------
    index
        (C,) which of the V' nodes.
    moved
        (I, C, 2) how far from their mean, pixels.
    seen
        (I, C) whether they have a place on the image.
    """

    index: Tensor
    moved: Tensor
    seen: Tensor


def candidates(
    place: Tensor, score: Tensor, *, edge: tuple[float, float, float, float], limit: int = 600
) -> Candidates:
    """The nodes above that are worth being tied to: those that move, not at the border, of the highest scores.

    Parameters
    ----------
    place, score
        (I, V', 2) and (I, V') where they are and how strongly; score 0 where they have no place.
    edge
        The least and greatest row, the least and greatest column of a mean place that is not at the border.
    limit
        How many.
    """
    seen = score > 0
    moved, mean = displacement(place, seen)
    number = seen.sum(0).clamp(min=1)
    variance = (moved.square().sum(-1) * seen).sum(0) / number
    inside = (mean[:, 0] >= edge[0]) & (mean[:, 0] <= edge[1]) & (mean[:, 1] >= edge[2]) & (mean[:, 1] <= edge[3])
    alive = seen.any(0)
    # Half of those alive: a node that never moves agrees with everything and tells nothing.
    median = variance[alive].median() if alive.any() else variance.new_zeros(())
    chosen = alive & inside & (variance > median)
    chosen = chosen if chosen.any() else alive
    strength = torch.where(chosen, score.sum(0), torch.full_like(variance, -1))
    order = torch.sort(strength, descending=True, stable=True).indices[: min(limit, int(chosen.sum()))]
    return Candidates(order, moved[:, order], seen[:, order])


def displacement(place: Tensor, seen: Tensor, mean: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """How far nodes (I, V, 2) lie from their mean, 0 where they have no place, and that mean (V, 2) unless given."""
    here = seen[..., None]
    if mean is None:
        mean = (place.double() * here).sum(0) / here.sum(0).clamp(min=1)
        mean = mean.to(place.dtype)
    return torch.where(here, place - mean, torch.zeros_like(place)), mean


def pick_edges(found: Found, above: Candidates, number: int) -> Tensor:
    """(D, N, M) the candidates that move most like each node, M = ``number`` or all there are, best first.

    A candidate's worth is the sum over images of the node's score there times exp(-|d - d'|^2 / 2c), d and d' being
    how far the two lie from their means and c the mean of |d - d'|^2 over candidates and images. Images on which
    either has no place do not count. Of more than 200 images, 200 evenly spaced ones are looked at: who moves with
    whom is plain by then, and this is the one step that compares every node with every candidate.
    """
    images, filters, nodes, _ = found.place.shape
    score = found.score.reshape(images, -1)
    moved, _ = displacement(found.place.reshape(images, -1, 2), score > 0)
    looked = torch.linspace(0, images - 1, min(images, _LOOKED), device=score.device).round().long()
    moved, score = moved[looked], score[looked]
    seen = Candidates(above.index, above.moved[looked], above.seen[looked])
    pairs = zip(torch.split(moved, _NODES, dim=1), torch.split(score, _NODES, dim=1), strict=True)
    edges = torch.cat([_best(*pair, seen, number=number) for pair in pairs])
    return above.index[edges].reshape(filters, nodes, -1)


def _best(moved: Tensor, score: Tensor, above: Candidates, *, number: int) -> Tensor:
    """(v, M) positions among the candidates.

    The logarithm of what an image adds is one matrix product: |d|^2, |d'|^2 and d d' over 2c, and the logarithm of the
    score, which for nodes and candidates without a place is so low that nothing is added.
    """
    steep = 1 / (2 * _usual_distance(moved, score > 0, above)).clamp(min=torch.finfo(moved.dtype).eps)
    own = score.log().clamp(min=_NOTHING) - steep * moved.square().sum(-1)
    ones = torch.ones_like(own)
    left = torch.stack([*(2 * steep[:, None] * moved).unbind(-1), own, -steep * ones, ones], -1)
    second, absent = above.moved.square().sum(-1), torch.where(above.seen, 0.0, _NOTHING).to(moved.dtype)
    right = torch.stack([*above.moved.unbind(-1), torch.ones_like(second), second, absent], 1)
    worth = moved.new_zeros(moved.shape[1], len(above.index))
    added = torch.empty_like(worth)
    for one, other in zip(left, right, strict=True):
        worth += torch.mm(one, other, out=added).exp_()
    return worth.topk(min(number, worth.shape[1]), dim=1).indices


def agreement(found: Found, above: Candidates, edges: Tensor) -> Tensor:
    """(D, N, M) how alike nodes move with those they are tied to, 0 to 1.

    The mean over images, weighted by the node's score, of exp(-|d - d'|^2 / 2c) as in `pick_edges`, c being the mean
    of |d - d'|^2 over all of ``above`` and the images. 0 for a node that has no place.

    Parameters
    ----------
    above
        All nodes above, in their own order: ``index`` is not looked at.
    edges
        (D, N, M) positions in ``above``.
    """
    images, filters, nodes, _ = found.place.shape
    score = found.score.reshape(images, -1)
    moved, _ = displacement(found.place.reshape(images, -1, 2), score > 0)
    width = (2 * _usual_distance(moved, score > 0, above)).clamp(min=torch.finfo(moved.dtype).eps)
    flat = edges.reshape(filters * nodes, -1)
    parts = torch.split(torch.arange(len(flat), device=score.device), max(1, _BLOCK // max(images * flat.shape[1], 1)))
    alike = [_alike(moved[:, part], score[:, part], above, edges=flat[part], width=width[part]) for part in parts]
    return torch.cat(alike).reshape(edges.shape)


def _usual_distance(moved: Tensor, seen: Tensor, above: Candidates) -> Tensor:
    """(V,) mean of |d - d'|^2 over all d' and images on which both have a place, by the squares' expansion."""
    number, first = above.seen.sum(1).to(moved.dtype), above.moved.sum(1)
    second = above.moved.square().sum((1, 2))
    total = number[:, None] * moved.square().sum(-1) - 2 * (moved * first[:, None]).sum(-1) + second[:, None]
    return (total * seen).sum(0) / (number[:, None] * seen).sum(0).clamp(min=1)


def _alike(moved: Tensor, score: Tensor, above: Candidates, *, edges: Tensor, width: Tensor) -> Tensor:
    """(v, M) of some nodes."""
    squared = (moved[:, :, None] - above.moved[:, edges]).square().sum(-1)
    weight = score[:, :, None] * above.seen[:, edges]
    total = score.sum(0)[:, None].clamp(min=torch.finfo(score.dtype).tiny)
    return (weight * (-squared / width[:, None]).exp()).sum(0) / total


def representatives(found: Found, *, cell: float, share: float = 0.8) -> Tensor:
    """(D, N) the node of its filter that stands for each node: itself, or a stronger one that it coincides with.

    Two nodes coincide if they lie less than a cell apart on more than ``share`` of the images on which both have a
    place. For reports: nodes are never merged while they are fitted, since that could lower the likelihood.

    Parameters
    ----------
    cell
        Pixels from cell to cell.
    """
    filters, number = found.score.shape[1:]
    order = torch.sort(found.score.sum(0), dim=1, descending=True, stable=True).indices
    place = torch.take_along_dim(found.place, order[None, :, :, None], 2)
    seen = torch.take_along_dim(found.score, order[None], 2) > 0
    few = max(1, _BLOCK // max(2 * len(seen) * number * number, 1))
    parts = zip(torch.split(place, few, dim=1), torch.split(seen, few, dim=1), strict=True)
    alike = torch.cat([_coincide(*part, cell=cell, share=share) for part in parts])
    # By rank, strongest first: which rank stands for each, and which ranks stand for themselves.
    stands = torch.arange(number, device=place.device).repeat(filters, 1)
    kept = torch.zeros(filters, number, dtype=torch.bool, device=place.device)
    for rank in range(number):
        stronger = alike[:, rank] & kept
        held = stronger.any(1)
        stands[held, rank] = stronger.int().argmax(1)[held]
        kept[:, rank] = ~held
    return torch.empty_like(order).scatter_(1, order, torch.take_along_dim(order, stands, 1))


def _coincide(place: Tensor, seen: Tensor, *, cell: float, share: float) -> Tensor:
    """(d, N, N) whether two nodes of a filter lie within a cell on most images on which both have a place."""
    both = seen[:, :, :, None] & seen[:, :, None]
    near: Tensor = ((place[:, :, :, None] - place[:, :, None]).norm(dim=-1) < cell) & both
    alike: Tensor = near.sum(0) > share * both.sum(0).clamp(min=1)
    return alike
