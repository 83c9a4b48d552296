"""Results on disk: ``<run>/<layer>/`` with result.json written last, pictures once per run in ``<run>/images/``."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from interpkit import _plugins
from interpkit.errors import ResultError, nearest
from interpkit.results._parts import Parts
from interpkit.results._reading import ARRAYS, Held, read_arrays, read_document, read_documents
from interpkit.results._types import check_types
from interpkit.writing import writing, written

FORMAT = 1
MANIFEST = "result.json"
PICTURES = "images"
# Letters of a folder's name: file systems take 255 bytes, of which a verb and a temporary name need some.
LONGEST = 160
# What lies in a folder of results while they are written, replaced or removed.
_REPLACED = re.compile(r"\.(.+)\.old\.[a-z0-9_]{8}")
_LEFT = re.compile(r"\..+\.([a-z0-9_]{8}|old\.[a-z0-9_]{8}|[0-9]+|part)")


def safe_name(name: str) -> str:
    """``name`` as a folder name: characters outside A-Z a-z 0-9 . _ - become '-'.

    One that is longer than file systems take is cut, and told apart by a hash.

    Examples
    --------
    >>> safe_name("features.0#2")
    'features.0-2'
    """
    safe = re.sub(r"[^A-Za-z0-9._-]", "-", name)
    if len(safe) > LONGEST:
        return f"{safe[:LONGEST]}-{hashlib.sha256(safe.encode()).hexdigest()[:8]}"
    return f"{safe}-layer" if safe in {PICTURES, "", ".", ".."} else safe


def result_folder_name(result: Any) -> str:  # noqa: ANN401 - any result type
    """Folder of a result in its run: the layer's own for a dissection, beside it for every other verb.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> made = SimpleNamespace(verb="entangle")
    >>> result_folder_name(SimpleNamespace(layer="features.0", provenance=made))
    'features.0-entangle'
    """
    name, verb = safe_name(result.layer), result.provenance.verb
    return name if verb == "dissect" else f"{name}-{verb}"


def picture_file(name: str) -> str:
    """File name in ``<run>/images/`` of the label set's image ``name``; different images never share one.

    Examples
    --------
    >>> picture_file("street/one.png")
    'street-one-6f2d1d95.jpg'
    """
    stem = re.sub(r"[^A-Za-z0-9._-]", "-", name.rpartition(".")[0] or name)[-60:]
    return f"{stem}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.jpg"


class StoredPictures(Mapping[str, bytes]):
    """The pictures of a stored run, read when asked for."""

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        self._folder = folder
        self._names = names

    def __getitem__(self, name: str) -> bytes:
        if name not in self._names:
            raise KeyError(name)
        path = self._folder / picture_file(name)
        try:
            return path.read_bytes()
        except OSError as error:
            raise ResultError(f"{path}, the picture of image {name!r}, cannot be read: {error.strerror}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def save(result: Any, folder: str | Path, *, overwrite: bool = False) -> Path:  # noqa: ANN401 - any result type
    """Write a result into ``folder``, all of it or nothing.

    The usual place is ``<run>/<result_folder_name(result)>``; pictures go to ``<run>/images``. The files are written
    beside the folder and moved into place by one rename, so a folder that exists is complete.

    Raises
    ------
    ResultError
        If the folder holds a result and ``overwrite`` is not set, if it holds anything else, or if the disk is full.
    """
    folder = Path(folder)
    _check_free(folder, overwrite=overwrite)
    parts: Parts = result.to_parts()
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _write_pictures(parts.pictures, folder.parent / PICTURES)
            _write_parts(parts, part, kind=type(result).__name__.lower())
            _move_into_place(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder


def _check_free(folder: Path, *, overwrite: bool) -> None:
    """Only a result is ever overwritten, and only where that is asked for."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / MANIFEST).is_file():
        raise ResultError(f"{folder} exists and holds no result, so it is left alone; choose another folder")
    if not overwrite:
        raise ResultError(f"{folder} already holds a result; choose another folder or pass overwrite (--overwrite)")


def _write_pictures(pictures: Mapping[str, bytes], folder: Path) -> None:
    """Each picture once, by rename, so that one that exists is whole; anew where another run has left another."""
    if pictures:
        folder.mkdir(exist_ok=True)
    for name in pictures:
        path = folder / picture_file(name)
        picture = pictures[name]
        if not path.is_file() or path.read_bytes() != picture:
            with written(path) as part:
                part.write_bytes(picture)


