import csv
from pathlib import Path

import numpy as np
import pytest
from labels_on_disk import photograph, small_broden, write_csv
from PIL import Image

from interpkit.errors import ImageError, LabelSetError
from interpkit.labels import LabelSet, check

DATASETS = Path(__file__).parents[1] / "datasets"
HEADER = ["image", "head_row", "head_col", "tail_row", "tail_col"]


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    """Three images of different sizes, the last without a landmark."""
    root = tmp_path / "animals"
    for name, size in (("a.jpg", (20, 40)), ("b.png", (13, 7)), ("c.jpg", (5, 5))):
        photograph(root / "images" / name, size=size)
    write_csv(
        root / "landmarks.csv", HEADER, [["a.jpg", 0, 39, "", ""], ["b.png", 12.5, -0.5, 6, 3], ["c.jpg", *[""] * 4]]
    )
    return root


def plain(folder: Path, rows: list[dict[str, str]], *, part: str, size: tuple[int, int]) -> list[list[float]]:
    """Each landmark by itself: from pixel centres of the image to those of the input."""
    points = []
    for row in rows:
        if not row[f"{part}_row"]:
            points.append([float("nan")] * 2)
            continue
        with Image.open(folder / row["image"]) as image:
            pixels = (image.height, image.width)
        at = [float(row[f"{part}_{axis}"]) for axis in ("row", "col")]
        points.append([(at[d] + 0.5) * size[d] / pixels[d] - 0.5 for d in (0, 1)])
    return points


def test_landmarks_are_rescaled_about_pixel_centres(animals):
    names, points = LabelSet.open(animals).landmarks_of_input((26, 14))
    assert names == ("head", "tail")
    assert (points.shape, points.dtype) == ((3, 2, 2), np.float64)
    np.testing.assert_allclose(points[0, 0], [0.5 * 26 / 20 - 0.5, 39.5 * 14 / 40 - 0.5], rtol=0, atol=1e-12)
    assert points[1].tolist() == [[25.5, -0.5], [12.5, 6.5]]
    assert np.isnan(points[[0, 2, 2], [1, 0, 1]]).all()


def test_an_input_of_the_image_s_size_leaves_them_where_they_are(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        photograph(tmp_path / "images" / name, size=(24, 32))
    write_csv(tmp_path / "landmarks.csv", HEADER, [["a.jpg", 3.5, 4, 0, 31], ["b.jpg", "", "", 23, 30.25]])
    points = LabelSet.open(tmp_path).landmarks_of_input((24, 32))[1]
    assert points[0].tolist() == [[3.5, 4], [0, 31]]
    assert points[1, 1].tolist() == [23, 30.25]


def test_they_follow_the_images_of_a_selection(animals):
    points = LabelSet.open(animals).without([0]).landmarks_of_input((13, 7))[1]
    np.testing.assert_array_equal(points, [[[12.5, -0.5], [6, 3]], [[np.nan] * 2] * 2])


def test_a_table_in_another_order_than_the_images(tmp_path):
    root = small_broden(tmp_path)
    write_csv(
        root / "landmarks.csv",
        ["image", "class", "eye_row", "eye_col"],
        [["b/three.png", "x", 1, 2], ["a/one.jpg", "y", 3, 4]],
    )
    names, points = LabelSet.open(root).landmarks_of_input((16, 16))
    assert names == ("eye",)
    np.testing.assert_array_equal(points[:, 0], [[3, 4], [np.nan, np.nan], [1, 2]])


def test_exif_does_not_turn_them(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph(tmp_path / "images/a.jpg", size=(20, 40))
    with Image.open(tmp_path / "images/a.jpg") as image:
        image.save(tmp_path / "images/a.jpg", exif=exif)
    write_csv(tmp_path / "landmarks.csv", ["image", "a_row", "a_col"], [["a.jpg", 19, 39]])
    assert LabelSet.open(tmp_path).landmarks_of_input((20, 40))[1].tolist() == [[[19, 39]]]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ([20, 0, "", ""], "landmarks.csv: head of a.jpg at row 20, column 0 lies outside its 20 x 40 pixels; rows and"),
        (["", "", 3, 39.75], "tail of a.jpg at row 3, column 39.75 lies outside its 20 x 40 pixels; rows and columns"),
        ([-1, 0, "", ""], "head of a.jpg at row -1, column 0 lies outside"),
        ([0, 40, 3, -2], "head of a.jpg at row 0, column 40 lies outside its 20 x 40 pixels, and 1 more do so; rows"),
    ],
)
def test_landmarks_outside_the_image_are_named(animals, row, says):
    write_csv(animals / "landmarks.csv", HEADER, [["a.jpg", *row], ["b.png", 1, 1, 1, 1]])
    with pytest.raises(LabelSetError) as caught:
        LabelSet.open(animals).landmarks_of_input((26, 14))
    assert says in str(caught.value)
    assert not check(animals).good


def test_a_border_belongs_to_the_image(animals):
    write_csv(animals / "landmarks.csv", HEADER, [["a.jpg", -0.5, 39.5, 19.5, -0.5]])
    points = LabelSet.open(animals).landmarks_of_input((10, 10))[1]
    np.testing.assert_allclose(points[0], [[-0.5, 9.5], [9.5, -0.5]], rtol=0, atol=1e-12)


def test_a_set_without_landmarks_says_what_to_add(tmp_path):
    labels = LabelSet.open(small_broden(tmp_path / "small"))
    with pytest.raises(LabelSetError, match=r"small \(broden\) has no landmarks; add landmarks.csv with columns image"):
        labels.landmarks_of_input((16, 16))


def test_no_image_with_a_landmark(animals):
    with pytest.raises(LabelSetError, match="animals: none of its 1 images has a landmark"):
        LabelSet.open(animals).without([0, 1]).landmarks_of_input((16, 16))


def test_an_image_that_cannot_be_read_is_named_with_its_row(animals):
    (animals / "images/b.png").write_bytes(b"no image")
    labels = LabelSet.open(animals)
    with pytest.raises(ImageError, match=r"animals, landmarks.csv row 3: image b.png is no image"):
        labels.landmarks_of_input((16, 16))
    found = [str(finding) for finding in check(animals).findings]
    assert found == ["landmarks.csv row 3: image b.png is no image"]
    (animals / "images/c.jpg").unlink()
    assert labels.without([1]).landmarks_of_input((16, 16))[1].shape == (2, 2, 2), "no landmark there, no size needed"


def test_the_embedded_default_agrees_with_the_plain_reading():
    root = DATASETS / "broden-mini"
    labels = LabelSet.open(root).classified()
    names, points = labels.landmarks_of_input((160, 192))
    with (root / "landmarks.csv").open(newline="", encoding="utf-8") as stream:
        rows = {row["image"]: row for row in csv.DictReader(stream)}
    listed = [rows[name] for name in labels.images["image"]]
    for p in range(0, len(names), 7):
        wanted = plain(root / "images", listed, part=names[p], size=(160, 192))
        np.testing.assert_allclose(points[:, p], wanted, rtol=0, atol=1e-9)


@pytest.mark.data
def test_the_real_photographs_agree_with_the_plain_reading(shared_data):
    root = shared_data / "animal-parts"
    names, points = LabelSet.open(root).landmarks_of_input((224, 200))
    assert names == ("head", "legs")
    with (root / "landmarks.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for p, part in enumerate(names):
        np.testing.assert_allclose(
            points[:, p], plain(root / "images", rows, part=part, size=(224, 200)), rtol=0, atol=1e-9
        )
    assert np.isnan(points[:, 1, 0]).sum() == 343
