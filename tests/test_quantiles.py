"""Streaming quantiles and top images against numpy.quantile and a full sort."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from interpkit import quantiles
from interpkit.quantiles import LargestPeaks, UpperQuantile, kept_values

Floats = NDArray[np.float32]

QUANTILES = st.one_of(
    st.sampled_from([0.005, 0.01, 0.04, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999, 1 / 3]), st.floats(1e-6, 1 - 1e-6)
)


def expected(values: Floats, q: float) -> Floats:
    """By the definition, in float64: numpy rounds the rank itself to float32 for float32 values."""
    return np.quantile(values.astype(np.float64), 1 - q, axis=1).astype(np.float32)


def split(values: Floats, seed: int, parts: int) -> list[Floats]:
    """``values`` (U, M) in at most ``parts`` batches of random, never empty, size."""
    rng = np.random.default_rng(seed)
    cuts = np.unique(rng.integers(0, values.shape[1] + 1, parts - 1))
    return [part for part in np.split(values, cuts, axis=1) if part.shape[1]]


def streamed(values: Floats, q: float, *, seed: int = 0, parts: int = 3, total: int | None = None) -> UpperQuantile:
    stream = UpperQuantile(len(values), total or values.shape[1], quantile=q)
    for part in split(values, seed, parts):
        stream.add(part)
    return stream


@st.composite
def tables(draw: st.DrawFn) -> Floats:
    """(U, M) values: spread, or of a few levels with many ties, or with a floor."""
    units, size = draw(st.integers(1, 4)), draw(st.integers(1, 300))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.normal(size=(units, size))
    kind = draw(st.sampled_from(["spread", "levels", "floor", "rising", "falling"]))
    if kind == "levels":
        values = np.round(values)
    elif kind == "floor":
        values = np.maximum(values - draw(st.floats(0, 3)), 0)
    elif kind != "spread":
        values = np.sort(values, axis=1)[:, :: 1 if kind == "rising" else -1]
    return np.ascontiguousarray(values, np.float32)


@given(tables(), QUANTILES, st.integers(0, 999), st.integers(1, 12))
def test_any_batches_give_numpys_quantile(values, q, seed, parts):
    stream = streamed(values, q, seed=seed, parts=parts)
    np.testing.assert_allclose(stream.result(), expected(values, q), rtol=2e-6, atol=1e-7)
    np.testing.assert_array_equal(stream.minimum, values.min(1))
    np.testing.assert_array_equal(stream.maximum, values.max(1))
    assert stream.seen == values.shape[1]


@given(tables(), QUANTILES, st.integers(0, 999))
def test_order_does_not_matter(values, q, seed):
    shuffled = np.random.default_rng(seed).permuted(values, axis=1)
    np.testing.assert_array_equal(streamed(shuffled, q).result(), streamed(values, q).result())


@given(tables(), QUANTILES, st.integers(0, 999), st.integers(2, 5))
def test_merged_shards_equal_the_whole(values, q, seed, shards):
    whole = streamed(values, q)
    merged = UpperQuantile(len(values), values.shape[1], quantile=q)
    for number, part in enumerate(split(values, seed, shards)):
        merged.merge(streamed(part, q, seed=number, total=values.shape[1]))
    np.testing.assert_array_equal(merged.result(), whole.result())
    np.testing.assert_array_equal(merged.minimum, whole.minimum)
    np.testing.assert_array_equal(merged.maximum, whole.maximum)
    assert merged.seen == whole.seen


@given(tables(), QUANTILES, st.integers(0, 400))
def test_total_may_be_an_upper_bound(values, q, more):
    stream = streamed(values, q, total=values.shape[1] + more)
    np.testing.assert_allclose(stream.result(), expected(values, q), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("q", [0.005, 0.3])
@pytest.mark.parametrize("batch", [1, 49, 4096, 100_000])
def test_long_streams_forget_what_cannot_matter(q, batch, monkeypatch):
    # Rows far longer than the buffer, so that it is partitioned many times.
    monkeypatch.setattr(quantiles, "MIN_BUFFER", 64)
    size = 60_000 if batch > 1 else 3_000
    values = np.random.default_rng(batch).normal(size=(3, size)).astype(np.float32)
    values[1] = np.round(values[1] * 2)
    values[2] = np.sort(values[2])  # every value beats all before it
    stream = UpperQuantile(3, size, quantile=q)
    for start in range(0, size, batch):
        stream.add(values[:, start : start + batch])
    np.testing.assert_allclose(stream.result(), expected(values, q), rtol=1e-6)


def test_memory_holds_the_tail_and_not_the_stream():
    stream = UpperQuantile(2, 10_000_000, quantile=0.005)
    assert stream._values.shape[1] <= 2 * kept_values(10_000_000, 0.005)


@given(st.integers(1, 5_000_000), QUANTILES)
def test_as_many_are_kept_as_the_rank_needs(total, q):
    kept = kept_values(total, q)
    assert total - math.floor((1 - q) * (total - 1)) <= kept <= total
    assert abs(kept - (math.ceil(q * (total - 1)) + 1)) <= 1


@pytest.mark.parametrize(("total", "q"), [(91, 0.3), (11, 0.9), (171, 0.3), (199_991, 0.9)])
def test_ranks_that_rounding_moves_below_a_whole_number(total, q):
    # (1 - q) (M - 1) falls a hair short of the integer that q (M - 1) is, so one value more is read.
    values = np.random.default_rng(total).normal(size=(1, total)).astype(np.float32)
    np.testing.assert_allclose(streamed(values, q).result(), expected(values, q), rtol=1e-6)


def test_constant_units_are_exact():
    values = np.full((2, 777), 0.1, np.float32)
    values[1] = -3e38
    stream = streamed(values, 0.005, parts=5)
    np.testing.assert_array_equal(stream.result(), values[:, 0])
    np.testing.assert_array_equal(stream.minimum, stream.maximum)


def test_a_floor_below_the_quantile_is_exact():
    values = np.full((1, 10_000), -1.5, np.float32)
    values[0, :40] = 7  # 0.4 %
    assert streamed(values, 0.005).result()[0] == -1.5
    values[0, :60] = 7  # 0.6 %
    assert streamed(values, 0.005).result()[0] == 7


def test_a_gap_is_interpolated_as_numpy_does():
    values = np.arange(101, dtype=np.float32)[None]
    values[0, -1] = 1e6
    np.testing.assert_allclose(streamed(values, 0.005).result(), [99 + 0.5 * (1e6 - 99)], rtol=1e-6)


def test_very_negative_values():
    values = np.full((3, 400), np.finfo(np.float32).min)
    values[1, ::2] = 5
    values[2, :2] = [1, 2]
    np.testing.assert_allclose(streamed(values, 0.005, parts=4).result(), expected(values, 0.005), rtol=1e-6)


def test_minus_infinity_is_a_value_like_any_other():
    values = np.full((1, 64), -np.inf, np.float32)
    values[0, :40] = np.arange(40)
    assert streamed(values, 0.25, parts=4).result()[0] == 23.25  # rank 47.25, after 24 infinities


def test_one_value():
    assert UpperQuantile(1, 1, quantile=0.5)._kept == 1
    assert streamed(np.array([[3.5]], np.float32), 0.005).result()[0] == 3.5


def test_nothing_seen_and_too_much_seen_are_said():
    with pytest.raises(ValueError, match="0 values seen"):
        UpperQuantile(2, 10, quantile=0.1).result()
    stream = UpperQuantile(1, 100, quantile=0.1)
    stream.add(np.zeros((1, 500), np.float32))
    with pytest.raises(ValueError, match="500 values seen"):
        stream.result()


def test_reading_does_not_end_the_stream():
    values = np.random.default_rng(0).normal(size=(2, 500)).astype(np.float32)
    stream = UpperQuantile(2, 500, quantile=0.02)
    stream.add(values[:, :200])
    np.testing.assert_allclose(stream.result(), expected(values[:, :200], 0.02), rtol=1e-6)
    stream.add(values[:, 200:])
    np.testing.assert_allclose(stream.result(), expected(values, 0.02), rtol=1e-6)


def test_the_values_given_stay_as_they_are():
    values = np.random.default_rng(0).normal(size=(2, 5000)).astype(np.float32)
    before = values.copy()
    streamed(values, 0.005).result()
    np.testing.assert_array_equal(values, before)


def sorted_peaks(peaks: Floats, k: int) -> tuple[Floats, NDArray[np.int64]]:
    """The k largest of each row by a stable sort: equal peaks in the order of the images."""
    order = np.argsort(-peaks, axis=1, kind="stable")[:, :k]
    peak = np.full((len(peaks), k), -np.inf, np.float32)
    image = np.full((len(peaks), k), -1, np.int64)
    peak[:, : order.shape[1]] = np.take_along_axis(peaks, order, axis=1)
    image[:, : order.shape[1]] = order
    return peak, image


def fed(peaks: Floats, k: int, images: NDArray[np.int64], cuts: list[int]) -> LargestPeaks:
    found = LargestPeaks(len(peaks), k=k)
    for part in np.split(images, cuts):
        if len(part):
            found.add(peaks[:, part], part)
    return found


PEAKS = arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 30)), elements=st.integers(-2, 2).map(float))


@given(PEAKS, st.integers(1, 12), st.integers(0, 999))
def test_top_images_are_those_of_a_stable_sort(peaks, k, seed):
    rng = np.random.default_rng(seed)
    n = peaks.shape[1]
    cuts = sorted(rng.integers(0, n + 1, 3).tolist())
    for images in (np.arange(n), rng.permutation(n)):  # also out of order: ties go to the earlier image all the same
        found = fed(peaks, k, images, cuts)
        peak, image = sorted_peaks(peaks, k)
        np.testing.assert_array_equal(found.peak, peak)
        np.testing.assert_array_equal(found.image, image)


@given(PEAKS, st.integers(1, 12), st.integers(0, 999))
def test_merged_lists_equal_the_whole(peaks, k, seed):
    rng = np.random.default_rng(seed)
    n = peaks.shape[1]
    owner = rng.integers(0, 3, n)
    shards = [fed(peaks, k, np.flatnonzero(owner == shard), []) for shard in rng.permutation(3)]
    merged = LargestPeaks(len(peaks), k=k)
    for shard in shards:
        merged.merge(shard)
    peak, image = sorted_peaks(peaks, k)
    np.testing.assert_array_equal(merged.peak, peak)
    np.testing.assert_array_equal(merged.image, image)


def test_images_of_equal_lowest_peaks_still_enter():
    lowest = np.full((1, 3), np.finfo(np.float32).min)
    found = LargestPeaks(1, k=2)
    found.add(lowest, np.arange(3))
    np.testing.assert_array_equal(found.image, [[0, 1]])


@settings(max_examples=20)
@given(st.integers(0, 999))
def test_fewer_images_than_places(seed):
    peaks = np.random.default_rng(seed).normal(size=(2, 3)).astype(np.float32)
    found = fed(peaks, 5, np.arange(3), [1, 2])
    assert (found.image[:, 3:] == -1).all()
    assert np.isneginf(found.peak[:, 3:]).all()
