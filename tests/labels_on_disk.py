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


CUB_PARTS = ("back", "left eye", "tail")


def write_cub(home: Path, *, size: tuple[int, int] = (20, 30)) -> Path:
    """Five images of two classes in CUB-200-2011's layout, image 3 in the test split and without a visible part.

    Image n has part p at x = 3 n + p, y = 2 n + p (both counted from 1), but no left eye in image 2.
    """
    names = ["001.Gull/a.jpg", "001.Gull/b.jpg", "001.Gull/c.jpg", "002.Tern_small/a.jpg", "002.Tern_small/b.jpg"]
    for seed, name in enumerate(names):
        photograph(home / "images" / name, size=size, seed=seed)
    (home / "parts").mkdir()
    hidden = {(2, 2), (3, 1), (3, 2), (3, 3)}
    places = [
        f"{n} {p} 0.0 0.0 0" if (n, p) in hidden else f"{n} {p} {3 * n + p}.0 {2 * n + p}.5 1"
        for n in range(1, 6)
        for p in range(1, 4)
    ]
    for file, lines in {
        "images.txt": [f"{n} {name}" for n, name in enumerate(names, start=1)],
        "classes.txt": ["1 001.Gull", "2 002.Tern_small"],
        "image_class_labels.txt": [f"{n} {int(name[:3])}" for n, name in enumerate(names, start=1)],
        "train_test_split.txt": [f"{n} {int(n != 3)}" for n in range(1, 6)],
        "parts/parts.txt": [f"{p} {name}" for p, name in enumerate(CUB_PARTS, start=1)],
        "parts/part_locs.txt": places,
    }.items():
        (home / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return home


@dataclass
class Thing:
    """One object of a PASCAL-Part annotation: its class (1 to 20), its mask, and (code, mask) of its parts."""

    kind: int
    mask: NDArray[np.uint8]
    parts: Sequence[tuple[str, NDArray[np.uint8]]] = ()


def write_annotation(path: Path, things: Sequence[Thing]) -> None:
    """Save a .mat file as PASCAL-Part has it: anno.objects(i).parts(j), MATLAB 5, compressed, [] for no parts."""
    from scipy.io import savemat

    path.parent.mkdir(parents=True, exist_ok=True)
    objects = np.empty((1, len(things)), [(name, object) for name in ("class", "class_ind", "mask", "parts")])
    for i, thing in enumerate(things):
        parts = np.empty((1, len(thing.parts)), [("part_name", object), ("mask", object)])
        for j, (code, mask) in enumerate(thing.parts):
            parts[0, j] = (code, mask)
        none = np.zeros((0, 0))
        objects[0, i] = (f"class {thing.kind}", float(thing.kind), thing.mask, parts if thing.parts else none)
    savemat(path, {"anno": {"imname": path.stem, "objects": objects}}, do_compression=True)


def box(rows: slice, columns: slice, *, size: tuple[int, int] = (24, 32)) -> NDArray[np.uint8]:
    """(H, W) mask, 1 inside."""
    mask = np.zeros(size, np.uint8)
    mask[rows, columns] = 1
    return mask
