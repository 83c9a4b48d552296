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
        (P,) the combination of each pixel of the label grid.
    concepts
        (K,) rows of the concepts that occur, rising.
    member
        (Q, K) 1 where combination q carries concept k, else 0.
    truth
        (K,) pixels labelled with each concept.
    annotated
        (G,) bool, the categories annotated here.
    """

    combination: Ints
    concepts: Ints
    member: npt.NDArray[np.float32]
    truth: Ints
    annotated: npt.NDArray[np.bool_]


def fold(labels: ImageLabels, *, pixels: int) -> LabelledPixels:
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
        combination=code,
        concepts=concepts,
        member=member.astype(np.float32),
        truth=(sizes @ member).astype(np.int64),
        annotated=labels.annotated,
    )


def _compact(values: Ints) -> tuple[Ints, Ints]:
    """The distinct non-negative values, rising, and each entry's place among them."""
    present = np.bincount(values) > 0
    return np.flatnonzero(present), (np.cumsum(present) - 1)[values]


@dataclass(frozen=True, eq=False)
class OnPixels:
    """Every label pixel on which a unit of one image is on.

    Attributes
    ----------
    units
        (F,) units that are on somewhere, rising.
    area
        (F,) on how many pixels.
    owner, pixel
        (Z,) position in ``units`` and flat label pixel, of every pair of a unit and a pixel it is on at.
    """

    units: Ints
    area: Ints
    owner: Ints
    pixel: Ints


def on_pixels(squares: Squares, resampler: Resampler) -> OnPixels:
    """The pixels of all masks of an image."""
    starts = np.flatnonzero(np.diff(squares.unit, prepend=-1))
    inside = np.count_nonzero(squares.on, axis=1)
    area = np.add.reduceat(inside, starts) if len(starts) else inside
    there = area > 0
    return OnPixels(
        units=squares.unit[starts][there],
        area=area[there],
        owner=np.repeat(np.arange(there.sum()), area[there]),
        pixel=resampler.pixel[squares.place][squares.on],
    )


def count(on: OnPixels, labelled: LabelledPixels) -> Ints:
    """(F, K) pixels on which a unit is on and a concept is labelled, K as in ``labelled.concepts``."""
    size = len(labelled.member)
    shared = np.bincount(on.owner * size + labelled.combination[on.pixel], minlength=len(on.units) * size)
    # float32 is exact: no count exceeds the label grid's pixels, far below 2^24.
    joint = shared.reshape(len(on.units), size).astype(np.float32) @ labelled.member
    return joint.astype(np.int64)
