"""What a network computes where nothing is passed on through the whole image."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_REDUCTIONS = frozenset(
    "mean sum amax amin max min std var std_mean var_mean median logsumexp norm vector_norm quantile".split()
)
_POOLS = frozenset("avg_pool2d max_pool2d lp_pool2d max_pool2d_with_indices".split())
_NORMALISATIONS = frozenset("group_norm instance_norm batch_norm layer_norm".split())


class LocalPaths(TorchFunctionMode):
    """Inside, poison (NaN) spreads only along local paths.

    Every reduction over the whole height or width (adaptive pooling, ``mean`` over H and W, pooling by a window as
    large as the map) and the statistics of normalisations are cut off: they pass on numbers, no poison. Else
    squeeze-excitation would make every field the whole image.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """Run ``func``, and take the poison out of what it gathered from everywhere."""
        named = dict(kwargs or {})
        map_ = args[0] if args and isinstance(args[0], Tensor) else named.get("input")
        name = getattr(func, "__name__", "")
        if not isinstance(map_, Tensor) or map_.dim() < 3 or not map_.is_floating_point():
            return func(*args, **named)
        if name in _NORMALISATIONS and args and args[0] is map_ and _mixes_cells(name, args, named):
            return func(torch.nan_to_num(map_), *args[1:], **named) + 0 * map_
        output = func(*args, **named)
        return _cleaned(output) if _gathers(name, args, named, map_=map_) else output


def _gathers(name: str, args: Sequence[Any], named: Mapping[str, Any], *, map_: Tensor) -> bool:
    if name.startswith("adaptive_"):
        return True
    if name in _POOLS:
        window = named.get("kernel_size", args[1] if len(args) > 1 else None)
        height, width = (window, window) if isinstance(window, int) else (tuple(window or (0,)) * 2)[:2]
        return bool(map_.dim() == 4 and (height, width) == tuple(map_.shape[2:]) and height * width > 1)
    if name not in _REDUCTIONS:
        return False
    axes = named.get(
        "dim", args[2] if name in ("norm", "quantile") and len(args) > 2 else args[1] if len(args) > 1 else None
    )
    if isinstance(axes, Tensor):
        return False  # max(one, other)
    reduced = range(map_.dim()) if axes is None else [axes] if isinstance(axes, int) else list(axes)
    inner = {axis % map_.dim() for axis in reduced}
    # With channels first and with channels last alike, axis 2 is height or width. Means over channels that stand last
    # are cut off with them, which does no harm: the cell itself remains.
    return bool(inner & set(range(2, map_.dim())))


def _mixes_cells(name: str, args: Sequence[Any], named: Mapping[str, Any]) -> bool:
    if name == "batch_norm":
        return bool(named.get("training", args[5] if len(args) > 5 else False))
    if name == "layer_norm":
        return len(named.get("normalized_shape", args[1] if len(args) > 1 else ())) > 1
    return True


def _cleaned(output: Any) -> Any:  # noqa: ANN401 - a tensor, or a named tuple of values and indices
    if isinstance(output, Tensor):
        return torch.nan_to_num(output) if output.is_floating_point() else output
    if isinstance(output, tuple):
        parts = [_cleaned(part) for part in output]
        return type(output)(parts) if not hasattr(output, "_fields") else type(output)(*parts)
    return output
