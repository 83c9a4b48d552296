"""Counts add up, and blocks are their parts."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from interpkit.counts import BLOCKS, BlockCounts, Counts

UNITS, CONCEPTS, CATEGORIES = 3, 5, 2
CATEGORY = np.array([0, 0, 1, 1, 0])


def random_blocks(seed: int, *, pixels: int = 40) -> tuple[BlockCounts, NDArray[np.int64], NDArray[np.int64]]:
    """Counts of random pixels, each in a block, with the dense (B, U, C) on-counts and the (B,) pixels."""
    rng = np.random.default_rng(seed)
    block = rng.integers(0, BLOCKS, pixels)
    on = rng.random((pixels, UNITS)) < 0.3
    labelled = rng.random((pixels, CONCEPTS)) < 0.2
    annotated = np.column_stack([labelled[:, g == CATEGORY].any(1) for g in range(CATEGORIES)] + [np.ones(pixels)])
    one = np.eye(BLOCKS, dtype=np.int64)[block]
    joint = np.einsum("pb,pu,pc->buc", one, on, labelled).astype(np.int64)
    index = np.flatnonzero(joint)
    counts = BlockCounts(
        index=index,
        value=joint.ravel()[index].astype(np.int32),
        truth=np.einsum("pb,pc->bc", one, labelled).astype(np.int64),
        active=np.einsum("pb,pu,pg->bug", one, on, annotated).astype(np.int64),
        pixels=np.einsum("pb,pg->bg", one, annotated).astype(np.int64),
        category=CATEGORY,
    )
    return counts, joint, np.bincount(block, minlength=BLOCKS)


def assert_equal(a: Counts, b: Counts) -> None:
    np.testing.assert_array_equal(a.joint, b.joint)
    np.testing.assert_array_equal(a.state, b.state)
    np.testing.assert_array_equal(a.category, b.category)


@given(st.integers(0, 9999), st.integers(0, 200))
def test_total_is_the_sum_of_the_blocks(seed, pixels):
    blocks, joint, _ = random_blocks(seed, pixels=pixels)
    summed = blocks.block(0)
    for b in range(1, BLOCKS):
        summed += blocks.block(b)
    assert_equal(summed, blocks.total())
    np.testing.assert_array_equal(blocks.total().joint[1], joint.sum(0))
    for b in range(BLOCKS):
        np.testing.assert_array_equal(blocks.block(b).joint[1], joint[b])


@given(st.integers(0, 9999))
def test_states_cover_every_pixel(seed):
    blocks, _, sizes = random_blocks(seed)
    total = blocks.total()
    np.testing.assert_array_equal(total.state.sum(0), np.tile(blocks.pixels.sum(0), (UNITS, 1)))
    assert (total.state.sum(0)[:, -1] == sizes.sum()).all()  # the last column counts every image
    np.testing.assert_array_equal(total.truth, np.tile(blocks.truth.sum(0), (UNITS, 1)))
    assert (total.joint >= 0).all()
    assert (total.state >= 0).all()
    # A unit is on at a labelled pixel at most as often as it is on where the concept's category is annotated.
    assert (total.joint[1] <= total.state[1][:, CATEGORY]).all()


@settings(max_examples=30)
@given(st.integers(0, 9999), st.integers(0, 9999), st.integers(0, 9999))
def test_addition_is_that_of_integers(a, b, c):
    first, second, third = (random_blocks(seed)[0].total() for seed in (a, b, c))
    assert_equal(first + second, second + first)
    assert_equal((first + second) + third, first + (second + third))
    np.testing.assert_array_equal((first + second).joint, first.joint + second.joint)
    np.testing.assert_array_equal((first + second).state, first.state + second.state)


def test_large_counts_do_not_overflow():
    # 63,305 images of 112 x 112 pixels; a block's entries are int32, their sum is more.
    big = 2**31 - 1
    blocks = BlockCounts(
        index=np.arange(BLOCKS),
        value=np.full(BLOCKS, big, np.int32),
        truth=np.full((BLOCKS, 1), big),
        active=np.full((BLOCKS, 1, 2), big),
        pixels=np.full((BLOCKS, 2), big),
        category=np.array([0]),
    )
    assert blocks.total().joint[1, 0, 0] == BLOCKS * big
    assert blocks.total().joint.dtype == np.int64


def test_rules_choose_the_denominators_column():
    counts = random_blocks(3)[0].total()
    assert counts.under("annotated") is counts
    everywhere = counts.under("all")
    assert (everywhere.category == CATEGORIES).all()
    np.testing.assert_array_equal(everywhere.joint, counts.joint)
    np.testing.assert_array_equal(everywhere.state[1][:, everywhere.category], np.tile(counts.state[1][:, -1:], 5))
    np.testing.assert_array_equal(counts.category, CATEGORY)


def test_counts_do_not_change():
    counts = random_blocks(0)[0].total()
    with pytest.raises(FrozenInstanceError):
        counts.joint = counts.joint  # type: ignore[misc]
    before = counts.joint.copy()
    _ = counts + counts
    np.testing.assert_array_equal(counts.joint, before)


def test_no_concepts():
    empty = np.zeros(0, np.int64)
    blocks = BlockCounts(
        index=empty,
        value=empty.astype(np.int32),
        truth=np.zeros((BLOCKS, 0), np.int64),
        active=np.ones((BLOCKS, 4, 1), np.int64),
        pixels=np.full((BLOCKS, 1), 9),
        category=empty,
    )
    assert blocks.shape == (BLOCKS, 4, 0)
    assert blocks.total().joint.shape == (2, 4, 0)
    assert blocks.block(5).state[0, 0, 0] == 8
