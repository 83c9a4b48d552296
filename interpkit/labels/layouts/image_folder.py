"""One folder of images a class, as torchvision's ImageFolder; above them, if wanted, a folder a split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from interpkit.labels.contents import Contents, Layout
from interpkit.labels.decoding import SUFFIXES
from interpkit.labels.findings import Complain, Finding
from interpkit.labels.folders import SPLITS, holds_images, image_folder, images_table, list_images, subfolders


def _class_folders(folder: Path) -> list[Path]:
    inner = subfolders(folder)
    if inner and all(path.name in SPLITS for path in inner):
        return [path for split in inner for path in subfolders(split)]
    return inner


def _recognises(root: Path, manifest: Mapping[str, Any]) -> bool:
    folder = image_folder(root, manifest)
    if not folder.is_dir() or any(path.suffix.lower() in SUFFIXES for path in folder.iterdir()):
        return False
    # A single folder is a folder of images that lies one deeper, not a class.
    return len({path.name for path in _class_folders(folder) if holds_images(path, root=root)}) > 1


def _read(root: Path, manifest: Mapping[str, Any], complain: Complain) -> Contents:
    folder = image_folder(root, manifest)
    images = images_table(list_images(folder, root=root))
    names: Sequence[str] = images["image"].tolist()
    depth = 1 if images["split"].ne("").any() else 0
    parts = [name.split("/") for name in names]
    classes = [part[depth] if len(part) > depth + 1 else "" for part in parts]
    table = pd.DataFrame({"image": names, "class": classes})
    for name in table.loc[table["class"] == "", "image"]:
        complain(Finding("lies in no class folder", str(name)))
    for path in _class_folders(folder):
        if not holds_images(path, root=root):
            complain(Finding("is a class folder without images", path.relative_to(folder).as_posix()))
    return Contents(images, folder, classes=table[table["class"] != ""].reset_index(drop=True))


OFFER = Layout("image-folder", 50, "one folder of images a class", _recognises, _read)
