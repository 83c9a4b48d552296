"""One process at a time in a folder. Standard library only."""

import fcntl
import json
import os
import platform
import shlex
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Self

from interpkit.errors import ResultError

FILE = ".held"


class InUseError(ResultError):
    """A folder that another process holds."""


class Held:
    """A folder held by this process until it lets go or dies, so that two runs never write into each other.

    The operating system keeps the lock and drops it with the process, however that ends; the file says who it is.

    Parameters
    ----------
    folder
        Exists.
    doing
        What the process does there, in a few words; default: its command line.

    Raises
    ------
    InUseError
        Naming who holds the folder.
    ResultError
        If it cannot be written.
    """

    def __init__(self, folder: Path, *, doing: str = "") -> None:
        self._path = folder / FILE
        self._file = self._locked(folder)
        about = {
            "process": os.getpid(),
            "machine": platform.node(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "doing": doing or shlex.join(sys.argv),
        }
        # On a full disk it is held all the same, by nobody in particular.
        with suppress(OSError):
            os.ftruncate(self._file.fileno(), 0)
            os.write(self._file.fileno(), json.dumps(about).encode())

    def _locked(self, folder: Path) -> IO[bytes]:
        while True:
            try:
                file = self._path.open("a+b")
            except OSError as error:
                raise ResultError(f"cannot write into {folder}: {error.strerror}") from error
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever let go just now has removed the file that was opened: the lock is then on nothing.
                if os.fstat(file.fileno()).st_ino == self._path.stat().st_ino:
                    file.seek(0)
                    return file
            except BlockingIOError:
                file.seek(0)
                who = _who(file.read())
                file.close()
                raise InUseError(f"{folder} is in use by {who}; wait for it, or choose another folder") from None
            except FileNotFoundError:
                pass
            except OSError as error:
                file.close()
                raise ResultError(f"cannot hold {folder} against other processes: {error.strerror}") from error
            file.close()

    def release(self) -> None:
        """Let go."""
        if not self._file.closed:
            # Where somebody has removed the file, another process may hold one of that name by now.
            with suppress(OSError):
                if os.fstat(self._file.fileno()).st_ino == self._path.stat().st_ino:
                    self._path.unlink()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _who(text: bytes) -> str:
    """The holder, as its file says; it may be just about to write it."""
    try:
        about = json.loads(text)
        return f"process {about['process']} on {about['machine']} since {about['since']} ({about['doing']})"
    except (ValueError, KeyError, TypeError):
        return "another process"


def holder(folder: Path) -> str | None:
    """Who holds a folder, in words; None if nobody does."""
    path = folder / FILE
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _who(file.read())
    except OSError:
        pass
    return None
