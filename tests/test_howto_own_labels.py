"""docs/howto/own_labels.md: the files that it shows make label sets, and mean what it says."""

import re
from pathlib import Path

import numpy as np
import pytest
from commands import runner
from howto import code_of
from labels_on_disk import photograph, write_csv
from PIL import Image

from interpkit import LabelSet

PAGE = "own_labels.md"
SIZE = (80, 120)


def shown(beginning: str) -> str:
    """The block of the page that begins so."""
    blocks = re.findall(r"```(?:text|toml)\n(.*?)```", code_of(PAGE, whole=True), flags=re.DOTALL)
    (block,) = [block for block in blocks if block.startswith(beginning)]
    return block


def mask(path: Path, number: int) -> None:
    """A mask whose left half is of one concept, at half the size of its image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((SIZE[0] // 2, SIZE[1] // 2), np.uint8)
    pixels[:, : SIZE[1] // 4] = number
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the page lays out, with three images of two concepts."""
    header, *files = shown("labels.csv").splitlines()
    root = tmp_path / "street"
    columns = header.split()[1].split(",")
    root.mkdir()
    write_csv(root / "labels.csv", columns, [[1, "cat", "object"], [2, "ear", "part"]])
    for name in (file.replace("a/1", place) for file in files for place in ("a/1", "a/2", "a/3")):
        if name.startswith("masks/"):
            mask(root / name, {"object": 1, "part": 2}[name.split("/")[1]])
        else:
            photograph(root / name, size=SIZE, seed=len(name))
    monkeypatch.chdir(tmp_path)
    return root


def test_the_folder_is_a_label_set_as_it_is(folder, capsys):
    labels = LabelSet.open(folder)
    assert (labels.layout, len(labels)) == ("segmentation-folder", 3)
    assert sorted(zip(labels.concepts["name"], labels.concepts["category"], strict=True)) == [
        ("cat", "object"),
        ("ear", "part"),
    ]
    status, out, err = runner(capsys)("data", "check", folder)
    assert (status, err) == (0, ""), out


def test_masks_lie_in_one_folder_where_there_is_one_category(folder):
    (folder / "masks" / "object" / "a").rename(folder / "masks" / "a")
    for left in (folder / "masks" / "part").rglob("*.png"):
        left.unlink()
    for left in (folder / "masks" / "part" / "a", folder / "masks" / "part", folder / "masks" / "object"):
        left.rmdir()
    write_csv(folder / "labels.csv", ["number", "name"], [[1, "cat"]])
    assert list(LabelSet.open(folder).concepts["name"]) == ["cat"]


def test_a_list_gives_an_image_its_classes(folder):
    (folder / "classes.csv").write_text(shown("image,class\n"))
    classes = LabelSet.open(folder).classes
    assert classes.to_numpy().tolist() == [["a/1.jpg", "cat"], ["a/2.jpg", "dog"]]


def test_a_table_may_leave_an_image_without_a_class(folder):
    (folder / "classes.csv").write_text(shown("image,cat,dog,outdoors\n"))
    classes = LabelSet.open(folder).classes
    said = sorted(classes[["image", "class"]].itertuples(index=False, name=None))
    assert said == [("a/1.jpg", "cat"), ("a/1.jpg", "outdoors"), ("a/3.jpg", "dog"), ("a/3.jpg", "outdoors")]


def test_landmarks_are_points_of_the_stored_image(folder):
    (folder / "landmarks.csv").write_text(shown("image,class,head_row"))
    labels = LabelSet.open(folder)
    parts, points = labels.landmarks_of_input(SIZE)
    assert parts == ("head", "left_eye")
    np.testing.assert_array_equal(points[:2], [[[40.5, 61], [38, 66]], [[12, 103.5], [np.nan, np.nan]]])
    _, smaller = labels.landmarks_of_input((SIZE[0] // 2, SIZE[1] // 2))
    # About the centres of pixels: 40.5 + 0.5 halved, less 0.5.
    np.testing.assert_allclose(smaller[0, 0], [20.0, 30.25])


def test_the_manifest_renames_folders_and_states_the_licence(folder):
    (folder / "images").rename(folder / "leftImg8bit")
    (folder / "masks").rename(folder / "gtFine")
    (folder / "manifest.toml").write_text(shown("name = "))
    labels = LabelSet.open(folder)
    assert (labels.name, labels.licence, labels.citation) == ("street", "CC BY 4.0", "Somebody (2024)")
    assert len(labels) == 3


def test_a_set_in_datasets_goes_by_its_name(folder):
    (folder.parent / "datasets").mkdir()
    folder.rename(folder.parent / "datasets" / "street")
    assert len(LabelSet.open("street")) == 3


def test_what_is_wrong_is_named_with_its_file(folder, capsys):
    mask(folder / "masks" / "object" / "a" / "1.png", 7)
    status, out, _ = runner(capsys)("data", "check", folder)
    assert status == 1
    assert "7" in out
    assert "1.png" in out
