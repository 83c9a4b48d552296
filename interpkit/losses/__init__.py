"""Losses that make units interpretable: each file offers one, chosen by its name.

A loss is a module, so that what it learns or remembers travels in its ``state_dict``. It decides what one training
step minimises, may change what its layers hand on while training (never afterwards), and keeps its hands off everything
else: with weight 0 a training is the same bit for bit as without the loss.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from interpkit import _plugins
from interpkit.errors import InterpkitError, UnknownNameError, nearest
from interpkit.losses._options import check_choice, check_flag, check_number, check_whole
from interpkit.surgery import PartMask

__all__ = [
    "Edit",
    "InterpretableLoss",
    "Layer",
    "Pass",
    "Step",
    "check_choice",
    "check_flag",
    "check_number",
    "check_whole",
    "make",
    "names",
]

Edit = Callable[[str, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer whose units are made interpretable.

    Attributes
    ----------
    units, size
        U and (h, w) of its maps.
    mask
        Its part masks; None where it has none.
    """

    units: int
    size: tuple[int, int]
    mask: PartMask | None


@dataclass(frozen=True, eq=False)
class Pass:
    """What one forward pass gave.

    Attributes
    ----------
    outputs
        (n, K) the network's outputs, before any softmax.
    maps
        Layer -> (n, U, h, w), rectified, before mask and edit.
    """

    outputs: Tensor
    maps: Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Step:
    """One training step, as a loss sees it.

    Attributes
    ----------
    member
        (n, K) 1 where an image is of a class, else 0; float.
    epoch
        From 0.
    run
        Runs the network on the step's images, with an edit (layer, masked maps) -> maps to hand on, or None.
    task
        (n, K) outputs -> the classification loss, mean over the images.
    """

    member: Tensor
    epoch: int
    run: Callable[[Edit | None], Pass]
    task: Callable[[Tensor], Tensor]


class InterpretableLoss(nn.Module):
    """What one file of this folder offers.

    Its keyword arguments are its options, with the papers' or the measured defaults; ``weight`` is always one of them.

    Attributes
    ----------
    masked
        Whether the layers get part masks, which stay in the network after training.
    """

    masked: ClassVar[bool] = False

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def attach(self, layers: Mapping[str, Layer], *, classes: int, multi: bool, epochs: int) -> None:
        """Get ready for a network: parameters and buffers for its layers, without a draw from the global random state.

        Raises
        ------
        InterpkitError
            If the options do not suit it.
        """
        raise NotImplementedError

    def begin(self, epoch: int) -> None:
        """Told before the first step of an epoch, from 0; also after a resume."""

    def path(self, epoch: int) -> str:
        """What this epoch trains, in a word for the history: ``ordinary`` unless a loss changes it."""
        return "ordinary"

    def forward(self, step: Step) -> Tensor:
        """What the step minimises, a scalar."""
        raise NotImplementedError

    def own_optimizer(self) -> torch.optim.Optimizer | None:
        """The optimiser of the loss's own parameters, made once in ``attach``; None where it has none."""
        return None

    def after_step(self, epoch: int) -> None:
        """Called when all optimisers have stepped."""

    def said(self) -> dict[str, float]:
        """Numbers of the last step for the history, by column."""
        return {}

    def learnt(self) -> dict[str, Tensor]:
        """What the loss has learnt, for the result: name -> tensor."""
        return {}

    def warnings(self) -> tuple[str, ...]:
        """What went otherwise than intended, a sentence each; asked at the end."""
        return ()


def names() -> list[str]:
    """The losses on offer, as the command line calls them."""
    return [name.replace("_", "-") for name in _plugins.names(__name__)]


def make(name: str, options: Mapping[str, Any]) -> InterpretableLoss:
    """The loss called ``name`` with these options.

    Raises
    ------
    UnknownNameError
        If there is no such loss, or it has no such option; the message lists the nearest.
    """
    if name not in names():
        close = ", ".join(nearest(name, names()) or names())
        raise UnknownNameError(f"no loss {name!r}; there is {close}")
    kind: type[InterpretableLoss] = _plugins.load(__name__, name.replace("-", "_"))
    known = [one for one in inspect.signature(kind).parameters if one != "self"]
    for option in options:
        if option not in known:
            close = ", ".join(nearest(option, known) or known)
            raise UnknownNameError(f"the loss {name} has no option {option!r}; nearest: {close}")
    try:
        return kind(**options)
    except TypeError as error:
        raise InterpkitError(f"the loss {name} does not take these options: {error}") from error
