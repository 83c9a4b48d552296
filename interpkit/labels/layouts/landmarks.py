"""landmarks.csv with images: image, class, <part>_row, <part>_col."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from interpkit.errors import LabelSetError
from interpkit.labels.contents import Contents, Layout
from interpkit.labels.extras import landmarks_file
from interpkit.labels.findings import Complain, Finding
from interpkit.labels.folders import image_folder
from interpkit.labels.tables import read_table, without_escapes


def _recognises(root: Path, manifest: Mapping[str, Any]) -> bool:
    return (root / landmarks_file(manifest)).is_file()


def _read(root: Path, manifest: Mapping[str, Any], complain: Complain) -> Contents:
    file = landmarks_file(manifest)
    table = read_table(root / file, ["image"])
    table = without_escapes(table, "image", file=file, complain=complain)
    for line in table.loc[table["image"] == "", "line"]:
        complain(Finding("names no image", file, int(line)))
    table = table[table["image"] != ""].drop_duplicates("image", ignore_index=True)
    if table.empty:
        raise LabelSetError(f"{file} lists no image")
    images = pd.DataFrame({"image": table["image"], "split": table.get("split", ""), "line": table["line"]})
    return Contents(images, image_folder(root, manifest), file)


OFFER = Layout("landmarks", 40, "landmarks.csv and images", _recognises, _read)
