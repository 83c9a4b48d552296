import shutil
from pathlib import Path

import numpy as np
import pytest
from labels_on_disk import photograph, small_broden, write_csv
from PIL import Image

from interpkit.errors import ImageError, LabelSetError
from interpkit.labels import LabelSet

STRIPES = np.repeat(np.array([0, 1, 2, 255], np.uint8), 8)[None, :].repeat(24, 0)


def save_mask(path: Path, values: np.ndarray, *, palette: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values, mode="P" if palette else None)
    if palette:
        image.putpalette(np.random.default_rng(3).integers(0, 256, 768).astype(np.uint8).tobytes())
    image.save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A segmentation folder of three images, the second in a folder of its own, the third without a mask."""
    root = tmp_path / "streets"
    for seed, name in enumerate(["a.jpg", "deep/b.png", "c.jpg"]):
        photograph(root / "images" / name, size=(24, 32), seed=seed)
    save_mask(root / "masks/a.png", STRIPES)
    save_mask(root / "masks/deep/b.png", STRIPES, palette=True)
    write_csv(root / "labels.csv", ["number", "name", "category"], [[2, "wall", "part"], [1, "house", "object"]])
    return root


def test_a_segmentation_folder(folder):
    labels = LabelSet.open(folder)
    assert (labels.layout, labels.grid, labels.categories) == ("segmentation-folder", (112, 112), ("object", "part"))
    assert labels.images["image"].tolist() == ["a.jpg", "c.jpg", "deep/b.png"]
    assert labels.concepts[["number", "name", "category"]].to_numpy().tolist() == [
        [1, "house", "object"],
        [2, "wall", "part"],
    ]
    for i in (0, 2):
        found = labels.labels(i)
        assert found.layers.shape == (1, 112, 112)
        assert found.layers[0, 50, [0, 27, 28, 55, 56, 83, 84, 111]].tolist() == [-1, -1, 0, 0, 1, 1, -1, -1]
        assert found.annotated.tolist() == [True, True]
    none = labels.labels(1)
    assert none.layers.shape == (0, 112, 112)
    assert not none.annotated.any()


def test_a_mask_annotates_only_the_categories_of_its_labels(folder):
    save_mask(folder / "masks/c.png", np.full((24, 32), 2, np.uint8))
    assert LabelSet.open(folder).labels(1).annotated.tolist() == [False, True]


def test_a_manifest_sets_grid_ignored_number_order_and_folders(folder):
    (folder / "masks").rename(folder / "truth")
    (folder / "manifest.toml").write_text(
        'name = "town"\nlicence = "CC0"\ncitation = "us"\ngrid = [24, 16]\nignore = 2\n'
        'categories = ["part", "object"]\nlayout = "segmentation-folder"\nmasks = "truth"\n'
    )
    write_csv(folder / "labels.csv", ["number", "name", "category"], [[255, "sky", "object"], [1, "house", "object"]])
    labels = LabelSet.open(folder)
    assert (labels.name, labels.licence, labels.citation) == ("town", "CC0", "us")
    assert (labels.grid, labels.categories) == ((24, 16), ("part", "object"))
    assert labels.labels(0).layers[0, 0].tolist() == [-1] * 4 + [0] * 4 + [-1] * 4 + [1] * 4


def test_255_is_a_label_where_it_is_listed(folder):
    write_csv(folder / "labels.csv", ["number", "name"], [[255, "sky"], [1, "house"], [2, "wall"], [0, "background"]])
    labels = LabelSet.open(folder)
    assert labels.categories == ("object",)
    assert labels.labels(0).layers[0, 0, 111] == 2


@pytest.mark.parametrize("clash", ["ignore = 1", "ignore = [7, 2]"])
def test_a_label_cannot_be_ignored(folder, clash):
    (folder / "manifest.toml").write_text(clash)
    with pytest.raises(LabelSetError, match="is listed as a label, and the manifest says to ignore it"):
        LabelSet.open(folder)


def test_ignore_false_ignores_nothing(folder):
    (folder / "manifest.toml").write_text("ignore = false")
    with pytest.raises(LabelSetError, match=r"mask|label map a.png holds number 255"):
        LabelSet.open(folder).labels(0)


def test_one_folder_of_masks_for_each_category(folder):
    shutil.rmtree(folder / "masks")
    save_mask(folder / "masks/object/a.png", np.full((24, 32), 1, np.uint8))
    save_mask(folder / "masks/part/a.png", STRIPES.astype(np.uint16) * 2 % 3)
    save_mask(folder / "masks/part/deep/b.png", STRIPES)
    labels = LabelSet.open(folder)
    found = labels.labels(0)
    assert found.layers.shape == (2, 112, 112)
    assert (found.layers[0] == 0).all()
    # Stripes 0 2 1 0, of which number 1 is in the first layer already.
    assert found.layers[1, 0, ::28].tolist() == [-1, 1, -1, -1]
    assert labels.labels(2).annotated.tolist() == [True, True]
    save_mask(folder / "masks/prat/c.png", STRIPES)
    with pytest.raises(LabelSetError, match="masks/prat: is a folder of masks for no category; nearest: part"):
        LabelSet.open(folder)


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        ("masks", "promises labels and holds none: the folder of masks .masks/. is missing"),
        ("labels.csv", "labels.csv is missing"),
        ("images", "the folder of images .images/. is missing"),
    ],
)
def test_two_of_three_name_the_third(folder, gone, says):
    path = folder / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(LabelSetError, match=says):
        LabelSet.open(folder)


def test_masks_that_fit_no_image(folder):
    shutil.rmtree(folder / "masks")
    save_mask(folder / "masks/z.png", STRIPES)
    with pytest.raises(LabelSetError, match="holds none: no PNG in masks/ carries the name of an image"):
        LabelSet.open(folder)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([[1, "a"], [1, "b"]], "labels.csv row 3: number 1 is listed twice"),
        ([[0, "sky"]], "labels.csv row 2: number 0 means 'no label'"),
        ([["one", "a"]], "labels.csv row 2: number is 'one'"),
        ([], "labels.csv lists no label"),
    ],
)
def test_labels_csv_at_fault(folder, rows, says):
    write_csv(folder / "labels.csv", ["number", "name"], rows)
    with pytest.raises(LabelSetError, match=says):
        LabelSet.open(folder)


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.full((24, 32), 9, np.uint8), "holds number 9, which the set does not list"),
        (STRIPES.T, "is 32 x 24 pixels where image a.jpg has 24 x 32 .*EXIF"),
        (STRIPES[:20], "is 20 x 32 pixels where image a.jpg has 24 x 32"),
        (np.zeros((24, 32, 3), np.uint8), "holds colours"),
    ],
)
def test_a_mask_at_fault_is_named(folder, mask, says):
    save_mask(folder / "masks/a.png", mask)
    with pytest.raises(LabelSetError, match=rf"streets, a.jpg: label map a.png {says}"):
        LabelSet.open(folder).labels(0)


def test_a_number_between_the_grid_s_pixels_shows(folder):
    (folder / "manifest.toml").write_text("grid = [2, 2]")
    mask = STRIPES.copy()
    mask[0, 0] = 77
    save_mask(folder / "masks/a.png", mask)
    with pytest.raises(LabelSetError, match="number 77"):
        LabelSet.open(folder).labels(0)


@pytest.mark.parametrize("scale", [1, 2])
def test_a_mask_may_be_larger_or_smaller_than_its_image(folder, scale):
    large = STRIPES.repeat(2, 0).repeat(2, 1) if scale == 2 else STRIPES[::2, ::2].copy()
    before = LabelSet.open(folder).labels(0).layers
    save_mask(folder / "masks/a.png", large)
    assert (LabelSet.open(folder).labels(0).layers == before).all()


def write_voc(home: Path) -> None:
    for seed, stem in enumerate(["2007_000032", "2007_000033", "2008_000001", "2011_999999"]):
        photograph(home / "JPEGImages" / f"{stem}.jpg", size=(24, 32), seed=seed)
        if not stem.startswith("2011"):
            save_mask(home / "SegmentationClass" / f"{stem}.png", STRIPES * (seed < 2), palette=True)
    lists = home / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000032\n2008_000001\n")
    (lists / "val.txt").write_text("2007_000033\n")
    (lists / "trainval.txt").write_text("2007_000032\n2007_000033\n2008_000001\n")


@pytest.mark.parametrize("inner", ["", "VOC2012", "VOCdevkit/VOC2012"])
def test_pascal_voc_as_torchvision_unpacks_it(tmp_path, inner):
    write_voc(tmp_path / inner)
    labels = LabelSet.open(tmp_path)
    assert labels.layout == "voc-segmentation"
    assert labels.images["image"].tolist() == ["2007_000032.jpg", "2007_000033.jpg", "2008_000001.jpg"]
    assert labels.images["split"].tolist() == ["train", "val", "train"]
    assert (len(labels.concepts), labels.categories) == (20, ("object",))
    assert labels.concepts["name"].tolist()[::19] == ["aeroplane", "tvmonitor"]
    assert labels.concepts["name"][14] == "person"
    assert labels.labels(0).layers[0, 0, ::28].tolist() == [-1, 0, 1, -1]
    assert not labels.labels(2).annotated.any()
    assert labels.image(1).size == (32, 24)


def test_pascal_voc_agrees_with_torchvision(tmp_path):
    write_voc(tmp_path / "VOCdevkit/VOC2012")
    from interpkit.models import import_torchvision

    import_torchvision()
    from torchvision.datasets import VOCSegmentation

    labels = LabelSet.open(tmp_path)
    for split in ("train", "val"):
        peer, mine = VOCSegmentation(str(tmp_path), image_set=split), LabelSet.open(tmp_path).select(split=split)
        assert len(peer) == len(mine)
        for i in range(len(peer)):
            image, mask = peer[i]
            assert (np.asarray(mine.image(i)) == np.asarray(image)).all()
            held = set(np.unique(np.asarray(mask))) - {0, 255}
            assert set(np.unique(mine.labels(i).layers)) - {-1} == {number - 1 for number in held}
    assert len(labels) == 3


def test_pascal_voc_with_a_listed_image_absent(tmp_path):
    write_voc(tmp_path)
    (tmp_path / "JPEGImages/2007_000033.jpg").unlink()
    (tmp_path / "SegmentationClass/2008_000001.png").unlink()
    labels = LabelSet.open(tmp_path)
    with pytest.raises(ImageError, match=r"image 2007_000033.jpg is missing"):
        labels.image(1)
    with pytest.raises(ImageError, match=r"label map 2008_000001.png is missing"):
        labels.labels(2)
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("../../secret\n")
    with pytest.raises(LabelSetError, match="points outside"):
        LabelSet.open(tmp_path)
    shutil.rmtree(tmp_path / "ImageSets")
    with pytest.raises(LabelSetError, match="ImageSets/Segmentation/ is missing"):
        LabelSet.open(tmp_path)


def test_images_alone(tmp_path):
    for name in ("b.jpg", "deep/a.PNG", "deep/er/c.webp", ".hidden/d.jpg", "._e.jpg", "__MACOSX/f.jpg"):
        photograph(tmp_path / "photos" / name)
    (tmp_path / "photos/notes.txt").write_text("no image")
    labels = LabelSet.open(tmp_path / "photos")
    assert (labels.layout, labels.name, labels.grid, labels.classes) == ("images", "photos", None, None)
    assert labels.images["image"].tolist() == ["b.jpg", "deep/a.PNG", "deep/er/c.webp"]
    assert (len(labels.concepts), labels.categories) == (0, ())
    assert labels.image(1).size == (16, 16)
    with pytest.raises(LabelSetError, match="has no label maps"):
        labels.labels(0)


def test_a_link_that_leads_back_up_ends(tmp_path):
    photograph(tmp_path / "x/a.jpg")
    (tmp_path / "x/up").symlink_to(tmp_path)
    labels = LabelSet.open(tmp_path)
    assert labels.images["image"].tolist() == ["x/a.jpg"]
    assert labels.layout == "images", "one folder is no class"


def test_class_folders(tmp_path):
    for name in ("cat/1.jpg", "dog/1.jpg", "dog/more/2.jpg"):
        photograph(tmp_path / name)
    labels = LabelSet.open(tmp_path)
    assert labels.layout == "image-folder"
    assert labels.classes.to_numpy().tolist() == [["cat/1.jpg", "cat"], ["dog/1.jpg", "dog"], ["dog/more/2.jpg", "dog"]]
    (tmp_path / "owl").mkdir()
    with pytest.raises(LabelSetError, match="owl: is a class folder without images"):
        LabelSet.open(tmp_path)


def test_class_folders_below_splits(tmp_path):
    for name in ("train/cat/1.jpg", "train/dog/1.jpg", "val/cat/1.jpg"):
        photograph(tmp_path / "images" / name)
    labels = LabelSet.open(tmp_path)
    assert labels.images["split"].tolist() == ["train", "train", "val"]
    assert labels.classes["class"].tolist() == ["cat", "dog", "cat"]
    assert labels.select(split="val").classes["image"].tolist() == ["val/cat/1.jpg"]


@pytest.fixture
def landmarks(tmp_path: Path) -> Path:
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg"):
        photograph(tmp_path / "images" / name)
    write_csv(
        tmp_path / "landmarks.csv",
        ["image", "class", "head_row", "head_col", "tail_row", "tail_col"],
        [["cat/1.jpg", "cat", 1.5, 2, "", ""], ["cat/2.jpg", "cat", "", "", 3, 4], ["dog/1.jpg", "", 0, 0, "", ""]],
    )
    return tmp_path


def test_landmarks(landmarks):
    labels = LabelSet.open(landmarks)
    assert (labels.layout, len(labels), labels.grid) == ("landmarks", 3, None)
    assert list(labels.landmarks.columns) == ["image", "head_row", "head_col", "tail_row", "tail_col"]
    assert labels.landmarks["head_row"].tolist()[::2] == [1.5, 0.0]
    assert labels.landmarks["tail_row"].isna().tolist() == [True, False, True]
    assert labels.classes.to_numpy().tolist() == [["cat/1.jpg", "cat"], ["cat/2.jpg", "cat"]]


@pytest.mark.parametrize(
    ("head", "row", "says"),
    [
        (["image", "head_row"], ["cat/1.jpg", 1], "no column 'head_col'"),
        (["image", "class"], ["cat/1.jpg", "cat"], "no columns <part>_row and <part>_col"),
        (["image", "a_row", "a_col"], ["cat/1.jpg", 1, ""], "row 2: a has a row or a column but not both"),
        (["image", "a_row", "a_col"], ["cat/1.jpg", 1, "x"], "row 2: a_col is 'x', which is no number"),
        (["image", "a_row", "a_col"], ["../1.jpg", 1, 1], "row 2: image '../1.jpg' points outside"),
        (["image", "a_row", "a_col"], ["", 1, 1], "row 2: names no image"),
        (["picture", "a_row", "a_col"], ["cat/1.jpg", 1, 1], "no column 'image'"),
    ],
)
def test_landmarks_at_fault(landmarks, head, row, says):
    write_csv(landmarks / "landmarks.csv", head, [row])
    with pytest.raises(LabelSetError, match=says):
        LabelSet.open(landmarks)


def test_classes_and_landmarks_stand_in_any_layout(tmp_path):
    small_broden(tmp_path)
    write_csv(
        tmp_path / "classes.csv", ["image", "class"], [["a/one.jpg", "x"], ["a/one.jpg", "y"], ["b/three.png", "x"]]
    )
    write_csv(tmp_path / "landmarks.csv", ["image", "eye_row", "eye_col"], [["a/two.jpg", 1, 2]])
    labels = LabelSet.open(tmp_path)
    assert labels.layout == "broden"
    assert labels.classes.to_numpy().tolist() == [["a/one.jpg", "x"], ["a/one.jpg", "y"], ["b/three.png", "x"]]
    assert labels.landmarks.to_numpy().tolist() == [["a/two.jpg", 1.0, 2.0]]
    assert labels.select(split="val").classes.empty
    assert len(labels.without([0]).classes) == 1


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            ["a/on.jpg", "x"],
            "classes.csv row 2: names 'a/on.jpg', which the set does not hold; did you mean a/one.jpg?",
        ),
        (["a/one.jpg", ""], "classes.csv row 2: names no class"),
    ],
)
def test_classes_at_fault(tmp_path, row, says):
    small_broden(tmp_path)
    write_csv(tmp_path / "classes.csv", ["image", "class"], [row])
    with pytest.raises(LabelSetError) as caught:
        LabelSet.open(tmp_path)
    assert says in str(caught.value)


def test_a_folder_of_nothing_lists_the_layouts(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(LabelSetError) as caught:
        LabelSet.open(tmp_path)
    for layout in ("broden", "segmentation-folder", "voc-segmentation", "landmarks", "image-folder", "images"):
        assert f"{layout} (" in str(caught.value)
    with pytest.raises(LabelSetError, match="is a file; a label set is a folder"):
        LabelSet.open(tmp_path / "notes.txt")
