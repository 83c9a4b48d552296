"""Feature maps kept between two passes over the images: in memory, in a file, or not at all. numpy only."""

import errno
import json
import math
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt
import psutil

from interpkit.errors import InterpkitError, ResultError
from interpkit.keeping import LostError, Work
from interpkit.writing import FULL, writing

if TYPE_CHECKING:
    from interpkit.processes import Group

Cache = Literal["auto", "ram", "disk", "none"]
Floats = npt.NDArray[np.float32]

# What file systems say that cannot take room beforehand.
UNABLE = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}
RAM_SHARE = 0.25
DISK_SHARE = 0.5


class MapStore(Protocol):
    """Takes the maps of numbered batches and gives them back."""

    def put(self, number: int, maps: Mapping[str, Floats]) -> None:
        """Keep the maps (n, U, h, w) of a batch, per layer."""

    def get(self, number: int) -> dict[str, Floats] | None:
        """The maps of a batch; None where they are not kept, or damaged."""

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What finds the kept maps again, once they are on the disk."""

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from such a state."""

    def close(self) -> None:
        """Give the memory or the file back."""


class RamStore:
    """Keeps the maps in memory; of a run that was killed nothing is left."""

    def __init__(self) -> None:
        self._batches: dict[int, dict[str, Floats]] = {}

    def put(self, number: int, maps: Mapping[str, Floats]) -> None:
        """Keep the maps (n, U, h, w) of a batch, per layer."""
        self._batches[number] = dict(maps)

    def get(self, number: int) -> dict[str, Floats] | None:
        """The maps of a batch."""
        return self._batches.get(number)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Nothing: memory goes with its process."""
        return {}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Give the memory back."""
        self._batches.clear()


class DiskStore:
    """Keeps the maps in one file, written from front to back.

    Plain file I/O and not a memory map, whose pages would count as memory of this process.

    Parameters
    ----------
    folder
        Where a nameless file is made.
    file
        The file instead, which stays when the store is closed.
    """

    def __init__(self, folder: Path, *, file: Path | None = None) -> None:
        self._folder = folder
        self._named = file is not None
        self._file: IO[bytes] = _opened(folder, file)
        self._end = 0
        self._shapes: list[tuple[str, tuple[int, ...]]] = []
        # By batch: how many images, where in the file, and a checksum.
        self._kept: dict[int, tuple[int, int, int]] = {}

    def put(self, number: int, maps: Mapping[str, Floats]) -> None:
        """Append the maps (n, U, h, w) of a batch, per layer; of all batches the same layers.

        Raises
        ------
        ResultError
            If the disk is full.
        """
        self._shapes = [(layer, array.shape[1:]) for layer, array in maps.items()]
        start, checksum = self._end, 0
        try:
            self._file.seek(start)
            for array in maps.values():
                rest = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
                checksum = self._checksum(rest, checksum)
                self._end += len(rest)
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
        self._kept[number] = (len(next(iter(maps.values()))), start, checksum)

    def _checksum(self, data: memoryview, before: int) -> int:
        # A file without name is nobody else's: it needs none.
        return zlib.crc32(data, before) if self._named else 0

    def get(self, number: int) -> dict[str, Floats] | None:
        """The maps of a batch; None where they are not kept, or damaged."""
        if number not in self._kept:
            return None
        n, start, expected = self._kept[number]
        self._file.seek(start)
        found, checksum = {}, 0
        for layer, shape in self._shapes:
            array = np.empty((n, *shape), np.float32)
            rest = array.reshape(-1).view(np.uint8).data
            whole = rest
            while rest:
                got = self._file.readinto(rest)  # type: ignore[attr-defined]  # raw files have it, IO[bytes] does not say so
                if not got:
                    return None
                rest = rest[got:]
            checksum = self._checksum(whole, checksum)
            found[layer] = array
        return found if checksum == expected else None

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What finds the kept maps again: they are on the disk when this returns."""
        if not self._named:
            return {}
        os.fsync(self._file.fileno())
        batches = [(number, *values) for number, values in self._kept.items()]
        layers = json.dumps([self._shapes, self._end]).encode()
        return {
            "batches": np.array(batches, np.int64).reshape(-1, 4),
            "layers": np.frombuffer(layers, np.uint8),
        }

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from such a state; maps that are not in the file as it says count as not kept."""
        if not self._named or "batches" not in arrays:
            return
        shapes, self._end = json.loads(arrays["layers"].tobytes())
        self._shapes = [(layer, tuple(shape)) for layer, shape in shapes]
        self._kept = {number: (n, start, checksum) for number, n, start, checksum in arrays["batches"].tolist()}

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _opened(folder: Path, file: Path | None) -> IO[bytes]:
    with writing(folder):
        if file is None:
            return tempfile.TemporaryFile(dir=folder, buffering=0)
        file.touch()
        return file.open("r+b", buffering=0)


def choose(
    cache: Cache, size: int, *, scratch: Path, lasting: bool = False
) -> tuple[Literal["ram", "disk", "none"], str]:
    """Where to keep ``size`` bytes of maps, and why, in one phrase.

    ``auto``: memory if they take at most 25 % of what is free, else a file in ``scratch`` if they take at most 50 %
    of its free space, else nowhere, which costs a second forward pass. ``lasting``: the file comes first, since it is
    still there when a run that was killed goes on.
    """
    if cache not in {"auto", "ram", "disk", "none"}:
        raise InterpkitError(f"cache {cache!r} does not exist; there is auto, ram, disk, none")
    if cache != "auto":
        return cache, f"as asked, {_size(size)} of maps"
    places: list[tuple[Literal["ram", "disk"], bool]] = [
        ("ram", size <= RAM_SHARE * psutil.virtual_memory().available),
        ("disk", size <= DISK_SHARE * shutil.disk_usage(scratch).free),
    ]
    for place, fits in places[::-1] if lasting else places:
        if fits:
            return place, f"{_size(size)} of maps"
    return "none", f"{_size(size)} of maps fit neither memory nor disk"


