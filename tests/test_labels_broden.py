import csv
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labels_on_disk import Row, grid_of, small_broden, write_broden, write_csv, write_rg
from PIL import Image
from reference.broden_reader import PlainImage, primary_categories, read_broden

from interpkit.errors import ImageError, LabelSetError
from interpkit.labels import ImageLabels, LabelSet

CATEGORIES = ["color", "object", "part", "scene"]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return small_broden(tmp_path / "small")


def row_of(labels: LabelSet, number: int) -> int:
    return labels.concepts["number"].tolist().index(number)


def assert_equal(labels: LabelSet, found: ImageLabels, plain: PlainImage) -> None:
    """Every concept holds where the plain reader says, is counted once a pixel, and the categories agree."""
    assert labels.grid == plain.grid
    for row, number in enumerate(labels.concepts["number"]):
        mask = np.zeros(plain.grid, bool)
        for pixel in plain.pixels.get(number, ()):
            mask[pixel] = True
        held = np.ones(plain.grid, bool) if row in found.whole else (found.layers == row).any(axis=0)
        assert (held == mask).all(), (plain.image, number)
        times = (found.layers == row).sum() + (row in found.whole) * mask.size
        assert times == mask.sum(), (plain.image, number)
    assert found.whole.tolist() == [row_of(labels, number) for number in dict.fromkeys(plain.whole)]
    assert {name for name, held in zip(labels.categories, found.annotated, strict=True) if held} == plain.annotated


def test_agrees_with_the_plain_reader_on_every_trap(small):
    labels = LabelSet.open(small)
    assert labels.layout == "broden"
    for i, plain in enumerate(read_broden(small)):
        assert (labels.images["image"][i], labels.images["split"][i]) == (plain.image, plain.split)
        assert_equal(labels, labels.labels(i), plain)


@st.composite
def sets(draw):
    """Labels in one or two categories, and images whose cells mix numbers, layers and nothing."""
    numbers = draw(st.lists(st.integers(1, 700), min_size=1, max_size=5, unique=True))
    cover = st.dictionaries(st.sampled_from(CATEGORIES), st.sampled_from([0.5, 1.0, 2.0]), min_size=1, max_size=2)
    labels = {number: draw(cover) for number in numbers}
    number = st.sampled_from([0, *numbers])
    layer = st.lists(number, min_size=16, max_size=16).map(lambda values: np.array(values).reshape(4, 4))
    cell = st.one_of(st.just([]), st.lists(number, max_size=2), st.lists(layer, min_size=1, max_size=3))
    images = draw(st.lists(st.fixed_dictionaries(dict.fromkeys(CATEGORIES, cell)), min_size=1, max_size=3))
    images.append({CATEGORIES[0]: [numbers[0]]})
    rows = [Row(f"{i}.jpg", cells) for i, cells in enumerate(images)]
    return labels, rows, draw(st.permutations(CATEGORIES)), draw(st.permutations(CATEGORIES))


@settings(max_examples=30, deadline=None)
@given(sets())
def test_agrees_with_the_plain_reader_on_any_set(drawn):
    labels, rows, categories, columns = drawn
    with tempfile.TemporaryDirectory() as folder:
        root = write_broden(Path(folder), labels, rows, categories=categories, columns=columns, side=8)
        opened = LabelSet.open(root)
        assert opened.categories == tuple(categories)
        assert dict(zip(opened.concepts["number"], opened.concepts["category"], strict=True)) == primary_categories(
            root
        )
        for i, plain in enumerate(read_broden(root)):
            assert_equal(opened, opened.labels(i), plain)


def test_concepts_rise_by_number_with_their_primary_category(small):
    concepts = LabelSet.open(small).concepts
    assert concepts["number"].tolist() == [1, 2, 3, 4, 5, 6, 300]
    # 3 has more coverage as a part; 6 ties, and texture stands after scene in category.csv.
    assert concepts["category"].tolist() == ["color", "color", "part", "part", "scene", "texture", "object"]
    assert concepts["coverage"].tolist()[2] == 7.0
    assert concepts["frequency"].tolist() == [7] * 7


def test_whole_image_zero_and_pixel_zero_are_no_labels(small):
    labels = LabelSet.open(small)
    first, third = labels.labels(0), labels.labels(2)
    assert not first.annotated[labels.categories.index("scene")]
    assert first.whole.tolist() == []
    assert not third.annotated[labels.categories.index("color")], "a label map of zeros annotates nothing"


