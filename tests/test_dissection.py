"""dissect() against the slow definition, and the laws that hold for every run."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from full_disk import full_disk
from hypothesis import given
from hypothesis import strategies as st
from labels_on_disk import Row, grid_of
from numpy.typing import NDArray
from PIL import Image
from reference import dissection as plain
from reference.broden_reader import PlainImage, read_broden
from small_networks import LABELS, PRIMARY, SIZE, Small, probe, random_labels, small_network, small_set
from torch import Tensor, nn

from interpkit.counts import BLOCKS, block_of
from interpkit.dissection import _counting, _passes, _tally, dissect, dissect_layers, planned_fingerprint
from interpkit.dissection._pixels import CONCEPT, PIXELS, PLACE, WORDS, Packing, joined, meet, on_bits
from interpkit.errors import ImageError, InterpkitError, LabelSetError, ModelError, ResultError
from interpkit.feeding import read_image, stack
from interpkit.geometry import Resampler, half_pixel
from interpkit.labels import ImageLabels, LabelSet
from interpkit.models import load_model
from interpkit.probe import Probe
from interpkit.results import Dissection, load, save

LAYERS = ("early", "relu", "norm", "head")
FED: dict[str, Any] = {"batch_size": 2, "memory_format": "contiguous"}


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> LabelSet:
    return small_set(tmp_path_factory.mktemp("labels") / "set")


@pytest.fixture(scope="module")
def whole(labels) -> dict[str, Dissection]:
    """The dissection that most tests compare with."""
    return dissect_layers(probe(LAYERS), labels, **FED)


def maps_of(labels: LabelSet, layers: Sequence[str] = LAYERS, net: nn.Module | None = None) -> dict[str, NDArray[Any]]:
    """(N, U, h, w) of each layer, two images at a time as ``FED`` says."""
    look = probe(layers, net)
    images = [read_image(labels, row, look.preprocessing) for row in range(len(labels))]
    batches = [look(stack(images[i : i + 2], "contiguous")) for i in range(0, len(images), 2)]
    return {layer: np.concatenate([batch[layer].numpy() for batch in batches]) for layer in layers}


def reference(
    result: Dissection, maps: NDArray[Any], images: Sequence[PlainImage], *, quantile: float = 0.005
) -> plain.Answer:
    start, stride = result.placement
    where = plain.Geometry(result.input_size, result.grid, start, stride)
    rule = result.provenance.options["category_rule"]
    return plain.dissected(maps, images, PRIMARY, quantile=quantile, geometry=where, rule=rule)


def assert_agrees(result: Dissection, answer: plain.Answer) -> None:
    """Every number of the result is the definition's, but for pixels that lie at the threshold to float32."""
    np.testing.assert_allclose(result.thresholds, answer.thresholds, rtol=1e-6, atol=1e-7)
    assert result.silent.tolist() == answer.silent
    assert result.dead.tolist() == answer.dead
    counts, numbers = result.counts, result.concepts["number"].tolist()
    assert numbers == sorted(PRIMARY)
    assert result.concepts["category"].tolist() == [PRIMARY[number] for number in numbers]
    for unit, doubtful in enumerate(answer.doubtful):
        for c, number in enumerate(numbers):
            assert counts.truth[unit, c] == answer.truth[number]
            assert abs(counts.joint[1, unit, c] - answer.joint[unit, number]) <= doubtful
            column = result.categories.index(PRIMARY[number])
            assert result.blocks.category[c] == column
            assert abs(counts.state[1, unit, column] - answer.active[unit, PRIMARY[number]]) <= doubtful
            if doubtful == 0:
                np.testing.assert_equal(result.iou[unit, c], answer.iou[unit, number])
        assert abs(counts.state[1, unit, -1] - answer.everywhere[unit]) <= doubtful


