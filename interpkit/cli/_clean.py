"""``interpkit data clean``: unfinished work of runs, and parts of downloads, listed and removed."""

import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from interpkit.cli import _options as options
from interpkit.cli._runs import work_root
from interpkit.cli._screen import aligned, as_json, line
from interpkit.errors import InterpkitError, UnknownNameError, nearest
from interpkit.holding import Held, InUseError, holder

AGES = ((86400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))


@dataclass(frozen=True)
class Left:
    """Something that a command has left for its next run.

    Attributes
    ----------
    what
        In words.
    size
        Bytes on the disk.
    seconds
        Since it was last written.
    holder
        Who is at it, in words; '' for nobody.
    """

    name: str
    what: str
    folder: Path
    size: int
    seconds: float
    holder: str

    @property
    def row(self) -> tuple[str, ...]:
        """As the list shows it."""
        return self.name, self.what, _size(self.size), _age(self.seconds), self.holder or "nobody"


def clean(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="What to remove.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Remove all that nobody holds.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    scratch: Annotated[
        Path | None, typer.Option(help="Look where runs with this --scratch keep theirs.", show_default=False)
    ] = None,
    as_document: options.Json = False,
) -> None:
    """List the unfinished work of runs that were stopped, and parts of downloads; remove some of it.

    A run that is started again goes on with its work, and removes it once its results are saved.
    """
    there = everything(scratch)
    chosen = _chosen(there, names or [], every=every)
    if chosen and not yes and not sys.stdin.isatty():
        raise InterpkitError("data clean asks before it removes, and there is no terminal to ask on; give --yes")
    if as_document:
        as_json([{**vars(one), "folder": str(one.folder)} for one in (chosen or there)])
    elif not there:
        line("nothing is left of any run or download")
    else:
        for text in aligned([("name", "what", "size", "age", "held by"), *(one.row for one in (chosen or there))]):
            line(text)
    if not chosen:
        return
    if not yes and not typer.confirm(f"Remove {_size(sum(one.size for one in chosen))}?"):
        line("nothing was removed")
        return
    for one in chosen:
        _remove(one)
        if not as_document:
            line(f"removed: {one.name}")


def everything(scratch: Path | None) -> list[Left]:
    """All that commands have left, by name."""
    from interpkit.fetching.getting import FOLDER
    from interpkit.keeping import unfinished
    from interpkit.labels.places import data_folder

    root, data = work_root(scratch), data_folder()
    titles = {one.folder.parent: one.title for one in unfinished(root)}
    runs = [folder for folder in sorted(root.iterdir()) if folder.is_dir()] if root.is_dir() else []
    parts = sorted(data.glob(f"*/{FOLDER}")) if data.is_dir() else []
    found = [(folder.name, titles.get(folder, "a run that had just begun"), folder) for folder in runs]
    found += [(part.parent.name, f"a part of the download of {part.parent.name}", part) for part in parts]
    left = []
    for one in found:
        # A run that has ended since has taken it away.
        with suppress(FileNotFoundError):
            left.append(_left(*one))
    return left


def _left(name: str, what: str, folder: Path) -> Left:
    size, changed = 0, folder.stat().st_mtime
    held = [holder(folder), holder(folder.parent)]
    for path in folder.rglob("*"):
        if path.is_dir():
            held.append(holder(path))
        try:
            told = path.stat()
        except FileNotFoundError:
            continue  # a run is at it
        size, changed = size + told.st_blocks * 512, max(changed, told.st_mtime)
    return Left(name, what, folder, size, max(0.0, time.time() - changed), next(filter(None, held), ""))


def _chosen(there: Sequence[Left], names: Sequence[str], *, every: bool) -> list[Left]:
    """What is to be removed.

    Raises
    ------
    UnknownNameError
        If there is no such name.
    InUseError
        If a process is at one that is named.
    """
    known = {one.name: one for one in there}
    for name in names:
        if name not in known:
            close = ", ".join(nearest(name, known, count=1) or known) or "nothing"
            raise UnknownNameError(f"there is no {name!r} to remove; there is {close}")
        if known[name].holder:
            raise InUseError(f"{name} ({known[name].what}) is in use by {known[name].holder}; it is left alone")
    if every:
        return [one for one in there if not one.holder]
    return [known[name] for name in dict.fromkeys(names)]


def _remove(one: Left) -> None:
    """Remove it, unless a process has come to it meanwhile."""
    try:
        inside = [folder for folder in one.folder.iterdir() if folder.is_dir()]
        for path in [one.folder.parent, one.folder, *inside]:
            if who := holder(path):
                raise InUseError(f"{one.name} ({one.what}) is in use by {who}; it is left alone")
        with ExitStack() as held:
            # A download is held by the folder that it goes to, a run by those of its processes.
            for path in [one.folder.parent, *inside]:
                held.enter_context(Held(path))
            shutil.rmtree(one.folder)
    except FileNotFoundError:
        return  # its run has ended and taken it away
    except OSError as error:
        raise InterpkitError(f"cannot remove {one.folder}: {error.strerror}") from error


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _age(seconds: float) -> str:
    unit, name = next(((unit, name) for unit, name in AGES if seconds >= 2 * unit), AGES[-1])
    return f"{seconds / unit:.0f} {name}"
