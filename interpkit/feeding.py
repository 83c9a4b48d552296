"""Feeding a network: images read ahead into batches, and the batch size and memory format that run fastest."""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from statistics import median
from time import perf_counter
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from interpkit.errors import ImageError, InterpkitError
from interpkit.labels import LabelSet, combined, digest
from interpkit.models import Preprocessing
from interpkit.probe import Probe

MemoryFormat = Literal["auto", "contiguous", "channels_last"]
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
CPU_BATCHES = (1, 2, 4, 8)
GPU_BATCHES = (16, 32, 64, 128)
TUNING_SECONDS = 3.0
# Batches end where so many images do, or a little before: whoever takes whole blocks of them has the same batches.
BLOCK = 64
# Decoding takes a thread of the forward pass off its core, and the network's other threads wait for it at the end of
# every layer: 502 images took 9.2 s, with nice decoders 8.5 s, and the forward pass alone 7.5 s.
NICENESS = 10

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Feeding:
    """How a network is fed, and what was measured to decide it.

    Attributes
    ----------
    batch_size, memory_format, threads
        Results are bit-identical when these are equal.
    timings
        (batch size, memory format, milliseconds an image) of every combination tried, medians.
    """

    batch_size: int
    memory_format: str
    threads: int
    timings: tuple[tuple[int, str, float], ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Feeding":
        """From the plain values of another, as JSON keeps them."""
        timings = tuple((int(size), str(name), float(ms)) for size, name, ms in values["timings"])
        return cls(**{**values, "timings": timings})

    @property
    def block(self) -> int:
        """Consecutive images that are always fed by themselves: whole batches of them."""
        return self.batch_size * max(1, BLOCK // self.batch_size)

    @property
    def milliseconds(self) -> float:
        """An image's forward pass, as measured with what was chosen; NaN if nothing was measured."""
        chosen = (self.batch_size, self.memory_format)
        return next((ms for size, name, ms in self.timings if (size, name) == chosen), float("nan"))


@dataclass(frozen=True, eq=False)
class Batch:
    """Consecutive images, without those that cannot be read.

    Attributes
    ----------
    rows
        (n,) their rows in the label set.
    images
        (n, channels, H, W) float32 in the batch's format.
    stop
        The row that the next batch begins to look at.
    """

    rows: npt.NDArray[np.int64]
    images: torch.Tensor
    stop: int


@contextmanager
def threads_set(threads: int | None) -> Iterator[int]:
    """Torch's thread count set to ``threads`` (None: left as it is) and put back afterwards; yields the count."""
    before = torch.get_num_threads()
    if threads is not None:
        if threads < 1:
            raise InterpkitError(f"threads must be at least 1, not {threads}")
        torch.set_num_threads(threads)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


@contextmanager
def weights_in(module: torch.nn.Module, memory_format: str) -> Iterator[None]:
    """The module's 4-D weights laid out in ``memory_format``, and put back afterwards: values never change."""
    kept = [(p, p.data) for p in module.parameters() if p.dim() == 4]
    try:
        for parameter, data in kept:
            parameter.data = data.contiguous(memory_format=FORMATS[memory_format])
        yield
    finally:
        for parameter, data in kept:
            parameter.data = data


def read_image(labels: LabelSet, row: int, preprocessing: Preprocessing) -> npt.NDArray[np.float32]:
    """(channels, H, W) float32, the network's input for one image of the label set."""
    return preprocessing(labels.image(row))


def ahead(
    work: Callable[[T], R], items: Iterable[T], *, workers: int, window: int, yielding: bool = False
) -> Iterator[Future[R]]:
    """Futures of ``work(item)`` in the order of ``items``, at most ``window`` of them started and not yet taken.

    ``yielding`` workers leave the processor to the other threads wherever the system lets a thread do so.
    """
    items = iter(items)
    with ThreadPoolExecutor(workers, initializer=_yield_to_others if yielding else None) as pool:
        waiting = deque(pool.submit(work, item) for item in islice(items, window))
        try:
            while waiting:
                done = waiting.popleft()
                yield done
                waiting.extend(pool.submit(work, item) for item in islice(items, 1))
        finally:
            for future in waiting:
                future.cancel()


def _yield_to_others() -> None:
    """Make this thread nicer than the others; only Linux knows the niceness of a thread."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


class Feeder:
    """Batches of a label set's images, decoded ahead of the network.

    Parameters
    ----------
    labels, probe
        Whose images, and for which network.
    feeding
        Batch size and memory format.
    skip_bad
        Leave out images that cannot be read instead of stopping; they are named in ``skipped``.
    span
        Only the images of these rows, whole blocks of them; default: all.

    Attributes
    ----------
    skipped
        Rows that could not be read, of those looked at so far.
    content
        The sum of `interpkit.labels.digest` over the rows looked at so far, each once.
    """

    def __init__(
        self,
        labels: LabelSet,
        probe: Probe,
        *,
        feeding: Feeding,
        skip_bad: bool = False,
        span: range | None = None,
    ) -> None:
        self._labels = labels
        self._probe = probe
        self._feeding = feeding
        self._skip_bad = skip_bad
        self.span = range(len(labels)) if span is None else span
        self.skipped: list[int] = []
        self.content = 0
        self._looked = self.span.start

    def read_before(self, skipped: Sequence[int], *, upto: int, content: int) -> None:
        """The rows before ``upto`` were read by a process that was killed, which found this."""
        self.skipped[:] = skipped
        self.content, self._looked = content, upto

    def batches(self, *, first: int | None = None) -> Iterator[Batch]:
        """Every readable image once, in the order of the label set; from row ``first`` on, where a batch began.

        Raises
        ------
        ImageError
            For an image that cannot be read, unless ``skip_bad``.
        """
        size, block = self._feeding.batch_size, self._feeding.block
        span = range(self.span.start if first is None else first, self.span.stop)
        self.skipped[:] = [row for row in self.skipped if first is not None and row < first]
        rows: list[int] = []
        images: list[npt.NDArray[np.float32]] = []
        # On a GPU the processor has nothing better to do than to decode.
        cpu = self._probe.device.type == "cpu"
        todo = ahead(self._read, span, workers=2, window=2 * size + 2, yielding=cpu)
        for row, future in zip(span, todo, strict=True):
            digested, image = future.result()
            if row >= self._looked:
                self.content, self._looked = combined([self.content, digested]), row + 1
            if not isinstance(image, ImageError):
                images.append(image)
                rows.append(row)
            elif self._skip_bad:
                self.skipped.append(row)
            else:
                raise image
            if rows and (len(rows) == size or (row + 1) % block == 0):
                yield self._batch(rows, images, stop=row + 1)
                rows, images = [], []
        if rows:
            yield self._batch(rows, images, stop=span.stop)

    def _read(self, row: int) -> tuple[int, npt.NDArray[np.float32] | ImageError]:
        # Before it is decoded: if a file changes in between, it is the old one that the numbers are said to be of.
        digested = digest(self._labels, row) if row >= self._looked else 0
        try:
            if self._skip_bad and self._labels.grid:
                self._labels.labels(row)  # an unreadable label map must be known before it decides a threshold
            return digested, read_image(self._labels, row, self._probe.preprocessing)
        except ImageError as error:
            return digested, error

    def _batch(self, rows: list[int], images: list[npt.NDArray[np.float32]], *, stop: int) -> Batch:
        return Batch(np.array(rows), stack(images, self._feeding.memory_format).to(self._probe.device), stop)


def stack(images: list[npt.NDArray[np.float32]], memory_format: str) -> torch.Tensor:
    """(n, channels, H, W) from n arrays (channels, H, W), in a memory format."""
    batch = torch.from_numpy(np.stack(images))
    return batch.contiguous(memory_format=FORMATS[memory_format])


def tune(
    probe: Probe,
    images: list[npt.NDArray[np.float32]],
    *,
    batch_size: int | Literal["auto"] = "auto",
    memory_format: MemoryFormat = "auto",
) -> Feeding:
    """The fastest way to feed the network, measured on its first images.

    A forward pass of a small network is decided by how it is fed more than by anything after it. Each combination is
    warmed up once, then all are timed in turn until ``TUNING_SECONDS`` are over; those that fall far behind are
    dropped; the smallest median wins. What is not ``auto`` is taken as given.

    Parameters
    ----------
    images
        At least one input (channels, H, W); repeated to fill a batch.
    """
    fixed = probe.loaded.fixed_batch
    formats = list(FORMATS) if memory_format == "auto" else [memory_format]
    sizes = GPU_BATCHES if probe.device.type == "cuda" else CPU_BATCHES
    asked = list(sizes) if batch_size == "auto" else [batch_size if isinstance(batch_size, int) else 0]
    batches = [fixed] if fixed else asked
    if min(batches) < 1 or not set(formats) <= set(FORMATS):
        raise InterpkitError(
            f"batch size {batch_size} and memory format {memory_format!r}: a batch holds at least 1 image, "
            f"formats are auto, {', '.join(FORMATS)}"
        )
    combinations = [(size, name) for size in batches for name in formats]
    if len(combinations) == 1:
        medians = {combinations[0]: _time_once(probe, images, combinations[0], warm=False)}
    else:
        medians = _race(probe, images, combinations)
    best = min(medians, key=lambda combination: medians[combination])
    timings = tuple((size, name, 1e3 * medians[size, name]) for size, name in combinations if (size, name) in medians)
    return Feeding(*best, threads=torch.get_num_threads(), timings=timings)


def _race(
    probe: Probe, images: list[npt.NDArray[np.float32]], combinations: list[tuple[int, str]]
) -> dict[tuple[int, str], float]:
    """Median seconds an image of each combination that could be tried in the time."""
    start = perf_counter()
    times: dict[tuple[int, str], list[float]] = {}
    running = list(combinations)
    for turn in range(50):
        for combination in list(running):
            if turn and perf_counter() - start > TUNING_SECONDS:
                return {key: median(values) for key, values in times.items()}
            seconds = _time_once(probe, images, combination, warm=turn > 0)
            times.setdefault(combination, []).append(seconds)
            if perf_counter() - start > TUNING_SECONDS and turn == 0:
                break
        fastest = min(median(values) for values in times.values())
        running = [c for c in running if c in times and median(times[c]) < 1.3 * fastest]
    return {key: median(values) for key, values in times.items()}


def _time_once(
    probe: Probe, images: list[npt.NDArray[np.float32]], combination: tuple[int, str], *, warm: bool
) -> float:
    """Seconds an image of one forward pass, after another one unless ``warm``."""
    size, memory_format = combination
    batch = stack([images[i % len(images)] for i in range(size)], memory_format).to(probe.device)
    with weights_in(probe.model, memory_format):
        if not warm:
            probe(batch)
        _wait(probe.device)
        start = perf_counter()
        probe(batch)
        _wait(probe.device)
        return (perf_counter() - start) / size


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
