"""The page of a comparison: what it says and draws is what the result says."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browsing import shows_it_whole
from made_comparison import comparison, without_landmarks
from made_entanglement import HOSTILE, LONG, saved
from made_finetuning_page import COLUMNS, NAN, compared, measures
from pages import Element, having, read

from interpkit.report import build
from interpkit.report.formats import changed, measured, number
from interpkit.report.sides import at_chance, groups, judged, track
from interpkit.results import Comparison, Measure


def page(folder: Path, result: Comparison, *, single_file: bool = False) -> list[Element]:
    saved(result, folder)
    return read(build(folder, single_file=single_file).read_text(encoding="utf-8"))


def all_of(elements: list[Element]) -> str:
    """What the page says, spaces made one."""
    main = next(one for one in elements if one.tag == "main")
    return " ".join(main.content.split())


def rows_of(elements: list[Element]) -> list[str]:
    return [" ".join(one.content.split()) for one in having(elements, "tr")]


def told_in(elements: list[Element]) -> list[str]:
    """What became of the measures, a line a verdict."""
    lines = [" ".join(one.content.split()) for one in having(elements, "li")]
    return [line for line in lines if line.startswith(("Better:", "Worse:", "The same:", "About the same:"))]


def of(result: Comparison, name: str) -> Measure:
    return next(one for one in result.measures if one.name == name)


def test_the_question_and_the_answer(tmp_path):
    elements = page(tmp_path, compared())
    assert having(elements, "h1")[0].content == "What changed between ordinary and interpretable"
    text = all_of(elements)
    assert "Of 8 measures of the units, 6 got better, 1 worse and 1 stayed the same." in text
    assert "Accuracy fell by .017, from .921 (ordinary) to .904: that is what it cost." in text
    told = told_in(elements)
    arrow = "\N{RIGHTWARDS ARROW}"
    assert told[0].startswith(f"Better: detectors 12 {arrow} 31; best overlap .031 {arrow} .044; mutual")
    assert told[1:] == [f"Worse: exclusive .310 {arrow} .290.", "The same: unique detectors 9."]
    lucky = "location instability (.087; the image's centre .071), exclusive (.290; permuted labels .300)."
    assert f"No better than chance afterwards: {lucky}" in text
    assert "200 validation images: one more or less is .005 of accuracy." in text


def test_accuracy_that_rose_or_stayed(tmp_path):
    first, *rest = measures()
    risen = compared(measures=(replace(first, after=0.93), *rest))
    assert "Accuracy rose by .0090, from .921 (ordinary) to .930: so nothing was paid" in all_of(page(tmp_path, risen))
    same = compared(measures=(replace(first, after=0.9211), *rest))
    assert "Accuracy is the same, .921." in all_of(page(tmp_path / "same", same))
    alone = compared(measures=(first,))
    assert "No measure of the units is known for both networks." in all_of(page(tmp_path / "alone", alone))


def test_changes_too_small_to_count_are_about_the_same(tmp_path):
    small = {"accuracy": 0.02, "mis": 0.06, "detectors": 11.9}
    found = tuple(replace(one, least=small.get(one.name, 0.0)) for one in measures())
    elements = page(tmp_path, compared(measures=found))
    text = all_of(elements)
    assert "Of 8 measures of the units, 5 got better, 1 worse and 2 stayed about the same." in text
    assert "Accuracy is about the same: .921 (ordinary) and .904 (interpretable)." in text
    told = told_in(elements)
    arrow = "\N{RIGHTWARDS ARROW}"
    assert told[2] == f"About the same: unique detectors 9; mutual information score .112 {arrow} .164."
    rows = {
        name: next(row for row in rows_of(elements) if row.startswith(of(compared(), name).title)) for name in small
    }
    assert "About the same: a change up to .060" in rows["mis"]
    assert "About the same: a change up to 11" in rows["detectors"]
    assert rows["mis"].endswith("about the same")
    assert rows["detectors"].endswith("better")
    assert "not over trainings" in text


def test_the_answer_stands_above_how_it_was_made(tmp_path):
    made = compared()
    notes = ("split: by class", "looked at before the mask")
    result = replace(made, provenance=replace(made.provenance, notes=notes), warnings=("few images", "few classes"))
    elements = page(tmp_path, result)
    folded = [" ".join(one.content.split()) for one in having(elements, "details", kind="notes")]
    assert folded == ["2 notes on how it was made Split: by class. Looked at before the mask."]
    assert not having(elements, "p", kind="note")
    limits = having(elements, "ul", kind="limits")
    assert [" ".join(one.content.split()) for one in limits] == ["Few images. Few classes."]


def test_large_numbers_stand_beside_before_and_chance(tmp_path):
    result = compared()
    elements = page(tmp_path, result)
    large = [one.content for one in having(elements, "b") if "dd" in one.inside]
    firsts = [of(result, name) for name in ("accuracy", "detectors", "mis", "instability")]
    assert large == [measured(one.after, one.unit) for one in firsts]
    beside = [one.content for one in having(elements, "dd", kind="chance")]
    assert beside == [
        words
        for one in firsts
        for words in (
            f"ordinary {measured(one.before, one.unit)}",
            f"{one.floor}: {measured(one.floor_after, one.unit)}",
        )
    ]


def test_every_measure_has_a_row_with_chance_and_a_verdict(tmp_path):
    result = compared()
    elements = page(tmp_path, result)
    rows = rows_of(elements)
    for one in result.measures:
        floors = [measured(value, one.unit) for value in (one.floor_before, one.floor_after)]
        luck = floors[0] if floors[0] == floors[1] else " / ".join(floors)
        by = f"By chance{f' ({one.floor})' if one.floor else ''}: {luck}" if set(floors) != {"\N{EN DASH}"} else ""
        known = np.isfinite([one.before, one.after]).all()
        numbers = [measured(one.before, one.unit), measured(one.after, one.unit), changed(one.change, one.unit)]
        want = f"{one.title}{one.words}{by}{''.join(numbers)}"
        row = next(row for row in rows if row.startswith(f"{one.title}{one.words}"))
        assert row.startswith(want)
        rest = row.removeprefix(want).strip()
        assert rest.startswith((one.said_verdict() or "no merit") if known else "not known")
        assert ("no better than chance" in rest) is at_chance(one)


def test_the_sign_says_what_the_words_say(tmp_path):
    elements = page(tmp_path, compared())
    cells = having(elements, "td", kind="verdict")
    signs = [one for one in having(elements, "svg", kind="sign") if "td" in one.inside]
    kinds = [str(one.attributes["class"]).split()[1] for one in signs]
    assert kinds == [one.verdict for one in measures()]
    assert len(cells) == len(kinds)
    paths = {}
    for kind, sign in zip(kinds, signs, strict=True):
        drawn = next(one for one in elements[elements.index(sign) + 1 :] if one.tag == "path").attributes["d"]
        assert paths.setdefault(kind, drawn) == drawn
    assert len(set(paths.values())) == 4


def test_groups_say_what_they_rest_on(tmp_path):
    result = compared()
    rows = rows_of(page(tmp_path, result))
    assert "Concepts on broden-mini, 416 images" in rows
    assert "Parts on my set, 180 images" in rows
    assert "Units on my set, 200 images" in rows
    fewer = replace(result, sets={"dissect": "broden-mini, 416 images"})
    rows = rows_of(page(tmp_path / "fewer", fewer))
    assert "Units on broden-mini, 416 images" in rows
    assert "Parts" in rows


def test_tracks_lie_between_nothing_and_the_largest():
    one = of(compared(), "instability")
    drawn = track(one)
    assert drawn is not None
    assert drawn.before == 100
    assert drawn.after == pytest.approx(100 * 0.087 / 0.131, abs=0.01)
    assert drawn.floors == (pytest.approx(100 * 0.071 / 0.131, abs=0.01),)
    assert track(replace(one, before=NAN)) is None
    flat = track(replace(one, before=0.0, after=0.0, floor_before=NAN, floor_after=NAN))
    assert flat is not None
    assert (flat.before, flat.after, flat.floors) == (0, 0, ())


def test_what_counts_as_no_better_than_chance():
    higher, lower = of(compared(), "mis"), of(compared(), "instability")
    assert not at_chance(higher)
    assert at_chance(replace(higher, after=0.014))
    assert at_chance(lower)
    assert not at_chance(replace(lower, after=0.07))
    assert not at_chance(replace(higher, after=0.0, better="neither"))
    assert not at_chance(replace(higher, after=0.0, floor_after=NAN))
    assert list(groups(measures())) == ["Accuracy", "Concepts", "Classes", "Parts", "Units", "Outputs"]
    found = judged(compared())
    assert [one.name for one in found["worse"]] == ["exclusive"]
    assert all(one.group not in ("Accuracy", "Outputs") for mine in found.values() for one in mine)


def test_every_unit_is_a_dot(tmp_path):
    result = compared()
    elements = page(tmp_path, result)
    dots = [one.content for one in having(elements, "title") if one.content.startswith("unit ")]
    wanted = []
    for before, after in result.per_unit.values():
        for unit in np.flatnonzero(np.isfinite(before) & np.isfinite(after)).tolist():
            wanted.append(f"unit {unit}: {number(before[unit])} \N{RIGHTWARDS ARROW} {number(after[unit])}")
    assert dots == wanted
    text = all_of(elements)
    before, after = result.per_unit["instability"]
    assert f"It is higher in 0 and lower in {(after < before).sum()} of 64 units, and lower is better." in text
    assert "1 unit has no value in one of the two." in text
    words = [one.content for one in having(elements, "text")]
    for name, (before, after) in result.per_unit.items():
        assert f"ordinary, mean {number(np.nanmean(before))}" in words, name
        assert f"interpretable, mean {number(np.nanmean(after))}" in words, name
    assert "permuted labels .014" in words
    assert "the image's centre .071" in words


def test_a_unit_that_stays_is_neither_higher_nor_lower(tmp_path):
    result = compared()
    before = result.per_unit["mis"][0]
    after = np.where(np.arange(64) < 5, before, before + 0.1)
    still = replace(result, per_unit={"mis": np.stack([before, after])})
    assert "It is higher in 59 and lower in 0 of 64 units, and higher is better." in all_of(page(tmp_path, still))


def test_outlines_hold_every_unit_once(tmp_path):
    result = compared()
    elements = page(tmp_path, result)
    paths = [str(one.attributes["d"]) for one in having(elements, "path")]
    outlines = [path for path in paths if path.startswith("M0 100V")]
    assert len(outlines) == 2 * len(result.per_unit)
    for outline, values in zip(outlines, [one for pair in result.per_unit.values() for one in pair], strict=True):
        heights = 100 - np.array(re.findall(r"V([\d.]+)H", outline), float)
        assert len(heights) == 30
        # All bars of a figure share one scale, so whole units are whole multiples of one height.
        assert heights.sum() == pytest.approx(np.isfinite(values).sum() * heights[heights > 0].min(), rel=0.02)


def test_both_trainings_share_their_charts(tmp_path):
    elements = page(tmp_path, compared())
    charts = having(elements, "div", kind="curves")
    lines = [one.attributes["class"] for one in having(elements, "path", kind="curve")]
    assert len(charts) == 4
    assert lines == ["curve quiet", "curve main"] * 3 + ["curve main"]
    alone = compared(histories=(None, compared().histories[1]))
    lines = [one.attributes["class"] for one in having(page(tmp_path / "one", alone), "path", kind="curve")]
    assert lines == ["curve main"] * 4
    none = page(tmp_path / "none", compared(histories=(None, None)))
    assert "Both trainings" not in [one.content for one in having(none, "h2")]


@pytest.mark.parametrize("single_file", [False, True])
def test_the_same_units_on_the_same_images(tmp_path, single_file):
    result = compared()
    elements = page(tmp_path, result, single_file=single_file)
    assert [one.content for one in having(elements, "p", kind="state")] == [*COLUMNS] * 6
    html = (tmp_path / "index.html").read_text()
    assert result.galleries is not None
    assert all(path in html for gallery in result.galleries for path in gallery.outlines)
    assert len(having(elements, "span", kind="c")) == 2 * len(result.galleries[0].unit)
    bare = page(tmp_path / "bare", compared(galleries=None), single_file=single_file)
    assert not having(bare, "article")


def test_settings_that_differ_and_settings_that_do_not(tmp_path):
    elements = page(tmp_path, compared())
    assert "loss, namenoneicnn" in rows_of(elements)
    assert "training, batch size" in [one.content for one in having(elements, "dt")]
    same = all_of(page(tmp_path / "same", compared(differs=())))
    assert "No setting differed." in same


def links(elements: list[Element]) -> list[tuple[str, str | None]]:
    return [(one.content, one.attributes["href"]) for one in having(elements, "a")]


def test_links_lead_to_pages_that_are_there(tmp_path):
    assert "page of its own" not in all_of(page(tmp_path, compared()))
    for name in COLUMNS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").touch()
    elements = read(build(tmp_path).read_text())
    assert ("ordinary", "ordinary/index.html") in links(elements)
    assert ("interpretable", "interpretable/index.html") in links(elements)
    alone = read(build(tmp_path / "added.act-compare").read_text())
    assert ("ordinary", "../ordinary/index.html") in links(alone)
    (tmp_path / "aside.html").touch()
    outside = compared(pages=("../aside.html", str(tmp_path / "aside.html")))
    assert "page of its own" not in all_of(page(tmp_path / "outside", outside))


def test_an_address_cannot_run(tmp_path):
    place = tmp_path / "javascript:alert(1)"
    place.mkdir()
    (place / "index.html").touch()
    elements = page(tmp_path, compared(pages=("javascript:alert(1)/index.html", "")))
    assert not any(str(href).startswith("javascript:") for _, href in links(elements))


def test_strangers_names_stay_text(tmp_path):
    one = _hostile()
    elements = page(tmp_path, one)
    assert "<script>alert" not in (tmp_path / "index.html").read_text()
    assert all_of(elements).count(HOSTILE) > 10


def _hostile() -> Comparison:
    result = compared()
    bad = tuple(replace(one, title=HOSTILE, words=LONG, floor=HOSTILE) for one in result.measures)
    return replace(
        result,
        columns=(HOSTILE, LONG),
        measures=bad,
        sets={"dissect": HOSTILE},
        warnings=(HOSTILE,),
        equal={HOSTILE: LONG},
        differs=((HOSTILE, LONG, HOSTILE),),
        layer=HOSTILE,
    )


def test_methods_are_those_measured_with(tmp_path):
    text = all_of(page(tmp_path, compared()))
    assert all(name in text for name in ("D. Bau", "H. Liang", "Q. Zhang"))
    text = all_of(page(tmp_path / "few", compared(sets={"dissect": "x"}, differs=())))
    assert "H. Liang" not in text


@pytest.mark.parametrize("make", [comparison, without_landmarks, _hostile])
def test_a_browser_shows_it_narrow_and_without_complaint(chromium, tmp_path, make):
    page(tmp_path / "run", make())
    shows_it_whole(chromium, tmp_path / "run" / "index.html")
