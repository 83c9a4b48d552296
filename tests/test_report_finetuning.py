"""The page of a training: what it says and draws is what the result says."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browsing import shows_it_whole
from made_entanglement import CLASSES, HOSTILE, LONG, entanglement, saved
from made_finetuning_page import confusion, finetuned, history, several_an_image
from made_parts import partscores
from pages import Element, having, read

from interpkit.report import build
from interpkit.report.charts import span_axis
from interpkit.report.curves import NAME, Series, draw_panel, own_columns
from interpkit.report.formats import number
from interpkit.report.kinds import question
from interpkit.report.recipes import loss_words, surgery_words, trained_words
from interpkit.results import FineTuning


def page(folder: Path, *results: object, single_file: bool = False) -> list[Element]:
    for result in results:
        saved(result, folder)
    return read(build(folder, single_file=single_file).read_text(encoding="utf-8"))


def all_of(elements: list[Element]) -> str:
    """What the page says, spaces made one."""
    main = next(one for one in elements if one.tag == "main")
    return " ".join(main.content.split())


def heads(elements: list[Element]) -> list[str]:
    return [one.content for one in having(elements, "h2")]


def rows_of(elements: list[Element]) -> list[str]:
    return [" ".join(one.content.split()) for one in having(elements, "tr")]


def test_large_numbers_stand_with_chance(tmp_path):
    result = finetuned()
    elements = page(tmp_path, result)
    kept = result.recipe["training"]["weights_of_epoch"]
    loss = float(result.history["validation_loss"].iloc[kept - 1])
    large = [one.content for one in having(elements, "b") if "dd" in one.inside][:4]
    assert large == [number(result.accuracy), number(loss), number(result.outputs.top), "30"]
    beside = [one.content for one in having(elements, "dd", kind="chance")][:6]
    assert beside == [
        f"before training {number(result.start_accuracy)}",
        f"always naming the commonest class {number(result.chance_accuracy)}",
        f"the same probability for every class: {number(np.log(8))}",
        f"the same for every class: {number(1 / 8)}",
        "stopped early: 40 were asked for",
        f"kept: the weights of epoch {kept}",
    ]
    assert result.warnings[0] in all_of(elements)


def test_accuracy_that_chance_gives_is_said_to_be_no_better(tmp_path):
    result = finetuned()
    said = "No better than chance: always naming the commonest class is right as often"
    assert said in all_of(page(tmp_path / "equal", replace(result, accuracy=result.chance_accuracy)))
    assert said not in all_of(page(tmp_path / "above", result))
    below = all_of(page(tmp_path / "below", replace(result, accuracy=result.chance_accuracy - 0.01)))
    assert "always naming the commonest class is right more often" in below
    several = several_an_image(accuracy=result.chance_accuracy - 0.01)
    assert "always telling the commoner answer is right more often" in all_of(page(tmp_path / "several", several))


def test_what_was_put_in_is_told_in_words(tmp_path):
    text = all_of(page(tmp_path, finetuned()))
    assert "Above features.30: a new 3 \N{MULTIPLICATION SIGN} 3 convolution of 64 filters with a rectifier" in text
    assert "each filter with a part mask at the peak of its map" in text
    assert "a new linear layer for 8 classes" in text
    assert "Only the new parts were trained" in text
    assert "the classification loss + .1 \N{MULTIPLICATION SIGN} icnn" in text
    assert surgery_words({}) == trained_words({}) == ""
    below = {"surgery": {"add": True}, "training": {"train_from": "layer3"}}
    assert "everything from layer3 on" in trained_words(below)
    inside = {"layer": "x", "classes": 1, "add": False, "mask_layer": True, "mask": "centre", "head": "classifier"}
    assert surgery_words({"surgery": inside}) == (
        "a rectifier and part masks (at the centre of mass of its map), then the rest of the network with a new last "
        "layer for 1 class"
    )
    assert "control" in loss_words("none", {})
    assert loss_words("own", {"loss": {"options": {"weight": 2}}}).endswith("2 \N{MULTIPLICATION SIGN} own")


def curves(elements: list[Element]) -> list[Element]:
    return having(elements, "div", kind="curves")


def test_a_chart_for_accuracy_for_the_loss_and_for_its_parts(tmp_path):
    elements = page(tmp_path, finetuned("class-gate"))
    titles = [" ".join(one.content.split()) for one in curves(elements)]
    wanted = ["accuracy", "classification loss, nats", "penalty of class-gate", "share of the gate that is open"]
    assert all(title.startswith(want) for title, want in zip(titles, wanted, strict=True))
    assert number(0.15) in titles[3]
    gated = int((history(loss="class-gate")["path"] == "gated").sum())
    assert gated > 5
    assert len(having(elements, "rect", kind="shade")) == 4 * gated
    assert f"the {gated} epochs that were trained through another path (gated)" in all_of(elements)
    elements = page(tmp_path / "none", finetuned("none"))
    assert len(curves(elements)) == 2
    assert not having(elements, "rect", kind="shade")
    assert "Shaded" not in all_of(elements)


def test_curves_pass_through_the_history(tmp_path):
    result = finetuned()
    elements = page(tmp_path, result)
    first = having(elements, "path", kind="main")[0]
    points = [tuple(map(float, pair.split())) for pair in re.split("[ML]", str(first.attributes["d"]))[1:]]
    x, y = (np.array(axis) for axis in zip(*points, strict=True))
    values = [result.start_accuracy, *result.history["validation_accuracy"]]
    assert x[0] == 0
    assert x[-1] == 100
    np.testing.assert_allclose(np.diff(x), 100 / result.epochs, atol=0.01)
    np.testing.assert_allclose(100 - y, np.array(values) * (100 - y[0]) / values[0], rtol=0.01)
    told = [one.content for one in having(elements, "title") if one.content.startswith("epoch 7:")]
    row = result.history.iloc[6]
    assert told[0] == f"epoch 7: training {number(row['train_accuracy'])}, validation {number(values[7])}"


def test_curves_have_gaps_where_nothing_was_measured():
    table = {"epoch": [1, 2, 3, 4], "path": ["ordinary"] * 4}
    epochs = np.arange(1.0, 5)
    series = [Series("a", epochs, np.array([np.nan, 0.5, np.nan, 0.25]), "main")]
    panel = draw_panel("x", series, history=table)
    assert panel is not None
    assert panel.lines[0].path.count("M") == 2
    assert panel.lines[0].path.count("L") == 0
    assert len(panel.lines[0].dots) == 2
    assert [words for _, _, words in panel.told] == ["epoch 1: ", "epoch 2: a .500", "epoch 3: ", "epoch 4: a .250"]
    assert draw_panel("x", [Series("a", epochs, epochs * np.nan, "main")], history=table) is None


def test_names_of_curves_never_cover_each_other():
    epochs = np.arange(1.0, 5)
    series = [Series(str(i), epochs, np.full(4, 0.5 + i / 1000), "main") for i in range(6)]
    panel = draw_panel("x", series, history={"epoch": [1, 2, 3, 4]})
    assert panel is not None
    places = sorted(line.at for line in panel.lines)
    assert (np.diff(places) >= NAME - 0.1).all()
    assert places[0] >= NAME / 2 - 0.1
    assert places[-1] <= 100 - NAME / 2 + 0.1


def test_axes_hold_negative_values_and_are_round():
    axis = span_axis([np.array([-2.37, -0.31])])
    assert axis is not None
    assert axis.low <= -2.37
    assert axis.high == 0
    assert span_axis([np.array([np.nan])]) is None
    assert span_axis([np.array([0.1, 0.1])]).at(0.1) == 100


def test_what_a_loss_says_of_itself_is_shown_where_it_is_a_number():
    table = {
        "epoch": [1],
        "path": ["ordinary"],
        "loss": [1.0],
        "silent": [3],
        "zero": [0],
        "word": ["x"],
        "none": [None],
    }
    assert own_columns(table) == ["silent"]


def test_errors_and_classes(tmp_path):
    result = finetuned()
    elements = page(tmp_path, result)
    wrong = result.confusion - np.diag(np.diag(result.confusion))
    k, j = divmod(int(wrong.argmax()), len(CLASSES))
    rows = rows_of(elements)
    start = rows.index("images ofwere calledimagesof the class\N{RIGHT SINGLE QUOTATION MARK}s")
    assert rows[start + 1] == f"{CLASSES[k]}{CLASSES[j]}{wrong.max()}{result.confusion[k].sum()}"
    assert f"{wrong.sum()} of {len(result.validation)} validation images were called another class" in all_of(elements)
    found = np.diag(result.confusion) / result.confusion.sum(1)
    precision = np.diag(result.confusion) / result.confusion.sum(0)
    worst = int(found.argmin())
    start = next(i for i, row in enumerate(rows) if row.startswith("classfoundrightly called"))
    assert rows[start + 1] == f"{CLASSES[worst]}{number(found[worst])}{number(precision[worst])}25"
    assert len(having(elements, "div", kind="matrix")) == 1


def test_many_classes_have_a_list_and_no_matrix(tmp_path):
    names = tuple(f"class {i}" for i in range(31))
    elements = page(tmp_path, finetuned("none", classes=names))
    assert not having(elements, "div", kind="matrix")
    rows = rows_of(elements)
    start = next(i for i, row in enumerate(rows) if row.startswith("images ofwere called"))
    end = next(i for i, row in enumerate(rows) if row.startswith("classfound"))
    assert end - start == 16
    assert len(rows) - end == 32


def test_a_network_that_is_always_right(tmp_path):
    text = all_of(page(tmp_path, finetuned(confusion=np.diag(np.full(8, 25)))))
    assert "No validation image was called another class" in text
    assert "Commonest errors" not in text


def test_several_classes_an_image_are_judged_one_by_one(tmp_path):
    result = several_an_image()
    elements = page(tmp_path, result)
    hit, false, missed, rest = result.confusion.T.tolist()
    k = int(np.argmin(result.confusion[:, 0] + result.confusion[:, 3]))
    total = sum(result.confusion[k])
    share = (hit[k] + rest[k]) / total
    row = next(row for row in rows_of(elements) if row.startswith(CLASSES[k]))
    assert row == (
        f"{CLASSES[k]}{number(hit[k] / (hit[k] + missed[k]))}{number(hit[k] / (hit[k] + false[k]))}{number(share)} "
        f"chance {number(max(hit[k] + missed[k], false[k] + rest[k]) / total)}{hit[k] + missed[k]}"
    )
    text = all_of(elements)
    assert "always telling the commoner answer" in text
    assert f"the same probability for every class: {number(np.log(2))}" in text


def test_the_gate_is_drawn_by_the_class_it_serves(tmp_path):
    result = finetuned("class-gate")
    elements = page(tmp_path, result)
    gate = result.learnt["gate"]
    text = all_of(elements)
    assert number(float(gate.mean())) in text
    alone = having(elements, "dt")
    one = int(((gate > 0).sum(0) == 1).sum())
    assert [str(one)] == [b.content for b in having(elements, "b") if "dd" in b.inside][-1:]
    assert "of 64 units are open to one class alone" in [dt.content for dt in alone]
    assert "1 to none" in text
    assert "1 class has no unit" in text
    assert "The network has no masks" in text
    other = replace(result, learnt={"gate": gate.T, "tau.added": np.ones(64)})
    again = page(tmp_path / "turned", other)
    matrices = [[one.content for one in having(some, "div", kind="cells")] for some in (elements, again)]
    assert matrices[0] == matrices[1]
    assert "What the gate has learnt" not in heads(page(tmp_path / "none", finetuned()))


@pytest.mark.parametrize("single_file", [False, True])
def test_every_entry_is_shown_before_and_after_its_mask(tmp_path, single_file):
    result = finetuned()
    elements = page(tmp_path, result, single_file=single_file)
    states = [one.content for one in having(elements, "p", kind="state")]
    assert states == ["before the mask", "after it"] * 6
    html = (tmp_path / "index.html").read_text()
    assert all(path in html for path in (*result.gallery.outlines, *result.masked.outlines))
    assert len(having(elements, "span", kind="c")) == 2 * len(result.gallery.unit)
    elements = page(tmp_path / "bare", finetuned("none"), single_file=single_file)
    assert not having(elements, "p", kind="state")
    assert len(having(elements, "span", kind="c")) == len(result.gallery.unit)


def test_the_training_stands_first_beside_other_kinds(tmp_path):
    parts = partscores(64, layer="added.act")
    classes = entanglement(64, layer="added.act")
    elements = page(tmp_path, parts, classes, finetuned())
    kinds = [one.content for one in having(elements, "h2", kind="name")]
    assert kinds == ["Training", "Classes", "Parts"]
    title = having(elements, "h1")[0].content
    assert title == "How the units of model were trained, what they know of classes, and where they fire"
    text = all_of(elements)
    assert "rest on different images (540, 2,000)" in text
    assert "200 of them kept apart for validation" in text
    files = [one.content for one in having(elements, "a")]
    assert "added.act-finetune/history.csv" in files
    for name in ("weights.safetensors", "recipe.json"):
        (tmp_path / name).touch()
    files = [one.content for one in having(page(tmp_path), "a")]
    assert {"weights.safetensors", "recipe.json"} <= set(files)


def test_headings():
    made = finetuned()
    assert question([made], "its units") == "how its units were trained"
    assert question([made, partscores()], "its units") == "how its units were trained, and where they fire"
    assert question([partscores()], "its units") == "where its units fire"


def test_methods_are_cited_by_loss(tmp_path):
    made = finetuned().provenance
    of = replace(made, options={**made.options, "loss": "class-gate"})
    text = all_of(page(tmp_path / "gate", finetuned("class-gate", provenance=of)))
    assert "H. Liang" in text
    assert "Q. Zhang" not in text
    assert "Q. Zhang" in all_of(page(tmp_path / "icnn", finetuned()))
    of = replace(made, options={**made.options, "loss": "none"})
    text = all_of(page(tmp_path / "none", finetuned("none", provenance=of)))
    assert "The method" not in text


def test_strangers_names_stay_text(tmp_path):
    made = replace(finetuned().provenance, model=HOSTILE, labels=HOSTILE, notes=(HOSTILE,), command=HOSTILE)
    table = history(4, loss="class-gate").rename(columns={"density": HOSTILE})
    table["path"] = HOSTILE
    result = finetuned("class-gate", layer=HOSTILE, provenance=made, history=table, warnings=(HOSTILE,))
    recipe = {"surgery": {**result.recipe["surgery"], "layer": HOSTILE}, "training": {"train_from": HOSTILE}}
    elements = page(tmp_path, replace(result, loss=HOSTILE, recipe=recipe))
    assert "<script>alert" not in (tmp_path / "index.html").read_text()
    assert all_of(elements).count(HOSTILE) > 10
    assert LONG in all_of(elements)


def bare() -> FineTuning:
    """A training that gave next to nothing: no epoch, no unit to show, no recipe."""
    result = finetuned("none")
    nothing = replace(result.gallery, unit=np.zeros(0, np.int64), image=np.zeros(0, np.int64), outlines=())
    nothing = replace(nothing, peak=np.zeros(0, np.float32), position=np.zeros((0, 2)))
    empty = pd.DataFrame({name: [] for name in result.history})
    return replace(result, recipe={}, gallery=nothing, masked=nothing, history=empty, confusion=confusion(8, images=0))


def test_nothing_to_show_leaves_no_empty_part(tmp_path):
    assert heads(page(tmp_path, bare())) == ["How the training went", "How hard the outputs are", "How to repeat it"]


@pytest.mark.parametrize("make", [lambda: finetuned("class-gate"), several_an_image, lambda: finetuned(epochs=1)])
def test_a_browser_shows_it_narrow_and_without_complaint(chromium, tmp_path, make):
    page(tmp_path / "run", make())
    shows_it_whole(chromium, tmp_path / "run" / "index.html")
