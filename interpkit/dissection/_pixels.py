"""Counting where units and concepts meet on one image."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpkit.geometry import Resampler, Squares
from interpkit.labels import ImageLabels

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LabelledPixels:
    """The label maps of one image, folded into one: pixels with the same set of labels share a *combination*.

    One count per unit and combination then gives the counts of all concepts, however many label maps overlap.

    Attributes
    ----------
    combination
        (P + 1,) the combination of each pixel of the label grid; the last entry stands for "no pixel".
    concepts
        (K,) rows of the concepts that occur, rising.
    member
        (Q, K) 1 where combination q carries concept k, else 0.
    truth
        (K,) pixels labelled with each concept.
    annotated
        (G,) bool, the categories annotated here.
    partnered
        (G,) bool, the categories for which the labels of a partner stand beside.
    """

    combination: Ints
    concepts: Ints
    member: npt.NDArray[np.float64]
    truth: Ints
    annotated: npt.NDArray[np.bool_]
    partnered: npt.NDArray[np.bool_]


def fold(labels: ImageLabels, *, pixels: int, partnered: npt.NDArray[np.bool_] | None = None) -> LabelledPixels:
    """Fold the label maps of an image of ``pixels`` label pixels into combinations."""
    code = np.zeros(pixels, np.int64)
    table = np.zeros((1, 0), np.int64)  # (Q, maps so far): the concept rows of each combination, -1 none
    for layer in labels.layers.reshape(len(labels.layers), pixels):
        present, local = _compact(layer.astype(np.int64) + 1)
        pairs, code = _compact(code * len(present) + local)
        table = np.column_stack([table[pairs // len(present)], present[pairs % len(present)] - 1])
    concepts = np.unique(np.concatenate([table.ravel(), labels.whole]))
    concepts = concepts[concepts >= 0].astype(np.int64)
    member = (table[:, :, None] == concepts).any(1) | np.isin(concepts, labels.whole)
    sizes = np.bincount(code, minlength=len(table))
    return LabelledPixels(
        combination=np.append(code, 0),
        concepts=concepts,
        member=member.astype(np.float64),
        truth=(sizes @ member).astype(np.int64),
        annotated=labels.annotated,
        partnered=np.zeros_like(labels.annotated) if partnered is None else partnered,
    )


def _compact(values: Ints) -> tuple[Ints, Ints]:
    """The distinct non-negative values, rising, and each entry's place among them."""
    present = np.bincount(values) > 0
    return np.flatnonzero(present), (np.cumsum(present) - 1)[values]


def count(squares: Squares, resampler: Resampler, labelled: LabelledPixels) -> tuple[Ints, Ints, Ints]:
    """Pixels where a unit is on, per concept and in all.

    Returns
    -------
    (F,) units that are on somewhere, rising; (F, K) pixels on and labelled, K as in ``labelled.concepts``;
    (F,) pixels on.
    """
    units, local = np.unique(squares.unit, return_inverse=True)
    size = len(labelled.member)
    combinations = labelled.combination[resampler.pixel][squares.place][squares.on]
    owner = np.repeat(local * size, squares.on.sum(1))
    shared = np.bincount(owner + combinations, minlength=len(units) * size).reshape(len(units), size)
    return units, (shared @ labelled.member).astype(np.int64), shared.sum(1)
