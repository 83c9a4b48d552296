"""Which nodes of a graph a page draws: few, apart from each other, and hanging together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from interpkit.results import GraphLayer

# Nodes of each layer that are drawn.
SHOWN = 8
# Nearer to the border than this share of the input, a node's patches are mostly reflection; nearer to another node, the
# two show the same.
BORDER = 0.1

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def shown_nodes(
    layers: Sequence[GraphLayer], input_size: tuple[int, int], *, count: int = SHOWN
) -> list[tuple[int, int]]:
    """(layer, node) of those that are drawn: the topmost layer's first, of each layer the best first.

    One layer begins, with its strongest nodes: the second from below, whose maps are fine and which has neighbours on
    both sides, or the lower one of two. From there each drawn node in turn brings the neighbour that is best by score
    times agreement, until a layer has enough; so no single node gathers all lines. What is still lacking is filled with
    the layer's strongest.
    Nodes that stand for others or for nothing are left out; so are, while others are left, those at the border, and
    those within a cell or a tenth of the input of one that is drawn.
    """
    views = [_View(layer, input_size) for layer in layers]
    first = 1 if len(layers) > 2 else 0
    chosen = {first: _filled(views[first], [], count)}
    for number in range(first + 1, len(layers)):
        below = views[number - 1]
        brought = [below.parents(node, views[number]) for node in chosen[number - 1]]
        chosen[number] = _filled(views[number], _in_turn(views[number], brought, count), count)
    for number in range(first - 1, -1, -1):
        above = views[number + 1]
        brought = [views[number].children(node, above) for node in chosen[number + 1]]
        chosen[number] = _filled(views[number], _in_turn(views[number], brought, count), count)
    return [(number, node) for number in reversed(range(len(layers))) for node in views[number].ranked(chosen[number])]


@dataclass(frozen=True, eq=False)
class _View:
    """A layer, as one looks for nodes to draw."""

    layer: GraphLayer
    input_size: tuple[int, int]

    @cached_property
    def gap(self) -> Floats:
        """(2,) within which of each other two nodes show the same."""
        return np.maximum(self.layer.placement[1], BORDER * min(self.input_size))

    @cached_property
    def inside(self) -> Bools:
        """(V,) away from the border."""
        size, mean = np.asarray(self.input_size), self.layer.mean
        low, high = BORDER * size - 0.5, (1 - BORDER) * size - 0.5
        inside: Bools = np.all(np.logical_and(mean > low, mean < high), axis=1)
        return inside

    def ranked(self, nodes: Sequence[int]) -> list[int]:
        """Nodes by falling score, those at the border last."""
        return sorted(nodes, key=lambda node: (not self.inside[node], -self.layer.score[node], node))

    @cached_property
    def value(self) -> Floats:
        """(V,) the score, 0 for nodes that stand for others, for nothing, or at the border."""
        value = np.zeros(len(self.layer))
        own = self.layer.best()
        value[own] = self.layer.score[own]
        return np.where(self.inside, value, 0)

    def near(self, node: int, others: Sequence[int]) -> bool:
        """Whether a node shows the same as one of the others."""
        mean = self.layer.mean
        return bool((np.abs(mean[list(others)] - mean[node]) <= self.gap).all(1).any())

    def parents(self, node: int, above: "_View") -> Iterator[int]:
        """Those above that a node is tied to, best first."""
        stand = above.layer.representative[self.layer.edges[node]]
        return _falling(stand, above.value[stand] * self.layer.agreement[node])

    def children(self, node: int, above: "_View") -> Iterator[int]:
        """Those that are tied to a node above, best first."""
        tied = above.layer.representative[self.layer.edges] == node
        agreement = np.where(tied, self.layer.agreement, 0).max(1, initial=0)
        return _falling(np.arange(len(agreement)), self.value * agreement)


def _falling(nodes: Ints, worth: Floats) -> Iterator[int]:
    """Nodes whose worth is above 0, by falling worth."""
    order = np.argsort(-worth, kind="stable")
    return iter(nodes[order[worth[order] > 0]].tolist())


def _in_turn(view: _View, brought: Sequence[Iterator[int]], count: int) -> list[int]:
    """Nodes of a layer, each neighbour bringing its next one that is not near another, until there are enough."""
    chosen: list[int] = []
    waiting = list(brought)
    while waiting and len(chosen) < count:
        still = []
        for several in waiting:
            node = next((one for one in several if not view.near(one, chosen)), None)
            if node is not None:
                chosen.append(node)
                still.append(several)
            if len(chosen) == count:
                break
        waiting = still
    return chosen


def _filled(view: _View, chosen: Sequence[int], count: int) -> list[int]:
    """Up to ``count`` nodes: the strongest are added, those at the border or near another only where none is left."""
    ranked = view.ranked(view.layer.best().tolist())
    found = list(chosen)
    for alike in (False, True):
        for node in ranked:
            if len(found) < count and node not in found and (alike or not view.near(node, found)):
                found.append(node)
    return found
