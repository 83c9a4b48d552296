"""PASCAL-Part: Annotations_Part/*.mat beside PASCAL VOC's JPEGImages (Chen et al., CVPR 2014)."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpkit.errors import LabelSetError
from interpkit.labels.contents import Cell, Contents, Layout, Source, numbering_of
from interpkit.labels.decoding import image_size, read_bytes
from interpkit.labels.findings import Complain
from interpkit.labels.folders import images_table, subfolders
from interpkit.labels.masks import GRID, sampled
from interpkit.labels.pascal import CLASSES, PARTS, part_name

_NAME, _ANNOTATIONS, _IMAGES = "voc-part", "Annotations_Part", "JPEGImages"
_CATEGORIES = ("object", "part")
_SPLITS = ("train", "val")


def _recognises(root: Path, manifest: Mapping[str, Any]) -> bool:
    return _annotations(root, manifest) is not None


def _annotations(root: Path, manifest: Mapping[str, Any]) -> Path | None:
    """Find the folder of .mat files: the manifest's ``masks``, or Annotations_Part in the root or in trainval/."""
    chosen = [root / str(manifest["masks"])] if "masks" in manifest and manifest.get("layout") == _NAME else []
    places = (*chosen, root / _ANNOTATIONS, root / "trainval" / _ANNOTATIONS)
    return next((place for place in places if place.is_dir()), None)


def _photographs(root: Path, manifest: Mapping[str, Any]) -> Path:
    """Find the images: the manifest's ``images``, or JPEGImages in the root or in a year's folder below it."""
    if "images" in manifest:
        return root / str(manifest["images"])
    years = [*subfolders(root / "VOCdevkit"), *subfolders(root)]
    places = [root, *sorted(years, key=lambda path: path.name, reverse=True)]
    return next((place / _IMAGES for place in places if (place / _IMAGES).is_dir()), root / _IMAGES)


def _read(root: Path, manifest: Mapping[str, Any], complain: Complain) -> Contents:
    annotations, folder = _annotations(root, manifest) or root / _ANNOTATIONS, _photographs(root, manifest)
    if not folder.is_dir():
        raise LabelSetError(f"the folder of images ({folder.relative_to(root).as_posix()}/) is missing")
    stems = sorted(path.stem for path in annotations.iterdir() if path.suffix == ".mat" and path.name[0] != ".")
    if not stems:
        raise LabelSetError(f"the set promises labels and holds none: {annotations.name}/ holds no .mat file")
    lists = [path for split in _SPLITS if (path := folder.parent / "ImageSets" / "Main" / f"{split}.txt").is_file()]
    split = {stem: path.stem for path in lists for stem in path.read_text(encoding="utf-8").split()}
    concepts = _concepts()
    rows, columns = manifest.get("grid", GRID)
    cells = [[Cell(None, files=[f"{stem}.mat"])] for stem in stems]
    source = Source(
        cells=cells.__getitem__,
        decode=_PartReader(annotations, folder, (rows, columns), _numbers(concepts)),
        numbering=numbering_of(concepts, _CATEGORIES),
        grid=(rows, columns),
        folder=annotations,
        table="PASCAL-Part",
    )
    images = images_table([f"{stem}.jpg" for stem in stems], [split.get(stem, "") for stem in stems])
    return Contents(images, folder, "", tuple(lists), concepts, _CATEGORIES, source)


def _concepts() -> pd.DataFrame:
    """List the twenty classes as objects 1 to 20, then ``<class> <part>`` as parts."""
    parts = [f"{name} {part}" for name in CLASSES for part in dict.fromkeys(PARTS.get(name, {}).values()) if part]
    category = ["object"] * len(CLASSES) + ["part"] * len(parts)
    number = np.arange(1, len(category) + 1)
    concepts = pd.DataFrame({"number": number, "name": [*CLASSES, *parts], "category": category})
    return concepts.assign(frequency=np.nan, coverage=np.nan)


def _numbers(concepts: pd.DataFrame) -> dict[str, int]:
    return dict(zip(concepts["name"], concepts["number"].tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class _PartReader:
    """(.mat file, image) -> (L, sh, sw) label numbers.

    A label holds wherever one of its masks does, of any object of its class; labels that share a pixel stand in
    different layers.
    """

    annotations: Path
    images: Path
    grid: tuple[int, int]
    numbers: Mapping[str, int]

    def __call__(self, file: str, image: str) -> NDArray[Any]:
        """Read one annotation.

        Raises
        ------
        LabelSetError
            If it cannot be read (``ImageError``), has another size than its image, or names an unknown class or part.
        """
        size = image_size(self.images / image)
        held: dict[int, NDArray[np.bool_]] = {}
        for name, mask in _masks(read_bytes(self.annotations / file)):
            if mask.shape != size:
                shape = " x ".join(map(str, mask.shape))
                raise LabelSetError(f"is {shape} pixels where image {image} has {size[0]} x {size[1]} (rows x columns)")
            number, small = self.numbers[name], sampled(mask, self.grid) != 0
            held[number] = held[number] | small if number in held else small
        return _layered(held, self.grid)


def _masks(data: bytes) -> Iterator[tuple[str, NDArray[Any]]]:
    """Go through an annotation: name of a class, or of a class and one of its parts, and an (H, W) mask."""
    for thing in _objects(data):
        name = CLASSES[int(thing["class_ind"].item()) - 1]
        yield name, thing["mask"]
        for part in thing["parts"].ravel():
            code = str(part["part_name"].item())
            called = part_name(name, code)
            if called is None:
                raise LabelSetError(f"holds part {code!r} of {name}, which PASCAL-Part does not list")
            if called:
                yield f"{name} {called}", part["mask"]


def _objects(data: bytes) -> NDArray[Any]:
    """(objects,) structs with ``class_ind``, ``mask`` and ``parts``, the last structs with ``part_name``, ``mask``."""
    from scipy.io import loadmat  # type: ignore[import-untyped]  # takes half a second, and other layouts do without

    try:
        things: NDArray[Any] = loadmat(io.BytesIO(data))["anno"]["objects"].item().ravel()
        for thing in things:
            if not 1 <= int(thing["class_ind"].item()) <= len(CLASSES) or thing["mask"].ndim != 2:
                raise ValueError("class or mask of an object out of range")
            for part in thing["parts"].ravel():
                if part["mask"].ndim != 2 or not str(part["part_name"].item()):
                    raise ValueError("name or mask of a part out of range")
    except Exception as error:  # the reader raises whatever a damaged file leads it to
        reason = " ".join(str(error).split())
        raise LabelSetError(f"is no annotation of PASCAL-Part: {reason}") from error
    return things


def _layered(held: Mapping[int, NDArray[np.bool_]], grid: tuple[int, int]) -> NDArray[np.int64]:
    """Spread masks over as few layers as one can by taking for each the first that is free: (L, sh, sw), L >= 1."""
    layers = [np.zeros(grid, np.int64)]
    for number, mask in sorted(held.items()):
        free = next((layer for layer in layers if not layer[mask].any()), None)
        if free is None:
            layers.append(free := np.zeros(grid, np.int64))
        free[mask] = number
    return np.stack(layers)


OFFER = Layout(_NAME, 25, f"{_ANNOTATIONS}/ with .mat files, and {_IMAGES}/", _recognises, _read)
