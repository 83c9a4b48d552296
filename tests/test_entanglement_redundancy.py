"""Resemblance of units, and what a class looks like in them: against their definitions, in loops."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from interpkit.entanglement import _redundancy
from interpkit.entanglement._redundancy import class_means, correlation, mass, redundancy, weight_cosine

COSINE = json.loads((Path(__file__).parent / "vectors" / "csg_vectors.json").read_text())["filter_cosine"]

Made = tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]]
SEVERAL = pytest.mark.parametrize("several", [False, True])


def made(*, several: bool = False, images: int = 50, units: int = 12, classes: int = 4) -> Made:
    """Pooled activations (N, U) with a constant and a dead unit, classes (N, K), owners (U,), some without one."""
    rng = np.random.default_rng(3)
    member = rng.random((images, classes)) < 0.4
    if not several:
        member = rng.integers(0, classes, images)[:, None] == np.arange(classes)
    pooled = np.maximum(rng.normal(0.3, 1, (images, units)) * rng.uniform(0.1, 9, units), 0).astype(np.float32)
    pooled[:, 4], pooled[:, 7] = 2.5, 0
    return pooled, member, rng.integers(-1, classes - 1, units)


def mass_by_definition(pooled: NDArray[np.float32], member: NDArray[np.bool_], owner: NDArray[np.int64]) -> list:
    """Image by image."""
    scale = [math.sqrt(np.mean(np.float64(unit) ** 2)) for unit in pooled.T]
    found = []
    for one in member.T:
        rows = []
        for image in pooled[one]:
            active = [float(a) / s if s > 0 else 0.0 for a, s in zip(image, scale, strict=True)]
            by_class = [sum(a for a, o in zip(active, owner, strict=True) if o == j) for j in range(member.shape[1])]
            rows.append([value / (sum(active) + 1e-12) for value in by_class])
        found.append(np.mean(rows, axis=0))
    return found


def test_correlation():
    pooled, _, _ = made()
    found = correlation(pooled)
    varying = np.delete(np.arange(12), [4, 7])
    np.testing.assert_allclose(found[np.ix_(varying, varying)], np.corrcoef(pooled[:, varying].T), atol=1e-6)
    assert (found[[4, 7]] == 0).all()
    assert (found[:, [4, 7]] == 0).all()
    assert (np.diag(found)[varying] == 1).all()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, found.T)


def test_a_constant_unit_is_constant_whatever_its_mean_is_rounded_to():
    pooled = np.column_stack([np.full(1001, value) for value in (0.1, 0.3, 1 / 3)] + [np.arange(1001.0)])
    assert np.array_equal(correlation(pooled), np.diag([0, 0, 0, 1]))


def test_correlation_of_units_far_from_zero_or_of_any_size():
    pooled, _, _ = made()
    wide = pooled * 10.0 ** np.resize([-30, 30, 0, 4], 12).astype(np.float32)
    np.testing.assert_allclose(correlation(wide), correlation(pooled), atol=1e-6)
    np.testing.assert_allclose(correlation(pooled.astype(np.float64) + 1e6), correlation(pooled), atol=1e-6)


def test_cosine_of_the_vectors():
    found = weight_cosine(np.array(COSINE["W"]))
    np.testing.assert_allclose(found, COSINE["S"], atol=1e-8)
    owner = np.array(COSINE["owner"])
    summary = redundancy(np.eye(len(owner)), found, owner)
    assert summary["cosine_within"] == pytest.approx(COSINE["mean_abs_intra"], abs=1e-8)
    assert summary["cosine_between"] == pytest.approx(COSINE["mean_abs_inter"], abs=1e-8)


def test_cosine_of_convolutions():
    weight = np.random.default_rng(0).normal(size=(5, 3, 2, 2)).astype(np.float32)
    weight[3] = 0
    found = weight_cosine(weight)
    for k in range(5):
        for other in range(5):
            a, b = weight[k].ravel().astype(float), weight[other].ravel().astype(float)
            lengths = np.linalg.norm(a) * np.linalg.norm(b)
            assert found[k, other] == pytest.approx(a @ b / lengths if lengths else 0)
    np.testing.assert_allclose(weight_cosine(weight.astype(np.float64) * 1e-200), found, atol=1e-12)


def test_no_weights_no_cosine():
    assert weight_cosine(None) is None
    assert set(redundancy(np.eye(2), None, np.zeros(2, int))) == {
        "correlation_within",
        "correlation_between",
        "correlation_within_high",
        "correlation_between_high",
    }


def test_redundancy_of_pairs():
    pairs = np.array([[1, 0.9, -0.6, 0.1], [0.9, 1, 0.2, 1], [-0.6, 0.2, 1, 1], [0.1, 1, 1, 1]])
    found = redundancy(pairs, -pairs, np.array([2, 2, 0, -1]))
    for name in ("correlation", "cosine"):
        assert found[f"{name}_within"] == pytest.approx(0.9)
        assert found[f"{name}_between"] == pytest.approx((0.6 + 0.2) / 2)
        assert found[f"{name}_within_high"] == 1
        assert found[f"{name}_between_high"] == 0.5


def test_redundancy_without_a_pair_is_not_a_number():
    found = redundancy(np.eye(2), None, np.array([0, 1]))
    assert math.isnan(found["correlation_within"])
    assert math.isnan(found["correlation_within_high"])
    assert found["correlation_between"] == 0
    assert all(math.isnan(value) for value in redundancy(np.eye(2), None, np.array([-1, -1])).values())


@SEVERAL
def test_class_means(several):
    pooled, member, _ = made(several=several)
    expected = [pooled[one].mean(0, dtype=np.float64) for one in member.T]
    np.testing.assert_allclose(class_means(pooled, member), expected, rtol=1e-12)


@SEVERAL
def test_mass(several):
    pooled, member, owner = made(several=several)
    found = mass(pooled, member, owner)
    np.testing.assert_allclose(found, mass_by_definition(pooled, member, owner), rtol=1e-9, atol=1e-15)
    assert (found[:, 3] == 0).all(), "a class without units"
    assert (found.sum(1) < 1).all(), "units without an owner keep their share"
    np.testing.assert_allclose(mass(pooled, member, np.maximum(owner, 0)).sum(1), 1)


def test_mass_takes_activation_below_zero_for_none():
    pooled, member, owner = made()
    below = np.where(pooled > 0, pooled, -3).astype(np.float32)
    np.testing.assert_allclose(mass(below, member, owner), mass(pooled, member, owner))


def test_mass_and_means_of_a_class_without_images_are_zero():
    pooled, member, owner = made()
    member = np.column_stack([member, np.zeros(len(member), bool)])
    assert (mass(pooled, member, owner)[4] == 0).all()
    assert (class_means(pooled, member)[4] == 0).all()


def test_mass_of_images_on_which_nothing_fires():
    pooled, member, owner = made()
    assert (mass(np.zeros_like(pooled), member, owner) == 0).all()


@SEVERAL
def test_chunks_and_memory_maps_do_not_matter(several, monkeypatch, tmp_path):
    pooled, member, owner = made(several=several)
    np.save(tmp_path / "pooled.npy", pooled)
    mapped = np.load(tmp_path / "pooled.npy", mmap_mode="r")
    whole = correlation(pooled), class_means(pooled, member), mass(pooled, member, owner)
    monkeypatch.setattr(_redundancy, "CHUNK", 7 * pooled.shape[1])
    parts = correlation(mapped), class_means(mapped, member), mass(mapped, member, owner)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@SEVERAL
def test_the_order_of_images_units_and_classes_does_not_matter(several):
    pooled, member, owner = made(several=several)
    rng = np.random.default_rng(1)
    images, units, classes = rng.permutation(50), rng.permutation(12), rng.permutation(4)
    number = np.append(np.argsort(classes), -1)  # what a class is called afterwards; none stays none
    turned, turned_member = pooled[images][:, units], member[images][:, classes]
    np.testing.assert_allclose(correlation(turned), correlation(pooled)[np.ix_(units, units)], atol=1e-6)
    means = class_means(pooled, member)[np.ix_(classes, units)]
    np.testing.assert_allclose(class_means(turned, turned_member), means, rtol=1e-12)
    shares = mass(pooled, member, owner)[np.ix_(classes, classes)]
    np.testing.assert_allclose(mass(turned, turned_member, number[owner[units]]), shares, rtol=1e-9, atol=1e-15)
    scaled = mass(turned * np.float32(4), turned_member, number[owner[units]])
    np.testing.assert_allclose(scaled, shares, rtol=1e-9, atol=1e-15)
