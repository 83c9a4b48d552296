"""manifest.toml: what a label set is, under which licence, and where it can be had."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interpkit.errors import LabelSetError, nearest

FILE = "manifest.toml"
_TEXTS = ("name", "title", "description", "layout", "licence", "citation", "homepage")
_PATHS = ("root", "images", "masks", "classes", "landmarks")
_HASHES = {"md5": 32, "sha1": 40, "sha256": 64}
_DOWNLOAD = ("url", "mirrors", "bytes", "unpacked", *_HASHES, "unpacks_to", "resolution", "note")
_KEYS = (*_TEXTS, *_PATHS, "synthetic", "categories", "size", "grid", "ignore", "downloads", "model_index")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a folder; empty where it has none.

    Raises
    ------
    LabelSetError
        If the file is no TOML, or a key is unknown or has another type than it should.
    """
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise LabelSetError(f"{folder / FILE} cannot be read: {error}") from error
    try:
        manifest = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LabelSetError(f"{folder / FILE} is no TOML: {error}") from error
    fault = _fault(manifest)
    if fault:
        raise LabelSetError(f"{folder / FILE}: {fault}")
    return manifest


def _fault(manifest: Mapping[str, Any]) -> str | None:
    faults = [_unknown(manifest, _KEYS, "")]
    faults += [f"{key} must be a text" for key in _TEXTS if not isinstance(manifest.get(key, ""), str)]
    if not _is_list_of(manifest.get("categories", []), str):
        faults.append("categories must be a list of names")
    if not isinstance(manifest.get("synthetic", False), bool):
        faults.append("synthetic must be true or false")
    for key in ("size", "grid"):
        pair = manifest.get(key, [1, 1])
        if not (_is_list_of(pair, int) and len(pair) == 2 and min(pair) >= 1):
            faults.append(f"{key} must be two whole numbers >= 1, [rows, columns]")
    if not _is_list_of(ignored(manifest) or [], int):
        faults.append("ignore must be a label number, a list of them, or false for none")
    index = manifest.get("model_index", {})
    if not isinstance(index, Mapping) or not _is_list_of(list(index.values()), int):
        faults.append("model_index must map class names to numbers of the model's outputs")
    faults += [f"{key} must be a path inside the label set's folder" for key in _PATHS if not _is_inside(manifest, key)]
    faults += _download_faults(manifest.get("downloads", []))
    return next((fault for fault in faults if fault), None)


def _is_inside(manifest: Mapping[str, Any], key: str) -> bool:
    value = manifest.get(key, "")
    return isinstance(value, str) and not Path(value).is_absolute() and ".." not in Path(value).parts


def _download_faults(downloads: object) -> list[str | None]:
    if not isinstance(downloads, list) or not all(isinstance(item, Mapping) for item in downloads):
        return ["downloads must be tables, [[downloads]]"]
    unknown = [_unknown(item, _DOWNLOAD, "downloads.") for item in downloads]
    faults = ["a download needs a url" for item in downloads if not isinstance(item.get("url"), str)]
    return [*unknown, *faults, *(_download_fault(item) for item in downloads)]


def _download_fault(item: Mapping[str, Any]) -> str | None:
    mirrors = item.get("mirrors", [])
    if not _is_list_of(mirrors, str):
        return "downloads.mirrors must be a list of addresses"
    if not all(str(url).startswith(("https://", "http://")) for url in (item.get("url"), *mirrors)):
        return "an address of a download must begin with https:// or http://"
    for key in ("bytes", "unpacked", "resolution"):
        if not (_is_list_of([item.get(key, 1)], int) and item.get(key, 1) >= 1):
            return f"downloads.{key} must be a whole number >= 1"
    for key, digits in _HASHES.items():
        if key in item and not re.fullmatch(rf"[0-9a-fA-F]{{{digits}}}", str(item[key])):
            return f"downloads.{key} must be {digits} hexadecimal digits"
    if not isinstance(item.get("note", ""), str):
        return "downloads.note must be a text"
    if not _is_inside(item, "unpacks_to") or ("unpacks_to" in item and not Path(item["unpacks_to"]).parts):
        return "downloads.unpacks_to must be a folder inside the label set's folder"
    return None


def ignored(manifest: Mapping[str, Any]) -> list[int] | None:
    """List the label numbers that the manifest says to ignore; None where it says nothing."""
    value = manifest.get("ignore")
    if value is None:
        return None
    if value is False:
        return []
    return value if isinstance(value, list) else [value]


def _unknown(table: object, known: tuple[str, ...], prefix: str) -> str | None:
    if not isinstance(table, Mapping):
        return None
    strange = next((key for key in table if key not in known), None)
    if strange is None:
        return None
    close = nearest(strange, known, count=1)
    hint = f"did you mean {prefix}{close[0]}?" if close else f"it may hold {', '.join(known)}"
    return f"unknown key {prefix}{strange}; {hint}"


def _is_list_of(values: object, kind: type) -> bool:
    if not isinstance(values, list):
        return False
    return all(isinstance(value, kind) and not isinstance(value, bool) for value in values)
