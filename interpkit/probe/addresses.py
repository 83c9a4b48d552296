"""What a layer's name may look like, and what it stands for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from interpkit.errors import ModelError, UnknownNameError, nearest

_ADDRESS = re.compile(r"(?P<module>.*?)(?:#(?P<call>[1-9][0-9]*))?(?:\[(?P<member>[0-9]+)\])?")
_WRAPPERS = frozenset({"module", "_orig_mod"})


@dataclass(frozen=True)
class Address:
    """One tensor that a network computes: ``module#call[member]``.

    Parameters
    ----------
    module : str
        Dotted name of the module, as in ``named_modules()``.
    call : int | None
        Which of the module's runs within one forward pass, from 1; None where none was named.
    member : int | None
        Position in the tuple that the module returns; None stands for the first map in it.
    """

    module: str
    call: int | None = None
    member: int | None = None

    def __str__(self) -> str:
        call = "" if self.call is None else f"#{self.call}"
        member = "" if self.member is None else f"[{self.member}]"
        return f"{self.module}{call}{member}"


def find(name: str, model: nn.Module) -> Address:
    """The address that ``name`` stands for in ``model``.

    The prefix that ``DataParallel`` and ``torch.compile`` put before a name may be there or not.

    Raises
    ------
    UnknownNameError
        If the model has no such module; the message lists the nearest names.
    """
    parts = _ADDRESS.fullmatch(name)
    asked = parts["module"] if parts else name
    modules = first_names(model)
    plain = {_bare(module): first for module, first in modules.items()}
    module = modules.get(asked) or plain.get(_bare(asked))
    if parts is None or module is None:
        close = ", ".join(nearest(asked, modules)) or ", ".join(list(modules)[-3:]) or "none"
        raise UnknownNameError(f"no layer {name!r} in {type(model).__name__}; nearest: {close}")
    call, member = parts["call"], parts["member"]
    return Address(module, int(call) if call else None, int(member) if member else None)


def first_names(model: nn.Module) -> dict[str, str]:
    """Every name of every module below ``model``, with the first name of the same module: a shared one has several."""
    first: dict[int, str] = {}
    everything = model.named_modules(remove_duplicate=False)
    return {name: first.setdefault(id(module), name) for name, module in everything if name}


def tensors(output: object) -> list[Tensor]:
    """The tensors in what a module returns: itself, or those in its tuple, list or mapping; none elsewhere."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, Mapping):
        output = tuple(output.values())
    if isinstance(output, tuple | list):
        return [item for item in output if isinstance(item, Tensor)]
    return []


def rows_of(output: object) -> Tensor:
    """What a network returned as (N, outputs): the first of its tensors that is that, or maps of a single cell.

    Raises
    ------
    ModelError
        If there is none.
    """
    found = tensors(output)
    for tensor in found:
        if tensor.dim() == 2:
            return tensor
        if tensor.dim() == 4 and tensor.shape[2:] == (1, 1):
            return tensor.flatten(1)
    have = ", ".join(str(tuple(tensor.shape)) for tensor in found) or "no tensor"
    raise ModelError(f"the network gives {have}, not a row of outputs an image, (N, outputs)")


def main_member(ranks: list[int]) -> int:
    """Which of several tensors goes by the module's own name: the first of rank 4, else the first."""
    return ranks.index(4) if 4 in ranks else 0


def _bare(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)
