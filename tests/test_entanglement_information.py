"""The matrix of mutual information: against published numbers, its slow definition, and the laws it must obey."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import information as plain
from scipy.stats import norm

from interpkit.binning import codes, levels
from interpkit.counts import BLOCKS
from interpkit.entanglement import _information
from interpkit.entanglement._information import Information, measure
from interpkit.metrics.mutual_information import Presence, information, table

Floats = NDArray[np.float64]

VECTORS = json.loads((Path(__file__).parent / "vectors" / "csg_vectors.json").read_text())
CONTINUOUS = VECTORS["mi_continuous"]


def one_of(labels: list[int] | NDArray[np.int64], classes: int) -> NDArray[np.bool_]:
    """(N, K) from one class an image."""
    return np.asarray(labels)[:, None] == np.arange(classes)


def matrix(binned: NDArray[np.integer], member: NDArray[np.bool_], *, miller_madow: bool) -> Floats:
    """(U, K) information of given bins (N, U)."""
    member = member.astype(np.int64)
    terms = table(len(member), miller_madow=miller_madow)
    presence = Presence.of(member.sum(0), np.array(len(member)), terms)
    rows = []
    for unit in binned.T:
        inside = unit == np.arange(unit.max() + 1)[:, None]
        rows.append(information(inside @ member, inside.sum(1, keepdims=True), presence, terms=terms))
    return np.array(rows)


def of(pooled: Floats, member: NDArray[np.bool_], **options: object) -> Information:
    """Measured with each image in the block of its place."""
    blocks = np.arange(len(pooled)) % BLOCKS
    return measure(np.asarray(pooled), member, **{"blocks": blocks, "signed": False, **options})


def made(seed: int, *, several: bool = False, images: int = 400, classes: int = 3) -> tuple[Floats, NDArray[np.bool_]]:
    """(N, 5) activations, zero but for some images: of class 0, of class 1, of both, of none; a constant. (N, K)."""
    rng = np.random.default_rng(seed)
    member = rng.random((images, classes)) < 0.3 if several else one_of(rng.integers(0, classes, images), classes)
    pull = np.stack([member[:, 0], member[:, 1], member[:, :2].any(1), member[:, 0] & False], axis=1)
    values = np.maximum(2.0 * pull + rng.normal(size=pull.shape) - 0.5, 0)
    return np.column_stack([values, np.full(images, 7.0)]).astype(np.float32), member


def assert_same(a: Information, b: Information, *, units: object = slice(None), classes: object = slice(None)) -> None:
    """Equal but for the permuted labels; ``units`` and ``classes`` of ``a`` are those of ``b``."""
    np.testing.assert_allclose(a.information[units][:, classes], b.information, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(a.entropy[classes], b.entropy, rtol=1e-12)
    np.testing.assert_allclose(a.without_block[:, units], b.without_block, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(a.bins[units], b.bins)


def test_vectors_of_given_codes():
    vector = VECTORS["mi_discrete"]
    found = matrix(np.array(vector["codes"]), one_of(vector["y"], 3), miller_madow=False)
    np.testing.assert_allclose(found, vector["M"], atol=1e-8)
    presence = Presence.of(one_of(vector["y"], 3).sum(0), np.array(len(vector["y"])))
    np.testing.assert_allclose(presence.entropy, vector["H_c"], atol=1e-8)
    assert found.max(1).mean() == pytest.approx(vector["MIS"], abs=1e-8)
    assert (found / presence.entropy).max(1).mean() == pytest.approx(vector["NMIS"], abs=1e-8)


@pytest.mark.parametrize("which", ["levels8", "default"])
@pytest.mark.parametrize("correction", ["plugin", "mm"])
def test_vectors_of_continuous_activations(which, correction):
    vector = CONTINUOUS[f"{which}_{correction}"]
    some = np.array(CONTINUOUS["levels8"]) if which == "levels8" else levels(60, _smallest())
    binned = codes(np.array(CONTINUOUS["A"]).T, some).T
    found = matrix(binned, one_of(CONTINUOUS["y"], 3), miller_madow=correction == "mm")
    np.testing.assert_allclose(found, vector["M"], atol=1e-8)
    assert found.max(1).mean() == pytest.approx(vector["MIS"], abs=1e-8)
    assert found.argmax(1).tolist() == vector["owner"]


def _smallest() -> float:
    share = np.bincount(CONTINUOUS["y"]) / len(CONTINUOUS["y"])
    return float(np.minimum(share, 1 - share).min())


def test_vector_of_the_default():
    found = of(np.array(CONTINUOUS["A"]), one_of(CONTINUOUS["y"], 3))
    np.testing.assert_allclose(found.information, CONTINUOUS["default_mm"]["M"], atol=1e-8)
    assert found.bins.tolist() == [len(set(unit)) for unit in codes(np.array(CONTINUOUS["A"]).T, levels(60, 0.3))]


def test_vector_of_the_nearest_neighbours():
    vector = CONTINUOUS["sklearn_knn"]
    found = of(np.array(CONTINUOUS["A"]), one_of(CONTINUOUS["y"], 3), estimator="knn")
    np.testing.assert_allclose(found.information, vector["M"], atol=vector["tolerance"])
    assert np.isnan(found.without_block).all()
    assert not found.bins.any()
    assert (found.permuted <= found.entropy).all()
    assert found.permuted.max(1).mean() < 0.5 * found.information.max(1).mean()


def test_nearest_neighbours_tell_no_more_than_there_is_and_break_ties_by_the_seed():
    pooled, member = made(11, images=60)
    pooled = np.column_stack([pooled, member + np.linspace(0, 0.1, 60)[:, None]])
    found = of(pooled, member, estimator="knn", seed=1)
    assert (found.information <= found.entropy).all()
    assert (np.diag(found.information[-3:]) > 0.9 * found.entropy).all()
    assert (of(pooled, member, estimator="knn", seed=2).information != found.information).any()


def test_vector_of_several_classes_an_image():
    vector = VECTORS["mi_multilabel"]
    member = np.array(vector["Y"]) > 0
    binned = codes(np.array(vector["A"]).T, np.array(vector["levels"])).T
    found = matrix(binned, member, miller_madow=False)
    np.testing.assert_allclose(found, vector["M_plugin"], atol=1e-8)
    assert found.max(1).mean() == pytest.approx(vector["MIS"], abs=1e-8)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), several=st.booleans(), images=st.integers(2, 90))
def test_as_by_definition(seed, several, images):
    pooled, member = made(seed, several=several, images=images)
    blocks = np.random.default_rng(seed).integers(0, 3, images)
    found = of(pooled, member, blocks=blocks)
    share = np.minimum(member.mean(0), 1 - member.mean(0))
    some = levels(images, share[share > 0].min(initial=0.5))
    np.testing.assert_allclose(found.information, plain.measured(pooled, member, some), atol=1e-10)
    kept = [b for b in range(3) if (blocks != b).any()]
    without = plain.without_blocks(pooled, member, some, blocks=blocks, left_out=kept)
    np.testing.assert_allclose(found.without_block[kept], without, atol=1e-10)
    # Blocks without images leave everything in place.
    np.testing.assert_array_equal(found.without_block[3:], np.tile(found.information.max(1), (BLOCKS - 3, 1)))


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), several=st.booleans())
def test_nothing_depends_on_the_order_of_images_units_or_classes(seed, several):
    pooled, member = made(seed, several=several)
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, BLOCKS, len(pooled))
    images, units, classes = (rng.permutation(n) for n in (len(pooled), *pooled.shape[1:], member.shape[1]))
    turned = of(pooled[images][:, units], member[images][:, classes], blocks=blocks[images])
    assert_same(of(pooled, member, blocks=blocks), turned, units=units, classes=classes)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), several=st.booleans(), signed=st.booleans())
def test_no_unit_tells_more_than_there_is_to_tell(seed, several, signed):
    pooled, member = made(seed, several=several, images=40)
    pooled = np.column_stack([pooled, member])  # units that tell everything of one class
    found = of(pooled, member, signed=signed)
    for value in (found.information, found.permuted):
        assert (value >= 0).all()
        assert (value <= found.entropy).all()
    np.testing.assert_allclose(np.diag(found.information[-3:]), found.entropy, atol=1e-12)
    assert (found.information[4] == 0).all(), "a constant unit"
    assert (found.entropy <= np.log(2) + 1e-15).all()


@pytest.mark.parametrize("factor", [2.0**-90, 3.0, 1e30])
def test_units_may_be_scaled(factor):
    pooled, member = made(1)
    assert_same(of(pooled, member), of(pooled.astype(np.float64) * factor, member))


def test_chunks_do_not_matter(monkeypatch):
    pooled, member = made(2)
    whole = of(pooled, member)
    told = []
    monkeypatch.setattr(_information, "CHUNK", 2)
    parts = of(pooled, member, progress=lambda *news: told.append(news))
    assert_same(whole, parts)
    np.testing.assert_array_equal(whole.permuted, parts.permuted)
    assert told == [("information", 2, 5), ("information", 4, 5), ("information", 5, 5)]


def test_a_memory_map_will_do(tmp_path):
    pooled, member = made(3)
    np.save(tmp_path / "pooled.npy", pooled)
    assert_same(of(pooled, member), of(np.load(tmp_path / "pooled.npy", mmap_mode="r"), member))


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("estimator", ["histogram", "knn"])
def test_permuted_labels_are_the_same_labels_in_another_order(several, estimator):
    pooled, member = made(4, several=several, images=100)
    found = of(pooled, member, estimator=estimator, seed=5)
    order = np.random.default_rng(5).permutation(len(member))
    again = of(pooled, member[order], estimator=estimator, seed=5)
    np.testing.assert_array_equal(found.permuted, again.information)
    assert (of(pooled, member, estimator=estimator, seed=6).permuted != found.permuted).any()


def test_permuted_labels_tell_nothing_for_many_images():
    pooled, member = made(5, images=20_000)
    found = of(pooled, member)
    assert found.information[:3].max(1).min() > 0.1
    assert found.permuted.max() < 2e-3


def test_a_class_of_nearly_all_images_is_as_fine_as_one_of_few():
    rng = np.random.default_rng(12)
    member = rng.random((5000, 2)) < [0.3, 0.99]
    assert of(rng.normal(size=(5000, 1)), member).bins[0] == len(levels(5000, 1 - member[:, 1].mean())) + 1
    assert of(rng.normal(size=(5000, 1)), member[:, :1]).bins[0] == len(levels(5000, 0.3)) + 1


def test_a_class_that_all_images_or_none_have_tells_nothing():
    pooled, member = made(6)
    found = of(pooled, np.column_stack([member, np.zeros(len(member), bool), np.ones(len(member), bool)]))
    assert (found.information[:, 3:] == 0).all()
    assert (found.entropy[3:] == 0).all()
    np.testing.assert_allclose(found.information[:, :3], of(pooled, member).information)


def test_without_the_only_block_there_is_nothing():
    pooled, member = made(7)
    found = of(pooled, member, blocks=np.full(len(pooled), 3))
    assert np.isnan(found.without_block[3]).all()
    assert not np.isnan(np.delete(found.without_block, 3, axis=0)).any()


def test_many_classes_are_looked_up_and_few_are_not():
    """More classes than images in any cell take another way to the same number."""
    rng = np.random.default_rng(8)
    labels = rng.integers(0, 60, 600)
    pooled = np.maximum(rng.normal(size=(600, 3)) + 3 * one_of(labels, 60)[:, :3], 0)
    many, few = of(pooled, one_of(labels, 60)), of(pooled[labels < 3], one_of(labels[labels < 3], 3))
    for found, chosen, classes in ((many, labels >= 0, 60), (few, labels < 3, 3)):
        member = one_of(labels[chosen], classes)
        share = member.mean(0)
        some = levels(len(member), np.minimum(share, 1 - share).min())
        np.testing.assert_allclose(found.information, plain.measured(pooled[chosen], member, some), atol=1e-10)


def test_low_values_of_a_signed_unit_are_seen():
    """A unit that is low on a class of one image in 200."""
    rng = np.random.default_rng(9)
    labels = rng.integers(0, 200, 20_000)
    member = one_of(labels, 200)
    pooled = (rng.normal(size=20_000) - 4 * (labels == 0))[:, None]
    both, one = of(pooled, member, signed=True), of(pooled, member)
    high = of(-pooled, member)
    assert both.information[0, 0] > 1.15 * one.information[0, 0]
    assert both.information[0, 0] == pytest.approx(high.information[0, 0], rel=0.03)
    assert both.bins[0] > one.bins[0]


@pytest.mark.parametrize(
    ("classes", "images", "shift", "error", "tolerance"),
    [
        (1000, 50_000, 4, 0.00005, 0.0001),
        (1000, 50_000, 2, 0.00005, 0.0001),
        (100, 10_000, 4, 0.00004, 0.0005),
        (10, 10_000, 4, -0.00369, 0.001),
        (10, 10_000, 2, -0.00146, 0.001),
        (10, 1000, 4, -0.00625, 0.003),
        (6, 1700, 2, -0.00069, 0.003),
        (10, 1000, 0, 0.00058, 0.001),
        (20, 200, 0, 0.00908, 0.012),
    ],
)
def test_the_estimate_is_as_good_as_it_was_measured_to_be(classes, images, shift, error, tolerance):
    """Zero-inflated units that are higher on one class: the error against the log-ratio of the densities."""
    labels = np.arange(images) % classes
    noise = np.random.default_rng(10).normal(size=(images, 10))
    latent = noise - 0.5 + shift * (labels == 0)[:, None]
    found = of(np.maximum(latent, 0).astype(np.float32), one_of(labels, classes)).information[:, 0]
    on, off = _density(latent, mean=shift - 0.5), _density(latent, mean=-0.5)
    mixed = on / classes + off * (1 - 1 / classes)
    truth = np.log(np.where((labels == 0)[:, None], on, off) / mixed).mean(0)
    assert (found - truth).mean() == pytest.approx(error, abs=tolerance)


def _density(latent: Floats, *, mean: float) -> Floats:
    """Density of max(latent, 0), which has an atom at 0."""
    return np.where(latent > 0, norm.pdf(latent, mean), norm.cdf(0, mean))
