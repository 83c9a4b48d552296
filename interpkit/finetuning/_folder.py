"""The folder of a trained network: whether it may be written to, and what of it a training wrote."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from interpkit.errors import ResultError
from interpkit.finetuning._checkpoint import FILE
from interpkit.models.finetuned import RECIPE, WEIGHTS

# What an operating system says where nothing can be written: no room, no right to, or a file in the way of a folder.
NO_PLACE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    *(errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.EEXIST, errno.ENOTDIR),
}

Found = Literal["nothing", "interrupted", "finished"]


def look(folder: Path, *, resume: bool, overwrite: bool) -> Found:
    """What is in the folder, where that may be gone on with, cleared, or is nothing.

    Raises
    ------
    ResultError
        If it holds what this training must leave alone.
    """
    if resume and overwrite:
        raise ResultError("resume goes on with a training, overwrite clears it: one of the two")
    if folder.exists() and not folder.is_dir():
        raise ResultError(f"{folder} is a file; choose another folder")
    if not folder.exists() or not any(folder.iterdir()):
        return "nothing"
    found = _kept(folder)
    if found == "nothing":
        raise ResultError(f"{folder} exists and holds no training, so it is left alone; choose another folder")
    if not resume and not overwrite:
        state = "a training that was cut off" if found == "interrupted" else "a trained network"
        hint = "resume it (--resume), clear it" if found == "interrupted" else "clear it"
        raise ResultError(f"{folder} already holds {state}; choose another folder, or {hint} (--overwrite)")
    return found


def _kept(folder: Path) -> Found:
    if (folder / FILE).is_file():
        return "interrupted"
    return "finished" if (folder / RECIPE).is_file() or (folder / WEIGHTS).is_file() else "nothing"


def clear(folder: Path) -> None:
    """Remove what a training wrote, and nothing else; the recipe first, since without it a folder is no network."""
    for name in (RECIPE, WEIGHTS, FILE):
        (folder / name).unlink(missing_ok=True)
    for result in folder.glob("*-finetune"):
        shutil.rmtree(result)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """One line where the folder cannot be written to, or its disk is full.

    Raises
    ------
    ResultError
        Saying so.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
        free = shutil.disk_usage(there).free
        raise ResultError(f"cannot write {folder}: {error.strerror} ({free / 1e6:,.0f} MB free there)") from error
