"""Where the nodes of a fitted graph are on other images."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from interpkit import em
from interpkit.errors import InterpkitError, ModelError, UnknownNameError, nearest
from interpkit.feeding import Feeder, Feeding, threads_set, weights_in
from interpkit.geometry import Placement
from interpkit.graph._flips import likelier, mirrored_back
from interpkit.graph._found import Found
from interpkit.graph._layers import flat, grid_of
from interpkit.labels import LabelSet
from interpkit.probe import Probe
from interpkit.results import ExplanatoryGraph, GraphLayer
from interpkit.running import check_finite

Floats = npt.NDArray[np.float32]
Maps = Mapping[str, torch.Tensor]


def infer(
    graph: ExplanatoryGraph,
    probe: Probe,
    images: LabelSet | torch.Tensor | Floats,
    *,
    batch_size: int | None = None,
) -> dict[str, Found]:
    """Where a graph's nodes are on images, and how strongly.

    An image is judged by the graph alone: by the means and scales of the images that were fitted, and, where those
    could be mirrored, by which side of it the topmost layer's parts explain better. What else is looked at has no part
    in it, and at equal batch size changes no bit. Features are used as they come, not rounded as those that are kept.

    Parameters
    ----------
    graph
        Of the probe's network.
    probe
        With all of the graph's layers.
    images
        A label set, or inputs (N, channels, H, W), preprocessed.
    batch_size
        Default: as the graph was fitted with.

    Returns
    -------
    By layer from low to high, N images with V nodes.

    Raises
    ------
    ModelError
        If the graph is of another network, or of another input.
    UnknownNameError
        If the probe lacks one of the layers.
    ImageError
        If an image cannot be read; `LabelSet.without` leaves it out.
    """
    _check(graph, probe)
    made = graph.provenance
    size = made.batch_size if batch_size is None else batch_size
    if size < 1:
        raise InterpkitError(f"a batch holds at least 1 image, not {size}")
    feeding = Feeding(size, made.memory_format, made.threads)
    seeing = _Seeing(graph, probe)
    with threads_set(made.threads), weights_in(probe.model, made.memory_format):
        parts = [seeing.found(batch, count) for batch, count in _batches(probe, images, feeding)]
    found = {}
    for layer in graph.layers:
        nothing = Found(np.zeros((0, len(layer), 2), np.float32), np.zeros((0, len(layer)), np.float32))
        several = [nothing, *(part[layer.layer] for part in parts)]
        place, score = (np.concatenate([getattr(one, name) for one in several]) for name in ("place", "score"))
        found[layer.layer] = Found(place, score)
    return found


def _check(graph: ExplanatoryGraph, probe: Probe) -> None:
    """Stop where the probe does not see what the graph was fitted to."""
    made = graph.provenance
    if made.model_sha != probe.loaded.sha:
        raise ModelError(f"the graph is of {made.model}, the probe of other weights ({probe.loaded.name})")
    if graph.input_size != probe.preprocessing.size:
        raise ModelError(f"the graph is of inputs of {graph.input_size}, the probe takes {probe.preprocessing.size}")
    for layer in graph.layers:
        if layer.layer not in probe.layers:
            close = ", ".join(nearest(layer.layer, probe.layers, count=1) or probe.layers)
            raise UnknownNameError(f"the graph has layer {layer.layer!r}, the probe has not; nearest: {close}")


def _batches(
    probe: Probe, images: LabelSet | torch.Tensor | Floats, feeding: Feeding
) -> Iterator[tuple[torch.Tensor, int]]:
    """Batches of one size, the last one filled up, and how many of each are images."""
    size = feeding.batch_size
    given: Iterator[torch.Tensor]
    if isinstance(images, LabelSet):
        feeder = Feeder(images, probe, feeding=feeding, skip_bad=False)
        given = (batch.images for batch in feeder.batches())
    else:
        tensor = torch.as_tensor(images)
        wanted = (probe.preprocessing.channels, *probe.preprocessing.size)
        if tensor.dim() != 4 or tuple(tensor.shape[1:]) != wanted:
            raise ModelError(f"images are (N, {', '.join(map(str, wanted))}), preprocessed, not {tuple(tensor.shape)}")
        given = iter(torch.split(tensor, size)) if len(tensor) else iter(())
    for batch in given:
        blank = batch.new_zeros((size - len(batch), *batch.shape[1:]))
        # A batch of another size may be computed in another order.
        yield torch.cat([batch, blank]) if len(blank) else batch, len(batch)


@dataclass(frozen=True, eq=False)
class _Held:
    """Maps in memory, as `interpkit.em` asks for them."""

    maps: torch.Tensor

    @property
    def shape(self) -> tuple[int, int, int, int]:
        images, filters, h, w = self.maps.shape
        return images, filters, h, w

    def __getitem__(self, images: slice) -> torch.Tensor:
        return self.maps[images]


@dataclass(frozen=True, eq=False)
class _Seeing:
    """A graph with the network that it is of."""

    graph: ExplanatoryGraph
    probe: Probe

    def found(self, images: torch.Tensor, count: int) -> dict[str, Found]:
        """The nodes on the first ``count`` images of a batch."""
        plain, turned = self._features(images, count), np.zeros(count, np.bool_)
        if self.graph.provenance.options["flips"]:
            mirrored = self._features(images.flip(-1), count)
            turned = self._likelier(plain, mirrored)
            there = torch.from_numpy(turned).to(self.probe.device)[:, None, None, None]
            plain = {name: torch.where(there, mirrored[name], maps) for name, maps in plain.items()}
        above: em.Above | None = None
        found: dict[str, Found] = {}
        for layer in reversed(self.graph.layers):
            seen = self._located(layer, plain[layer.layer], above)
            place, score = flat(seen)
            above = em.Above(place, score, self._tensor(layer.mean), self._tensor(layer.sigma))
            back = mirrored_back(place, turned, self.graph.input_size[1])
            explained = em.explained(seen, self._nodes(layer)).flatten(1)
            found[layer.layer] = Found(back.cpu().numpy(), explained.cpu().numpy())
        return {layer.layer: found[layer.layer] for layer in self.graph.layers}

    def _features(self, images: torch.Tensor, count: int) -> dict[str, torch.Tensor]:
        """F of each layer's filters (count, D, h, w)."""
        maps = self.probe(images)
        found = {}
        for layer in self.graph.layers:
            values = maps[layer.layer][:count].float()
            numbers = values.cpu().numpy().reshape(*values.shape[:2], -1).swapaxes(0, 1)
            check_finite(numbers, layer.layer, [f"{i} of the batch" for i in range(count)])
            filters = torch.from_numpy(layer.filters).to(values.device)
            found[layer.layer] = values[:, filters].clamp(min=0) / self._tensor(layer.scale)[:, None, None]
        return found

    def _likelier(self, plain: Maps, mirrored: Maps) -> npt.NDArray[np.bool_]:
        top = self.graph.layers[-1]
        noise = float(self.graph.provenance.options["noise"])
        before, after = (_Held(maps[top.layer]) for maps in (plain, mirrored))
        return likelier(before, after, self._nodes(top), grid=self._grid(top), noise=noise)

    def _located(self, layer: GraphLayer, maps: torch.Tensor, above: em.Above | None) -> em.Found:
        edges = torch.from_numpy(layer.edges.reshape(len(layer.filters), layer.nodes, -1)).to(self.probe.device)
        tied = edges if layer.edges.shape[1] else None
        return em.located(_Held(maps), self._nodes(layer), self._grid(layer), above=above, edges=tied)

    def _nodes(self, layer: GraphLayer) -> em.Nodes:
        shape = len(layer.filters), layer.nodes
        place, used = layer.place.reshape(*shape, 2), layer.used.reshape(shape)
        return em.Nodes(self._tensor(place), self._tensor(used))

    def _grid(self, layer: GraphLayer) -> em.Grid:
        return grid_of(Placement(*layer.placement), layer.map_size, self.probe.device)

    def _tensor(self, values: npt.NDArray[np.float64]) -> torch.Tensor:
        return torch.from_numpy(values).to(self.probe.device, torch.float32)
