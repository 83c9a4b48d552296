"""Pages that show some units alone: which, what they say of it, and what they leave as it is."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browsing import asked
from made_entanglement import entanglement
from made_pages import EVIL, detecting, many_units, three_layers, unlabelled, with_threshold
from made_results import NAMES
from pages import having, read

from interpkit import build_report, build_report_pdf
from interpkit.cli import main
from interpkit.errors import InterpkitError, UnknownNameError
from interpkit.results import Dissection, Subset, result_folder_name, save


def kept(folder: Path, *results: Any) -> Path:
    """A run of these results."""
    for result in results:
        save(result, folder / result_folder_name(result))
    return folder


def cards(page: Path) -> list[str]:
    return re.findall(r'id="unit-(\d+-\d+)"', page.read_text())


def without_units(page: Path) -> str:
    """What stands before the table of units, without links."""
    return re.sub(r"</?a\b[^>]*>", "", page.read_text().partition("<h2>Units</h2>")[0])


# --- which units


def test_units_are_chosen_by_number_and_by_what_they_detect() -> None:
    result = many_units()
    found = result.by_concept("every-category").iloc[0]
    name = str(found["name"])
    assert Subset(concepts=(name,)).of(result) == sorted(found["units"])
    assert Subset(units=(7,), concepts=(name,)).of(result) == sorted({7, *found["units"]})
    assert Subset(units=(3, 1, 3, 999)).of(result) == [1, 3]
    assert Subset().of(result) == list(range(result.units))
    assert Subset(concepts=(name,)).of(with_threshold(result, 0.99)) == []


def test_a_concept_is_detected_also_where_another_category_fits_better() -> None:
    result = with_threshold(many_units(), 0.001)
    second = result.by_concept("every-category").set_index("name")["units"]
    first = result.by_concept().set_index("name")["units"]
    name = next(one for one in second.index if len(second[one]) > len(first.get(one, ())))
    assert Subset(concepts=(name,)).of(result) == sorted(second[name])


def test_what_does_not_exist_is_named() -> None:
    names = [name for name, _ in NAMES.concepts]
    layers = {"small": 4, "large": 8}
    Subset(units=(0, 7), concepts=(names[0],)).check(layers, names, labels="set")
    for unit in (8, -1):
        with pytest.raises(UnknownNameError, match=rf"layer 'large' has no unit {unit}; there is 0 to 7"):
            Subset(units=(3, unit)).check(layers, names, labels="set")
    with pytest.raises(UnknownNameError, match=f"label set set has no concept '{names[0]}s'; nearest: {names[0]}"):
        Subset(concepts=(f"{names[0]}s",)).check(layers, names, labels="set")
    with pytest.raises(UnknownNameError, match="no concept 'car'; nearest: none"):
        Subset(concepts=("car",)).check(layers, [], labels="set")


# --- the page


def test_the_cards_are_those_asked_for_and_every_number_stays(tmp_path: Path) -> None:
    run = kept(tmp_path, many_units())
    whole = build_report(run)
    before, table, every = without_units(whole), len(having(read(whole.read_text()), "tr")), cards(whole)
    page = build_report(run, units=[3, 17])
    assert sorted(cards(page)) == ["0-17", "0-3"]
    assert cards(page) == [one for one in every if one in {"0-3", "0-17"}], "by falling IoU, as ever"
    assert without_units(page) == before
    html = page.read_text()
    assert len(having(read(html), "tr")) == table
    (said,) = having(read(html), "p", kind="subset")
    assert said.content.startswith("Pictures follow for 2 units alone, as asked for: units 3, 17.")
    assert "holds all 40 units" in said.content
    assert "interpkit report without --units and --concepts" in said.content
    assert having(read(build_report(run).read_text()), "p", kind="subset") == []


def test_no_link_leads_to_a_unit_that_is_not_shown(tmp_path: Path) -> None:
    run = kept(tmp_path, *three_layers())
    elements = read(build_report(run, units=[5], concepts=[EVIL]).read_text())
    there = {one.attributes.get("id") for one in elements}
    links = [one.attributes.get("href") or "" for one in having(elements, "a")]
    assert sum(link.startswith("#unit-") for link in links) > 3
    assert {link[1:] for link in links if link.startswith("#")} <= there
    said = having(elements, "p", kind="subset")
    assert len(said) == 3
    assert all(f"unit 5 and what detects {EVIL}." in one.content for one in said)


def test_a_layer_without_such_a_unit_says_so(tmp_path: Path) -> None:
    small = replace(detecting(), layer="other")
    html = build_report(kept(tmp_path, many_units(), small), units=[30]).read_text()
    first, second = having(read(html), "p", kind="subset")
    assert first.content.startswith("Pictures follow for 1 unit alone, as asked for: unit 30.")
    assert second.content.startswith("Asked for pictures of unit 30 alone: this layer has none.")
    assert len(having(read(html), "div", kind="cards")) == 1


def test_units_of_unlabelled_images_are_chosen_by_number(tmp_path: Path) -> None:
    run = kept(tmp_path, unlabelled())
    assert cards(build_report(run, units=[2])) == ["0-2"]
    with pytest.raises(UnknownNameError, match="no concept 'cat'"):
        build_report(run, concepts=["cat"])


def test_mistakes_leave_the_page_as_it_was(tmp_path: Path) -> None:
    run = kept(tmp_path, many_units())
    before = build_report(run).read_bytes()
    for asked_for in ({"units": [40]}, {"concepts": ["no such"]}):
        with pytest.raises(UnknownNameError):
            build_report(run, **asked_for)
    assert (run / "index.html").read_bytes() == before


def test_a_run_without_a_dissection_has_nothing_to_choose_from(tmp_path: Path) -> None:
    with pytest.raises(InterpkitError, match=r"holds no dissection, so .* units are units 1, 2"):
        build_report(kept(tmp_path, entanglement()), units=[1, 2])


@pytest.mark.parametrize(
    "made", [lambda: [many_units()], lambda: [unlabelled()], lambda: [detecting(), entanglement()]]
)
def test_on_paper_the_same_units_are_shown(tmp_path: Path, made: Callable[[], list[Any]], pango: None) -> None:
    run = kept(tmp_path, *made())
    assert build_report_pdf(run, units=[1, 4]).stat().st_size < build_report_pdf(run, units=range(12)).stat().st_size


def test_the_commands_take_the_same_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result: Dissection = detecting()
    run = kept(tmp_path / "run", result)
    for words, status, chosen in (
        (["--units", "3,1"], 0, ["0-1", "0-3"]),
        (["--concepts", '"' + EVIL.replace('"', '""') + '"'], 0, None),
        (["--units", "12"], 2, None),
        (["--concepts", "a,,b"], 2, None),
        ([], 0, [f"0-{unit}" for unit in range(12)]),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["report", str(run), *words])
        assert int(stop.value.code or 0) == status
        said = capsys.readouterr().err.splitlines()
        assert len(said) == (status == 2)
        assert ("not a list of names" in "".join(said)) == ("a,,b" in words)
        assert chosen is None or sorted(cards(run / "index.html")) == sorted(chosen)


# --- in the browser


def test_sorting_and_filtering_move_the_cards_there_are(chromium: Path, tmp_path: Path) -> None:
    page = build_report(kept(tmp_path / "run", many_units()), units=[3, 17, 30])
    script = """
      const heads = [...document.querySelectorAll("table.units thead button")];
      const unit = (card) => card.dataset.u;
      const cards = () => [...document.querySelectorAll(".card")].filter((one) => !one.hidden).map(unit);
      heads[0].click();
      const sorted = cards();
      const words = document.forms[0].elements.words;
      words.value = "17";
      words.dispatchEvent(new Event("input", {bubbles: true}));
      const found = cards();
      const said = document.querySelector(".finder output").textContent;
      words.value = "5";
      words.dispatchEvent(new Event("input", {bubbles: true}));
      return [errors, sorted, found, said, cards(), document.querySelectorAll(".sheet:not([hidden])").length];"""
    assert asked(chromium, page, script) == [[], ["3", "17", "30"], ["17"], "1 of 40 units", [], 0]


def test_a_page_without_a_card_works_as_well(chromium: Path, tmp_path: Path) -> None:
    small = replace(detecting(), layer="other")
    page = build_report(kept(tmp_path / "run", many_units(), small), units=[30])
    script = """
      [...document.querySelectorAll("table.units thead button")].forEach((one) => one.click());
      return errors;"""
    assert asked(chromium, page, script) == []
