"""Render broden-mini: every picture and label of this folder, drawn from scratch with NumPy and OpenCV.

The same versions of NumPy and OpenCV give the same bytes. Run: python build.py [--out DIR] [--only N]
"""

import argparse
import csv
import hashlib
import sys
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from draw.subjects import Picture, jobs, part_masks, picture  # noqa: E402

CATEGORIES = ("object", "part", "scene", "material", "texture", "color")
COLOURS = {
    "black-c": ("#0c0c0e", "#222024"),
    "blue-c": ("#1f4fae", "#4a86d0", "#203a70", "#8fb8e6", "#2a6f96"),
    "brown-c": ("#5a3820", "#80552f", "#3f2a1c", "#9a7040"),
    "grey-c": ("#55565a", "#808285", "#a9aaac"),
    "green-c": ("#2f6a2a", "#5a8f35", "#7ab050", "#24482a", "#3f8f70"),
    "orange-c": ("#e8801c", "#f09a3c", "#c8641c"),
    "pink-c": ("#e88bb0", "#f2b8c4", "#d9567f"),
    "purple-c": ("#6a3a8f", "#9a70b8", "#4a2f66"),
    "red-c": ("#b81f20", "#dd3a34", "#8a1a1f"),
    "white-c": ("#f4f4f2", "#dcdcda"),
    "yellow-c": ("#ecd028", "#f2e080", "#d0b030"),
}
MINIMUM = 5  # a label found in fewer pictures is dropped
GRID = 112
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 82, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
PNG = [cv2.IMWRITE_PNG_COMPRESSION, 9]


@dataclass
class Entry:
    """One image of the set: its JPEG and its labels by name."""

    image: str
    jpeg: bytes
    layers: dict[str, np.ndarray]  # file suffix -> (112, 112) numbers into `names`
    names: list[str]
    scene: str = ""
    texture: str = ""
    subject: str = ""
    landmarks: dict[str, tuple[int, int]] = field(default_factory=dict)


def colour_labels(image: np.ndarray) -> np.ndarray:
    """Nearest colour name of each label pixel: (224, 224, 3) RGB uint8 -> (112, 112), 1-based into COLOURS."""
    small = cv2.resize(image, (GRID, GRID), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    best = np.full((GRID, GRID), np.inf, np.float32)
    label = np.zeros((GRID, GRID), np.int32)
    for number, codes in enumerate(COLOURS.values(), start=1):
        for code in codes:
            rgb = np.array([[[int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]]], np.float32)
            far = ((lab - cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)) ** 2).sum(-1)
            label = np.where(far < best, number, label)
            best = np.minimum(best, far)
    return label


def centre(mask: np.ndarray) -> tuple[int, int] | None:
    """Pixel of the mask's largest piece that is nearest to that piece's centre; None where too little is seen."""
    count, pieces, stats, middles = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    if stats[largest, cv2.CC_STAT_AREA] < 8:
        return None
    rows, cols = np.nonzero(pieces == largest)
    near = int(np.argmin((rows - middles[largest][1]) ** 2 + (cols - middles[largest][0]) ** 2))
    return int(rows[near]), int(cols[near])


def landmarks(done: Picture) -> dict[str, tuple[int, int]]:
    """Centres of the subject's parts; a part too thin to be near its centre on the label grid is left out."""
    layers = [done.canvas.labels(layer) for layer in ("part_1", "part_2")]
    marks = {}
    for part, mask in sorted(part_masks(done.canvas).items()):
        at = centre(mask)
        if at is None:
            continue
        row, col = at[0] // 2, at[1] // 2
        window = np.s_[max(0, row - 1) : row + 2, max(0, col - 1) : col + 2]
        if any((ids[window] == done.canvas.number(part)).any() for ids in layers):
            marks[part] = at
    return marks


