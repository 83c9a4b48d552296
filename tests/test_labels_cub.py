import shutil
from pathlib import Path

import numpy as np
import pytest
from labels_on_disk import photograph, write_csv, write_cub

from interpkit.errors import LabelSetError
from interpkit.labels import LabelSet, check


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    return write_cub(tmp_path / "CUB_200_2011")


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("inner", ["", "CUB_200_2011"])
def test_as_the_archive_unpacks_it(tmp_path, inner):
    write_cub(tmp_path / inner if inner else tmp_path)
    labels = LabelSet.open(tmp_path)
    assert (labels.layout, len(labels), labels.grid) == ("cub", 5, None)
    assert labels.images["image"].tolist()[2:4] == ["001.Gull/c.jpg", "002.Tern_small/a.jpg"]
    assert labels.images["split"].tolist() == ["train", "train", "test", "train", "train"]
    assert labels.images["line"].tolist() == [1, 2, 3, 4, 5]
    assert labels.classes["class"].tolist() == ["001.Gull"] * 3 + ["002.Tern_small"] * 2
    assert labels.image(4).size == (30, 20)


def test_landmarks_keep_their_numbers_and_get_names_that_are_safe(birds):
    labels = LabelSet.open(birds)
    assert list(labels.landmarks.columns) == [
        "image",
        *(f"{part}_{axis}" for part in ("back", "left_eye", "tail") for axis in ("row", "col")),
    ]
    assert labels.landmarks.iloc[3].tolist() == ["002.Tern_small/a.jpg", 9.5, 13.0, 10.5, 14.0, 11.5, 15.0]
    assert labels.landmarks["left_eye_row"].isna().tolist() == [False, True, True, False, False]
    names, points = labels.select(split="train").landmarks_of_input((20, 30))
    assert names == ("back", "left_eye", "tail")
    assert points[0].tolist() == [[3.5, 4.0], [4.5, 5.0], [5.5, 6.0]]


def test_a_set_without_parts_has_classes_alone(birds):
    shutil.rmtree(birds / "parts")
    (birds / "train_test_split.txt").unlink()
    labels = LabelSet.open(birds)
    assert labels.landmarks is None
    assert set(labels.images["split"]) == {""}
    assert labels.targets().member.sum(axis=0).tolist() == [3, 2]


def test_the_csv_tables_come_before_the_layout_s_own(birds):
    write_csv(birds / "landmarks.csv", ["image", "beak_row", "beak_col"], [["001.Gull/a.jpg", 1, 2]])
    assert LabelSet.open(birds).landmarks_of_input((20, 30))[0] == ("beak",)


def test_the_sha_follows_every_table(birds):
    seen = {LabelSet.open(birds).sha}
    for name in ("classes.txt", "image_class_labels.txt", "train_test_split.txt", "parts/parts.txt"):
        with (birds / name).open("a", encoding="utf-8") as stream:
            stream.write("\n")
        seen.add(LabelSet.open(birds).sha)
    change(birds / "parts/part_locs.txt", "1 1 4.0", "1 1 5.0")
    seen.add(LabelSet.open(birds).sha)
    assert len(seen) == 6


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("images.txt", "2 001.Gull/b.jpg", "2", "images.txt row 2: holds '2' where a number and a name are expected"),
        ("images.txt", "2 001", "1 001", "images.txt row 2: number 1 is listed twice, first in row 1"),
        ("images.txt", "001.Gull/a", "../a", "images.txt row 1: image '../a.jpg' points outside"),
        ("image_class_labels.txt", "4 2", "4 9", "image_class_labels.txt row 4: names class 9, which classes.txt does"),
        ("image_class_labels.txt", "4 2", "8 2", "image_class_labels.txt row 4: names image 8, which images.txt does"),
        ("parts/part_locs.txt", "1 3 6.0", "1 7 6.0", "part_locs.txt row 3: names part 7, which parts/parts.txt does"),
        ("parts/part_locs.txt", "1 3 6.0", "9 3 6.0", "part_locs.txt row 3: names image 9, which images.txt does not"),
        ("parts/part_locs.txt", "1 3 6.0", "1 2 6.0", "part_locs.txt row 3: repeats part 2 of image 1"),
        ("parts/part_locs.txt", "1 3 6.0", "1 3 left", "part_locs.txt row 3: x is 'left', which is no number"),
        ("parts/part_locs.txt", "1 3 6.0", "1 3", "part_locs.txt row 3: holds 4 values where image, part, x, y, vis"),
        ("parts/part_locs.txt", "5.5 1", "5.5 yes", "part_locs.txt row 3: visible is 'yes', which is no whole number"),
        ("parts/parts.txt", "left eye", "back", "parts/parts.txt names two parts alike: back, back, tail"),
    ],
)
def test_tables_at_fault_are_named_with_their_row(birds, file, old, new, says):
    change(birds / file, old, new)
    with pytest.raises(LabelSetError) as caught:
        LabelSet.open(birds)
    assert says in str(caught.value)


@pytest.mark.parametrize("gone", ["images.txt", "image_class_labels.txt", "classes.txt", "parts/part_locs.txt"])
def test_a_missing_table_is_named(birds, gone):
    (birds / gone).unlink()
    with pytest.raises(LabelSetError, match=rf"{gone} is missing"):
        LabelSet.open(birds)


def test_the_check_names_every_finding(birds):
    assert check(birds).good
    (birds / "images/001.Gull/b.jpg").unlink()
    photograph(birds / "images/002.Tern_small/b.jpg", size=(12, 17))
    change(birds / "parts/part_locs.txt", "1 3 6.0", "1 9 6.0")
    change(birds / "image_class_labels.txt", "2 1", "2 8")
    found = [str(finding) for finding in check(birds).findings]
    table, outside = "parts/part_locs.txt", "of 002.Tern_small/b.jpg at row 12.5, column 17 lies outside its 12 x 17"
    assert found == [
        "image_class_labels.txt row 2: names class 8, which classes.txt does not list",
        f"{table} row 3: names part 9, which parts/parts.txt does not list",
        "images.txt row 2: image 001.Gull/b.jpg is missing",
        f"{table}: left_eye {outside} pixels",
        f"{table}: tail {outside.replace('12.5', '13.5').replace('17 lies', '18 lies')} pixels",
    ]


def test_a_point_is_missing_where_its_row_is(birds):
    lines = (birds / "parts/part_locs.txt").read_text(encoding="utf-8").splitlines()
    (birds / "parts/part_locs.txt").write_text("\n".join(lines[3:]), encoding="utf-8")
    points = LabelSet.open(birds).landmarks_of_input((20, 30))[1]
    assert np.isnan(points[0]).all()
    assert np.isfinite(points[3:]).all()
