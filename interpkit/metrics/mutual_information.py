"""Mutual information of a unit's state with the presence of a concept, in nats, by counting (plug-in estimate)."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Self

import numpy as np
import numpy.typing as npt

from interpkit.counts import Counts
from interpkit.metrics import Metric

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Terms = Callable[[Ints], Floats]


def n_log_n(counts: Ints) -> Floats:
    """N ln n of each count, 0 for 0: the terms of the plug-in estimate."""
    values = counts.astype(np.float64)
    return values * np.log(np.maximum(values, 1))


def table(most: int, *, miller_madow: bool) -> Terms:
    """N ln n of counts up to ``most``, looked up.

    With the Miller-Madow correction every cell that is not empty counts half a nat less: the correction of each of the
    entropies of which mutual information consists, (cells - 1) / 2N.
    """
    counts = np.arange(most + 1)
    terms = n_log_n(counts) - (0.5 * (counts > 0) if miller_madow else 0)
    return terms.__getitem__


def split(whole: Ints, part: Ints, terms: Terms = n_log_n) -> Floats:
    """What is known when ``whole`` is split into ``part`` and the rest: minus its entropy, in nats times ``whole``.

    Zero where the part is empty or everything.
    """
    return terms(part) + terms(whole - part) - terms(whole)


@dataclass(frozen=True, eq=False)
class Presence:
    """How often concepts are there, whatever a unit does.

    Attributes
    ----------
    total
        (...) observations.
    known
        (...) ``split`` of the total into those with the concept and those without.
    entropy
        (...) nats, of *the concept is there*: what no unit can exceed. NaN where nothing was seen.
    """

    total: Ints
    known: Floats
    entropy: Floats

    @classmethod
    def of(cls, truth: Ints, total: Ints, terms: Terms = n_log_n) -> Self:
        """From how often a concept was there, of ``total``."""
        total = np.broadcast_to(total, truth.shape)
        entropy = np.full(truth.shape, np.nan)
        np.divide(-split(total, truth), total, out=entropy, where=total > 0)
        return cls(total, split(total, truth, terms), np.maximum(entropy, 0))


def information(joint: Ints, state: Ints, presence: Presence, *, terms: Terms = n_log_n) -> Floats:
    """Mutual information of state and presence, I = H(presence) - H(presence | state), one concept at a time.

    Parameters
    ----------
    joint
        (S, ...) observations in state s with the concept.
    state
        (S, ...) observations in state s, of the same shape or with ones for axes.
    presence
        Of the same observations.
    terms
        ``n_log_n``, or a ``table``, with which the correction comes.

    Returns
    -------
    (...) nats in 0..entropy; NaN where nothing was seen, 0 for a concept that is always there or never.
    """
    value = (_summed(joint, state, terms) - presence.known) / np.maximum(presence.total, 1)
    kept: Floats = np.minimum(np.maximum(value, 0), presence.entropy)
    return kept


def _summed(joint: Ints, state: Ints, terms: Terms) -> Floats:
    """``split`` of the states' observations, summed over the states."""
    most = int(joint.max(initial=0))
    if joint.ndim != 2 or state.shape[1] != 1 or most >= joint.shape[1]:
        direct: Floats = split(state, joint, terms).sum(0)
        return direct
    # Many concepts, each seldom there: fewer different counts than cells, so each split is made once and looked up.
    part = np.minimum(np.arange(most + 1), state)
    place = joint + np.arange(len(joint))[:, None] * (most + 1)
    looked_up: Floats = split(state, part, terms).ravel().take(place).sum(0)
    return looked_up


def mutual_information(counts: Counts) -> Floats:
    """Mutual information (U, C) of the unit's state with each concept in nats, whatever the number of states."""
    truth = counts.truth
    scores = np.empty(truth.shape)
    for unit, row in enumerate(scores):
        state = counts.state[:, unit, counts.category]
        row[:] = information(counts.joint[:, unit], state, Presence.of(truth[unit], state.sum(0)))
    return scores


OFFER = Metric(
    score=mutual_information,
    title="Mutual information",
    low=0.0,
    high=log(2),
    reference="Cover, Thomas: Elements of Information Theory, 2nd edition, Wiley 2006, section 2.3",
)
