"""The page of an entanglement: what it says and draws is what the result says."""

import io
import re
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browsing import asked, widths
from made_entanglement import CLASSES, HOSTILE, LONG, analysed, entanglement, saved
from made_pages import detecting, many_units
from made_parts import partscores
from numpy.typing import NDArray
from pages import Element, having, read
from PIL import Image

from interpkit.plot import owner_blocks
from interpkit.report import build
from interpkit.report.charts import Axis, bars, even_axis, log_axis
from interpkit.report.formats import number
from interpkit.report.kinds import question
from interpkit.report.matrices import CELLS, draw, scale, side, singles
from interpkit.results import Entanglement

Results = Callable[[], list[object]]
BASIC = [
    "What each unit knows about each class",
    "How far above chance",
    "How alike the units are",
    "What a class looks like in the units",
    "Units per class",
    "The most exclusive units",
]
ASKED = [
    "Without the units of a class",
    "How many units it takes",
    "Where the object is",
    "Adversarial images told apart",
]


def page(folder: Path, *results: object, single_file: bool = False) -> list[Element]:
    for result in results:
        saved(result, folder)
    return read(build(folder, single_file=single_file).read_text(encoding="utf-8"))


def all_of(elements: list[Element]) -> str:
    """What the page says, spaces made one."""
    main = next(one for one in elements if one.tag == "main")
    return " ".join(main.content.split())


def everything() -> list[object]:
    """Two layers, of which one has every kind of result."""
    other = [entanglement(layer="layer2"), partscores(layer="layer2")]
    return [many_units(64), analysed(), partscores(), *other]


def pixels(address: str) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(b64decode(address.removeprefix("data:image/png;base64,"))))
    assert image.mode == "P"
    return np.asarray(image)


def test_large_numbers_stand_with_their_floors(tmp_path):
    result = entanglement()
    elements = page(tmp_path, result)
    summary = result.summary()
    chance = summary["chance"]
    names = ("mis", "normalised_mis", "mis_l1")
    large = [one.content for one in having(elements, "b") if "dd" in one.inside]
    assert large == [*(number(summary[name]) for name in names), str(summary["classes_without_units"])]
    floors = [one.content for one in having(elements, "dd", kind="chance")]
    assert floors[:3] == [f"permuted labels give {number(chance[name])}" for name in names]
    assert floors[3] == f"every class alike would give {(result.units - 1) / len(CLASSES):.1f} units each"


def test_the_matrix_is_the_information_by_owner(tmp_path):
    result = entanglement()
    elements = page(tmp_path, result)
    blocks = owner_blocks(result)
    assert (np.diff(result.units_per_class[blocks.classes]) <= 0).all()
    values = result.information[blocks.units][:, blocks.classes].T
    image = having(elements, "img")[0]
    assert image.attributes["alt"].startswith(f"Heat map of the information that {result.units} units have about 8")
    want = np.round(np.clip(values / values.max(), 0, 1) * 255)
    np.testing.assert_allclose(pixels(str(image.attributes["src"])), want, atol=1)
    owners = result.owner[blocks.units]
    rank = {k: i for i, k in enumerate(blocks.classes.tolist())} | {-1: len(CLASSES)}
    assert [rank[k] for k in owners.tolist()] == sorted(rank[k] for k in owners.tolist())


def test_the_names_beside_a_matrix_are_its_rows(tmp_path):
    result = entanglement()
    elements = page(tmp_path, result)
    first = having(elements, "div", kind="names")[0]
    names = [one.attributes["title"] for one in having(elements, "span") if "title" in one.attributes]
    want = [result.classes[k] for k in owner_blocks(result).classes]
    assert first.content == "".join(want)
    assert names[: len(want)] == want


def test_bars_hold_every_unit_that_varies(tmp_path):
    result = entanglement()
    elements = page(tmp_path, result)
    titles = [one.content for one in having(elements, "title") if "rect" in one.inside]
    assert sum(int(title.split()[0]) for title in titles) == result.units - result.dead.sum()
    words = [one.content for one in having(elements, "text")]
    assert "permuted labels" in words
    assert f"mean {number(result.mis)}" in words
    above = int((result.best > result.permuted.max()).sum())
    assert f"{above} of {result.units} units know more" in all_of(elements)
    dashed = having(elements, "path", kind="luck")
    assert dashed
    assert all(one.attributes["stroke-dasharray"] for one in dashed)


