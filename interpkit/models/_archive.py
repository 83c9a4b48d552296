"""What a file is, and whether an exported network can be opened without running code of its own.

``torch.export.load`` unpickles parts of an archive, evaluates its symbolic sizes and calls whatever function its graph
names. So a `.pt2` file is read here first, as data, and refused where it holds more than tensors and known operators.
"""

import io
import json
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from interpkit.errors import ModelError

# A number that torch.save pickles first when it does not write a zip archive.
_LEGACY_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
# PyTorch does not pack its archives, and weights hardly can be; some megabytes of zeros unpack to as much as one likes.
RATIO, SMALL = 50, 2**30
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims?|quantized|quantized_decomposed|torchvision|higher_order)\.[A-Za-z_]\w*(\.\w+)?"
    r"|torch\.sym_(int|float|max|min|not|sqrt|ite|sum)"
    r"|_operator\.(getitem|add|sub|mul|neg|pos|abs|truediv|floordiv|mod|pow|eq|ne|lt|le|gt|ge|and_|or_|xor|not_|index)"
    r"|math\.(ceil|floor|trunc|sqrt)"
)
# Names and numbers that may stand in quotes: Symbol('s0', positive=True), Float('0.5', precision=53).
_QUOTED = re.compile(r"'(?:[a-z]{1,3}\d+|[\d.]+(?:e[+-]?\d+)?)'")
_RAW = re.compile(r"/data/(weights/weight|constants/tensor)_\d+$")
_WORD = re.compile(rb"[\w.-]{0,64}\n?")
_SIZE = re.compile(r"(?:[\w\s+\-*/%(),<>=!&|~]|\d\.\d|\d\.(?!\w))*")
_SIZE_WORDS = re.compile(
    r"[a-z]{1,3}\d+|\d\w*|True|False|Symbol|Integer|Float|Rational|Add|Mul|Pow|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv"
    r"|CeilDiv|IntTrueDiv|FloatTrueDiv|PowByNatural|Piecewise|ExprCondPair|Eq|Ne|Lt|Le|Gt|Ge|Equality|Unequality"
    r"|StrictLessThan|LessThan|StrictGreaterThan|GreaterThan|And|Or|Not|Abs|floor|ceiling|oo|int_oo|zoo|CeilToInt"
    r"|FloorToInt|TruncToInt|ToFloat|RoundToInt|Identity|Where|positive|nonnegative|negative|integer|real|precision"
)


def file_kind(path: Path) -> str:
    """Tell ``export``, ``script``, ``torch``, ``legacy``, ``pickle`` or ``safetensors`` from the first bytes alone.

    Raises
    ------
    ModelError
        If it is none of these, empty, or cut short.
    """
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise ModelError(f"{path} is empty")
    if head.startswith(b"PK"):
        return _zip_kind(path)
    if head[2:].startswith(_LEGACY_MAGIC):
        return "legacy"
    if head[0] == 0x80 and head[1:2] in {b"\2", b"\3", b"\4", b"\5"}:
        return "pickle"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= max(path.stat().st_size, 64):
        return "safetensors"
    if path.suffix == ".safetensors":
        raise ModelError(f"{path} is no safetensors file, or is damaged")
    raise ModelError(f"{path} is not a model: neither a PyTorch file (.pt, .pth, .pt2) nor safetensors")


def _zip_kind(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = ["/" + name.partition("/")[2] for name in archive.namelist()]
            bare = set(archive.namelist())
            unpacked = sum(member.file_size for member in archive.infolist())
    except Exception as error:  # a damaged archive can raise about anything
        raise ModelError(f"{path} is cut short or damaged: its archive has no readable list of contents") from error
    if unpacked > max(SMALL, RATIO * path.stat().st_size):
        raise ModelError(f"{path} unpacks to {unpacked / 1e9:,.1f} GB, more than weights ever do; it is not opened")
    if "/archive_format" in names or "serialized_exported_program.json" in bare:
        return "export"
    if "/constants.pkl" in names and any(name.startswith("/code/") for name in names):
        return "script"
    if "/data.pkl" in names:
        return "torch"
    raise ModelError(f"{path} is a zip archive, but not one that PyTorch wrote")


def copied(path: Path) -> io.BytesIO:
    """The archive at ``path`` written anew: readers differ in what they find in an odd one, and in this in nothing."""
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(path) as archive, zipfile.ZipFile(stream, "w") as copy:
        # A name that comes twice is an error of its own.
        warnings.simplefilter("ignore", UserWarning)
        for member in archive.infolist():
            copy.writestr(zipfile.ZipInfo(member.filename), archive.read(member))
    stream.seek(0)
    return stream


def runs_code(file: io.BytesIO) -> str | None:
    """Say why opening the exported network in ``file`` could run code that it brings along; None if it cannot."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        # torch takes a name for the same in capitals.
        if len({name.lower() for name in names}) < len(names):
            return "it holds a file twice"
        if any("/aotinductor/" in name for name in names):
            return "it holds compiled code"
        documents = {name: _document(archive, name) for name in names if name.endswith((".json", "_config"))}
        raw = _raw_tensors(documents)
        for name in names:
            if name not in documents and name not in raw and _unsafe_pickle(archive.read(name)):
                return f"{PurePosixPath(name).name} in it is a pickle of more than tensors"
    return next((reason for document in documents.values() for reason in _suspicious(document)), None)


def _document(archive: zipfile.ZipFile, name: str) -> Any:  # noqa: ANN401 - JSON
    content = archive.read(name)
    # torch 2.6 and 2.7 named pickled tensors *.json.
    return {} if _is_pickle(content) and not _unsafe_pickle(content) else json.loads(content)


def _raw_tensors(documents: dict[str, Any]) -> set[str]:
    """Files of plain numbers, which torch never unpickles: by their names, and whatever lists them says so."""
    raw: set[str] = set()
    pickled: set[str] = set()
    for name, document in documents.items():
        if not isinstance(document, dict) or not isinstance(document.get("config"), dict):
            continue
        for entry in document["config"].values():
            path = PurePosixPath(name).with_name(entry["path_name"])
            plain = not entry.get("use_pickle") and entry.get("tensor_meta") and _RAW.search(str(path))
            (raw if plain else pickled).add(str(path))
    return raw - pickled


def _is_pickle(content: bytes) -> bool:
    return content.startswith(b"PK") or (len(content) > 1 and content[0] == 0x80)


def _unsafe_pickle(content: bytes) -> bool:
    """Whether unpickling could run code; the oldest pickles begin with any letter, so only a word or number is none."""
    if _WORD.fullmatch(content):
        return False
    try:
        torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # a damaged one can raise about anything
        return True
    return False


def _suspicious(part: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(part, list):
        for item in part:
            yield from _suspicious(item)
    if not isinstance(part, dict):
        return
    target = part.get("target")
    if isinstance(target, str) and "inputs" in part and not _OPERATOR.fullmatch(target):
        yield f"its graph calls {target}"
    sizes = [part["expr_str"]] if isinstance(part.get("expr_str"), str) else []
    if isinstance(part.get("range_constraints"), dict):
        sizes += part["range_constraints"]
    yield from (f"a size in it reads {size!r}" for size in sizes if not _harmless_size(size))
    for item in part.values():
        yield from _suspicious(item)


def _harmless_size(text: str) -> bool:
    text = _QUOTED.sub("1", text)
    words = re.findall(r"\w+", text)
    return bool(_SIZE.fullmatch(text)) and all(_SIZE_WORDS.fullmatch(word) for word in words)
