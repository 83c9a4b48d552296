"""What a training minimises: one of the losses on offer, or the classification alone."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from interpkit import losses
from interpkit.errors import InterpkitError, UnknownNameError, nearest
from interpkit.losses import InterpretableLoss, Layer, Step

NONE = "none"


class Plain(InterpretableLoss):
    """The classification alone: the control of every interpretable loss."""

    def __init__(self) -> None:
        super().__init__(0.0)

    def attach(self, layers: Mapping[str, Layer], *, classes: int, multi: bool, epochs: int) -> None:
        """Nothing to get ready."""

    def forward(self, step: Step) -> Tensor:
        """The classification loss of the ordinary path."""
        return step.task(step.run(None).outputs)


@dataclass(frozen=True, eq=False)
class Objective:
    """A loss with its name and all of its options, defaults included."""

    name: str
    loss: InterpretableLoss
    options: Mapping[str, Any]


def make_objective(name: str, *, weight: float | None, options: Mapping[str, Any] | None) -> Objective:
    """The loss called ``name``, ``none`` for the classification alone.

    Raises
    ------
    InterpkitError
        If there is no such loss, it has no such option, its weight is no number from 0 upwards, or asked for twice.
    """
    if weight is not None and "weight" in (options or {}):
        raise InterpkitError(
            f"the weight of the loss is asked for twice, weight {weight:g} and among its options (--set) "
            f"{(options or {})['weight']}: one of the two"
        )
    asked = {**(options or {}), **({} if weight is None else {"weight": weight})}
    if name == NONE:
        if asked:
            raise InterpkitError(f"the loss none has no options; leave out {', '.join(asked)}")
        return Objective(NONE, Plain(), {})
    have = [*losses.names(), NONE]
    if name not in have:
        close = ", ".join(nearest(name, have, count=1) or have)
        raise UnknownNameError(f"no loss {name!r}; there is {', '.join(have)}; nearest: {close}")
    loss = losses.make(name, asked)
    if not loss.weight >= 0:
        raise InterpkitError(f"the weight of the loss {name} must be at least 0, not {loss.weight:g}")
    bound = inspect.signature(type(loss)).bind(**asked)
    bound.apply_defaults()
    return Objective(name, loss, dict(bound.arguments))


def task_loss(outputs: Tensor, member: Tensor, *, multi: bool) -> Tensor:
    """The classification loss, mean over images: cross entropy, or binary cross entropies of several classes.

    Parameters
    ----------
    outputs, member
        (n, K) outputs, and 1 where an image is of a class.
    """
    if multi:
        return binary_cross_entropy_with_logits(outputs, member)
    return cross_entropy(outputs, member.argmax(1))
