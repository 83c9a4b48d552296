"""Feature maps kept between two passes over the images: in memory, in a file, or not at all. numpy only."""

import errno
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt
import psutil

from interpkit.errors import InterpkitError, ResultError

Cache = Literal["auto", "ram", "disk", "none"]
Floats = npt.NDArray[np.float32]

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# What file systems say that cannot take room beforehand.
UNABLE = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}
RAM_SHARE = 0.25
DISK_SHARE = 0.5


class MapStore(Protocol):
    """Takes the maps of consecutive batches and gives them back in the same order."""

    def put(self, maps: Mapping[str, Floats]) -> None:
        """Keep the maps (n, U, h, w) of a batch, per layer."""

    def __iter__(self) -> Iterator[dict[str, Floats]]:
        """The batches, in order."""

    def close(self) -> None:
        """Give the memory or the file back."""


class RamStore:
    """Keeps the maps in memory."""

    def __init__(self) -> None:
        self._batches: list[dict[str, Floats]] = []

    def put(self, maps: Mapping[str, Floats]) -> None:
        """Keep the maps (n, U, h, w) of a batch, per layer."""
        self._batches.append(dict(maps))

    def __iter__(self) -> Iterator[dict[str, Floats]]:
        return iter(self._batches)

    def close(self) -> None:
        """Give the memory back."""
        self._batches.clear()


class DiskStore:
    """Keeps the maps in one nameless file, written and read from front to back.

    Plain file I/O and not a memory map, whose pages would count as memory of this process.
    """

    def __init__(self, folder: Path) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by close()
        self._folder = folder
        self._shapes: list[list[tuple[str, tuple[int, ...]]]] = []

    def put(self, maps: Mapping[str, Floats]) -> None:
        """Append the maps (n, U, h, w) of a batch, per layer.

        Raises
        ------
        ResultError
            If the disk is full.
        """
        self._shapes.append([(layer, array.shape) for layer, array in maps.items()])
        try:
            for array in maps.values():
                rest = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
                while rest:
                    rest = rest[self._file.write(rest) :]
        except OSError as error:
            if error.errno not in FULL:
                raise
            free = shutil.disk_usage(self._folder).free / 1e6
            raise ResultError(
                f"no space for the kept maps in {self._folder} ({free:,.0f} MB free); "
                "use --cache none, or --scratch with a folder on a larger disk"
            ) from error

    def __iter__(self) -> Iterator[dict[str, Floats]]:
        self._file.seek(0)
        for shapes in self._shapes:
            yield {layer: self._read(shape) for layer, shape in shapes}

    def _read(self, shape: tuple[int, ...]) -> Floats:
        array = np.empty(shape, np.float32)
        rest = array.reshape(-1).view(np.uint8).data
        while rest:
            got = self._file.readinto(rest)  # type: ignore[attr-defined]  # raw files have it, IO[bytes] does not say so
            if not got:
                raise ResultError(f"the file of kept maps in {self._folder} ended early")
            rest = rest[got:]
        return array

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def choose(cache: Cache, size: int, *, scratch: Path) -> tuple[Literal["ram", "disk", "none"], str]:
    """Where to keep ``size`` bytes of maps, and why, in one phrase.

    ``auto``: memory if they take at most 25 % of what is free, else a file in ``scratch`` if they take at most 50 %
    of its free space, else nowhere, which costs a second forward pass.
    """
    if cache not in {"auto", "ram", "disk", "none"}:
        raise InterpkitError(f"cache {cache!r} does not exist; there is auto, ram, disk, none")
    if cache != "auto":
        return cache, f"as asked, {_size(size)} of maps"
    memory = psutil.virtual_memory().available
    if size <= RAM_SHARE * memory:
        return "ram", f"{_size(size)} of maps, {_size(memory)} of memory free"
    disk = shutil.disk_usage(scratch).free
    if size <= DISK_SHARE * disk:
        return "disk", f"{_size(size)} of maps, {_size(memory)} of memory and {_size(disk)} of disk free"
    return "none", f"{_size(size)} of maps fit neither {_size(memory)} of memory nor {_size(disk)} of disk"


@contextmanager
def kept_arrays(
    shapes: Sequence[tuple[int, ...]],
    *,
    cache: Cache = "auto",
    scratch: str | Path | None = None,
    kind: type[np.generic] = np.float32,
) -> Iterator[tuple[list[npt.NDArray[Any]], str]]:
    """Arrays of these shapes, empty, for maps that are wanted unit by unit, and where they are, in one phrase.

    In memory, or in files that are gone afterwards, chosen as by `choose`; at least a file is needed. They hold numbers
    of ``kind``.

    Raises
    ------
    InterpkitError
        If ``cache`` is ``none``, or they fit nowhere, or the scratch folder does not exist.
    ResultError
        If the disk is full.
    """
    folder = scratch_folder(scratch)
    size = np.dtype(kind).itemsize * sum(math.prod(shape) for shape in shapes)
    place, why = choose(cache, size, scratch=folder)
    if place == "none":
        raise InterpkitError(f"these maps have to be kept: {why}; use --cache disk, with --scratch on a larger disk")
    if place == "ram":
        yield [np.empty(shape, kind) for shape in shapes], f"{place} ({why})"
        return
    with tempfile.TemporaryDirectory(dir=folder) as inside:
        files = [Path(inside) / str(number) for number in range(len(shapes))]
        yield [_on_disk(file, shape, kind) for file, shape in zip(files, shapes, strict=True)], f"{place} ({why})"


def scratch_folder(scratch: str | Path | None) -> Path:
    """The folder for files that are gone afterwards; the system's own where none is named.

    Raises
    ------
    InterpkitError
        If it does not exist.
    """
    folder = Path(scratch) if scratch is not None else Path(tempfile.gettempdir())
    if not folder.is_dir():
        raise InterpkitError(f"the scratch folder {folder} does not exist")
    return folder


def _on_disk(file: Path, shape: tuple[int, ...], kind: type[np.generic]) -> npt.NDArray[Any]:
    """An array in a new file, whose room is taken at once: writing into a map that a full disk cannot hold is fatal."""
    with file.open("wb") as stream:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(stream.fileno(), 0, np.dtype(kind).itemsize * math.prod(shape))
        except OSError as error:
            if error.errno in FULL:
                free = shutil.disk_usage(file.parent).free / 1e6
                raise ResultError(
                    f"no space for the kept maps in {file.parent.parent} ({free:,.0f} MB free); "
                    "use --cache ram, or --scratch with a folder on a larger disk"
                ) from error
            if error.errno not in UNABLE:
                raise
    return np.memmap(file, kind, "r+", shape=shape)


def store_size(shapes: Sequence[tuple[int, int, int]], images: int) -> int:
    """Bytes that the maps (U, h, w) of several layers take for ``images`` images."""
    return 4 * images * sum(u * h * w for u, h, w in shapes)


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit in {"B", "KB", "MB"} else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
