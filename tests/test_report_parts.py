"""The page of part scores: what it says and draws is what the result says."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browsing import asked, shows_it_whole
from made_entanglement import HOSTILE, LONG, saved
from made_parts import CLASSES, PARTS, partscores, stability, templates, without_landmarks
from pages import Element, having, read

from interpkit.report import build
from interpkit.report.building import _environment
from interpkit.report.formats import number
from interpkit.report.page import Page
from interpkit.results import PartScores


def page(folder: Path, result: PartScores, *, single_file: bool = False) -> list[Element]:
    saved(result, folder)
    return read(build(folder, single_file=single_file).read_text(encoding="utf-8"))


def all_of(elements: list[Element]) -> str:
    """What the page says, spaces made one."""
    main = next(one for one in elements if one.tag == "main")
    return " ".join(main.content.split())


def one_class(**changes: object) -> PartScores:
    """A set without classes."""
    bare = stability(classes=("",))
    return replace(partscores(), stability=bare, templates=templates(classes=()), **changes)


def test_large_numbers_stand_with_their_baselines(tmp_path):
    result = partscores()
    elements = page(tmp_path, result)
    summary = result.summary()
    steady = summary["stability"]["multi"]
    large = [one.content for one in having(elements, "b") if "dd" in one.inside]
    want = [steady["instability"], summary["stability"]["explained"]]
    want += [summary["association"]["part_interpretability"], summary["templates"]["ratio"]]
    assert large == [number(value) for value in want]
    beside = [one.content for one in having(elements, "dd", kind="chance")]
    assert beside == [
        f"random unit {number(steady['random'])}",
        f"image centre {number(steady['centre'])}",
        f"best constant place {number(steady['best_constant'])}",
        "a constant place explains 0",
        f"parts of other images give {number(summary['association']['chance'])}",
        f"shuffled values give {number(summary['templates']['chance'])}",
    ]


def test_what_instability_rewards_is_said(tmp_path):
    result = partscores()
    text = all_of(page(tmp_path / "several", result))
    one = result.stability.summary()
    assert f"always fires at one place, whatever is there, reaches {number(one['multi']['best_constant'])} here" in text
    assert (
        f"which is better than the layer\N{RIGHT SINGLE QUOTATION MARK}s {number(one['multi']['instability'])}" in text
    )
    assert f"the peak explains: {number(one['explained'])} on average" in text
    assert f"over all classes its instability is {number(one['single']['instability'])}" in text
    steady = replace(result.stability, deviation=result.stability.deviation / 9)
    text = all_of(page(tmp_path / "steady", replace(result, stability=steady)))
    assert "which is better than the layer" not in text
    assert "over all classes" not in all_of(page(tmp_path / "single", one_class()))


def test_bars_and_the_three_lines(tmp_path):
    result = partscores()
    elements = page(tmp_path, result)
    values = result.stability.multi(result.stability.deviation)
    titles = [one.content for one in having(elements, "title") if "rect" in one.inside]
    assert sum(int(title.split()[0]) for title in titles) == np.isfinite(values).sum()
    one = result.stability.summary()["multi"]
    words = [element.content for element in having(elements, "text")]
    assert words[:3] == [
        f"best constant place {number(one['best_constant'])}",
        f"image centre {number(one['centre'])}",
        f"random unit {number(one['random'])}",
    ]
    dashed = having(elements, "line", kind="luck")
    assert len(dashed) == 5
    assert all(line.attributes["stroke-dasharray"] for line in dashed)
    places = [float(str(line.attributes["x1"]).rstrip("%")) for line in dashed[:3]]
    baselines = [one["best_constant"], one["centre"], one["random"]]
    np.testing.assert_allclose(np.divide(places, baselines), places[0] / baselines[0], rtol=1e-3)
    text = all_of(elements)
    below, better = ((values < one[name]).sum() for name in ("best_constant", "random"))
    assert f"{better} of 63 units are steadier than a unit that fires anywhere at random, {below} steadier" in text
    assert "1 unit has no peak on enough annotated images" in text


def test_every_landmark_has_a_row(tmp_path):
    result = partscores()
    elements = page(tmp_path, result)
    steady = result.stability
    rows = [one.content.split("\n")[0] for one in having(elements, "tr") if "table" in one.inside]
    head = next(i for i, row in enumerate(rows) if row.startswith("classlandmark"))
    rows = rows[head + 1 : head + 1 + 8]
    pairs = [(k, p) for k in range(3) for p in range(3) if steady.used[p, k]]
    assert len(pairs) == 8
    for row, (k, p) in zip(rows, pairs, strict=True):
        deviation = steady.deviation[:, p, k]
        best = int(np.nanargmin(deviation))
        assert row == "".join(
            [
                *(CLASSES[k], PARTS[p], "180", number(np.nanmean(deviation))),
                f"{number(deviation[best])} {best}",
                number(steady.explained[best, p, k]),
                number(steady.random[:, p, k].mean()),
                number(steady.centre[p, k]),
                number(steady.constant[:, p, k].min()),
            ]
        )


def test_every_judged_unit_is_a_dot(tmp_path):
    result = partscores()
    elements = page(tmp_path, result)
    dots = [one.content for one in having(elements, "title") if "circle" in one.inside]
    judged = np.flatnonzero(np.isfinite(result.stability.multi(result.stability.deviation)))
    assert [int(re.findall(r"\d+", dot)[0]) for dot in dots] == judged.tolist()
    assert sum("nearly never fires" in dot for dot in dots) == result.templates.flagged[judged].sum()
    circles = having(elements, "circle")
    x = [float(str(one.attributes["cx"]).rstrip("%")) for one in circles]
    y = [float(str(one.attributes["cy"]).rstrip("%")) for one in circles]
    steady = result.stability.multi(result.stability.deviation)[judged]
    assert np.corrcoef(x, steady)[0, 1] > 0.9999
    assert np.corrcoef(y, result.templates.ratio[result.templates.chosen][judged])[0, 1] < -0.9999


def test_every_part_stands_beside_chance(tmp_path):
    result = partscores()
    elements = page(tmp_path, result)
    one = result.association
    rows = [" ".join(element.content.split()) for element in having(elements, "tr")]
    for q, part in enumerate(one.parts):
        strict, loose = one.strict[:, q], one.loose[:, q]
        luck, often = one.chance_strict[:, q].max(), one.chance_loose[:, q].max()
        want = (
            f"{part}{one.images[q]}{strict.argmax()}{number(strict.max())} chance {number(luck)}"
            f"{number(loose.max())} chance {number(often)}"
        )
        assert want in rows
    assert f"Radius: {one.why}." in all_of(elements)


def test_the_sweep_of_templates(tmp_path):
    result = partscores()
    elements = page(tmp_path, result)
    sweep = result.summary()["templates"]["sweep"]
    rows = [" ".join(element.content.split()) for element in having(elements, "tr")]
    for name, value in sweep.items():
        row = next(row for row in rows if row.startswith(name))
        assert number(value) in row
        assert ("used above" in row) is (name == "c = 2")
    assert f"area under ROC {number(result.summary()['templates']['auc'])}" in all_of(elements)


@pytest.mark.parametrize("single_file", [False, True])
def test_a_ring_at_every_peak_and_a_cross_at_every_landmark(tmp_path, single_file):
    result = partscores()
    elements = page(tmp_path, result, single_file=single_file)
    gallery = result.gallery
    for kind, places in (("peak", gallery.position), ("mark", result.shown[np.isfinite(result.shown).all(1)])):
        found = [str(one.attributes["style"]) for one in having(elements, "i", kind=kind)]
        shares = [[float(n) / 100 for n in re.findall(r"[\d.]+", style)] for style in found]
        np.testing.assert_allclose(shares, places, atol=1e-4)
    shown = having(elements, "svg" if single_file else "img")
    name = "aria-label" if single_file else "alt"
    texts = [one.attributes[name] for one in shown if one.inside[-1] == "span"]
    assert texts == [
        f"Unit {unit}, its peak on {gallery.names[image]}"
        for unit, image in zip(gallery.unit.tolist(), gallery.image.tolist(), strict=True)
    ]


def test_a_card_names_the_landmark_that_it_shows(tmp_path):
    result = partscores()
    few = result.stability.judged.copy()
    few[:, 0] = 9
    cards = having(page(tmp_path, replace(result, stability=replace(result.stability, judged=few))), "article")
    assert len(cards) == len(set(result.gallery.unit.tolist()))
    for card in cards:
        unit = int(str(card.attributes["id"]).rpartition("-")[2])
        deviation = result.stability.deviation[unit, 1:]
        p, k = np.unravel_index(np.nanargmin(deviation), deviation.shape)
        head = " ".join(card.content.split())
        assert head.startswith(f"Unit {unit} {PARTS[p + 1]} of {CLASSES[k]} {number(deviation[p, k])}")


def test_a_set_without_landmarks_leaves_no_empty_part(tmp_path):
    result = without_landmarks(association=None)
    elements = page(tmp_path, result)
    heads = [one.content for one in having(elements, "h2")]
    assert heads == ["Like the template of a part", "The units to look at", "How to repeat it"]
    assert not having(elements, "i", kind="mark")
    assert "What instability rewards" not in all_of(elements)


def test_a_set_without_classes_names_none(tmp_path):
    elements = page(tmp_path, one_class(association=None))
    text = all_of(elements)
    assert " of  " not in text
    assert "area under ROC" not in text
    assert "classlandmark" not in text
    assert "3 landmarks;" in text


def test_units_that_never_fire(tmp_path):
    result = partscores()
    everywhere = np.ones(result.units, np.bool_)
    silent = replace(result.templates, flagged=everywhere)
    nowhere = np.full(result.stability.deviation.shape, np.nan)
    steady = replace(result.stability, deviation=nowhere, explained=nowhere)
    elements = page(tmp_path, replace(result, templates=silent, stability=steady))
    assert next(one.content for one in having(elements, "b") if "dd" in one.inside) == "\N{EN DASH}"
    assert not having(elements, "circle")


def test_strangers_names_stay_text(tmp_path):
    made = replace(partscores().provenance, model=HOSTILE, labels=HOSTILE, notes=(HOSTILE,), command=HOSTILE)
    elements = page(tmp_path, partscores(layer=HOSTILE, provenance=made, warnings=(HOSTILE,), skipped=(HOSTILE,)))
    assert "<script>alert" not in (tmp_path / "index.html").read_text()
    assert len(having(elements, "script")) == 1
    assert all_of(elements).count(HOSTILE) > 10
    assert LONG in all_of(elements)


@pytest.mark.parametrize("make", [one_class, without_landmarks])
def test_a_browser_shows_it_narrow_and_without_complaint(chromium, tmp_path, make):
    page(tmp_path / "run", make())
    shows_it_whole(chromium, tmp_path / "run" / "index.html")


RING = """const crop = document.querySelector(".peaks .c");
const box = crop.getBoundingClientRect();
const ring = crop.querySelector(".peak").getBoundingClientRect();
return [(ring.top + ring.height / 2 - box.top) / box.height, (ring.left + ring.width / 2 - box.left) / box.width];"""


def test_the_ring_lies_on_the_picture(chromium, tmp_path):
    result = partscores()
    page(tmp_path / "run", result)
    row, column = asked(chromium, tmp_path / "run" / "index.html", RING)
    # The first picture is square, so it fills its frame.
    np.testing.assert_allclose([row, column], result.gallery.position[0], atol=0.01)


def test_results_that_do_not_compare_are_said_to(tmp_path):
    from interpkit.report.sections.run import OFFER

    first, second = partscores(layer="a"), partscores(layer="b")
    environment = _environment()
    page_ = Page(
        folder=tmp_path,
        results=tmp_path,
        layers=("a", "b"),
        single_file=False,
        verbs=("parts",),
        environment=environment,
    )
    assert "do not compare" not in OFFER.render([first, second], page_)
    fewer = replace(second, images=77)
    assert "rest on different images (77, 540)" in OFFER.render([first, fewer], page_)
    other = replace(second, provenance=replace(second.provenance, preprocessing={"size": [9, 9]}))
    assert "made with different preprocessing" in OFFER.render([first, other], page_)
