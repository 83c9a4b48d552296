"""How steadily a unit's peak keeps its distance from a landmark, and what chance gives. numpy only.

A peak is the cell with a unit's highest activation on an image, at the cell's centre on the network's input.
Source: Zhang, Wu and Zhu, "Interpretable Convolutional Neural Networks", CVPR 2018, section 5.2.2, by the rules of
the code they released. The baselines and what stands beside the deviation are additions: a unit that always fires at
one place has a low deviation too, without seeing anything.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TOP_IMAGES = 100
DRAWS = 200

# Ranks, or distances, taken at a time.
_BLOCK = 1 << 19
# Below this share of the larger one, a variance of the peak's two coordinates is rounding.
_FLAT = 1e-10
# Mean square, in pixels, below which a landmark's movement is rounding.
_STILL = 1e-12


def peak_positions(cell: Ints, score: npt.NDArray[np.floating], cells: Floats) -> Floats:
    """(N, U, 2) input pixels (row, column) of the peaks; NaN where the highest activation is not above 0.

    Parameters
    ----------
    cell
        (N, U) the highest cell by its index in the flattened map.
    score
        (N, U) the activation there. A map of zeros has its highest value in the first cell, which is no place.
    cells
        (h w, 2) where the cells' centres lie.
    """
    return np.where((score > 0)[..., None], cells[cell], np.nan)


@dataclass(frozen=True, eq=False)
class Instability:
    """How units keep their distance from landmarks.

    Attributes
    ----------
    deviation
        (U, P) standard deviation (N - 1) of the distance from peak to landmark, as a share of the input's diagonal;
        NaN with fewer than two images.
    explained
        (U, P) share of the landmark's variance over the same images, rows and columns together, that a linear fit on
        the peak's place explains: adjusted for its two regressors, at least 0. NaN with fewer than four images, and
        for a landmark that does not move.
    spread
        (U,) how far the peak itself moves over these images: the standard deviation of its place, rows and columns
        together, as a share of the diagonal; mean over the landmarks.
    used
        (P,) images in which the landmark is annotated, before a unit's highest peaks are chosen.
    """

    deviation: Floats
    explained: Floats
    spread: Floats
    used: Ints


def instability(
    position: Floats,
    score: npt.NDArray[np.floating],
    landmarks: Floats,
    *,
    diagonal: float,
    top: int = TOP_IMAGES,
) -> Instability:
    """How steadily each unit's peak keeps its distance from each landmark.

    For each landmark a unit is judged on the ``top`` images with its highest peaks, of those in which the landmark
    is annotated and the unit has a peak above 0; of equal peaks the earlier image comes first.

    Parameters
    ----------
    position
        (N, U, 2) input pixels (row, column) of the peaks; NaN where there is none.
    score
        (N, U) the activation there; a unit whose highest activation is not above 0 has no peak.
    landmarks
        (N, P, 2) input pixels; NaN where not annotated.
    diagonal
        Of the input, pixels.
    top
        Images a unit and landmark.
    """
    n, units = score.shape
    found = np.full((3, units, landmarks.shape[1]), np.nan)
    annotated: Bools = np.all(np.isfinite(landmarks), axis=2)
    step = max(1, _BLOCK // max(n, 1))
    for first in range(0, units, step):
        part = slice(first, first + step)
        has: Bools = np.logical_and(score[:, part] > 0, np.isfinite(position[:, part]).all(2)).T
        rank = _ranks(score[:, part].T, has)
        for p in range(landmarks.shape[1]):
            chosen = _lowest(rank, np.flatnonzero(annotated[:, p]), top)
            valid = np.take_along_axis(has, chosen, axis=1)
            peak = position[chosen, first + np.arange(len(chosen))[:, None]]
            found[:, part, p] = _steadiness(peak, landmarks[chosen, p], valid)
    deviation, spread, explained = found
    return Instability(
        deviation=deviation / diagonal, explained=explained, spread=_mean(spread) / diagonal, used=annotated.sum(0)
    )


def _ranks(score: npt.NDArray[np.floating], has: Bools) -> Ints:
    """(u, N) place of each image in the order of a unit's peaks, highest first, those without a peak last."""
    order = np.argsort(np.where(has, -score, np.inf), axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(order.shape[1])[None], axis=1)
    return rank


def _lowest(rank: Ints, rows: Ints, count: int) -> Ints:
    """(u, at most count) those of ``rows`` with the lowest rank, in rising order of row."""
    if len(rows) <= count:
        return np.broadcast_to(rows, (len(rank), len(rows)))
    places = np.argpartition(rank[:, rows], count - 1, axis=1)[:, :count]
    lowest: Ints = rows[np.sort(places, axis=1)]
    return lowest


