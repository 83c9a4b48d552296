"""One training in several processes, as ``torchrun`` starts them: each takes its share of every batch."""

import atexit
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import Tensor, distributed, nn

from interpkit.errors import InterpkitError

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """The processes that train together; a single one by default.

    Attributes
    ----------
    rank, world
        Which process this is, from 0, and how many there are.
    """

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and tells."""
        return self.rank == 0

    def summed(self, values: Tensor) -> Tensor:
        """The sum over all processes, on each of them."""
        if self.world > 1:
            distributed.all_reduce(values)
        return values

    def agreed(self, work: Callable[[], T]) -> T:
        """What ``work`` gives the first process, which alone does it; a user's mistake it stops at stops all.

        Raises
        ------
        InterpkitError
            On every process.
        """
        if self.world == 1:
            return work()
        box: list[T | InterpkitError | None] = [None]
        if self.first:
            try:
                box = [work()]
            except InterpkitError as error:
                box = [error]
        distributed.broadcast_object_list(box)
        if isinstance(box[0], InterpkitError):
            raise box[0]
        return cast(T, box[0])

    def average_gradients(self, parameters: Iterable[nn.Parameter], *, share: float) -> None:
        """Gradients of the whole batch, of which this process saw a ``share``.

        A parameter without gradient on one process counts as 0 there; one without any stays without.
        """
        if self.world == 1:
            return
        mine = list(parameters)
        if not mine:
            return
        has = torch.tensor([p.grad is not None for p in mine], dtype=torch.float32, device=mine[0].device)
        for parameter, anywhere in zip(mine, self.summed(has).tolist(), strict=True):
            if anywhere:
                gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad * share
                parameter.grad = self.summed(gradient)

    def same_buffers(self, modules: Iterable[nn.Module]) -> None:
        """Buffers as the first process has them: running statistics, what a loss remembers."""
        if self.world == 1:
            return
        for module in modules:
            for buffer in module.buffers():
                distributed.broadcast(buffer, 0)


@contextmanager
def process_group(device: str | None) -> Iterator[tuple[Group, str | None]]:
    """The processes started together, and the device of this one.

    Under ``torchrun`` every process takes the GPU of its local rank unless a device is named; processes on CPUs speak
    through gloo. Once joined they stay so to their end: one that left and came back at once could meet the others
    still leaving, and wait for ever.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 and not distributed.is_initialized():
        yield Group(), device
        return
    if device in {None, "auto", "cuda"} and torch.cuda.is_available():
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if str(device).startswith("cuda") else "gloo")
        atexit.register(_leave)
    yield Group(distributed.get_rank(), distributed.get_world_size()), device


def _leave() -> None:
    """Part at the end of the process, unless somebody has done so before."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