def _write_parts(parts: Parts, folder: Path, *, kind: str) -> None:
    folder.chmod(0o777 & ~_umask())
    np.savez_compressed(folder / "scores.npz", **parts.arrays)
    for name, table in parts.tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    for name, document in parts.documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document, separators=(",", ":"), allow_nan=False))
    about = {"format": FORMAT, "kind": kind, **parts.about}
    (folder / MANIFEST).write_text(json.dumps(about, indent=1, allow_nan=False) + "\n")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _move_into_place(part: Path, folder: Path) -> None:
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
        folder.rename(old / "result")
        try:
            part.rename(folder)
        except BaseException:
            (old / "result").rename(folder)
            raise
        finally:
            shutil.rmtree(old)
    else:
        part.rename(folder)


def clear_left(place: Path) -> None:
    """Remove from a folder of results what a process was writing or removing there when it was killed.

    A result that it had moved away to put another in its place goes back. Whoever calls this holds the folder.

    Raises
    ------
    ResultError
        If it cannot be written.
    """
    with writing(place):
        for path in list(place.iterdir()) if place.is_dir() else ():
            replaced = _REPLACED.fullmatch(path.name)
            if replaced and (path / "result").is_dir() and not (place / replaced[1]).exists():
                (path / "result").rename(place / replaced[1])
            if _LEFT.fullmatch(path.name):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def read_about(folder: Path) -> dict[str, Any]:
    """The contents of ``result.json``.

    Raises
    ------
    ResultError
        If there is no result in the folder, it is damaged, or a newer version wrote it.
    """
    path = folder / MANIFEST
    if not path.is_file():
        close = nearest(folder.name, [p.name for p in runs_beside(folder)])
        hint = f"; nearest: {', '.join(close)}" if close else ""
        raise ResultError(f"no result in {folder}: a result is a folder with {MANIFEST}{hint}")
    about = read_document(path)
    if not isinstance(about, dict):
        raise ResultError(f"{path} is damaged: it holds no names and values")
    version, kind = about.get("format"), about.get("kind")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ResultError(f"{path} is damaged: its format is {version!r}")
    if version > FORMAT:
        raise ResultError(f"{path} has format {version}; this interpkit reads up to {FORMAT}: upgrade it")
    if not isinstance(kind, str):
        raise ResultError(f"{path} is damaged: its kind is {kind!r}")
    return Held(about, f"{MANIFEST} says nothing of {{}}")


def runs_beside(folder: Path) -> list[Path]:
    """The sibling folders of ``folder`` that hold results or runs."""
    if not folder.parent.is_dir():
        return []
    return [p for p in sorted(folder.parent.iterdir()) if p != folder and p.is_dir() and result_folders(p)]


def result_folders(run: Path) -> list[Path]:
    """The result folders in a run (or the folder itself if it is one), sorted by name."""
    if (run / MANIFEST).is_file():
        return [run]
    if not run.is_dir():
        return []
    return sorted(p for p in run.iterdir() if (p / MANIFEST).is_file() and not p.name.startswith("."))


def load(folder: str | Path) -> Any:  # noqa: ANN401 - the type is what was saved
    """Read the result in ``folder``; a run that holds exactly one result stands for it.

    Raises
    ------
    ResultError
        If the folder holds none, several (the message lists them), or a damaged one.
    """
    found = result_folders(Path(folder))
    if len(found) > 1:
        raise ResultError(f"{folder} holds {len(found)} results; name one: {', '.join(str(p) for p in found)}")
    where = found[0] if found else Path(folder)
    about = read_about(where)
    if about["kind"] not in _plugins.names("interpkit.results"):
        raise ResultError(f"{where / MANIFEST} holds {about['kind']!r}, which this interpkit cannot read")
    kind = _plugins.load("interpkit.results", about["kind"])
    try:
        arrays, documents = read_arrays(where / ARRAYS), read_documents(where, manifest=MANIFEST)
        pictures = StoredPictures(where.parent / PICTURES, tuple(about.get("pictures", ())))
        result = kind.from_parts(Parts(about=about, arrays=arrays, documents=documents, pictures=pictures))
        check_types(result)
        # Numbers may be of the right kind and still not belong together.
        result.summary(), result.table()
    except Exception as error:  # a damaged archive can raise about anything
        raise ResultError(f"{where} is damaged: {_reason(error)}") from error
    return result


def _reason(error: Exception) -> str:
    """What is wrong, in the reader's own words where there are any."""
    if isinstance(error, KeyError):
        return f"it says nothing of {error.args[0]!r}" if error.args else "something in it is missing"
    if isinstance(error, ValueError | ResultError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def load_run(run: str | Path) -> list[Any]:
    """All results of a run, in the order in which the layers were asked for.

    Raises
    ------
    ResultError
        If there is none.
    """
    folders = result_folders(Path(run))
    if not folders:
        read_about(Path(run))
    return sorted((load(folder) for folder in folders), key=lambda result: result.order)