def settled(
    cache: Cache, size: int, *, scratch: str | Path | None, work: Work | None, name: str
) -> tuple[Literal["ram", "disk", "none"], str]:
    """As `choose`; a run that goes on keeps its maps where they were kept before."""
    folder = scratch_folder(scratch) if work is None else work.folder
    place, why = choose(cache, size, scratch=folder, lasting=work is not None)
    if work is None:
        return place, why
    before = work.once(f"{name}-place", lambda: {"place": place, "why": why})
    return before["place"], before["why"]


@contextmanager
def kept_arrays(
    shapes: Sequence[tuple[int, ...]],
    *,
    cache: Cache = "auto",
    scratch: str | Path | None = None,
    kind: type[np.generic] = np.float32,
    work: Work | None = None,
    name: str = "maps",
    total: int | None = None,
    group: "Group | None" = None,
) -> Iterator[tuple[list[npt.NDArray[Any]], str]]:
    """Arrays of these shapes, empty, for maps that are wanted unit by unit, and where they are, in one phrase.

    In memory, or in files that are gone afterwards, chosen as by `choose`; at least a file is needed. They hold numbers
    of ``kind``.

    Parameters
    ----------
    work
        Files then lie there and stay, and are opened again by a run that goes on; `Filled` says what in them is good.
    name
        What they are called there.
    total
        Bytes that all processes keep together, which decide; default: those of ``shapes``.
    group
        The processes that keep maps in the same way.

    Raises
    ------
    InterpkitError
        If ``cache`` is ``none``, or they fit nowhere, or the scratch folder does not exist.
    ResultError
        If the disk is full.
    """
    folder = scratch_folder(scratch)
    size = np.dtype(kind).itemsize * sum(math.prod(shape) for shape in shapes) if total is None else total

    def decided() -> tuple[Literal["ram", "disk", "none"], str]:
        return settled(cache, size, scratch=scratch, work=work, name=name)

    place, why = decided() if group is None else group.agreed(decided)
    if place == "none":
        raise InterpkitError(f"these maps have to be kept: {why}; use --cache disk, with --scratch on a larger disk")
    if place == "ram":
        yield [np.empty(shape, kind) for shape in shapes], f"{place} ({why})"
    elif work is not None:
        yield [_lasting(work.file(f"{name}-{i}"), shape, kind) for i, shape in enumerate(shapes)], f"{place} ({why})"
    else:
        # On a disk of another machine a file in use keeps a name, which goes later than its folder would.
        with (
            writing(folder),
            tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as inside,
        ):
            files = [Path(inside) / str(number) for number in range(len(shapes))]
            arrays = [_on_disk(file, shape, kind) for file, shape in zip(files, shapes, strict=True)]
        # They lie there without a name from here on: nothing is left of them however the process ends.
        yield arrays, f"{place} ({why})"


class Filled:
    """How far arrays are filled along their first axis, for the state of a pass.

    Parameters
    ----------
    arrays
        As `kept_arrays` gives them.
    """

    def __init__(self, arrays: Sequence[npt.NDArray[Any]]) -> None:
        self._arrays = arrays
        self._rows = 0
        self._sums = [0] * len(arrays)

    def upto(self, rows: int) -> npt.NDArray[np.int64]:
        """The first ``rows`` rows are final: what a state says of them, once they are on the disk."""
        for i, array in enumerate(self._arrays):
            self._sums[i] = self._checksum(array, i, rows)
            if isinstance(array, np.memmap):
                array.flush()
        self._rows = rows
        return np.array([rows, *self._sums], np.int64)

    def restore(self, said: npt.NDArray[np.int64]) -> int:
        """How many rows are final, of what ``upto`` gave to a run that was killed.

        Raises
        ------
        LostError
            If the arrays do not hold them any more: the pass has to begin again.
        """
        rows, *sums = said.tolist()
        self._rows, self._sums = 0, [0] * len(self._arrays)
        if [self._checksum(array, i, rows) for i, array in enumerate(self._arrays)] != sums:
            raise LostError("the kept maps of an earlier run are gone")
        self._rows, self._sums = rows, sums
        return int(rows)

    def _checksum(self, array: npt.NDArray[Any], i: int, rows: int) -> int:
        found = self._sums[i]
        for row in range(self._rows, rows):
            found = zlib.crc32(np.ascontiguousarray(array[row]).reshape(-1).view(np.uint8).data, found)
        return found


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


def _lasting(file: Path, shape: tuple[int, ...], kind: type[np.generic]) -> npt.NDArray[Any]:
    """An array in a file that stays; one that is there with the right size is opened as it is."""
    size = np.dtype(kind).itemsize * math.prod(shape)
    if file.is_file() and file.stat().st_size == size:
        return np.memmap(file, kind, "r+", shape=shape)
    return _on_disk(file, shape, kind)


def _on_disk(file: Path, shape: tuple[int, ...], kind: type[np.generic]) -> npt.NDArray[Any]:
    """An array in a new file, whose room is taken at once: writing into a map that a full disk cannot hold is fatal."""
    with file.open("wb") as stream:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(stream.fileno(), 0, np.dtype(kind).itemsize * math.prod(shape))
        except OSError as error:
            if error.errno in FULL:
                free = shutil.disk_usage(file.parent).free / 1e6
                file.unlink()
                raise ResultError(
                    f"no space for the kept maps in {file.parent} ({free:,.0f} MB free); "
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
