from pathlib import Path

import numpy as np
import pytest
from labels_on_disk import photograph, small_broden, write_csv

from interpkit.errors import LabelSetError
from interpkit.labels import LabelSet, check

DATASETS = Path(__file__).parents[1] / "datasets"
NAMES = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four images side by side, without classes."""
    for name in NAMES:
        photograph(tmp_path / "photos" / name)
    return tmp_path / "photos"


def classes(root: Path, header: list[str], rows: list[list[object]]) -> LabelSet:
    write_csv(root / "classes.csv", header, rows)
    return LabelSet.open(root)


def test_one_class_an_image(tmp_path):
    for name in ("dog/1.jpg", "cat/1.jpg", "dog/2.jpg", "cat/2.jpg", "cat/3.jpg"):
        photograph(tmp_path / name)
    found = LabelSet.open(tmp_path).targets()
    assert found.names == ("cat", "dog")
    assert found.member.tolist() == [[True, False]] * 3 + [[False, True]] * 2
    assert (found.member.dtype, found.multi) == (np.bool_, False)


def test_members_stand_in_the_order_of_the_images(photos):
    rows = [["d.jpg", "x"], ["a.jpg", "y"], ["c.jpg", "y"], ["b.jpg", "x"]]
    labels = classes(photos, ["image", "class"], rows)
    assert labels.targets().member.argmax(axis=1).tolist() == [1, 0, 1, 0]
    assert (labels.select(limit=4).targets().member == labels.targets().member).all()


def test_several_classes_an_image_by_several_rows(photos):
    rows = [[name, "x"] for name in NAMES] + [["a.jpg", "y"], ["d.jpg", "y"]]
    found = classes(photos, ["image", "class"], rows).targets()
    assert found.multi
    assert found.member.tolist() == [[True, True], [True, False], [True, False], [True, True]]


@pytest.mark.parametrize("absent", [0, -1])
def test_a_table_of_zeros_and_ones(photos, absent):
    rows = [["c.jpg", 1, 1, absent], ["a.jpg", 1, absent, 1], ["d.jpg", absent, 1, 1], ["b.jpg", *[absent] * 3]]
    labels = classes(photos, ["image", "zebra", "ant", "bee"], rows)
    assert labels.layout == "images"
    assert sorted(labels.classes.itertuples(index=False, name=None)) == [
        *[("a.jpg", "bee"), ("a.jpg", "zebra"), ("c.jpg", "ant"), ("c.jpg", "zebra"), ("d.jpg", "ant")],
        ("d.jpg", "bee"),
    ]
    found = labels.targets()
    assert (found.names, found.multi) == (("ant", "bee", "zebra"), True)
    assert found.member.tolist() == [[False, True, True], [False] * 3, [True, False, True], [True, True, False]]
    assert len(labels.classified()) == 4, "an image of no class is told of"


def test_a_table_of_zeros_and_ones_is_multi_label_even_with_one_class_an_image(photos):
    rows = [["a.jpg", 1, 0], ["b.jpg", 1, 0], ["c.jpg", 0, 1], ["d.jpg", 0, 1]]
    assert classes(photos, ["image", "x", "y"], rows).targets().multi


@pytest.mark.parametrize(
    ("header", "rows", "says"),
    [
        (["image", "x", "y"], [["a.jpg", 1, 2]], "classes.csv row 2: y is '2', not 1 or 0"),
        (["image", "x", "y"], [["a.jpg", 1, 0], ["b.jpg", "", 1]], "classes.csv row 3: x is '', not 1 or 0"),
        (["image", "x", "y"], [["a.jpg", 1, 0], ["b.jpg", -1, 1]], "classes.csv: holds 0 and -1; an image that is"),
        (["image", "x", "y"], [["a.jpg", 1, 0], ["b.jpg", 1, 0]], "classes.csv: class y holds for no image"),
        (["image", "x", "y"], [["a.jpg", 1, 0], ["a.jpg", 1, 1]], "classes.csv row 3: repeats an earlier row"),
        (["image", "x", "y"], [["e.jpg", 1, 0]], "classes.csv row 2: names 'e.jpg', which the set does not hold"),
        (["image", "kind"], [["a.jpg", "cat"]], "classes.csv has no column 'class', nor columns of 1 and 0, one a cla"),
        (
            ["image"],
            [["a.jpg"]],
            "classes.csv has no column 'class', nor columns of 1 and 0, one a class; it has image",
        ),
        (["name", "class"], [["a.jpg", "cat"]], "classes.csv has no column 'image'"),
    ],
)
def test_a_table_of_classes_at_fault(photos, header, rows, says):
    write_csv(photos / "classes.csv", header, rows)
    with pytest.raises(LabelSetError) as caught:
        LabelSet.open(photos)
    assert says in str(caught.value)


def test_the_check_names_every_fault_of_a_table_of_zeros_and_ones(photos):
    rows = [["a.jpg", 1, 0, 0], ["b.jpg", 3, "yes", 0], ["bb.jpg", 1, 1, 1]]
    write_csv(photos / "classes.csv", ["image", "x", "y", "z"], rows)
    found = [str(finding) for finding in check(photos).findings]
    assert found == [
        "classes.csv row 4: names 'bb.jpg', which the set does not hold; did you mean b.jpg?",
        "classes.csv row 3: x is '3', not 1 or 0",
        "classes.csv row 3: y is 'yes', not 1 or 0",
        "classes.csv: class y holds for no image",
        "classes.csv: class z holds for no image",
    ]


def test_a_set_without_classes_says_what_to_add(photos):
    labels = LabelSet.open(photos)
    with pytest.raises(LabelSetError, match=r"photos \(images\) has no classes; put its images .* or add classes.csv"):
        labels.targets()
    with pytest.raises(LabelSetError, match="photos: none of its 4 images has a class"):
        labels.classified()


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (["image", "class"], [[name, "x"] for name in NAMES]),
        (["image", "x"], [["a.jpg", 1], ["b.jpg", 1], ["c.jpg", 0], ["d.jpg", 0]]),
    ],
)
def test_one_class_only(photos, header, rows):
    with pytest.raises(LabelSetError, match="photos has only one class, 'x'; it takes at least 2"):
        classes(photos, header, rows).targets()


def test_a_selection_that_is_of_no_class(photos):
    rows = [["a.jpg", 0, 0], ["b.jpg", 1, 1], ["c.jpg", 1, 1], ["d.jpg", 0, 0]]
    with pytest.raises(LabelSetError, match="photos has no class that an image is of; it takes at least 2"):
        classes(photos, ["image", "x", "y"], rows).select(limit=1).targets()


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (["y", "y"], "class 'z' has only one image, c.jpg; it takes at least 2"),
        (["w", "v"], "class 'v' has only one image, e.jpg, as have 2 more classes; it takes at least 2"),
    ],
)
def test_a_class_with_one_image(photos, last, says):
    photograph(photos / "e.jpg")
    rows = [["a.jpg", "x"], ["b.jpg", "x"], ["c.jpg", "z"], ["d.jpg", last[0]], ["e.jpg", last[1]]]
    with pytest.raises(LabelSetError) as caught:
        classes(photos, ["image", "class"], rows).targets()
    assert str(caught.value).endswith(says)


def test_images_without_a_class_are_counted_and_can_be_left_out(photos):
    for name in ("e.jpg", "f.jpg"):
        photograph(photos / name)
    rows = [["a.jpg", "x"], ["d.jpg", "x"], ["e.jpg", "y"], ["f.jpg", "y"]]
    labels = classes(photos, ["image", "class"], rows)
    with pytest.raises(LabelSetError, match=r"photos: 2 of its 6 images have no class, the first b\.jpg; give each"):
        labels.targets()
    rest = labels.classified()
    assert rest.images["image"].tolist() == ["a.jpg", "d.jpg", "e.jpg", "f.jpg"]
    assert rest.targets().member.argmax(axis=1).tolist() == [0, 0, 1, 1]
    assert rest.path(1) == photos / "d.jpg"


def test_images_that_a_table_of_zeros_and_ones_leaves_out_are_counted(photos):
    labels = classes(photos, ["image", "x", "y"], [["a.jpg", 1, 1], ["b.jpg", 1, 1], ["d.jpg", 0, 0]])
    with pytest.raises(LabelSetError, match=r"1 of its 4 images have no class, the first c\.jpg"):
        labels.targets()
    assert labels.classified().targets().member.sum(axis=1).tolist() == [2, 2, 0]


def test_classes_of_a_broden_set(tmp_path):
    root = small_broden(tmp_path)
    rows = [["b/three.png", "x"], ["a/one.jpg", "x"], ["a/two.jpg", "y"], ["a/one.jpg", "y"]]
    found = classes(root, ["image", "class"], rows).targets()
    assert found.member.tolist() == [[True, True], [False, True], [True, False]]


def test_an_image_that_is_listed_twice_counts_twice(tmp_path):
    root = small_broden(tmp_path)
    with (root / "index.csv").open("a", encoding="utf-8") as stream:
        stream.write((root / "index.csv").read_text(encoding="utf-8").splitlines()[1] + "\n")
    rows = [["a/one.jpg", "x"], ["a/two.jpg", "y"], ["b/three.png", "y"]]
    found = classes(root, ["image", "class"], rows).targets()
    assert found.member.argmax(axis=1).tolist() == [0, 1, 1, 0]


def test_the_embedded_default_has_classes_for_its_objects():
    labels = LabelSet.open(DATASETS / "broden-mini")
    with pytest.raises(LabelSetError, match="images have no class"):
        labels.targets()
    found = labels.classified().targets()
    assert not found.multi
    assert found.member.sum(axis=1).tolist() == [1] * len(found.member)
    assert len(found.names) >= 2


@pytest.mark.data
def test_the_real_photographs_have_six_classes(shared_data):
    found = LabelSet.open(shared_data / "animal-parts").targets()
    assert found.names == ("cat", "dog", "elephant", "horse", "panda", "sheep")
    assert found.member.sum(axis=0).tolist() == [130] * 6