def render(source: str, name: str, *, number: int) -> Entry:
    """Draw one picture and collect its labels."""
    seed = zlib.crc32(f"{source}/{name}/{number}".encode())
    done = picture(source, name, number=number, seed=seed)
    ok, data = cv2.imencode(".jpg", done.canvas.photograph()[..., ::-1], JPEG)
    if not ok:
        raise RuntimeError(f"cannot encode {source}/{name}")
    jpeg = data.tobytes()
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if shown is None:
        raise RuntimeError(f"cannot decode {source}/{name}")
    marks = landmarks(done) if done.subject else {}
    return Entry(
        image=f"{source}/{name}_{number:03d}.jpg",
        jpeg=jpeg,
        layers=_layers(source, done, colours=colour_labels(shown[..., ::-1])),
        names=done.canvas.names + list(COLOURS),
        scene=done.scene,
        texture=done.texture,
        subject=done.subject,
        landmarks=marks,
    )


def _layers(source: str, done: Picture, *, colours: np.ndarray) -> dict[str, np.ndarray]:
    wanted = {
        "objects": ("object", "part_1", "part_2"),
        "scenes": ("object", "part_1", "part_2"),
        "materials": ("material",),
    }
    layers = {suffix: done.canvas.labels(suffix).copy() for suffix in wanted.get(source, ())}
    return {**layers, "color": colours + len(done.canvas.names) - 1}


def pixels(entries: Iterable[Entry]) -> dict[str, dict[str, tuple[int, float]]]:
    """Per category and label name: images that hold it, and its area in whole images."""
    found: dict[str, dict[str, tuple[int, float]]] = {category: {} for category in CATEGORIES}

    def add(category: str, name: str, area: float) -> None:
        images, before = found[category].get(name, (0, 0.0))
        found[category][name] = (images + 1, before + area)

    for entry in entries:
        for category, name in (("scene", entry.scene), ("texture", entry.texture)):
            if name not in ("", "0"):
                add(category, name, 1.0)
        for category in CATEGORIES:
            stack = [ids for suffix, ids in entry.layers.items() if suffix.split("_")[0] == category]
            for number in np.unique(np.concatenate([ids.ravel() for ids in stack])) if stack else ():
                if number:
                    add(category, entry.names[number], float(np.any([ids == number for ids in stack], 0).mean()))
    return found


@dataclass
class Labels:
    """The unified numbering: names by falling frequency, and where each occurs."""

    found: dict[str, dict[str, tuple[int, float]]]
    numbers: dict[str, int]

    @classmethod
    def collect(cls, entries: Sequence[Entry]) -> "Labels":
        """Count every label and number those seen in at least MINIMUM images."""
        found = pixels(entries)
        least = MINIMUM if len(entries) > 100 else 1
        kept = {c: {n: v for n, v in labels.items() if v[0] >= least} for c, labels in found.items()}
        total: dict[str, int] = {}
        for labels in kept.values():
            for name, (images, _) in labels.items():
                total[name] = total.get(name, 0) + images
        order = sorted(total, key=lambda name: (-total[name], name))
        return cls(kept, {name: k for k, name in enumerate(order, start=1)})

    def code(self, category: str, name: str) -> int:
        """Unified number, 0 where the label was dropped."""
        return self.numbers[name] if name in self.found[category] else 0


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV file with Unix line ends."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def write_labels(out: Path, labels: Labels) -> None:
    """label.csv, category.csv and c_*.csv."""
    rows = []
    for name, number in labels.numbers.items():
        places = [(c, *labels.found[c][name]) for c in CATEGORIES if name in labels.found[c]]
        places.sort(key=lambda place: -place[1])
        where = ";".join(f"{c}({images})" for c, images, _ in places)
        rows.append((number, name, where, sum(p[1] for p in places), f"{sum(p[2] for p in places):.6f}", ""))
    write_table(out / "label.csv", ("number", "name", "category", "frequency", "coverage", "syns"), rows)
    summary = []
    for category in CATEGORIES:
        held = sorted(labels.found[category].items(), key=lambda item: labels.numbers[item[0]])
        coded = [(k, labels.numbers[name], name, v[0], f"{v[1]:.6f}") for k, (name, v) in enumerate(held, start=1)]
        write_table(out / f"c_{category}.csv", ("code", "number", "name", "frequency", "coverage"), coded)
        if coded:
            summary.append((category, coded[0][1], coded[-1][1], len(coded), sum(row[3] for row in coded)))
    write_table(out / "category.csv", ("name", "first", "last", "count", "frequency"), summary)


