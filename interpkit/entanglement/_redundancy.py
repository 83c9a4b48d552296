"""How the units of a layer resemble each other, and what a class looks like in them; bounded in memory."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Activations = npt.NDArray[np.floating]

# Values of a memory map that are looked at together, 8 MB in double precision: fewer stay in the processor's cache,
# more make the sum of (U, U) products worth their while.
CHUNK = 1 << 20
HIGH = 0.5


def correlation(pooled: Activations) -> Single:
    """Pearson correlation between units over images.

    Parameters
    ----------
    pooled
        (N, U) in memory or a memory map.

    Returns
    -------
    (U, U) symmetric, 1 on the diagonal; rows and columns of constant units are 0.
    """
    units = pooled.shape[1]
    constant = pooled.min(0) == pooled.max(0)
    mean = pooled.mean(0, dtype=np.float64)
    square = np.zeros(units)
    for rows in _rows(pooled):
        square += ((rows - mean) ** 2).sum(0)
    scale = np.zeros(units)
    np.divide(1, np.sqrt(square), out=scale, where=~constant & (square > 0))
    # Products in single precision, twice as fast; their sums in double, so that many images add no error.
    total = np.zeros((units, units))
    for rows in _rows(pooled):
        scaled = ((rows - mean) * scale).astype(np.float32)
        total += scaled.T @ scaled
    np.fill_diagonal(total, scale > 0)
    return np.clip(total, -1, 1).astype(np.float32)


def weight_cosine(weight: npt.NDArray[np.floating] | None) -> Floats | None:
    """Cosine between the weights of units.

    Parameters
    ----------
    weight
        (U, ...) the weights that make each unit; None for a layer without its own, or whose units see different
        inputs (grouped and depthwise convolutions), so that their weights cannot be compared.

    Returns
    -------
    (U, U) symmetric; rows and columns of units whose weights are all 0 are 0. None without weights.
    """
    if weight is None:
        return None
    rows = weight.reshape(len(weight), -1).astype(np.float64)
    rows /= np.maximum(np.abs(rows).max(1, keepdims=True, initial=0), np.finfo(np.float64).tiny)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0)
    cosine: Floats = np.clip(rows @ rows.T, -1, 1)
    return cosine


def redundancy(
    pairs: npt.NDArray[np.floating], cosine: npt.NDArray[np.floating] | None, owner: Ints
) -> dict[str, float]:
    """How alike units are, in absolute value, that the same class owns and that different classes own.

    Parameters
    ----------
    pairs, cosine
        (U, U) correlation of activations, and cosine of weights where there is one.
    owner
        (U,) class of each unit; -1 for none: such units are left out.

    Returns
    -------
    ``correlation_within`` and ``correlation_between``, the mean over pairs of different units;
    ``correlation_within_high`` and ``correlation_between_high``, the share of pairs above 0.5; the same with
    ``cosine`` where there is one. NaN where there is no such pair.
    """
    found: dict[str, float] = {}
    owned = np.flatnonzero(owner >= 0)
    first, second = np.triu_indices(len(owned), 1)
    same = owner[owned[first]] == owner[owned[second]]
    for name, matrix in {"correlation": pairs, "cosine": cosine}.items():
        if matrix is None:
            continue
        value = np.abs(matrix[owned[first], owned[second]])
        for where, chosen in {"within": value[same], "between": value[~same]}.items():
            some = len(chosen) > 0
            found[f"{name}_{where}"] = float(chosen.mean(dtype=np.float64)) if some else float("nan")
            found[f"{name}_{where}_high"] = float((chosen > HIGH).mean()) if some else float("nan")
    return found


def class_means(pooled: Activations, member: Bools) -> Floats:
    """Mean activation of each unit over the images of each class.

    Parameters
    ----------
    pooled
        (N, U) in memory or a memory map.
    member
        (N, K) whether an image is of a class, of one or of several.

    Returns
    -------
    (K, U); 0 for a class without images.
    """
    total = np.zeros((member.shape[1], pooled.shape[1]))
    done = 0
    for rows in _rows(pooled):
        _add_by_class(total, rows, member[done : done + len(rows)])
        done += len(rows)
    means: Floats = total / np.maximum(member.sum(0), 1)[:, None]
    return means


def mass(pooled: Activations, member: Bools, owner: Ints) -> Floats:
    """Where the activation of each class's images falls: on the units that which class owns.

    Units are scaled by their root mean square over all images; activation below 0 counts as none.

    Parameters
    ----------
    pooled
        (N, U) in memory or a memory map.
    member
        (N, K) whether an image is of a class; an image of several counts for each.
    owner
        (U,) class of each unit; -1 for none: such units count in the whole and for no class.

    Returns
    -------
    (K, K) share of an image's activation on the units of class j, mean over the images of class k; 0 for a class
    without images.
    """
    images, classes = member.shape
    square = np.zeros(pooled.shape[1])
    for rows in _rows(pooled):
        square += (np.maximum(rows, 0) ** 2).sum(0)
    scale = np.zeros(len(square))
    np.divide(1, np.sqrt(square / images), out=scale, where=square > 0)
    order = np.argsort(owner, kind="stable")
    present, starts = np.unique(owner[order], return_index=True)
    total = np.zeros((classes, classes))
    done = 0
    for rows in _rows(pooled):
        active = np.maximum(rows, 0)[:, order] * scale[order]
        share = np.zeros((len(rows), classes + 1))  # the last column, -1, is of units without an owner
        share[:, present] = np.add.reduceat(active, starts, axis=1)
        share /= active.sum(1, keepdims=True) + 1e-12
        _add_by_class(total, share[:, :classes], member[done : done + len(rows)])
        done += len(rows)
    shares: Floats = total / np.maximum(member.sum(0), 1)[:, None]
    return shares


def _rows(pooled: Activations) -> Iterator[Floats]:
    """Some rows (n, U) after the other, in double precision."""
    step = max(1, CHUNK // max(pooled.shape[1], 1))
    for first in range(0, len(pooled), step):
        yield pooled[first : first + step].astype(np.float64)


def _add_by_class(total: Floats, values: Floats, member: Bools) -> None:
    """Add values (n, X) of images with classes (n, K) to the classes' totals (K, X)."""
    image, category = np.nonzero(member)
    order = np.argsort(category, kind="stable")
    for some in np.array_split(order, -(-len(order) // max(len(values), 1)) or 1):
        present, starts = np.unique(category[some], return_index=True)
        if len(present):
            total[present] += np.add.reduceat(values[image[some]], starts, axis=0)
