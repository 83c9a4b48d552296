"""One layer of an explanatory graph, fitted: steps and edges in their order."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from interpkit.em.edges import Candidates, candidates, displacement, pick_edges
from interpkit.em.steps import Found, Grid, Guide, Nodes, Sums, expect, guide, infer, likelihood, maximise, start

Rule = Literal["repick", "frozen"]

# Edges are chosen at the second iteration, again at every fifth, and rest for the last five.
FIRST, EVERY, REST = 1, 5, 5
# A node's deviation at first, and at most, as a share of the input's shorter side; at least this share of a cell.
WIDEST, NARROWEST = 0.15, 0.5
# Mean places closer to the border than this share of the input give no edges.
BORDER = 0.1
# Below this relative gain an iteration was the last.
GAIN = 1e-5
# Activations times nodes at a time.
_BLOCK = 1 << 22


class Maps(Protocol):
    """Maps F of I images, not negative, kept somewhere."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(I, D, h, w)."""

    def __getitem__(self, images: slice) -> Tensor:
        """(B, D, h, w) float32 of some images."""


@dataclass(frozen=True, eq=False)
class Settings:
    """How a layer is fitted; the words are those of ``fit_graph``."""

    nodes: int
    edges: int
    noise: float
    iterations: int
    rule: Rule
    fused: bool
    candidates: int
    input_size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Above:
    """The layer above, as it was found on the same images.

    Attributes
    ----------
    place, score
        (I, V', 2) and (I, V').
    mean, sigma
        (V', 2) mean place on the training images, and (V',) deviation.
    """

    place: Tensor
    score: Tensor
    mean: Tensor
    sigma: Tensor

    def told(self, edges: Tensor, images: slice) -> Guide:
        """What it says of nodes that are tied by ``edges`` (D, N, M), on some of the images."""
        seen = self.score[images] > 0
        moved, _ = displacement(self.place[images], seen, self.mean)
        return guide(moved, self.sigma, edges, seen=seen.to(moved.dtype))


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted layer.

    Attributes
    ----------
    nodes
        Places, and the deviations that the layer below is guided by.
    used
        (D, N) the deviations that its own Gaussians have: the same, unless they come from the edges.
    edges
        (D, N, M) nodes of the layer above; None for the topmost layer.
    likelihood
        (T + 1, D) log-likelihood before each iteration and after the last, mean over the images.
    """

    nodes: Nodes
    used: Tensor
    edges: Tensor | None
    likelihood: Tensor


def fit_layer(
    maps: Maps,
    grid: Grid,
    above: Above | None,
    *,
    settings: Settings,
    draws: torch.Generator,
    progress: Callable[[int, int], None] | None = None,
    turn: Callable[[Nodes], None] | None = None,
) -> Fitted:
    """Expectation and maximisation from random places, with edges to the layer above from the second iteration on.

    Parameters
    ----------
    turn
        Called with the nodes at every fifth iteration but the last five: may choose among several maps of an image
        the likeliest, which ``maps`` gives from then on.
    """
    fit = _Fit(maps, grid, above, settings, draws)
    history = []
    for iteration in range(settings.iterations):
        turns = turn is not None and iteration > 0 and fit.chooses(iteration)
        if turn is not None and turns:
            turn(Nodes(fit.nodes.place, fit.used))
        fit.choose_edges(iteration)
        sums = fit.expect(fit.edges)
        history.append(sums.likelihood)
        fit.maximise(sums)
        if progress is not None:
            progress(iteration + 1, settings.iterations)
        # Of other maps the likelihood is another one: it says nothing of what the last iteration gained.
        if not turns and _settled(history, iteration):
            break
    history.append(fit.expect(fit.edges).likelihood)
    return Fitted(fit.nodes, fit.used, fit.edges, torch.stack(history) / maps.shape[0])


def _settled(history: list[Tensor], iteration: int) -> bool:
    """Whether the last iteration gained next to nothing, once the edges have had their chances."""
    if iteration <= FIRST + EVERY:
        return False
    last, now = float(history[-2].sum()), float(history[-1].sum())
    return now - last < GAIN * abs(last)


@dataclass(eq=False)
class _Fit:
    """The state of a fit."""

    maps: Maps
    grid: Grid
    above: Above | None
    settings: Settings
    draws: torch.Generator

    def __post_init__(self) -> None:
        """Random places, no edges."""
        widest = WIDEST * min(self.settings.input_size)
        # Cells of very small maps are wider than that; deviations still need room to be fitted.
        self.bounds = (min(NARROWEST * self.grid.cell**0.5, widest / 2), widest)
        self.nodes = start(self.maps.shape[1], self.settings.nodes, self.grid, sigma=widest, draws=self.draws)
        self.used = self.nodes.sigma
        self.edges: Tensor | None = None
        self.candidates = None if self.above is None else self._candidates(self.above)

    def _candidates(self, above: Above) -> Candidates:
        # Pixels' centres lie half a pixel inside: a mirrored image then has the mirrored band.
        (top, bottom), (left, right) = (
            (BORDER * side - 0.5, (1 - BORDER) * side - 0.5) for side in self.settings.input_size
        )
        edge = (top, bottom, left, right)
        return candidates(above.place, above.score, edge=edge, limit=self.settings.candidates)

    def chooses(self, iteration: int) -> bool:
        """Whether this is an iteration that chooses anew what is not fitted."""
        return iteration % EVERY == 0 and iteration < self.settings.iterations - REST

    def choose_edges(self, iteration: int) -> None:
        """Pick edges where it is time; new ones stay where their filter's likelihood does not fall."""
        again = self.settings.rule == "repick" and self.chooses(iteration)
        if (
            self.candidates is None
            or not len(self.candidates.index)
            or not (iteration == FIRST or (again and iteration))
        ):
            return
        found = located(self.maps, Nodes(self.nodes.place, self.used), self.grid, above=self.above, edges=self.edges)
        new = pick_edges(found, self.candidates, self.settings.edges)
        if self.edges is not None:
            gained = self.expect(new).likelihood >= self.expect(self.edges).likelihood
            new = torch.where(gained[:, None, None], new, self.edges)
        self.edges = new
        if self.settings.fused and self.above is not None:
            self.used = (1 / self.above.sigma[new].square()).mean(-1).rsqrt().clamp(*self.bounds)

    def expect(self, edges: Tensor | None) -> Sums:
        """The sums over all images."""
        total: Sums | None = None
        nodes = Nodes(self.nodes.place, self.used)
        for images in rounds(self.maps, nodes):
            told = None if self.above is None or edges is None else self.above.told(edges, images)
            maps = self.maps[images]
            total = expect(maps, nodes, self.grid, told=told, noise=self.settings.noise, before=total)
        assert total is not None
        return total

    def maximise(self, sums: Sums) -> None:
        """The next places and deviations."""
        self.nodes = maximise(self.nodes, sums, bounds=self.bounds)
        if not (self.settings.fused and self.edges is not None):
            self.used = self.nodes.sigma


def located(maps: Maps, nodes: Nodes, grid: Grid, *, above: Above | None, edges: Tensor | None) -> Found:
    """Where the nodes are on every image."""
    places, scores = [], []
    for images in rounds(maps, nodes):
        told = None if above is None or edges is None else above.told(edges, images)
        found = infer(maps[images], nodes, grid, told=told)
        places.append(found.place)
        scores.append(found.score)
    return Found(torch.cat(places), torch.cat(scores))


def likelihoods(
    maps: Maps, nodes: Nodes, grid: Grid, *, above: Above | None, edges: Tensor | None, noise: float
) -> Tensor:
    """(I,) log-likelihood of each image, nats, in double precision."""
    found = []
    for images in rounds(maps, nodes):
        told = None if above is None or edges is None else above.told(edges, images)
        found.append(likelihood(maps[images], nodes, grid, told=told, noise=noise).double().sum(1))
    return torch.cat(found)


def rounds(maps: Maps, nodes: Nodes) -> Iterator[slice]:
    """A few images at a time."""
    images, _, h, w = maps.shape
    few = max(1, _BLOCK // (nodes.sigma.numel() * (h + w)))
    for first in range(0, images, few):
        yield slice(first, min(first + few, images))
