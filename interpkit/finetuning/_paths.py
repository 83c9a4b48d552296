"""Which tensors of a network everything flows through: a mask there is seen by all that follows, and goes round none.

One forward pass records how the output depends on the images. A tensor is on the chain where every way from the images
to the output leads through it; a residual addition, say, takes everything inside its block off the chain.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from interpkit.errors import InterpkitError, ModelError, one_line
from interpkit.models import LoadedModel
from interpkit.probe import differentiable
from interpkit.probe.addresses import main_member, tensors
from interpkit.probe.surveying import blank

# A node of autograd's graph, and which of its outputs.
Vertex = tuple[Any, int]


@dataclass(frozen=True, eq=False)
class Run:
    """One run of one module.

    Attributes
    ----------
    name, call
        The module, and which of its runs this is, from 1.
    module
        Itself.
    shape
        Of what it gave, without the batch; of several tensors the first map.
    took, gave
        Where its first input and its output stand in the graph; None where the images do not matter for them.
    """

    name: str
    call: int
    module: nn.Module
    shape: tuple[int, ...]
    took: Vertex | None
    gave: Vertex | None

    @property
    def cells(self) -> int:
        """H w of its maps; 0 where it gives none."""
        return self.shape[1] * self.shape[2] if len(self.shape) == 3 else 0


@dataclass(frozen=True, eq=False)
class Paths:
    """What one forward pass shows.

    Attributes
    ----------
    runs
        In the order in which they finished.
    rank
        Vertex -> its place in an order in which everything comes after what it depends on.
    chain
        The vertices on every way from the images to the output, in that order.
    leading
        Those on any such way.
    rows
        Whether the output is a row of numbers an image.
    """

    runs: tuple[Run, ...]
    rank: Mapping[Vertex, int]
    chain: tuple[Vertex, ...]
    leading: frozenset[Vertex]
    rows: bool

    def times(self, name: str) -> int:
        """How often a module ran."""
        return sum(run.name == name for run in self.runs)

    def after(self, vertex: Vertex) -> tuple[Vertex, ...]:
        """The part of the chain that comes after a vertex."""
        return tuple(one for one in self.chain if self.rank[one] > self.rank[vertex])


def operator(vertex: Vertex) -> str:
    """What computes a tensor, as autograd calls it: ``ReluBackward0``."""
    return str(vertex[0].name())


def sources(vertex: Vertex) -> list[Vertex]:
    """What a tensor is computed from."""
    return [(node, place) for node, place in vertex[0].next_functions if node is not None]


def paths(model: LoadedModel) -> Paths:
    """Watch one forward pass of a blank image; the network is left as it was.

    Raises
    ------
    ModelError
        If the network does not take such an image, or computes without gradients.
    """
    watch = _Watch()
    with differentiable(model.module), _hooked(model.module, watch):
        leaf = blank(model).requires_grad_()
        # An in-place operation on what wants a gradient itself is an error.
        images = leaf.clone()
        try:
            output = model.module(images)
        except InterpkitError:
            raise
        except Exception as error:
            cause = one_line(error)
            raise ModelError(
                f"{model.name} does not take images of {' x '.join(map(str, images.shape))}: {cause}"
            ) from error
    ends = [vertex for vertex in map(_vertex, tensors(output)) if vertex is not None]
    source = _vertex(images)
    if not ends or source is None:
        raise ModelError(f"{model.name} computes without gradients (torch.no_grad inside it?), so it cannot be trained")
    rank = {vertex: number for number, vertex in enumerate(_ordered(ends))}
    chain, leading = _chain(rank, ends, source)
    rows = any(tensor.dim() == 2 for tensor in tensors(output))
    return Paths(tuple(watch.runs), rank, chain, leading, rows)


@dataclass(eq=False)
class _Watch:
    runs: list[Run] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    inputs: list[Vertex | None] = field(default_factory=list)


@contextmanager
def _hooked(net: nn.Module, watch: _Watch) -> Iterator[None]:
    """Note what every module takes, before it may write over it, and what it gives."""

    def attach(name: str, module: nn.Module) -> list[Any]:
        def before(_module: nn.Module, inputs: tuple[object, ...]) -> None:
            watch.inputs.append(_vertex(inputs[0]) if inputs and isinstance(inputs[0], Tensor) else None)

        def behind(_module: nn.Module, inputs: object, output: object) -> None:
            found = tensors(output)
            main = found[main_member([one.dim() for one in found])] if found else None
            watch.calls[name] = watch.calls.get(name, 0) + 1
            shape = () if main is None else tuple(main.shape[1:])
            gave = None if main is None else _vertex(main)
            watch.runs.append(Run(name, watch.calls[name], module, shape, watch.inputs.pop(), gave))

        return [module.register_forward_pre_hook(before), module.register_forward_hook(behind)]

    handles = [handle for name, module in net.named_modules() if name for handle in attach(name, module)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _vertex(tensor: Tensor) -> Vertex | None:
    return None if tensor.grad_fn is None else (tensor.grad_fn, tensor.output_nr)


def _ordered(ends: Sequence[Vertex]) -> list[Vertex]:
    """Everything that the ends depend on, each after what it depends on itself."""
    done: dict[Vertex, None] = {}
    stack = [(end, False) for end in ends]
    while stack:
        vertex, ready = stack.pop()
        if ready:
            done.setdefault(vertex)
        elif vertex not in done:
            stack.append((vertex, True))
            stack += [(one, False) for one in sources(vertex) if one not in done]
    return list(done)


def _chain(
    rank: Mapping[Vertex, int], ends: Sequence[Vertex], source: Vertex
) -> tuple[tuple[Vertex, ...], frozenset[Vertex]]:
    """The vertices on every way from the source to the ends, and those on any: ways are counted on both sides."""
    order = list(rank)
    below = dict.fromkeys(order, 0)
    for vertex in order:
        below[vertex] = 1 if vertex == source else sum(below[one] for one in sources(vertex))
    above = dict.fromkeys(order, 0)
    for end in ends:
        above[end] += 1
    for vertex in reversed(order):
        for one in sources(vertex):
            above[one] += above[vertex]
    ways = {vertex: below[vertex] * above[vertex] for vertex in order}
    whole = sum(below[end] for end in ends)
    chain = tuple(vertex for vertex in order if ways[vertex] == whole > 0)
    return chain, frozenset(vertex for vertex, count in ways.items() if count)
