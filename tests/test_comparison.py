"""Two networks side by side: which numbers stand there, what they mean, what storage keeps, what is refused."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_comparison import COMMAND, comparison, results_of, side_by_side, small_finetuning, without_landmarks
from made_entanglement import HOSTILE
from made_pages import unlabelled
from sameness import assert_same

from interpkit.comparison import Look, compare
from interpkit.comparison._luck import explained_by_luck, least_of_counts, least_of_means
from interpkit.errors import ResultError, UnknownNameError
from interpkit.location import instability
from interpkit.results import (
    Comparison,
    Dissection,
    Entanglement,
    FineTuning,
    Measure,
    PartScores,
    Stability,
    load,
    result_folder_name,
    save,
)

NAN = math.nan


def measure(**changes: object) -> Measure:
    values: dict[str, object] = {
        "name": "accuracy",
        "title": "Accuracy",
        "group": "Accuracy",
        "before": 0.5,
        "after": 0.75,
        "floor_before": 0.25,
        "floor_after": 0.25,
        "floor": "always the commonest class",
        "better": "higher",
        "unit": "share",
        "words": "",
    }
    return Measure(**{**values, **changes})  # type: ignore[arg-type]


def both(kind: type) -> tuple[object, object]:
    """The results of a kind that `comparison()` is made of."""
    first, second = (
        next(one for one in results_of(loss, seed=seed) if isinstance(one, kind))
        for seed, loss in enumerate(("none", "icnn"))
    )
    return first, second


# --- one measure


@pytest.mark.parametrize(
    ("better", "after", "verdict"),
    [
        ("higher", 0.75, "better"),
        ("higher", 0.25, "worse"),
        ("higher", 0.5, "same"),
        ("lower", 0.75, "worse"),
        ("lower", 0.25, "better"),
        ("neither", 0.75, "neither"),
        ("higher", NAN, "neither"),
    ],
)
def test_what_a_change_means(better: str, after: float, verdict: str) -> None:
    assert measure(better=better, after=after).verdict == verdict


@pytest.mark.parametrize(
    ("least", "verdict", "said"),
    [(0.3, "same", "about the same"), (0.25, "same", "about the same"), (0.2, "better", "better")],
)
def test_a_change_must_exceed_what_luck_allows(least: float, verdict: str, said: str) -> None:
    one = measure(least=least)
    assert (one.verdict, one.said_verdict()) == (verdict, said)
    assert measure(after=0.5).said_verdict() == "the same"
    assert measure(better="neither", least=least).said_verdict() == ""
    # One image of 192 is no difference, however it is rounded.
    assert measure(before=150 / 192, after=149 / 192, least=1 / 192).verdict == "same"
    assert measure(before=150 / 192, after=148 / 192, least=1 / 192).verdict == "worse"


@pytest.mark.parametrize(
    ("better", "floors", "beyond"),
    [
        ("higher", (0.25, 0.8), (True, False)),
        ("lower", (0.25, 0.8), (False, True)),
        ("higher", (0.5, NAN), (False, None)),
        ("neither", (0.25, 0.8), (None, None)),
    ],
)
def test_a_number_is_held_against_its_floor(
    better: str, floors: tuple[float, float], beyond: tuple[bool | None, bool | None]
) -> None:
    assert measure(better=better, floor_before=floors[0], floor_after=floors[1]).beyond == beyond
    assert measure(better=better, floor_before=0.1, after=NAN).beyond[1] is None


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        ("share", ("75.0%", "+25.0 points", "25.0%")),
        ("count", ("1", "+0", "0")),
        ("nats", ("0.750", "+0.250", "0.250")),
        ("number", ("0.750", "+0.250", "0.250")),
    ],
)
def test_numbers_are_said_with_their_unit(unit: str, said: tuple[str, ...]) -> None:
    one = measure(unit=unit)
    assert (one.said(one.after), one.said_change(), one.said_floor()) == said


def test_what_is_missing_is_said():
    one = measure(after=NAN)
    assert (one.said(one.after), one.said_change()) == ("none", "none")
    assert measure(floor_before=NAN, floor_after=NAN).said_floor() == ""
    assert measure(floor_after=0.5).said_floor() == "25.0% / 50.0%"
    assert measure(unit="count", before=1200.0).said(1200.0) == "1,200"


# --- what luck gives


def by_luck(steady: Stability) -> float:
    """The floor of `explained`, unit by unit."""
    found = []
    for unit, k in enumerate(steady.best_class().tolist()):
        if k >= 0:
            known = ~np.isnan(steady.explained[unit, :, k])
            if known.any():
                found.append(float(explained_by_luck(steady.judged[unit, known, k]).mean()))
    return float(np.mean(found))


@pytest.mark.parametrize(("images", "known"), [(4, 0.289), (5, None), (8, 0.089), (12, None), (25, 0.023)])
def test_peaks_that_know_nothing_explain_what_the_formula_says(images: int, known: float | None) -> None:
    rng = np.random.default_rng(images)
    score = np.ones((images, 300))
    found = []
    for _ in range(10):
        peaks, landmarks = rng.uniform(0, 14, (images, 300, 2)), rng.normal(0, 3, (images, 4, 2))
        found.append(instability(peaks, score, landmarks, diagonal=1.0).explained)
    derived = float(explained_by_luck(np.array(images)))
    assert np.mean(found) == pytest.approx(derived, rel=0.12)
    if known is not None:
        assert derived == pytest.approx(known, rel=0.03)


def test_the_formula_is_the_mean_of_its_distribution() -> None:
    for images in (4, 5, 9, 30, 200):
        share = (np.arange(200_000) + 0.5) / 200_000
        # Beta(2, m - 3), and the adjusted share that is not below 0.
        density = (images - 3) * (images - 2) * share * (1 - share) ** (images - 4)
        adjusted = np.maximum(1 - (1 - share) * (images - 1) / (images - 3), 0)
        assert float((density * adjusted).mean()) == pytest.approx(float(explained_by_luck(np.array(images))), rel=1e-3)
    assert np.isnan(explained_by_luck(np.array([0, 3]))).all()


def test_a_mean_counts_beyond_two_standard_errors_unit_by_unit() -> None:
    rng = np.random.default_rng(0)
    before = rng.normal(5, 3, 400)
    after = before + rng.normal(0, 0.1, 400)
    least = least_of_means(before, after)
    # What units share does not hide a small change.
    assert least == pytest.approx(2 * 0.1 / 20, rel=0.1)
    before[:10], after[5:20] = NAN, NAN
    assert least_of_means(before, after) == pytest.approx(2 * (after - before)[20:].std(ddof=1) / math.sqrt(380))
    assert least_of_means(before[:1], after[:1]) == 0
    drawn = [rng.normal(0, 1, (2, 50)) for _ in range(2000)]
    beyond = np.mean([abs(one[1].mean() - one[0].mean()) > least_of_means(one[0], one[1]) for one in drawn])
    assert 0.02 < beyond < 0.08


def test_a_count_counts_beyond_twice_the_root_of_what_changed() -> None:
    before = np.array([True] * 6 + [False] * 6)
    assert least_of_counts(before, before) == 0
    assert least_of_counts(before, ~before) == pytest.approx(2 * math.sqrt(12))
    assert least_of_counts(before, np.roll(before, 1)) == pytest.approx(2 * math.sqrt(2))


def test_what_a_difference_must_exceed_is_that_of_its_units() -> None:
    made = comparison()
    first, last = both(Dissection)
    assert isinstance(first, Dissection)
    assert isinstance(last, Dissection)
    assert made.measure("accuracy").least == pytest.approx(1 / 15)
    assert made.measure("detectors").least == least_of_counts(first.detectors(), last.detectors())
    named = [set(one.table().query("detector")[["category", "concept"]].apply(tuple, axis=1)) for one in (first, last)]
    assert made.measure("unique_detectors").least == pytest.approx(2 * math.sqrt(len(named[0] ^ named[1])))
    assert made.measure("unique_detectors").after == len(named[1])
    for name in ("mis", "instability", "explained", "template", "iou"):
        before, after = made.per_unit[name]
        assert made.measure(name).least == pytest.approx(least_of_means(before, after)), name
        assert made.measure(name).least > 0
    alone = []
    for one in both(Entanglement):
        assert isinstance(one, Entanglement)
        alone.append([row.max() / row.sum() if row.sum() else NAN for row in one.information])
    assert made.measure("exclusive").least == pytest.approx(least_of_means(np.array(alone[0]), np.array(alone[1])))
    assert made.measure("accuracy").verdict == "same"


def test_a_comparison_stored_without_the_bound_still_reads(tmp_path: Path) -> None:
    folder = save(comparison(), tmp_path / "one")
    about = json.loads((folder / "result.json").read_text())
    for one in about["measures"]:
        assert one.pop("least") >= 0
    (folder / "result.json").write_text(json.dumps(about))
    assert load(folder).measure("accuracy").least == 0


def test_several_classes_an_image_have_words_of_their_own() -> None:
    sides = [
        [replace(one, multi=True) if isinstance(one, FineTuning) else one for one in results_of(loss, seed=seed)]
        for seed, loss in enumerate(("none", "icnn"))
    ]
    accuracy = compare(*sides).measure("accuracy")
    assert accuracy.floor == "always the commoner answer"
    assert accuracy.words.startswith("Mean over the classes of the share of the validation images")
    assert comparison().measure("accuracy").floor == "always the commonest class"


# --- every number is that of its result


def test_accuracy_and_outputs_are_those_of_the_trainings():
    made = comparison()
    first, last = both(FineTuning)
    assert isinstance(first, FineTuning)
    assert isinstance(last, FineTuning)
    accuracy = made.measure("accuracy")
    assert (accuracy.before, accuracy.after) == (first.accuracy, last.accuracy)
    assert accuracy.floor_before == first.chance_accuracy
    assert "On 15 images a single one is 6.7%." in accuracy.words
    assert (made.measure("entropy").before, made.measure("entropy").after) == (first.outputs.entropy, 0.5)
    assert made.measure("top_probability").after == last.outputs.top
    assert made.measure("margin").change == 1.0
    assert made.images == 15


def test_scores_are_those_of_the_results():
    made = comparison()
    for side, place in (("before", 0), ("after", 1)):
        entangled, parts, dissection = (both(kind)[place] for kind in (Entanglement, PartScores, Dissection))
        assert isinstance(entangled, Entanglement)
        assert isinstance(parts, PartScores)
        assert isinstance(dissection, Dissection)
        assert parts.stability is not None
        summary = dissection.summary()
        steady, template = parts.stability.summary(), parts.templates.summary()
        assert dissection.chance is not None
        known = {
            "mis": (entangled.mis, entangled.mis_floor),
            "exclusive": (entangled.mis_l1, entangled.mis_l1_floor),
            "detectors": (summary["detectors"], summary["chance"]["detectors"]),
            "unique_detectors": (
                summary["unique_detectors_top_label"],
                summary["chance"]["unique_detectors_top_label"],
            ),
            "iou": (dissection.best()[1].mean(), dissection.chance.best().mean()),
            "instability": (steady["multi"]["instability"], steady["multi"]["centre"]),
            "explained": (steady["explained"], by_luck(parts.stability)),
            "spread": (steady["spread"], NAN),
            "template": (template["ratio"], template["chance"]),
            "dead": (int(entangled.dead.sum()), NAN),
        }
        for name, (value, floor) in known.items():
            one = made.measure(name)
            assert getattr(one, side) == pytest.approx(value), name
            assert getattr(one, f"floor_{side}") == pytest.approx(floor, nan_ok=True), name
        assert f"{steady['multi']['random']:.3f} {side}" in made.measure("instability").words


def test_units_stand_for_their_measures():
    made = comparison()
    assert set(made.per_unit) == {"mis", "instability", "explained", "spread", "template", "iou"}
    for name, values in made.per_unit.items():
        assert np.nanmean(values, axis=1) == pytest.approx([made.measure(name).before, made.measure(name).after]), name
    entangled = both(Entanglement)[1]
    assert isinstance(entangled, Entanglement)
    np.testing.assert_array_equal(made.per_unit["mis"][1], entangled.best)
    # Nearly dead units are left out of a mean, and of their column.
    assert np.flatnonzero(np.isnan(made.per_unit["template"][0])).tolist() == [3, 4]


def test_which_way_is_better_and_where_it_stands():
    made = comparison()
    lower = {one.name for one in made.measures if one.better == "lower"}
    assert lower == {"instability", "dead"}
    neither = {one.name for one in made.measures if one.better == "neither"}
    assert neither == {"spread", "top_probability", "entropy", "margin"}
    groups = [one.group for one in made.measures]
    assert list(dict.fromkeys(groups)) == ["Accuracy", "Concepts", "Classes", "Parts", "Units", "Outputs"]
    assert groups == sorted(groups, key=list(dict.fromkeys(groups)).index)
    assert all(bool(one.floor) is not math.isnan(one.floor_after) for one in made.measures)
    assert all(one.title and one.words for one in made.measures)


def test_what_a_set_lacks_is_left_out():
    names = [one.name for one in without_landmarks().measures]
    assert names == ["accuracy", "mis", "exclusive", "template", "dead", "top_probability", "entropy", "margin"]


def test_what_one_side_alone_has_is_left_out_and_said():
    first, second = results_of("none", seed=0), results_of("icnn", seed=1)
    made = compare(first[:3], second, names=("plain", "masked"))
    assert "detectors" not in [one.name for one in made.measures]
    assert made.warnings == ("masked alone has a result of dissect, which is left out",)
    made = compare(first, second[1:], names=("plain", "masked"))
    assert (made.histories[0] is None, made.histories[1]) == (False, None)
    assert (made.equal, made.differs) == ({}, ())
    assert made.images == both(Entanglement)[0].images  # type: ignore[attr-defined]


def test_dead_units_are_counted_without_classes_too():
    first, last = both(Dissection)
    assert isinstance(first, Dissection)
    assert isinstance(last, Dissection)
    dead = compare([first], [last]).measure("dead")
    assert (dead.before, dead.after) == (first.dead.sum(), last.dead.sum())
    # With classes, those are counted that are dead on the images of the classes.
    silenced = [
        [replace(one, dead=np.ones(12, np.bool_)) if isinstance(one, Entanglement) else one for one in side]
        for side in (results_of("none", seed=0), results_of("icnn", seed=1))
    ]
    assert compare(*silenced).measure("dead").after == 12


def test_a_set_without_labels_has_no_detectors():
    made = compare([unlabelled()], [unlabelled()])
    assert made.measures == ()
    assert made.table().empty


def test_a_dissection_without_a_chance_level_has_no_floor():
    first, last = (replace(one, chance=None) for one in both(Dissection))  # type: ignore[type-var]
    made = compare([first], [last])  # type: ignore[list-item]
    assert all(math.isnan(made.measure(name).floor_after) for name in ("detectors", "unique_detectors", "iou"))


# --- settings, curves, how it was made


def test_settings_that_are_shared_and_those_that_differ():
    made = comparison()
    assert made.differs == (
        ("surgery.mask", "none", "argmax"),
        ("loss.name", "none", "icnn"),
        ("loss.options.weight", "none", "0.1"),
        ("loss.options.tau", "none", "calibrated"),
    )
    assert made.equal["training.epochs"] == "8"
    assert made.equal["training.epochs_trained"] == "8"
    assert made.equal["surgery.add"] == "yes"
    assert made.equal["split.images"] == "15 entries"
    assert not {"classes", "sites", "format"} & set(made.equal)


def test_trainings_of_other_lengths_are_said():
    first, second = results_of("none", seed=0), results_of("icnn", seed=1)
    recipe = {**first[0].recipe, "training": {**first[0].recipe["training"], "trained": 8}}
    first[0] = replace(first[0], recipe=recipe)
    second[0] = replace(second[0], epochs=5)
    made = compare(first, second, names=("plain", "masked"))
    assert ("training.epochs_trained", "8", "5") in made.differs
    assert not [name for name, *_ in made.differs if name == "training.trained"]
    assert "plain was trained for 8 epochs, masked for 5" in made.warnings
    assert not [words for words in comparison().warnings if "was trained for" in words]


def test_curves_are_the_histories():
    first, last = both(FineTuning)
    made = comparison()
    for history, training in zip(made.histories, (first, last), strict=True):
        assert isinstance(training, FineTuning)
        assert history is not None
        assert list(history) == list(training.history)
        assert history["validation_accuracy"] == training.history["validation_accuracy"].tolist()
        assert [value is None for value in history["penalty"]] == training.history["penalty"].isna().tolist()


def test_it_says_what_it_rests_on():
    made = comparison()
    assert made.sets == {
        "finetune": "my set, 15 validation images",
        "entangle": "my set, 1,000 images",
        "parts": "my set, 540 images",
        "dissect": "my set, 17 images",
    }
    assert made.provenance.verb == "compare"
    assert made.provenance.command == COMMAND
    assert made.provenance.seconds == pytest.approx(8 * 1.5)
    other = compare(results_of("none", seed=0), results_of("none", seed=0))
    assert made.provenance.model_sha not in {"a" * 64, "b" * 64, other.provenance.model_sha}
    assert made.skipped == ("bad one.jpg",)


def test_an_analysis_made_otherwise_is_said():
    first, last = both(PartScores)
    assert isinstance(last, PartScores)
    options = {**last.provenance.options, "top": 50, "threads": 7, "batch_size": 2}
    assert isinstance(first, PartScores)
    first = replace(first, provenance=replace(first.provenance, options={**options, "top": 100, "threads": 1}))
    last = replace(last, provenance=replace(last.provenance, options=options))
    made = compare([first], [last])  # type: ignore[list-item]
    assert made.warnings == ("parts was made with top 100 before and 50 after",)


# --- what is refused


def test_sides_that_do_not_compare_are_refused():
    first, second = results_of("none", seed=0), results_of("icnn", seed=1)
    with pytest.raises(ResultError, match=r"^old holds results of no layer; give those of one layer$"):
        compare([], second, names=("old", "new"))
    with pytest.raises(ResultError, match=r"^after holds results of added\.act, top; give those of one layer$"):
        compare(first, [second[0], replace(second[1], layer="top")])
    with pytest.raises(ResultError, match=r"^before holds several results of PartScores"):
        compare([first[2], first[2]], second)
    with pytest.raises(ResultError, match=r"^before has 12 units, after 20: only layers of equally many"):
        compare(first, results_of("icnn", seed=1, units=20))
    with pytest.raises(ResultError, match=r"^nothing was measured of both: before has FineTuning, after Dissection$"):
        compare(first[:1], second[3:])
    with pytest.raises(ResultError, match=r"^before: a Comparison cannot be compared; there is FineTuning, Entangle"):
        compare([comparison()], second)  # type: ignore[list-item]


def test_other_images_are_refused():
    first, second = results_of("none", seed=0), results_of("icnn", seed=1)
    elsewhere = replace(second[2], provenance=replace(second[2].provenance, labels="other", labels_sha="c" * 64))
    with pytest.raises(ResultError, match=r"results of parts rest on different images \(my set, 540 images; other"):
        compare(first, [elsewhere])
    kept = replace(small_finetuning(), validation=("other.png",))
    with pytest.raises(ResultError, match=r"results of finetune rest on different images .*15 .*; my set, 1 valid"):
        compare(first, [kept])


# --- as a result


def test_storage_keeps_all_of_it(tmp_path: Path) -> None:
    made = comparison()
    assert result_folder_name(made) == "added.act-compare"
    folder = save(made, tmp_path / result_folder_name(made))
    found = load(folder)
    assert isinstance(found, Comparison)
    assert_same(made, found, but=("pictures",))
    assert made.galleries is not None
    assert dict(found.pictures) == {name: made.pictures[name] for name in made.galleries[0].names}
    assert {path.name for path in folder.iterdir()} == {
        "result.json",
        "scores.npz",
        "measures.csv",
        "units.csv",
        "curves.json",
        "gallery-before.json",
        "gallery-after.json",
    }


def test_storage_keeps_what_is_missing(tmp_path: Path) -> None:
    made = replace(without_landmarks(), histories=(None, {"penalty": [math.inf, NAN, 1.0]}))
    found = load(save(made, tmp_path / "one"))
    assert found.galleries is None
    assert found.histories == (None, {"penalty": [None, None, 1.0]})
    assert math.isnan(found.measure("dead").floor_after)


def test_tables_and_summary():
    made = comparison()
    table = made.table()
    assert table["name"].tolist() == [one.name for one in made.measures]
    row = table.set_index("name").loc["accuracy"]
    assert row["change"] == pytest.approx(-0.01)
    assert (row["verdict"], row["least"]) == ("same", pytest.approx(1 / 15))
    units = made.unit_table()
    assert units["unit"].tolist() == list(range(12))
    pd.testing.assert_series_equal(units["iou_after"], pd.Series(made.per_unit["iou"][1]), check_names=False)
    summary = json.loads(json.dumps(made.summary(), allow_nan=False))
    assert summary["measures"]["margin"] == {
        "before": 2.5,
        "after": 3.5,
        "floor_before": None,
        "floor_after": None,
        "change": 1.0,
        "least": 0.0,
        "floor": "",
        "better": "neither",
        "verdict": "neither",
        "beyond_floor": [None, None],
    }
    assert summary["measures"]["accuracy"]["beyond_floor"] == [True, True]
    assert summary["verb"] == "compare"
    assert summary["columns"] == ["ordinary", "interpretable"]


def test_a_notebook_shows_it_escaped():
    made = comparison(columns=("ordinary", HOSTILE))
    shown = made._repr_html_()
    assert "<script" not in shown
    assert "-1.0 points" in shown
    assert "Accuracy" in shown


def test_a_measure_that_is_not_there_is_named():
    with pytest.raises(UnknownNameError, match="no measure 'detectors' here; there is accuracy, mis"):
        without_landmarks().measure("detectors")


def test_parts_of_different_comparisons_are_refused():
    made = comparison()
    with pytest.raises(ValueError, match=r"iou of every unit has shape \(2, 3\), not \(2, 12\)"):
        replace(made, per_unit={"iou": np.zeros((2, 3))})
    assert made.galleries is not None
    first, second = made.galleries
    with pytest.raises(ValueError, match="different units or images"):
        replace(made, galleries=(first, replace(second, unit=second.unit + 1)))
    with pytest.raises(ValueError, match="different units or images"):
        replace(made, galleries=(first, replace(second, image=second.image[::-1])))
    high = [replace(one, unit=one.unit + 20) for one in (first, second)]
    with pytest.raises(ValueError, match="show unit 27 of 12"):
        replace(made, galleries=tuple(high))


def test_without_anything_to_look_at():
    look = Look()
    assert look.galleries is None
    assert side_by_side().pages == ("ordinary/index.html", "interpretable/index.html")
    bare = compare(results_of("none", seed=0), results_of("icnn", seed=1))
    assert (bare.galleries, bare.pages, dict(bare.pictures)) == (None, (), {})
    assert bare.columns == ("before", "after")
