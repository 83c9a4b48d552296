"""When the modules of a network start and end in a forward pass, and so which of them a training reaches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor, nn

from interpkit.errors import UnknownNameError, nearest
from interpkit.probe.watching import undisturbed
from interpkit.surgery import Operated, Surgery

ALL = "all"


@dataclass(frozen=True, eq=False)
class Order:
    """One forward pass: the moments, counted from 0, at which modules first start and last end.

    Attributes
    ----------
    start, end
        By the module's name; modules that do not run are in neither. The network itself is ''. What encloses the layer
        at which a network was cut never ends.
    runs
        How often each runs.
    """

    start: Mapping[str, int]
    end: Mapping[str, int]
    runs: Mapping[str, int]

    def after(self, moment: int) -> list[str]:
        """The modules that start at ``moment`` or later, in their order."""
        return sorted((name for name, at in self.start.items() if at >= moment), key=self.start.__getitem__)


def order_of(module: nn.Module, images: Tensor) -> Order:
    """Watch one forward pass in evaluation mode; the network is left as it was."""
    seen = _Seen({}, {}, {}, count().__next__)
    handles = []
    try:
        for name, child in module.named_modules():
            handles.append(child.register_forward_pre_hook(seen.before(name)))
            handles.append(child.register_forward_hook(seen.behind(name)))
        with undisturbed(module), torch.no_grad():
            module(images)
    finally:
        for handle in handles:
            handle.remove()
    return Order(seen.start, seen.end, seen.runs)


@dataclass(frozen=True, eq=False)
class _Seen:
    start: dict[str, int]
    end: dict[str, int]
    runs: dict[str, int]
    moment: Callable[[], int]

    def before(self, name: str) -> Callable[[nn.Module, object], None]:
        def hook(module: nn.Module, inputs: object) -> None:
            moment = self.moment()
            self.start.setdefault(name, moment)
            self.runs[name] = self.runs.get(name, 0) + 1

        return hook

    def behind(self, name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            self.end[name] = self.moment()

        return hook


def trains_layer(order: Order, train_from: str | None, layer: str) -> bool:
    """Whether a training from a module of the network given, traced in ``order``, reaches ``layer``.

    Raises
    ------
    UnknownNameError
        If there is no such module, or it does not run.
    """
    if train_from is None:
        return False
    if train_from == ALL:
        return True
    if train_from not in order.start:
        have = [name for name in order.start if name]
        close = ", ".join(nearest(train_from, have)) or ", ".join(have[-3:])
        raise UnknownNameError(
            f"no layer {train_from!r} to train from, or it does not run; {ALL!r} trains everything; nearest: {close}"
        )
    return order.start[train_from] < order.end.get(layer, 0)


def trained_modules(operated: Operated, order: Order, *, surgery: Surgery, train_from: str | None) -> tuple[str, ...]:
    """Names of the modules that are trained, in the order in which they run.

    Those that are new, and all that start with or after ``train_from``; without it all that start above the layer.

    Parameters
    ----------
    operated, order
        The new network, and a forward pass of it.
    train_from
        A name in the network before surgery.

    Raises
    ------
    UnknownNameError
        If surgery has left nothing of ``train_from``.
    """
    if train_from is None:
        starts = [order.start[name] for name in operated.fresh if name in order.start]
        moment = min([*starts, order.end[surgery.renamed(surgery.layer)]])
    else:
        moment = -1 if train_from == ALL else _start_of(train_from, order, surgery)
    inside = tuple(f"{name}." for name in operated.fresh)
    fresh = {name for name in order.start if name in operated.fresh or name.startswith(inside)}
    return tuple(sorted({*order.after(moment), *fresh}, key=order.start.__getitem__))


def _start_of(train_from: str, order: Order, surgery: Surgery) -> int:
    new = surgery.renamed(train_from)
    if new not in order.start:
        raise UnknownNameError(
            f"{train_from!r} lies above {surgery.layer}, where the pooled head takes its place; train from "
            f"{surgery.layer} or below it, or keep the network's own classifier (--head classifier)"
        )
    return order.start[new]


def set_modes(module: nn.Module, trained: Sequence[str]) -> list[nn.Parameter]:
    """Training mode and gradients for the trained modules' own parameters, which are given; all else is frozen.

    Frozen batch norms keep their statistics: they are in evaluation mode.
    """
    names = set(trained)
    mine: list[nn.Parameter] = []
    for name, child in module.named_modules():
        child.training = name in names
        for parameter in child.parameters(recurse=False):
            parameter.requires_grad_(name in names and parameter.is_floating_point())
            if parameter.requires_grad:
                mine.append(parameter)
    return mine
