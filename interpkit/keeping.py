"""Finished work of a run that is not done yet, kept on disk: a run that was killed goes on where it was. numpy only."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from interpkit.errors import ResultError
from interpkit.holding import FILE, Held, holder
from interpkit.writing import unwritable, written

FORMAT = 2
ABOUT = "about.json"
# Seconds between two commits; where committing takes long, it is done less often, for this share of the time.
EVERY = 20.0
SHARE = 0.05
_LOG = logging.getLogger(__name__)
# What of a state is not arrays lies among them under this name.
_PLAIN = "plain"


class LostError(ResultError):
    """What a state speaks of is not there any more, or damaged: the pass that it is of begins again."""


@dataclass(frozen=True, eq=False)
class State:
    """What was committed under one name: arrays, and plain values."""

    arrays: Mapping[str, npt.NDArray[Any]]
    plain: Mapping[str, Any]


class Work:
    """The folder of one run's finished work, held by one process at a time.

    A state in it is written beside and moved into place; other files in it are good as far as a state says. What cannot
    be read counts as not there, so that damage costs time and never gives a wrong number.

    Parameters
    ----------
    folder
        Of this run alone.
    title
        What the run is, for people.
    every
        Seconds between two commits, at least; 0 to commit whenever that is possible.

    Raises
    ------
    ResultError
        If another process is at the same run, or nothing can be written there.
    """

    def __init__(self, folder: Path, *, title: str, every: float = EVERY) -> None:
        self.folder = folder
        self._every, self._cost, self._last = every, 0.0, time.monotonic()
        with _one_line(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._held = Held(folder, doing=title)
        self._title = title
        # What `under` has found or made: each stands above all that comes after it.
        self._above = {ABOUT}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def begin(self, key: str) -> None:
        """Go on with the work kept under this key, or throw away what was kept under another.

        Parameters
        ----------
        key
            As `work_key` makes it, of everything that decides what is kept.
        """
        path = self.folder / ABOUT
        about = {"format": FORMAT, "key": key, "title": self._title}
        try:
            there = json.loads(path.read_text())
            same = [there["format"], there["key"]] == [FORMAT, key]
        except (OSError, ValueError, KeyError, TypeError):
            same = False
        if same:
            # What a process was writing when it was killed.
            for part in self._others():
                if part.name.startswith("."):
                    part.unlink()
            return
        with _one_line(self.folder):
            # The key goes first: what is left behind of a removal that is cut short must not pass for work under it.
            path.unlink(missing_ok=True)
            for old in self._others():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            with written(path, lasting=True) as part:
                part.write_text(json.dumps(about))

    def announce(self) -> None:
        """Say that there is something to go on with, where there is more than what stands above all else."""
        if {path.name for path in self.folder.glob("*.npz")} - self._above:
            _LOG.info("going on with what an earlier run has done (%s)", self._title)

    def _others(self) -> list[Path]:
        """All that lies here but the lock."""
        return [path for path in self.folder.iterdir() if path.name != FILE]

    def file(self, name: str) -> Path:
        """Where a file lies that states speak of."""
        return self.folder / f"{name}.bin"

    def state(self, name: str) -> State | None:
        """What was committed under a name; None if nothing was, or it is damaged."""
        try:
            # Opened here: of an archive that is none, np.load would leave the file open.
            with (self.folder / f"{name}.npz").open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                arrays = dict(archive)
            own, plain = json.loads(arrays.pop(_PLAIN).tobytes())
        except Exception:  # a damaged archive can raise about anything
            return None
        # A sound state in the place of another one is damage too.
        return State(arrays, plain) if own == name and isinstance(plain, dict) else None

    def states(self) -> Iterator[State]:
        """All that was committed, and is not damaged."""
        for path in sorted(self.folder.glob("*.npz")):
            found = self.state(path.stem)
            if found is not None:
                yield found

    def due(self) -> bool:
        """Whether the last commit is long enough ago for another one."""
        return self._every == 0 or time.monotonic() - self._last >= max(self._every, self._cost / SHARE)

    def commit(self, name: str, arrays: Mapping[str, npt.NDArray[Any]], plain: Mapping[str, Any]) -> None:
        """Keep a state under a name, in place of the one before; files that it speaks of must be flushed by then.

        Raises
        ------
        ResultError
            If it cannot be written; what was committed before stays.
        """
        start = time.monotonic()
        packed: dict[str, Any] = {_PLAIN: np.frombuffer(json.dumps([name, dict(plain)]).encode(), np.uint8), **arrays}
        with (
            _one_line(self.folder),
            written(self.folder / f"{name}.npz", lasting=True) as part,
            part.open("wb") as stream,
        ):
            np.savez(stream, **packed)
        self._last = time.monotonic()
        self._cost = self._last - start

    def once(self, name: str, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Plain values that are made the first time and stay what they were then."""
        before = self.state(name)
        if before is None:
            self.commit(name, {}, make())
            before = self.state(name)
        if before is None:
            raise ResultError(f"{self.folder / name}.npz cannot be read back; the disk may be damaged")
        return before.plain

    def under(self, name: str, plain: Mapping[str, Any]) -> None:
        """Plain values that all kept after them depends on: all that goes where others were kept, or none."""
        before = self.state(name)
        self._above.add(f"{name}.npz")
        if before is not None and before.plain == json.loads(json.dumps(dict(plain))):
            return
        with _one_line(self.folder):
            for old in self._others():
                if old.name not in self._above:
                    old.unlink()
        self.commit(name, {}, plain)

    def release(self) -> None:
        """Let go of the folder, which stays for a run that goes on if there is anything in it."""
        self._held.release()
        with suppress(OSError):
            self.folder.rmdir()
            self.folder.parent.rmdir()

    def drop(self) -> None:
        """Remove the folder: the run is done and its result saved."""
        with suppress(OSError):
            # The key goes first: without it nothing that is left counts.
            (self.folder / ABOUT).unlink(missing_ok=True)
            # The lock goes last: whoever comes once that is gone finds a folder that nobody empties any more.
            for old in self._others():
                shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink(missing_ok=True)
        self.release()


def work_key(*parts: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """A hash of everything that decides what a run keeps.

    Examples
    --------
    >>> work_key("dissect", {"quantile": 0.005}) == work_key("dissect", {"quantile": 0.01})
    False
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Unfinished:
    """A run whose work is kept: what it is, its folder, its size in bytes, when it last got on, and who is at it."""

    title: str
    folder: Path
    size: int
    changed: float
    holder: str | None


def unfinished(root: Path) -> Iterator[Unfinished]:
    """The runs whose work is kept under ``root``."""
    for folder in sorted(path.parent for path in root.rglob(ABOUT)) if root.is_dir() else ():
        try:
            title = str(json.loads((folder / ABOUT).read_text())["title"])
            files = [file.stat() for file in folder.rglob("*") if file.is_file()]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        size, changed = sum(file.st_blocks * 512 for file in files), max(file.st_mtime for file in files)
        yield Unfinished(title, folder, size, changed, holder(folder))


def _one_line(folder: Path) -> AbstractContextManager[None]:
    return unwritable(lambda why: ResultError(f"cannot keep finished work in {folder}: {why}"))