def test_every_class_has_a_row_with_its_units(tmp_path):
    result = entanglement()
    elements = page(tmp_path, result)
    table = having(elements, "table", kind="owners")[0]
    rows = [one.content.split() for one in having(elements, "td", kind="barred")]
    assert [int(row[0]) for row in rows] == sorted(result.units_per_class.tolist(), reverse=True)
    assert all(name in table.content for name in CLASSES)
    most = int(result.units_per_class.argmax())
    first = result.units_of(CLASSES[most])[:6].tolist()
    cell = next(one for one in having(elements, "td", kind="wide") if one.content.strip())
    assert [int(n) for n in re.findall(r"\d+", cell.content)][:6] == first


def test_only_what_was_asked_for_is_there(tmp_path):
    for name, result, want in [
        ("bare", entanglement(), BASIC),
        ("all", analysed(), BASIC[:2] + ASKED[:2] + BASIC[2:4] + ASKED[2:] + BASIC[4:]),
    ]:
        heads = [one.content for one in having(page(tmp_path / name, result), "h2")]
        assert heads == [*want, "How to repeat it"]


def test_ablation_stands_beside_random_units(tmp_path):
    result = analysed()
    elements = page(tmp_path, result)
    one = result.ablation
    large = [element.content for element in having(elements, "b") if "dd" in element.inside]
    assert large[4:] == [number(one.drop_own), number(one.drop_other), number(one.accuracy)]
    text = all_of(elements)
    assert f"as many random units: {number(one.drop_random)}" in text
    image = next(i for i in having(elements, "img") if "recall" in i.attributes["alt"])
    shades = pixels(str(image.attributes["src"])) / 255 * one.drop.max()
    columns = [*one.ablated, *np.setdiff1d(np.arange(8), one.ablated)]
    np.testing.assert_allclose(shades, np.maximum(one.drop[:, columns], 0), atol=one.drop.max() / 250)
    gained = -one.drop.min()
    assert f"by up to {number(gained)}; they are drawn as 0" in text


def test_curves_and_tables_carry_their_chance(tmp_path):
    result = analysed()
    elements = page(tmp_path, result)
    text = all_of(elements)
    assert {"most redundant first", "random order"} <= {one.content for one in having(elements, "text")}
    for one in result.localisation:
        row = next(e.content for e in having(elements, "tr") if e.content.strip().startswith(one.method))
        for value, chance in ((one.mean_iou, one.chance_iou), (one.ap20, one.chance_ap20), (one.ap30, one.chance_ap30)):
            assert f"{number(value)} chance {number(chance)}" in row
        assert one.words in text
    for one in result.adversarial:
        row = next(e.content for e in having(elements, "tr") if e.content.strip().startswith(one.attack))
        assert f"{number(one.error)} ± {number(one.error_sd)} chance .5" in row
        assert f"{number(one.auroc)} ± {number(one.auroc_sd)} chance .5" in row


def test_warnings_are_a_line_each(tmp_path):
    result = entanglement()
    lines = [one.content for one in having(page(tmp_path, result), "p", kind="warning")]
    assert lines == [f"{one[0].upper()}{one[1:]}." for one in result.warnings]


@pytest.mark.parametrize("single_file", [False, True])
def test_every_picture_is_described_and_there(tmp_path, single_file):
    result = entanglement()
    elements = page(tmp_path, result, single_file=single_file)
    assert all(one.attributes["alt"] for one in having(elements, "img"))
    if single_file:
        texts = [one.attributes.get("aria-label") for one in having(elements, "svg") if one.inside[-1] == "span"]
        assert all(str(one.attributes["src"]).startswith("data:") for one in having(elements, "img"))
    else:
        crops = [one for one in having(elements, "img") if "span" in one.inside]
        texts = [one.attributes["alt"] for one in crops]
        assert all((tmp_path / str(one.attributes["src"])).is_file() for one in crops)
    gallery = result.gallery
    owner = result.owner
    want = [
        f"Unit {unit}, {CLASSES[owner[unit]]}, on {gallery.names[image]}"
        for unit, image in zip(gallery.unit.tolist(), gallery.image.tolist(), strict=True)
    ]
    assert texts == want
    assert all(
        one.attributes.get("aria-label") for one in having(elements, "svg") if one.attributes.get("role") == "img"
    )


def test_strangers_names_stay_text(tmp_path):
    made = replace(entanglement().provenance, model=HOSTILE, labels=HOSTILE, notes=(HOSTILE,), command=HOSTILE)
    elements = page(tmp_path, analysed(layer=HOSTILE, head=HOSTILE, provenance=made, skipped=(HOSTILE,)))
    html = (tmp_path / "index.html").read_text()
    assert "<script>alert" not in html
    matrices = len(having(elements, "div", kind="cells"))
    assert len(having(elements, "script")) == matrices + 1
    assert all_of(elements).count(HOSTILE) > 10
    assert LONG in all_of(elements)


