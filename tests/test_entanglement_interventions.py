"""Ablation and compression: what a head loses with its units."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from coloured import Colours, Deep, coloured_set, sample
from numpy.typing import NDArray
from test_entanglement_head import linear_of_vectors

from interpkit.entanglement._ablation import ablate
from interpkit.entanglement._compression import compress, redundant_first
from interpkit.entanglement._finding import find_head
from interpkit.entanglement._head import Measured
from interpkit.errors import InterpkitError

VECTORS = json.loads((Path(__file__).parent / "vectors" / "csg_vectors.json").read_text(encoding="utf-8"))
OWNER = np.array([0, 0, 1, 1, 2, 2, -1])


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    return coloured_set(tmp_path_factory.mktemp("coloured"))


def test_the_published_case():
    head, case = linear_of_vectors()
    found = ablate(head, np.array(case["owner"]))
    np.testing.assert_allclose(found.recall, case["recall_after_row_c_ablated"], atol=1e-8)
    np.testing.assert_allclose(found.drop, case["D_base_minus_ablated"], atol=1e-8)
    assert (found.drop_own, found.drop_other) == (case["drop_own"], case["drop_other"])
    assert found.removed.tolist() == [1, 1, 1]


@pytest.mark.parametrize("net", [Colours, Deep])
def test_a_class_without_its_units_is_lost_and_no_other(labels, net):
    head = find_head(sample(labels, net()))
    found = ablate(head, OWNER, draws=4)
    np.testing.assert_array_equal(found.base, 1)
    # Without red, green and blue are as before; the bias decides which of them red becomes.
    np.testing.assert_array_equal(found.recall[:2], [[0, 1, 1], [1, 0, 1]])
    assert found.recall[2].tolist() in ([1, 1, 0], [1, 1, 1])  # blue has the largest bias
    assert found.ablated.tolist() == [0, 1, 2]
    assert found.removed.tolist() == [2, 2, 2]
    assert (found.accuracy, found.head, found.draws) == (1, head.words, 4)
    assert found.control.shape == (3, 3)
    assert 0 <= found.drop_random < found.drop_own


def test_the_control_removes_as_many_units_at_random(labels):
    head = find_head(sample(labels, Colours()))
    found = ablate(head, OWNER, draws=400)
    # By hand: every pair of units is drawn equally often.
    pairs = [(a, b) for a in range(7) for b in range(a)]
    gone = np.array([[unit in pair for unit in range(7)] for pair in pairs])
    expected = head.measure(~gone).recall.mean(0)
    np.testing.assert_allclose(found.control, np.broadcast_to(expected, (3, 3)), atol=0.08)
    assert (found.control[0] != found.control[1]).any()
    again = ablate(head, OWNER, draws=400)
    np.testing.assert_array_equal(found.control, again.control)
    assert (ablate(head, OWNER, draws=400, seed=1).control != found.control).any()


def test_units_that_fall_silent_on_their_class_stay(labels):
    head = find_head(sample(labels, Colours()))
    positive = np.array([True, False, False, False, True, True, True])
    found = ablate(head, OWNER, positive, draws=2)
    assert found.removed.tolist() == [1, 0, 2]
    np.testing.assert_array_equal(found.recall[1], found.base)
    np.testing.assert_array_equal(found.control[1], found.base)


def test_the_largest_classes_are_tested(labels):
    whole = sample(labels, Colours())
    rows = np.flatnonzero(~np.isin(np.arange(18), [0, 3, 2]))  # 4 red, 6 green, 5 blue
    part = replace(whole, rows=rows, pooled=whole.pooled[rows], member=whole.member[rows])
    found = ablate(find_head(part), OWNER, at_most=2)
    assert found.ablated.tolist() == [1, 2]
    assert found.recall.shape == found.control.shape == (2, 3)
    assert found.base.shape == (3,)


@pytest.mark.parametrize("options", [{"at_most": 0}, {"draws": 0}])
def test_ablation_takes_something(labels, options):
    head, case = linear_of_vectors()
    with pytest.raises(InterpkitError, match="at least 1 class and 1 draw, not"):
        ablate(head, np.array(case["owner"]), **options)


# --- compression


def slowly(correlation: NDArray[np.float64]) -> list[int]:
    """Units in the order in which they can be missed, with everything looked up again at every step."""
    units = len(correlation)
    size = np.abs(correlation)
    left = list(range(units))
    order = [u for u in left if all(size[u, v] == 0 for v in left if v != u)]
    left = [u for u in left if u not in order]
    while len(left) > 1:
        pairs = [(size[u, v], -u, -v) for u in left for v in left if u != v]
        u, v = (-place for place in max(pairs)[1:])
        total = {one: sum(size[one, other] for other in left if other != one) for one in (u, v)}
        gone = v if total[v] > total[u] + 1e-9 else u
        order.append(gone)
        left.remove(gone)
    return order + left


@pytest.mark.parametrize("seed", range(6))
def test_the_order_is_the_slow_one(seed):
    rng = np.random.default_rng(seed)
    pooled = rng.normal(size=(12, 9)) @ rng.normal(size=(9, 9))
    pooled[:, 8] = pooled[:, 2] * -3 + 1e-3 * rng.normal(size=12)
    pooled[:, 5] = 1
    with np.errstate(invalid="ignore"):
        correlation = np.nan_to_num(np.corrcoef(pooled.T))
    before = correlation.copy()
    order = redundant_first(correlation)
    assert order.tolist() == slowly(correlation)
    assert order[0] == 5
    assert order[1] in (2, 8)
    np.testing.assert_array_equal(correlation, before)


def test_one_unit_and_many_equal_ones():
    assert redundant_first(np.ones((1, 1))).tolist() == [0]
    assert sorted(redundant_first(np.ones((5, 5))).tolist()) == [0, 1, 2, 3, 4]
    assert redundant_first(np.zeros((3, 3))).tolist() == [0, 1, 2]


def test_copies_can_be_missed(labels):
    taken = sample(labels, Colours())
    with np.errstate(invalid="ignore"):
        correlation = np.nan_to_num(np.corrcoef(taken.pooled.T))
    head = find_head(taken)
    found = compress(head, correlation, steps=7, draws=20)
    assert found.removed.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    # The unit that never varies and one of every pair of copies go first.
    np.testing.assert_array_equal(found.accuracy[:5], 1)
    assert found.accuracy[7] == pytest.approx(1 / 3)
    assert found.random[0] == 1
    assert found.random[4] < 0.99
    assert found.spread[0] == 0 < found.spread[4]
    assert (found.draws, found.head) == (20, head.words)
    again = compress(head, correlation, steps=7, draws=20)
    np.testing.assert_array_equal(again.random, found.random)


def test_points_spread_over_all_units():
    head, _ = linear_of_vectors()
    found = compress(head, np.eye(3), steps=10, draws=2)
    assert found.removed.tolist() == [0, 1, 2, 3]
    assert found.accuracy.shape == found.random.shape == found.spread.shape == (4,)


class Asked:
    """A head that keeps what it is asked, and gets right as many images as units are left."""

    units = 9
    words = "asked"

    def measure(self, scales):
        self.scales = scales
        return Measured(np.zeros((len(scales), 2)), scales.sum(1) / 9)


def test_what_goes_at_every_point():
    rng = np.random.default_rng(0)
    correlation, head = np.corrcoef(rng.normal(size=(9, 20))), Asked()
    found = compress(head, correlation, steps=4, draws=3)
    assert found.removed.tolist() == [0, 2, 4, 7, 9]
    kept = head.scales.reshape(4, 5, 9)
    order = redundant_first(correlation)
    for place, count in enumerate(found.removed):
        assert set(np.flatnonzero(~kept[0, place])) == set(order[:count].tolist())
        assert ((~kept[:, place]).sum(-1) == count).all()
    assert (kept[:, 1:] <= kept[:, :-1]).all()  # what is gone stays gone
    assert len({tuple(one.ravel()) for one in kept}) == 4
    np.testing.assert_allclose(found.accuracy, 1 - found.removed / 9)


@pytest.mark.parametrize("options", [{"steps": 0}, {"draws": 0}])
def test_compression_takes_something(options):
    head, _ = linear_of_vectors()
    with pytest.raises(InterpkitError, match="at least 1 step and 1 draw, not"):
        compress(head, np.eye(3), **options)
