"""Archives unpacked without trust: only plain files and folders, only inside, only as much as was to be expected.

Nothing is extracted by the archive's own rules: names are checked, files are made anew and get their bytes and nothing
else. So there is no link to follow, no owner, no permission and no date to set.
"""

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, cast

from interpkit.errors import LabelSetError, one_line
from interpkit.fetching.sizes import size_text
from interpkit.writing import FULL, NO_PLACE

# More than any label set holds, and as many as fit into memory as a list of names.
MOST_FILES = 1_500_000
# Photographs and label maps hardly shrink: what unpacks to this many times its size is not made of them.
RATIO, ALWAYS = 100, 256 << 20
# A directory of an archive is read at once; this much is one of about a million names.
_LONGEST = 128 << 20
_PIECE = 1 << 20
_BLOCK, _HEADER = 4096, 512
# What the readers of both kinds raise where bytes are not what they should be.
_DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, struct.error, EOFError),
    *(ValueError, LookupError, OverflowError, RecursionError, NotImplementedError),
)

Wanted = Callable[[PurePosixPath], bool]
Progress = Callable[[int, int], None]


class ArchiveError(LabelSetError):
    """An archive that is none, is damaged, or would write where it must not."""


@dataclass(frozen=True)
class _Entry:
    """What an archive holds under one name: ``kind`` is file, folder, or what else it is."""

    name: str
    size: int
    kind: str


@dataclass(eq=False)
class _Gate:
    """Lets entries pass one after the other, and remembers them.

    Attributes
    ----------
    called
        The archive, for messages.
    packed
        Its bytes.
    space
        Bytes that may be written.
    """

    called: str
    packed: int
    space: int
    files: set[PurePosixPath] = field(default_factory=set)
    folders: set[PurePosixPath] = field(default_factory=set)
    total: int = 0
    taken: int = 0

    def admit(self, entry: _Entry) -> PurePosixPath:
        """The path of an entry below the folder that is unpacked into.

        Raises
        ------
        ArchiveError
            If it must not be unpacked.
        """
        path = self._inside(entry.name)
        if entry.kind not in {"file", "folder"} or not (path.parts or entry.kind == "folder"):
            raise self.refused(f"{entry.name!r} is {entry.kind}")
        if len(self.files) + len(self.folders) >= MOST_FILES:
            raise self.refused(f"it holds more than {MOST_FILES:,} files")
        above = path.parents[:-1]
        if path in self.files or any(parent in self.files for parent in above):
            raise self.refused(f"it holds {entry.name!r} twice, or once as a folder and once as a file")
        self.folders.update(above)
        if entry.kind == "folder":
            self.folders.add(path)
            return path
        if path in self.folders:
            raise self.refused(f"it holds {entry.name!r} twice, or once as a folder and once as a file")
        self.files.add(path)
        self._weigh(entry)
        return path

    def refused(self, why: str) -> ArchiveError:
        """The error that says why."""
        return ArchiveError(f"{self.called} is refused: {why}; nothing of it was unpacked")

    def _inside(self, name: str) -> PurePosixPath:
        if not name.isprintable() or "\\" in name:
            raise self.refused(f"the name {name!r} has characters that no file of a label set needs")
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or (len(name) > 1 and name[1] == ":"):
            raise self.refused(f"{name!r} leads out of the folder it is unpacked into")
        if any(len(part.encode()) > 255 for part in path.parts) or len(name.encode()) > 3000:
            raise self.refused(f"the name {name[:60]!r}... is too long")
        return path

    def _weigh(self, entry: _Entry) -> None:
        if entry.size < 0:
            raise self.refused(f"{entry.name!r} has a size below 0")
        self.total += entry.size
        self.taken += -(-entry.size // _BLOCK) * _BLOCK
        if self.total > max(ALWAYS, RATIO * self.packed):
            raise self.refused(
                f"it unpacks to {size_text(self.total)} and more from {size_text(self.packed)}, as no pictures do"
            )
        if self.taken > self.space:
            raise LabelSetError(
                f"{self.called} unpacks to {size_text(self.total)} and more, and {size_text(self.space)} are free "
                "there; it is kept, so make room and give the same command, or choose another place with --out"
            )


class _Bounded(io.BufferedReader):
    """A stream that is not read in longer pieces, or further, than a fair archive needs."""

    def __init__(self, raw: io.RawIOBase, gate: _Gate, *, furthest: int) -> None:
        super().__init__(raw, _PIECE)
        self._gate, self._furthest = gate, furthest

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, or refuse."""
        at = self.tell()
        if at > self._furthest:
            raise self._gate.refused(f"it unpacks to more than {size_text(self._furthest)}, as no pictures do")
        if size is None or size < 0:
            size = self._furthest - at
        if size > _LONGEST:
            raise self._gate.refused("its list of files is longer than that of any label set")
        return super().read(size)

    def seek(self, target: int, whence: int = 0, /) -> int:
        """Go to a place that an archive names, or refuse."""
        if target < 0 and whence == 0:
            raise ArchiveError(f"{self._gate.called} is damaged: it points before its own beginning")
        return super().seek(target, whence)


def unpack(archive: Path, folder: Path, *, called: str, wanted: Wanted, space: int, progress: Progress) -> int:
    """Unpack a zip or tar archive into a folder.

    Parameters
    ----------
    archive
        The file.
    folder
        Exists and is empty.
    called
        The archive's name in messages.
    wanted
        Which files to write; all of them are checked.
    space
        Bytes that may be written.
    progress
        Told how much of the archive is done, of how much.

    Returns
    -------
    int
        Files written.

    Raises
    ------
    ArchiveError
        If it is no archive, is damaged, or holds what must not be unpacked: names that lead out, links, devices, names
        that come twice, or far more than its size lets expect.
    LabelSetError
        If the disk is full.
    """
    gate = _Gate(called, archive.stat().st_size, space)
    with _told(gate, folder), archive.open("rb") as file:
        start = file.read(512)
        file.seek(0)
        if start.startswith(b"PK"):
            return _unzip(file, folder, gate, wanted=wanted, progress=progress)
        if start.startswith(b"\x1f\x8b"):
            with gzip.open(file) as stream:
                return _untar(stream, folder, gate, wanted=wanted, progress=lambda: progress(file.tell(), gate.packed))
        if start[257:262] == b"ustar":
            return _untar(file, folder, gate, wanted=wanted, progress=lambda: progress(file.tell(), gate.packed))
    head = "".join(char if char.isprintable() else "." for char in start[:24].decode("latin-1"))
    raise ArchiveError(f"{called} is neither a zip nor a tar archive; it begins with {head!r}")


def _unzip(file: IO[bytes], folder: Path, gate: _Gate, *, wanted: Wanted, progress: Progress) -> int:
    bounded = _Bounded(cast(io.RawIOBase, file), gate, furthest=gate.packed)
    with bounded, zipfile.ZipFile(bounded) as archive:
        members = archive.infolist()
        if sum(member.compress_size for member in members) > gate.packed:
            raise gate.refused("its files overlap, so that it unpacks to more than it holds")
        if any(member.flag_bits & 1 for member in members):
            raise gate.refused("it is encrypted")
        if any(member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} for member in members):
            raise gate.refused("it is compressed in an unusual way")
        # All names are judged before the first file is written.
        paths = [(member, gate.admit(_of_zip(member))) for member in members]
        done = written = 0
        for member, path in paths:
            if not member.is_dir() and wanted(path):
                with archive.open(member) as source:
                    _write(source, folder / path, member.file_size, gate=gate)
                written += 1
            done += member.compress_size
            progress(done, gate.packed)
    return written


def _of_zip(member: zipfile.ZipInfo) -> _Entry:
    # `filename` ends where the first NUL of the name does, which is one way to hide what a name is.
    kind = _kind(member.external_attr >> 16) if member.create_system == 3 else None
    plain = "folder" if member.is_dir() else "file"
    if kind in {"file", "folder"} and kind != plain:
        kind = f"a {kind} by its mode and a {plain} by its name"
    return _Entry(member.orig_filename, member.file_size, kind or plain)


def _kind(mode: int) -> str | None:
    """What a file's mode says it is; None if nothing."""
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "a link", 0: None}
    return kinds.get(stat.S_IFMT(mode), "no plain file")


