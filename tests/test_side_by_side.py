"""Columns side by side: measures, intervals, concepts, what compares, names and axes."""

from dataclasses import replace

import numpy as np
import pytest
from made_beside import blocked, optioned, published
from made_comparison import LAYER, results_of
from made_entanglement import entanglement
from made_pages import unlabelled
from made_results import provenance
from reference.jackknife import plain_interval, unique_without

from interpkit.comparison import side_by_side
from interpkit.comparison._jackknife import interval
from interpkit.errors import ResultError, UnknownNameError
from interpkit.results import SideBySide, load, read_published, save

RULES = ("top-label", "every-category")


def beside(*given, **options) -> SideBySide:
    return side_by_side(list(given), **options)[0]


def test_values_and_intervals_are_those_counted_anew():
    columns = [blocked(seed) for seed in range(2)]
    result = beside(*[[one] for one in columns])
    held = [b for b in range(16) if b != 5]
    varied = []
    for n, column in enumerate(columns):
        plain = np.array([unique_without(column.blocks, b, threshold=0.04) for b in held])
        for k, name in enumerate(("detectors", "unique_top_label", "iou")):
            measure = result.measure(name)
            whole = unique_without(column.blocks, -1, threshold=0.04)[k]
            assert measure.values[n] == pytest.approx(whole, rel=1e-12)
            low, high = plain_interval(whole, plain[:, k], quantile=2.145)
            assert measure.high[n] == pytest.approx(high, rel=1e-9)
            assert measure.low[n] == pytest.approx(max(low, 0) if name != "iou" else low, rel=1e-9)
        varied.append(np.ptp(plain, axis=0))
    assert (np.max(varied, axis=0)[[0, 2]] > 0).all(), "no block matters here"


def test_the_interval_of_a_change_leaves_out_the_same_block():
    one, other = blocked(0), blocked(1)
    result = beside([one], [other])
    measure = result.measure("iou")
    apart = [
        unique_without(other.blocks, b, threshold=0.04)[2] - unique_without(one.blocks, b, threshold=0.04)[2]
        for b in range(16)
        if b != 5
    ]
    low, high = plain_interval(measure.changes[1], np.array(apart), quantile=2.145)
    assert (measure.changes_low[1], measure.changes_high[1]) == pytest.approx((low, high), rel=1e-9)
    assert np.isnan(measure.changes_low[0])
    same = beside([one], [replace(one, provenance=replace(one.provenance, model_sha="c" * 64))], names=("a", "b"))
    assert same.measure("iou").changes_low[1] == same.measure("iou").changes_high[1] == 0
    assert same.measure("iou").verdict(1) == "unclear"


def test_intervals_of_means_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(600):
        blocks = rng.normal(1.0, 0.5, 16)
        low, high = interval(blocks.mean(), (blocks.sum() - blocks) / 15)
        held += low <= 1.0 <= high
    assert 0.93 <= held / 600 <= 0.97
    assert np.isnan(interval(1.0, np.array([1.0, 1.1, 0.9]))).all()


def test_mutual_information_stands_beside_its_floor_with_an_interval():
    sides = [entanglement(12, layer=LAYER, classes=("a", "b", "c"), seed=seed) for seed in (0, 1)]
    rng = np.random.default_rng(0)
    sides = [replace(one, without_block=one.best + rng.normal(0, 0.01, (16, 12))) for one in sides]
    sides[0].without_block[3] = sides[0].best  # a block without images
    sides[1] = replace(sides[1], images=sides[0].images, class_images=sides[0].class_images)
    result = beside([sides[0]], [sides[1]], names=("x", "y"))
    measure = result.measure("mis")
    assert measure.values == (sides[0].mis, sides[1].mis)
    assert measure.floors == (sides[0].mis_floor, sides[1].mis_floor)
    low, high = interval(sides[0].mis, np.delete(sides[0].without_block.mean(1), 3))
    assert (measure.low[0], measure.high[0]) == (low, high)
    assert np.isfinite(measure.changes_low[1])


