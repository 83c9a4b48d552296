"""PASCAL VOC's segmentation layout, as torchvision's VOCSegmentation unpacks it (Everingham et al., IJCV 2010)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from interpkit.errors import LabelSetError
from interpkit.labels.contents import Cell, Contents, Layout, Source, numbering_of
from interpkit.labels.findings import Complain
from interpkit.labels.folders import images_table, subfolders
from interpkit.labels.manifest import ignored
from interpkit.labels.masks import GRID, MaskReader, ignored_numbers
from interpkit.labels.pascal import CLASSES

_IMAGES, _MASKS, _LISTS = "JPEGImages", "SegmentationClass", "ImageSets/Segmentation"
_SPLITS = ("train", "val", "trainval")


def _recognises(root: Path, manifest: Mapping[str, Any]) -> bool:
    return _home(root) is not None


def _home(root: Path) -> Path | None:
    """Find the folder with JPEGImages: the root, VOCdevkit/<year> or <year> below it; of several years the latest."""
    deeper = [*subfolders(root / "VOCdevkit"), *subfolders(root)]
    homes = [path for path in (root, *sorted(deeper, key=lambda path: path.name, reverse=True)) if _is_home(path)]
    return homes[0] if homes else None


def _is_home(folder: Path) -> bool:
    return (folder / _IMAGES).is_dir() and ((folder / _MASKS).is_dir() or (folder / _LISTS).is_dir())


def _read(root: Path, manifest: Mapping[str, Any], complain: Complain) -> Contents:
    home = _home(root) or root
    for name in (_MASKS, _LISTS):
        if not (home / name).is_dir():
            raise LabelSetError(f"{name}/ is missing, the masks or the lists of a VOC set")
    lists = [path for split in _SPLITS if (path := home / _LISTS / f"{split}.txt").is_file()]
    split: dict[str, str] = {}
    for path in lists:
        for stem in path.read_text(encoding="utf-8").split():
            split.setdefault(stem, path.stem)
    if not split:
        raise LabelSetError(f"{_LISTS} lists no image in {', '.join(f'{name}.txt' for name in _SPLITS)}")
    escaping = next((stem for stem in split if "/" in stem or "\\" in stem), None)
    if escaping is not None:
        raise LabelSetError(f"{_LISTS} names {escaping!r}, which points outside the label set's folder")
    stems = sorted(split)
    concepts = pd.DataFrame({"number": np.arange(1, len(CLASSES) + 1), "name": list(CLASSES)})
    concepts = concepts.assign(category="object", frequency=np.nan, coverage=np.nan)
    cells = [[Cell(0, files=[f"{stem}.png"])] for stem in stems]
    listed = concepts["number"].tolist()
    rows, columns = manifest.get("grid", GRID)
    source = Source(
        cells=cells.__getitem__,
        decode=MaskReader(
            home / _MASKS, home / _IMAGES, (rows, columns), listed, ignored_numbers(ignored(manifest), listed)
        ),
        numbering=numbering_of(concepts, ["object"]),
        grid=(rows, columns),
        folder=home / _MASKS,
        table="PASCAL VOC",
    )
    images = images_table([f"{stem}.jpg" for stem in stems], [split[stem] for stem in stems])
    return Contents(images, home / _IMAGES, "", tuple(lists), concepts, ("object",), source)


OFFER = Layout(
    "voc-segmentation", 30, f"{_IMAGES}/, {_MASKS}/ and {_LISTS}/, or VOCdevkit/VOC2012 with them", _recognises, _read
)
