"""Receptive fields of an exported network: from the kernels, strides and padding in its graph.

Such a network takes one image size, so it cannot be measured on longer strips. It runs once, and each operation passes
on what its output sees.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from interpkit.geometry.measuring import BLIND, GLOBAL, UNEVEN, Span
from interpkit.models import LoadedModel
from interpkit.probe.addresses import Address, tensors
from interpkit.probe.surveying import blank
from interpkit.probe.tracing import pick
from interpkit.probe.watching import Run, undisturbed, watched

_REDUCTIONS = frozenset("mean sum amax amin max min std var median logsumexp norm linalg_vector_norm".split())
_MIXING = frozenset("bmm matmul mm einsum scaled_dot_product_attention group_norm instance_norm".split())
_SPREADING = ("upsample", "interpolate", "conv_transpose", "pixel_shuffle", "pixel_unshuffle", "grid_sampler", "roll")

Ends = tuple[Span | str, Span | str]
Arguments = dict[str, Any]


@dataclass(frozen=True)
class Sight:
    """What the cells of a tensor see: which of its axes (from the end) are height and width, and their spans."""

    axes: tuple[int, int]
    spans: Ends


def frozen_axes(
    model: LoadedModel, wanted: Mapping[str, Address]
) -> tuple[dict[str, Span | str], dict[str, Span | str]]:
    """Spans of each layer's fields, or the reason why it has none: down the rows, and across the columns."""
    asked = {(address.module, address.call or 1): (name, address) for name, address in wanted.items()}
    images, algebra, found = blank(model), FieldAlgebra(), {}
    algebra.see(images, Sight((-2, -1), (Span(0, 0, 1), Span(0, 0, 1))))

    def take(run: Run) -> None:
        if run.key in asked:
            name, address = asked[run.key]
            found[name] = algebra.sight(pick(tensors(run.output), address))

    names = {module for module, _ in asked}
    with torch.no_grad(), undisturbed(model.module), watched(model.module, names, take), algebra:
        model.module(images)
    ends = {name: sight.spans if sight else (BLIND, BLIND) for name, sight in found.items()}
    return {name: end[0] for name, end in ends.items()}, {name: end[1] for name, end in ends.items()}


class FieldAlgebra(TorchFunctionMode):
    """Passes on, from operation to operation, what the cells of every tensor see."""

    def __init__(self) -> None:
        super().__init__()
        # The tensors are kept so that no other takes over their identity.
        self._seen: dict[int, tuple[Tensor, Sight]] = {}

    def see(self, tensor: Tensor, sight: Sight) -> None:
        """Note what the cells of ``tensor`` see."""
        self._seen[id(tensor)] = tensor, sight

    def sight(self, tensor: Tensor) -> Sight | None:
        """What the cells of ``tensor`` see; None for a tensor that does not come from the image."""
        kept = self._seen.get(id(tensor))
        return kept[1] if kept else None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """Run ``func`` and note what its outputs see."""
        given = [*args, *(kwargs or {}).values()]
        flat = [item for value in given for item in tensors(value)]
        # Before it runs: an operation may write into its input.
        sources = [(tuple(tensor.shape), sight) for tensor in flat if (sight := self.sight(tensor))]
        output = func(*args, **dict(kwargs or {}))
        if sources and isinstance(func, torch._ops.OpOverload):
            name, bound = func.overloadpacket.__name__.rstrip("_"), _bound(func, args, kwargs or {})
            for tensor in tensors(output):
                self.see(tensor, _passed_on(name, bound, sources=sources, gave=tuple(tensor.shape)))
        return output