def test_links_lead_somewhere_and_names_are_given_once(tmp_path):
    elements = page(tmp_path, *everything())
    ids = Counter(one.attributes["id"] for one in elements if "id" in one.attributes)
    assert [name for name, times in ids.items() if times > 1] == []
    for link in having(elements, "a"):
        address = str(link.attributes["href"])
        if address.startswith("#"):
            assert address[1:] in ids, address
        elif not address.startswith("https://arxiv.org/"):
            assert (tmp_path / address).is_file(), address


def test_several_kinds_share_a_page(tmp_path):
    results = everything()
    elements = page(tmp_path, *results)
    text = all_of(elements)
    assert (
        having(elements, "h1")[0].content == "What the units of model detect and know of classes, and where they fire"
    )
    lines = [one.content.split(".")[0] for one in having(elements, "p", kind="run")]
    assert lines == ["Concepts", "Classes", "Parts"]
    folders = sorted(path.parent.name for path in tmp_path.glob("*/result.json"))
    assert folders == ["layer", "layer-entangle", "layer-parts", "layer2-entangle", "layer2-parts"]
    for folder in folders:
        assert f"{folder}/result.json" in text
    assert [one.content for one in having(elements, "a") if "nav" in one.inside] == [
        *("layer", "layer2"),
        *("Concepts", "Classes", "Parts"),
        *("Classes", "Parts"),
    ]
    commands = [one.content.strip() for one in having(elements, "pre")]
    assert commands == [result.provenance.command for result in results[:3]]
    overview = [one.content for one in having(elements, "table", kind="layers")]
    assert len(overview) == 2
    assert overview[0].count(f"permuted {number(results[1].summary()['chance']['mis'])}") == 2


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ([], "what its units are"),
        ([detecting()], "what its units detect"),
        ([entanglement(8)], "what its units know of classes"),
        ([partscores(8)], "where its units fire"),
        ([partscores(8), detecting()], "what its units detect, and where they fire"),
    ],
)
def test_the_page_is_named_by_what_was_run(results, words):
    assert question(results, "its units") == words


@pytest.mark.parametrize("classes", [CLASSES[:2], CLASSES[:3]])
def test_few_classes_and_silent_units(tmp_path, classes):
    result = entanglement(12, classes=classes)
    elements = page(tmp_path / "some", result)
    assert ("What a class looks like in the units" in all_of(elements)) is (len(classes) > 2)
    nothing = np.zeros_like(result.information)
    empty = {"image": result.gallery.image[:0], "unit": result.gallery.unit[:0], "peak": result.gallery.peak[:0]}
    gallery = replace(result.gallery, position=result.gallery.position[:0], outlines=(), **empty)
    elements = page(
        tmp_path / "none",
        replace(
            result, information=nothing, permuted=nothing, dead=nothing.any(1) | True, cosine=None, gallery=gallery
        ),
    )
    text = all_of(elements)
    assert "The most exclusive units" not in text
    assert "How far above chance" not in text
    assert "weights, |cosine|" not in [one.content for one in having(elements, "p", kind="axis")]


def test_a_large_layer_is_drawn_coarsely_and_opens(tmp_path):
    result = entanglement(1100, classes=tuple(f"class {k}" for k in range(300)))
    text = all_of(page(tmp_path, result, single_file=True))
    assert "A pixel is the mean of up to 2 neighbouring units of one class" in text
    assert "Only as many classes are named as have room" in text
    assert (tmp_path / "index.html").stat().st_size < 4e6


