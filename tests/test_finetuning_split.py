"""Which images are trained on, which are kept apart, and which are left out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from class_sets import listed_set
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from interpkit.finetuning._split import drawn, split_of
from interpkit.labels import LabelSet


@given(
    counts=st.lists(st.integers(2, 30), min_size=2, max_size=6),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 1000),
)
def test_every_class_is_on_both_sides_in_its_share(counts, share, seed):
    member = np.repeat(np.eye(len(counts), dtype=bool), counts, axis=0)
    kept = drawn(member, share=share, seed=seed)
    wanted = [min(max(round(share * count), 1), count - 1) for count in counts]
    assert member[kept].sum(0).tolist() == wanted
    assert (drawn(member, share=share, seed=seed) == kept).all()


@given(seed=st.integers(0, 10_000), share=st.floats(0.1, 0.9))
def test_images_of_several_classes_leave_none_on_one_side(seed, share):
    rng = np.random.default_rng(seed)
    member = rng.random((40, 4)) < [0.05, 0.2, 0.5, 0.8]
    member[[0, 1], 0] = True
    kept = drawn(member, share=share, seed=seed)
    for k in range(4):
        if member[:, k].sum() > 2:
            assert member[kept, k].any()
            assert member[~kept, k].any()


def test_the_split_of_the_set_goes_before_the_seed(tmp_path):
    labels = listed_set(tmp_path / "set", images=30)
    split = split_of(labels, labels.targets(), validation=0.5, seed=0)
    assert split.validation.tolist() == list(range(0, 30, 5))
    assert split.train.tolist() == [i for i in range(30) if i % 5]
    one = labels.select(split="train")
    drawn_split = split_of(one, one.targets(), validation=0.5, seed=0)
    assert len(drawn_split.validation) == 12
    assert "seed 0" in drawn_split.words


def test_a_class_without_an_image_to_train_on_is_said(tmp_path):
    labels = listed_set(tmp_path / "set", images=30)
    images = labels.images.assign(split=np.where(labels.targets().member[:, 0], "val", "train"))
    split = split_of(replace(labels, images=images), labels.targets(), validation=0.5, seed=0)
    assert split.warnings == ("no image to train on is of blue",)


def folders(root: Path, *parts: str) -> LabelSet:
    """A set of image folders: of each part 2 classes of 4 images."""
    for part in parts:
        for name in ("blue", "red"):
            (root / part / name).mkdir(parents=True)
            for i in range(4):
                Image.new("RGB", (4, 4), (i, 0, 0)).save(root / part / name / f"{i}.png")
    return LabelSet.open(root)


@pytest.mark.parametrize(
    ("parts", "train", "validation", "words"),
    [
        (("train", "val"), "train", "val", "the label set's own"),
        (("training", "validation"), "training", "validation", "the label set's own"),
        (("train", "valid", "test"), "train", "valid", "the label set's own; images left out: 8 of test"),
        (
            ("train", "test"),
            "train",
            "test",
            "the label set's own; it has no validation images, so its test images serve as such",
        ),
    ],
)
def test_the_parts_of_a_set_are_known_by_their_names(tmp_path, parts, train, validation, words):
    labels = folders(tmp_path / "set", *parts)
    own = labels.images["split"].to_numpy(str)
    split = split_of(labels, labels.targets(), validation=0.25, seed=0)
    assert split.words == words
    assert split.train.tolist() == np.flatnonzero(own == train).tolist()
    assert split.validation.tolist() == np.flatnonzero(own == validation).tolist()


def test_a_set_with_a_training_part_alone_is_split_within_it(tmp_path):
    labels = folders(tmp_path / "set", "train", "val")
    own = np.where(labels.images["split"] == "val", "extra", "train")
    labels = replace(labels, images=labels.images.assign(split=own))
    split = split_of(labels, labels.targets(), validation=0.25, seed=0)
    assert split.words == "by class, 25% kept apart, seed 0; images left out: 8 of extra"
    assert (len(split.train), len(split.validation)) == (6, 2)
    assert sorted([*split.train, *split.validation]) == np.flatnonzero(own == "train").tolist()


@pytest.mark.parametrize("parts", [("val", "test"), ("train", "")])
def test_a_set_that_does_not_say_what_to_train_on_is_split_by_class(tmp_path, parts):
    labels = folders(tmp_path / "set", "train", "val")
    own = np.where(labels.images["split"] == "train", *parts)
    labels = replace(labels, images=labels.images.assign(split=own))
    split = split_of(labels, labels.targets(), validation=0.25, seed=0)
    assert split.words == "by class, 25% kept apart, seed 0"
    assert (len(split.train), len(split.validation)) == (12, 4)


def test_a_class_that_its_rarer_companions_used_up_gets_an_image_on_either_side():
    # The second class settles all images of the third but one, and keeps one apart that is not of it.
    member = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1], [0, 1, 1], [0, 1, 1]], bool)
    kept = drawn(member, share=0.25, seed=4)
    assert np.flatnonzero(kept).tolist() == [1, 2]
    assert (member[kept].sum(0) > 0).all()
    assert (member[~kept].sum(0) > 0).all()


def test_no_class_loses_its_last_image_to_another():
    # The first image that could change sides for one class is the only one there of another.
    member = np.array([[0, 1, 1, 1], [0, 1, 1, 0], [1, 1, 0, 1], [1, 0, 1, 0]], bool)
    kept = drawn(member, share=0.25, seed=0)
    assert np.flatnonzero(kept).tolist() == [1, 2]
    assert (member[kept].sum(0) > 0).all()
    assert (member[~kept].sum(0) > 0).all()
