"""One layer: fitted, found on the images, told to the layer below, and put into words for the result."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from interpkit import em
from interpkit.geometry import Placement
from interpkit.graph._flips import mirrored_back, turn
from interpkit.graph._found import Found, Patterns
from interpkit.graph._store import Maps
from interpkit.results import GraphLayer

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

# Images at a time, where nodes play no part.
_IMAGES = 16


@dataclass(frozen=True, eq=False)
class Layer:
    """What is known of a layer before it is fitted.

    Attributes
    ----------
    name, units, map_size, placement
        As in `GraphLayer`.
    training, held_out
        Its filters' maps on the images that are fitted, and on the others.
    decides
        Whether it says which images are seen mirrored.
    """

    name: str
    units: int
    map_size: tuple[int, int]
    placement: Placement
    training: Maps
    held_out: Maps
    decides: bool = False

    @property
    def grid(self) -> em.Grid:
        """Where its cells lie, pixels."""
        return grid_of(self.placement, self.map_size, self.training.device)


def grid_of(placement: Placement, map_size: tuple[int, int], device: torch.device) -> em.Grid:
    """Where the cells of a map (h, w) lie, pixels."""
    rows, columns = (
        torch.from_numpy((start + step * np.arange(cells)).astype(np.float32)).to(device)
        for start, step, cells in zip(placement.start, placement.stride, map_size, strict=True)
    )
    return em.Grid(rows, columns)


@dataclass(frozen=True, eq=False)
class Told:
    """What a layer tells the one below, on the images that are fitted and on the others."""

    training: em.Above
    held_out: em.Above


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted layer, and where its nodes are, in the frame in which images are seen."""

    fitted: em.Fitted
    training: em.Found
    held_out: em.Found

    @property
    def own(self) -> em.Nodes:
        """The nodes, with the deviations of their own Gaussians."""
        return em.Nodes(self.fitted.nodes.place, self.fitted.used)


def fit(
    layer: Layer,
    above: Told | None,
    *,
    settings: em.Settings,
    draws: int,
    progress: Callable[[int, int], None] | None = None,
) -> Fit:
    """Fit one layer and find its nodes on all images; ``draws`` seeds the nodes' first places.

    The topmost layer decides on the way which images are seen mirrored, where mirror images are kept.
    """
    training = None if above is None else above.training
    held_out = None if above is None else above.held_out
    choose = partial(turn, grid=layer.grid, noise=settings.noise)
    turns = layer.decides
    fitted = em.fit_layer(
        layer.training,
        layer.grid,
        training,
        settings=settings,
        draws=torch.Generator().manual_seed(draws),
        progress=progress,
        turn=partial(choose, layer.training) if turns else None,
    )
    own = em.Nodes(fitted.nodes.place, fitted.used)
    if turns:
        # By the nodes as they are in the end, so that an image is seen alike whenever it is looked at.
        choose(layer.training, own)
        choose(layer.held_out, own)
    return Fit(
        fitted=fitted,
        training=located(layer.training, own, layer.grid, above=training, edges=fitted.edges),
        held_out=located(layer.held_out, own, layer.grid, above=held_out, edges=fitted.edges),
    )


def located(
    maps: em.Maps, nodes: em.Nodes, grid: em.Grid, *, above: em.Above | None, edges: torch.Tensor | None
) -> em.Found:
    """Where nodes are on images, of which there may be none."""
    if maps.shape[0]:
        return em.located(maps, nodes, grid, above=above, edges=edges)
    place = nodes.place.new_zeros((0, *nodes.place.shape))
    return em.Found(place, place[..., 0])


def told_by(one: Fit) -> Told:
    """What a fitted layer tells the one below; displacements are from the means over the images that were fitted."""
    place, score = flat(one.training)
    _, mean = em.displacement(place, score > 0)
    sigma = one.fitted.nodes.sigma.flatten()
    return Told(em.Above(place, score, mean, sigma), em.Above(*flat(one.held_out), mean, sigma))


def flat(found: em.Found) -> tuple[torch.Tensor, torch.Tensor]:
    """Places (I, V, 2) and scores (I, V) of D filters' nodes in a row."""
    return found.place.flatten(1, 2), found.score.flatten(1)


def shuffled(told: Told, rng: np.random.Generator) -> Told:
    """The same places and scores, those of each image dealt out to another one."""
    return Told(*(_dealt(one, rng) for one in (told.training, told.held_out)))


def _dealt(above: em.Above, rng: np.random.Generator) -> em.Above:
    order = rng.permutation(len(above.score))
    giver = np.empty_like(order)
    # In a circle: of two images or more, none keeps its own.
    giver[order] = np.roll(order, 1)
    rows = torch.from_numpy(giver).to(above.score.device)
    return em.Above(above.place[rows], above.score[rows], above.mean, above.sigma)


