"""Each metric against its definition on counts written by hand."""

import math

import numpy as np
import pytest

from interpkit import metrics
from interpkit.counts import Counts
from interpkit.errors import UnknownNameError


def counts(on: list[list[int]], *, truth: list[int], active: list[list[int]], pixels: list[int]) -> Counts:
    """Two states from on (U, C), truth (C,), active (U, G + 1), pixels (G + 1,); concept c has category c % G."""
    joint, state = np.array(on), np.array(active)
    category = np.arange(len(truth)) % (len(pixels) - 1)
    return Counts(np.stack([np.array(truth) - joint, joint]), np.stack([np.array(pixels) - state, state]), category)


def test_iou_by_hand():
    given = counts([[6, 0, 3], [0, 0, 0]], truth=[10, 4, 3], active=[[8, 5, 20], [0, 0, 0]], pixels=[50, 30, 100])
    iou = metrics.load("iou").score(given)
    # category 0 (concepts 0, 2) has 8 pixels on, category 1 has 5
    np.testing.assert_allclose(iou, [[6 / (8 + 10 - 6), 0 / (5 + 4), 3 / (8 + 3 - 3)], [0, 0, 0]])
    everywhere = metrics.load("iou").score(given.under("all"))
    np.testing.assert_allclose(everywhere[0], [6 / (20 + 10 - 6), 0, 3 / (20 + 3 - 3)])


def test_iou_of_what_was_never_seen_is_not_a_number():
    given = counts([[0, 0]], truth=[0, 7], active=[[0, 0, 0]], pixels=[9, 9, 9])
    iou = metrics.load("iou").score(given)
    assert math.isnan(iou[0, 0])
    assert iou[0, 1] == 0


def test_iou_of_a_concept_that_was_never_seen_is_zero_where_the_unit_is_on():
    given = counts([[0, 0]], truth=[0, 7], active=[[3, 0, 3]], pixels=[9, 9, 9])
    assert metrics.load("iou").score(given)[0, 0] == 0


def test_iou_is_one_where_the_two_coincide():
    given = counts([[5, 5]], truth=[5, 5], active=[[5, 5, 5]], pixels=[9, 9, 9])
    assert (metrics.load("iou").score(given) == 1).all()


def test_iou_is_exact_where_products_would_overflow_32_bits():
    big = 63_305 * 192 * 192
    given = counts([[big]], truth=[2 * big], active=[[3 * big, 3 * big]], pixels=[4 * big, 4 * big])
    assert metrics.load("iou").score(given)[0, 0] == 0.25


def test_a_metric_that_does_not_exist():
    with pytest.raises(UnknownNameError, match=r"no 'io'.*iou"):
        metrics.load("io")
    assert "iou" in metrics.names()
