import shutil

import numpy as np
import pytest
from labels_on_disk import photograph, small_broden, write_csv
from PIL import Image

from interpkit.errors import ImageError, LabelSetError, UnknownNameError
from interpkit.labels import LabelSet


def test_only_unlabelled_images_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph(tmp_path / "images/a.jpg", size=(20, 40))
    with Image.open(tmp_path / "images/a.jpg") as image:
        image.save(tmp_path / "images/a.jpg", exif=exif)
    assert LabelSet.open(tmp_path).image(0).size == (20, 40)
    write_csv(tmp_path / "landmarks.csv", ["image", "a_row", "a_col"], [["a.jpg", 1, 1]])
    assert LabelSet.open(tmp_path).image(0).size == (40, 20)
    (tmp_path / "manifest.toml").write_text('layout = "images"')
    assert LabelSet.open(tmp_path).image(0).size == (40, 20), "landmarks belong to the stored pixels in any layout"


def test_an_unknown_split_lists_the_splits(tmp_path):
    labels = LabelSet.open(small_broden(tmp_path))
    with pytest.raises(UnknownNameError, match="has no split 'test'; it has train, val"):
        labels.select(split="test")
    with pytest.raises(LabelSetError, match="at least 1"):
        labels.select(limit=0)


def test_selections_keep_images_labels_and_lines_together(tmp_path):
    labels = LabelSet.open(small_broden(tmp_path))
    train = labels.select(split="train")
    assert train.images["image"].tolist() == ["a/one.jpg", "b/three.png"]
    assert train.images["line"].tolist() == [2, 4]
    assert (train.labels(1).layers == labels.labels(2).layers).all()
    assert (np.asarray(train.image(1)) == np.asarray(labels.image(2))).all()
    rest = labels.without([0]).without([0])
    assert rest.images["image"].tolist() == ["b/three.png"]
    assert rest.path(0) == labels.path(2)
    assert (rest.labels(0).whole == labels.labels(2).whole).all()
    assert len(labels.select(limit=2)) == 2
    assert len(labels.select(limit=99)) == 3
    assert len(labels) == 3


def test_the_sha_follows_tables_paths_and_sizes(tmp_path):
    root = small_broden(tmp_path / "one")
    sha = LabelSet.open(root).sha
    assert sha == LabelSet.open(root).sha
    shutil.copytree(root, tmp_path / "two")
    assert LabelSet.open(tmp_path / "two").sha == sha
    assert LabelSet.open(root).select(limit=2).sha != sha
    with (root / "label.csv").open("a") as stream:
        stream.write("\n")
    changed = LabelSet.open(root).sha
    assert changed != sha
    with (root / "images/a/two.jpg").open("ab") as stream:
        stream.write(b"x")
    assert LabelSet.open(root).sha not in {sha, changed}
    (root / "images/a/two.jpg").unlink()
    missing = LabelSet.open(root).sha
    assert missing not in {sha, changed}
    with pytest.raises(ImageError, match=r"index.csv row 3"):
        LabelSet.open(root).image(1)


def test_an_image_at_fault_is_named_with_its_row(tmp_path):
    root = small_broden(tmp_path / "small")
    (root / "images/a/two.jpg").write_bytes(b"")
    labels = LabelSet.open(root)
    for read in (lambda: labels.image(1), lambda: labels.picture("a/two.jpg")):
        with pytest.raises(ImageError, match=r"small, index.csv row 3: image a/two.jpg is empty"):
            read()
    with pytest.raises(UnknownNameError, match=r"holds no image 'a/tow\.jpg'; nearest: a/two\.jpg"):
        labels.picture("a/tow.jpg")
    assert labels.picture("a/one.jpg") == (root / "images/a/one.jpg").read_bytes()


def test_a_manifest_may_name_the_tables_of_classes_and_landmarks(tmp_path):
    root = small_broden(tmp_path)
    write_csv(root / "kinds.csv", ["image", "class"], [["a/one.jpg", "x"]])
    write_csv(root / "points.csv", ["image", "eye_row", "eye_col"], [["a/two.jpg", 1, 2]])
    (root / "manifest.toml").write_text('classes = "kinds.csv"\nlandmarks = "points.csv"\n')
    labels = LabelSet.open(root)
    assert labels.classes["class"].tolist() == ["x"]
    assert labels.landmarks["eye_col"].tolist() == [2.0]
    sha = labels.sha
    write_csv(root / "points.csv", ["image", "eye_row", "eye_col"], [["a/two.jpg", 1, 3]])
    assert LabelSet.open(root).sha != sha
    (root / "kinds.csv").unlink()
    with pytest.raises(LabelSetError, match=r"kinds\.csv is missing"):
        LabelSet.open(root)


def test_a_label_set_says_what_it_is(tmp_path):
    root = small_broden(tmp_path / "small")
    assert repr(LabelSet.open(root)) == "LabelSet('small', broden, 3 images, 7 concepts)"
    assert repr(LabelSet.open(root / "images")) == "LabelSet('images', image-folder, 10 images, no label maps)"
