"""The page of an explanatory graph: what it says and draws is what the result says."""

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browsing import asked, shows_it_whole
from made_entanglement import saved
from made_graph import HOSTILE, LANDMARKS, LAYERS, SIDE, evaluation, graph, synthesised, without_landmarks
from pages import Element, having, read
from PIL import Image

from interpkit.report import build
from interpkit.report.formats import number
from interpkit.report.graphs import MOST_TIES, bonds, in_columns, in_rows
from interpkit.report.matrices import overlay, scale
from interpkit.results import ExplanatoryGraph


@pytest.fixture(scope="module")
def made() -> ExplanatoryGraph:
    return graph()


def page(folder: Path, result: ExplanatoryGraph, *, single_file: bool = False) -> list[Element]:
    saved(result, folder)
    return read(build(folder, single_file=single_file).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def elements(made, tmp_path_factory) -> list[Element]:
    return page(tmp_path_factory.mktemp("graph"), made)


def all_of(elements: list[Element]) -> str:
    """What the page says, spaces made one."""
    return " ".join(next(one for one in elements if one.tag == "main").content.split())


def large(elements: list[Element]) -> list[str]:
    return [one.content for one in having(elements, "b") if "dd" in one.inside]


def values(result: ExplanatoryGraph, positions: str, column: str) -> float:
    """Mean over the layers that have edges, of the 100 strongest nodes on held-out images."""
    t = result.evaluation.table
    rows = t[(t["positions"] == positions) & (t["images"] == "held out") & (t["top"] == 100) & (t["landmark"] == "all")]
    return float(rows[rows["layer"].isin(LAYERS[:-1])][column].mean())


def test_large_numbers_stand_with_their_controls(made, elements):
    three = made.evaluation.localisation
    three = three[three["shots"] == 3].groupby("positions")["error"].mean()
    wanted = [values(made, "graph", "instability"), values(made, "graph", "pure"), three["graph"]]
    assert large(elements) == [number(value) for value in wanted]
    beside = [one.content for one in having(elements, "dd", kind="chance")]
    assert beside == [
        f"the same without edges {number(values(made, 'no edges', 'instability'))}",
        f"edges to shuffled images {number(values(made, 'shuffled', 'instability'))}",
        f"arg-max of the filters {number(values(made, 'raw', 'instability'))}",
        f"image centre {number(values(made, 'centre', 'instability'))}",
        f"the same without edges {number(values(made, 'no edges', 'pure'))}",
        f"edges to shuffled images {number(values(made, 'shuffled', 'pure'))}",
        f"arg-max of the filters {number(values(made, 'raw', 'pure'))}",
        f"arg-max of the filters {number(three['raw'])}",
        f"mean place of the examples {number(three['mean place'])}",
        f"image centre {number(three['centre'])}",
    ]


def test_where_edges_help_is_counted(made, elements, tmp_path):
    text = all_of(elements)
    low, high = LAYERS[:2]
    assert f"lower instability in 1 of 2 layers that have them: {high}" in text
    assert f"They do not in {low}: {number(made.evaluation.at(low, 'graph'))}, against" in text
    assert f"here it is steadier than the patterns of {low}" in text
    table = made.evaluation.table.copy()
    table.loc[table["positions"] == "graph", "instability"] = 0.05
    table.loc[table["positions"] == "no edges", "instability"] = 0.04
    table.loc[table["positions"] == "shuffled", "instability"] = 0.06
    text = all_of(page(tmp_path / "between", replace(made, evaluation=replace(made.evaluation, table=table))))
    assert f"in 0 of 2 layers that have them. They do not in {high}: .050, against .040 without" in text
    assert f"Nor in {low}: .050" in text
    table.loc[table["positions"] == "graph", "instability"] = 0.01
    text = all_of(page(tmp_path / "better", replace(made, evaluation=replace(made.evaluation, table=table))))
    assert "lower instability in 2 of 2 layers that have them" in text
    assert "They do not" not in text
    assert "here it is steadier" not in text


def test_without_controls_nothing_is_said_of_edges(made, tmp_path):
    table = made.evaluation.table
    table = table[~table["positions"].isin(["no edges", "shuffled"])]
    text = all_of(page(tmp_path, replace(made, evaluation=replace(made.evaluation, table=table))))
    assert "Where edges help" not in text
    assert "as means over the layers" not in text


def test_every_edge_that_is_drawn_is_one_of_the_graph(made):
    found = bonds(made)
    assert [row[0].layer for row in found.rows] == [2, 1, 0]
    assert sorted((knot.layer, knot.node) for row in found.rows for knot in row) == sorted(
        zip(made.shown.layer.tolist(), made.shown.node.tolist(), strict=True)
    )
    assert found.ties
    for row in found.rows:
        assert [knot.number for knot in row] == list(range(1, len(row) + 1))
        for knot in row:
            assert (made.shown.layer[knot.card], made.shown.node[knot.card]) == (knot.layer, knot.node)
            upper = {tie.above.node: tie.agreement for tie in found.above(knot)}
            assert len(upper) <= MOST_TIES
            if knot.layer == 2:
                continue
            low, high = made.layers[knot.layer : knot.layer + 2]
            shown = made.shown.node[made.shown.layer == knot.layer + 1].tolist()
            best: dict[int, float] = {}
            for to, value in zip(low.edges[knot.node], low.agreement[knot.node], strict=True):
                stands = int(high.representative[to])
                if stands in shown:
                    best[stands] = max(best.get(stands, 0), float(value))
            wanted = sorted(best.values(), reverse=True)[:MOST_TIES]
            assert sorted(upper.values(), reverse=True) == wanted


def test_a_tie_to_a_double_counts_as_one_to_the_node_that_stands_for_it(made):
    knot = bonds(made).rows[1][0]
    low, high = made.layers[1:]
    shown = int(bonds(made).rows[0][0].node)
    double = next(v for v in range(len(high)) if v not in made.shown.node[made.shown.layer == 2])
    edges, agreement = low.edges.copy(), low.agreement.copy()
    edges[knot.node], agreement[knot.node, 0] = double, 0.99
    representative = high.representative.copy()
    representative[double] = shown
    layers = (
        made.layers[0],
        replace(low, edges=edges, agreement=agreement),
        replace(high, representative=representative),
    )
    found = bonds(replace(made, layers=layers))
    mine = [tie for tie in found.ties if (tie.below.layer, tie.below.node) == (knot.layer, knot.node)]
    assert [(tie.above.node, tie.agreement) for tie in mine] == [(shown, 0.99)]


def test_the_strongest_ties_alone_are_drawn_best_first(made):
    first, second = bonds(made).rows[:2]
    low = made.layers[1]
    edges, agreement = low.edges.copy(), low.agreement.copy()
    for knot in second:
        edges[knot.node] = [upper.node for upper in first[:5]]
        agreement[knot.node] = [0.3, 0.7, 0.5, 0.9, 0.1]
    changed = replace(low, edges=edges, agreement=agreement)
    found = bonds(replace(made, layers=(made.layers[0], changed, made.layers[2])))
    for knot in found.rows[1]:
        assert [(tie.above.number, tie.agreement) for tie in found.above(knot)] == [(4, 0.9), (2, 0.7)]


def test_nodes_stand_on_the_mean_image_where_their_parts_lie(made):
    for sketch in (in_rows(made, bonds(made)), in_columns(made, bonds(made))):
        assert len(sketch.rows) == 3
        for row in sketch.rows:
            for tile in row.tiles:
                x, y = (np.subtract(tile.dot, row.corner) / sketch.image).tolist()
                wanted = (made.layers[tile.knot.layer].mean[tile.knot.node] + 0.5) / SIDE
                np.testing.assert_allclose([y, x], wanted, atol=0.1 / min(sketch.image))
                inside = np.add(tile.corner, sketch.side) <= sketch.size
                assert inside.all()
                assert min(*tile.corner, *tile.dot) >= 0


def test_no_two_pictures_overlap(made):
    for sketch in (in_rows(made, bonds(made)), in_columns(made, bonds(made))):
        high = sketch.side + (sketch.small + 2 if sketch.small else 0)
        boxes = [(*tile.corner, sketch.side, high) for row in sketch.rows for tile in row.tiles]
        boxes += [(*row.corner, *sketch.image) for row in sketch.rows]
        for i, (x, y, w, h) in enumerate(boxes):
            for u, v, a, b in boxes[:i]:
                assert x + w <= u or u + a <= x or y + h <= v or v + b <= y


def test_thicker_lines_are_of_more_agreement(made):
    lines = in_rows(made, bonds(made)).lines
    order = np.argsort([line.tie.agreement for line in lines])
    assert (np.diff(np.array([line.width for line in lines])[order]) >= 0).all()
    assert lines[order[-1]].width > 2 * lines[order[0]].width


def test_every_node_leads_to_its_card(made, elements):
    cards = {one.attributes["id"]: one for one in having(elements, "article")}
    links = having(elements, "a", kind="knot")
    assert len(links) == 2 * len(made.shown.node)
    assert {str(link.attributes["href"])[1:] for link in links} == set(cards)
    for layer, node in zip(made.shown.layer.tolist(), made.shown.node.tolist(), strict=True):
        one = made.layers[layer]
        text = " ".join(cards[f"node-0-{layer}-{node}"].content.split())
        assert f"Unit {one.filter[node]}" in text
        part = made.evaluation.landmarks[one.part[node]] if one.part[node] >= 0 and one.purity[node] >= 0.5 else None
        assert (f"{part} {number(one.purity[node])}" in text) if part else not any(name in text for name in LANDMARKS)


def test_a_part_is_named_where_a_node_is_pure_alone(made, elements):
    named = [str(one.attributes["aria-label"]) for one in having(elements, "a", kind="knot")]
    sure = 0
    for layer, node in zip(made.shown.layer.tolist(), made.shown.node.tolist(), strict=True):
        one = made.layers[layer]
        sure += bool(one.part[node] >= 0 and one.purity[node] >= 0.8)
    assert sum(any(label.endswith(f", {name}") for name in LANDMARKS) for label in named) == 2 * sure > 0


@pytest.mark.parametrize("single_file", [False, True])
def test_each_patch_is_its_part_of_the_strip(made, tmp_path, single_file):
    found = page(tmp_path, made, single_file=single_file)
    row = next(one for one in having(found, "div", kind="row"))
    assert row.attributes["role"] == "img"
    boxes = [str(one.attributes.get("viewbox")) for one in having(found, "svg") if one.inside[-1] == "span"]
    assert boxes[:6] == [f"{i} 0 1 1" for i in range(6)]
    inner = "use" if single_file else "image"
    patches = [one for one in having(found, inner) if "article" in one.inside]
    assert len(patches) == 6 * len(made.shown.node)
    if single_file:
        embedded = {one.attributes["id"] for one in having(found, "image") if "defs" in one.inside}
        assert {str(one.attributes["href"])[1:] for one in having(found, "use")} == embedded


def test_maps_lie_over_their_images(made, elements):
    over = [str(one.attributes["src"]) for one in having(elements, "img", kind="over")]
    wanted = [overlay(made.shown.heat[f, layer]) for f in range(4) for layer in (2, 1, 0)]
    assert over == wanted
    assert "None of these images was fitted to" in all_of(elements)


def test_more_is_less_clear():
    shades = np.array([[0, 128, 255]], np.uint8)
    kind, _, content = overlay(shades).partition(",")
    assert kind == "data:image/png;base64"
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGBA"))[0]
    np.testing.assert_array_equal(pixels[:, :3], scale()[shades[0]])
    assert pixels[0, 3] == 0
    assert pixels[0, 3] < pixels[1, 3] < pixels[2, 3] < 255


def test_every_control_has_a_row_in_every_layer(made, elements):
    table = having(elements, "table", kind="judged")[0]
    rows = [" ".join(one.content.split()) for one in having(elements, "tr")]
    own = [row for row in rows if row.startswith("the graph")]
    assert len(own) == 3
    for layer, row in zip(reversed(LAYERS), own, strict=True):
        t = made.evaluation.table
        t = t[(t["layer"] == layer) & (t["positions"] == "graph") & (t["images"] == "held out")]
        best, few = (t[t["top"] == top].set_index("landmark") for top in (100, 20))
        cells = [best["instability"][name] for name in (*LANDMARKS, "all")] + [few["instability"]["all"]]
        cells += [best["pck"]["all"], best["pure"]["all"]]
        assert row == "the graph100" + "".join(map(number, cells))
    assert table.content.count("the same without edges") == 2
    assert table.content.count("image centre") == 3


def test_the_best_alone_is_bold(made, elements):
    bold = [one.content for one in having(elements, "b") if one.inside[-1] == "td" and "tbody" in one.inside]
    t = made.evaluation.table
    t = t[(t["images"] == "held out") & (t["landmark"] == "all") & (t["top"] == 100)]
    for layer in LAYERS:
        least = number(t[t["layer"] == layer]["instability"].min())
        assert least in bold
    worst = number(t[t["layer"] == LAYERS[0]]["instability"].max())
    assert worst not in bold


def test_each_shot_has_its_error_beside_the_floors(made, elements):
    rows = [" ".join(one.content.split()) for one in having(elements, "tr")]
    t = made.evaluation.localisation
    for landmark in LANDMARKS:
        for shots in (1, 3, 5, 10):
            of = t[(t["landmark"] == landmark) & (t["shots"] == shots)].set_index("positions")
            cells = [f"{number(of['error'][name])} ± .010" for name in ("graph", "raw", "mean place", "centre")]
            assert f"{landmark}{shots}" + "".join(cells) in rows
    assert "The graph is the best of all in 8 of 8 rows" in all_of(elements)


def test_curves_are_of_iterations(made, elements):
    labels = [str(one.attributes.get("aria-label")) for one in having(elements, "svg")]
    for one in made.layers:
        assert f"{one.layer}: log-likelihood of an image, thousand nats by iteration; at the end:" in " ".join(labels)
    titles = [one.content for one in having(elements, "title")]
    assert sum(title.startswith("before the first iteration:") for title in titles) == 3
    assert f"iteration 12:  {number(made.layers[0].likelihood[-1] / 1000)}" in titles


def test_a_set_without_landmarks_has_counts_alone(tmp_path):
    result = without_landmarks()
    found = page(tmp_path, result)
    text = all_of(found)
    assert large(found)[0] == "96"
    assert "nothing on any image" in text
    assert "how steady and how pure the patterns are cannot be measured" in text
    heads = [one.content for one in having(found, "h2")]
    assert heads == [
        *("The graph", "The patterns to look at", "Where the patterns lie", "How the fit went", "How to repeat it")
    ]
    assert "landmark nearest" not in text


def test_what_a_decoder_makes_is_shown_with_its_error(made, elements, tmp_path):
    assert "Images from patterns alone" not in all_of(elements)
    text = all_of(page(tmp_path / "some", synthesised()))
    assert "is .410 from all features; the mean training image alone reaches .930" in text
    assert "no better than the mean image" not in text
    result = synthesised()
    bad = replace(result, shown=replace(result.shown, synthesis_error=(0.95, 0.93)))
    assert "no better than the mean image" in all_of(page(tmp_path / "bad", bad))


def test_what_was_run_and_how_to_repeat_it(made, elements):
    text = all_of(elements)
    assert "Which parts of beast the units of model stand for" in text
    assert "fitted to 40 images of beast in my set, judged on 25 others; 4, 4, 4 part patterns a filter" in text
    assert "8 of 11 units, 4 nodes each, maps of 14 \N{MULTIPLICATION SIGN} 14" in text
    assert "Interpreting CNN Knowledge via an Explanatory Graph" in text
    files = [one.content for one in having(elements, "dt") if one.content.endswith((".csv", ".npz", ".json"))]
    assert {Path(name).name for name in files} >= {"nodes.csv", "edges.csv", "likelihood.csv", "scores.npz"}


def test_nothing_held_out_is_said(made, tmp_path):
    table = made.evaluation.table
    bare = replace(
        made.evaluation,
        table=table[table["images"] == "training"],
        localisation=made.evaluation.localisation[:0],
    )
    text = all_of(page(tmp_path, replace(made, held_out=(), evaluation=bare)))
    assert "The numbers are of the images that the patterns were fitted to, since none were held out" in text
    assert "The patterns were fitted to these images." in text
    assert "Finding a part from a few examples" not in text
    assert "judged on" not in text


def test_nothing_that_is_shown_leaves_no_empty_part(made, tmp_path):
    shown = made.shown
    none = np.zeros(0, np.int64)
    bare = replace(
        shown,
        **{"layer": none, "node": none, "strips": (), "images": (), "where": np.zeros((0, 6, 2))},
        **{"heat_images": (), "heat": shown.heat[:0]},
    )
    found = page(tmp_path, replace(made, shown=bare))
    heads = [one.content for one in having(found, "h2")]
    assert not {"The graph", "The patterns to look at", "Where the patterns lie"} & set(heads)


def test_strangers_names_stay_text(tmp_path):
    landmarks = (HOSTILE, "legs")
    result = graph(class_name=HOSTILE, evaluation=evaluation(landmarks=landmarks), warnings=(HOSTILE,))
    found = page(tmp_path, result)
    assert "<script>alert" not in (tmp_path / "index.html").read_text()
    assert len(having(found, "script")) == 1
    assert all_of(found).count(HOSTILE) > 10


@pytest.mark.parametrize("make", [graph, without_landmarks])
def test_a_browser_shows_it_narrow_and_without_complaint(chromium, tmp_path, make):
    page(tmp_path / "run", make())
    shows_it_whole(chromium, tmp_path / "run" / "index.html")


POINTED = """const knot = document.querySelectorAll(".in-rows .knot")[8];
const figure = knot.closest(".knots");
const peek = figure.querySelector(".peek");
const before = peek.hidden;
knot.focus();
const key = knot.dataset.knot;
const lit = [...figure.querySelectorAll(".in-rows .tie.on")].map((tie) => tie.dataset.ends);
const near = [...figure.querySelectorAll(".in-rows .knot.near")].map((one) => one.dataset.knot);
const box = peek.getBoundingClientRect();
const count = (what) => peek.querySelectorAll(what).length;
const inside = box.left >= 0 && box.right <= innerWidth;
const said = [before, peek.hidden, key, lit, near, count(".c"), count("[id]"), inside];
knot.blur();
return [...said, peek.hidden, figure.querySelectorAll(".on").length];"""


def test_a_node_that_is_stepped_to_shows_its_edges_and_patches(chromium, made, tmp_path):
    page(tmp_path / "run", made)
    before, after, key, lit, near, patches, ids, inside, left, on = asked(
        chromium, tmp_path / "run" / "index.html", POINTED
    )
    assert (before, after, left) == (True, False, True)
    ties = [tie for tie in bonds(made).ties if key in (tie.above.key, tie.below.key)]
    assert sorted(lit) == sorted(f"{tie.above.key} {tie.below.key}" for tie in ties)
    assert lit
    assert set(near) == {end for tie in ties for end in (tie.above.key, tie.below.key)}
    assert (patches, ids, inside, on) == (6, 0, True, 0)


def test_numbers_in_the_drawing_are_those_of_the_cards(made, elements):
    for card in having(elements, "article"):
        key = re.sub(r"^node-0-", "", str(card.attributes["id"]))
        shown = {
            one.content.split()[0] for one in having(elements, "a", kind="knot") if one.attributes["data-knot"] == key
        }
        assert shown == {card.content.split()[0]}


def test_a_card_says_which_row_it_is_and_what_its_number_stands_beside(made, elements):
    cards = {one.attributes["id"]: " ".join(one.content.split()) for one in having(elements, "article")}
    for layer, node in zip(made.shown.layer.tolist(), made.shown.node.tolist(), strict=True):
        assert f"node {node}" in cards[f"node-0-{layer}-{node}"].split(" px ")[1]
    said = next(one for one in having(elements, "p") if one.content.startswith("Each row shows one part pattern"))
    floors = sorted(made.evaluation.at(layer, "centre", images="training") for layer in LAYERS)
    assert "At the right stands its location instability" in said.content
    assert f"centre has {number(floors[0])} to {number(floors[-1])}." in said.content
    assert "chosen among the strongest" in said.content


def test_cards_of_a_set_without_landmarks_speak_of_no_instability(tmp_path):
    assert "instability" not in all_of(page(tmp_path, without_landmarks()))


def test_a_landmark_that_nothing_was_measured_by_has_no_column(tmp_path):
    found = evaluation(LAYERS)
    found.table.loc[found.table["landmark"] == "front legs", "instability"] = np.nan
    elements = page(tmp_path, graph(evaluation=found))
    table = having(elements, "table", kind="judged")[0]
    heads = [one.content for one in having(elements, "th") if one.inside[-1] == "tr" and one.content in table.content]
    assert "head" in heads
    assert "front legs" not in heads
    assert "Too few of these images show front legs to measure instability there." in all_of(elements)


def test_purity_is_called_a_share(elements):
    assert "share of them that are pure" in all_of(elements)
