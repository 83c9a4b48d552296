"""Classes as a table -> membership of every image, refused where a class could not be learnt from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpkit.errors import LabelSetError

if TYPE_CHECKING:
    from interpkit.labels.labelset import LabelSet

_FEWEST = 2


@dataclass(frozen=True, eq=False)
class Targets:
    """Which image is of which class.

    Attributes
    ----------
    names
        K class names, sorted.
    member
        (N, K) bool, images in the order of ``LabelSet.images``.
    multi
        Whether an image may be of several classes: one is, or the classes come from a table of 0 and 1.
    """

    names: tuple[str, ...]
    member: NDArray[np.bool_]
    multi: bool


def targets(labels: "LabelSet", told: frozenset[str] | None) -> Targets:
    """As ``LabelSet.targets``; ``told`` are the images of a table of 0 and 1."""
    if labels.classes is None:
        raise LabelSetError(
            f"label set {labels.name} ({labels.layout}) has no classes; put its images into one folder a class, "
            "at least two, or add classes.csv with columns image and class"
        )
    _refuse_unclassified(labels, told)
    code, names = pd.factorize(labels.classes["class"], sort=True)
    of, images = pd.factorize(labels.classes["image"])
    held = np.zeros((len(images) + 1, len(names)), np.bool_)
    held[of, code] = True
    # An image that the table does not hold has position -1, which is the last row: of no class.
    member = held[pd.Index(images).get_indexer(pd.Index(labels.images["image"]))]
    found = Targets(tuple(map(str, names)), member, told is not None or bool((member.sum(axis=1) > 1).any()))
    _refuse_few(labels, found)
    return found


def classified(labels: "LabelSet", told: frozenset[str] | None) -> NDArray[np.intp]:
    """Find the positions of the images whose classes are known: those in a table of 0 and 1, else those with a class.

    Raises
    ------
    LabelSetError
        If there is none.
    """
    known = told if told is not None else set() if labels.classes is None else set(labels.classes["image"])
    rows = np.flatnonzero(labels.images["image"].isin(known).to_numpy())
    if not rows.size:
        raise LabelSetError(f"label set {labels.name}: none of its {len(labels)} images has a class")
    return rows


def _refuse_unclassified(labels: "LabelSet", told: frozenset[str] | None) -> None:
    lost = np.ones(len(labels), np.bool_)
    lost[classified(labels, told)] = False
    if lost.any():
        first = labels.images["image"].iloc[int(lost.argmax())]
        raise LabelSetError(
            f"label set {labels.name}: {lost.sum()} of its {len(labels)} images have no class, the first {first}; give "
            "each one, or keep the others alone (LabelSet.classified)"
        )


def _refuse_few(labels: "LabelSet", found: Targets) -> None:
    if len(found.names) < _FEWEST:
        only = f"only one class, {found.names[0]!r}" if found.names else "no class that an image is of"
        raise LabelSetError(f"label set {labels.name} has {only}; it takes at least {_FEWEST} to tell them apart")
    images = found.member.sum(axis=0)
    few = np.flatnonzero(images < _FEWEST)
    if few.size:
        name = found.names[few[0]]
        image = labels.images["image"].iloc[int(found.member[:, few[0]].argmax())]
        more = f", as have {few.size - 1} more classes" if few.size > 1 else ""
        raise LabelSetError(
            f"label set {labels.name}: class {name!r} has only one image, {image}{more}; it takes at least {_FEWEST}"
        )
