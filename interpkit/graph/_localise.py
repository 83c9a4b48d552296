"""Landmarks found on images from a few annotated ones, by the nodes that lie steadily beside them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from interpkit.graph._found import Found, Patterns
from interpkit.graph._landmarks import Landmarks

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DRAWS = 10
# Filters of a template, at least, and as a share of all.
FILTERS, SHARE = 60, 0.001
# As shares of the input's shorter side: what is added to an offset's deviation, how far filters reach, and the
# deviation that an offset is thought to have before it is seen, which counts as so many examples.
SOFT, REACH, USUAL, EXAMPLES = 10 / 224, 70 / 224, 40 / 224, 2
# A right place, as a share of the longer side.
NEAR = 0.1
STEPS = 50
COLUMNS = ("landmark", "shots", "positions", "error", "spread", "within", "draws")

_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Voters:
    """What votes for a landmark: F filters of all layers, each at its strongest node.

    Attributes
    ----------
    place
        (I, F, 2) and
    score
        (I, F), as a share of the filter's mean on the training images; 0 where it has no place.
    """

    place: Floats
    score: Floats


@dataclass(frozen=True, eq=False)
class Template:
    """Filters that lie steadily beside a landmark: which (T,), the way from them to it (T, 2), their weights (T,).

    ``usual`` (2,) is where the landmark lies on average.
    """

    filters: Ints
    offset: Floats
    weight: Floats
    usual: Floats


def voters(several: Sequence[Patterns], filters: Sequence[int]) -> tuple[Voters, Voters]:
    """On the training images and on the others; filters that explain nothing on any training image are left out.

    Parameters
    ----------
    several
        Layers.
    filters
        How many filters each has; as many nodes as there are belong to each, one after the other.
    """
    fitted: list[Voters] = []
    others: list[Voters] = []
    for one, number in zip(several, filters, strict=True):
        both = _strongest(one.training, number), _strongest(one.held_out, number)
        usual = both[0].score.mean(0)
        alive = usual > 0
        for voting, layers in zip(both, (fitted, others), strict=True):
            layers.append(Voters(voting.place[:, alive], voting.score[:, alive] / usual[alive]))
    return _joined(fitted), _joined(others)


def _strongest(found: Found, filters: int) -> Voters:
    """The node of each filter with the highest score, by image."""
    images, nodes = found.score.shape
    score = found.score.reshape(images, filters, nodes // max(filters, 1))
    place = found.place.reshape(*score.shape, 2)
    best = score.argmax(2)[..., None] if score.size else np.zeros((images, filters, 1), np.int64)
    there = np.take_along_axis(place, best[..., None], 2)[:, :, 0].astype(np.float64)
    high = np.take_along_axis(score, best, 2)[..., 0].astype(np.float64)
    return Voters(np.where(high[..., None] > 0, there, 0), np.where(np.isfinite(there).all(2), high, 0))


def _joined(several: Sequence[Voters]) -> Voters:
    return Voters(np.concatenate([one.place for one in several], 1), np.concatenate([one.score for one in several], 1))


def template(seen: Voters, landmark: Floats, *, side: float) -> Template:
    """Learn from k annotated images.

    A filter counts if it has a place on all of them. Its way to the landmark is the mean over the images, its deviation
    that of the ways, drawn to what is usual as by two more examples, since three ways may agree by luck. Filters rank
    by their mean score over the squared deviation, times exp(-|way|^2 / 2 reach^2).

    Parameters
    ----------
    seen
        On these images.
    landmark
        (k, 2) input pixels.
    side
        The input's shorter one.
    """
    shots = len(landmark)
    ways = landmark[:, None] - seen.place
    offset = ways.mean(0)
    square = ((ways - offset) ** 2).sum((0, 2)) + EXAMPLES * (USUAL * side) ** 2
    weight = 1 / (square / (shots - 1 + EXAMPLES) + (SOFT * side) ** 2)
    near = np.exp(-(offset**2).sum(1) / (2 * (REACH * side) ** 2))
    rank = np.where((seen.score > 0).all(0), seen.score.mean(0) * weight * near, -1)
    number = max(FILTERS, round(SHARE * len(rank)))
    best = np.argsort(-rank, kind="stable")[:number]
    best = best[rank[best] >= 0]
    return Template(best, offset[best], weight[best], landmark.mean(0))


def placed(one: Template, seen: Voters, *, side: float) -> Floats:
    """(N, 2) where the landmark is on N images: the weighted geometric median of what the filters say.

    They weigh as their scores there over their squared deviation. Where none has a place, the landmark's usual one.
    """
    votes = seen.place[:, one.filters] + one.offset
    weight = seen.score[:, one.filters] * one.weight
    median = geometric_median(votes, weight, least=1e-3 * side)
    return np.where(weight.sum(1, keepdims=True) > 0, median, one.usual)


def geometric_median(points: Floats, weight: Floats, *, least: float) -> Floats:
    """(N, 2) the places whose weighted sum of distances to points (N, T, 2) is smallest, by Weiszfeld's steps.

    Parameters
    ----------
    weight
        (N, T).
    least
        Distances below count as this, so that a place may lie on a point.
    """
    share = weight
    at = np.zeros((len(points), 2))
    for _ in range(STEPS):
        at = (share[..., None] * points).sum(1) / np.maximum(share.sum(1), _TINY)[:, None]
        share = weight / np.maximum(np.sqrt(((points - at[:, None]) ** 2).sum(2)), least)
    return at


def localise(
    found: Mapping[str, Sequence[Patterns]],
    landmarks: Landmarks,
    *,
    input_size: tuple[int, int],
    shots: Sequence[int],
    seed: int,
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Find each landmark on the held-out images from as few training images as ``shots`` says.

    An And-Or graph on the fitted one, which stays as it is. A landmark is an AND of filters of all layers at their ways
    to it; a filter is an OR of its nodes: on each image the one with the highest score votes. There is one template of
    all shots. One for each shot, of which the best is taken, places landmarks worse on photographs, as do nodes that
    vote each for itself: a node is tied to its surroundings, and where the object lies elsewhere it is another node of
    its filter that sees the part. ``raw`` does the same with each filter's arg-max, so that the two differ in what the
    places are alone. ``mean place`` is where the shots have the landmark on average.

    All are given the same shots, drawn anew ten times. Numbers of shots for which there are too few annotated training
    images are left out.

    Parameters
    ----------
    found
        As for `evaluate`; of ``raw`` and of ``graph``.
    seed
        Of the draws.

    Returns
    -------
    tuple
        `GraphEvaluation.localisation`, and what limits it.
    """
    if not len(landmarks.held_out):
        return pd.DataFrame(columns=list(COLUMNS)), ("Without held-out images no landmark is localised.",)
    counts = {one.layer: one.training.score.shape[1] for one in found["raw"]}
    methods = {name: voters(found[name], [counts[one.layer] for one in found[name]]) for name in ("graph", "raw")}
    rows, left_out = [], []
    for p, name in enumerate(landmarks.names):
        trained, judged = landmarks.training[:, p], landmarks.held_out[:, p]
        known, there = np.flatnonzero(np.isfinite(trained).all(1)), np.isfinite(judged).all(1)
        usable = [number for number in shots if number <= len(known) and there.any()]
        left_out += [f"{name} with {number}" for number in shots if number not in usable]
        for number in usable:
            draws = [
                np.random.default_rng([seed, p, number, draw]).permutation(known)[:number] for draw in range(DRAWS)
            ]
            errors = _errors(methods, trained, judged, draws=draws, input_size=input_size)
            rows += [(name, number, method, *_summary(away, input_size), len(draws)) for method, away in errors]
    few = f"Too few images are annotated to localise {', '.join(left_out)} shots."
    return pd.DataFrame(rows, columns=list(COLUMNS)), (few,) if left_out else ()


