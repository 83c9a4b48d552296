"""Maps of two layers with parts planted in them, whose places are known: what the explanatory graph is tested on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SIDE, TRAINING, IMAGES = 224, 120, 180
PARTS, UPPER, LOWER = 6, 8, 10


@dataclass(frozen=True, eq=False)
class Planted:
    """One layer: maps (I, D, n, n); where each filter's patterns are (D lists of (I, J, 2)), and whether (I, J)."""

    maps: Floats
    places: list[Floats]
    there: list[Bools]


@dataclass(frozen=True, eq=False)
class Scene:
    """Both layers, and the parts' places (I, 6, 2), row and column in pixels."""

    upper: Planted
    lower: Planted
    parts: Floats


def scene(seed: int, *, translation: float = 18.0, presence: float = 0.9) -> Scene:
    """Six parts on an object that moves and grows; 8 upper filters of 2 parts, 10 lower ones of 3 sub-patterns each."""
    rng = np.random.default_rng(seed)
    canonical = _apart(rng, PARTS, 32, lambda: rng.uniform(-56, 56, 2))
    of_upper = [rng.choice(PARTS, 2, replace=False) for _ in range(UPPER)]
    of_lower = [_patterns(rng, canonical) for _ in range(LOWER)]
    moved = np.clip(rng.normal(0, translation, (IMAGES, 1, 2)), -40, 40)
    scale = rng.uniform(0.85, 1.15, (IMAGES, 1, 1))
    parts = SIDE / 2 + moved + scale * canonical + rng.normal(0, 3, (IMAGES, PARTS, 2))
    above = [parts[:, which] for which in of_upper]
    below = [parts[:, which] + scale * offset + rng.normal(0, 2, (IMAGES, 3, 2)) for which, offset in of_lower]
    return Scene(
        _planted(rng, above, side=14, width=14.0, clutter=2, presence=presence),
        _planted(rng, below, side=28, width=8.0, clutter=3, presence=presence),
        parts,
    )


def _apart(rng, number, least, draw):
    while True:
        points = np.array([draw() for _ in range(number)])
        gaps = np.linalg.norm(points[:, None] - points, axis=-1)
        if gaps[np.triu_indices(number, 1)].min() >= least:
            return points


def _patterns(rng, canonical):
    while True:
        which, turn = rng.integers(0, PARTS, 3), rng.uniform(0, 2 * np.pi, 3)
        far = 24 * np.sqrt(rng.uniform(0, 1, 3))
        offset = np.stack([far * np.cos(turn), far * np.sin(turn)], 1)
        points = canonical[which] + offset
        gaps = np.linalg.norm(points[:, None] - points, axis=-1)
        if gaps[np.triu_indices(3, 1)].min() >= 28:
            return which, offset


def _planted(rng, places, *, side, width, clutter, presence):
    cells = SIDE / side * (np.arange(side) + 0.5) - 0.5
    maps = np.maximum(rng.normal(0, 0.05, (IMAGES, len(places), side, side)), 0)
    there = [rng.random(one.shape[:2]) < presence for one in places]
    for d, (one, here) in enumerate(zip(places, there, strict=True)):
        for i in range(IMAGES):
            bumps = [(point, rng.uniform(0.7, 1.3)) for point in one[i][here[i]]]
            bumps += [(rng.uniform(0, SIDE, 2), rng.uniform(0.5, 1.6)) for _ in range(rng.poisson(clutter))]
            for point, height in bumps:
                rows, columns = (np.exp(-((cells - at) ** 2) / (2 * width**2)) for at in point)
                maps[i, d] += height * rows[:, None] * columns
    return Planted(maps, places, there)


def scored(place: Floats, score: Floats, planted: Planted, *, parts: Floats, images: slice) -> dict[str, float]:
    """How well nodes (I, D, N) find what was planted: recovered, precision, cover, median error, instability, PCK."""
    found: dict[str, list[float]] = {"recovered": [], "precision": [], "cover": [], "error": [], "pck": []}
    for d, (where, here) in enumerate(zip(planted.places, planted.there, strict=True)):
        gap = np.linalg.norm(place[:, d, :, None] - where[images, None], axis=-1)
        median = np.median(gap, 0)
        best = median.argmin(0)
        found["recovered"] += list(median.min(0) < 16)
        found["error"] += list(median.min(0))
        found["pck"] += [float((gap[here[images][:, j], best[j], j] < 12).mean()) for j in range(len(best))]
        near = median[np.argsort(-score[:, d].sum(0))[: len(best)]] < 16
        found["precision"] += [float(near.any(1).mean())]
        found["cover"] += [float(near.any(0).mean())]
    flat = place.reshape(len(place), -1, 2)
    gap = np.linalg.norm(flat[:, :, None] - parts[images, None], axis=-1) / (SIDE * 2**0.5)
    numbers = {name: float(np.median(one) if name == "error" else np.mean(one)) for name, one in found.items()}
    return numbers | {"instability": float(gap.std(0, ddof=1).mean())}
