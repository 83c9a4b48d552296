"""Which network a set of weights belongs to, told from names and shapes alone."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from interpkit.models.zoo import Wish, torchvision_names, torchvision_size, untrained_torchvision

Shapes = dict[str, tuple[int, ...]]

_COUNTER = "num_batches_tracked"
_NEAR = 0.4


def shapes_of(state: Mapping[str, Any]) -> Shapes:
    """List the shape of every tensor in a state dict, without batch counters: no forward pass reads them."""
    return {
        key: tuple(value.shape)
        for key, value in state.items()
        if isinstance(value, Tensor) and not key.endswith(_COUNTER)
    }


@dataclass(frozen=True)
class Misfit:
    """How weights differ from what a network wants, key by key.

    ``shapes`` holds (key, shape in the file, shape in the network).
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    shapes: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]

    @classmethod
    def between(cls, have: Shapes, wanted: Shapes) -> "Misfit":
        """Compare the shapes in a file with those of a network."""
        return cls(
            tuple(key for key in wanted if key not in have),
            tuple(key for key in have if key not in wanted),
            tuple((key, have[key], wanted[key]) for key in wanted if key in have and have[key] != wanted[key]),
        )

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.shapes)

    @property
    def classes(self) -> int | None:
        """The number of outputs in the file, where nothing but the number of outputs differs."""
        if self.missing or self.unexpected or not all(have and want for _, have, want in self.shapes):
            return None
        outputs = {(have[0], want[0]) for _, have, want in self.shapes}
        if len(outputs) != 1 or any(have[1:] != want[1:] for _, have, want in self.shapes):
            return None
        return next(iter(outputs))[0]

    def __str__(self) -> str:
        shapes = [f"{key} is {have}, not {want}" for key, have, want in self.shapes]
        kinds = (("missing", self.missing), ("unexpected", self.unexpected), ("of another shape", shapes))
        return ", ".join(f"{len(keys)} {kind} ({_first(keys)})" for kind, keys in kinds if keys)


def closest(have: Shapes) -> str:
    """Name which torchvision network weights of these shapes fit, or the nearest one, in a few words."""
    names = _by_size(have)
    for name in names:
        misfit = Misfit.between(have, torchvision_shapes(name))
        if not misfit or misfit.classes is not None:
            return f"they fit torchvision:{name}"
    score, name = max((_likeness(have, torchvision_shapes(name)), name) for name in names)
    if score < _NEAR:
        return "no torchvision network is like them"
    return f"nearest: torchvision:{name} ({score:.0%} of the tensors agree)"


@cache
def torchvision_shapes(name: str) -> Shapes:
    """List the shapes in a torchvision network; takes a twentieth of a second, once."""
    with _WithoutMemory():
        return shapes_of(untrained_torchvision(Wish("torchvision", name)).module.state_dict())


def _by_size(have: Shapes) -> list[str]:
    # A network of the right size is most likely the one, and the number of parameters is known without building any.
    size = sum(prod(shape) for key, shape in have.items() if "running_" not in key)
    return sorted(torchvision_names(), key=lambda name: abs(torchvision_size(name) - size))


class _WithoutMemory(TorchFunctionMode):
    # torch.device("meta") would also catch the few numbers that regnet and swin compute while they are built.
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - the signature is torch's
        options = dict(kwargs or {})
        if func is torch.empty:
            options["device"] = "meta"
        return func(*args, **options)


def _likeness(have: Shapes, wanted: Shapes) -> float:
    return len(have.items() & wanted.items()) / max(len(have.keys() | wanted.keys()), 1)


def _first(keys: Iterable[str], count: int = 3) -> str:
    listed = list(keys)
    return ", ".join(listed[:count]) + (", ..." if len(listed) > count else "")
