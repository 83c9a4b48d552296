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


def information_of(joint: list[list[int]]) -> float:
    """Of a table of counts, by the definition."""
    table = np.array(joint) / np.sum(joint)
    product = np.outer(table.sum(1), table.sum(0))
    return float((table[table > 0] * np.log(table[table > 0] / product[table > 0])).sum())


def test_mutual_information_by_hand():
    given = counts([[6, 0], [0, 4]], truth=[10, 4], active=[[8, 5, 20], [0, 4, 4]], pixels=[50, 30, 100])
    found = metrics.load("mutual_information").score(given)
    # of 50 pixels 10 hold the concept, 8 are on, 6 are both; of 30 pixels 4 hold it, 5 are on, none are both
    apart = information_of([[0, 5], [4, 21]])
    np.testing.assert_allclose(found[0], [information_of([[6, 2], [4, 38]]), apart], atol=1e-12)
    # the second unit is never on in the first category, and on exactly at the concept in the second
    share = 4 / 30
    np.testing.assert_allclose(found[1], [0, -share * math.log(share) - (1 - share) * math.log(1 - share)], atol=1e-12)
    everywhere = metrics.load("mutual_information").score(given.under("all"))
    np.testing.assert_allclose(everywhere[0, 0], information_of([[6, 14], [4, 76]]), atol=1e-12)


def test_mutual_information_of_more_than_two_states():
    table = np.array([[3, 9], [0, 5], [4, 1], [0, 0]])
    given = Counts(table[:, None, :1], np.repeat(table.sum(1)[:, None, None], 2, axis=2), np.zeros(1, np.int64))
    assert metrics.load("mutual_information").score(given)[0, 0] == pytest.approx(information_of(table.tolist()))


def test_mutual_information_of_what_was_never_seen_is_not_a_number():
    given = counts([[0, 0]], truth=[0, 7], active=[[0, 2, 2]], pixels=[0, 9, 9])
    found = metrics.load("mutual_information").score(given)
    assert math.isnan(found[0, 0])
    assert found[0, 1] > 0


def test_mutual_information_is_right_for_billions_of_pixels():
    big = 63_305 * 192 * 192
    given = counts([[3 * big]], truth=[5 * big], active=[[4 * big, 4 * big]], pixels=[20 * big, 20 * big])
    expected = information_of([[3, 1], [2, 14]])
    assert metrics.load("mutual_information").score(given)[0, 0] == pytest.approx(expected, rel=1e-9)


def test_a_metric_that_does_not_exist():
    with pytest.raises(UnknownNameError, match=r"no 'io'.*iou"):
        metrics.load("io")
    assert "iou" in metrics.names()
