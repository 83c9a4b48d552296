"""Layers in the order in which they finish, and some that stand for a network's last stages."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from interpkit.errors import ModelError
from interpkit.models import LoadedModel
from interpkit.probe.addresses import Address
from interpkit.probe.probing import Probe
from interpkit.probe.surveying import adds_nothing, blank, classifier_from, gives_maps
from interpkit.probe.tracing import Firing, Shape, Trace, trace

# Fewer cells a side tell no places apart.
FEWEST = 3
SIZES, OF_EACH = 2, 2


def finishing(probe: Probe) -> tuple[str, ...]:
    """The layers of a probe in the order in which they finish: from low to high."""
    seen = trace(probe.model, blank(probe.loaded))
    when = {(firing.name, firing.call): place for place, firing in enumerate(seen.firings)}

    def place(layer: str) -> int:
        address = probe.address(layer)
        return when[address.module, address.call or 1]

    return tuple(sorted(probe.layers, key=place))


def stage_layers(model: LoadedModel) -> tuple[str, ...]:
    """Layers of a network's last stages, from low to high: up to four, two of each of its last two map sizes.

    A stage is what gives maps of one size. Of each the last two blocks are taken: modules with two weighted layers or
    more inside, such as a residual block; where a stage has none, the last two layers with their normalisation and
    activation. Maps of fewer than 3 x 3 cells, poolings and the classifier do not count. Where all maps have the same
    size, the last four.

    Raises
    ------
    ModelError
        If the network does not take images of its preprocessing's size, or has not two such layers.
    """
    seen = trace(model.module, blank(model))
    steps = _Unfolding(seen, classifier_from(seen)).steps()
    if len(steps) < SIZES:
        # A small network may end in a convolution that looks like a classifier.
        steps = _Unfolding(seen, len(seen.firings)).steps()
    if len(steps) < SIZES:
        have = f"one layer, {steps[0].name}," if steps else "no layer"
        raise ModelError(f"{model.name} has {have} that gives maps (N, U, h, w) of {FEWEST} x {FEWEST} cells or more")
    sizes = list(dict.fromkeys(step.size for step in reversed(steps)))[:SIZES]
    number = OF_EACH if len(sizes) > 1 else OF_EACH * SIZES
    chosen = [step for size in sizes for step in _last([s for s in steps if s.size == size], number)]
    return tuple(step.name for step in sorted(chosen, key=lambda step: step.place))


@dataclass(frozen=True, eq=False)
class _Step:
    """What gives one map.

    Attributes
    ----------
    place, core
        Place among the firings of the last of its modules, and of the one that has weights.
    name, size, weighted
        Of the last; (h, w); and how many weighted modules the core holds.
    """

    place: int
    core: int
    name: str
    size: tuple[int, int]
    weighted: int


def _last(steps: Sequence[_Step], number: int) -> Sequence[_Step]:
    """The last blocks; where there is none, the last layers."""
    blocks = [step for step in steps if step.weighted > 1]
    return (blocks or steps)[-number:]


class _Unfolding:
    """The steps of a forward pass up to the firing ``end``, containers opened as far as blocks show."""

    def __init__(self, seen: Trace, end: int) -> None:
        self._seen = seen
        names = {firing.name for firing in seen.firings}
        self._inside: dict[str, list[int]] = {}
        for place, firing in enumerate(seen.firings):
            if gives_maps(firing, seen) and place < end:
                self._inside.setdefault(_holder(firing.name, names), []).append(place)

    def steps(self) -> list[_Step]:
        """In the order in which they finish."""
        places = self._opened(self._inside.get("", []))
        steps = self._joined(places)
        for size in dict.fromkeys(step.size for step in steps):
            blocks = [step for step in steps if step.size == size and step.weighted > 1]
            inner = self._unfolded(blocks[0]) if len(blocks) == 1 else []
            if len(inner) > 1:
                steps = [step for step in steps if step is not blocks[0]] + inner
        return sorted(steps, key=lambda step: step.place)

    def _opened(self, places: Sequence[int]) -> list[int]:
        """Containers of several stages replaced by what is in them; so is whatever comes alone."""
        found: list[int] = []
        for place in places:
            inside = self._inside.get(self._firing(place).name, [])
            sizes = {self._shape(one)[2:] for one in inside}
            plain = isinstance(self._seen.model.get_submodule(self._firing(place).name), nn.Sequential)
            opens = inside and (len(sizes) > SIZES or (len(sizes) == SIZES and plain) or len(places) == 1)
            found += self._opened(inside) if opens else [place]
        return found

    def _joined(self, places: Sequence[int]) -> list[_Step]:
        """The steps at these places: a layer and the normalisation and activation after it are one."""
        steps: list[_Step] = []
        before: Shape = ()
        for place in places:
            firing, shape = self._firing(place), self._shape(place)
            if adds_nothing(firing, self._seen) or min(shape[2:]) < FEWEST:
                before = ()
                continue
            core, weighted = place, self._weighted(firing)
            if not weighted and steps and firing.took == before == shape:
                last = steps.pop()
                core, weighted = last.core, last.weighted
            if weighted:
                steps.append(_Step(place, core, self._name(firing), (shape[2], shape[3]), weighted))
                before = shape
        return steps

    def _unfolded(self, step: _Step) -> list[_Step]:
        """The blocks in a block that only strings them together: the last gives what it gives."""
        inside = self._joined(self._inside.get(self._firing(step.core).name, []))
        inner = [one for one in inside if one.size == step.size]
        whole = inner and self._shape(inner[-1].place) == self._shape(step.core)
        blocks = [one for one in inner if one.weighted > 1]
        return blocks if whole and blocks and blocks[-1] is inner[-1] else []

    def _firing(self, place: int) -> Firing:
        return self._seen.firings[place]

    def _shape(self, place: int) -> Shape:
        main = self._firing(place).main
        assert main is not None
        return tuple(main.shape)

    def _weighted(self, firing: Firing) -> int:
        modules = self._seen.model.get_submodule(firing.name).modules()
        return sum(any(p.dim() > 1 for p in module.parameters(recurse=False)) for module in modules)

    def _name(self, firing: Firing) -> str:
        return str(Address(firing.name, firing.call if self._seen.calls[firing.name] > 1 else None))


def _holder(name: str, names: set[str]) -> str:
    """The innermost module around this one that runs itself; '' for the network."""
    while name:
        name = name.rpartition(".")[0]
        if name in names:
            return name
    return ""
