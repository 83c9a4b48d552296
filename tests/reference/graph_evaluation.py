"""What landmarks say of nodes, by the definitions: every node, image and landmark in a loop."""

import math
import statistics
from collections.abc import Sequence

from reference.location import steady

Point = tuple[float, float]


def known(point: Point) -> bool:
    """Whether a place is one."""
    return not math.isnan(point[0] + point[1])


def best_images(score: Sequence[float], usable: Sequence[int], top: int) -> list[int]:
    """Those with the highest scores; of equal ones the earlier."""
    return sorted((n for n in usable if score[n] > 0), key=lambda n: (-score[n], n))[:top]


def purity(
    position: Sequence[Point], score: Sequence[float], landmarks: Sequence[Sequence[Point]], *, reach: float, top: int
) -> tuple[float, int]:
    """Of one node: share of its best images on which the commonest landmark is nearest, and which that is."""
    usable = [n for n in range(len(score)) if known(position[n]) and any(map(known, landmarks[n]))]
    chosen = best_images(score, usable, top)
    nearest = []
    for n in chosen:
        away = [math.dist(position[n], mark) if known(mark) else math.inf for mark in landmarks[n]]
        if min(away) <= reach:
            nearest.append(away.index(min(away)))
    counts = [nearest.count(p) for p in range(len(landmarks[0]))]
    share = max(counts) / len(chosen) if len(chosen) >= 5 else math.nan
    return share, counts.index(max(counts)) if max(counts) else -1


def instability(
    position: Sequence[Point], score: Sequence[float], landmark: Sequence[Point], *, diagonal: float, top: int
) -> tuple[float, float]:
    """Of one node and landmark: deviation and explained share; NaN with fewer than five images."""
    usable = [n for n in range(len(score)) if known(position[n]) and known(landmark[n]) and score[n] > 0]
    if len(usable) < 5:
        return math.nan, math.nan
    found = steady(position, score, landmark, diagonal=diagonal, top=top)
    return found.deviation, found.explained


def share_near(position: Sequence[Point], score: Sequence[float], landmark: Sequence[Point], within: float) -> float:
    """Share of the images with the landmark on which a node is near it."""
    images = [n for n in range(len(score)) if known(landmark[n])]
    if len(images) < 5:
        return math.nan
    right = [known(position[n]) and score[n] > 0 and math.dist(position[n], landmark[n]) <= within for n in images]
    return sum(right) / len(images)


def mean_of(values: Sequence[float]) -> float:
    """Mean of what is not NaN."""
    there = [value for value in values if not math.isnan(value)]
    return statistics.fmean(there) if there else math.nan


def template(
    position: Sequence[Sequence[Point]], score: Sequence[Sequence[float]], landmark: Sequence[Point], *, side: float
) -> list[tuple[int, Point, float]]:
    """Filters by rank, with their ways to the landmark and their weights, from k images."""
    shots, ranked = len(landmark), []
    for f in range(len(score[0])):
        if min(score[n][f] for n in range(shots)) <= 0:
            continue
        ways = [[landmark[n][axis] - position[n][f][axis] for axis in (0, 1)] for n in range(shots)]
        way = (statistics.fmean(one[0] for one in ways), statistics.fmean(one[1] for one in ways))
        usual = side * 40 / 224
        square = sum(math.dist(one, way) ** 2 for one in ways) + 2 * usual**2
        weight = 1 / (square / (shots + 1) + (side * 10 / 224) ** 2)
        near = math.exp(-(way[0] ** 2 + way[1] ** 2) / (2 * (side * 70 / 224) ** 2))
        ranked.append((statistics.fmean(score[n][f] for n in range(shots)) * weight * near, f, way, weight))
    ranked.sort(key=lambda one: (-one[0], one[1]))
    return [(f, way, weight) for _, f, way, weight in ranked]