def _untar(
    stream: IO[bytes] | gzip.GzipFile, folder: Path, gate: _Gate, *, wanted: Wanted, progress: Callable[[], None]
) -> int:
    # Of headers there may be four blocks a file; what is beyond is counted when the files are.
    furthest = max(ALWAYS, RATIO * gate.packed) + MOST_FILES * 4 * _HEADER
    bounded = _Bounded(cast(io.RawIOBase, stream), gate, furthest=furthest)
    written = 0
    with bounded, tarfile.open(fileobj=bounded, mode="r:") as archive:
        while (member := archive.next()) is not None:
            # The list of what has been read would only grow.
            archive.members.clear()  # type: ignore[attr-defined]
            path = gate.admit(_of_tar(member))
            if member.isreg() and wanted(path):
                source = archive.extractfile(member)
                assert source is not None
                with source:
                    _write(source, folder / path, member.size, gate=gate)
                written += 1
            progress()
        # A block of nothing ends the list of files; cut off between two files, there is none.
        bounded.seek(archive.offset)
        if not bounded.read(_HEADER):
            raise ArchiveError(f"{gate.called} is damaged: it ends before its last file")
        # To the end, where the checksum of what was unpacked stands.
        while bounded.read(_PIECE):
            pass
    return written


def _of_tar(member: tarfile.TarInfo) -> _Entry:
    if member.issparse():
        return _Entry(member.name, member.size, "a file with holes")
    if member.issym() or member.islnk():
        return _Entry(member.name, 0, f"a link to {member.linkname!r}")
    kind = "file" if member.isreg() else "folder" if member.isdir() else "no plain file"
    return _Entry(member.name, member.size if kind == "file" else 0, kind)


def _write(source: IO[bytes], path: Path, size: int, *, gate: _Gate) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    left = size
    with path.open("xb") as file:
        while left and (piece := source.read(min(_PIECE, left))):
            file.write(piece)
            left -= len(piece)
        # Of a zip, the checksum is looked at where a file ends.
        more = source.read(1)
    if left or more:
        raise ArchiveError(f"{gate.called} is damaged: {path.name} is not as long as it says")


@contextmanager
def _told(gate: _Gate, folder: Path) -> Iterator[None]:
    """What a damaged archive or a full disk raises, in one line."""
    try:
        yield
    except _DAMAGED as error:
        raise ArchiveError(f"{gate.called} is damaged: {one_line(error)}") from error
    except FileExistsError as error:
        raise gate.refused(f"it holds {Path(error.filename).name!r} twice") from error
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        kept = "; it is kept, so make room and give the same command" if error.errno in FULL else ""
        raise LabelSetError(f"cannot unpack {gate.called} into {folder}: {error.strerror}{kept}") from error
