"""How steadily and how purely nodes lie on landmarks, beside the same for what they are compared with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from interpkit import location
from interpkit.graph._found import Found, Patterns
from interpkit.graph._landmarks import Landmarks
from interpkit.graph._localise import localise
from interpkit.results import GraphEvaluation

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Of the best images of a node, and of the best nodes of a layer, as in the code that the authors released and beyond.
TOP_IMAGES = 20
TOP_NODES = (20, 100)
# Images below which a node and a landmark are not judged.
FEWEST = 5
# Below as many annotated images, a deviation may be small by luck.
FEW_ANNOTATED = 50
# Near a landmark, for purity, as a share of the diagonal; for the share of right places, of the longer side.
REACH, NEAR = 0.1, 0.1
PURE = 0.8
TRAINING, HELD_OUT = "training", "held out"
MEASURES = ("instability", "explained", "pck", "purity", "pure")
COLUMNS = ("layer", "positions", "images", "top", "nodes", "landmark", *MEASURES)

# Numbers of places at a time.
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class Judged:
    """What landmarks say of V nodes; the fields are those of `GraphLayer`."""

    purity: Floats
    part: Ints
    instability: Floats


def judge(patterns: Patterns, landmarks: Landmarks, *, input_size: tuple[int, int]) -> Judged:
    """Purity, commonest landmark and location instability of every node, on its best 20 training images.

    A node's best images are those with the highest scores among those on which it has a place and a landmark is
    annotated. Purity is the share of them on which the node lies nearest to its commonest landmark, within a tenth of
    the input's diagonal; it stands in for the judgement of people, whom the paper asked (AAAI 2018, section 4).
    Instability is `location.instability`, mean over the landmarks. With fewer than five images neither is given.
    """
    diagonal = float(np.hypot(*input_size))
    purity, part = purities(patterns.training, landmarks.training, reach=REACH * diagonal)
    deviation, _ = steadiness(patterns.training, landmarks.training, diagonal=diagonal)
    return Judged(purity=purity, part=part, instability=mean_of(deviation.T))


def purities(found: Found, landmarks: Floats, *, reach: float, top: int = TOP_IMAGES) -> tuple[Floats, Ints]:
    """(V,) purity and (V,) commonest landmark, -1 where none is ever near.

    Of two landmarks that are as common, or as near, the first.
    """
    nothing = np.zeros(0), np.zeros(0, np.int64)
    parts = [_purity(place, score, landmarks, reach=reach, top=top) for place, score in _blocks(found)]
    purity, part = zip(nothing, *parts, strict=True)
    return np.concatenate(purity), np.concatenate(part)


def _purity(place: Floats, score: Floats, landmarks: Floats, *, reach: float, top: int) -> tuple[Floats, Ints]:
    """Of some nodes."""
    usable = np.logical_and(present(place, score), np.any(annotated(landmarks), axis=1, keepdims=True))
    order = np.argsort(np.where(usable, -score, np.inf), axis=0, kind="stable")[:top]
    judged = np.take_along_axis(usable, order, axis=0)
    where = np.take_along_axis(place, order[..., None], axis=0)
    away = np.sqrt(((where[:, :, None] - landmarks[order]) ** 2).sum(3))
    away = np.where(np.isfinite(away) & judged[..., None], away, np.inf)
    nearest = np.where(away.min(2) <= reach, away.argmin(2), -1)
    counts = (nearest[..., None] == np.arange(landmarks.shape[1])).sum(0)
    images = judged.sum(0)
    purity: Floats = counts.max(1) / np.where(images >= FEWEST, images, np.nan)
    return purity, np.where(counts.max(1) > 0, counts.argmax(1), -1)


def steadiness(found: Found, landmarks: Floats, *, diagonal: float, top: int = TOP_IMAGES) -> tuple[Floats, Floats]:
    """(V, P) location instability over each node's best images with the landmark, and (V, P) what it explains.

    The latter is the share of the landmark's variance over the same images that a linear fit on the node's place
    explains: 0 for a node that never moves. Both are NaN with fewer than five images.
    """
    known = annotated(landmarks).astype(np.float64)
    parts = [np.zeros((2, 0, landmarks.shape[1]))]
    for place, score in _blocks(found):
        one = location.instability(place, score, landmarks, diagonal=diagonal, top=top)
        images = present(place, score).T.astype(np.float64) @ known
        parts.append(np.where(images >= FEWEST, np.stack([one.deviation, one.explained]), np.nan))
    deviation, explained = np.concatenate(parts, axis=1)
    return deviation, explained


def near(found: Found, landmarks: Floats, *, within: float) -> tuple[Floats, Floats]:
    """(V, P) share of annotated images on which a node lies ``within`` as many pixels, and its mean distance there.

    A node without a place is not near, and as far away as it can be. NaN with fewer than five annotated images.
    """
    known = annotated(landmarks)
    shares, means = (np.full((found.score.shape[1], landmarks.shape[1]), np.nan) for _ in range(2))
    first = 0
    for place, score in _blocks(found):
        rows = slice(first, first + score.shape[1])
        here = present(place, score)
        for p in np.flatnonzero(known.sum(0) >= FEWEST):
            seen = known[:, p]
            away = np.sqrt(((place[seen] - landmarks[seen, p][:, None]) ** 2).sum(2))
            shares[rows, p] = (np.where(here[seen], away, np.inf) <= within).mean(0)
            means[rows, p] = np.where(here[seen], away, 10 * within).mean(0)
        first = rows.stop
    return shares, means


def annotated(landmarks: Floats) -> Bools:
    """(N, P) where landmarks have a place."""
    known: Bools = np.all(np.isfinite(landmarks), axis=2)
    return known


def present(place: Floats, score: Floats) -> Bools:
    """(N, V) where nodes have a place."""
    here: Bools = np.logical_and(score > 0, np.isfinite(place).all(2))
    return here


def _blocks(found: Found) -> Iterator[tuple[Floats, Floats]]:
    """Places (N, v, 2) and scores (N, v) of some nodes at a time, in double precision."""
    images, nodes = found.score.shape
    step = max(1, _BLOCK // max(images, 1))
    for first in range(0, nodes, step):
        part = slice(first, first + step)
        yield found.place[:, part].astype(np.float64), found.score[:, part].astype(np.float64)


def mean_of(values: Floats) -> Floats:
    """Mean over the first axis of what is not NaN; NaN where nothing is."""
    seen = ~np.isnan(values)
    count = seen.sum(0)
    mean: Floats = np.where(seen, values, 0).sum(0) / np.where(count > 0, count, np.nan)
    return mean


def strongest(patterns: Patterns, *, merged: bool) -> Ints:
    """Nodes that explain anything on a training image, by falling mean of their 20 best scores there.

    Parameters
    ----------
    merged
        Whether only nodes that stand for themselves count.
    """
    score = patterns.training.score
    best = -np.sort(-score, axis=0)[:TOP_IMAGES].astype(np.float64).mean(0)
    alive = best > 0
    if merged and patterns.representative is not None:
        alive &= patterns.representative == np.arange(len(best))
    own = np.flatnonzero(alive)
    order: Ints = own[np.argsort(-best[own], kind="stable")]
    return order


def evaluate(
    found: Mapping[str, Sequence[Patterns]],
    landmarks: Landmarks,
    *,
    input_size: tuple[int, int],
    shots: Sequence[int],
    seed: int,
) -> GraphEvaluation:
    """Judge the strongest nodes of every layer, however they were fitted, and localise landmarks from few examples.

    Which nodes are judged is decided on the training images: those with the highest mean of their 20 best scores.
    Nodes that coincide count once, in the graph and in its controls alike; where nobody looked for them in one of a
    layer's controls, they count as they are in all of them.

    ``instability`` and ``explained`` are the means over the nodes of `steadiness`, ``purity`` the mean of theirs (by
    landmark: over those whose commonest it is), ``pure`` the share of nodes whose purity is at least 0.8 (by landmark:
    of this one), all on each node's best 20 images. ``pck`` belongs to
    the one node that lies within a tenth of the longer side on most training images, and is taken over all images. The
    image's centre has no best images: it is judged on all.

    Parameters
    ----------
    found
        By ``positions`` as in `GraphEvaluation`, without ``centre``: layers from low to high; a control need not have
        all.
    shots, seed
        As for `localise`.
    """
    rows = [
        row
        for layer, here in by_layer(found).items()
        for row in _of_layer(layer, here, landmarks, input_size=input_size)
    ]
    localisation, limits = localise(found, landmarks, input_size=input_size, shots=shots, seed=seed)
    return GraphEvaluation(
        landmarks=landmarks.names,
        table=pd.DataFrame(rows, columns=list(COLUMNS)),
        localisation=localisation,
        notes=(*_notes(found, landmarks), *limits),
    )


def _of_layer(
    layer: str, here: Mapping[str, Patterns], landmarks: Landmarks, *, input_size: tuple[int, int]
) -> Iterator[tuple[object, ...]]:
    """Rows of the table."""
    merged = all_merged(here)
    for positions, one in here.items():
        order = strongest(one, merged=merged)
        for top in TOP_NODES:
            chosen = order[:top]
            both = some(one.training, chosen), some(one.held_out, chosen)
            for images, landmark, measures in _rows(*both, landmarks, input_size=input_size, top=TOP_IMAGES):
                yield layer, positions, images, top, len(chosen), landmark, *measures
    both = centre(landmarks, input_size)
    for top in TOP_NODES:
        for images, landmark, measures in _rows(*both, landmarks, input_size=input_size, top=max(map(_images, both))):
            yield layer, "centre", images, top, 1, landmark, *measures


def _images(found: Found) -> int:
    return len(found.score)


def by_layer(found: Mapping[str, Sequence[Patterns]]) -> dict[str, dict[str, Patterns]]:
    """The same by layer, then by whose places they are."""
    layers: dict[str, dict[str, Patterns]] = {}
    for name, several in found.items():
        for one in several:
            layers.setdefault(one.layer, {})[name] = one
    return layers


def all_merged(several: Mapping[str, Patterns]) -> bool:
    """Whether nodes that coincide are known in all that may have such; filters at their arg-max have none."""
    return all(one.representative is not None for name, one in several.items() if name != "raw")


def some(found: Found, nodes: Ints) -> Found:
    """Of some nodes only."""
    return Found(found.place[:, nodes], found.score[:, nodes])


def centre(landmarks: Landmarks, input_size: tuple[int, int]) -> tuple[Found, Found]:
    """One node that lies in the middle of every training image, and of every other one."""
    middle = np.array([(side - 1) / 2 for side in input_size], np.float32)
    numbers = len(landmarks.training), len(landmarks.held_out)
    fitted, others = (Found(np.tile(middle, (n, 1, 1)), np.ones((n, 1), np.float32)) for n in numbers)
    return fitted, others


def _rows(
    training: Found, held_out: Found, landmarks: Landmarks, *, input_size: tuple[int, int], top: int
) -> Iterator[tuple[str, str, Floats]]:
    """Which images, which landmark or ``all``, and the measures (5,) of some nodes there."""
    within = NEAR * max(input_size)
    shares, means = near(training, landmarks.training, within=within)
    best = np.array([_first(one, other) for one, other in zip(shares.T, means.T, strict=True)])
    for images, found, places in (
        (TRAINING, training, landmarks.training),
        (HELD_OUT, held_out, landmarks.held_out),
    ):
        if not len(places):
            continue
        deviation, explained = steadiness(found, places, diagonal=float(np.hypot(*input_size)), top=top)
        steady = mean_of(deviation), mean_of(explained)
        pck = np.array([_share(found, places[:, [p]], node, within=within) for p, node in enumerate(best)])
        pure = _pure(found, places, reach=REACH * float(np.hypot(*input_size)), top=top)
        for landmark, measures in zip(landmarks.names, np.stack([*steady, pck, *pure[:, :-1]], 1), strict=True):
            yield images, landmark, measures
        yield images, "all", np.array([*map(float, map(mean_of, (*steady, pck))), *pure[:, -1]])


def _first(shares: Floats, means: Floats) -> int:
    """The node that is near on most images, of several the nearest on average; -1 where none was judged."""
    if not len(shares) or np.isnan(shares).any():
        return -1
    return int(np.lexsort((means, -shares))[0])


def _share(found: Found, landmark: Floats, node: int, *, within: float) -> float:
    """On how many images with the landmark (N, 1, 2) the node is near it."""
    return float(near(some(found, np.array([node])), landmark, within=within)[0][0, 0]) if node >= 0 else float("nan")


def _pure(found: Found, landmarks: Floats, *, reach: float, top: int) -> Floats:
    """(2, P + 1) mean purity and share of pure nodes, by the landmark that nodes are commonest at, and of all."""
    purity, part = purities(found, landmarks, reach=reach, top=top)
    parts = landmarks.shape[1]
    judged = int((~np.isnan(purity)).sum())
    if not judged:
        return np.full((2, parts + 1), np.nan)
    of = part[:, None] == np.arange(parts)
    means = mean_of(np.where(of, purity[:, None], np.nan))
    shares = (of & (purity >= PURE)[:, None]).sum(0) / judged
    return np.array([[*means, float(mean_of(purity))], [*shares, shares.sum()]])


def _notes(found: Mapping[str, Sequence[Patterns]], landmarks: Landmarks) -> tuple[str, ...]:
    """What limits the table."""
    notes = []
    if not len(landmarks.held_out):
        notes.append("No image was held out: every number is of images that the nodes were fitted to.")
    for images, places in ((TRAINING, landmarks.training), (HELD_OUT, landmarks.held_out)):
        counts = annotated(places).sum(0)
        if len(places) and counts.min() < FEW_ANNOTATED:
            least = f"{landmarks.names[counts.argmin()]} on {counts.min()} of {len(places)}"
            unjudged = ", too few to be judged" if counts.min() < FEWEST else ""
            notes.append(
                f"Few of the {images} images show every landmark, {least}{unjudged}: a deviation may be small by luck."
            )
    if not all(map(all_merged, by_layer(found).values())):
        notes.append("Nodes that coincide were not looked for everywhere, so that some places count several times.")
    return tuple(notes)
