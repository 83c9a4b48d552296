"""Broden read by its definition, a pixel at a time, with nothing but csv and PIL."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image


@dataclass
class PlainImage:
    """One image: concept number -> the pixels (row, column) at which it holds; the categories that are annotated."""

    image: str
    split: str
    grid: tuple[int, int]
    pixels: dict[int, set[tuple[int, int]]] = field(default_factory=dict)
    whole: list[int] = field(default_factory=list)
    annotated: set[str] = field(default_factory=set)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def primary_categories(root: Path) -> dict[int, str]:
    """The category whose c_<category>.csv gives a label the most coverage; of equals the later in category.csv."""
    best: dict[int, str] = {}
    coverage: dict[int, float] = {}
    for category in [row["name"] for row in rows_of(root / "category.csv")]:
        for row in rows_of(root / f"c_{category}.csv"):
            number = int(row["number"])
            if number not in best or float(row["coverage"]) >= coverage[number]:
                best[number] = category
                coverage[number] = float(row["coverage"])
    return best


def read_image(root: Path, row: dict[str, str], primary: dict[int, str]) -> PlainImage:
    found = PlainImage(row["image"], row["split"], (int(row["sh"]), int(row["sw"])))
    everywhere = {(y, x) for y in range(found.grid[0]) for x in range(found.grid[1])}
    for category in [item["name"] for item in rows_of(root / "category.csv")]:
        for item in row[category].split(";"):
            if item == "":
                continue
            if item.isdigit():
                held = {int(item): everywhere} if int(item) > 0 else {}
                found.whole += list(held)
            else:
                held = _pixels(root / "images" / item)
            for number, pixels in held.items():
                found.pixels[number] = found.pixels.get(number, set()) | pixels
                found.annotated |= {category, primary[number]}
    return found


def _pixels(path: Path) -> dict[int, set[tuple[int, int]]]:
    held: dict[int, set[tuple[int, int]]] = {}
    with Image.open(path) as image:
        for y in range(image.height):
            for x in range(image.width):
                red, green, _ = image.getpixel((x, y))
                number = int(red) + 256 * int(green)
                if number != 0:
                    held.setdefault(number, set()).add((y, x))
    return held


def read_broden(root: Path, *, limit: int | None = None) -> list[PlainImage]:
    primary = primary_categories(root)
    return [read_image(root, row, primary) for row in rows_of(root / "index.csv")[:limit]]