def _bound(func: torch._ops.OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arguments:
    schema = func._schema.arguments
    bound = {argument.name: argument.default_value for argument in schema if argument.has_default_value()}
    return bound | {argument.name: value for argument, value in zip(schema, args, strict=False)} | dict(kwargs)


def _passed_on(
    name: str, bound: Arguments, *, sources: list[tuple[tuple[int, ...], Sight]], gave: tuple[int, ...]
) -> Sight:
    took, first = sources[0]
    if name in ("permute", "transpose"):
        return Sight(_moved(name, bound, first.axes, rank=len(took)), first.spans)
    if name in ("conv2d", "convolution") or "_pool2d" in name:
        return Sight(first.axes, _windowed(name, bound, first.spans, took=took))
    if name in ("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d"):
        around = [*(bound.get("pad") or bound["padding"]), 0, 0]
        return Sight(first.axes, (_shifted(first.spans[0], -around[2]), _shifted(first.spans[1], -around[0])))
    if name == "slice":
        return Sight(first.axes, _sliced(bound, first, len(took)))
    if name in _MIXING:
        return Sight(first.axes, (GLOBAL, GLOBAL))
    if name.startswith(_SPREADING):
        return Sight(first.axes, (UNEVEN, UNEVEN))
    return _merged(name, sources, gave)


def _merged(name: str, sources: list[tuple[tuple[int, ...], Sight]], gave: tuple[int, ...]) -> Sight:
    """Sight of an operation that treats every cell by itself; else the height or width is lost."""
    spans: list[Ends] = []
    axes = sources[0][1].axes
    for took, sight in sources:
        kept = all(-axis <= len(gave) and gave[axis] == took[axis] for axis in sight.axes)
        if kept:
            axes = sight.axes
            spans.append(sight.spans)
        elif not all(took[axis] == 1 for axis in sight.axes):  # a map that is lost, not a number spread over a map
            lost = BLIND if name in _REDUCTIONS else GLOBAL
            spans.append((lost, lost))
    rows: Span | str = BLIND
    columns: Span | str = BLIND
    for down, across in spans:
        rows, columns = _union(rows, down), _union(columns, across)
    return Sight(axes, (rows, columns))


def _union(one: Span | str, other: Span | str) -> Span | str:
    if one == BLIND or other == BLIND:
        return other if one == BLIND else one
    if isinstance(one, str) or isinstance(other, str):
        return one if isinstance(one, str) else other
    if one.stride != other.stride:
        return UNEVEN
    return Span(min(one.first, other.first), max(one.last, other.last), one.stride)


def _windowed(name: str, bound: Arguments, spans: Ends, *, took: tuple[int, ...]) -> Ends:
    if name.startswith("adaptive"):
        return BLIND, BLIND
    if bound.get("transposed"):
        return UNEVEN, UNEVEN
    kernel = _pair(tuple(bound["weight"].shape[2:]) if "weight" in bound else bound["kernel_size"])
    if "_pool2d" in name and kernel == took[-2:] and kernel != (1, 1):
        return BLIND, BLIND
    steps, dilation = _pair(bound["stride"] or kernel), _pair(bound.get("dilation", 1))
    reach = [(size - 1) * apart for size, apart in zip(kernel, dilation, strict=True)]
    padding = bound["padding"]
    before = [each // 2 for each in reach] if padding == "same" else _pair(0 if padding == "valid" else padding)
    ends = [_strided(_grown(_shifted(span, -before[i]), reach[i]), steps[i]) for i, span in enumerate(spans)]
    return ends[0], ends[1]


def _sliced(bound: Arguments, sight: Sight, rank: int) -> Ends:
    start, axis = bound.get("start") or 0, bound["dim"] % rank - rank
    ends = list(sight.spans)
    if axis in sight.axes:
        index = sight.axes.index(axis)
        ends[index] = UNEVEN if start < 0 else _strided(_shifted(ends[index], start), bound.get("step") or 1)
    return ends[0], ends[1]


def _moved(name: str, bound: Arguments, axes: tuple[int, int], *, rank: int) -> tuple[int, int]:
    order = list(range(rank))
    if name == "permute":
        order = [axis % rank for axis in bound["dims"]]
    else:
        one, other = bound["dim0"] % rank, bound["dim1"] % rank
        order[one], order[other] = other, one
    return order.index(axes[0] % rank) - rank, order.index(axes[1] % rank) - rank


def _shifted(span: Span | str, cells: int) -> Span | str:
    if isinstance(span, str):
        return span
    return Span(span.first + cells * span.stride, span.last + cells * span.stride, span.stride)


def _grown(span: Span | str, cells: int) -> Span | str:
    return span if isinstance(span, str) else Span(span.first, span.last + cells * span.stride, span.stride)


def _strided(span: Span | str, steps: int) -> Span | str:
    return span if isinstance(span, str) else Span(span.first, span.last, span.stride * steps)


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    return (value[0], value[-1])
