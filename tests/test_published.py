"""Published per-unit tables: read in any order of categories, counted by both rules."""

import numpy as np
import pandas as pd
import pytest
from made_beside import CATEGORIES, published
from made_results import small_dissection

from interpkit.errors import ResultError, UnknownNameError
from interpkit.results import PublishedTable, read_published, save

# File, units, detectors, unique detectors by top label and over every category.
PUBLISHED = [
    ("ResNet-152-model_places365", 2048, 1452, 278, 347),
    ("ResNet-152-model_imagenet", 2048, 1325, 197, 242),
    ("caffe_reference_places365", 256, 118, 72, 91),
    ("caffe_reference_places205", 256, 107, 60, 79),
    ("caffe_reference_imagenet", 256, 97, 50, 61),
]


def counted(one: PublishedTable) -> tuple[int, int, int]:
    top, every = (sum(one.unique(rule).values()) for rule in ("top-label", "every-category"))
    return int(one.detectors().sum()), top, every


@pytest.mark.parametrize(("name", "units", "detectors", "top", "every"), PUBLISHED)
def test_the_published_figures(shared_data, name, units, detectors, top, every):
    path = shared_data / "netdissect-published" / f"{name}.csv"
    if not path.is_file():
        pytest.skip(f"{path.name} is absent")
    one = read_published(path)
    assert (one.name, one.units) == (name, units)
    assert counted(one) == (detectors, top, every)


def test_a_synthetic_table_counted_by_hand(tmp_path):
    path = published(tmp_path / "net.csv", units=60)
    raw = pd.read_csv(path, keep_default_na=False)
    over = raw[raw["score"] > 0.04]
    top = len({(row["category"], row["label"]) for _, row in over.iterrows()})
    every = {
        (name, row[f"{name}-label"])
        for _, row in raw.iterrows()
        for name in CATEGORIES
        if row[f"{name}-iou"] > 0.04 and row[f"{name}-label"] != ""
    }
    assert counted(read_published(path)) == (len(over), top, len(every))
    assert 0 < top < len(every)


def test_the_order_of_the_categories_says_nothing(tmp_path):
    first = read_published(published(tmp_path / "a.csv"))
    other = read_published(published(tmp_path / "b.csv", order=tuple(reversed(CATEGORIES))))
    assert other.categories == tuple(reversed(first.categories))
    assert counted(first) == counted(other)
    pd.testing.assert_frame_equal(first.table(), other.table()[list(first.table())])


def test_an_empty_label_is_no_concept(tmp_path):
    one = read_published(published(tmp_path / "net.csv"))
    rows = one.table()
    assert rows["unit"].tolist() == list(range(one.units))
    empty = rows[rows["texture_concept"] == ""]
    assert empty["unit"].tolist() == [6, 13, 20, 27, 34]
    assert not empty["texture_iou"].any()


def test_a_run_s_own_table_gives_the_run_s_numbers(tmp_path):
    result = small_dissection(2)
    folder = save(result, tmp_path / "run" / "layer")
    one = read_published(folder / "units.csv")
    for rule in ("top-label", "every-category"):
        assert one.unique(rule) == result.unique(rule)
    mine, own = one.table(), result.table()
    np.testing.assert_allclose(mine["iou"], own["iou"], rtol=1e-12)
    assert mine["concept"].tolist() == own["concept"].tolist()


WRONG = {
    "no file": (None, "cannot be read"),
    "no column": ("unit,category,label,score\n1,object,cat,0.1\n", "has no column <category>-label"),
    "no iou": ("unit,category,label,score,part-label\n1,part,leg,0.1,leg\n", "has no column part-iou"),
    "words": ("unit,category,label,score,part-label,part-iou\n1,part,leg,high,leg,0.1\n", "holds what is no number"),
    "gap": ("unit,category,label,score,part-label,part-iou\n2,part,leg,0.1,leg,0.1\n", "every unit from 1 on"),
    "half a unit": (
        "unit,category,label,score,part-label,part-iou\n1.5,part,leg,0.1,leg,0.1\n",
        "no whole number",
    ),
    "no unit": ("unit,category,label,score,part-label,part-iou\nnan,part,leg,0.1,leg,0.1\n", "no whole number"),
    "above one": (
        "unit,category,label,score,part-label,part-iou\n2,part,leg,0.1,leg,inf\n1,part,leg,1,leg,1\n",
        "not between 0 and 1, of unit 2",
    ),
    "below zero": (
        "unit,category,label,score,part-label,part-iou\n1,part,leg,-0.1,leg,0.1\n",
        "not between 0 and 1, of unit 1",
    ),
    "empty": ("unit,category,label,score,part-label,part-iou\n", "every unit from 1 on"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_such_table_is_one_line(tmp_path, what):
    text, said = WRONG[what]
    path = tmp_path / "net.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ResultError, match=said) as error:
        read_published(path)
    assert "\n" not in str(error.value)


def test_a_rule_that_does_not_exist_is_named(tmp_path):
    one = read_published(published(tmp_path / "net.csv"))
    with pytest.raises(UnknownNameError, match="top-label, every-category"):
        one.unique("all")
