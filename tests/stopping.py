"""Runs that are stopped at every commit and started again, and their files beside those of a run that never was."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from interpkit.keeping import Work
from interpkit.results import result_folder_name, save

R = TypeVar("R")
MOST = 400
# A page says so at its top and, with the seconds of each stage, among the settings.
WHEN = re.compile(rb"\d+ [A-Z][a-z]+ \d{4}, \d\d:\d\d UTC[^<]*")


class StoppedError(Exception):
    """In place of a kill."""


class Stopping(Work):
    """Work that is committed as often as it can be, and stops the run after ``commits`` of them."""

    def __init__(self, folder: Path, *, commits: int) -> None:
        super().__init__(folder, title="a test")
        self._left = commits

    def due(self) -> bool:
        """Whenever it is asked."""
        return True

    def commit(self, name: str, arrays: Mapping[str, NDArray[Any]], plain: Mapping[str, Any]) -> None:
        """One commit more."""
        super().commit(name, arrays, plain)
        self._left -= 1
        if self._left == 0:
            raise StoppedError


def stopped(compute: Callable[[Work], R], folder: Path, *, commits: int) -> R | None:
    """The result of a run, or None where it was stopped after so many commits."""
    with Stopping(folder, commits=commits) as work:
        try:
            return compute(work)
        except StoppedError:
            return None


def through(compute: Callable[[Work], R], folder: Path, *, commits: int = 1) -> tuple[R, int]:
    """The result of a run that is stopped after every few commits and started again, and how often it was started."""
    for times in range(1, MOST):
        result = stopped(compute, folder, commits=commits)
        if result is not None:
            return result, times
    raise AssertionError(f"{MOST} times were not enough")


def saved(results: Mapping[str, Any], run: Path) -> Path:
    """The results of a run, saved in its folder."""
    for one in results.values():
        save(one, run / result_folder_name(one))
    return run


def files_of(run: Path) -> dict[str, bytes]:
    """The files of a run, by path, but for when it was made and how long that took."""
    found = {}
    for path in sorted(run.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.name == "result.json":
                about = json.loads(content)
                about["provenance"] |= {"when": "", "seconds": {}}
                content = json.dumps(about).encode()
            if path.name == "index.html":
                content = WHEN.sub(b"", content)
            found[path.relative_to(run).as_posix()] = content
    return found


def assert_same_files(one: Path, other: Path) -> None:
    """Byte for byte."""
    mine, others = files_of(one), files_of(other)
    assert mine.keys() == others.keys()
    differ = [name for name in mine if mine[name] != others[name]]
    assert not differ, differ
