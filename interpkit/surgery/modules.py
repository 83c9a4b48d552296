"""The modules that surgery puts into a network."""

from typing import Generic, ParamSpec

import torch
from torch import Tensor, nn

from interpkit.errors import ModelError
from interpkit.templates import BETA, Position, mask

P = ParamSpec("P")


class PartMask(nn.Module):
    """Lets through what lies around one place of each map, the same in training and evaluation.

    Gives max(x, 0) times the positive template at the map's place, cut off at 0; the template is a constant for
    back-propagation (Zhang, Wu and Zhu, CVPR 2018, section 3.1).

    Parameters
    ----------
    units
        U.
    position
        ``argmax`` or ``centre``: see `interpkit.templates.place`.
    beta
        How steeply a mask falls, to begin with: the buffer ``beta`` (U,) keeps one value a unit.
    """

    beta: Tensor

    def __init__(self, units: int, position: Position = "argmax", beta: float = BETA) -> None:
        super().__init__()
        self.position: Position = position
        self.register_buffer("beta", torch.full((units,), float(beta)))

    def forward(self, maps: Tensor) -> Tensor:
        """(n, U, h, w) maps -> the same shape, masked."""
        return torch.relu(maps) * mask(maps.detach(), self.beta, self.position)

    def extra_repr(self) -> str:
        """Position and beta, for the module's description."""
        low, high = (float(self.beta.min()), float(self.beta.max())) if self.beta.numel() else (0.0, 0.0)
        return f"{self.position}, beta={low:g}" + ("" if low == high else f"..{high:g}")


class AddedLayer(nn.Module):
    """A 3 x 3 convolution that keeps the size of the maps, a rectifier, and a mask or nothing.

    Parameters
    ----------
    units, filters
        How many maps it takes and gives.
    then
        What follows the rectifier: a `PartMask`, or an ``nn.Identity``.
    """

    def __init__(self, units: int, filters: int, then: nn.Module) -> None:
        super().__init__()
        # Whoever adds a layer draws its weights: here nothing is drawn from the global random state.
        self.conv = nn.Conv2d(units, filters, 3, padding=1, device="meta").to_empty(device="cpu")
        self.act = nn.ReLU()
        self.mask = then

    def forward(self, maps: Tensor) -> Tensor:
        """(n, units, h, w) -> (n, filters, h, w)."""
        masked: Tensor = self.mask(self.act(self.conv(maps)))
        return masked


class MaskedLayer(nn.Module):
    """A rectifier, and a mask or nothing, behind a layer that was there before."""

    def __init__(self, then: nn.Module) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.mask = then

    def forward(self, maps: Tensor) -> Tensor:
        """(n, U, h, w) maps -> the same shape."""
        masked: Tensor = self.mask(self.act(maps))
        return masked


class Opened(nn.Module, Generic[P]):
    """A layer inside a network, with what is put behind it.

    Parameters
    ----------
    body
        The layer as it was.
    then
        The mask behind its rectifier; None where the layer is left as it is.
    added
        The layer above it, if there is one.
    """

    def __init__(self, body: nn.Module, then: nn.Module | None, added: AddedLayer | None) -> None:
        super().__init__()
        self.body = body
        self.act = None if then is None else nn.ReLU()
        self.mask = then
        self.added = added

    def forward(self, *given: P.args, **named: P.kwargs) -> Tensor:
        """Whatever the layer takes -> (n, U, h, w)."""
        maps: Tensor = self.body(*given, **named)
        if self.act is not None and self.mask is not None:
            maps = self.mask(self.act(maps))
        return maps if self.added is None else self.added(maps)


class _ReachedError(BaseException):
    """The layer has given its maps. Not an ``Exception``, since a network's own ``except`` must not catch it."""

    def __init__(self, owner: nn.Module, maps: Tensor) -> None:
        super().__init__()
        self.owner, self.maps = owner, maps


class Dropped(nn.Module):
    """Stands where a module was that starts only after the layer at which a network was cut."""

    def forward(self, maps: Tensor) -> Tensor:
        """Never reached.

        Raises
        ------
        ModelError
            Always.
        """
        raise ModelError("this network was cut below here: what came after is gone")


class Cut(nn.Module):
    """A network that runs until one of its layers has given its maps.

    The pass ends there, whatever the network's own code does next. Enclosing modules do not finish, so only what ends
    before the layer does can be looked into.

    Parameters
    ----------
    base
        The network; what starts only after the layer may be gone from it.
    layer
        The layer's name in it.
    """

    def __init__(self, base: nn.Module, layer: str) -> None:
        super().__init__()
        self.base = base
        self.layer = layer

    def forward(self, images: Tensor) -> Tensor:
        """(n, channels, H, W) -> (n, U, h, w)."""

        def stop(module: nn.Module, inputs: object, maps: Tensor) -> None:
            raise _ReachedError(self, maps)

        # Registered anew for every pass, so that it comes after whoever else looks at this layer.
        handle = self._target().register_forward_hook(stop)
        try:
            self.base(images)
        except _ReachedError as reached:
            # A network that was cut before may hold another one of these.
            if reached.owner is not self:
                raise
            return reached.maps
        finally:
            handle.remove()
        raise ModelError(f"layer {self.layer!r} did not run on these images")

    def _target(self) -> nn.Module:
        try:
            return self.base.get_submodule(self.layer)
        except AttributeError:
            # Cut once more, further down: this layer is gone, and the pass ends before it.
            return self

    def extra_repr(self) -> str:
        """The layer, for the module's description."""
        return f"layer={self.layer}"


class Pooled(nn.Module):
    """A cut network, the layers that are trained to be interpretable, average pooling and a linear head."""

    def __init__(self, trunk: Cut, masked: MaskedLayer | None, added: AddedLayer | None, *, head: nn.Linear) -> None:
        super().__init__()
        self.trunk = trunk
        self.masked = masked
        self.added = added
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """(n, channels, H, W) -> (n, K)."""
        maps: Tensor = self.trunk(images)
        for layer in (self.masked, self.added):
            maps = maps if layer is None else layer(maps)
        outputs: Tensor = self.head(maps.mean((2, 3)))
        return outputs
