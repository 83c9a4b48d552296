"""Which nodes of the layer above a node is tied to, and which nodes of a filter are the same."""

from dataclasses import dataclass

import torch
from torch import Tensor

from interpkit.em.steps import Found

# Numbers of a comparison of nodes with candidates at a time.
_BLOCK = 1 << 24


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
    either has no place do not count.
    """
    images, filters, nodes, _ = found.place.shape
    score = found.score.reshape(images, -1)
    moved, _ = displacement(found.place.reshape(images, -1, 2), score > 0)
    edges = [
        _best(moved[:, part], score[:, part], above, number=number)
        for part in torch.split(torch.arange(filters * nodes, device=score.device), _nodes_at_once(above))
    ]
    return above.index[torch.cat(edges)].reshape(filters, nodes, -1)


def _nodes_at_once(above: Candidates) -> int:
    return max(1, _BLOCK // max(above.seen.numel(), 1))


def _best(moved: Tensor, score: Tensor, above: Candidates, *, number: int) -> Tensor:
    """(v, M) positions among the candidates."""
    both = (score.T[:, :, None] > 0) & above.seen
    squared = (moved.transpose(0, 1)[:, :, None] - above.moved).square().sum(-1)
    mean = (squared * both).sum((1, 2)) / both.sum((1, 2)).clamp(min=1)
    width = (2 * mean).clamp(min=torch.finfo(mean.dtype).eps)
    worth = (score.T[:, :, None] * both * (-squared / width[:, None, None]).exp()).sum(1)
    return worth.topk(min(number, worth.shape[1]), dim=1).indices


def agreement(found: Found, above: Candidates, edges: Tensor) -> Tensor:
    """(D, N, M) how alike nodes move with those they are tied to, 0 to 1.

    The mean over images, weighted by the node's score, of exp(-|d - d'|^2 / 2c), as in `pick_edges`, but with c the
    mean over the node's own edges. 0 for a node that has no place.

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
    flat = edges.reshape(filters * nodes, -1)
    parts = torch.split(torch.arange(len(flat), device=score.device), max(1, _BLOCK // max(images * flat.shape[1], 1)))
    alike = [_alike(moved[:, part], score[:, part], above, flat[part]) for part in parts]
    return torch.cat(alike).reshape(edges.shape)


def _alike(moved: Tensor, score: Tensor, above: Candidates, edges: Tensor) -> Tensor:
    """(v, M) of some nodes."""
    squared = (moved[:, :, None] - above.moved[:, edges]).square().sum(-1)
    both = (score[:, :, None] > 0) & above.seen[:, edges]
    mean = (squared * both).sum((0, 2)) / both.sum((0, 2)).clamp(min=1)
    width = (2 * mean).clamp(min=torch.finfo(mean.dtype).eps)
    weight = score[:, :, None] * both
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
    stands = torch.empty(filters, number, dtype=torch.long, device=found.place.device)
    for d in range(filters):
        place, seen = found.place[:, d], found.score[:, d] > 0
        kept: list[int] = []
        for n in order[d].tolist():
            both = seen[:, kept] & seen[:, [n]]
            near = ((place[:, kept] - place[:, [n]]).norm(dim=-1) < cell) & both
            alike = near.sum(0) > share * both.sum(0).clamp(min=1)
            stands[d, n] = kept[int(alike.int().argmax())] if bool(alike.any()) else n
            kept += [n] if not bool(alike.any()) else []
    return stands