def test_cells_are_never_joined_across_blocks():
    sizes = [CELLS, 1, 3, 0, 2]
    order = np.random.default_rng(0).permutation(sum(sizes))
    one = side(order, list("abcde"), sizes)
    assert one.together == 2
    ends = np.cumsum(sizes)
    block = np.searchsorted(ends, np.arange(len(order)), side="right")
    drawn = np.repeat(np.arange(len(one.starts)), np.diff(np.append(one.starts, len(order))))
    for cell in range(len(one.starts)):
        assert len(set(block[drawn == cell])) == 1
    assert [stretch.name for stretch in one.stretches] == list("abce")
    values = np.random.default_rng(1).random((2, len(order)))
    drawing = draw(values, singles(np.array([1, 0]), ["x", "y"]), one, top=1.0)
    shades = pixels(drawing.href) / 255
    np.testing.assert_allclose(shades[0, 0], values[1, order[:2]].mean(), atol=0.003)
    np.testing.assert_allclose(shades[1, CELLS // 2], values[0, order[CELLS]], atol=0.003)


def test_names_take_the_room_they_need():
    one = singles(np.arange(10), [str(i) for i in range(10)])
    assert [stretch.name for stretch in one.named(0.25)] == ["0", "3", "6", "9"]
    assert len(one.named(0.1)) == 10


def test_the_scale_rises_in_lightness():
    light = scale() @ np.array([0.2126, 0.7152, 0.0722])
    assert (light[2:] > light[:-2]).all()


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(0, 0.15), [0, 0.05, 0.1, 0.15]),
        (Axis(0, 256), [0, 100, 200]),
        (Axis(0.002, 0.5, "log"), [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]),
        (Axis(1e-4, 1, "log"), [0.0001, 0.001, 0.01, 0.1, 1]),
    ],
)
def test_axes_have_round_numbers(axis, ticks):
    assert axis.ticks == pytest.approx(ticks)
    assert 0 <= axis.at(axis.ticks[0]) < axis.at(axis.ticks[-1]) <= 100


def test_axes_hold_what_they_show():
    values = np.array([0.003, 0.02, np.nan, 0.31])
    assert even_axis([values]).high >= 0.31
    axis = log_axis([values])
    assert axis.low <= 0.003
    assert axis.high >= 0.31
    assert bars(values, axis).sum() == 3
    assert bars(np.array([0.0, 0.26, 1.0, 9.0]), Axis(0, 1), count=4).tolist() == [1, 1, 0, 2]
    assert log_axis([np.zeros(3)]) is None
    assert even_axis([np.full(2, np.nan)]) is None
    assert log_axis([np.array([0.1])]).at(0.1) == 100


@pytest.mark.parametrize("results", [lambda: [analysed()], lambda: [partscores()], everything])
def test_nothing_is_wider_than_a_narrow_screen(chromium: Path, tmp_path: Path, results: Results) -> None:
    page(tmp_path / "run", *results())
    wide, screen, cut = widths(chromium, tmp_path / "run" / "index.html")
    assert 400 <= screen <= 420
    assert wide <= screen
    assert cut == []


LOADED = """const names = performance.getEntriesByType("resource").map((one) => one.name.split(":")[0]);
const pictures = [...document.querySelectorAll(".cells img")];
return {errors, schemes: [...new Set(names)].sort(), pictures: pictures.map((one) => one.naturalWidth > 0)};"""


@pytest.mark.parametrize("single_file", [False, True])
def test_a_browser_has_nothing_to_complain_of_and_asks_no_network(chromium, tmp_path, single_file):
    page(tmp_path / "run", *everything(), single_file=single_file)
    said = asked(chromium, tmp_path / "run" / "index.html", LOADED)
    assert said["errors"] == []
    assert set(said["schemes"]) <= {"data", "file"}
    assert said["pictures"]
    assert all(said["pictures"])


POINT = """const cells = document.querySelector(".cells");
cells.scrollIntoView();
const box = cells.getBoundingClientRect();
const at = {clientX: box.left + box.width * (%d + 0.5) / %d, clientY: box.top + box.height * 0.5 / %d};
cells.dispatchEvent(new PointerEvent("pointermove", at));
const tip = document.querySelector(".tip");
const shown = [tip.hidden, tip.textContent];
cells.dispatchEvent(new PointerEvent("pointerleave"));
return [...shown, tip.hidden, errors];"""


def test_the_cell_under_the_pointer_is_told(chromium, tmp_path):
    result: Entanglement = entanglement()
    page(tmp_path / "run", result)
    blocks = owner_blocks(result)
    said = asked(chromium, tmp_path / "run" / "index.html", POINT % (2, result.units, len(CLASSES)))
    unit, name = blocks.units[2], CLASSES[blocks.classes[0]]
    assert said[0] is False
    words, value = said[1].split(": about ")
    assert words == f"{name}, unit {unit} ({name})"
    assert float(value) == pytest.approx(result.information[unit, blocks.classes[0]], abs=0.006)
    assert said[2:] == [True, []]


def test_a_link_opens_the_kind_in_its_layer(chromium, tmp_path):
    page(tmp_path / "run", *everything())
    script = "return [...document.querySelectorAll('.layer')].map((one) => one.hidden).concat([scrollY > 500, errors]);"
    assert asked(chromium, tmp_path / "run" / "index.html", script, at="#layer-1-parts") == [True, False, True, []]
