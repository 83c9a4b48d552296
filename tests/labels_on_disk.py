"""Small label sets, written to disk for the tests."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Item = int | NDArray[np.int64]


@dataclass
class Row:
    """One image of a Broden set: category -> whole-image numbers and label layers."""

    image: str
    cells: Mapping[str, Sequence[Item]] = field(default_factory=dict)
    split: str = "train"


def photograph(path: Path, *, size: tuple[int, int] = (16, 16), seed: int = 0) -> Path:
    """Save a random image of (H, W) pixels in the format that its suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_rg(path: Path, numbers: NDArray[np.int64]) -> None:
    """Save label numbers as Broden does: R + 256 * G."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = np.stack([numbers % 256, numbers // 256, np.zeros_like(numbers)], axis=-1)
    Image.fromarray(channels.astype(np.uint8)).save(path)


def write_broden(
    root: Path,
    labels: Mapping[int, Mapping[str, float]],
    rows: Sequence[Row],
    *,
    categories: Sequence[str],
    columns: Sequence[str] | None = None,
    side: int = 16,
) -> Path:
    """Write a set: ``labels`` gives each number its coverage by category, ``columns`` the order of index.csv's."""
    root.mkdir(parents=True, exist_ok=True)
    write_csv(
        root / "category.csv", ["name", "first", "last", "count", "frequency"], [[c, 1, 9, 1, 1] for c in categories]
    )
    for category in categories:
        listed = [(number, cover[category]) for number, cover in labels.items() if category in cover]
        table = [[code + 1, number, f"name{number}", 7, cover] for code, (number, cover) in enumerate(listed)]
        write_csv(root / f"c_{category}.csv", ["code", "number", "name", "frequency", "coverage"], table)
    table = [
        [number, f"name{number}", ";".join(f"{c}(7)" for c in cover), 7, sum(cover.values()), ""]
        for number, cover in labels.items()
    ]
    write_csv(root / "label.csv", ["number", "name", "category", "frequency", "coverage", "syns"], table)
    order = list(columns or categories)
    index = []
    for seed, row in enumerate(rows):
        photograph(root / "images" / row.image, size=(side, side), seed=seed)
        cells = [_cell(root, row, category) for category in order]
        index.append([row.image, row.split, side, side, side // 2, side // 2, *cells])
    write_csv(root / "index.csv", ["image", "split", "ih", "iw", "sh", "sw", *order], index)
    return root


def _cell(root: Path, row: Row, category: str) -> str:
    items = []
    for layer, item in enumerate(row.cells.get(category, [])):
        if isinstance(item, int):
            items.append(str(item))
        else:
            name = f"{row.image.rsplit('.', 1)[0]}_{category}_{layer}.png"
            write_rg(root / "images" / name, item)
            items.append(name)
    return ";".join(items)


def grid_of(*numbers: int, side: int = 8) -> NDArray[np.int64]:
    """(side, side) label numbers in vertical stripes, as equal as can be."""
    return np.tile(np.array(numbers)[np.arange(side) * len(numbers) // side], (side, 1))


def small_broden(root: Path) -> Path:
    """Three images with every trap: column order, layers that overlap, two categories, whole-image labels, scene 0."""
    labels = {
        1: {"color": 4.0},
        2: {"color": 1.0},
        4: {"part": 1.0},
        3: {"object": 2.0, "part": 5.0},
        5: {"scene": 3.0},
        6: {"scene": 1.0, "texture": 1.0},
        300: {"object": 9.0},
    }
    rows = [
        Row(
            "a/one.jpg",
            {
                "color": [grid_of(1, 2)],
                "object": [grid_of(0, 300)],
                "part": [grid_of(3, 0), grid_of(3, 4)],
                "scene": [0],
            },
        ),
        Row("a/two.jpg", {"color": [grid_of(1)], "object": [300, 3], "scene": [5, 6], "texture": [6]}, "val"),
        Row("b/three.png", {"color": [grid_of(0)], "texture": [6], "object": [grid_of(3, 0)]}),
    ]
    return write_broden(
        root,
        labels,
        rows,
        categories=["object", "part", "scene", "texture", "color"],
        columns=["color", "scene", "texture", "part", "object"],
    )