def test_concepts_are_counted_by_both_rules():
    columns = [blocked(seed) for seed in (0, 1, 2)]
    result = beside(*[[one] for one in columns])
    for rule in RULES:
        table = result.by_category()
        for n, one in enumerate(columns):
            mine = table[(table["rule"] == rule) & (table["column"] == n)].set_index("category")
            assert mine["unique"].to_dict() == one.unique(rule)
            if rule == "top-label":
                assert mine["detectors"].sum() == one.detectors().sum()
    assert "status" not in result.by_concept()


def test_of_two_columns_concepts_are_gained_lost_or_kept():
    one, other = blocked(1), blocked(8)
    result = beside([one], [other], rule="every-category")
    table = result.by_concept()
    was, now = (
        {tuple(row) for row in part.by_concept("every-category")[["name", "category"]].to_numpy()}
        for part in (one, other)
    )
    for status, want in {"gained": now - was, "lost": was - now, "kept": was & now}.items():
        assert want
        mine = table.loc[table["status"] == status, ["name", "category"]].to_numpy()
        assert {tuple(row) for row in mine} == want


def test_iou_lies_on_common_bins():
    columns = [blocked(0), blocked(1, units=30)]
    table = beside(*[[one] for one in columns]).distribution(step=0.05)
    assert [table["0"].sum(), table["1"].sum()] == [12, 30]
    for n, one in enumerate(columns):
        best = one.best()[1]
        assert table[str(n)].tolist() == [
            int(((best >= low - 1e-9) & (best < low + 0.05 - 1e-9)).sum()) for low in table["low"]
        ]


def test_published_tables_are_columns_like_any_other(tmp_path):
    tables = [read_published(published(tmp_path / f"net{n}.csv", seed=n, units=40 + n)) for n in range(3)]
    result = beside(*tables)
    assert result.measure("unique_top_label").values == tuple(sum(one.unique().values()) for one in tables)
    assert result.measure("detector_share").values[0] == pytest.approx(tables[0].detectors().mean())
    assert np.isnan(result.measure("detectors").changes_low[1])
    assert (result.axis, result.axis_name) == ((0.0, 1.0, 2.0), "net")
    assert [one.verbs for one in result.columns] == [("published",)] * 3


def test_a_published_table_beside_a_run_is_checked_by_its_concepts(tmp_path):
    run = blocked(0)
    save(blocked(1), tmp_path / "run" / "layer")
    own = read_published(tmp_path / "run" / "layer" / "units.csv")
    result = beside([run], own)
    assert any("names neither its label set" in words for words in result.warnings)
    strange = read_published(published(tmp_path / "net.csv"))
    with pytest.raises(ResultError, match=r"0 of \d+ concepts of net are in the label set my set"):
        beside([run], strange)


APART = {
    "label set": {"labels_sha": "d" * 64},
    "quantile 0.005 / 0.01": {"options": optioned(quantile=0.01)},
    "category rule annotated / all": {"options": optioned(category_rule="all")},
    "align none / effective": {"options": optioned(align="effective")},
    "iou 0.04 / 0.1": {"options": optioned(iou=0.1)},
    "limit none / 20": {"options": optioned(limit=20)},
}


@pytest.mark.parametrize("what", APART)
def test_what_does_not_compare_is_refused_and_may_be_forced(what):
    sides = [blocked(0)], [blocked(1, **APART[what])]
    with pytest.raises(ResultError, match=f"net 0 and net 1 do not compare: dissect: {what}") as error:
        beside(*sides)
    assert "\n" not in str(error.value)
    forced = beside(*sides, force=True)
    assert len(forced.forced) == 1
    assert forced.movers is None
    if what == "label set":
        assert np.isnan(forced.measure("detectors").changes_low[1])


DECIDING = {
    "dissect": {"split": "train"},
    "entangle": {"target": "prediction", "pool": "max", "rectify": "no", "estimator": "knn", "split": "x", "limit": 9},
    "parts": {"align": "effective", "top": 7, "radius": 3, "split": "x", "limit": 9},
}


