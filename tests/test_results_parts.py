"""PartScores: what its three measures say of themselves, on arrays with known answers, and what storage keeps."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_parts import partscores, stability, templates, without_landmarks
from numpy.typing import NDArray
from sameness import assert_same

from interpkit.results import Association, PartScores, Stability, TemplateScores, load, save

Floats = NDArray[np.float64]
NAN = math.nan
# (U, P, K): three units, two landmarks, two classes; the second landmark is never annotated in the second class, and
# the last unit has no place.
DEVIATION = np.array([[[0.1, 0.2], [0.3, NAN]], [[0.2, 0.05], [0.4, NAN]], [[NAN, NAN], [NAN, NAN]]])


def by_hand(**changes: Any) -> Stability:
    values: dict[str, Any] = {
        "classes": ("a", "b"),
        "parts": ("head", "tail"),
        "deviation": DEVIATION,
        "explained": np.array([[[0.8, 0.1], [0.4, NAN]], [[0.0, 0.3], [0.2, NAN]], [[NAN, NAN], [NAN, NAN]]]),
        "spread": np.array([[0.25, 0.5], [0.125, 0.375], [NAN, NAN]]),
        "judged": np.array([[[20, 30], [10, 0]], [[20, 9], [10, 0]], [[0, 0], [0, 0]]]),
        "used": np.array([[20, 30], [10, 0]]),
        "random": np.array([[[0.15, 0.16], [0.17, NAN]], [[0.13, 0.10], [0.15, NAN]]]),
        "centre": np.array([[0.06, 0.07], [0.08, NAN]]),
        "constant": np.array([[[0.05, 0.09], [0.09, NAN]], [[0.10, 0.02], [0.14, NAN]]]),
        "top": 100,
    }
    return Stability(**{**values, **changes})


# --- location instability


def test_both_rules_of_known_arrays():
    # Single: over every class and landmark alike. Multi: each class by itself, then the lowest.
    np.testing.assert_allclose(Stability.single(DEVIATION), [0.2, 0.65 / 3, NAN])
    np.testing.assert_allclose(Stability.multi(DEVIATION), [0.2, 0.05, NAN])
    one = by_hand()
    assert one.best_class().tolist() == [0, 1, -1]  # of equal classes the first: unit 0 has 0.2 in both
    np.testing.assert_allclose(one.at_best(one.spread), [0.25, 0.375, NAN])
    np.testing.assert_allclose(one.at_best(one.explained), [0.6, 0.3, NAN])


def test_the_summary_stands_beside_its_baselines():
    summary = by_hand().summary()
    assert summary["single"] == {
        "instability": pytest.approx((0.2 + 0.65 / 3) / 2),
        "random": pytest.approx((0.48 / 3 + 0.38 / 3) / 2),
        "centre": pytest.approx(0.07),
        "best_constant": pytest.approx(0.23 / 3),
    }
    assert summary["multi"] == {
        "instability": pytest.approx(0.125),
        "random": pytest.approx((0.16 + 0.10) / 2),  # each unit that sees nothing picks its class too
        "centre": pytest.approx(0.07),
        "best_constant": pytest.approx(0.02),
    }
    assert summary["spread"] == pytest.approx((0.25 + 0.375) / 2)
    assert summary["explained"] == pytest.approx(0.45)
    assert summary["units"] == 2
    words = by_hand().words()
    assert words == "location instability 0.125 (random 0.130, image centre 0.070, best constant place 0.020)"


def test_the_columns_of_the_table():
    columns = by_hand().columns()
    np.testing.assert_allclose(columns["instability"], [0.2, 0.05, NAN])
    np.testing.assert_allclose(columns["instability_all_classes"], [0.2, 0.65 / 3, NAN])
    assert columns["steadiest_class"].tolist() == ["a", "b", ""]
    np.testing.assert_allclose(columns["spread"], [0.25, 0.375, NAN])


def test_with_one_class_both_rules_are_one():
    deviation = np.random.default_rng(0).random((5, 3, 1))
    np.testing.assert_allclose(Stability.single(deviation), Stability.multi(deviation))
    np.testing.assert_allclose(Stability.single(deviation), deviation[:, :, 0].mean(1))


@given(st.integers(0, 2**32 - 1))
def test_the_lowest_class_is_never_above_the_mean_class(seed):
    rng = np.random.default_rng(seed)
    deviation = np.where(rng.random((6, 3, 4)) < 0.3, np.nan, rng.random((6, 3, 4)))
    multi = Stability.multi(deviation)
    for unit, one in enumerate(deviation):
        means = [np.mean([v for v in one[:, k] if not math.isnan(v)]) for k in range(4) if np.isfinite(one[:, k]).any()]
        assert multi[unit] == pytest.approx(min(means, default=NAN), nan_ok=True)
        known = one[np.isfinite(one)]
        assert Stability.single(one) == pytest.approx(known.mean() if known.size else NAN, nan_ok=True)


def test_units_without_any_place_can_be_told():
    nowhere = np.full((3, 2, 2), NAN)
    one = by_hand(deviation=nowhere, explained=nowhere, spread=nowhere[:, 0])
    summary = json.loads(json.dumps(one.summary(), allow_nan=False))
    assert summary["multi"]["instability"] is None
    assert summary["units"] == 0
    assert "instability none" in one.words()


# --- part interpretability


def covering() -> Association:
    """Unit 0 covers the head, unit 1 the tail, unit 2 nothing."""
    strict = np.array([[0.6, 0.1], [0.2, 0.3], [0.0, 0.0]])
    return Association(
        parts=("head", "tail"),
        strict=strict,
        loose=np.array([[0.9, 0.2], [0.4, 0.8], [0.0, 0.1]]),
        chance_strict=np.array([[0.1, 0.0], [0.0, 0.2], [0.0, 0.0]]),
        chance_loose=np.array([[0.3, 0.1], [0.1, 0.5], [0.0, 0.1]]),
        images=np.array([40, 20]),
        radius=28.0,
        why="as asked",
    )


def test_part_interpretability_is_the_mean_of_the_best_part():
    summary = covering().summary()
    assert summary == {
        "part_interpretability": pytest.approx(0.9 / 3),
        "chance": pytest.approx(0.3 / 3),
        "part_interpretability_0.04": pytest.approx(1.8 / 3),
        "chance_0.04": pytest.approx(0.9 / 3),
    }
    assert covering().words() == "part interpretability 0.300 (chance 0.100)"


def test_a_unit_that_covers_nothing_is_named_after_nothing():
    columns = covering().columns()
    assert columns["part"].tolist() == ["head", "tail", ""]
    assert columns["part_interpretability"].tolist() == [0.6, 0.3, 0.0]
    assert columns["part_interpretability_chance"].tolist() == [0.1, 0.2, 0.0]


# --- templates


def shaped(**changes: Any) -> TemplateScores:
    """Three units, of which the last is flagged."""
    values: dict[str, Any] = {
        "classes": ("a", "b"),
        "settings": ("c = 1", "c = 2", "paper"),
        "chosen": 1,
        "tau": np.ones((3, 3)),
        "information": np.array([[1.0, 2.0, 9.0], [2.0, 3.0, 9.0], [0.1, 0.1, 9.0]]),
        "ratio": np.array([[0.2, 0.4, 0.9], [0.3, 0.5, 0.9], [0.0, 0.1, 0.9]]),
        "inter": np.array([[0.5, 0.5, 0.1], [0.6, 0.8, 0.1], [1.0, 1.0, 0.1]]),
        "spatial": np.array([[0.5, 0.5, 0.1], [0.4, 0.2, 0.1], [1.0, 1.0, 0.1]]),
        "auc": np.array([[0.5, 0.9], [0.7, 0.3], [0.99, 0.99]]),
        "flagged": np.array([False, False, True]),
        "chance": np.array([0.1, 0.2, 0.9]),
        "beta": 4.0,
        "images": 100,
    }
    return TemplateScores(**{**values, **changes})


def test_flagged_units_are_left_out_of_the_means():
    summary = shaped().summary()
    assert summary == {
        "ratio": pytest.approx(0.4),
        "chance": pytest.approx(0.15),
        "inter": pytest.approx(0.7),
        "spatial": pytest.approx(0.3),
        "auc": pytest.approx(0.8),
        "flagged": 1,
        "sweep": {"c = 1": pytest.approx(0.3), "c = 2": pytest.approx(0.4), "paper": pytest.approx(0.05)},
    }
    assert "0.400" in shaped().words()
    assert "0.150" in shaped().words()


def test_the_columns_are_read_at_the_chosen_setting():
    columns = shaped().columns()
    assert columns["template_ratio"].tolist() == [0.3, 0.5, 0.9]
    assert columns["template_information"].tolist() == [2.0, 3.0, 9.0]
    assert columns["auc"].tolist() == [0.9, 0.7, 0.99]
    assert columns["auc_class"].tolist() == ["b", "a", "a"]
    assert columns["nearly_dead"].tolist() == [False, False, True]
    unknown = shaped(auc=np.array([[NAN, 0.9], [NAN, NAN], [0.1, NAN]])).columns()
    assert unknown["auc_class"].tolist() == ["b", "", "a"]
    none = shaped(classes=(), auc=np.zeros((3, 0)))
    assert "auc" not in none.columns()
    assert none.summary()["auc"] is None


def test_a_layer_that_is_all_but_dead_can_be_told():
    one = shaped(flagged=np.ones(3, np.bool_))
    summary = json.loads(json.dumps(one.summary(), allow_nan=False))
    assert (summary["ratio"], summary["auc"], summary["flagged"]) == (None, None, 3)
    assert one.words().count("none") == 2


# --- the whole


def test_the_table_joins_the_measures():
    table = partscores(12).table()
    assert table["unit"].tolist() == list(range(12))
    assert {"instability", "part", "template_ratio"} <= set(table.columns)
    assert {"instability", "spread"}.isdisjoint(without_landmarks(12).table().columns)
    bare = partscores(12, association=None).table()
    assert "part" not in bare
    assert set(partscores().summary()) >= {"stability", "association", "templates"}
    assert "stability" not in without_landmarks().summary()


def test_notebooks_show_what_there_is():
    page = partscores()._repr_html_()
    assert page.count("<li>") == 3
    assert without_landmarks()._repr_html_().count("<li>") == 2
    assert "<script>" not in replace(partscores(), layer="<script>")._repr_html_()


BACK = {
    "everything": partscores(),
    "without landmarks": without_landmarks(),
    "without parts": partscores(association=None),
    "without classes": partscores(stability=stability(classes=("",)), templates=templates(classes=())),
    "skipped": partscores(skipped=("a.png", "b/ü.png")),
}


@pytest.mark.parametrize("what", BACK)
def test_everything_comes_back_from_disk(what, tmp_path):
    back = load(save(BACK[what], tmp_path / "run" / "layer-parts"))
    assert_same(BACK[what], back, but=["pictures"])
    assert dict(back.pictures) == dict(BACK[what].pictures)
    assert back.summary() == BACK[what].summary()
    table = pd.read_csv(tmp_path / "run/layer-parts/units.csv")
    assert table["unit"].tolist() == list(range(64))


# An array or a value of a stored result -> another in its place, which does not fit the others.
WRONG = {
    "stability.deviation": lambda array: array[:-1],
    "stability.explained": lambda array: array[:, 1:],
    "stability.random": lambda array: array[..., :1],
    "association.strict": lambda array: array[:, 1:],
    "association.images": lambda array: array[:2],
    "templates.tau": lambda array: array[:-1],
    "templates.auc": lambda array: array[:, :1],
    "templates.flagged": lambda array: array[1:],
    "gallery.unit": lambda array: array + 64,
    "gallery.image": lambda array: array + 99,
    "gallery.peak": lambda array: array[1:],
    "shown": lambda array: array[1:],
    "units": lambda _: 63,
}


@pytest.mark.parametrize("name", WRONG)
def test_parts_of_different_results_are_refused(name):
    parts = partscores().to_parts()
    arrays, about = dict(parts.arrays), json.loads(json.dumps(parts.about))
    where = arrays if name in arrays else about
    where[name] = WRONG[name](where[name])
    said = {"units": "not \\(63,", "gallery.image": "18 pictures are listed"}.get(name, name.split(".")[-1])
    with pytest.raises(ValueError, match="gallery" if name in {"gallery.unit", "gallery.peak"} else said):
        PartScores.from_parts(replace(parts, arrays=arrays, about=about))


def test_names_of_other_classes_or_parts_are_refused():
    parts = partscores().to_parts()
    for measure, key in [("stability", "classes"), ("stability", "parts"), ("templates", "settings")]:
        about = json.loads(json.dumps(parts.about))
        about[measure][key] = about[measure][key][1:]
        with pytest.raises(ValueError, match="has shape"):
            PartScores.from_parts(replace(parts, about=about))


def test_a_unit_is_praised_for_what_ten_images_show():
    one = by_hand()
    np.testing.assert_array_equal(one.steadiest_to(), [[0, 0, -1], [0, 0, -1]])
    assert np.isnan(one.sound()[1, 0, 1])  # nine images
    columns = one.columns()
    assert columns["steadiest_landmark"].tolist() == ["head", "head", ""]
    assert columns["of_class"].tolist() == ["a", "a", ""]
    np.testing.assert_array_equal(columns["deviation"], [0.1, 0.2, NAN])
