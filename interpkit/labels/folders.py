"""Folders of image files, listed."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from interpkit.errors import LabelSetError
from interpkit.labels.decoding import SUFFIXES
from interpkit.labels.inside import check_folder

SPLITS = ("train", "training", "val", "valid", "validation", "test")
_SKIPPED = (".", "__MACOSX")


def image_folder(root: Path, manifest: Mapping[str, Any]) -> Path:
    """Find where the images of a set lie: the manifest's ``images``, else images/, else the folder itself."""
    chosen = manifest.get("images")
    if chosen is not None:
        return root / str(chosen)
    return root / "images" if (root / "images").is_dir() else root


def list_images(folder: Path, *, root: Path) -> list[str]:
    """List the image files below ``folder``: paths relative to it, ``/`` between the parts, sorted, none hidden.

    Raises
    ------
    LabelSetError
        If a link to a folder leads out of the set's, ``root``.
    """
    return sorted(path for path in _walk(folder, root) if _suffix(path) in SUFFIXES)


def list_pngs(folder: Path, *, root: Path) -> list[str]:
    """List the PNG files below ``folder``, as ``list_images``."""
    return sorted(path for path in _walk(folder, root) if _suffix(path) == ".png")


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()  # noqa: PTH122 - a Path for each of 100,000 names takes a second


def _walk(folder: Path, root: Path) -> Iterator[str]:
    seen: set[str] = set()
    for place, inner, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back to a folder above it
            inner.clear()
            continue
        seen.add(real)
        inner[:] = [name for name in inner if not name.startswith(_SKIPPED)]
        for name in inner:
            # Before it is walked: a link may lead to the whole disk.
            check_folder(Path(place, name), root)
        prefix = Path(place).relative_to(folder).as_posix()
        lead = "" if prefix == "." else prefix + "/"
        yield from (lead + name for name in files if not name.startswith(_SKIPPED))


def holds_images(folder: Path, *, root: Path) -> bool:
    """Whether an image file lies in or below ``folder``."""
    return any(_suffix(path) in SUFFIXES for path in _walk(folder, root))


def subfolders(folder: Path) -> list[Path]:
    """List the folders right in ``folder``, sorted, none hidden."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(_SKIPPED))


def images_table(names: Sequence[str], splits: Sequence[str] | None = None) -> pd.DataFrame:
    """Make a table with one row an image: image, split, line (its number in the sorted list, from 1)."""
    if not names:
        raise LabelSetError("the set holds no images")
    split = list(splits) if splits is not None else splits_of(names)
    return pd.DataFrame({"image": list(names), "split": split, "line": np.arange(1, len(names) + 1)})


def splits_of(names: Sequence[str]) -> list[str]:
    """Take the first folder of each name as its split, if all of these are called as splits are; else ''."""
    firsts = [name.partition("/")[0] if "/" in name else "" for name in names]
    return firsts if set(firsts) <= set(SPLITS) else [""] * len(firsts)