@pytest.mark.parametrize(("verb", "name"), [(verb, name) for verb, held in DECIDING.items() for name in held])
def test_every_option_that_decides_is_named(verb, name):
    sides = [results_of("none", seed=0), results_of("icnn", seed=1)]
    (one,) = (k for k, result in enumerate(sides[1]) if result.provenance.verb == verb)
    made = sides[1][one].provenance
    changed = replace(made, options={**made.options, name: DECIDING[verb][name]})
    sides[1] = [*sides[1][:one], replace(sides[1][one], provenance=changed), *sides[1][one + 1 :]]
    with pytest.raises(ResultError, match=f"do not compare: {verb}: {name} [^;/]+ / {DECIDING[verb][name]}"):
        beside(*sides, names=("a", "b"))


def test_fewer_images_of_the_same_set_do_not_compare():
    other = blocked(1)
    with pytest.raises(ResultError, match=r"dissect: images [\d,]+ / [\d,]+;"):
        beside([blocked(0)], [replace(other, images=other.images - 1)])


def test_a_measure_s_interval_needs_the_same_images_of_that_measure_alone():
    extra = entanglement(12, layer="layer", classes=("a", "b", "c"))
    alone, both = beside([blocked(0)], [blocked(1)]), beside([blocked(0), extra], [blocked(1)])
    assert both.measure("iou").changes_low[1] == alone.measure("iou").changes_low[1]
    assert np.isfinite(both.measure("iou").changes_low[1])


def test_a_gain_that_chance_gives_too_is_no_better():
    one = beside([blocked(0)], [blocked(1)]).measure("detectors")
    gained = replace(one, values=(2.0, 9.0), changes_low=(np.nan, 3.0), changes_high=(np.nan, 8.0), floors=(0.0, 9.0))
    assert gained.verdict(1) == "chance"
    assert replace(gained, floors=(0.0, 8.0)).verdict(1) == "better"
    assert replace(gained, floors=(0.0, np.nan)).verdict(1) == "better"
    assert replace(gained, better="lower", floors=(0.0, 9.0)).verdict(1) == "worse"


def test_small_changes_keep_two_digits():
    one = beside([blocked(0)], [blocked(1)]).measure("iou")
    assert [one.said(value) for value in (-0.00044, 0.0, 0.025, np.nan)] == ["-0.00044", "0.000", "0.025", "none"]


def test_results_without_labels_have_their_dead_units_alone():
    result = beside([unlabelled()], [unlabelled()], names=("a", "b"))
    assert [one.name for one in result.measures] == ["dead"]
    assert result.movers is None


def test_other_images_or_classes_do_not_compare_for_mutual_information():
    one = entanglement(12, layer=LAYER, classes=("a", "b", "c"), seed=0)
    mix = one.class_images + np.array([1, -1, 0])
    with pytest.raises(ResultError, match="entangle: class mix 3 classes"):
        beside([one], [replace(one, class_images=mix)], names=("x", "y"))
    with pytest.raises(ResultError, match="entangle: images"):
        beside([one], [replace(one, images=one.images + 1)], names=("x", "y"))


def test_a_run_of_several_layers_gives_a_column_for_each():
    layers = [blocked(seed, layer=f"block {seed}", model_sha="e" * 64, model="net") for seed in (3, 7, 9)]
    result = beside(layers)
    assert result.names == ("block 3", "block 7", "block 9")
    assert (result.axis, result.axis_name) == ((1.0, 2.0, 3.0), "layer")
    assert result.layer == "several layers"


@pytest.mark.parametrize(
    ("names", "axis", "called"),
    [
        (("epoch-5", "epoch-1", "epoch-20"), (5.0, 1.0, 20.0), "epoch"),
        (("0.25", "0.5", "1"), (0.25, 0.5, 1.0), "number"),
        (("v2 width 8", "v2 width 16", "v2 width 32"), (8.0, 16.0, 32.0), "width"),
        (("1 of 3", "2 of 4", "3 of 3"), (), ""),
        (("rate 1e-2", "rate 1e-3", "rate 5e-4"), (0.01, 0.001, 0.0005), "rate"),
        (("1", "2", "3" * 400), (), ""),
        (("a", "b", "c"), (), ""),
        (("a 1", "a 2", "b 3"), (), ""),
    ],
)
def test_names_that_differ_in_one_number_are_an_axis(names, axis, called):
    result = beside([blocked(0)], [blocked(1)], [blocked(2)], names=names)
    assert (result.axis, result.axis_name) == (axis, called)


