"""CUB-200-2011's own layout: classes, a split and fifteen landmarks of birds (Wah et al., Caltech CNS-TR-2011-001).

Its README does not say whether ``x`` and ``y`` of parts/part_locs.txt count from 0 or from 1. The authors' own importer
takes them for 0-based pixels, as they are; so does this reader.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from interpkit.errors import LabelSetError
from interpkit.labels.contents import Contents, Layout
from interpkit.labels.findings import Complain, Finding
from interpkit.labels.folders import image_folder
from interpkit.labels.tables import numbers, report_repeats, whole_numbers, without_escapes

_TABLES = ("images.txt", "image_class_labels.txt", "classes.txt")
_IMAGES, _LABELS, _CLASSES = _TABLES
_SPLIT, _PARTS, _PLACES = "train_test_split.txt", "parts/parts.txt", "parts/part_locs.txt"


def _recognises(root: Path, manifest: Mapping[str, Any]) -> bool:
    return _home(root) is not None


def _home(root: Path) -> Path | None:
    """Find the folder with two of the three tables: the root, or CUB_200_2011 in it as the archive unpacks."""
    # Two of three, so that the third is missed by name.
    homes = (root, root / "CUB_200_2011")
    return next((home for home in homes if sum((home / name).is_file() for name in _TABLES) >= 2), None)


def _read(root: Path, manifest: Mapping[str, Any], complain: Complain) -> Contents:
    home = _home(root) or root
    images = without_escapes(
        _pairs(home, _IMAGES, complain).rename(columns={"text": "image"}), "image", file=_IMAGES, complain=complain
    )
    if images.empty:
        raise LabelSetError(f"{_IMAGES} lists no image")
    classes = _classes(home, images, complain)
    split = pd.Series("", images.index)
    if (home / _SPLIT).is_file():
        training = _pairs(home, _SPLIT, complain).set_index("number")["text"]
        split = images["number"].map(training).map({"1": "train", "0": "test"}).fillna("")
    table = pd.DataFrame({"image": images["image"], "split": split, "line": images["line"]})
    landmarks = _landmarks(home, images, complain) if (home / _PARTS).is_file() else None
    there = [home / name for name in (*_TABLES, _SPLIT, _PARTS, _PLACES)]
    return Contents(
        table,
        image_folder(home, manifest),
        _IMAGES,
        tuple(path for path in there if path.is_file()),
        classes=classes,
        landmarks=landmarks,
        landmarks_table=_PLACES,
    )


def _text(home: Path, file: str) -> str:
    try:
        return (home / file).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise LabelSetError(f"{file} is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise LabelSetError(f"{file} cannot be read: {error}") from error


def _pairs(home: Path, file: str, complain: Complain) -> pd.DataFrame:
    """Read lines of a number and a text, which may hold blanks: ``number``, ``text``, ``line``."""
    rows = []
    for line, text in enumerate(_text(home, file).splitlines(), start=1):
        number, _, rest = text.strip().partition(" ")
        if number and rest.strip():
            rows.append((number, rest.strip(), line))
        elif number:
            complain(Finding(f"holds {text.strip()!r} where a number and a name are expected", file, line))
    table = pd.DataFrame(rows, columns=["number", "text", "line"])
    report_repeats(table, "number", file=file, complain=complain)
    return table.drop_duplicates("number", ignore_index=True)


def _classes(home: Path, images: pd.DataFrame, complain: Complain) -> pd.DataFrame:
    labels = _pairs(home, _LABELS, complain)
    names = _pairs(home, _CLASSES, complain).set_index("number")["text"]
    called = labels.assign(name=labels["text"].map(names))
    for row in called[called["name"].isna()].to_dict("records"):
        complain(Finding(f"names class {row['text']}, which {_CLASSES} does not list", _LABELS, int(row["line"])))
    _known(labels, images, file=_LABELS, complain=complain)
    of = images["number"].map(called.set_index("number")["name"])
    return pd.DataFrame({"image": images["image"], "class": of}).dropna(ignore_index=True)


def _known(table: pd.DataFrame, images: pd.DataFrame, *, file: str, complain: Complain) -> None:
    for row in table[~table["number"].isin(images["number"])].to_dict("records"):
        complain(Finding(f"names image {row['number']}, which {_IMAGES} does not list", file, int(row["line"])))


def _landmarks(home: Path, images: pd.DataFrame, complain: Complain) -> pd.DataFrame:
    """``image``, ``<part>_row``, ``<part>_col`` for every image; NaN where a part is not visible."""
    parts = _pairs(home, _PARTS, complain)
    names = [re.sub(r"\W+", "_", name) for name in parts["text"]]
    if len(set(names)) < len(names):
        raise LabelSetError(f"{_PARTS} names two parts alike: {', '.join(names)}")
    places = _places(home, complain)
    _known(places, images, file=_PLACES, complain=complain)
    for row in places[~places["part"].isin(parts["number"])].to_dict("records"):
        complain(Finding(f"names part {row['part']}, which {_PARTS} does not list", _PLACES, int(row["line"])))
    for row in places[places.duplicated(["number", "part"])].to_dict("records"):
        complain(Finding(f"repeats part {row['part']} of image {row['number']}", _PLACES, int(row["line"])))
    i = pd.Index(images["number"]).get_indexer(pd.Index(places["number"]))
    p = pd.Index(parts["number"]).get_indexer(pd.Index(places["part"]))
    points = np.full((len(images), len(names), 2), np.nan)
    seen = (i >= 0) & (p >= 0) & (places["visible"] > 0).to_numpy()
    points[i[seen], p[seen]] = places.loc[seen, ["y", "x"]].to_numpy(np.float64)
    columns = [f"{name}_{axis}" for name in names for axis in ("row", "col")]
    table = pd.DataFrame(points.reshape(len(images), -1), columns=columns)
    table.insert(0, "image", images["image"])
    return table


def _places(home: Path, complain: Complain) -> pd.DataFrame:
    """Read ``number`` of the image, ``part``, ``x``, ``y``, ``visible`` and the ``line`` they stand on."""
    columns = ["number", "part", "x", "y", "visible"]
    words = [text.split() for text in _text(home, _PLACES).splitlines()]
    rows = [(*row, line) for line, row in enumerate(words, start=1) if len(row) == len(columns)]
    for line, row in enumerate(words, start=1):
        if row and len(row) != len(columns):
            complain(Finding(f"holds {len(row)} values where image, part, x, y, visible are expected", _PLACES, line))
    table = pd.DataFrame(rows, columns=[*columns, "line"])
    table["visible"] = whole_numbers(table, "visible", file=_PLACES, complain=complain)
    for axis in ("x", "y"):
        table[axis] = numbers(table, axis, file=_PLACES, complain=complain)
    broken = table[["x", "y"]].isna().any(axis=1)
    return table[~broken].reset_index(drop=True)


OFFER = Layout("cub", 35, "images.txt, classes.txt, image_class_labels.txt and images/", _recognises, _read)
