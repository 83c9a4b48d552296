"""One run in several processes, as ``torchrun`` starts them."""

import atexit
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed, nn

from interpkit.errors import InterpkitError, one_line

T = TypeVar("T")

FAILED = "interpkit/failed"

# Seconds between two looks at the others while waiting for them.
LOOK = 0.02


class OthersError(InterpkitError):
    """What stopped another process, and so this one too."""


@dataclass(frozen=True)
class Group:
    """The processes that work together; a single one by default.

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
        self.meet()
        distributed.broadcast_object_list(box)
        if isinstance(box[0], InterpkitError):
            raise box[0] if self.first else OthersError(str(box[0]))
        return cast(T, box[0])

    def merge(self, mine: T, take: Callable[[T], None]) -> None:
        """Hand what every process brings to the first one, in their order, its own first, one at a time."""
        if self.first:
            take(mine)
        if self.world == 1:
            return
        self.meet()
        if not self.first:
            distributed.send_object_list([mine], dst=0)
            return
        for rank in range(1, self.world):
            box: list[T | None] = [None]
            distributed.recv_object_list(box, src=rank)
            take(cast(T, box[0]))

    def share(self, images: int, *, block: int) -> range:
        """The images that this process takes: whole blocks of consecutive ones, as even as they go."""
        blocks = -(-images // block)
        first, last = (blocks * rank // self.world * block for rank in (self.rank, self.rank + 1))
        return range(min(first, images), min(last, images))

    def check(self) -> None:
        """Stop if another process has stopped.

        Raises
        ------
        OthersError
            With the other's message.
        """
        if self.world > 1 and _store().check([FAILED]):
            raise OthersError(_store().get(FAILED).decode())

    def meet(self) -> None:
        """Wait for the others; whoever fails on the way there stops all, where a collective would wait for ever.

        Raises
        ------
        InterpkitError
            If another process has stopped.
        """
        if self.world == 1:
            return
        name = f"interpkit/met/{next(_meetings)}"
        _store().add(name, 1)
        while int(_store().add(name, 0)) < self.world:
            self.check()
            time.sleep(LOOK)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Work that stops in all processes when it fails in one."""
        try:
            yield
        except BaseException as error:
            # All may stop at the same mistake: one of them says so.
            if self.world == 1 or isinstance(error, OthersError):
                raise
            said = f"process {self.rank} of {self.world} stopped: {_reason(error)}"
            mine = str(self.rank).encode()
            first = _store().compare_set(f"{FAILED}/by", "", mine.decode()) == mine
            if first:
                _store().set(FAILED, said)
            if first or not isinstance(error, InterpkitError):
                raise
            raise OthersError(str(error)) from None

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


def _reason(error: BaseException) -> str:
    return one_line(error) if isinstance(error, Exception) else type(error).__name__


ALONE = Group()

# Every process comes to the same meetings in the same order.
_meetings = count()


def _store() -> Any:  # noqa: ANN401 - torch gives its type no public name
    """What all processes can read and write at any time."""
    return distributed.distributed_c10d._get_default_store()


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
