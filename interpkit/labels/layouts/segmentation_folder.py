"""images/, masks/ and labels.csv: index or palette PNGs, one an image, or one an image and category."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from interpkit.errors import LabelSetError, nearest
from interpkit.labels.contents import Cell, Contents, Layout, Source, numbering_of
from interpkit.labels.findings import Complain, Finding
from interpkit.labels.folders import image_folder, images_table, list_images, list_pngs, subfolders
from interpkit.labels.manifest import ignored
from interpkit.labels.masks import GRID, MaskReader, ignored_numbers
from interpkit.labels.tables import read_table, report_repeats, whole_numbers

_LABELS = "labels.csv"
_CATEGORY = "object"


def _recognises(root: Path, manifest: Mapping[str, Any]) -> bool:
    # Two of the three, so that the third is missed by name and its set not taken for one without labels.
    masks, labels = _masks(root, manifest).is_dir(), (root / _LABELS).is_file()
    return (masks or labels) and sum((masks, labels, image_folder(root, manifest) != root)) >= 2


def _masks(root: Path, manifest: Mapping[str, Any]) -> Path:
    return root / str(manifest.get("masks", "masks"))


def _read(root: Path, manifest: Mapping[str, Any], complain: Complain) -> Contents:
    folder, masks = image_folder(root, manifest), _masks(root, manifest)
    if not folder.is_dir() or folder == root:
        raise LabelSetError("the folder of images (images/) is missing")
    if not masks.is_dir():
        raise LabelSetError("the set promises labels and holds none: the folder of masks (masks/) is missing")
    concepts = _concepts(root, complain)
    categories = _categories(concepts, manifest)
    images = images_table(list_images(folder, root=root))
    listed = concepts["number"].tolist()
    rows, columns = manifest.get("grid", GRID)
    cells = _cells(images["image"].tolist(), masks, categories=categories, complain=complain)
    source = Source(
        cells=cells.__getitem__,
        decode=MaskReader(masks, folder, (rows, columns), listed, ignored_numbers(ignored(manifest), listed)),
        numbering=numbering_of(concepts, categories),
        grid=(rows, columns),
        folder=masks,
        table=_LABELS,
    )
    return Contents(images, folder, "", (root / _LABELS,), concepts, categories, source)


def _concepts(root: Path, complain: Complain) -> pd.DataFrame:
    table = read_table(root / _LABELS, ["number", "name"])
    report_repeats(table, "number", file=_LABELS, complain=complain)
    table["number"] = whole_numbers(table, "number", file=_LABELS, complain=complain)
    for row in np.flatnonzero(table["number"] == 0):
        if table["name"].iloc[row] not in {"background", "unlabelled", "unlabeled", "none", "void"}:
            what = f"number 0 means 'no label' and cannot be {table['name'].iloc[row]!r}"
            complain(Finding(what, _LABELS, int(table["line"].iloc[row])))
    table = table[table["number"] > 0].drop_duplicates("number").sort_values("number", ignore_index=True)
    if table.empty:
        raise LabelSetError(f"the set promises labels and holds none: {_LABELS} lists no label")
    category = table["category"] if "category" in table else pd.Series("", table.index)
    return table[["number", "name"]].assign(
        category=category.where(category != "", _CATEGORY), frequency=np.nan, coverage=np.nan
    )


def _categories(concepts: pd.DataFrame, manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Take the manifest's categories in its order; else those of labels.csv in the order of their lowest numbers."""
    used = list(dict.fromkeys(concepts["category"]))
    chosen = list(manifest.get("categories", used))
    unknown = next((name for name in used if name not in chosen), None)
    if unknown is not None:
        raise LabelSetError(f"{_LABELS} uses category {unknown!r}; the manifest lists {', '.join(chosen)}")
    return tuple(chosen)


def _cells(names: Sequence[str], masks: Path, *, categories: Sequence[str], complain: Complain) -> list[list[Cell]]:
    """List for each image the masks that carry its name, in masks/ or in one folder for each category."""
    there = set(list_pngs(masks, root=masks.parent))
    folders = {path.name for path in subfolders(masks)}
    by_category = bool(folders & set(categories))
    for name in sorted(folders - set(categories)) if by_category else []:
        close = nearest(name, categories, count=1) or categories
        complain(Finding(f"is a folder of masks for no category; nearest: {close[0]}", f"{masks.name}/{name}"))
    places = [(g, f"{name}/") for g, name in enumerate(categories)] if by_category else [(None, "")]
    cells: list[list[Cell]] = []
    for name in names:
        mask = PurePosixPath(name).with_suffix(".png").as_posix()
        cells.append([Cell(g, files=[place + mask]) for g, place in places if place + mask in there])
    if not any(cells):
        raise LabelSetError(
            f"the set promises labels and holds none: no PNG in {masks.name}/ carries the name of an image"
        )
    return cells


OFFER = Layout("segmentation-folder", 20, "images/, masks/ and labels.csv", _recognises, _read)
