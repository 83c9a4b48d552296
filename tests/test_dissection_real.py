"""dissect() on real photographs and EfficientNet-lite0, against counts computed by brute force."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from interpkit.dissection import dissect_layers
from interpkit.labels import LabelSet
from interpkit.probe import Probe
from interpkit.results import Dissection

pytestmark = pytest.mark.data

LAYERS = ("_bn1", "_blocks.10", "_blocks.4")
ALIGNMENTS = {"half-pixel": "half", "receptive-field": "rf"}
UNITS = {"_bn1": (1280, 7), "_blocks.10": (112, 14), "_blocks.4": (40, 28)}


@pytest.fixture(scope="module")
def photographs(shared_data) -> Path:
    folder = shared_data / "broden-real"
    if not (folder / "expected").is_dir():
        pytest.skip("no photographs: broden-real or its expected counts are absent")
    return folder


@pytest.fixture(scope="module")
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def results(photographs, lite0, threads) -> dict[str, dict[str, Dissection]]:
    """Alignment -> layer -> dissection."""
    probe, labels = Probe(lite0, LAYERS), LabelSet.open(photographs)
    # The expected counts come from this format. In the other, unit 1256 of `_bn1` has a cell within 1e-6 of its
    # threshold, and with receptive fields the 16 pixels of a corner all read that cell: 0.104 % of the union.
    fed = {"batch_size": 4, "memory_format": "contiguous", "threads": threads}
    return {align: dissect_layers(probe, labels, align=align, **fed) for align in ALIGNMENTS}


@pytest.fixture(params=[(layer, align) for layer in LAYERS for align in ALIGNMENTS], ids="-".join)
def pair(request, results, photographs) -> tuple[Dissection, dict[str, np.ndarray]]:
    """A dissection, and the expected arrays with their label numbers as our concept rows."""
    layer, align = request.param
    result = results[align][layer]
    with np.load(photographs / "expected" / f"{layer}_{ALIGNMENTS[align]}.npz") as archive:
        expected = dict(archive)
    rows = result.concepts["number"].to_numpy()
    for name in ("inter", "act", "iou"):
        expected[name] = expected[name][:, rows]
    for name in ("lab", "name", "cat"):
        expected[name] = expected[name][rows]
    return result, expected


def test_thresholds_agree(pair):
    result, expected = pair
    assert (result.units, result.map_size[0]) == UNITS[result.layer]
    np.testing.assert_allclose(result.thresholds, expected["thr"], rtol=1e-4)


def test_concepts_are_the_same(pair):
    result, expected = pair
    assert result.concepts["name"].tolist() == expected["name"].tolist()
    assert result.concepts["category"].tolist() == expected["cat"].tolist()


def test_every_count_agrees_to_a_thousandth_of_the_union(pair):
    result, expected = pair
    counts = result.counts
    union = expected["act"] + expected["lab"] - expected["inter"]
    allowed = 1e-3 * np.maximum(union, 1)
    np.testing.assert_array_equal(counts.truth[0], expected["lab"])
    assert (abs(counts.joint[1] - expected["inter"]) <= allowed).all()
    assert (abs(counts.state[1][:, counts.category] - expected["act"]) <= allowed).all()


def test_iou_agrees(pair):
    result, expected = pair
    np.testing.assert_allclose(result.iou, expected["iou"], atol=1e-3)
    best = np.nanmax(expected["iou"], axis=1)
    clear = abs(best - 0.04) > 1e-4
    np.testing.assert_array_equal(result.detectors()[clear], (best > 0.04)[clear])


def test_scene_zero_was_not_taken_for_a_scene(results):
    """The animals' rows hold scene 0: it neither is a concept nor makes the category annotated there."""
    one = results["half-pixel"]["_bn1"]
    assert (one.concepts["number"] > 0).all()
    scene = one.categories.index("scene")
    pixels = one.blocks.pixels.sum(0) // (112 * 112)
    assert (pixels[scene], pixels[-1]) == (101, 251)


def test_the_last_layer_finds_what_the_specification_says(results):
    assert results["half-pixel"]["_bn1"].detectors().sum() == pytest.approx(125, abs=1)
    assert results["receptive-field"]["_bn1"].detectors().sum() == pytest.approx(108, abs=1)


def test_known_receptive_fields_align(results):
    for layer, (stride, centre) in {"_bn1": (32, 31), "_blocks.10": (16, 15), "_blocks.4": (8, 7)}.items():
        assert results["receptive-field"][layer].placement == ((centre, centre), (stride, stride))
