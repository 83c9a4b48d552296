"""Location instability and part association by their definitions: every unit, image and pixel in a loop."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Point = tuple[float, float]


@dataclass(frozen=True)
class Steady:
    """Of one unit and one landmark; NaN where there are too few images."""

    images: list[int]
    deviation: float
    spread: float
    explained: float


def deviation_of(peaks: Sequence[Point], marks: Sequence[Point]) -> float:
    """Standard deviation of the distance from peak to landmark, in pixels."""
    return statistics.stdev(map(math.dist, peaks, marks)) if len(peaks) > 1 else math.nan


def steady(
    position: Sequence[Point], score: Sequence[float], landmark: Sequence[Point], *, diagonal: float, top: int
) -> Steady:
    """Of one unit, with one peak an image, and one landmark."""
    usable = [
        n
        for n in range(len(score))
        if score[n] > 0 and not math.isnan(sum(position[n])) and not math.isnan(sum(landmark[n]))
    ]
    chosen = sorted(usable, key=lambda n: (-score[n], n))[:top]
    peaks, marks = [position[n] for n in chosen], [landmark[n] for n in chosen]
    moved = sum(statistics.variance(axis) for axis in zip(*peaks, strict=True)) if len(chosen) > 1 else math.nan
    return Steady(
        images=chosen,
        deviation=deviation_of(peaks, marks) / diagonal,
        spread=math.sqrt(moved) / diagonal,
        explained=explained(peaks, marks),
    )


def explained(peaks: Sequence[Point], marks: Sequence[Point]) -> float:
    """Adjusted R squared of the landmark's two coordinates on the peak's, at least 0."""
    n = len(peaks)
    if n < 4:
        return math.nan
    y = np.array(marks)
    total = float(((y - y.mean(0)) ** 2).sum())
    if total < 1e-9:
        return math.nan
    design = np.column_stack([np.ones(n), np.array(peaks) - np.mean(peaks, axis=0)])
    fit, *_ = np.linalg.lstsq(design, y - y.mean(0), rcond=1e-8)
    rest = float(((y - y.mean(0) - design @ fit) ** 2).sum())
    return max(0.0, 1 - (rest / (n - 3)) / (total / (n - 1)))


def sight(
    active: Sequence[tuple[int, int]],
    *,
    start: Point,
    stride: Point,
    input_size: tuple[int, int],
    grid: tuple[int, int],
    radius: float,
) -> set[tuple[int, int]]:
    """Label pixels within ``radius`` of an active cell's centre, and those that hold such a centre."""
    seen = set()
    pixel = [size / cells for size, cells in zip(input_size, grid, strict=True)]
    for i in range(grid[0]):
        for j in range(grid[1]):
            here = [(place + 0.5) * side - 0.5 for place, side in zip((i, j), pixel, strict=True)]
            for cell in active:
                centre = [start[a] + cell[a] * stride[a] for a in (0, 1)]
                away = [abs(here[a] - centre[a]) for a in (0, 1)]
                if math.hypot(*away) <= radius or all(away[a] <= pixel[a] / 2 for a in (0, 1)):
                    seen.add((i, j))
    return seen


def overlap(seen: set[tuple[int, int]], part: set[tuple[int, int]]) -> tuple[int, int]:
    """Pixels in both, and in either."""
    return len(seen & part), len(seen | part)
