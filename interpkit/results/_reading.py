"""The files of a result folder, read as files from a stranger: nothing in them runs, hangs or fills the memory."""

import json
import math
import re
import zipfile
from pathlib import Path
from typing import Any, NoReturn

import numpy.typing as npt
from numpy.lib import format as npy

from interpkit.errors import ResultError, one_line

# What the largest layers give is a tenth of this; a few megabytes of zeros, packed, unpack to as much as one likes.
LARGEST = 2**34
LARGEST_DOCUMENT = 2**30
ARRAYS = "scores.npz"
_HALF = re.compile(r"\\u[dD][89abAB-Fc-f]")


class Held(dict[str, Any]):
    """What one file holds; asked for more, it says which file lacks it."""

    def __init__(self, values: dict[str, Any], lacking: str) -> None:
        super().__init__(values)
        self._lacking = lacking

    def __missing__(self, name: str) -> NoReturn:
        """Say what is not there."""
        raise ValueError(self._lacking.format(name))


def read_document(path: Path) -> Any:  # noqa: ANN401 - JSON
    """A JSON document of finite numbers.

    Raises
    ------
    ResultError
        In one line, whatever is wrong with the file.
    """
    try:
        _check_plain(path, LARGEST_DOCUMENT)
        text = path.read_text(encoding="utf-8")
        document = json.loads(text, parse_constant=_no_number, parse_float=_finite)
        if _HALF.search(text):
            # Half a character, which no page can hold.
            json.dumps(document, ensure_ascii=False).encode("utf-8")
        return document
    except RecursionError:
        raise ResultError(f"{path} is damaged: its lists lie too deep in each other") from None
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {one_line(error)}") from error
    except ValueError as error:
        raise ResultError(f"{path} is damaged: {one_line(error)}") from error


def read_documents(folder: Path, *, manifest: str) -> Held:
    """Name -> JSON document for every other one in the folder."""
    found = {path.stem: read_document(path) for path in folder.glob("*.json") if path.name != manifest}
    return Held(found, "{}.json is missing")


def read_arrays(path: Path) -> Held:
    """Name -> array of the archive; none may hold objects, so nothing is unpickled.

    Raises
    ------
    ValueError, OSError, zipfile.BadZipFile, ...
        Whatever a damaged archive leads the libraries to.
    """
    _check_plain(path, LARGEST)
    arrays: dict[str, Any] = {}
    with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        unpacked = sum(one.file_size for one in members)
        if unpacked > LARGEST:
            raise ValueError(f"its arrays unpack to {unpacked / 1e9:,.0f} GB, over the limit of {LARGEST / 1e9:,.0f}")
        for one in members:
            name = one.filename.removesuffix(".npy")
            if name in arrays:
                raise ValueError(f"it holds {name} twice")
            arrays[name] = _array(archive, one)
    return Held(arrays, f"{path.name} holds no {{}}")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> npt.NDArray[Any]:
    """One array, once its header says as many bytes as there are: memory is taken before they are read."""
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        if version not in {(1, 0), (2, 0)}:
            raise ValueError(f"{member.filename} is of version {version}")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = read(stream)
        if kind.hasobject:
            raise ValueError(f"{member.filename} holds objects, which would have to be unpickled")
        if math.prod(shape) * kind.itemsize != member.file_size - stream.tell():
            raise ValueError(f"{member.filename} does not hold the {' x '.join(map(str, shape))} values it speaks of")
    with archive.open(member) as stream:
        array = npy.read_array(stream, allow_pickle=False)
    # pandas takes no others.
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _check_plain(path: Path, largest: int) -> None:
    """A file, neither a pipe, which would be waited for without end, nor larger than any result."""
    if not path.exists():
        raise ValueError(f"{path.name} is missing")
    if not path.is_file():
        raise ValueError(f"{path.name} is not a file")
    if path.stat().st_size > largest:
        raise ValueError(f"{path.name} has {path.stat().st_size / 1e9:,.0f} GB, over the limit of {largest / 1e9:,.0f}")


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number")
    return number
