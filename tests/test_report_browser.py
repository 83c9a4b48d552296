"""The page in a browser: what its script counts, sorts and hides, and that it fits a narrow screen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browsing import asked, widths
from made_pages import detecting, many_units, three_layers, unlabelled, with_threshold

from interpkit.report import build
from interpkit.results import Dissection, save

Ask = Callable[..., Any]


@pytest.fixture
def ask(chromium: Path, tmp_path: Path) -> Ask:
    """Ask a page for a value: ``ask(results, script, at="#...")``."""

    def value(results: list[Dissection], script: str, *, at: str = "") -> Any:
        run = tmp_path / "run"
        if not run.exists():
            for i, result in enumerate(results):
                save(result, run / f"layer{i}")
            build(run)
        return asked(chromium, run / "index.html", script, at=at)

    return value


RECOUNT = """
const input = document.querySelector(".distribution input");
const counted = %s.map((threshold) => {
  input.value = threshold;
  input.dispatchEvent(new Event("input"));
  const out = [...document.querySelectorAll("[data-out]")];
  return Object.fromEntries(out.map((one) => [one.dataset.out, one.textContent]));
});
document.querySelector(".reset").click();
return {counted, back: input.value, errors};
"""


def test_moving_the_threshold_counts_as_the_result_does(ask: Ask) -> None:
    result = detecting()
    thresholds = [0.0, 0.011, 0.04, 0.1, 0.2]
    said = ask([result], RECOUNT % thresholds)
    assert said["errors"] == []
    assert float(said["back"]) == result.iou_threshold
    for threshold, counted in zip(thresholds, said["counted"], strict=True):
        want = with_threshold(result, threshold).summary()
        chance = {"chance": str(want["chance"]["detectors"])} if want["chance"] else {}
        keys = ("detectors", "unique_top_label", "unique_every_category")
        by = [" / ".join(str(value[key]) for key in keys) for value in want["by_category"].values()]
        assert counted == {
            "threshold": f"{threshold:g}".removeprefix("0") or "0",
            "detectors": str(want["detectors"]),
            "top": str(want["unique_detectors_top_label"]),
            "every": str(want["unique_detectors_every_category"]),
            **chance,
            **{f"by-{place}": text for place, text in enumerate(by)},
        }


def test_an_address_can_hold_a_threshold(ask: Ask) -> None:
    result = detecting()
    script = "return document.querySelector('[data-out=detectors]').textContent;"
    said = ask([result], script, at="#threshold=0.1")
    assert said == str(with_threshold(result, 0.1).summary()["detectors"])


ORDER = """
const all = (at) => [...document.querySelectorAll(at)];
const units = (at) => all(at).filter((one) => !one.hidden).map((one) => Number(one.dataset.u));
const press = (i) => document.querySelectorAll("table.units thead th")[i].querySelector("button").click();
const finder = document.querySelector(".finder");
const set = (name, value) => {
  const one = finder.elements[name];
  one[one.type === "checkbox" ? "checked" : "value"] = value;
  one.dispatchEvent(new Event("input", {bubbles: true}));
};
const state = () => ({
  rows: units("tr[data-u]"), cards: units("article"), said: finder.querySelector("output").textContent,
  sorted: all("th[aria-sort]").map((th) => [th.textContent, th.getAttribute("aria-sort")]),
  sheets: all(".sheet").map((sheet) => [sheet.hidden, sheet.children.length])});
