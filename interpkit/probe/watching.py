"""Running a network while looking on, so that nothing is different afterwards."""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import nn

Inputs = tuple[object, ...]


@dataclass(frozen=True, eq=False)
class Run:
    """One run of one module: its name, which of its runs in this forward pass (from 1), what it took and gave."""

    name: str
    call: int
    inputs: Inputs
    output: object

    @property
    def key(self) -> tuple[str, int]:
        """Name and call."""
        return self.name, self.call


OnRun = Callable[[Run], None]


class Reached(BaseException):
    """Everything asked for has been seen: the rest of the forward pass is not needed.

    Not an ``Exception``, since a network's own ``except Exception`` must not catch it.
    """


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; training flags and random states are as before afterwards, also after an error.

    The flags are set one by one: ``train()`` and ``eval()`` may be overridden, and a network may hold modules in both
    modes (frozen batch-norms).
    """
    flags = [(module, module.training) for module in model.modules()]
    numpy_state, python_state = np.random.get_state(), random.getstate()
    device = device_of(model)
    try:
        for module, _ in flags:
            module.training = False
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
        for module, training in flags:
            module.training = training


@contextmanager
def watched(model: nn.Module, names: Collection[str] | None, on_run: OnRun) -> Iterator[None]:
    """Call ``on_run`` whenever one of the named modules has run; with None, whenever any has.

    ``on_run`` may raise `Reached`, which ends the block quietly. The hooks are gone afterwards, also after an error;
    hooks of others stay, and have run before ``on_run`` sees the output.
    """
    known = dict(model.named_modules())
    calls: Counter[str] = Counter()
    handles = []
    try:
        for name, module in known.items():
            if not name or (names is not None and name not in names):
                continue
            handles.append(module.register_forward_hook(_hook(name, calls, on_run)))
        yield
    except Reached:
        pass
    finally:
        for handle in handles:
            handle.remove()


def device_of(model: nn.Module) -> torch.device:
    """Where the network's first parameter or buffer lies; the CPU for a network without any."""
    first = next(chain(model.parameters(), model.buffers()), None)
    return torch.device("cpu") if first is None else first.device


def dtype_of(model: nn.Module) -> torch.dtype:
    """The floating type of the network's parameters; float32 for a network without any."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)


def _hook(name: str, calls: Counter[str], on_run: OnRun) -> Callable[[nn.Module, Inputs, object], None]:
    def hook(module: nn.Module, inputs: Inputs, output: object) -> None:
        calls[name] += 1
        on_run(Run(name, calls[name], inputs, output))

    return hook
