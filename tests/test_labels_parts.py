import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from labels_on_disk import small_broden

from interpkit.labels import ImageLabels, LabelSet, part_masks, part_rows

CONCEPTS = 6


@given(
    arrays(np.int32, st.tuples(st.integers(0, 3), st.just(3), st.just(4)), elements=st.integers(-1, CONCEPTS - 1)),
    st.lists(st.integers(0, CONCEPTS - 1), unique=True),
    st.lists(st.integers(0, CONCEPTS - 1), unique=True),
)
def test_masks_are_those_found_one_by_one(layers, whole, rows):
    labels = ImageLabels(layers, np.array(whole, np.int32), np.zeros(1, bool))
    masks = part_masks(labels, np.array(rows, np.intp))
    assert (masks.shape, masks.dtype) == ((len(rows), 3, 4), np.bool_)
    for row, mask in zip(rows, masks, strict=True):
        assert (mask == ((layers == row).any(axis=0) | (row in whole))).all()


def test_parts_are_the_concepts_of_category_part(tmp_path):
    labels = LabelSet.open(small_broden(tmp_path))
    rows = part_rows(labels.concepts)
    assert labels.concepts["number"][rows].tolist() == [3, 4]
    first, second = part_masks(labels.labels(0), rows)
    assert first[0].tolist() == [True] * 4 + [False] * 4
    assert second[0].tolist() == [False] * 4 + [True] * 4
    assert part_masks(labels.labels(1), rows)[0].all(), "a part that holds for the whole image"


def test_a_set_without_parts(tmp_path):
    labels = LabelSet.open(small_broden(tmp_path))
    rows = part_rows(labels.concepts[labels.concepts["category"] == "color"])
    assert part_masks(labels.labels(0), rows).shape == (0, 8, 8)
