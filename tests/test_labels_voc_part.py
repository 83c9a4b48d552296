import shutil
from pathlib import Path

import numpy as np
import pytest
from labels_on_disk import Thing, box, photograph, write_annotation

from interpkit.errors import ImageError, LabelSetError
from interpkit.labels import LabelSet, check, part_masks, part_rows
from interpkit.labels.pascal import CLASSES, PARTS

BIRD, BOAT, CAR, CAT, COW, HORSE = (CLASSES.index(name) + 1 for name in ("bird", "boat", "car", "cat", "cow", "horse"))
HEAD, EYE, WING = box(slice(0, 8), slice(0, 8)), box(slice(2, 4), slice(2, 4)), box(slice(8, 16), slice(0, 4))
FAR = box(slice(8, 20), slice(20, 30))

FIRST = [
    Thing(BIRD, HEAD | WING, [("head", HEAD), ("reye", EYE), ("lwing", WING)]),
    Thing(BIRD, FAR, [("beak", FAR)]),
    Thing(BOAT, box(slice(4, 12), slice(2, 28))),
]
SECOND = [
    Thing(CAR, HEAD | FAR, [("wheel_1", EYE), ("wheel_12", FAR), ("fliplate", WING)]),
    Thing(COW, HEAD, [("tail", HEAD), ("rhorn", EYE), ("lblleg", WING)]),
    Thing(HORSE, HEAD, [("lfho", EYE), ("rfuleg", WING)]),
    Thing(CAT, HEAD, [("nose", EYE), ("neck", WING), ("rbpa", HEAD)]),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "parts"
    for stem, things in (("2008_000002", FIRST), ("2010_000001", SECOND)):
        photograph(root / "JPEGImages" / f"{stem}.jpg", size=(24, 32))
        write_annotation(root / "Annotations_Part" / f"{stem}.mat", things)
    return root


def held(labels: LabelSet, i: int) -> dict[str, np.ndarray]:
    """Concept -> (sh, sw) mask, of those that occur in an image."""
    masks = part_masks(labels.labels(i), np.arange(len(labels.concepts)))
    return {name: mask for name, mask in zip(labels.concepts["name"], masks, strict=True) if mask.any()}


def expected(*masks: np.ndarray) -> np.ndarray:
    """The union of masks, read at the centres of 12 x 8 grid pixels one by one."""
    rows, columns = ([int((j + 0.5) * size / n) for j in range(n)] for n, size in ((12, 24), (8, 32)))
    return np.array([[any(mask[r, c] for mask in masks) for c in columns] for r in rows])


def assert_holds(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert set(found) == set(wanted)
    for name, mask in wanted.items():
        assert (found[name] == mask).all(), name


def test_objects_and_merged_parts(folder):
    (folder / "manifest.toml").write_text("grid = [12, 8]")
    labels = LabelSet.open(folder)
    assert (labels.layout, labels.grid, labels.categories) == ("voc-part", (12, 8), ("object", "part"))
    assert labels.images["image"].tolist() == ["2008_000002.jpg", "2010_000001.jpg"]
    assert labels.concepts["name"].tolist()[:20] == list(CLASSES)
    assert_holds(
        held(labels, 0),
        {
            "bird": expected(HEAD, WING, FAR),
            "boat": expected(FIRST[2].mask),
            "bird head": expected(HEAD, EYE, FAR),
            "bird torso": expected(WING),
        },
    )
    assert_holds(
        held(labels, 1),
        {
            "car": expected(HEAD, FAR),
            "cow": expected(HEAD),
            "horse": expected(HEAD),
            "cat": expected(HEAD),
            "car wheel": expected(EYE, FAR),
            "car front licence plate": expected(WING),
            "cow head": expected(EYE),
            "cow back legs": expected(WING),
            "horse front legs": expected(EYE, WING),
            "cat head": expected(EYE),
            "cat torso": expected(WING),
            "cat back legs": expected(HEAD),
        },
    )


def test_every_concept_is_counted_once_a_pixel(folder):
    labels = LabelSet.open(folder)
    for i in range(2):
        found = labels.labels(i)
        for row in range(len(labels.concepts)):
            assert (found.layers == row).sum(axis=0).max() <= 1
        assert found.annotated.tolist() == [True, True]


def test_every_class_s_parts_as_the_paper_merges_them():
    parts = {name: list(dict.fromkeys(part for part in PARTS[name].values() if part)) for name in PARTS}
    assert parts["bird"] == ["head", "torso", "legs", "tail"]
    assert parts["cat"] == parts["dog"] == ["head", "torso", "front legs", "back legs", "tail"]
    assert parts["cow"] == parts["horse"] == parts["sheep"] == ["head", "torso", "front legs", "back legs"]
    assert set(PARTS) == set(CLASSES) - {"boat", "chair", "diningtable", "sofa"}
    assert len(parts["person"]) == 24
    assert PARTS["person"]["llleg"] == "left lower leg"


def test_part_rows_are_those_of_category_part(folder):
    concepts = LabelSet.open(folder).concepts
    rows = part_rows(concepts)
    assert rows.tolist() == list(range(20, len(concepts)))
    assert concepts["name"].is_unique
    assert concepts["name"][rows[0]] == "aeroplane body"


@pytest.mark.parametrize("inner", ["VOC2010", "VOCdevkit/VOC2010"])
def test_as_the_archives_unpack(folder, inner):
    (folder / "trainval").mkdir()
    (folder / "Annotations_Part").rename(folder / "trainval/Annotations_Part")
    (folder / inner / "ImageSets/Main").mkdir(parents=True)
    (folder / inner / "SegmentationClass").mkdir()
    (folder / "JPEGImages").rename(folder / inner / "JPEGImages")
    (folder / inner / "ImageSets/Main/val.txt").write_text("2010_000001\n2007_000001\n")
    labels = LabelSet.open(folder)
    assert len(labels.sha) == 64
    assert labels.layout == "voc-part", "an object set and a part set in one folder are a part set"
    assert labels.images["split"].tolist() == ["", "val"]
    assert labels.image(0).size == (32, 24)
    assert "bird head" in held(labels, 0)
    (folder / inner / "ImageSets/Main/val.txt").write_text("2008_000002\n")
    assert LabelSet.open(folder).sha != labels.sha


def test_a_manifest_may_name_the_folders(folder):
    (folder / "Annotations_Part").rename(folder / "mats")
    (folder / "JPEGImages").rename(folder / "photos")
    (folder / "manifest.toml").write_text('layout = "voc-part"\nmasks = "mats"\nimages = "photos"\n')
    assert len(held(LabelSet.open(folder), 1)) == 12


@pytest.mark.parametrize(
    ("things", "says"),
    [
        ([Thing(BIRD, HEAD, [("paw", HEAD)])], "holds part 'paw' of bird, which PASCAL-Part does not list"),
        ([Thing(BOAT, HEAD, [("head", HEAD)])], "holds part 'head' of boat, which PASCAL-Part does not list"),
        ([Thing(BIRD, HEAD[:20])], "is 20 x 32 pixels where image 2008_000002.jpg has 24 x 32"),
        ([Thing(BIRD, HEAD, [("head", HEAD[:, :9])])], "is 24 x 9 pixels where image 2008_000002.jpg has 24 x 32"),
        ([Thing(21, HEAD)], "is no annotation of PASCAL-Part: class or mask of an object out of range"),
        ([Thing(0, HEAD)], "is no annotation of PASCAL-Part: class or mask of an object out of range"),
    ],
)
def test_an_annotation_at_fault_is_named(folder, things, says):
    write_annotation(folder / "Annotations_Part/2008_000002.mat", things)
    with pytest.raises(LabelSetError) as caught:
        LabelSet.open(folder).labels(0)
    assert f"2008_000002.jpg: label map 2008_000002.mat {says}" in str(caught.value)


def test_an_annotation_that_cannot_be_read(folder):
    whole = (folder / "Annotations_Part/2008_000002.mat").read_bytes()
    labels = LabelSet.open(folder)
    for data in (b"", b"no annotation", whole[:200], b"\x89HDF\r\n\x1a\n" + bytes(600)):
        (folder / "Annotations_Part/2008_000002.mat").write_bytes(data)
        with pytest.raises(LabelSetError, match=r"2008_000002\.mat is no annotation of PASCAL-Part: .") as caught:
            labels.labels(0)
        assert "\n" not in str(caught.value)
    (folder / "Annotations_Part/2008_000002.mat").unlink()
    with pytest.raises(ImageError, match=r"label map 2008_000002\.mat is missing"):
        labels.labels(0)


def test_folders_at_fault(folder):
    shutil.move(folder / "JPEGImages", folder.parent / "kept")
    with pytest.raises(LabelSetError, match=r"the folder of images \(JPEGImages/\) is missing"):
        LabelSet.open(folder)
    shutil.move(folder.parent / "kept", folder / "JPEGImages")
    for path in (folder / "Annotations_Part").iterdir():
        path.unlink()
    with pytest.raises(LabelSetError, match=r"holds none: Annotations_Part/ holds no \.mat file"):
        LabelSet.open(folder)


def test_the_check_covers_annotations(folder):
    report = check(folder)
    assert report.good, report.lines()
    assert report.summary[["category", "used", "kind", "images"]].to_numpy().tolist() == [
        ["object", 6, "pixel", 2],
        ["part", 10, "pixel", 2],
    ]
    write_annotation(folder / "Annotations_Part/2010_000001.mat", [Thing(BIRD, HEAD, [("fin", HEAD)])])
    (folder / "JPEGImages/2008_000002.jpg").unlink()
    found = [str(finding) for finding in check(folder).findings]
    assert found == [
        "2008_000002.jpg: is missing",
        "2008_000002.jpg: label map 2008_000002.mat is missing",
        "2010_000001.jpg: label map 2010_000001.mat holds part 'fin' of bird, which PASCAL-Part does not list",
        "category object has no label in any image",
        "category part has no label in any image",
    ]