def write_png(path: Path, numbers: np.ndarray) -> None:
    """Label map as RGB: R + 256 * G."""
    coded = np.zeros((*numbers.shape, 3), np.uint8)
    coded[..., 2], coded[..., 1] = numbers % 256, numbers // 256
    if not cv2.imwrite(str(path), coded, PNG):
        raise RuntimeError(f"cannot write {path}")


def write_entry(out: Path, entry: Entry, *, labels: Labels) -> list[object]:
    """The JPEG and the label maps of one image; returns its row of index.csv."""
    (out / "images" / entry.image).parent.mkdir(parents=True, exist_ok=True)
    (out / "images" / entry.image).write_bytes(entry.jpeg)
    cells: dict[str, list[str]] = {category: [] for category in CATEGORIES}
    for suffix, ids in entry.layers.items():
        category = suffix.split("_")[0]
        numbers = np.array([labels.code(category, name) for name in entry.names])[ids]
        if not numbers.any():
            continue
        file = entry.image.replace(".jpg", f"_{suffix}.png")
        write_png(out / "images" / file, numbers)
        cells[category].append(file)
    for category, name in (("scene", entry.scene), ("texture", entry.texture)):
        if name:
            cells[category] = [str(labels.code(category, name) if name != "0" else 0)]
    split = "train" if int(digest(entry)[:8], 16) / 16**8 < 0.7 else "val"
    return [entry.image, split, 2 * GRID, 2 * GRID, GRID, GRID, *(";".join(cells[c]) for c in CATEGORIES)]


def digest(entry: Entry) -> str:
    """Broden sorts and splits its images by the md5 of their names."""
    return hashlib.md5(entry.image.encode(), usedforsecurity=False).hexdigest()


def write_classes(out: Path, entries: Sequence[Entry]) -> None:
    """classes.csv and landmarks.csv of the object-centred images."""
    held = sorted((e for e in entries if e.subject), key=lambda e: e.image)
    write_table(out / "classes.csv", ("image", "class"), [(e.image, e.subject) for e in held])
    parts = sorted({part for e in held for part in e.landmarks})
    columns = ["image", "class", *(f"{part.replace(' ', '_')}_{axis}" for part in parts for axis in ("row", "col"))]
    rows = [[e.image, e.subject, *(v for part in parts for v in e.landmarks.get(part, ("", "")))] for e in held]
    write_table(out / "landmarks.csv", columns, rows)


def build(out: Path, *, only: int | None = None) -> int:
    """Render the whole set (or `only` images spread over it) into a folder; returns the number of images."""
    cv2.setNumThreads(1)
    plan = jobs()
    if only is not None:
        plan = [plan[k] for k in np.unique(np.linspace(0, len(plan) - 1, only).round().astype(int))]
    entries = [render(source, name, number=number) for source, name, number in plan]
    entries.sort(key=digest)
    labels = Labels.collect(entries)
    out.mkdir(parents=True, exist_ok=True)
    rows = [write_entry(out, entry, labels=labels) for entry in entries]
    write_table(out / "index.csv", ("image", "split", "ih", "iw", "sh", "sw", *CATEGORIES), rows)
    write_labels(out, labels)
    write_classes(out, entries)
    return len(entries)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Render broden-mini.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write into (default: this one)")
    parser.add_argument("--only", type=int, help="render only N images, spread over the set")
    options = parser.parse_args(arguments)
    build(options.out, only=options.only)


if __name__ == "__main__":
    main()
