"""Quantile levels with a refined tail, and the bins between them."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference.information import bins_of

from interpkit.binning import codes, levels

CONTINUOUS = json.loads((Path(__file__).parent / "vectors" / "csg_vectors.json").read_text())["mi_continuous"]


def numbered(bins: list[int]) -> list[int]:
    """Bins renumbered without those that hold nothing."""
    return np.unique(bins, return_inverse=True)[1].tolist()


@st.composite
def activations(draw: st.DrawFn) -> NDArray[np.float32]:
    """(3, N) units: continuous, zero-inflated, with few distinct values."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    images = draw(st.integers(1, 80))
    noise = rng.normal(size=(3, images)).astype(np.float32)
    return np.stack([noise[0], np.maximum(noise[1], 0), np.round(noise[2])])


def test_levels_and_codes_of_the_vectors():
    values = np.array(CONTINUOUS["A"]).T
    labels = np.array(CONTINUOUS["y"])
    share = np.bincount(labels) / len(labels)
    found = levels(len(labels), min(np.minimum(share, 1 - share)))
    np.testing.assert_allclose(found, CONTINUOUS["default_levels"], atol=1e-10)
    eight = codes(values, np.array(CONTINUOUS["levels8"]))
    assert [row.tolist() for row in eight] == [numbered(row) for row in np.array(CONTINUOUS["codes8"]).T.tolist()]


@pytest.mark.parametrize(
    ("images", "classes", "bins"),
    [(50_000, 1000, 45), (10_000, 100, 39), (10_000, 10, 32), (1700, 6, 32), (1000, 10, 26), (200, 20, 10)],
)
def test_as_many_bins_as_the_estimator_was_measured_with(images, classes, bins):
    assert len(levels(images, 1 / classes)) + 1 == bins


def test_levels_rise_and_no_bin_of_the_tail_is_too_small():
    for images in (1, 2, 7, 30, 1000, 10**6):
        for share in (0.5, 0.1, 1e-3, 1 / images if images > 1 else 0.5):
            found = levels(images, share)
            assert (np.diff(found) > 0).all()
            assert ((found > 0) & (found < 1)).all()
            if images >= 1000:
                assert (1 - found[-1]) * images >= 8 / 2**0.5


def test_uniform_levels_have_forty_images_each():
    assert levels(400, 0.5)[:9].tolist() == pytest.approx(np.arange(1, 10) / 10)
    assert levels(10_000, 0.5, u=8).tolist()[:7] == pytest.approx(np.arange(1, 8) / 8)


def test_levels_of_signed_units_are_refined_at_both_ends():
    one, both = levels(50_000, 1e-3), levels(50_000, 1e-3, signed=True)
    np.testing.assert_allclose(both, 1 - both[::-1], atol=1e-15)
    assert set(one) < set(both)
    assert len(both) - len(one) == len(one) - 31


@pytest.mark.parametrize(("images", "share"), [(0, 0.5), (10, 0.0), (10, 0.6)])
def test_levels_of_nothing(images, share):
    with pytest.raises(ValueError, match="no levels for"):
        levels(images, share)


@given(values=activations(), share=st.sampled_from([0.5, 0.1, 0.01]), signed=st.booleans())
def test_codes_are_the_quantiles_below(values, share, signed):
    some = levels(values.shape[1], share, signed=signed)
    for row, unit in zip(codes(values, some), values, strict=True):
        assert row.tolist() == numbered(bins_of(unit.astype(np.float64).tolist(), some.tolist()))


@given(values=activations(), seed=st.integers(0, 99))
def test_codes_follow_images_and_keep_to_their_unit(values, seed):
    rng = np.random.default_rng(seed)
    some = levels(values.shape[1], 0.1)
    images, units = rng.permutation(values.shape[1]), rng.permutation(3)
    before = codes(values, some)
    np.testing.assert_array_equal(codes(values[units][:, images], some), before[units][:, images])


@given(values=activations())
def test_codes_depend_on_the_order_of_values_alone(values):
    some = levels(values.shape[1], 0.1)
    bent = np.exp(values.astype(np.float64) * 3e-2) * 1e30
    np.testing.assert_array_equal(codes(bent, some), codes(values, some))
    np.testing.assert_array_equal(codes(values * np.float32(2**-100), some), codes(values, some))


def test_equal_values_share_a_bin_and_a_constant_unit_has_one():
    zeros = np.zeros((1, 100), np.float32)
    some = levels(100, 0.1)
    assert not codes(zeros, some).any()
    half = np.concatenate([zeros, np.arange(100, dtype=np.float32)[None]], axis=1)
    first = codes(half, some)[0]
    assert (first[:101] == 0).all()
    assert (first[101:] >= 0).all()
    assert set(first.tolist()) == set(range(int(first.max()) + 1))


def test_codes_are_as_small_as_they_can_be():
    values = np.arange(2000, dtype=np.float32)[None]
    assert codes(values, levels(2000, 0.1)).dtype == np.uint8
    many = codes(values, np.arange(1, 1000) / 1000)
    assert many.dtype == np.uint16
    assert many.max() == 999
