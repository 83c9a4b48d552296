"""Any folder of images: no labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interpkit.labels.contents import Contents, Layout
from interpkit.labels.findings import Complain
from interpkit.labels.folders import holds_images, image_folder, images_table, list_images


def _recognises(root: Path, manifest: Mapping[str, Any]) -> bool:
    return holds_images(image_folder(root, manifest), root=root)


def _read(root: Path, manifest: Mapping[str, Any], complain: Complain) -> Contents:
    folder = image_folder(root, manifest)
    return Contents(images_table(list_images(folder, root=root)), folder)


OFFER = Layout("images", 60, "images, in folders or not, without labels", _recognises, _read)
