"""The embedded label set: what its folder promises is what its files hold."""

import csv
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1] / "datasets" / "broden-mini"
CATEGORIES = ("object", "part", "scene", "material", "texture", "color")
CACHES = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
PROMISED = {"object": 12, "part": 14, "scene": 6, "material": 6, "texture": 10, "color": 11}
Rows = list[dict[str, str]]


def table(name: str) -> Rows:
    with (ROOT / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def decode(path: Path) -> np.ndarray:
    """Label map of a PNG: R + 256 * G."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert not pixels[..., 0].any()
    return pixels[..., 2].astype(np.int64) + 256 * pixels[..., 1].astype(np.int64)


@pytest.fixture(scope="module")
def index() -> Rows:
    return table("index.csv")


@pytest.fixture(scope="module")
def maps(index: Rows) -> dict[str, np.ndarray]:
    """Every label map of the set, by file name."""
    files = [cell for row in index for c in CATEGORIES for cell in row[c].split(";") if cell.endswith(".png")]
    return {file: decode(ROOT / "images" / file) for file in files}


@pytest.fixture(scope="module")
def build() -> Iterator[ModuleType]:
    """The build script as a module; import path and modules as before afterwards."""
    before, path = set(sys.modules), list(sys.path)
    spec = importlib.util.spec_from_file_location("broden_mini_build", ROOT / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["broden_mini_build"] = module
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("draw", "broden_mini_build"):
            del sys.modules[name]


def whole(cell: str) -> list[int]:
    return [int(number) for number in cell.split(";")] if cell and not cell.endswith(".png") else []


def test_the_folder_is_small_and_complete(index: Rows) -> None:
    files = [path for path in ROOT.rglob("*") if path.is_file() and not CACHES & set(path.parts)]
    assert sum(path.stat().st_size for path in files) <= 8_000_000
    listed = {row["image"] for row in index}
    listed |= {cell for row in index for c in CATEGORIES for cell in row[c].split(";") if cell.endswith(".png")}
    stored = {path.relative_to(ROOT / "images").as_posix() for path in (ROOT / "images").rglob("*.*")}
    assert stored == listed


def test_images_have_the_size_the_index_names(index: Rows) -> None:
    assert len(index) >= 300
    for row in index[::7]:
        picture = cv2.imread(str(ROOT / "images" / row["image"]))
        assert picture.shape == (int(row["ih"]), int(row["iw"]), 3) == (224, 224, 3)


def test_label_maps_fill_the_grid_with_listed_numbers(maps: dict[str, np.ndarray]) -> None:
    known = np.zeros(65536, bool)
    known[[0, *(int(row["number"]) for row in table("label.csv"))]] = True
    for file, labels in maps.items():
        assert labels.shape == (112, 112), file
        assert known[labels].all(), file


def test_every_category_holds_what_is_promised() -> None:
    counts = {row["name"]: int(row["count"]) for row in table("category.csv")}
    assert set(counts) == set(CATEGORIES)
    assert {c: counts[c] for c in PROMISED if counts[c] < PROMISED[c]} == {}
    assert all(row["name"].endswith("-s") for row in table("c_scene.csv"))
    assert all(row["name"].endswith("-c") for row in table("c_color.csv"))


def test_numbers_fall_with_frequency() -> None:
    rows = table("label.csv")
    assert [int(row["number"]) for row in rows] == list(range(1, len(rows) + 1))
    frequency = [int(row["frequency"]) for row in rows]
    assert frequency == sorted(frequency, reverse=True)


def test_tables_say_what_the_images_hold(index: Rows, maps: dict[str, np.ndarray]) -> None:
    images: dict[tuple[str, int], int] = {}
    area: dict[tuple[str, int], float] = {}
    for row in index:
        for category in CATEGORIES:
            stack = [maps[cell] for cell in row[category].split(";") if cell.endswith(".png")]
            share = {number: 1.0 for number in whole(row[category]) if number}
            for number in np.unique(stack) if stack else ():
                if number:
                    share[int(number)] = float(np.any([labels == number for labels in stack], axis=0).mean())
            for number, part in share.items():
                images[category, number] = images.get((category, number), 0) + 1
                area[category, number] = area.get((category, number), 0.0) + part
    for category in CATEGORIES:
        rows = table(f"c_{category}.csv")
        assert {int(row["number"]): int(row["frequency"]) for row in rows} == {
            n: v for (c, n), v in images.items() if c == category
        }
        for row in rows:
            assert float(row["coverage"]) == pytest.approx(area[category, int(row["number"])], abs=1e-5)
    for row in table("label.csv"):
        number = int(row["number"])
        assert int(row["frequency"]) == sum(v for (_, n), v in images.items() if n == number)
        assert float(row["coverage"]) == pytest.approx(sum(v for (_, n), v in area.items() if n == number), abs=1e-5)
        named = dict(item.rstrip(")").split("(") for item in row["category"].split(";"))
        assert named == {c: str(v) for (c, n), v in images.items() if n == number}


def test_brodens_traps_are_there(index: Rows, maps: dict[str, np.ndarray]) -> None:
    assert any(row["scene"] == "0" for row in index)
    assert any(row["scene"] == "" for row in index)
    assert any(";" in row["category"] for row in table("label.csv"))
    layered = [row["part"].split(";") for row in index if ";" in row["part"]]
    assert any(((maps[first] > 0) & (maps[second] > 0)).any() for first, second in layered)
    assert {bool(row["object"]) for row in index} == {True, False}
    assert {row["split"] for row in index} == {"train", "val"}


def test_classes_are_large_enough(index: Rows) -> None:
    rows = table("classes.csv")
    listed = {row["image"] for row in index}
    assert len({row["image"] for row in rows}) == len(rows)
    assert all(row["image"] in listed for row in rows)
    sizes = [sum(row["class"] == name for row in rows) for name in {row["class"] for row in rows}]
    assert len(sizes) >= 8
    assert min(sizes) >= 24


def test_landmarks_lie_on_their_parts(index: Rows, maps: dict[str, np.ndarray]) -> None:
    numbers = {row["name"].replace(" ", "_"): int(row["number"]) for row in table("label.csv")}
    layers = {row["image"]: row["part"].split(";") for row in index}
    near, marks = 0, 0
    for row in table("landmarks.csv"):
        for column, value in row.items():
            part = column.removesuffix("_row")
            if not column.endswith("_row") or not value or part not in numbers:
                continue
            y, x = int(value), int(row[f"{part}_col"])
            assert 0 <= y < 224
            assert 0 <= x < 224
            window = np.s_[max(0, y // 2 - 1) : y // 2 + 2, max(0, x // 2 - 1) : x // 2 + 2]
            marks += 1
            near += any((maps[file][window] == numbers[part]).any() for file in layers[row["image"]] if file)
    assert marks > 1000
    assert near == marks


def test_colours_are_the_nearest_names_of_the_stored_jpeg(
    build: ModuleType, index: Rows, maps: dict[str, np.ndarray]
) -> None:
    numbers = {row["name"]: int(row["number"]) for row in table("label.csv")}
    unified = np.array([0, *(numbers[name] for name in build.COLOURS)])
    for row in index[::40]:
        picture = cv2.imread(str(ROOT / "images" / row["image"]))[..., ::-1]
        same = unified[build.colour_labels(picture)] == maps[row["color"]]
        assert same.mean() > 0.98


def test_the_script_draws_the_stored_pictures_again(
    build: ModuleType, index: Rows, maps: dict[str, np.ndarray]
) -> None:
    known = {row["image"]: row for row in index}
    names = ["", *(row["name"] for row in table("label.csv"))]
    for source, name, number in build.jobs()[:: len(build.jobs()) // 7]:
        entry = build.render(source, name, number=number)
        stored = cv2.imread(str(ROOT / "images" / entry.image)).astype(float)
        drawn = cv2.imdecode(np.frombuffer(entry.jpeg, np.uint8), cv2.IMREAD_COLOR).astype(float)
        assert np.abs(stored - drawn).mean() < 3
        file = known[entry.image]["object"]
        if file:
            said = np.array(names)[maps[file]]
            meant = np.array(entry.names)[entry.layers["object"]]
            assert ((said == meant) | (said == "")).mean() > 0.99


def test_building_twice_gives_the_same_bytes(build: ModuleType, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        assert build.build(tmp_path / folder, only=4) == 4
    first = {path.relative_to(tmp_path / "first"): path.read_bytes() for path in (tmp_path / "first").rglob("*.*")}
    assert len(first) > 15
    assert first == {path: (tmp_path / "second" / path).read_bytes() for path in first}
