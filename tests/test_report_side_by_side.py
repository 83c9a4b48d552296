"""The page of columns side by side: what it says and draws is what the result says."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browsing import shows_it_whole
from made_beside import blocked, optioned, published
from made_comparison import results_of
from made_entanglement import LONG, saved
from made_pages import EVIL
from pages import Element, having, read

from interpkit.comparison import side_by_side
from interpkit.report import build
from interpkit.report.besides import besides, between, leading
from interpkit.report.curves import Panel, Series, draw_panel
from interpkit.results import SideBySide, read_published

MINUS = "\N{MINUS SIGN}"
NAN = float("nan")


def two(**options) -> SideBySide:
    return side_by_side([[blocked(0)], [blocked(1)]], command="interpkit compare a b", **options)[0]


def several(count: int = 4, **options) -> SideBySide:
    given = [[blocked(seed, units=12 + seed)] for seed in range(count)]
    return side_by_side(given, command="interpkit compare a b c", **options)[0]


def page(folder: Path, result: SideBySide) -> list[Element]:
    saved(result, folder)
    return read(build(folder).read_text(encoding="utf-8"))


def all_of(elements: list[Element]) -> str:
    main = next(one for one in elements if one.tag == "main")
    return " ".join(main.content.split())


def rows_of(elements: list[Element]) -> list[str]:
    return [" ".join(one.content.split()) for one in having(elements, "tr")]


def test_the_answer_of_two(tmp_path):
    result = two(names=("before", "after"))
    elements = page(tmp_path, result)
    assert having(elements, "h1")[0].content == "How before and after compare"
    one = result.measure("unique_top_label")
    values = [f"{value:.0f}" for value in one.values]
    assert f"Unique detectors by top label: before {values[0]}, after {values[1]}, a change of" in all_of(elements)
    large = [one.content for one in having(elements, "b") if one.inside[-2:] == ("div", "dd")]
    assert large == values


def test_the_answer_of_several_by_the_rule_asked_for(tmp_path):
    result = several(rule="every-category")
    given = answers(tmp_path, result, values=(7.0, 9.0, 2.0, 4.0))
    assert "Of 4 columns, net 1 has the highest number, 9 unique detectors over every category, and net 2 has" in given
    assert "net 2 has the lowest, 2." in given


def answers(folder: Path, result: SideBySide, **changes) -> str:
    """What the page says of the leading measure, with some of its numbers changed."""
    known = leading(result)
    count = len(result.columns)
    bare = {"changes_low": (NAN,) * count, "changes_high": (NAN,) * count, "floors": (NAN,) * count}
    one = replace(known, **{**bare, **changes})
    measures = tuple(one if other is known else other for other in result.measures)
    return all_of(page(folder, replace(result, measures=measures)))


def test_all_that_share_the_first_or_last_place_are_named(tmp_path):
    result = several()
    said = answers(tmp_path / "a", result, values=(9.0, 9.0, 2.0, 2.0))
    assert "net 0 and net 1 have the highest number, 9 unique" in said
    assert "net 2 and net 3 have the lowest, 2." in said
    assert "all have the same number of unique detectors by top label, 4." in answers(
        tmp_path / "b", result, values=(4.0,) * 4
    )
    many = several(6)
    said = answers(tmp_path / "c", many, values=(1.0, *[9.0] * 5))
    assert "net 1, net 2, net 3 and 2 more have the highest number" in said


def test_the_answer_says_which_differences_are_clear_and_which_numbers_are_chance(tmp_path):
    result = several()
    values, floors = (3.0, 9.0, 8.0, 5.0), (3.0, 1.0, 9.0, NAN)
    low, high = (NAN, 1.0, -1.0, NAN), (NAN, 9.0, 6.0, NAN)
    said = answers(tmp_path / "a", result, values=values, floors=floors, changes_low=low, changes_high=high)
    assert "net 1 differs from net 0 by more than other images would explain." in said
    assert "net 0 and net 2 are no better than chance." in said
    said = answers(
        tmp_path / "b", result, values=values, changes_low=(NAN, *[-1.0] * 3), changes_high=(NAN, *[2.0] * 3)
    )
    assert "None differs from net 0 by more than other images would explain." in said
    assert "no better than chance" not in said


def test_every_measure_has_its_values_intervals_and_changes(tmp_path):
    result = two()
    rows = [one.replace(" ", "") for one in rows_of(page(tmp_path, result))]
    for one in result.measures:
        for row in besides(result, one):
            said = f"{row.name}{row.value}{row.interval}{row.change}{row.change_interval}{row.words}"
            assert said.replace(" ", "") in rows


def test_words_and_places_of_a_measure():
    result = two()
    one = replace(
        result.measure("detectors"),
        values=(10.0, 20.0),
        low=(5.0, 15.0),
        high=(15.0, 25.0),
        floors=(2.0, float("nan")),
        changes=(float("nan"), 10.0),
        changes_low=(float("nan"), 4.0),
        changes_high=(float("nan"), 16.0),
    )
    first, second = besides(result, one)
    assert (first.value, first.interval, first.change, first.words, first.chance) == ("10", "5 to 15", "", "", "2")
    assert (second.change, second.change_interval, second.words) == ("+10", "+4 to +16", "better")
    assert second.track[3] is None
    assert second.track[1] == pytest.approx(80.0)
    lucky = besides(result, replace(one, floors=(2.0, 20.0)))[1]
    assert lucky.words == "no better than chance"
    worse = besides(result, replace(one, better="lower"))[1]
    assert worse.words == "worse"
    unclear = besides(result, replace(one, changes_low=(float("nan"), -1.0)))[1]
    assert (unclear.words, unclear.change_interval) == ("no clear change", f"{MINUS}1 to +16")
    unknown = besides(result, replace(one, changes_low=(float("nan"),) * 2))[1]
    assert unknown.words == "no interval"
    assert between(float("nan"), 1.0, "count") == ""


def test_the_leading_measure_follows_the_rule():
    assert leading(two()).name == "unique_top_label"
    assert leading(two(rule="every-category")).name == "unique_every_category"
    assert leading(replace(two(), measures=())) is None


def test_bars_are_the_unique_detectors_of_each_category(tmp_path):
    result = several()
    elements = page(tmp_path, result)
    table = result.by_category()
    table = table[(table["rule"] == "top-label")]
    most = table["unique"].max()
    found = []
    for bar in having(elements, "div", kind="side-bar"):
        name, unique = re.fullmatch(r"(net \d) ?(\d+)", " ".join(bar.content.split())).groups()
        found.append((name, int(unique)))
    shown = [name for name in result.categories if table.loc[table["category"] == name, "unique"].any()]
    want = [
        (result.names[row.column], row.unique) for row in table[table["category"].isin(shown)].itertuples(index=False)
    ]
    assert sorted(found) == sorted(want)
    widths = [
        one.attributes["style"] for one in having(elements, "i") if "width" in (one.attributes.get("style") or "")
    ]
    assert [float(re.search(r"width:([\d.]+)", one)[1]) for one in widths] == pytest.approx(
        [100 * unique / most for _, unique in found], abs=0.01
    )


def test_of_two_grey_stands_beside_the_category_s_colour(tmp_path):
    elements = page(tmp_path, two())
    styles = [
        one.attributes["style"] for one in having(elements, "i") if "width" in (one.attributes.get("style") or "")
    ]
    assert all("#8A8F98" in one for one in styles[::2])
    assert not any("#8A8F98" in one for one in styles[1::2])


def test_concepts_gained_lost_and_kept_are_listed(tmp_path):
    result = side_by_side([[blocked(1)], [blocked(8)]], rule="every-category")[0]
    elements = page(tmp_path, result)
    table = result.by_concept()
    heads = [one.content for one in having(elements, "h3")]
    for status in ("gained", "lost", "kept"):
        assert f"{status.capitalize()}, {(table['status'] == status).sum()}" in heads
    text = all_of(elements)
    assert all(name in text for name in table["name"])


def test_of_several_a_table_says_how_many_units_detect_what(tmp_path):
    result = several()
    rows = rows_of(page(tmp_path, result))
    for row in result.by_concept().itertuples(index=False):
        assert f"{row.name if hasattr(row, 'name') else row[0]}{''.join(str(n) for n in row[2:])}" in [
            one.replace(" ", "") for one in rows
        ]


def test_curves_are_drawn_over_an_axis_of_more_than_two(tmp_path):
    named = several(names=tuple(f"epoch {n}" for n in (1, 5, 20, 40)))
    elements = page(tmp_path / "axis", named)
    panels = having(elements, "div", kind="curves")
    assert len(panels) == len([one for one in named.measures if np.isfinite(one.values).sum() > 2])
    assert "epoch" in all_of(panels and elements)
    assert not having(page(tmp_path / "none", several(names=("a", "b", "c", "d"))), "div", kind="curves")
    assert not having(page(tmp_path / "two", two(names=("epoch 1", "epoch 2"))), "div", kind="curves")


def test_places_on_the_axis_are_those_of_the_columns():
    def drawn(marks: tuple[float, ...], by: str) -> Panel:
        at = np.array(marks)
        series = [Series("value", at, at, "main"), Series("chance", at, np.zeros(len(at)), "quiet")]
        panel = draw_panel("x", series, by=by, marks=marks)
        assert panel is not None
        return panel

    widths = drawn((0.25, 0.5, 1.0), "width")
    assert widths.epochs == [(0.0, "0.25"), (33.333, "0.5"), (100.0, "1")]
    assert [len(one.dots) for one in widths.lines] == [3, 0]
    assert widths.told[0][2].startswith("width 0.25: value .250")
    assert [words for _, words in drawn((1, 2, 4, 1000, 1024), "step").epochs] == ["1", "1,024"]
    assert drawn((0, 1, 2), "net").told[0][2].startswith("net 0: ")


def test_the_largest_movers_are_cards_with_pictures_of_both(tmp_path):
    result = two(match="yes")
    elements = page(tmp_path, result)
    cards = having(elements, "article")
    assert [one.attributes["id"] for one in cards] == [f"moved-0-{unit}" for unit in result.movers.units]
    states = [" ".join(one.content.split()) for one in having(elements, "p", kind="state")]
    was, now = (names[0] or "no concept" for names in result.movers.concepts)
    assert states[0].startswith(f"net 0: {was}, IoU")
    assert states[1].startswith(f"net 1: {now}, IoU")
    sources = {one.attributes["src"] for one in having(elements, "img")}
    assert all((tmp_path / source).is_file() for source in sources)


def test_settings_that_differ_and_that_are_equal(tmp_path):
    result = side_by_side([[blocked(0)], [blocked(1, options=optioned(seed=4))]])[0]
    rows = rows_of(page(tmp_path, result))
    assert any(row.startswith("network") and "net 0" in row and "net 1" in row for row in rows)


def test_equal_settings_stand_by_what_was_measured(tmp_path):
    result = replace(two(), equal={"units": "12", "dissect: quantile": "0.005", "dissect: limit": "none"})
    told = [" ".join(one.content.split()) for one in having(page(tmp_path, result), "dd")]
    assert "quantile 0.005; limit none" in told


def test_what_a_label_set_cannot_tell_is_no_zero(tmp_path):
    run, table = blocked(1), read_published(published(tmp_path / "net.csv", seed=1))
    result = side_by_side([[run], table], force=True)[0]
    strange = sorted(set(table.categories) - set(run.categories))
    assert strange
    elements = page(tmp_path / "run", result)
    rows = [one for one in rows_of(elements) if one.startswith(strange[0])]
    assert rows
    assert not any(run.provenance.model in row for row in rows)
    concepts = result.by_concept().query("category in @strange")
    assert len(concepts)
    assert set(concepts["0"]) == {-1}
    assert set(concepts["status"]) == {""}
    apart = (result.by_concept()["status"] == "").sum()
    heads = [one.content for one in having(elements, "h3")]
    assert f"Of categories that only one of the two label sets has, {apart}" in heads


def test_runs_forced_together_count_above_their_own_thresholds(tmp_path):
    other = blocked(1, options=optioned(iou=0.1))
    result = side_by_side([[blocked(0)], [other]], force=True)[0]
    table = result.by_category().query("rule == 'top-label' and column == 1")
    assert table["unique"].sum() == result.measure("unique_top_label").values[1]
    assert table["detectors"].sum() == other.detectors().sum() < blocked(1).detectors().sum()
    assert "above its own IoU threshold" in all_of(page(tmp_path, result))


def test_how_to_repeat_it_names_each_column_and_no_pictures_that_are_not_there(tmp_path):
    rows = [" ".join(one.content.split()) for one in having(page(tmp_path, several()), "dd")]
    for seed in range(4):
        assert any(row.startswith(f"net {seed}, layer") and f"weights sha256 {seed:016d}"[:30] in row for row in rows)
    assert not any("the pictures on this page" in row for row in rows)
    assert not any("names []" in row for row in rows)


def test_a_forced_page_is_marked(tmp_path):
    sides = [[blocked(0)], [blocked(1, options=optioned(quantile=0.01))]]
    text = all_of(page(tmp_path, side_by_side(sides, force=True)[0]))
    assert "Forced. These columns do not compare: dissect: quantile 0.005 / 0.01." in text


def test_both_results_of_a_pair_share_a_page(tmp_path):
    result, pair = side_by_side([results_of("none", seed=0), results_of("icnn", seed=1)], names=("a", "b"))
    for one in (result, pair):
        saved(one, tmp_path)
    elements = read(build(tmp_path).read_text(encoding="utf-8"))
    assert having(elements, "h1")[0].content == "How a and b compare"
    assert {"Side by side", "Before and after"} <= {one.content for one in having(elements, "h2", kind="name")}


@pytest.mark.parametrize("which", ["several", "published", "pair"])
def test_the_browser_shows_it_whole(tmp_path, chromium, which):
    names = (EVIL, LONG)
    if which == "several":
        given = [[blocked(seed, units=12 + seed)] for seed in range(5)]
        results = side_by_side(given, names=(*names, *(f"epoch {n}" for n in range(3))))
    elif which == "published":
        paths = [published(tmp_path / f"caffe_reference_model_{n}.csv", seed=n, units=80) for n in range(6)]
        results = side_by_side([read_published(path) for path in paths])
    else:
        results = side_by_side([results_of("none", seed=0), results_of("icnn", seed=1)], names=names)
    run = tmp_path / "run"
    for one in results:
        if one is not None:
            saved(one, run)
    html = build(run)
    assert "<script>alert" not in html.read_text(encoding="utf-8")
    shows_it_whole(chromium, html)