def test_a_concept_of_the_whole_image_leaves_the_layers(tmp_path):
    labels = {1: {"object": 1.0}, 2: {"object": 1.0}}
    root = write_broden(tmp_path, labels, [Row("a.jpg", {"object": [1, grid_of(1, 2)]})], categories=["object"])
    found = LabelSet.open(root).labels(0)
    assert found.whole.tolist() == [0]
    assert set(np.unique(found.layers)) == {-1, 1}


def test_the_types_are_as_promised(small):
    found = LabelSet.open(small).labels(0)
    assert (found.layers.dtype, found.whole.dtype, found.annotated.dtype) == (np.int32, np.int32, np.bool_)
    assert found.layers.shape[1:] == (8, 8)
    assert found.annotated.shape == (5,)


def test_no_layers_still_have_the_grid_s_shape(small):
    assert LabelSet.open(small).select(split="val").labels(0).layers.shape[1:] == (8, 8)


@pytest.mark.parametrize(("side", "grid"), [(224, 112), (227, 113), (384, 192)])
def test_the_grid_is_half_the_image_rounded_down(tmp_path, side, grid):
    rows = [Row("a.jpg", {"object": [grid_of(1, 0, side=grid)]})]
    labels = LabelSet.open(write_broden(tmp_path, {1: {"object": 1.0}}, rows, categories=["object"], side=side))
    assert labels.grid == (grid, grid)
    assert labels.labels(0).layers.shape == (1, grid, grid)
    assert labels.image(0).size == (side, side)


def test_numbers_above_255_need_green(tmp_path):
    rows = [Row("a.jpg", {"object": [grid_of(255, 256, 511, 65535)]})]
    cover = {number: {"object": 1.0} for number in (255, 256, 511, 65535)}
    found = LabelSet.open(write_broden(tmp_path, cover, rows, categories=["object"])).labels(0)
    assert found.layers[0, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_palette_that_shrank_the_file_changes_nothing(small):
    before = LabelSet.open(small).labels(0).layers
    for path in (small / "images").rglob("*.png"):
        if "three.png" not in path.name:
            with Image.open(path) as image:
                colours, index = np.unique(np.asarray(image).reshape(-1, 3), axis=0, return_inverse=True)
            smaller = Image.fromarray(index.reshape(8, 8).astype(np.uint8), mode="P")
            smaller.putpalette(colours.tobytes())
            smaller.save(path)
    with Image.open(small / "images/a/one_object_0.png") as image:
        assert image.mode == "P"
    assert (LabelSet.open(small).labels(0).layers == before).all()


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("index.csv", "a/one.jpg,", "../one.jpg,", r"index.csv row 2: image '../one.jpg' points outside"),
        ("index.csv", "a/two.jpg,", "/etc/two.jpg,", r"index.csv row 3: image '/etc/two.jpg' points outside"),
        ("index.csv", "a/one_object_0.png", "C:\\x.png", r"row 2: object 'C:\\\\x.png' points outside"),
        ("index.csv", ";a/one_part_1.png", ";../../p.png", r"row 2: part .* points outside"),
        ("index.csv", "image,split", "image,spilt", r"index.csv has no column 'split'.*did you mean 'spilt'"),
        ("index.csv", ",texture,", ",textures,", r"index.csv has no column 'texture'"),
        ("index.csv", "5;6", "5;77", r"index.csv row 3: scene is number 77, which label.csv does not list"),
        ("index.csv", "val,16,16,8,8", "val,16,16,8,9", r"row 3: sh x sw is 8 x 9 where the other rows have 8 x 8"),
        ("index.csv", "val,16,", "val,sixteen,", r"row 3: ih is 'sixteen', which is no whole number"),
        ("index.csv", "a/two.jpg,", ",", r"row 3: names no image"),
        ("label.csv", "\n2,", "\n1,", r"label.csv row 3: number 1 is listed twice, first in row 2"),
        ("label.csv", "\n2,", "\n0,", r"label.csv row 3: number 0 means 'no label'"),
        ("label.csv", "\n2,", "\nx,", r"label.csv row 3: number is 'x', which is no whole number"),
        ("label.csv", "\n2,", "\n-2,", r"label.csv row 3: number is '-2', which is no whole number"),
        ("c_object.csv", ",300,", ",301,", r"label.csv row 8: label 300 \(name300\) stands in no c_<category>.csv"),
        ("c_part.csv", "coverage", "cover", r"c_part.csv has no column 'coverage'"),
        ("label.csv", "name", '"name', r"label.csv cannot be read as a CSV table"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(small, file, old, new, says):
    replace(small / file, old, new)
    with pytest.raises(LabelSetError, match=says) as caught:
        LabelSet.open(small)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["label.csv", "category.csv", "c_part.csv"])
def test_a_missing_table_is_named(small, file):
    (small / file).unlink()
    with pytest.raises(LabelSetError, match=rf"{file} is missing"):
        LabelSet.open(small)


def index_of(root: Path) -> list[list[str]]:
    with (root / "index.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def test_promised_labels_that_are_in_no_cell(small):
    head, *rows = index_of(small)
    write_csv(small / "index.csv", head, [[*row[:6], "", "0", "", "", ""] for row in rows])
    with pytest.raises(LabelSetError, match="promises labels and holds none"):
        LabelSet.open(small)


@pytest.mark.parametrize(("file", "says"), [("label.csv", "promises labels and holds none"), ("index.csv", "no image")])
def test_a_table_without_rows(small, file, says):
    (small / file).write_text((small / file).read_text().splitlines()[0])
    with pytest.raises(LabelSetError, match=says):
        LabelSet.open(small)


def test_a_byte_order_mark_and_blank_lines_do_no_harm(small):
    text = (small / "index.csv").read_text()
    head, *rest = text.splitlines()
    (small / "index.csv").write_text("\ufeff" + "\n".join([head, rest[0], "", *rest[1:], "", ""]), encoding="utf-8")
    labels = LabelSet.open(small)
    assert labels.images["line"].tolist() == [2, 4, 5]


@pytest.mark.parametrize(
    ("harm", "error", "says"),
    [
        (lambda path: path.unlink(), ImageError, "is missing"),
        (lambda path: path.write_bytes(b""), ImageError, "is empty"),
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), ImageError, "is cut short"),
        (lambda path: path.write_bytes(b"GIF89a"), ImageError, "is no PNG"),
        (lambda path: write_rg(path, grid_of(300, side=7)), LabelSetError, "is 7 x 7 pixels where .* 8 x 8"),
        (
            lambda path: write_rg(path, grid_of(0, 300, 256, 301)),
            LabelSetError,
            "holds number 256, 301, which label.csv",
        ),
    ],
)
def test_a_label_map_at_fault_is_named_with_its_row(small, harm, error, says):
    harm(small / "images/a/one_object_0.png")
    labels = LabelSet.open(small)
    with pytest.raises(error, match=rf"small, index.csv row 2: label map a/one_object_0.png {says}") as caught:
        labels.labels(0)
    assert type(caught.value) is error
    labels.labels(1)


