"""What the page says is what the results say, part by part."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_pages import EVIL, PICTURES, detecting, jpeg, three_layers, unlabelled, with_threshold
from made_results import Names, dissection, provenance, random_cells
from pages import Element, having, read

from interpkit import _plugins
from interpkit.report import Section, build, sections
from interpkit.report.page import jpeg_size
from interpkit.results import Dissection, save

SECTIONS = _plugins.names(sections.__name__)


def page(folder: Path, *results: Dissection, single_file: bool = False) -> tuple[str, list[Element]]:
    for i, result in enumerate(results):
        save(result, folder / f"layer{i}")
    html = build(folder, single_file=single_file).read_text(encoding="utf-8")
    return html, read(html)


def words(elements: list[Element]) -> str:
    """What the page says, without its scripts and styles."""
    return " ".join(one.content for one in elements if one.tag in {"p", "h1", "h2", "h3", "dl", "td", "th", "li"})


@pytest.mark.parametrize("make", [lambda: [detecting()], three_layers, lambda: [unlabelled()]])
def test_every_unit_has_one_card_and_one_row(tmp_path, make):
    results = make()
    _, elements = page(tmp_path, *results)
    cards = [one.attributes["id"] for one in having(elements, "article")]
    assert sorted(cards) == sorted(f"unit-{i}-{unit}" for i, one in enumerate(results) for unit in range(one.units))
    rows = [one.attributes["data-u"] for one in having(elements, "tr") if "data-u" in one.attributes]
    assert sorted(rows) == sorted(str(unit) for result in results for unit in range(result.units))


@pytest.mark.parametrize("single_file", [False, True])
def test_every_picture_says_unit_concept_and_image(tmp_path, single_file):
    result = detecting()
    html, elements = page(tmp_path, result, single_file=single_file)
    if single_file:
        texts = [one.attributes["aria-label"] for one in having(elements, "svg") if "span" in one.inside]
        assert html.count("data:image/jpeg;base64,") == len(PICTURES)
        ids = {one.attributes.get("id") for one in elements}
        assert all(str(one.attributes["href"])[1:] in ids for one in having(elements, "use"))
    else:
        texts = [one.attributes["alt"] for one in having(elements, "img")]
    alive = ~result.dead
    assert len(texts) == (result.top.image[alive] >= 0).sum()
    concepts = result.table()["concept"]
    want = {f"Unit {u}, {concepts[u]}, on {PICTURES[result.top.image[u, 0]]}" for u in np.flatnonzero(alive)}
    assert want <= set(texts)


def test_strangers_names_stay_text(tmp_path):
    made = provenance(model=EVIL, labels=EVIL, command=EVIL, notes=(EVIL,), versions={EVIL: EVIL}, device=EVIL)
    made = replace(made, options={**made.options, "layers": [EVIL], "split": EVIL, "align": EVIL}, memory_format=EVIL)
    html, elements = page(tmp_path, replace(detecting(made=made), layer=EVIL, skipped=(EVIL,)))
    assert "<script>alert" not in html
    assert len(having(elements, "script")) == 2
    assert words(elements).count(EVIL) > 10


def test_a_category_cannot_close_the_script(tmp_path):
    cells = random_cells()
    small = replace(cells, joint=cells.joint[:, :1], truth=cells.truth[:1])
    small = replace(small, active=cells.active[:, -2:], pixels=cells.pixels[-2:])
    _, elements = page(tmp_path, dissection(small, Names([("a", "</script><b>")], ["</script><b>"])))
    data = json.loads(next(one.content for one in having(elements, "script") if one.attributes))
    assert data["categories"] == ["</script><b>"]


def test_large_numbers_are_the_summary(tmp_path):
    result = detecting()
    _, elements = page(tmp_path, result)
    summary = result.summary()
    large = [int(one.content) for one in having(elements, "b") if "dd" in one.inside]
    unique = [summary[f"unique_detectors_{rule}"] for rule in ("top_label", "every_category")]
    assert large == [summary["detectors"], *unique, summary["silent"] + summary["dead"]]
    assert summary["detectors"] > 0
    table = next(one for one in having(elements, "table", kind="per")).content
    for name, value in summary["by_category"].items():
        numbers = "".join(rf"\s*{value[key]}" for key in ("detectors", "unique_top_label", "unique_every_category"))
        assert re.search(name + numbers, table)


def test_what_was_run_is_said(tmp_path):
    result = detecting()
    _, elements = page(tmp_path, result)
    text = words(elements)
    for part in (
        "1 image could not be read",
        "bad one.jpg",
        "2 January 2026, 03:04 UTC",
        "channels last",
        "torch 2.13",
    ):
        assert part in text
    assert all(note in text for note in result.provenance.notes)
    assert having(elements, "pre")[0].content.strip() == result.provenance.command


def test_dead_units_come_last_say_so_and_show_nothing(tmp_path):
    result = detecting()
    html, elements = page(tmp_path, result)
    dead = np.flatnonzero(result.dead).tolist()
    assert dead
    cards = having(elements, "article")
    assert sorted(int(card.attributes["data-u"]) for card in cards[-len(dead) :]) == dead
    assert all("dead" in card.content for card in cards[-len(dead) :])
    assert not any(f'alt="Unit {unit},' in html for unit in dead)


def test_units_stand_by_falling_iou(tmp_path):
    result = detecting()
    _, elements = page(tmp_path, result)
    order = [int(one.attributes["data-u"]) for one in having(elements, "article")]
    iou = result.best()[1][[unit for unit in order if not result.dead[unit]]]
    assert (np.diff(iou) <= 0).all()
    assert iou[0] > iou[-1]


def test_figure_and_view_by_concept_hold_what_was_found(tmp_path):
    result = detecting()
    _, elements = page(tmp_path, result)
    bars = [one.content for one in having(elements, "title") if "g" in one.inside]
    found = result.by_concept()[["name", "count"]].itertuples(index=False)
    assert sorted(bars) == sorted(f"{name}: {n} {'unit' if n == 1 else 'units'}" for name, n in found)
    lines = [one.content for one in having(elements, "li") if "article" not in one.inside]
    every = result.by_concept("every-category")
    assert len(lines) == len(every)
    for concept in every.itertuples():
        line = next(line for line in lines if line.strip().startswith(concept.name))
        assert set(map(int, re.findall(r"\d+", line.removeprefix(concept.name)))) == {concept.count, *concept.units}


def test_the_distribution_draws_every_unit_once(tmp_path):
    result = detecting()
    _, elements = page(tmp_path, result)
    titles = [one.content for one in having(elements, "title") if "rect" in one.inside]
    assert sum(int(title.split()[0]) for title in titles) == result.units


def test_several_layers_have_a_switch_and_an_overview(tmp_path):
    _, elements = page(tmp_path / "one", detecting())
    assert not having(elements, "nav")
    results = three_layers()
    _, elements = page(tmp_path / "three", *results)
    assert [one.content for one in having(elements, "a") if "nav" in one.inside] == [one.layer for one in results]
    overview = having(elements, "table", kind="layers")[0].content
    assert all(str(one.summary()["unique_detectors_every_category"]) in overview for one in results)


def test_unlabelled_images_leave_no_empty_part(tmp_path):
    _, elements = page(tmp_path, unlabelled())
    assert [one.content for one in having(elements, "h2")] == ["Units", "How to repeat it"]
    assert "carry no labels" in words(elements)


def test_no_detector_is_a_sentence(tmp_path):
    _, elements = page(tmp_path, with_threshold(detecting(), 0.99))
    assert "No unit detects a concept" in words(elements)
    assert "By concept" not in [one.content for one in having(elements, "h2")]


def test_pictures_keep_their_shape(tmp_path):
    _, elements = page(tmp_path, detecting())
    sizes = {(one.attributes["width"], one.attributes["height"]) for one in having(elements, "img")}
    assert sizes == {("64", "64"), ("64", "48"), ("64", "32")}
    boxes = {one.attributes.get("style") for one in having(elements, "svg") if "span" in one.inside}
    assert boxes == {None, "top:12.50%;height:75.00%", "top:25.00%;height:50.00%"}


def test_pictures_beyond_the_row_wait_in_a_template(tmp_path):
    result = detecting()
    _, elements = page(tmp_path, result)
    waiting = [one for one in having(elements, "img") if "template" in one.inside]
    assert len(waiting) == (result.top.image[~result.dead, 6:] >= 0).sum()


def test_the_page_of_one_result_alone_finds_its_pictures(tmp_path):
    save(detecting(), tmp_path / "layer")
    path = build(tmp_path / "layer")
    images = having(read(path.read_text()), "img")
    assert images
    assert all((path.parent / str(one.attributes["src"])).is_file() for one in images)


@pytest.mark.parametrize("single_file", [False, True])
def test_missing_pictures_do_not_stop_the_page(tmp_path, single_file):
    save(detecting(), tmp_path / "layer")
    for picture in (tmp_path / "images").iterdir():
        picture.unlink()
    assert read(build(tmp_path, single_file=single_file).read_text())


def test_same_results_same_page(tmp_path):
    save(detecting(), tmp_path / "layer")
    assert build(tmp_path).read_bytes() == build(tmp_path).read_bytes()


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_stays_away_without_its_results(name):
    offer = _plugins.load(sections.__name__, name)
    assert isinstance(offer, Section)
    assert offer.needs
    assert not offer([], None)


def test_sections_have_places_of_their_own():
    assert len({_plugins.load(sections.__name__, name).order for name in SECTIONS}) == len(SECTIONS)


@pytest.mark.parametrize(("width", "height"), [(224, 224), (31, 224), (224, 7)])
def test_size_of_a_jpeg(width, height):
    assert jpeg_size(jpeg(width, height)) == (width, height)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8", b"GIF89a", b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x00\x00\x00\x03"])
def test_size_of_what_is_no_jpeg(content):
    assert jpeg_size(content) == (1, 1)