def same_numbers(a: Dissection, b: Dissection) -> None:
    """Equal bit for bit, but for how and when the two were run."""
    for name in ("thresholds", "silent", "dead"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name
    for name in ("index", "value", "truth", "active", "pixels", "category"):
        np.testing.assert_array_equal(getattr(a.blocks, name), getattr(b.blocks, name), name)
    assert a.iou.tobytes() == b.iou.tobytes()
    assert (a.chance is None) == (b.chance is None)
    if a.chance is not None and b.chance is not None:
        np.testing.assert_array_equal(a.chance.concept, b.chance.concept)
        np.testing.assert_array_equal(a.chance.iou, b.chance.iou)
    for name in ("image", "peak", "maps"):
        assert getattr(a.top, name).tobytes() == getattr(b.top, name).tobytes(), name
    assert (a.top.names, a.top.outlines) == (b.top.names, b.top.outlines)
    assert (a.images, a.skipped, a.placement, a.grid) == (b.images, b.skipped, b.placement, b.grid)
    assert a.concepts.to_dict("list") == b.concepts.to_dict("list")


# --- against the definition


@pytest.mark.parametrize("layer", LAYERS)
def test_every_count_is_the_definitions(whole, labels, layer):
    maps = maps_of(labels)[layer]
    answer = reference(whole[layer], maps, read_broden(labels.root))
    assert_agrees(whole[layer], answer)
    assert sum(answer.doubtful) < 20
    assert sum(answer.joint.values()) > 0


def test_the_network_holds_every_kind_of_unit(whole):
    assert whole["early"].dead[0]
    assert whole["norm"].dead[1]
    relu = whole["relu"]
    assert relu.silent[1]
    assert not relu.dead[1]
    assert relu.counts.state[1, 1, -1] > 0  # a silent unit still shows where it fires
    assert relu.thresholds[1] == 0
    assert not relu.silent[2]
    dead = whole["early"].table().loc[0]
    assert (dead["concept"], dead["iou"], dead["dead"]) == ("", 0, True)
    assert whole["early"].top.outlines[0] == ("",) * 10


@pytest.mark.parametrize("quantile", [0.3, 0.02])
@pytest.mark.parametrize("rule", ["annotated", "all"])
def test_rules_and_quantiles_are_the_definitions(labels, rule, quantile):
    result = dissect(probe(["norm"]), labels, category_rule=rule, quantile=quantile, **FED)
    answer = reference(result, maps_of(labels)["norm"], read_broden(labels.root), quantile=quantile)
    assert_agrees(result, answer)


@pytest.mark.parametrize(("layer", "stride"), [("early", 2.0), ("norm", 4.0)])
def test_receptive_fields_align_as_the_paper_does(labels, layer, stride):
    result = dissect(probe([layer]), labels, align="receptive-field", quantile=0.05, **FED)
    # 3 x 3 convolutions with one pixel of padding: cell 0 lies on pixel 0.
    assert result.placement == ((0.0, 0.0), (stride, stride))
    answer = reference(result, maps_of(labels)[layer], read_broden(labels.root), quantile=0.05)
    assert_agrees(result, answer)


def test_effective_placement_aligns(labels):
    result = dissect(probe(["norm"]), labels, align="effective", quantile=0.05, **FED)
    np.testing.assert_allclose(result.placement[1], [4, 4], atol=0.5)
    answer = reference(result, maps_of(labels)["norm"], read_broden(labels.root), quantile=0.05)
    assert_agrees(result, answer)
    again = dissect(probe(["norm"]), labels, align="effective", quantile=0.05, **FED)
    same_numbers(result, again)


def test_half_pixel_is_the_default(whole):
    assert whole["early"].placement == ((0.5, 0.5), (2.0, 2.0))
    assert whole["norm"].placement == ((1.5, 1.5), (4.0, 4.0))
    assert whole["head"].placement == ((15.5, 15.5), (32.0, 32.0))
    assert whole["norm"].map_size == (8, 8)
    assert whole["norm"].grid == (16, 16)


def test_best_and_unique_detectors_are_the_definitions(labels):
    result = dissect(probe(["norm"]), labels, quantile=0.1, iou=0.06, **FED)
    answer = reference(result, maps_of(labels)["norm"], read_broden(labels.root), quantile=0.1)
    assert sum(answer.doubtful) == 0, "another seed"
    numbers = result.concepts["number"].tolist()
    rows, values = result.best()
    for unit in range(result.units):
        number, value = plain.best_of(answer, unit, numbers)
        assert (numbers[rows[unit]] if rows[unit] >= 0 else None) == number
        assert values[unit] == value
    for rule, slow in [("top-label", plain.unique_top_label), ("every-category", plain.unique_every_category)]:
        expected = slow(answer, PRIMARY, 0.06)
        assert {c: n for c, n in result.unique(rule).items() if n} == {c: n for c, n in expected.items() if n}
    assert 0 < sum(result.unique("top-label").values()) < sum(result.unique("every-category").values())


def test_a_label_of_two_categories_counts_once_and_where_its_primary_is_annotated(tmp_path):
    both = {"object": [grid_of(7, 0, side=16)], "part": [grid_of(0, 7, 0, 0, side=16)]}
    rows = [Row("both.png", both), Row("object.png", {"object": [grid_of(7, side=16)]}), Row("none.png", {})]
    labels = small_set(tmp_path / "set", rows=rows)
    result = dissect(probe(["early"]), labels, quantile=0.3, **FED)
    c = result.concepts["number"].tolist().index(7)
    part = result.categories.index("part")
    # The first image: left half by the object map; the part map lies inside of it. The second: everywhere.
    assert result.counts.truth[0, c] == 16 * 8 + 16 * 16
    assert result.blocks.pixels.sum(0)[[part, -1]].tolist() == [2 * 256, 3 * 256]
    answer = reference(result, maps_of(labels)["early"], read_broden(labels.root), quantile=0.3)
    assert_agrees(result, answer)


def test_scene_zero_is_no_label(tmp_path):
    rows = [Row("zero.png", {"scene": [0]}), Row("street.png", {"scene": [300]})]
    result = dissect(probe(["early"]), small_set(tmp_path / "set", rows=rows), quantile=0.3, **FED)
    assert 0 not in result.concepts["number"].tolist()
    scene = result.categories.index("scene")
    assert result.blocks.pixels.sum(0)[scene] == 256


# --- packing and counting, alone


# Squares of one pixel, of a few, of more than a word, and of several words.
PLACED = [((8, 10), (4, 5)), ((3, 2), (4, 5)), ((1, 2), (17, 20)), ((1, 1), (4, 60))]


def placed(map_size: tuple[int, int], grid: tuple[int, int]) -> Resampler:
    size = (2 * grid[0], 2 * grid[1])
    return Resampler(half_pixel(size, map_size), map_size=map_size, input_size=size, grid=grid)


@st.composite
def image_labels(draw: st.DrawFn, grid: tuple[int, int], concepts: int) -> ImageLabels:
    """Label maps that overlap and whole-image labels, as the readers give them."""
    rng = np.random.default_rng(draw(st.integers(0, 99999)))
    depth = draw(st.integers(0, 4))
    whole = rng.permutation(concepts)[: draw(st.integers(0, 3))].astype(np.int32)
    layers = rng.integers(-1, concepts, (depth, *grid)).astype(np.int32)
    layers[np.isin(layers, whole)] = -1
    for later in range(1, depth):
        layers[later][(layers[:later] == layers[later]).any(0)] = -1
    return ImageLabels(layers=layers, whole=whole, annotated=rng.random(3) < 0.5)


def drawn_at(labels: ImageLabels, concept: int) -> NDArray[np.bool_]:
    """(sh * sw,) where the label maps hold a concept."""
    return (labels.layers == concept).any(0).ravel()


@pytest.mark.parametrize(("map_size", "grid"), PLACED)
@given(st.data())
def test_packing_keeps_every_concept_at_every_pixel(map_size, grid, data):
    concepts = data.draw(st.sampled_from([1, 7, 70000]))
    labels = data.draw(image_labels(grid, concepts))
    resampler = placed(map_size, grid)
    packing = Packing(resampler)
    entries = packing.entries(labels)
    found: dict[int, NDArray[np.bool_]] = {}
    for entry in entries:
        pixels = resampler.pixel[int(entry[PLACE])]
        bits = np.unpackbits(entry[WORDS:].view(np.uint8))[: len(pixels)].astype(bool)
        assert (pixels[bits] >= 0).all()
        assert bits.sum() == entry[PIXELS] > 0
        held = found.setdefault(int(entry[CONCEPT]), np.zeros(grid[0] * grid[1], bool))
        assert not held[pixels[bits]].any()
        held[pixels[bits]] = True
    assert sorted(found) == sorted({*labels.layers.ravel().tolist()} - {-1})
    for concept, held in found.items():
        np.testing.assert_array_equal(held, drawn_at(labels, concept))


@pytest.mark.parametrize(("map_size", "grid"), PLACED)
@given(st.data())
def test_counting_is_that_of_masks(map_size, grid, data):
    images = data.draw(st.lists(image_labels(grid, 7), min_size=1, max_size=3))
    maps = np.random.default_rng(data.draw(st.integers(0, 9999))).normal(size=(len(images), 5, *map_size))
    maps = maps.astype(np.float32)
    thresholds = np.array([0.3, 9, -9, 1, 0], np.float32)
    strict = np.array([False, False, False, True, False])
    resampler = placed(map_size, grid)
    packing = Packing(resampler)
    n = len(images)
    squares = resampler.squares(maps.reshape(-1, *map_size), np.tile(thresholds, n), strict=np.tile(strict, n))
    on = on_bits(squares, packing, units=5)
    square, concept, shared = meet(on, joined([packing.entries(one) for one in images], packing.places))
    joint = np.zeros((5 * n, 7), np.int64)
    np.add.at(joint, (on.unit[square], concept), shared)
    area = dict(zip(on.units.tolist(), on.area.tolist(), strict=True))
    assert (np.diff(on.units) > 0).all()
    for i, labels in enumerate(images):
        alone = resampler.squares(maps[i], thresholds, strict=strict)
        for unit in range(5):
            mask = resampler.mask(alone, unit).ravel().astype(bool)
            assert area.get(5 * i + unit, 0) == mask.sum()
            expected = [(mask & drawn_at(labels, k)).sum() for k in range(7)]
            assert joint[5 * i + unit].tolist() == expected


def test_the_block_of_an_image_hangs_on_its_name_alone(labels, whole):
    names = [f"{i}.jpg" for i in range(4000)]
    blocks = [block_of(name) for name in names]
    assert [block_of(name) for name in reversed(names)] == blocks[::-1]
    assert np.bincount(blocks, minlength=BLOCKS).min() > 4000 / BLOCKS * 0.75
    # Known answers: sha256's first four bytes, modulo 16, are part of what is stored.
    assert [block_of(name) for name in ("a.jpg", "street/0001.jpg", "日本.png")] == [6, 0, 3]
    pixels = whole["norm"].blocks.pixels[:, -1]
    expected = np.bincount([block_of(name) for name in labels.images["image"]], minlength=BLOCKS) * 256
    np.testing.assert_array_equal(pixels, expected)


def test_blocks_hold_the_counts_of_their_images(labels, whole):
    block = block_of(labels.images["image"].iloc[3])
    here = [i for i, name in enumerate(labels.images["image"]) if block_of(name) == block]
    images = read_broden(labels.root)
    counts = whole["norm"].blocks.block(block)
    for c, number in enumerate(whole["norm"].concepts["number"]):
        assert counts.truth[0, c] == sum(len(images[i].pixels.get(number, ())) for i in here)


# --- laws: what must not change the numbers


@pytest.mark.parametrize("cache", ["disk", "none", "auto"])
def test_where_maps_are_kept_changes_nothing(labels, whole, cache, tmp_path):
    other = dissect_layers(probe(LAYERS), labels, cache=cache, scratch=tmp_path, **FED)
    for layer in LAYERS:
        same_numbers(whole[layer], other[layer])
        assert any("maps kept" in note for note in other[layer].provenance.notes)
        assert other[layer].provenance.fingerprint == whole[layer].provenance.fingerprint
    assert list(tmp_path.iterdir()) == []


def test_the_same_run_gives_the_same_bits(labels, whole):
    again = dissect_layers(probe(LAYERS), labels, **FED)
    for layer in LAYERS:
        same_numbers(whole[layer], again[layer])


@pytest.mark.parametrize("layer", LAYERS)
def test_one_layer_alone_gives_what_several_give(labels, whole, layer):
    same_numbers(whole[layer], dissect(probe([layer]), labels, **FED))


def test_layers_come_in_the_order_asked_for(labels):
    results = dissect_layers(probe(["norm", "early"]), labels, **FED)
    assert list(results) == ["norm", "early"]
    assert [one.order for one in results.values()] == [0, 1]


@pytest.mark.parametrize("fed", [{"batch_size": 1}, {"batch_size": 7}, {"memory_format": "channels_last"}])
def test_feeding_moves_counts_by_rounding_alone(labels, whole, fed):
    other = dissect_layers(probe(LAYERS), labels, **{**FED, **fed})
    for layer in LAYERS:
        a, b = whole[layer], other[layer]
        np.testing.assert_allclose(a.thresholds, b.thresholds, rtol=1e-4, atol=1e-6)
        answer = reference(a, maps_of(labels)[layer], read_broden(labels.root))
        doubtful = np.array(answer.doubtful)
        assert (abs(a.counts.joint[1] - b.counts.joint[1]).max(1) <= doubtful).all()
        np.testing.assert_array_equal(a.counts.truth, b.counts.truth)


def test_threads_move_no_count(labels, whole):
    for threads in (1, 3):
        other = dissect(probe(["norm"]), labels, threads=threads, **FED)
        np.testing.assert_array_equal(other.counts.joint, whole["norm"].counts.joint)
        assert other.provenance.threads == threads


@pytest.mark.parametrize(
    "chunks",
    [
        {"AT_ONCE": 1, "DRAWN_AT_ONCE": 1},
        {"AT_ONCE": 3, "DRAWN_AT_ONCE": 7},
        {"MOST_CELLS": 1},
        {"MOST_READINGS": 1},
        {"MOST_READINGS": 30000},
    ],
)
@pytest.mark.parametrize("workers", [1, 3])
def test_how_many_are_counted_in_one_go_changes_nothing(labels, whole, monkeypatch, chunks, workers):
    for name, value in chunks.items():
        monkeypatch.setattr(_counting if hasattr(_counting, name) else _tally, name, value)
    monkeypatch.setattr(_passes, "COUNTING_THREADS", workers)
    monkeypatch.setattr(_counting, "DRAWING_THREADS", workers)
    other = dissect_layers(probe(LAYERS), labels, **FED)
    for layer in LAYERS:
        same_numbers(whole[layer], other[layer])


def listed(labels: LabelSet, folder: Path, order: Sequence[int]) -> LabelSet:
    """The same files with the rows ``order`` of index.csv, in that order."""
    head, *rows = (labels.root / "index.csv").read_text().splitlines()
    shutil.copytree(labels.root, folder)
    (folder / "index.csv").write_text("\n".join([head, *(rows[i] for i in order)]) + "\n")
    return LabelSet.open(folder)


def test_the_order_of_images_changes_no_count(labels, tmp_path):
    # One image a batch: in larger ones, an image's numbers may hang on its neighbours to the last bit.
    fed = {"batch_size": 1, "memory_format": "contiguous"}
    order = np.random.default_rng(0).permutation(len(labels))
    first = dissect_layers(probe(LAYERS), labels, **fed)
    second = dissect_layers(probe(LAYERS), listed(labels, tmp_path / "other", order.tolist()), **fed)
    for layer in LAYERS:
        a, b = first[layer], second[layer]
        assert a.thresholds.tobytes() == b.thresholds.tobytes()
        for name in ("index", "value", "truth", "active", "pixels"):
            np.testing.assert_array_equal(getattr(a.blocks, name), getattr(b.blocks, name))
        np.testing.assert_array_equal(a.top.peak, b.top.peak)
        shown = [[[one.top.names[i] for i in row] for row in one.top.image] for one in (a, b)]
        for unit in np.flatnonzero(~a.silent & ~a.dead):
            assert shown[0][unit] == shown[1][unit]


@pytest.mark.parametrize("choice", [{"limit": 4}, {"split": "val"}, {"split": "train", "limit": 3}])
def test_a_part_of_the_images_counts_as_if_it_were_all(labels, tmp_path, choice):
    result = dissect_layers(probe(LAYERS), labels, **choice, **FED)
    rows = list(range(len(labels)))
    if "split" in choice:
        rows = [i for i in rows if labels.images["split"].iloc[i] == choice["split"]]
    part = listed(labels, tmp_path / "part", rows[: choice.get("limit")])
    for layer, one in dissect_layers(probe(LAYERS), part, **FED).items():
        same_numbers(result[layer], one)
        assert result[layer].images == len(part) < len(labels)


def test_a_module_and_its_name_are_dissected_alike(labels, whole):
    net = small_network().train()  # left in training mode
    same_numbers(whole["norm"], dissect(probe(["norm"], net), labels, **FED))


# --- the chance level


def two_images(*, swapped: bool) -> list[Row]:
    """Two images with labels of every category, or each with the other's."""
    rng = np.random.default_rng(3)
    cells: list[Any] = [
        {
            "color": [random_labels(rng, [5, 6])],
            "object": [random_labels(rng, [1, 2])],
            "part": [random_labels(rng, [3, 4]), random_labels(rng, [3])],
            "scene": [scene],
        }
        for scene in (8, 300)
    ]
    return [Row(name, one) for name, one in zip(("a.png", "b.png"), cells[:: -1 if swapped else 1], strict=True)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rule", ["annotated", "all"])
def test_of_two_images_each_takes_the_others_labels(tmp_path, seed, rule):
    fed = {**FED, "quantile": 0.2, "category_rule": rule}
    one = dissect(probe(["norm"]), small_set(tmp_path / "own", rows=two_images(swapped=False)), seed=seed, **fed)
    other = dissect(probe(["norm"]), small_set(tmp_path / "swapped", rows=two_images(swapped=True)), **fed)
    assert one.chance is not None
    for g, category in enumerate(one.categories):
        rows, values = other.best(category)
        np.testing.assert_array_equal(one.chance.concept[:, g], rows)
        np.testing.assert_array_equal(one.chance.iou[:, g], values)
    assert one.chance.iou.any()


def test_a_category_annotated_once_has_no_partner(tmp_path):
    rows = two_images(swapped=False)
    rows[1] = replace(rows[1], cells={name: cell for name, cell in rows[1].cells.items() if name != "part"})
    one = dissect(probe(["norm"]), small_set(tmp_path / "set", rows=rows), quantile=0.2, **FED)
    assert one.chance is not None
    part = one.categories.index("part")
    assert (one.chance.concept[:, part] == -1).all()
    assert not one.chance.iou[:, part].any()
    assert one.chance.iou.any()


# --- top images


def test_top_images_are_those_with_the_largest_peaks(labels, whole):
    for layer, maps in maps_of(labels).items():
        one = whole[layer]
        peaks = maps.max((2, 3))
        for unit in range(one.units):
            order = np.argsort(-peaks[:, unit], kind="stable")[:10]
            assert [one.top.names[i] for i in one.top.image[unit]] == labels.images["image"].iloc[order].tolist()
            np.testing.assert_array_equal(one.top.peak[unit], peaks[order, unit])
            np.testing.assert_array_equal(one.top.maps[unit], maps[order, unit])


def test_equal_peaks_show_the_earlier_image(labels):
    one = dissect(probe(["early"]), labels, top=4, **FED)
    names = [one.top.names[i] for i in one.top.image[0]]  # a dead unit: all peaks are equal
    assert names == labels.images["image"].iloc[:4].tolist()


def test_outlines_are_those_of_the_masks(labels, whole):
    for layer, maps in maps_of(labels).items():
        one = whole[layer]
        start, stride = one.placement
        answer = plain.Geometry(one.input_size, one.grid, start, stride)
        rows = {name: i for i, name in enumerate(labels.images["image"])}
        for unit in range(one.units):
            for slot in (0, 3):
                cells = maps[rows[one.top.names[one.top.image[unit, slot]]], unit]
                surface = plain.resampled(cells, answer)
                if (np.abs(surface - one.thresholds[unit]) < 1e-5).any() and not one.silent[unit]:
                    continue
                mask = plain.mask_of(surface, float(one.thresholds[unit]), strict=bool(one.silent[unit]))
                assert (one.top.outlines[unit][slot] == "") == (not mask.any())
                assert covered(one.top.outlines[unit][slot]) == mask.sum()


def covered(path: str) -> int:
    """The area inside an outline: the sum of its subpaths' areas, holes turning the other way."""
    area = 0
    for subpath in filter(None, path.split("z")):
        x, y = (int(number) for number in subpath[1:].partition("h")[0].partition("v")[0].split())
        for step in subpath[1:].lstrip("0123456789 ").replace("h", " h").replace("v", " v").split():
            length = int(step[1:])
            if step[0] == "h":
                x += length
            else:
                y += length
                area += x * length
        start = int(subpath[1:].split()[0])
        top = int(subpath.split()[1].partition("h")[0].partition("v")[0])
        if x == start:
            area += x * (top - y)
    return abs(area)


def test_fewer_images_than_top_places(labels):
    one = dissect(probe(["norm"]), labels, limit=3, top=5, **FED)
    assert one.top.image.shape[1] == 3
    assert (one.top.image >= 0).all()
    assert len(one.top.names) == 3


def test_fewer_good_images_than_top_places(damaged):
    one = dissect(probe(["norm"]), damaged, skip_bad=True, limit=5, top=5, **FED)
    assert (one.top.image[:, 3:] == -1).all()
    assert np.isnan(one.top.peak[:, 3:]).all()
    assert not one.top.maps[:, 3:].any()
    assert all(row[3:] == ("", "") for row in one.top.outlines)
    assert len(one.top.names) == 3


def test_pictures_are_jpegs_of_the_top_images(whole, tmp_path):
    one = whole["norm"]
    assert list(one.pictures) == list(one.top.names)
    assert one.pictures[one.top.names[0]].startswith(b"\xff\xd8")
    with pytest.raises(KeyError):
        one.pictures["none"]


def test_a_run_goes_to_disk_and_back(whole, tmp_path):
    for layer, one in whole.items():
        back = load(save(one, tmp_path / layer))
        same_numbers(one, back)
        assert back.provenance == one.provenance
        assert dict(back.pictures) == dict(one.pictures)
        assert back.summary() == one.summary()
        assert back.table().equals(one.table())


# --- provenance


def test_the_result_says_how_it_was_made(labels, whole):
    made = whole["norm"].provenance
    assert made.labels_sha == labels.sha
    assert made.model_sha == probe().loaded.sha
    assert (made.batch_size, made.memory_format, made.seed) == (2, "contiguous", 0)
    assert made.options["batch_size"] == 2
    assert made.options["layers"] == list(LAYERS)
    assert made.stages.keys() == {"tuning", "alignment", "thresholds", "counting"}
    assert made.seconds == pytest.approx(sum(made.stages.values()), abs=0.01)
    assert json.dumps(made.to_dict(), allow_nan=False)
    assert {"interpkit", "torch", "numpy"} <= made.versions.keys()


ASKED = [
    ({}, []),
    ({"quantile": 0.01, "top": 3}, ["--quantile 0.01", "--top 3"]),
    ({"align": "receptive-field", "category_rule": "all"}, ["--align receptive-field", "--category-rule all"]),
    ({"skip_bad": True, "limit": 4, "split": "train"}, ["--skip-bad", "--limit 4", "--split train"]),
]


@pytest.mark.parametrize(("options", "words"), ASKED)
def test_the_command_repeats_the_run(labels, options, words):
    named = replace(
        load_model(small_network(), size=SIZE), form="python", spec="python:mine:net", flags=("--size", "32")
    )
    command = dissect(Probe(named, ["early"]), labels, **options, **FED).provenance.command
    assert command.startswith("interpkit dissect python:mine:net --size 32 ")
    for word in [
        *words,
        "--layer early",
        "--batch-size 2",
        "--memory-format contiguous",
        "--threads",
        str(labels.root),
    ]:
        assert word in command
    absent = {"--quantile", "--align", "--skip-bad", "--split", "--limit", "--device"} - {w.split()[0] for w in words}
    assert not absent & set(command.split())


@pytest.mark.parametrize("layers", [["early"], ["norm", "early"]])
@pytest.mark.parametrize("options", [options for options, _ in ASKED])
def test_the_call_repeats_the_run(labels, options, layers):
    first = dissect_layers(probe(layers), labels, **options, **FED)
    names = {"model": load_model(small_network(), size=SIZE), "Probe": Probe, "LabelSet": LabelSet}
    names |= {"dissect": dissect, "dissect_layers": dissect_layers}
    again = eval(first["early"].provenance.command, names)
    same_numbers(first["early"], again["early"] if len(layers) > 1 else again)


def test_the_fingerprint_is_known_beforehand(labels):
    from inspect import signature

    arguments = {
        name: p.default for name, p in signature(dissect_layers).parameters.items() if p.kind is p.KEYWORD_ONLY
    }
    arguments |= {**FED, "quantile": 0.02, "limit": 5}
    planned = planned_fingerprint(probe(["early"]), labels, arguments)
    made = dissect(probe(["early"]), labels, quantile=0.02, limit=5, **FED)
    assert made.provenance.fingerprint == planned
    other = planned_fingerprint(probe(["early"]), labels, arguments | {"cache": "none", "scratch": Path()})
    assert other == planned
    assert planned_fingerprint(probe(["early"]), labels, arguments | {"quantile": 0.03}) != planned
    assert planned_fingerprint(probe(["norm"]), labels, arguments) != planned


def test_the_feeding_that_was_found_gives_the_same_again(labels):
    first = dissect(probe(["norm"]), labels)
    fed = {"batch_size": first.provenance.batch_size, "memory_format": first.provenance.memory_format}
    same_numbers(first, dissect(probe(["norm"]), labels, threads=first.provenance.threads, **fed))


def test_progress_is_told(labels):
    told: list[tuple[str, int, int]] = []
    dissect(probe(["norm"]), labels, progress=lambda *step: told.append(step), **FED)
    for stage in ("thresholds", "counting"):
        done = [number for name, number, _ in told if name == stage]
        assert done == sorted(done)
        assert done[-1] == len(labels)
    assert {total for _, _, total in told} == {len(labels)}


# --- the model is left as it was


def hooks_of(module: nn.Module) -> list[Any]:
    return [*module._forward_hooks, *module._forward_pre_hooks, *module._backward_hooks, *module._backward_pre_hooks]


def state_of(net: nn.Module) -> list[Any]:
    """Everything of a network that a run could leave changed."""
    tensors = [*net.named_parameters(), *net.named_buffers()]
    return [
        [(name, module.training, len(hooks_of(module))) for name, module in net.named_modules()],
        [(name, t.data_ptr(), t.stride(), t.requires_grad, t.detach().numpy().tobytes()) for name, t in tensors],
        [p.grad is None for p in net.parameters()],
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        (torch.get_num_threads(), torch.is_grad_enabled()),
    ]


def mixed_network() -> Small:
    """Training mode here and evaluation mode there, frozen weights, weights that lie in either format."""
    net = small_network().train()
    net.norm.eval()
    net.early.weight.requires_grad = False
    net.late.weight.data = net.late.weight.data.contiguous(memory_format=torch.channels_last)
    return net


@pytest.mark.parametrize("align", ["half-pixel", "receptive-field", "effective"])
@pytest.mark.parametrize("options", [{"cache": "disk"}, {"cache": "none", "memory_format": "channels_last"}])
def test_the_network_stays_as_it_was(labels, align, options):
    net = mixed_network()
    before = state_of(net)
    dissect_layers(probe(["early", "norm"], net), labels, align=align, threads=2, **{**FED, **options})
    assert state_of(net) == before


def test_the_network_stays_as_it_was_after_tuning(labels):
    net = mixed_network()
    before = state_of(net)
    dissect(probe(["norm"], net), labels)
    assert state_of(net) == before


@pytest.mark.parametrize("stage", ["thresholds", "counting"])
@pytest.mark.parametrize("cache", ["ram", "disk", "none"])
def test_the_network_stays_as_it_was_after_an_interruption(labels, stage, cache, tmp_path):
    net = mixed_network()
    before = state_of(net)

    def interrupt(now: str, done: int, _: int) -> None:
        if now == stage and done > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dissect(
            probe(["norm"], net),
            labels,
            progress=interrupt,
            cache=cache,
            scratch=tmp_path,
            threads=2,
            batch_size=1,
            memory_format="channels_last",
        )
    assert state_of(net) == before
    assert list(tmp_path.iterdir()) == []


def test_a_label_set_is_not_changed(labels, whole):
    names = labels.images.copy()
    dissect(probe(["early"]), labels, limit=2, split="train", **FED)
    assert labels.images.equals(names)
    assert len(labels) == 10


# --- what can go wrong


class Spoiled(nn.Module):
    """A network that gives ``value`` in the first cells of unit 1, where the image is one of those it dislikes."""

    def __init__(self, value: float, dislikes: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 4, stride=4)
        self.spoil = nn.Identity()
        self.value = value
        self.dislikes = dislikes
        nn.init.normal_(self.conv.weight, generator=torch.Generator().manual_seed(0))

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        maps[self.dislikes(images), 1, 0, :3] = self.value
        return self.spoil(maps)


def disliking(labels: LabelSet, rows: Sequence[int]) -> Callable[[Tensor], Tensor]:
    look = probe(["early"])
    bad = torch.stack([torch.from_numpy(read_image(labels, row, look.preprocessing)) for row in rows])
    return lambda images: torch.stack([(images == one).all(3).all(2).all(1) for one in bad]).any(0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("cache", ["ram", "none"])
def test_activations_that_are_not_finite_stop_the_run(labels, value, cache):
    net = Spoiled(value, disliking(labels, [5, 8]))
    before = state_of(net)
    with pytest.raises(ModelError) as caught:
        dissect(probe(["spoil"], net), labels, cache=cache, **FED)
    message = str(caught.value)
    assert "'spoil'" in message
    assert labels.images["image"].iloc[5] in message
    assert "3 activations" in message
    assert "\n" not in message
    assert state_of(net) == before


@pytest.mark.parametrize("value", [3e38, -3e38, -1e30])
def test_activations_whose_sum_is_not_finite_are_fine(labels, value):
    result = dissect(probe(["spoil"], Spoiled(value, disliking(labels, [4, 5, 8]))), labels, quantile=0.3, **FED)
    assert np.isfinite(result.thresholds).all()
    assert result.top.peak[1, 0] == (np.float32(value) if value > 0 else result.top.peak[1, 0])


OPTIONS = [
    ({"quantile": 0}, "quantile must lie between 0 and 1"),
    ({"quantile": 1}, "quantile must lie between 0 and 1"),
    ({"quantile": -0.1}, "quantile must lie between 0 and 1"),
    ({"quantile": float("nan")}, "quantile must lie between 0 and 1"),
    ({"iou": 1}, "iou must be at least 0 and below 1"),
    ({"iou": -0.01}, "iou must be at least 0 and below 1"),
    ({"iou": float("nan")}, "iou must be at least 0 and below 1"),
    ({"top": 0}, "top must be at least 1, not 0"),
    ({"align": "half_pixel"}, "no alignment 'half_pixel'.*nearest: half-pixel"),
    ({"align": "receptive"}, "nearest: receptive-field"),
    ({"category_rule": "every"}, "no category rule 'every'; there is annotated, all"),
    ({"cache": "memory"}, "'memory'.*auto, ram, disk, none"),
    ({"scratch": "nowhere/at/all"}, "nowhere/at/all does not exist"),
    ({"batch_size": 0}, "batch size 0"),
    ({"memory_format": "nhwc"}, "'nhwc'.*channels_last"),
    ({"threads": 0}, "threads must be at least 1, not 0"),
    ({"limit": 0}, "limit"),
    ({"split": "test"}, "no split 'test'; it has train, val"),
    ({"device": "tpu"}, "tpu"),
]


@pytest.mark.parametrize(("options", "message"), OPTIONS)
def test_options_that_cannot_be(labels, options, message):
    net = small_network()
    before = state_of(net)
    told: list[object] = []
    with pytest.raises(InterpkitError, match=message) as caught:
        dissect(probe(["early"], net), labels, progress=lambda *step: told.append(step), **options)
    assert "\n" not in str(caught.value)
    assert not told  # refused before the long part
    assert state_of(net) == before


def test_one_layer_or_several(labels):
    with pytest.raises(InterpkitError, match=r"takes one layer, the probe has 2: early, norm; dissect_layers\(\)"):
        dissect(probe(["early", "norm"]), labels)
    assert dissect.__name__ == "dissect"
    assert "one layer" in (dissect.__doc__ or "")


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_the_device_can_be_named(labels, whole, device):
    if device == "auto" and torch.cuda.is_available():
        pytest.skip("auto is a GPU here, whose numbers differ")
    same_numbers(whole["norm"], dissect(probe(["norm"]), labels, device=device, **FED))


@pytest.fixture
def damaged(tmp_path) -> LabelSet:
    """A set whose images 0 and 4 are no images and whose image 7 has an unreadable label map."""
    labels = small_set(tmp_path / "damaged")
    for row in (0, 4):
        labels.path(row).write_bytes(b"no image")
    labels.files(7)[1].write_bytes(b"no map")
    return labels


def test_a_corrupt_image_stops_the_run(damaged):
    with pytest.raises(ImageError, match=damaged.images["image"].iloc[0]):
        dissect(probe(["early"]), damaged, **FED)


def test_a_corrupt_label_map_stops_the_run(damaged):
    with pytest.raises(ImageError, match=r"b/07_\w+_0\.png"):
        dissect(probe(["early"]), damaged.without([0, 4]), **FED)


@pytest.mark.parametrize("cache", ["ram", "disk", "none"])
def test_corrupt_images_can_be_left_out(damaged, cache):
    results = dissect_layers(probe(LAYERS), damaged, skip_bad=True, cache=cache, top=5, **FED)
    good = dissect_layers(probe(LAYERS), damaged.without([0, 4, 7]), top=5, **FED)
    for layer, one in results.items():
        assert one.skipped == tuple(damaged.images["image"].iloc[[0, 4, 7]])
        assert one.images == 7
        same_numbers(replace(one, skipped=()), good[layer])
        assert one.summary()["skipped"] == 3


def test_corrupt_images_are_not_looked_at_for_the_placement(damaged):
    one = dissect(probe(["norm"]), damaged, skip_bad=True, align="effective", **FED)
    assert len(one.skipped) == 3
    with pytest.raises(ImageError):
        dissect(probe(["norm"]), damaged, align="effective", **FED)


def test_no_image_can_be_read(tmp_path):
    labels = small_set(tmp_path / "set", images=2)
    for row in range(2):
        labels.path(row).write_bytes(b"no image")
    with pytest.raises(LabelSetError, match="none of its 2 images can be read"):
        dissect(probe(["early"]), labels, skip_bad=True, **FED)


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize("cache", ["ram", "none"])
def test_images_without_labels_give_top_images(labels, whole, tmp_path, cache, skip_bad):
    folder = tmp_path / "plain"
    folder.mkdir()
    for i in range(len(labels)):
        (folder / f"{i:02d}.png").write_bytes(labels.path(i).read_bytes())
    unlabelled = LabelSet.open(folder)
    one = dissect(probe(["norm"]), unlabelled, cache=cache, skip_bad=skip_bad, **FED)
    assert len(one.concepts) == 0
    assert one.categories == ()
    assert one.grid == (16, 16)
    labelled = whole["norm"]
    assert one.thresholds.tobytes() == labelled.thresholds.tobytes()
    np.testing.assert_array_equal(one.top.peak, labelled.top.peak)
    assert one.top.outlines == labelled.top.outlines
    np.testing.assert_array_equal(one.counts.state[:, :, -1], labelled.counts.state[:, :, -1])
    assert (one.table()["concept"] == "").all()
    assert one.summary()["detectors"] == 0
    same_numbers(one, load(save(one, tmp_path / "run" / "norm")))


def test_a_set_that_promises_labels_and_holds_none(tmp_path):
    rows = [Row("a.png", {"scene": [0]}), Row("b.png", {"color": [np.zeros((16, 16), np.int64)]})]
    labels = small_set(tmp_path / "set", rows=rows)
    with pytest.raises(LabelSetError, match=f"lists {len(LABELS)} concepts, but no image holds any label"):
        dissect(probe(["early"]), labels, **FED)


def test_a_label_number_that_is_not_listed(tmp_path):
    rows = [Row("a.png", {"color": [grid_of(5, 4711, side=16)]}), Row("b.png", {"color": [grid_of(5, side=16)]})]
    for skip_bad in (False, True):  # no image is at fault but the set
        labels = small_set(tmp_path / str(skip_bad), rows=rows)
        with pytest.raises(LabelSetError, match="4711"):
            dissect(probe(["early"]), labels, skip_bad=skip_bad, **FED)


def test_a_full_scratch_disk_is_said_in_one_line(labels, tmp_path):
    net = small_network()
    before = state_of(net)
    with full_disk(tmp_path / "disk", room=1 << 13) as disk:
        with pytest.raises(ResultError, match="--cache none") as caught:
            dissect(probe(["early"], net), labels, cache="disk", scratch=disk, **FED)
        assert "\n" not in str(caught.value)
        assert list(disk.iterdir()) == []
    assert state_of(net) == before


def test_a_layer_without_receptive_field(labels):
    with pytest.raises(ModelError, match=r"'head'.*--align half-pixel or effective"):
        dissect(probe(["head"]), labels, align="receptive-field", **FED)


def test_one_image(labels, tmp_path):
    one = dissect(probe(["norm"]), labels, limit=1, **FED)
    answer = reference(one, maps_of(labels.select(limit=1))["norm"], read_broden(labels.root, limit=1))
    assert_agrees(one, answer)


def test_images_of_any_size_and_a_network_of_one_channel(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i, size in enumerate([(40, 20), (7, 90), (32, 32)]):
        pixels = np.random.default_rng(i).integers(0, 256, (*size, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    net = nn.Sequential(nn.Conv2d(1, 3, 5, stride=(2, 4)), nn.ReLU())
    one = dissect(Probe(load_model(net, size=(SIZE, 48)), ["1"]), LabelSet.open(folder), **FED)
    assert one.grid == (16, 24)
    assert one.map_size == (14, 11)
    assert one.placement == ((32 / 14 / 2 - 0.5, 48 / 11 / 2 - 0.5), (32 / 14, 48 / 11))
