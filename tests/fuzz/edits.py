"""Sound files, damaged: a few edits of bytes, of JSON, of CSV cells, of a zip archive's members or of arrays.

An edit is four whole numbers. Both drivers make such numbers, so that each finds its way into every format.
"""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Edit = tuple[int, int, int, int]

TOKENS = (
    *(b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"'", b",", b";", b"\n", b"\r", b"../", b"/etc/passwd", b"nan"),
    *(b"-1", b"0", b"99999999999999999999", b"1e999", b"1e-9", b"0x10", b"True", b"1_000", b"\xd9\xa3", b"a" * 4096),
    *(b"{", b"[" * 300, b"null", b"NaN", b"c:\\x", b"~", b"%s", b"\\", b"|", b".", b"..", b" ", b"\t", b"\xc3\xa9"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 7, 2**31, 2**63, -(2**70), 0.5, -0.0, 1e308, float("nan"), float("inf")),
    *("", "text", "a\nb", "\x00", "../../x", "<script>", "\ud800", "image", "nan"),
    *([], [[]], [None], [1], [1, 2], ["a", "b"], {}, {"": 1}, {"a": {"b": [1]}}),
)
ARRAYS: tuple[Callable[[Any], Any], ...] = (
    lambda a: a[:0],
    lambda a: a[1:],
    lambda a: a[..., :-1],
    lambda a: a.T,
    lambda a: a.reshape(-1),
    lambda a: a[None],
    lambda a: a.astype(np.float64) * np.nan,
    lambda a: a.astype(np.float64) + np.inf,
    lambda a: a.astype(np.int64) + 2**40,
    lambda a: -a.astype(np.int64) - 1,
    lambda a: a.astype(np.int8),
    lambda a: a.astype(np.complex128),
    lambda a: a.astype("S4"),
    lambda a: a.astype("U4"),
    lambda a: np.array(3),
    lambda a: a.astype(">f4"),
    lambda a: a.astype(np.bool_),
    lambda a: np.zeros(a.shape, "M8[s]"),
    lambda a: np.zeros(a.shape, [("x", "f4")]),
)


def damaged(data: bytes, edits: Sequence[Edit]) -> bytes:
    """``data`` after the edits, each in a way that its format allows."""
    for edit in edits:
        data = _edited(data, edit)
    return data


def _edited(data: bytes, edit: Edit) -> bytes:
    kind = edit[0]
    if kind % 4 == 0:
        return of_bytes(data, edit)
    if data.startswith(b"PK\x03\x04"):
        return of_archive(data, edit)
    if data.startswith(b"\x89PNG"):
        return of_chunks(data, edit)
    if data.startswith(b"\x93NUMPY"):
        return of_array(data, edit)
    if data[:1] in b"{[":
        return of_json(data, edit)
    if data[8:9] == b"{":
        return of_header(data, edit)
    return of_table(data, edit) if b"," in data[:200] and b"\x00" not in data[:200] else of_bytes(data, edit)