"""


def test_sorting_moves_rows_and_cards_together(ask: Ask) -> None:
    result = many_units()
    said = ask([result], ORDER + "press(0); const up = state(); press(0); return {up, down: state(), errors};")
    units = list(range(result.units))
    assert said["errors"] == []
    assert said["up"]["rows"] == said["up"]["cards"] == units
    assert said["down"]["rows"] == said["down"]["cards"] == units[::-1]
    assert said["down"]["sorted"] == [["unit", "descending"]]
    assert [n for _, n in said["up"]["sheets"]] == [24, result.units - 24]


def test_filters_hide_rows_cards_and_empty_sheets(ask: Ask) -> None:
    result = many_units()
    table = result.table()
    script = """set("detectors", true); const sure = state(); set("detectors", false);
    set("what", "g1"); const object = state(); set("what", ""); set("words", "7"); const seven = state();
    set("words", "DOG"); const dog = state(); set("words", "nothing of the kind");
    return {sure, object, seven, dog, none: state()};"""
    said = ask([result], ORDER + script)
    assert sorted(said["sure"]["rows"]) == table.index[table["detector"]].tolist()
    assert sorted(said["object"]["cards"]) == table.index[table["category"] == "object"].tolist()
    assert said["seven"]["rows"] == said["seven"]["cards"] == [7]
    assert said["seven"]["said"] == f"1 of {result.units} units"
    named = table[["concept", *(f"{c}_concept" for c in result.categories)]].eq("dog").any(axis=1)
    assert sorted(said["dog"]["rows"]) == table.index[named].tolist()
    assert said["none"]["cards"] == []
    assert all(hidden for hidden, _ in said["none"]["sheets"])


KEYS = """
const focused = (one) => { one.focus(); return document.activeElement === one; };
const reached = (at) => [...document.querySelectorAll(at)].map(focused);
const heads = document.querySelectorAll("table.units thead button");
return {heads: heads.length, at: Object.fromEntries(
  ["table.units thead button", ".distribution input", ".finder input", ".finder select", ".scroll", "tr[data-u] a"]
    .map((at) => [at, reached(at)])), order: [...document.querySelectorAll("[tabindex]")].map((one) => one.tabIndex)};
"""


def test_whatever_can_be_used_is_reached_with_the_keyboard(ask: Ask) -> None:
    said = ask([detecting()], KEYS)
    assert said["heads"] > 4
    for at, reached in said["at"].items():
        assert reached, at
        assert all(reached), at
    # Nothing jumps the queue of the page's own order, or leaves it.
    assert set(said["order"]) == {0}


LAYERS = """return {open: [...document.querySelectorAll(".layer")].map((one) => !one.hidden),
current: [...document.querySelectorAll(".switch a")].map((one) => one.getAttribute("aria-current")), errors};"""


@pytest.mark.parametrize(("at", "place"), [("", 0), ("#layer-1", 1), ("#unit-2-5", 2), ("#%", 0)])
def test_one_layer_is_open_and_a_link_opens_its_own(ask: Ask, at: str, place: int) -> None:
    said = ask(three_layers(), LAYERS, at=at)
    assert said["errors"] == []
    assert said["open"] == [i == place for i in range(3)]
    assert said["current"] == ["true" if i == place else None for i in range(3)]


def test_further_crops_come_with_an_outline(ask: Ask) -> None:
    script = """const details = document.querySelector("article details"); details.open = true;
    details.dispatchEvent(new Event("toggle")); const svg = details.querySelector("svg");
    return {templates: details.querySelectorAll("template").length, images: details.querySelectorAll("img").length,
    paths: [...svg.querySelectorAll("path")].map((path) => path.getAttribute("d"))};"""
    said = ask([detecting()], script)
    assert said == {"templates": 0, "images": 2, "paths": ["M-9-9H25V25H-9zM0 0v1h2v-1z", "M0 0v1h2v-1z"]}


@pytest.mark.parametrize("made", [lambda: [detecting()], three_layers, lambda: [unlabelled()]])
def test_nothing_is_wider_than_a_narrow_screen(
    ask: Ask, chromium: Path, tmp_path: Path, made: Callable[[], list[Dissection]]
) -> None:
    ask(made(), "return 1;")
    wide, screen, cut = widths(chromium, tmp_path / "run" / "index.html")
    assert 400 <= screen <= 420
    assert wide <= screen
    assert cut == []
