"""A training in several processes: what stops one stops all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from interpkit.processes import Group

T = TypeVar("T")


@contextmanager
def together(group: Group) -> Iterator[None]:
    """Work that stops in all processes when it fails in one, with what that one said of it."""
    with group.together():
        try:
            yield
        except RuntimeError:
            # A sum over all breaks off where another process has gone: what made it go says more.
            group.check()
            raise


def shared(group: Group, work: Callable[[], tuple[T, Tensor]], *, sums: int, device: torch.device) -> tuple[T, Tensor]:
    """What ``work`` gives this process, and the sums over all of what it counted; for work that may fail in one alone.

    Parameters
    ----------
    work
        Gives anything, and numbers in double precision.
    sums
        How many.

    Raises
    ------
    InterpkitError
        If it failed in another process.
    """
    try:
        mine, counted = work()
    except Exception:
        # The others wait for these numbers already, and would for ever.
        group.summed(torch.tensor([0.0] * sums + [1.0], dtype=torch.float64, device=device))
        raise
    everything = group.summed(torch.cat([counted, counted.new_zeros(1)]).to(device)).cpu()
    if everything[-1]:
        group.meet()
    return mine, everything[:-1]
