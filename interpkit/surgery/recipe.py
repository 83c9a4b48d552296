"""What is done to a network, and what comes out of it."""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from torch import nn

from interpkit.errors import InterpkitError
from interpkit.templates import BETA, Position

Head = Literal["pooled", "classifier"]

_CHOICES: dict[str, tuple[str | None, ...]] = {
    "mask": ("argmax", "centre", None),
    "head": ("pooled", "classifier"),
}
# A recipe may come from anybody. Seeds are what torch takes on every platform.
_TYPES: dict[str, tuple[type, ...]] = {
    "layer": (str,),
    "classes": (int,),
    "add": (bool,),
    "filters": (int, type(None)),
    "mask_layer": (bool,),
    "beta": (int, float),
    "seed": (int,),
}
_SEEDS = 2**63


@dataclass(frozen=True)
class Surgery:
    """What is done to a network.

    Attributes
    ----------
    layer
        The layer above which it is done, by its name in the network given.
    classes
        K, the outputs of the new head.
    add
        Whether a new 3 x 3 convolution with a rectifier comes above it.
    filters
        How many filters that has; None for as many as the layer has units.
    mask
        Where part masks stand: the peak of a map (``argmax``), its rounded centre of mass (``centre``); None for none.
    mask_layer
        Whether the layer itself is rectified and becomes a site too, not only the one added above it.
    head
        ``pooled``: everything after is dropped for average pooling and a linear layer; ``classifier``: the network goes
        on as it did, and its last linear layer or 1 x 1 convolution is replaced.
    beta
        How steeply a mask falls.
    seed
        Of the new weights.

    Raises
    ------
    InterpkitError
        If a value is none that the attribute can have, or they contradict each other.
    """

    layer: str
    classes: int
    add: bool = True
    filters: int | None = None
    mask: Position | None = None
    mask_layer: bool = False
    head: Head = "pooled"
    beta: float = BETA
    seed: int = 0

    def __post_init__(self) -> None:
        for name, types in _TYPES.items():
            value = getattr(self, name)
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
                kinds = " or ".join(kind.__name__.removesuffix("Type") for kind in types)
                raise InterpkitError(f"surgery: {name} is of type {kinds}, not {repr(value)[:60]}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                there = ", ".join(str(choice) for choice in choices)
                raise InterpkitError(f"{name} is one of {there}, not {getattr(self, name)!r}")
        if not self.add and not self.mask_layer:
            raise InterpkitError(
                f"nothing is left to train at {self.layer}: add a layer above it, or rectify the layer itself"
            )
        if self.filters is not None and not self.add:
            raise InterpkitError(
                f"{self.filters} filters go with an added layer; without one {self.layer} keeps its own"
            )
        if min(self.classes, 1 if self.filters is None else self.filters) < 1:
            raise InterpkitError(f"a network has at least 1 class and 1 filter, not {self.classes} and {self.filters}")
        if not 0 <= self.seed < _SEEDS:
            raise InterpkitError(f"seeds lie between 0 and {_SEEDS - 1}, this is {self.seed}")
        if not 0 < self.beta <= sys.float_info.max:
            raise InterpkitError(f"part masks need a positive beta, this is {self.beta}; the paper's is {BETA:g}")

    def renamed(self, name: str) -> str:
        """What a module of the network given is called in the new one."""
        if self.head == "pooled":
            return f"trunk.base.{name}"
        inside = name == self.layer or name.startswith(f"{self.layer}.")
        return f"{self.layer}.body{name.removeprefix(self.layer)}" if inside else name

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``."""
        return cls(**values)


@dataclass(frozen=True)
class Site:
    """Where units are made interpretable, by names of modules in the new network.

    Attributes
    ----------
    act
        Gives the rectified maps, before any mask.
    mask
        Runs after it and hands the maps on: a PartMask, or an nn.Identity.
    """

    act: str
    mask: str


@dataclass(frozen=True, eq=False)
class Operated:
    """A network after surgery.

    Attributes
    ----------
    module
        The new network, which shares no tensor with the one given.
    sites
        From the lowest to the topmost.
    fresh
        Names of the modules with new weights.
    """

    module: nn.Module
    sites: tuple[Site, ...]
    fresh: tuple[str, ...]
