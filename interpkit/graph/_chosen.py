"""Which images a graph is fitted to: those of one class, and which of them are kept apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from interpkit.errors import InterpkitError, LabelSetError, UnknownNameError, nearest
from interpkit.labels import LabelSet

Ints = npt.NDArray[np.int64]

# Fewer images tell nothing of what moves together.
FEWEST = 10
MOST = 1000
SHARE = 0.75


def images_of(labels: LabelSet, options: Mapping[str, Any]) -> LabelSet:
    """The images that a graph with these options looks at."""
    mine, _ = of_class(labels.select(split=options["split"]), options["class_name"])
    return mine.select(limit=options["limit"])


def of_class(labels: LabelSet, class_name: str | None) -> tuple[LabelSet, str]:
    """The images of a class, and its name; all images, and '', of a set without classes.

    Raises
    ------
    InterpkitError
        If the set has several classes and none was named.
    UnknownNameError
        If there is no such class.
    """
    table = labels.classes
    names = [] if table is None else sorted(set(table["class"]))
    if class_name is None and len(names) > 1:
        shown = ", ".join(names[:12]) + (f", ... ({len(names)})" if len(names) > 12 else "")
        raise InterpkitError(f"a graph is of one class; name one of {labels.name}'s (--class): {shown}")
    if table is None or not names:
        if class_name is not None:
            raise UnknownNameError(f"no class {class_name!r}: label set {labels.name} has no classes; leave it out")
        return labels, ""
    name = names[0] if class_name is None else class_name
    if name not in names:
        close = ", ".join(nearest(name, names) or names[:3])
        raise UnknownNameError(f"label set {labels.name} has no class {name!r}; nearest: {close}")
    mine = set(table.loc[table["class"] == name, "image"])
    return labels.without(np.flatnonzero(~labels.images["image"].isin(mine)).tolist()), name


@dataclass(frozen=True, eq=False)
class Parted:
    """Rows of a label set, rising: those the graph is fitted to, and those it is judged on."""

    training: Ints
    held_out: Ints


def part(rows: Ints, *, of: int, train: int | None, seed: int) -> Parted:
    """Readable ``rows`` of ``of`` images in a training part, drawn by the seed, and the rest.

    Which images come first in the draw does not depend on which could be read.

    Raises
    ------
    LabelSetError
        If fewer than ten are left to train on.
    """
    number = wanted(len(rows), train)
    if number < FEWEST:
        raise LabelSetError(f"{number} images to fit a graph to; it takes at least {FEWEST}")
    order = np.random.default_rng(seed).permutation(of)
    drawn = order[np.isin(order, rows)]
    return Parted(np.sort(drawn[:number]), np.sort(drawn[number:]))


def wanted(images: int, train: int | None) -> int:
    """How many of so many images are trained on.

    Examples
    --------
    >>> wanted(130, None), wanted(12, None), wanted(5000, None), wanted(130, 100)
    (97, 10, 1000, 100)
    """
    if train is not None:
        return min(train, images)
    return min(max(int(SHARE * images), min(images, FEWEST)), MOST)


def check_number(labels: LabelSet, class_name: str, train: int | None) -> None:
    """Stop at a class with too few images, before the long run.

    Raises
    ------
    LabelSetError
        If there are fewer than ten, or fewer than asked for.
    """
    of = f" of class {class_name!r}" if class_name else ""
    if len(labels) < FEWEST:
        raise LabelSetError(f"label set {labels.name} has {len(labels)} images{of}; a graph takes at least {FEWEST}")
    if train is not None and train > len(labels):
        raise LabelSetError(
            f"{train} images to train on, but label set {labels.name} has {len(labels)}{of}; "
            f"default: {wanted(len(labels), None)}, with the rest held out"
        )