def test_every_kind_stands_side_by_side():
    result, pair = side_by_side([results_of("none", seed=0), results_of("icnn", seed=1)], names=("a", "b"))
    have = [one.name for one in result.measures]
    assert {"accuracy", "detectors", "mis", "instability", "template", "dead"} <= set(have)
    assert pair is not None
    assert ("network", ("model", "model")) not in result.differs


def test_settings_are_equal_or_differ():
    result = beside([blocked(0)], [blocked(1, options=optioned(seed=4))])
    assert ("network", ("net 0", "net 1")) in result.differs
    assert ("seed", ("\N{EN DASH}", "4")) in result.differs
    assert result.equal["quantile"] == "0.005"


MISTAKES = {
    "one": (lambda: beside([blocked(0)]), "two results or more"),
    "names": (lambda: beside([blocked(0)], [blocked(1)], names=("a",)), "1 names for 2 columns"),
    "no name": (lambda: beside([blocked(0)], [blocked(1)], names=("a", "")), "a name is empty among 'a', ''"),
    "same name": (lambda: beside([blocked(0)], [blocked(1)], names=("a", "a")), "are not different"),
    "nothing": (lambda: beside([], [blocked(1)]), "holds no result that compares"),
    "twice": (lambda: beside([blocked(0), blocked(0)], [blocked(1)]), "several results of Dissection"),
    "apart": (lambda: beside([entanglement(12, layer=LAYER)], [blocked(1)]), "nothing was measured of two of them"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes_are_one_line(what):
    ask, said = MISTAKES[what]
    with pytest.raises(ResultError, match=said) as error:
        ask()
    assert "\n" not in str(error.value)


def test_a_comparison_is_no_column_and_says_what_it_was_made_of():
    result, pair = side_by_side([[blocked(0)], [blocked(1)]])
    with pytest.raises(ResultError, match="a comparison of net 0 and net 1"):
        beside([result, pair], [blocked(0)])


def test_a_rule_and_a_measure_that_do_not_exist_are_named():
    with pytest.raises(UnknownNameError, match="every-category"):
        beside([blocked(0)], [blocked(1)], rule="all")
    with pytest.raises(UnknownNameError, match="detectors"):
        beside([blocked(0)], [blocked(1)]).measure("nothing")


def test_it_is_stored_whole(tmp_path):
    result = beside([blocked(0)], [blocked(1)], command="interpkit compare a b", match="yes")
    again = load(save(result, tmp_path / "layer-side-by-side"))
    assert again.summary() == result.summary()
    assert repr(again.measures) == repr(result.measures)
    assert (again.equal, again.differs, again.warnings) == (result.equal, result.differs, result.warnings)
    assert again.by_concept().equals(result.by_concept())
    assert [one.tolist() for one in again.iou] == [one.tolist() for one in result.iou]
    assert again.movers.units.tolist() == result.movers.units.tolist()
    assert again.movers.concepts == result.movers.concepts
    assert again.movers.galleries[1].outlines == result.movers.galleries[1].outlines
    assert again.provenance.fingerprint == result.provenance.fingerprint
    assert provenance().verb not in again.provenance.verb


def test_a_notebook_shows_names_as_text():
    evil = "<script>alert(1)</script>"
    result = beside([blocked(0)], [blocked(1)], names=(evil, "b"))
    html = result._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_parts_that_do_not_belong_together_are_refused():
    result = beside([blocked(0)], [blocked(1)])
    with pytest.raises(ValueError, match="there are 2 columns"):
        replace(result, iou=result.iou[:1])
    with pytest.raises(ValueError, match="detecting by top-label"):
        replace(result, detecting={"top-label": np.zeros((1, 1), np.int64)})
