"""classes.csv and landmarks.csv, which may stand in a label set of any layout."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interpkit.errors import LabelSetError, nearest
from interpkit.labels.findings import Complain, Finding
from interpkit.labels.places import Found
from interpkit.labels.tables import read_table

_CLASSES = "classes.csv"
_LANDMARKS = "landmarks.csv"
_HINTS = 20


def classes_file(manifest: Mapping[str, Any]) -> str:
    """Name the table of classes, relative to the label set's folder."""
    return str(manifest.get("classes", _CLASSES))


def landmarks_file(manifest: Mapping[str, Any]) -> str:
    """Name the table of landmarks, relative to the label set's folder."""
    return str(manifest.get("landmarks", _LANDMARKS))


@dataclass(frozen=True, eq=False)
class Classes:
    """What a table of classes says.

    Attributes
    ----------
    table
        ``image``, ``class``; an image with several classes has several rows.
    told
        The images of a table of 0 and 1, where an image may be of no class; None for a list of images and classes.
    """

    table: pd.DataFrame
    told: frozenset[str] | None = None


def read_classes(found: Found, images: pd.DataFrame, complain: Complain) -> Classes | None:
    """Read columns image, class, or a column image and one a class that holds 1 or 0 (or 1 or -1).

    None without such a table.
    """
    file = classes_file(found.manifest)
    if not (found.root / file).is_file() and "classes" not in found.manifest:
        return None
    table = read_table(found.root / file, ["image"])
    listed = "class" in table
    _known_images(table, images, file=file, complain=complain)
    for line in table.loc[table.duplicated(["image", "class"] if listed else ["image"]), "line"]:
        complain(Finding("repeats an earlier row", file, int(line)))
    known = table[table["image"].isin(images["image"])]
    if not listed:
        return _zeros_and_ones(known.drop_duplicates("image", ignore_index=True), file=file, complain=complain)
    for line in table.loc[table["class"] == "", "line"]:
        complain(Finding("names no class", file, int(line)))
    return Classes(known.loc[known["class"] != "", ["image", "class"]].drop_duplicates(ignore_index=True))


def _zeros_and_ones(table: pd.DataFrame, *, file: str, complain: Complain) -> Classes:
    names = [str(column) for column in table.columns if column not in {"image", "line"}]
    cells = table[names].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    if not np.isin(cells, (-1, 0, 1)).any():
        have = ", ".join(["image", *names])
        raise LabelSetError(f"{file} has no column 'class', nor columns of 1 and 0, one a class; it has {have}")
    for row, column in np.argwhere(~np.isin(cells, (-1, 0, 1))):
        text = str(table[names[column]].iloc[row])
        complain(Finding(f"{names[column]} is {text!r}, not 1 or 0", file, int(table["line"].iloc[row])))
    if {-1, 0} <= set(np.unique(cells)):
        complain(Finding("holds 0 and -1; an image that is not of a class has one or the other throughout", file))
    held = cells == 1
    for column in np.flatnonzero(~held.any(axis=0)):
        complain(Finding(f"class {names[column]} holds for no image", file))
    row, column = np.nonzero(held)
    images = table["image"].to_numpy()
    pairs = pd.DataFrame({"image": images[row], "class": np.array(names, object)[column]}, dtype=table["image"].dtype)
    return Classes(pairs, frozenset(images.tolist()))


def read_landmarks(found: Found, images: pd.DataFrame, complain: Complain) -> pd.DataFrame | None:
    """Read columns image, class where given, <part>_row and <part>_col: 0-based pixels, NaN for none.

    None without such a table.
    """
    file = landmarks_file(found.manifest)
    if not (found.root / file).is_file() and "landmarks" not in found.manifest:
        return None
    table = read_table(found.root / file, ["image"])
    parts = part_names(table.columns.tolist(), file)
    _known_images(table, images, file=file, complain=complain)
    for line in table.loc[table["image"].duplicated(), "line"]:
        complain(Finding("repeats the image of an earlier row", file, int(line)))
    for part in parts:
        down, across = (_coordinates(table, f"{part}_{axis}", file=file, complain=complain) for axis in ("row", "col"))
        for row in np.flatnonzero((down.isna() != across.isna()).to_numpy()):
            complain(Finding(f"{part} has a row or a column but not both", file, int(table["line"].iloc[row])))
        both = down.notna() & across.notna()
        table[f"{part}_row"], table[f"{part}_col"] = down.where(both), across.where(both)
    kept = ["image", "class"] if "class" in table else ["image"]
    kept += [f"{part}_{axis}" for part in parts for axis in ("row", "col")]
    return table.loc[table["image"].isin(images["image"]), kept].drop_duplicates("image", ignore_index=True)


def part_names(columns: list[str], file: str) -> list[str]:
    """List the parts p with both columns p_row and p_col, in the order of the columns.

    Raises
    ------
    LabelSetError
        If there is none, or one of a pair is missing.
    """
    rows = [name.removesuffix("_row") for name in columns if name.endswith("_row")]
    cols = [name.removesuffix("_col") for name in columns if name.endswith("_col")]
    single = [f"{part}_col" for part in rows if part not in cols] + [f"{part}_row" for part in cols if part not in rows]
    if single:
        raise LabelSetError(f"{file} has no column {single[0]!r} to go with its other half")
    if not rows:
        raise LabelSetError(f"{file} has no columns <part>_row and <part>_col; it has {', '.join(columns)}")
    return rows


def _coordinates(table: pd.DataFrame, column: str, *, file: str, complain: Complain) -> "pd.Series[float]":
    values = pd.to_numeric(table[column], errors="coerce").astype(float)
    values = values.where(np.isfinite(values))
    for row in np.flatnonzero(values.isna().to_numpy() & (table[column].str.strip() != "").to_numpy()):
        text = str(table[column].iloc[row])
        complain(Finding(f"{column} is {text!r}, which is no number", file, int(table["line"].iloc[row])))
    return values


def _known_images(table: pd.DataFrame, images: pd.DataFrame, *, file: str, complain: Complain) -> None:
    for count, row in enumerate(np.flatnonzero(~table["image"].isin(images["image"]).to_numpy())):
        image = str(table["image"].iloc[row])
        # Comparing with every name of a large set would take seconds, and so would comparing every name.
        close = nearest(image, images["image"].iloc[:2000], count=1) if count < _HINTS else []
        hint = f"; did you mean {close[0]}?" if close else ""
        complain(Finding(f"names {image!r}, which the set does not hold{hint}", file, int(table["line"].iloc[row])))
