"""A layer's output changed on its way through the network, for as long as a block runs."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from interpkit.errors import ModelError
from interpkit.probe.addresses import Address, main_member, tensors
from interpkit.probe.probing import Probe

Edit = Callable[[Tensor], Tensor]


@contextmanager
def edited(probe: Probe, layer: str, edit: Edit) -> Iterator[None]:
    """Replace what ``layer`` gives by ``edit`` of it, in every forward pass inside the block.

    Only the run that the layer's address names is changed, and of several tensors only the one it names. The probe
    itself sees the maps as they were changed. The hooks are gone afterwards, also after an error.

    Parameters
    ----------
    probe : Probe
    layer : str
        One of its layers.
    edit : Callable[[torch.Tensor], torch.Tensor]
        From maps (N, U, h, w) to maps of the same shape; it must not write into them. Vectors (N, U) come as
        (N, U, 1, 1).

    Raises
    ------
    ModelError
        If the probe has a ``reshape=``: what was changed behind it cannot be brought back. Also if ``edit`` changes the
        shape.
    """
    if probe.reshape is not None:
        raise ModelError(f"layer {layer!r} is read through reshape=, so its units cannot be changed inside the network")
    address = probe.address(layer)
    counter = _Counter(replace(address, call=address.call or 1), edit)
    module = probe.model.get_submodule(address.module)
    handles = [
        probe.model.register_forward_pre_hook(counter.start),
        module.register_forward_hook(counter.hook),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@dataclass(eq=False)
class _Counter:
    """Which run of a module this is, counted anew in every forward pass."""

    address: Address
    edit: Edit
    runs: int = 0

    def start(self, module: nn.Module, inputs: object) -> None:
        self.runs = 0

    def hook(self, module: nn.Module, inputs: object, output: object) -> object:
        self.runs += 1
        return _replaced(output, self.address, self.edit) if self.runs == self.address.call else None


def _replaced(output: object, address: Address, edit: Edit) -> object:
    """``output``, a tensor or several, with the addressed one edited."""
    found = tensors(output)
    member = main_member([one.dim() for one in found]) if address.member is None else address.member
    new = _edited(found[member], address, edit)
    if isinstance(output, Tensor):
        return new
    if isinstance(output, Mapping):
        key = next(key for key, value in output.items() if value is found[member])
        return _rebuilt(output, {**output, key: new})
    items = list(output)  # type: ignore[call-overload]
    items[next(place for place, value in enumerate(items) if value is found[member])] = new
    return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)  # type: ignore[call-arg]


def _rebuilt(output: Mapping[Any, Any], items: dict[Any, Any]) -> object:
    """A mapping of the same kind."""
    return items if type(output) is dict else type(output)(items)  # type: ignore[call-arg]


def _edited(tensor: Tensor, address: Address, edit: Edit) -> Tensor:
    maps = tensor[:, :, None, None] if tensor.dim() == 2 else tensor
    new = edit(maps)
    if new.shape != maps.shape:
        raise ModelError(f"layer '{address}' gives {tuple(maps.shape)}; edited it would be {tuple(new.shape)}")
    return new.to(tensor.dtype).reshape(tensor.shape)
