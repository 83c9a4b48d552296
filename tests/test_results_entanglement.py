"""Entanglement: what it says of itself, on arrays with known answers, and what storage keeps of it."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_entanglement import analysed, entanglement
from numpy.typing import NDArray
from sameness import assert_same

from interpkit.errors import ResultError, UnknownNameError
from interpkit.results import Ablation, Entanglement, Gallery, load, save

Floats = NDArray[np.float64]
# Five units and three classes: 0 knows a best, 1 knows b alone, 2 knows a and c equally, 3 knows nothing, 4 knows c.
KNOWN = np.array([[0.4, 0.1, 0.0], [0.0, 0.3, 0.0], [0.2, 0.0, 0.2], [0.0, 0.0, 0.0], [0.1, 0.2, 0.5]])
LUCK = np.array([[0.02, 0.0, 0.02], [0.0, 0.03, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.01, 0.01, 0.02]])
ENTROPY = np.array([0.5, 0.6, 0.625])


def by_hand(**changes: Any) -> Entanglement:
    """``KNOWN`` with means in which units 0 and 4 are higher on their class, unit 1 lower, unit 2 neither."""
    mean = np.array([1.0, 1.0, 2.0, 0.0, 1.0])
    class_mean = np.array([[3.0, 1.5, 2.0, 0.0, 0.0], [0.0, 0.5, 2.0, 0.0, 0.0], [0.0, 1.5, 2.0, 0.0, 4.0]])
    values: dict[str, Any] = {
        "information": KNOWN,
        "permuted": LUCK,
        "entropy": ENTROPY,
        "class_images": np.array([10, 20, 30]),
        "mean": mean,
        "class_mean": class_mean,
        "dead": np.array([False, False, False, True, False]),
        "mass": np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.2, 0.2, 0.4]]),
    }
    one = entanglement(5, classes=("a", "b", "c"), **{**values, **changes})
    none = Gallery(
        names=(),
        unit=np.zeros(0, np.int64),
        image=np.zeros(0, np.int64),
        peak=np.zeros(0, np.float32),
        position=np.zeros((0, 2)),
        outlines=(),
        grid=(4, 4),
    )
    return replace(one, gallery=none, pictures={})


# --- scores


def test_a_unit_is_owned_by_the_class_it_knows_best():
    one = by_hand()
    assert one.units == 5
    assert one.best.tolist() == [0.4, 0.3, 0.2, 0.0, 0.5]
    assert one.owner.tolist() == [0, 1, 0, -1, 2]  # of equal classes the first; none where nothing is known
    assert one.units_per_class.tolist() == [2, 1, 1]
    assert one.positive.tolist() == [True, False, False, False, True]


def test_the_scores_of_known_arrays():
    one = by_hand()
    assert one.mis == pytest.approx((0.4 + 0.3 + 0.2 + 0.0 + 0.5) / 5)
    assert one.mis_floor == pytest.approx((0.02 + 0.03 + 0.0 + 0.0 + 0.02) / 5)
    # Unit 2 knows 0.4 of a and 0.32 of c; the largest share need not be the owner's.
    assert one.normalised_mis == pytest.approx((0.8 + 0.5 + 0.4 + 0.0 + 0.8) / 5)
    assert one.normalised_mis_floor == pytest.approx((0.04 + 0.05 + 0.0 + 0.0 + 0.032) / 5)
    # Units that know nothing have no share.
    assert one.mis_l1 == pytest.approx((0.4 / 0.5 + 1 + 0.5 + 0.5 / 0.8) / 4)
    assert one.mis_l1_floor == pytest.approx((0.5 + 1 + 0.5) / 3)
    # Mean over units and classes of information / the unit's largest.
    assert one.density == pytest.approx((1.25 + 1 + 2 + 1.6) / 12)


def test_the_largest_share_need_not_be_the_owners():
    known = np.array([[0.3, 0.25]])
    means = {"class_mean": np.zeros((2, 1)), "mean": np.zeros(1)}
    one = replace(by_hand(), information=known, entropy=np.array([0.6, 0.25]), **means)
    assert one.owner.tolist() == [0]
    assert one.normalised_mis == pytest.approx(1.0)


def test_purity_is_the_best_over_the_second():
    np.testing.assert_allclose(by_hand().purity, [4, math.inf, 1, math.nan, 2.5])
    alone = replace(by_hand(), information=KNOWN[:, :1])
    np.testing.assert_array_equal(alone.purity, [math.inf, math.nan, math.inf, math.nan, math.inf])


def test_nothing_known_has_no_shares_and_can_be_told():
    zeros = np.zeros((5, 3))
    one = by_hand(information=zeros, permuted=zeros)
    assert (one.mis, one.mis_floor, one.normalised_mis) == (0, 0, 0)
    assert math.isnan(one.mis_l1)
    assert math.isnan(one.density)
    assert one.owner.tolist() == [-1] * 5
    assert one.units_per_class.tolist() == [0, 0, 0]
    assert not one.positive.any()
    summary = json.loads(json.dumps(one.summary(), allow_nan=False))
    assert (summary["mis_l1"], summary["density"], summary["chance"]["mis_l1"]) == (None, None, None)
    assert summary["classes_without_units"] == 3
    assert one.table()["owner"].tolist() == [""] * 5


def test_classes_that_hold_for_every_image_leave_nothing_to_know(tmp_path):
    one = by_hand(information=np.zeros((5, 3)), permuted=np.zeros((5, 3)), entropy=np.zeros(3))
    assert math.isnan(one.normalised_mis)
    json.dumps(one.summary(), allow_nan=False)
    assert math.isnan(load(save(one, tmp_path / "r")).normalised_mis)
    # One such class among others is passed over.
    some = by_hand(entropy=np.array([0.5, 0.0, 0.625]), information=KNOWN * [1, 0, 1])
    assert some.normalised_mis == pytest.approx((0.8 + 0 + 0.4 + 0 + 0.8) / 5)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(2, 5))
def test_laws_of_the_scores(seed, units, classes):
    rng = np.random.default_rng(seed)
    known = rng.random((units, classes)) * (rng.random((units, classes)) < 0.8)
    means = {"class_mean": rng.random((classes, units)), "mean": rng.random(units)}
    one = replace(by_hand(), information=known, permuted=known[:, ::-1], entropy=np.full(classes, 1.0), **means)
    assert 0 <= one.mis == one.mis_floor == one.normalised_mis <= 1
    if (known > 0).any():
        assert 1 / classes - 1e-12 <= one.mis_l1 <= 1
        assert 1 / classes - 1e-12 <= one.density <= 1 + 1e-12
        # Scaling every unit by its own factor moves no share.
        scaled = replace(one, information=known * rng.uniform(0.1, 1, (units, 1)))
        assert scaled.mis_l1 == pytest.approx(one.mis_l1)
        assert scaled.density == pytest.approx(one.density)
        np.testing.assert_array_equal(scaled.owner, one.owner)
    specific = replace(one, information=known.max(1, keepdims=True) * np.eye(classes)[rng.integers(0, classes, units)])
    if specific.mis > 0:
        assert specific.mis_l1 == pytest.approx(1)
        assert specific.density == pytest.approx(1 / classes)
        assert np.isinf(specific.purity[specific.best > 0]).all()


# --- classes


def test_dominance_is_own_mass_over_the_largest_other():
    one = by_hand()
    assert one.dominance == pytest.approx(((0.6 - 0.3) + (0.5 - 0.3) + (0.4 - 0.2)) / 3)
    assert math.isnan(replace(one, mass=np.ones((1, 1))).dominance)
    assert replace(one, mass=np.full((3, 3), 1 / 3)).dominance == pytest.approx(0)


def test_profiles_correlate_as_pearson_says():
    rng = np.random.default_rng(0)
    means = rng.normal(size=(3, 9))
    one = replace(by_hand(), class_mean=means)
    np.testing.assert_allclose(one.profile_correlation(), np.corrcoef(means))
    means[1] = 4.0
    flat = replace(one, class_mean=means).profile_correlation()
    assert flat[1].tolist() == flat[:, 1].tolist() == [0, 0, 0]
    assert flat[0, 2] == pytest.approx(np.corrcoef(means[[0, 2]])[0, 1])


def test_units_of_a_class_come_best_first():
    one = by_hand()
    assert one.units_of("a").tolist() == [0, 2]
    assert one.units_of("b").tolist() == [1]
    with pytest.raises(UnknownNameError, match="no class 'd'; there is a, b, c"):
        one.units_of("d")


def test_the_table_has_a_row_a_unit_in_order():
    table = by_hand().table()
    assert table["unit"].tolist() == [0, 1, 2, 3, 4]
    assert table["owner"].tolist() == ["a", "b", "a", "", "c"]
    np.testing.assert_allclose(table["information"], [0.4, 0.3, 0.2, 0, 0.5])
    np.testing.assert_allclose(table["normalised"], [0.8, 0.5, 0.4, 0, 0.8])
    np.testing.assert_allclose(table["permuted"], [0.02, 0.03, 0, 0, 0.02])
    assert table["positive"].tolist() == [True, False, False, False, True]
    assert table["dead"].tolist() == [False, False, False, True, False]


def test_the_summary_stands_beside_its_chance_level():
    summary = by_hand().summary()
    assert (summary["verb"], summary["units"], summary["classes"], summary["dead"]) == ("entangle", 5, 3, 1)
    assert set(summary["chance"]) == {"mis", "normalised_mis", "mis_l1", "density"}
    for name in ("mis", "normalised_mis", "mis_l1"):
        assert 0 <= summary["chance"][name] < summary[name]
    assert 1 / 3 <= summary["chance"]["density"] <= 1
    assert "ablation" not in summary
    assert set(analysed().summary()["ablation"]) == {"drop_own", "drop_other", "drop_random"}


def test_notebooks_show_the_units_that_know_most():
    page = by_hand()._repr_html_()
    assert "0.280 nats" in page
    assert page.index("0.500") < page.index("0.400")
    hostile = replace(by_hand(), layer="<script>")
    assert "<script>" not in hostile._repr_html_()


# --- analyses


def test_ablation_tells_own_from_other():
    one = Ablation(
        base=np.array([0.9, 0.8, 0.7]),
        recall=np.array([[0.4, 0.8, 0.6], [0.9, 0.7, 0.1]]),
        ablated=np.array([0, 2]),
        removed=np.array([3, 1]),
        control=np.array([[0.8, 0.8, 0.7], [0.9, 0.8, 0.5]]),
        draws=10,
        accuracy=0.8,
        head="a head",
    )
    np.testing.assert_allclose(one.drop, [[0.5, 0, 0.1], [0, 0.1, 0.6]])
    assert one.drop_own == pytest.approx((0.5 + 0.6) / 2)
    assert one.drop_other == pytest.approx((0 + 0.1 + 0 + 0.1) / 4)
    assert one.drop_random == pytest.approx((0.1 + 0.2) / 2)
    one = replace(one, base=one.base[:1], recall=one.recall[:1, :1], control=one.control[:1, :1], ablated=np.array([0]))
    assert math.isnan(one.drop_other)


# --- storage


@pytest.mark.parametrize("result", [by_hand(), entanglement(), analysed(), entanglement(cosine=None)], ids=str)
def test_everything_comes_back_from_disk(result, tmp_path):
    back = load(save(result, tmp_path / "run" / "layer-entangle"))
    assert_same(result, back, but=["pictures"])
    assert dict(back.pictures) == dict(result.pictures)
    assert back.summary() == result.summary()


def test_what_is_unknown_comes_back_unknown(tmp_path):
    unknown = {**entanglement().redundancy, "correlation_within": math.nan}
    one = entanglement(redundancy=unknown, without_block=np.full((16, 64), math.nan))
    back = load(save(one, tmp_path / "r"))
    assert math.isnan(back.redundancy["correlation_within"])
    assert np.isnan(back.without_block).all()
    about = json.loads((tmp_path / "r" / "result.json").read_text())
    assert about["redundancy"]["correlation_within"] is None


def test_people_can_read_the_matrix(tmp_path):
    folder = save(by_hand(), tmp_path / "r")
    table = pd.read_csv(folder / "information.csv")
    assert table.columns.tolist() == ["unit", "a", "b", "c"]
    np.testing.assert_allclose(table[["a", "b", "c"]], KNOWN)
    assert pd.read_csv(folder / "units.csv")["unit"].tolist() == [0, 1, 2, 3, 4]
    twice = entanglement(5, classes=("unit", "b", "b"), information=KNOWN)
    save(twice, tmp_path / "twice")
    assert (tmp_path / "twice/information.csv").read_text().splitlines()[0] == "unit,unit,b,b"


CUT = (
    *("information", "permuted", "without_block", "entropy", "class_mean", "mass", "correlation", "cosine"),
    *("ablation.base", "ablation.recall", "ablation.control", "ablation.removed", "ablation.ablated"),
    *("compression.accuracy", "compression.random", "compression.spread", "compression.removed"),
    *("gallery.unit", "gallery.position"),
)


@pytest.mark.parametrize("name", CUT)
def test_arrays_that_were_cut_are_refused(name, tmp_path):
    folder = save(analysed(), tmp_path / "run" / "layer")
    with np.load(folder / "scores.npz") as archive:
        arrays = dict(archive)
    np.savez(folder / "scores.npz", **{**arrays, name: arrays[name][:-1]})
    with pytest.raises(ResultError, match="is damaged"):
        load(folder)


def test_a_gallery_of_units_that_are_not_there_is_refused(tmp_path):
    one = entanglement(8)
    strange = replace(one, gallery=replace(one.gallery, unit=one.gallery.unit + 8))
    with pytest.raises(ResultError, match="the gallery shows unit"):
        load(save(strange, tmp_path / "r"))


def test_an_array_that_is_missing_is_refused(tmp_path):
    folder = save(entanglement(), tmp_path / "run" / "layer")
    with np.load(folder / "scores.npz") as archive:
        arrays = dict(archive)
    del arrays["mass"]
    np.savez(folder / "scores.npz", **arrays)
    with pytest.raises(ResultError, match=r"is damaged: scores.npz holds no mass"):
        load(folder)
