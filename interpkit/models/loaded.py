"""A network ready to be looked into, with what is known of it."""

import hashlib
import inspect
import re
from dataclasses import dataclass

import torch
from torch import nn

from interpkit.models.preprocessing import Preprocessing


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A network, its preprocessing, and where both come from.

    Parameters
    ----------
    module : torch.nn.Module
        The network itself, never wrapped in ``DataParallel``.
    preprocessing : Preprocessing
        What an image has to go through.
    name : str
        Short, fit for a file name: ``resnet18``, ``efficientnet-lite0``.
    spec : str
        What was asked for.
    form : str
        ``torchvision``, ``timm``, ``lite``, ``python``, ``state-dict``, ``export``, ``pickle``, ``finetuned`` or
        ``module``.
    sha : str
        See `fingerprint`.
    notes : tuple[str, ...]
        What the user has to be told, a sentence each.
    fixed_batch : int | None
        The one batch size an exported network takes; None where any will do.
    flags : tuple[str, ...]
        What has to follow ``spec`` on a command line to load the same again: ``("--arch", "torchvision:resnet18")``.
    classes : tuple[str, ...]
        Names of the network's outputs, in order, where they are recorded with its weights; else none.
    layer : str | None
        The layer to look at where none is named, if the network says so; None for the usual rule.
    """

    module: nn.Module
    preprocessing: Preprocessing
    name: str
    spec: str
    form: str
    sha: str
    notes: tuple[str, ...] = ()
    fixed_batch: int | None = None
    flags: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    layer: str | None = None


@dataclass(frozen=True, eq=False)
class Built:
    """A network as one of the readers hands it over: what the reader knows, and no more.

    ``channels`` and ``size`` are those of an exported graph, which takes no others; None where the network decides.
    """

    module: nn.Module
    form: str
    name: str
    recorded: Preprocessing | None = None
    notes: tuple[str, ...] = ()
    fixed_batch: int | None = None
    channels: int | None = None
    size: tuple[int, int] | None = None
    classes: tuple[str, ...] = ()
    layer: str | None = None


def fingerprint(module: nn.Module) -> str:
    """SHA-256 over a network's structure and weights.

    Parameters and buffers count with names, types, shapes and bytes, in order; what they do not tell (strides, padding,
    activations) with the module's own description and, for a class that no library ships, its source.
    """
    digest = hashlib.sha256(type(module).__qualname__.encode())
    digest.update(re.sub(r" at 0x[0-9a-f]+", "", repr(module)).encode())
    digest.update(_own_source(type(module)).encode())
    for name, tensor in module.state_dict().items():
        if not isinstance(tensor, torch.Tensor):
            continue
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _own_source(kind: type) -> str:
    """The source of a user's class, whose ``forward`` may change under the same name; '' for a library's."""
    if kind.__module__.partition(".")[0] in {"torch", "torchvision", "timm", "efficientnet_lite_pytorch"}:
        return ""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return ""


def short_name(text: str) -> str:
    """``text`` with every character that does not belong in a file name as '-'.

    Examples
    --------
    >>> short_name("timm/resnet18.a1_in1k")
    'timm-resnet18.a1_in1k'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "model"


def unwrapped(module: nn.Module) -> nn.Module:
    """Take the network out of ``DataParallel``, ``DistributedDataParallel`` and ``torch.compile``."""
    while True:
        compiled = getattr(module, "_orig_mod", None)
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            module = module.module
        elif isinstance(compiled, nn.Module):
            module = compiled
        else:
            return module