def of_bytes(data: bytes, edit: Edit) -> bytes:
    """A byte changed, a stretch cut out, doubled or overwritten, a token put in, the end cut off."""
    kind, at, span, value = edit
    at = at % (len(data) + 1)
    end = min(at + 1 + span % 64, len(data))
    token = TOKENS[value % len(TOKENS)]
    return (
        lambda: data[:at] + bytes([value % 256]) + data[at + 1 :],
        lambda: data[:at] + data[end:],
        lambda: data[:end] + data[at:end] * (1 + value % 3) + data[end:],
        lambda: data[:at] + token + data[at:],
        lambda: data[:at] + token + data[end:],
        lambda: data[:at],
        lambda: data + data[at:],
        lambda: data[:at] + bytes([data[at] ^ (1 << value % 8)]) + data[at + 1 :] if at < len(data) else data,
    )[kind // 4 % 8]()


def of_json(data: bytes, edit: Edit) -> bytes:
    """One value replaced by something else, gone, or given another name."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return of_bytes(data, edit)
    kind, at, span, value = edit
    places: list[tuple[Any, Any]] = []
    _places(document, places)
    if not places:
        return json.dumps(VALUES[value % len(VALUES)]).encode()
    holder, key = places[at % len(places)]
    if kind // 4 % 4 == 0:
        del holder[key]
    elif kind // 4 % 4 == 1 and isinstance(holder, dict):
        holder[f"{key}{TOKENS[span % 10].decode('latin-1')}"] = holder.pop(key)
    elif kind // 4 % 4 == 2:
        other, other_key = places[span % len(places)]
        copied = json.loads(json.dumps(other[other_key])) if other_key in _keys(other) else None
        holder[key] = copied
    else:
        holder[key] = VALUES[value % len(VALUES)]
    return json.dumps(document, indent=1).encode()


def _keys(holder: Any) -> Any:
    return holder if isinstance(holder, dict) else range(len(holder))


def _places(document: Any, places: list[tuple[Any, Any]]) -> None:
    if len(places) > 4000:
        return
    keys = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in keys:
        places.append((document, key))
        _places(document[key], places)


def of_table(data: bytes, edit: Edit) -> bytes:
    """A cell replaced, a row doubled, dropped or moved, a column gone."""
    kind, at, span, value = edit
    rows = [line.split(b",") for line in data.split(b"\n")]
    row = at % len(rows)
    column = span % len(rows[row])
    match kind // 4 % 6:
        case 0 | 1:
            rows[row][column] = TOKENS[value % len(TOKENS)]
        case 2:
            rows.insert(value % len(rows), rows[row])
        case 3:
            del rows[row]
        case 4:
            rows = [cells[:column] + cells[column + 1 :] for cells in rows]
        case _:
            other = rows[value % len(rows)]
            rows[row][column] = other[span % len(other)]
    return b"\n".join(b",".join(cells) for cells in rows)


def of_archive(data: bytes, edit: Edit) -> bytes:
    """One member of a zip archive edited by its own kind, dropped, doubled or renamed; the archive stays sound."""
    kind, at, span, value = edit
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except (zipfile.BadZipFile, OSError, ValueError, zlib.error, NotImplementedError, EOFError, RuntimeError):
        return of_bytes(data, edit)
    if not members:
        return of_bytes(data, edit)
    place = at % len(members)
    name, content = members[place]
    match kind // 4 % 8:
        case 0:
            del members[place]
        case 1:
            members[place] = (name + TOKENS[value % 12].decode("latin-1"), content)
        case 2:
            members[place] = (name, members[span % len(members)][1])
        case _:
            members[place] = (name, _edited(content, (kind // 32 + 1 + value, at // 7, span, value)))
    return zipped(members)


def zipped(members: Sequence[tuple[str, bytes]]) -> bytes:
    """A zip archive, as torch and numpy write theirs: not compressed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in dict(members):
            archive.writestr(zipfile.ZipInfo(name.replace("\x00", "0") or "x"), dict(members)[name])
    return stream.getvalue()


def of_array(data: bytes, edit: Edit) -> bytes:
    """A stored array cut, turned, of another type, or of values that it cannot have."""
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
        with np.errstate(all="ignore"):
            changed = np.asarray(ARRAYS[edit[3] % len(ARRAYS)](array))
    except Exception:  # of a damaged array, and of one that cannot be of another type, numpy may raise about anything
        return of_bytes(data, edit)
    stream = io.BytesIO()
    np.save(stream, changed, allow_pickle=False)
    return stream.getvalue()


def of_chunks(data: bytes, edit: Edit) -> bytes:
    """One chunk of a PNG edited, dropped or doubled, with the checksum that fits."""
    kind, at, span, value = edit
    chunks, place = [], 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    if not chunks:
        return of_bytes(data, edit)
    which = at % len(chunks)
    name, content = chunks[which]
    match kind // 4 % 6:
        case 0:
            del chunks[which]
        case 1:
            chunks.insert(value % len(chunks), chunks[which])
        case 2 if name == b"IHDR" and len(content) == 13:
            header = list(struct.unpack(">IIBBBBB", content))
            header[span % 7] = (0, 1, 2, 3, 4, 6, 8, 16, 255, 2**31 - 1)[value % (10 if span % 7 < 2 else 9)]
            chunks[which] = (name, struct.pack(">IIBBBBB", *header))
        case 3 if name == b"IDAT":
            try:
                chunks[which] = (name, zlib.compress(of_bytes(zlib.decompress(content), (span, at // 3, span, value))))
            except zlib.error:
                chunks[which] = (name, of_bytes(content, (span, at // 3, span, value)))
        case _:
            chunks[which] = (name, of_bytes(content, (span, at // 3, span, value)))
    return data[:8] + b"".join(
        len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")
        for name, content in chunks
    )


def of_header(data: bytes, edit: Edit) -> bytes:
    """The JSON header of a safetensors file edited, with a length that fits."""
    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8:
        return of_bytes(data, edit)
    header = of_json(data[8 : 8 + length].rstrip(), edit)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]
