"""Network Dissection by its definition: every unit, image and label pixel in a loop, in float64, nothing sparse."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixel = tuple[int, int]
Maps = NDArray[np.float32]


class Labelled(Protocol):
    """What an image's labels say: concept number -> the pixels at which it holds; the categories annotated."""

    @property
    def pixels(self) -> Mapping[int, set[Pixel]]: ...

    @property
    def annotated(self) -> set[str]: ...


@dataclass
class Labels:
    """The labels of one image, written by hand."""

    pixels: dict[int, set[Pixel]] = field(default_factory=dict)
    annotated: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Geometry:
    """Input size (H, W), label grid (sh, sw), and where cell (0, 0) lies and the step between cells."""

    input_size: tuple[int, int]
    grid: tuple[int, int]
    start: tuple[float, float]
    stride: tuple[float, float]


@dataclass(frozen=True)
class Answer:
    """Everything of sections 1 to 4; dictionaries by unit, concept number and category name."""

    thresholds: NDArray[np.float32]
    silent: list[bool]
    dead: list[bool]
    masks: list[list[NDArray[np.bool_]]]  # image, unit
    doubtful: list[int]  # per unit, pixels so near the threshold that float32 may decide otherwise
    joint: dict[tuple[int, int], int]
    truth: dict[int, int]
    active: dict[tuple[int, str], int]
    everywhere: list[int]  # per unit, pixels on in all images
    iou: dict[tuple[int, int], float]


def thresholds_of(maps: Maps, quantile: float) -> NDArray[np.float32]:
    """The 1 - q quantile of all N h w activations of each unit."""
    found = []
    for unit in range(maps.shape[1]):
        values = [float(value) for image in maps for value in image[unit].ravel()]
        found.append(np.quantile(np.array(values), 1 - quantile))
    return np.array(found).astype(np.float32)


def cell_read(j: int, *, axis: int, geometry: Geometry, cells: int) -> float:
    """Where label pixel j is read on the map: p, then (p - c0) / stride, clamped to the first and last cell."""
    p = (j + 0.5) * geometry.input_size[axis] / geometry.grid[axis] - 0.5
    place = (p - geometry.start[axis]) / geometry.stride[axis]
    return min(max(place, 0.0), cells - 1.0)


def bilinear(cells: NDArray[np.float32], row: float, column: float) -> float:
    """The value between the four cells around a place on the map; of four equal cells exactly theirs."""
    top, left = math.floor(row), math.floor(column)
    bottom, right = min(top + 1, cells.shape[0] - 1), min(left + 1, cells.shape[1] - 1)
    down, across = row - top, column - left
    upper = float(cells[top, left]) + across * (float(cells[top, right]) - float(cells[top, left]))
    lower = float(cells[bottom, left]) + across * (float(cells[bottom, right]) - float(cells[bottom, left]))
    return upper + down * (lower - upper)


def resampled(cells: NDArray[np.float32], geometry: Geometry) -> NDArray[np.float64]:
    """(sh, sw) a unit's map (h, w), read at the centres of the label grid's pixels."""
    found = np.zeros(geometry.grid)
    for y in range(geometry.grid[0]):
        row = cell_read(y, axis=0, geometry=geometry, cells=cells.shape[0])
        for x in range(geometry.grid[1]):
            column = cell_read(x, axis=1, geometry=geometry, cells=cells.shape[1])
            found[y, x] = bilinear(cells, row, column)
    return found


def mask_of(surface: NDArray[np.float64], threshold: float, *, strict: bool) -> NDArray[np.bool_]:
    """S >= T; for a silent unit S > T."""
    on = np.zeros(surface.shape, bool)
    for place, value in np.ndenumerate(surface):
        on[place] = value > threshold if strict else value >= threshold
    return on


def dissected(
    maps: Maps,
    images: Sequence[Labelled],
    primary: Mapping[int, str],
    *,
    quantile: float,
    geometry: Geometry,
    rule: str = "annotated",
) -> Answer:
    """Sections 1 to 4 for maps (N, U, h, w); ``primary`` lists each concept number with its category."""
    units = maps.shape[1]
    thresholds = thresholds_of(maps, quantile)
    minimum = [float(maps[:, unit].min()) for unit in range(units)]
    silent = [float(thresholds[unit]) <= minimum[unit] for unit in range(units)]
    dead = [minimum[unit] == float(maps[:, unit].max()) for unit in range(units)]
    truth = {number: sum(len(image.pixels.get(number, ())) for image in images) for number in primary}
    joint = {(unit, number): 0 for unit in range(units) for number in primary}
    active = {(unit, category): 0 for unit in range(units) for category in set(primary.values())}
    everywhere, doubtful = [0] * units, [0] * units
    masks: list[list[NDArray[np.bool_]]] = []
    for n, image in enumerate(images):
        masks.append([])
        for unit in range(units):
            surface = resampled(maps[n, unit], geometry)
            threshold = float(thresholds[unit])
            mask = mask_of(surface, threshold, strict=silent[unit])
            masks[-1].append(mask)
            off = np.abs(surface - threshold)
            doubtful[unit] += int(((off > 0) & (off <= 1e-5 * np.abs(maps[:, unit]).max())).sum())
            everywhere[unit] += int(mask.sum())
            for number, pixels in image.pixels.items():
                joint[unit, number] += sum(bool(mask[place]) for place in pixels)
            for category in set(primary.values()):
                if category in image.annotated:
                    active[unit, category] += int(mask.sum())
    iou = {}
    for unit, number in joint:
        on = active[unit, primary[number]] if rule == "annotated" else everywhere[unit]
        union = on + truth[number] - joint[unit, number]
        iou[unit, number] = joint[unit, number] / union if union else math.nan
    return Answer(thresholds, silent, dead, masks, doubtful, joint, truth, active, everywhere, iou)


def best_of(answer: Answer, unit: int, numbers: Sequence[int]) -> tuple[int | None, float]:
    """The concept with the largest IoU among ``numbers``, the first of equals; None where nothing overlaps."""
    found: int | None = None
    value = 0.0
    for number in numbers:
        score = answer.iou[unit, number]
        if not math.isnan(score) and score > value:
            found, value = number, score
    return found, value


def unique_top_label(answer: Answer, primary: Mapping[int, str], line: float) -> dict[str, int]:
    """Distinct concepts per category that are the best of some unit, above the line."""
    found: dict[str, set[int]] = {category: set() for category in primary.values()}
    for unit in range(len(answer.thresholds)):
        number, score = best_of(answer, unit, sorted(primary))
        if number is not None and score > line:
            found[primary[number]].add(number)
    return {category: len(numbers) for category, numbers in found.items()}


def unique_every_category(answer: Answer, primary: Mapping[int, str], line: float) -> dict[str, int]:
    """Distinct concepts per category that are the best of their category for some unit, above the line."""
    found: dict[str, set[int]] = {category: set() for category in primary.values()}
    for unit in range(len(answer.thresholds)):
        for category in found:
            number, score = best_of(answer, unit, [n for n in sorted(primary) if primary[n] == category])
            if number is not None and score > line:
                found[category].add(number)
    return {category: len(numbers) for category, numbers in found.items()}