def test_row_numbers_survive_a_selection(small):
    (small / "images/b/three_object_0.png").unlink()
    with pytest.raises(ImageError, match="row 4: label map"):
        LabelSet.open(small).select(split="train").labels(1)


def test_broden_s_size_opens_in_two_seconds_without_looking_at_a_file(small, tmp_path):
    root = tmp_path / "large"
    small_broden(root)
    columns = ["image", "split", "ih", "iw", "sh", "sw", "color", "scene", "texture", "part", "object"]
    part = "ade/x_part_1.png;ade/x_part_2.png"
    rows = (
        [f"ade/{n:08}.jpg", "train", 224, 224, 112, 112, f"ade/{n:08}_c.png", "0", "6", part, "300;3"]
        for n in range(63305)
    )
    write_csv(root / "index.csv", columns, rows)
    start = time.process_time()
    labels = LabelSet.open(root)
    assert time.process_time() - start < 2
    assert len(labels) == 63305
    assert not (root / "images/ade").exists()


def test_several_threads_read_one_set(small):
    labels = LabelSet.open(small)
    want = [labels.labels(i) for i in range(3)]
    fresh = LabelSet.open(small)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(fresh.labels, [0, 1, 2] * 40))
    for i, one in enumerate(found):
        assert (one.layers == want[i % 3].layers).all()
        assert (one.whole == want[i % 3].whole).all()
        assert (one.annotated == want[i % 3].annotated).all()


@pytest.mark.data
def test_real_photographs_agree_with_the_plain_reader(shared_data):
    root = shared_data / "broden-real"
    labels = LabelSet.open(root)
    for i, plain in enumerate(read_broden(root, limit=12)):
        assert_equal(labels, labels.labels(i), plain)


@pytest.mark.data
def test_real_photographs_have_the_published_label_counts(shared_data):
    root = shared_data / "broden-real"
    labels = LabelSet.open(root)
    pixels = np.zeros(len(labels.concepts), np.int64)
    for i in range(len(labels)):
        found = labels.labels(i)
        pixels += np.bincount(found.layers.ravel() + 1, minlength=len(pixels) + 1)[1:]
        pixels[found.whole] += 112 * 112
    expected = np.load(root / "expected/_bn1_half.npz")["lab"]
    assert (pixels == expected[labels.concepts["number"]]).all()