def patterns_of(layer: Layer, one: Fit, *, width: int) -> Patterns:
    """Where the nodes are on the images as they are, of ``width`` pixels, and which stand for which."""
    return Patterns(
        layer=layer.name,
        training=_found(one.training, one.own, layer.training, width=width),
        held_out=_found(one.held_out, one.own, layer.held_out, width=width),
        representative=_representative(layer, one),
    )


def _found(found: em.Found, own: em.Nodes, maps: Maps, *, width: int) -> Found:
    place = mirrored_back(found.place.flatten(1, 2), maps.turned[maps.rows], width)
    return Found(place.cpu().numpy(), em.explained(found, own).flatten(1).cpu().numpy())


def _representative(layer: Layer, one: Fit) -> Ints:
    """(V,) the node that stands for each."""
    found = em.Found(one.training.place, em.explained(one.training, one.own))
    stands = em.representatives(found, cell=layer.grid.cell**0.5).cpu().numpy()
    standing: Ints = (stands + stands.shape[1] * np.arange(len(stands))[:, None]).reshape(-1)
    return standing


def raw_of(layer: Layer) -> Patterns:
    """Each filter's highest cell on the images as they are; without a place where the filter is silent."""
    return Patterns(layer.name, _highest(layer, layer.training), _highest(layer, layer.held_out))


def _highest(layer: Layer, maps: Maps) -> Found:
    plain = maps.seen(np.zeros_like(maps.turned))
    images, filters, _, w = maps.shape
    place, score = np.full((images, filters, 2), np.nan, np.float32), np.zeros((images, filters), np.float32)
    rows, columns = (axis.cpu().numpy() for axis in (layer.grid.rows, layer.grid.columns))
    for first in range(0, images, _IMAGES):
        part = slice(first, min(first + _IMAGES, images))
        values = plain[part].flatten(2)
        cell = values.argmax(2).cpu().numpy()
        score[part] = values.amax(2).cpu().numpy()
        place[part] = np.stack([rows[cell // w], columns[cell % w]], -1)
    return Found(np.where((score > 0)[..., None], place, np.float32(np.nan)), score)


def result_of(
    layer: Layer, one: Fit, above: Told | None, *, representative: Ints, judged: dict[str, Any]
) -> GraphLayer:
    """The layer as it is stored.

    Parameters
    ----------
    representative
        As in `Patterns`.
    judged
        ``purity``, ``part`` and ``instability`` where there are landmarks.
    """
    nodes, score = one.fitted.nodes, one.training.score.flatten(1)
    idle = ~(score > 0).any(0)
    place = nodes.place.flatten(0, 1)
    _, mean = em.displacement(one.training.place.flatten(1, 2), score > 0)
    edges, agreement = _edges(one, above)
    nothing = np.full(len(place), np.nan)
    unjudged = {"purity": nothing, "part": np.full(len(place), -1), "instability": nothing}
    return GraphLayer(
        layer=layer.name,
        units=layer.units,
        map_size=layer.map_size,
        placement=(layer.placement.start, layer.placement.stride),
        nodes=nodes.sigma.shape[1],
        filters=layer.training.filters,
        scale=layer.training.scale.astype(np.float64),
        place=_double(place),
        sigma=_double(nodes.sigma.flatten()),
        used=_double(one.fitted.used.flatten()),
        # Where nothing was ever found, where it would be expected.
        mean=_double(torch.where(idle[:, None], place, mean)),
        edges=edges,
        agreement=agreement,
        score=_double(em.explained(one.training, one.own).double().mean(0).flatten()),
        representative=representative,
        idle=idle.cpu().numpy(),
        likelihood=_double(one.fitted.likelihood.sum(1)),
        **(judged or unjudged),
    )


def _edges(one: Fit, above: Told | None) -> tuple[Ints, npt.NDArray[np.float64]]:
    """(V, M) both."""
    edges = one.fitted.edges
    if edges is None or above is None:
        v = one.fitted.nodes.sigma.numel()
        return np.zeros((v, 0), np.int64), np.zeros((v, 0))
    told = above.training
    seen = told.score > 0
    moved, _ = em.displacement(told.place, seen, told.mean)
    all_above = em.Candidates(torch.arange(len(told.sigma), device=seen.device), moved, seen)
    alike = em.agreement(one.training, all_above, edges)
    return edges.flatten(0, 1).cpu().numpy(), _double(alike.flatten(0, 1))


def _double(values: torch.Tensor) -> npt.NDArray[np.float64]:
    return values.double().cpu().numpy()
