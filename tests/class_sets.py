"""Label sets with classes, landmarks and part masks that the small network can tell apart, written to disk."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from labels_on_disk import Row, write_broden, write_csv
from numpy.typing import NDArray
from PIL import Image

from interpkit.labels import LabelSet

CLASSES = ("blue", "green", "red")
LABELS = {1: {"object": 1.0}, 3: {"part": 1.0}, 4: {"part": 1.0}, 9: {"part": 1.0}}
# A landmark is a square of this side, as bright as can be.
SPOT = 3


def coloured(path: Path, name: str, *, size: tuple[int, int] = (32, 32), seed: int = 0) -> Path:
    """Noise of (H, W) pixels, with the colour of its class laid over it more or less; PNG, so that pixels stay."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 160, (*size, 3)).astype(np.float64)
    for colour in name.split("+"):
        if colour in CLASSES:
            pixels[..., 2 - CLASSES.index(colour)] += rng.uniform(10, 90)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


def class_of(i: int) -> str:
    """Classes of unequal sizes, mixed: blue, green, red, green, ..."""
    return ("blue", "green", "red", "green", "red", "red")[i % 6]


def listed_set(root: Path, *, images: int = 60, classes: Sequence[str] | None = None) -> LabelSet:
    """A set in Broden's layout with classes.csv: image i is of class ``classes[i]``, of none for ''.

    Every fifth image is in the split `val`; two parts and an object have label maps.
    """
    names = [class_of(i) for i in range(images)] if classes is None else list(classes)
    rng = np.random.default_rng(1)
    rows = []
    for i in range(images):
        cells = {"part": [_stripe(rng, 3), _stripe(rng, 4)] if i % 3 else [], "object": [_stripe(rng, 1)]}
        rows.append(Row(f"{i:02d}.png", cells, "val" if i % 5 == 0 else "train"))
    write_broden(root, LABELS, rows, categories=["object", "part"], side=32)
    for i, name in enumerate(names):
        coloured(root / "images" / rows[i].image, name, seed=i)
    write_csv(
        root / "classes.csv",
        ["image", "class"],
        [[row.image, one] for row, name in zip(rows, names, strict=True) for one in name.split("+") if one],
    )
    return LabelSet.open(root)


def _stripe(rng: np.random.Generator, number: int) -> NDArray[np.int64]:
    """(16, 16) a label in a rectangle of at least 4 x 4, 0 elsewhere."""
    field = np.zeros((16, 16), np.int64)
    top, left = rng.integers(0, 12, 2)
    field[top : top + rng.integers(4, 9), left : left + rng.integers(4, 9)] = number
    return field


def folder_set(root: Path, counts: Mapping[str, int]) -> Path:
    """A folder of ``counts`` images for each class."""
    for k, (name, count) in enumerate(counts.items()):
        for i in range(count):
            coloured(root / name / f"{i:02d}.png", name, size=(16, 16), seed=100 * k + i)
    return root


def landmark_set(root: Path, *, images: int = 30, classes: bool = True) -> LabelSet:
    """Images of 24 x 40 pixels with a bright spot at `head`, and nothing to see at `tail`, in landmarks.csv.

    Every fifth image has no head, every fourth no tail.
    """
    rng = np.random.default_rng(2)
    rows = []
    for i in range(images):
        name = f"{i:02d}.png"
        coloured(root / "images" / name, class_of(i), size=(24, 40), seed=i)
        head, tail = rng.uniform([2, 2], [21, 37]).round(1), rng.uniform([0, 0], [23, 39]).round(1)
        if i % 5:
            _brighten(root / "images" / name, head)
        cells = [*(head if i % 5 else ["", ""]), *(tail if i % 4 else ["", ""])]
        rows.append([name, *([class_of(i)] if classes else []), *cells])
    header = ["image", *(["class"] if classes else []), "head_row", "head_col", "tail_row", "tail_col"]
    write_csv(root / "landmarks.csv", header, rows)
    return LabelSet.open(root)


def _brighten(path: Path, centre: NDArray[np.float64]) -> None:
    with Image.open(path) as image:
        pixels = np.array(image)
    top, left = np.maximum(centre.round().astype(int) - SPOT // 2, 0)
    pixels[top : top + SPOT, left : left + SPOT] = 255
    Image.fromarray(pixels).save(path)
