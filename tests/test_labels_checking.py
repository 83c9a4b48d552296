import shutil
from pathlib import Path

import numpy as np
import pytest
from labels_on_disk import grid_of, photograph, small_broden, write_csv, write_rg
from PIL import Image
from reference.broden_reader import read_broden

from interpkit.errors import ImageError, UnknownNameError
from interpkit.labels import check


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return small_broden(tmp_path / "small")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_sound_set_has_no_findings(small):
    report = check(small)
    assert report.good
    assert report.lines()[0] == f"small: broden, 3 images, in {small}"
    assert report.lines()[-1] == "nothing wrong"


def test_the_summary_counts_as_the_plain_reader_does(small):
    summary = check(small).summary.set_index("category")
    plain = read_broden(small)
    assert summary["concepts"].to_dict() == {"object": 1, "part": 2, "scene": 1, "texture": 1, "color": 2}
    assert summary["kind"].to_dict() == {
        "object": "pixel and image",
        "part": "pixel and image",
        "scene": "image",
        "texture": "image",
        "color": "pixel",
    }
    for category, row in summary.iterrows():
        assert row["images"] == sum(category in image.annotated for image in plain)
    area = {number: [len(image.pixels[number]) / 64 for image in plain if number in image.pixels] for number in (3, 4)}
    assert summary.loc["part", "images per concept"] == np.mean([len(area[3]), len(area[4])])
    assert summary.loc["part", "coverage"] == pytest.approx(np.mean([np.mean(area[3]), np.mean(area[4])]))


def test_every_finding_of_a_broken_set_is_listed_with_its_row(small):
    (small / "images/a/one.jpg").unlink()
    photograph(small / "images/b/three.png", size=(16, 17))
    write_rg(small / "images/b/three_object_0.png", grid_of(3, side=9))
    write_rg(small / "images/a/one_color_0.png", grid_of(1, 99))
    (small / "images/a/one_part_1.png").write_bytes(b"")
    replace(small / "index.csv", "a/two.jpg,", "../two.jpg,")
    with (small / "index.csv").open("a") as stream:
        stream.write((small / "index.csv").read_text().splitlines()[3] + "\n")
    replace(small / "label.csv", "\n2,", "\n1,")
    report = check(small)
    found = [str(finding) for finding in report.findings]
    for says in (
        "index.csv row 2: image a/one.jpg is missing",
        "index.csv row 4: image b/three.png is 16 x 17 pixels where ih x iw is 16 x 16",
        "index.csv row 4: label map b/three_object_0.png is 9 x 9 pixels where index.csv says 8 x 8",
        "index.csv row 2: label map a/one_color_0.png holds number 99, which label.csv does not list",
        "index.csv row 2: label map a/one_part_1.png is empty",
        "index.csv row 3: image '../two.jpg' points outside the label set's folder",
        "index.csv row 5: image b/three.png is listed twice, first in row 4",
        "label.csv row 3: number 1 is listed twice, first in row 2",
        "label.csv: label 5 (name5) occurs in no image",
        "category.csv: category scene has no label in any image",
    ):
        assert says in found, says
    assert next(f for f in report.findings if "one.jpg" in f.what).error is ImageError
    assert report.lines()[-1] == f"{len(found)} findings"
    assert not report.good
    assert len(report.summary) == 5


def test_tables_that_cannot_be_read_end_the_check_with_a_finding(small):
    replace(small / "index.csv", "image,", "picture,")
    report = check(small)
    assert (report.images, len(report.findings), len(report.summary)) == (0, 1, 0)
    assert "index.csv has no column 'image'" in report.lines()[1]
    assert report.lines()[-1] == "1 finding"


def test_an_unknown_name_is_no_finding():
    with pytest.raises(UnknownNameError):
        check("no-such-set")


def test_masks_without_images_and_images_without_masks(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        photograph(tmp_path / "images" / name)
    (tmp_path / "masks").mkdir()
    for name in ("a.png", "z.png"):
        Image.fromarray(np.ones((16, 16), np.uint8)).save(tmp_path / "masks" / name)
    write_csv(tmp_path / "labels.csv", ["number", "name"], [[1, "sky"], [2, "sea"]])
    found = [str(finding) for finding in check(tmp_path).findings]
    assert found == [
        "b.jpg: has no mask",
        "masks/z.png: belongs to no image",
        "labels.csv: label 2 (sea) occurs in no image",
    ]
    shutil.rmtree(tmp_path / "masks")


def test_landmarks_outside_their_image(tmp_path):
    photograph(tmp_path / "images/a.jpg")
    photograph(tmp_path / "images/b.jpg")
    rows = [["a.jpg", 15.5, 0], ["b.jpg", 3, 16]]
    write_csv(tmp_path / "landmarks.csv", ["image", "eye_row", "eye_col"], rows)
    found = [str(finding) for finding in check(tmp_path).findings]
    assert found == ["landmarks.csv: eye of b.jpg at row 3, column 16 lies outside its 16 x 16 pixels"]


def test_unreadable_images_of_a_folder_without_tables(tmp_path):
    photograph(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_text("no image")
    report = check(tmp_path)
    assert [str(finding) for finding in report.findings] == ["b.jpg: is no image"]
    assert report.lines()[1:] == ["b.jpg: is no image", "1 finding"]


@pytest.mark.data
def test_the_real_photographs_are_sound(shared_data):
    report = check(shared_data / "broden-real")
    assert report.good, report.lines()
    assert report.summary["images"].tolist() == [251, 251, 150, 101]
