"""Files that are whole as soon as they exist. Standard library only."""

import errno
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from interpkit.errors import ResultError

# What an operating system says where there is no room.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# ... or where nothing can be written: no right to, no such place, or a file in the way.
NO_PLACE = FULL | {
    *(errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.EEXIST, errno.ENOTDIR, errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL),
}


@contextmanager
def unwritable(say: Callable[[str], Exception]) -> Iterator[None]:
    """Where nothing can be written, the error that ``say`` makes of the operating system's reason; bugs stay bugs."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        raise say(error.strerror or type(error).__name__) from error


def writing(folder: Path) -> AbstractContextManager[None]:
    """``ResultError`` in one line, with what room there is, where a folder cannot be written."""
    return unwritable(
        lambda why: ResultError(f"cannot write {folder}: {why} ({_free(folder) / 1e6:,.0f} MB free there)")
    )


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, at once: killed meanwhile, a process leaves nothing of that name.

    What it leaves then begins with a dot, as what was being written does.
    """
    gone = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    folder.rename(gone / "was")
    shutil.rmtree(gone)


def _free(folder: Path) -> int:
    """Bytes free where a folder is or would be."""
    for there in (folder.absolute(), *folder.absolute().parents):
        with suppress(OSError):
            return shutil.disk_usage(there).free
    return 0


@contextmanager
def written(path: Path, *, lasting: bool = False) -> Iterator[Path]:
    """Where to write what shall stand at ``path``: it is put in its place when it is whole, and gone if that failed.

    ``lasting``: whole after a power cut too, for the time that a disk takes to say so.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield part
        if lasting:
            on_the_disk(part)
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def on_the_disk(path: Path) -> None:
    """Wait until the disk has a file: a rename may reach it before what was written, and a power cut come between."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def undamaged(path: Path) -> bool:
    """Whether a zip archive holds what was written, by its checksums: torch, which saves such files, ignores them."""
    try:
        with ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError, zlib.error):
        return False