def _steadiness(peak: Floats, landmark: Floats, valid: Bools) -> Floats:
    """(3, u) deviation, spread in pixels and explained share, of places (u, t, 2) where ``valid`` (u, t)."""
    count = valid.sum(1)
    distance = _centred(np.sqrt(((peak - landmark) ** 2).sum(2))[..., None], valid)
    x, y = _centred(peak, valid), _centred(landmark, valid)
    spare = np.where(count > 1, count - 1, np.nan)
    deviation = np.sqrt((distance**2).sum((1, 2)) / spare)
    spread = np.sqrt((x**2).sum((1, 2)) / spare)
    return np.stack([deviation, spread, _explained(x, y, count)])


def _centred(values: Floats, valid: Bools) -> Floats:
    """Values (u, t, d) less their mean over the valid ones; 0 elsewhere."""
    kept = np.where(valid[..., None], values, 0)
    mean = kept.sum(1, keepdims=True) / np.maximum(valid.sum(1), 1)[:, None, None]
    return np.where(valid[..., None], kept - mean, 0)


def _explained(x: Floats, y: Floats, count: Ints) -> Floats:
    """(u,) adjusted share of the variance of y that a linear fit on x explains, both centred (u, t, 2)."""
    across = x.transpose(0, 2, 1)
    joint = across @ y
    fitted = (joint * (np.linalg.pinv(across @ x, rcond=_FLAT, hermitian=True) @ joint)).sum((1, 2))
    total = (y**2).sum((1, 2))
    usable = (count > 3) & (total > _STILL * count)
    rest = 1 - fitted / np.where(usable, total, np.nan)
    adjusted: Floats = 1 - rest * (count - 1) / np.where(usable, count - 3, np.nan)
    return np.maximum(adjusted, 0)


@dataclass(frozen=True, eq=False)
class Baselines:
    """The deviation of units that see nothing; NaN where a landmark has fewer than two images.

    Attributes
    ----------
    random
        (D, P) units that peak at random cells with random heights.
    centre
        (P,) a unit that always peaks in the middle of the map.
    constant
        (h w, P) a unit that always peaks in one cell, for each cell.
    """

    random: Floats
    centre: Floats
    constant: Floats


def baselines(
    landmarks: Floats,
    cells: Floats,
    *,
    diagonal: float,
    top: int = TOP_IMAGES,
    seed: int,
    draws: int = DRAWS,
) -> Baselines:
    """What chance gives on these landmarks.

    The random units are judged like any other. The constant ones have no highest peaks: they are judged on all
    images in which the landmark is annotated.

    Parameters
    ----------
    landmarks
        (N, P, 2) input pixels; NaN where not annotated.
    cells
        (h w, 2) where the cells' centres lie.
    diagonal
        Of the input, pixels.
    top
        As in `instability`.
    seed
        Of the draws.
    draws
        Random units.
    """
    rng = np.random.default_rng(seed)
    shape = len(landmarks), draws
    position = cells[rng.integers(len(cells), size=shape)]
    drawn = instability(position, 1 - rng.random(shape), landmarks, diagonal=diagonal, top=top)
    fixed = np.stack([_deviations(cells, landmarks[:, p]) for p in range(landmarks.shape[1])], axis=1)
    middle = np.concatenate([_deviations(cells.mean(0)[None], landmarks[:, p]) for p in range(landmarks.shape[1])])
    return Baselines(random=drawn.deviation, centre=middle / diagonal, constant=fixed / diagonal)


def _deviations(points: Floats, landmark: Floats) -> Floats:
    """(Q,) standard deviation, in pixels, of the distance from each of the points (Q, 2) to a landmark (N, 2)."""
    seen = landmark[np.isfinite(landmark).all(1)]
    found = np.full(len(points), np.nan)
    if len(seen) < 2:
        return found
    step = max(1, _BLOCK // len(seen))
    for first in range(0, len(points), step):
        away = points[first : first + step, None] - seen
        found[first : first + step] = np.sqrt((away**2).sum(2)).std(1, ddof=1)
    return found


def _mean(values: Floats) -> Floats:
    """(U,) mean of values (U, P) that are not NaN; NaN where none is."""
    seen = ~np.isnan(values)
    count = seen.sum(1)
    mean: Floats = np.where(seen, values, 0).sum(1) / np.where(count > 0, count, np.nan)
    return mean