def _errors(
    methods: Mapping[str, tuple[Voters, Voters]],
    trained: Floats,
    judged: Floats,
    *,
    draws: Sequence[Ints],
    input_size: tuple[int, int],
) -> Iterator[tuple[str, Floats]]:
    """By method, (draws, n) how far off it is on the n held-out images that show the landmark, pixels."""
    side, there = min(input_size), np.flatnonzero(np.isfinite(judged).all(1))
    truth = judged[there]
    for name, (fitted, others) in methods.items():
        kept = Voters(others.place[there], others.score[there])
        places = []
        for rows in draws:
            one = template(Voters(fitted.place[rows], fitted.score[rows]), trained[rows], side=side)
            places.append(placed(one, kept, side=side))
        yield name, _away(np.stack(places), truth)
    yield "mean place", _away(np.stack([trained[rows].mean(0) for rows in draws])[:, None], truth)
    yield "centre", _away(np.tile([(length - 1) / 2 for length in input_size], (len(draws), 1, 1)), truth)


def _away(places: Floats, truth: Floats) -> Floats:
    distance: Floats = np.sqrt(((places - truth) ** 2).sum(2))
    return distance


def _summary(away: Floats, input_size: tuple[int, int]) -> tuple[float, float, float]:
    """Error and its spread over the draws, shares of the diagonal, and the share of right places."""
    errors = away.mean(1) / float(np.hypot(*input_size))
    spread = float(errors.std(ddof=1)) if len(errors) > 1 else 0.0
    return float(errors.mean()), spread, float((away <= NEAR * max(input_size)).mean())
