"""Laws for whatever stands in interpkit/metrics: a new file falls under them without being named."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from interpkit import metrics
from interpkit.counts import Counts

STATES, CATEGORIES = 2, 2
METRICS = pytest.mark.parametrize("name", metrics.names())


@dataclass(frozen=True, eq=False)
class Observations:
    """Pixels of images: state (P, U), labelled (P, C) bool, image (P,); category (C,) of the concepts."""

    state: NDArray[np.int64]
    labelled: NDArray[np.bool_]
    image: NDArray[np.int64]
    category: NDArray[np.int64]

    def pick(self, pixels: NDArray[np.int64]) -> "Observations":
        return Observations(self.state[pixels], self.labelled[pixels], self.image[pixels], self.category)


def count(seen: Observations) -> Counts:
    """By the definition: pixel by pixel, a category being annotated where the pixel's image holds one of its labels."""
    units, concepts = seen.state.shape[1], len(seen.category)
    joint = np.zeros((STATES, units, concepts), np.int64)
    state = np.zeros((STATES, units, CATEGORIES + 1), np.int64)
    annotated = {image: annotated_in(seen, image) for image in set(seen.image.tolist())}
    for states, labelled, image in zip(seen.state, seen.labelled, seen.image.tolist(), strict=True):
        for unit, s in enumerate(states):
            joint[s, unit, labelled] += 1
            state[s, unit, annotated[image]] += 1
    return Counts(joint, state, seen.category)


def annotated_in(seen: Observations, image: int) -> NDArray[np.bool_]:
    labelled = seen.labelled[seen.image == image].any(0)
    return np.array([*(labelled[seen.category == g].any() for g in range(CATEGORIES)), True])


@st.composite
def observations(draw: st.DrawFn) -> Observations:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pixels, units, concepts = draw(st.integers(1, 40)), draw(st.integers(1, 3)), draw(st.integers(1, 4))
    often, labels = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0])), draw(st.sampled_from([0.0, 0.2, 1.0]))
    return Observations(
        state=(rng.random((pixels, units)) < often).astype(np.int64),
        labelled=rng.random((pixels, concepts)) < labels,
        image=np.sort(rng.integers(0, 5, pixels)),
        category=rng.integers(0, CATEGORIES, concepts),
    )


@METRICS
@pytest.mark.parametrize("rule", ["annotated", "all"])
@settings(max_examples=40)
@given(seen=observations())
def test_scores_stay_in_the_range_that_the_metric_states(name, rule, seen):
    metric = metrics.load(name)
    score = metric.score(count(seen).under(rule))
    assert score.shape == (seen.state.shape[1], seen.labelled.shape[1])
    assert score.dtype == np.float64
    known = score[~np.isnan(score)]
    assert ((known >= metric.low) & (known <= metric.high)).all()


@METRICS
@settings(max_examples=40)
@given(seen=observations(), seed=st.integers(0, 99))
def test_scores_depend_neither_on_order_nor_on_batches(name, seen, seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(seen.state))
    halves = [seen.pick(order[np.isin(seen.image[order], part)]) for part in np.split(rng.permutation(5), [2])]
    added = count(halves[0]) + count(halves[1])
    score = metrics.load(name).score
    np.testing.assert_array_equal(score(added), score(count(seen)))


@METRICS
@settings(max_examples=40)
@given(seen=observations(), seed=st.integers(0, 99))
def test_units_and_concepts_are_scored_each_for_itself(name, seen, seed):
    rng = np.random.default_rng(seed)
    units, concepts = rng.permutation(seen.state.shape[1]), rng.permutation(len(seen.category))
    turned = Observations(seen.state[:, units], seen.labelled[:, concepts], seen.image, seen.category[concepts])
    score = metrics.load(name).score
    np.testing.assert_array_equal(score(count(turned)), score(count(seen))[np.ix_(units, concepts)])


@METRICS
@settings(max_examples=20)
@given(seen=observations())
def test_scoring_changes_no_count(name, seen):
    counts = count(seen)
    before = counts.joint.copy(), counts.state.copy()
    metrics.load(name).score(counts)
    np.testing.assert_array_equal(counts.joint, before[0])
    np.testing.assert_array_equal(counts.state, before[1])


@METRICS
def test_a_concept_that_no_image_and_no_unit_shows_has_no_score(name):
    nothing = Counts(np.zeros((2, 1, 1), np.int64), np.zeros((2, 1, 2), np.int64), np.zeros(1, np.int64))
    assert np.isnan(metrics.load(name).score(nothing)).all()


@METRICS
def test_what_a_page_says_of_a_metric_is_there(name):
    metric = metrics.load(name)
    assert metric.title
    assert metric.reference
    assert metric.low < metric.high
