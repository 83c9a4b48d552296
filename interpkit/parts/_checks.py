"""What can be wrong with the arguments of ``score_parts``, and which classes its images have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from interpkit.errors import InterpkitError, nearest
from interpkit.labels import LabelSet
from interpkit.running import ALIGNMENTS, COMMON
from interpkit.templates import MAX_CELLS, MIN_CELLS

# The arguments of score_parts() that decide its result; the others say where it runs and what it tells.
DECIDING = (
    "align",
    "top",
    "radius",
    *COMMON,
)


def check_options(options: Mapping[str, Any]) -> None:
    """Stop at a value that cannot be used.

    Raises
    ------
    InterpkitError
        One line with what was asked and what may be.
    """
    align = options["align"]
    if align not in ALIGNMENTS:
        close = ", ".join(nearest(align, ALIGNMENTS, count=1) or ALIGNMENTS)
        raise InterpkitError(f"no alignment {align!r}; there is {', '.join(ALIGNMENTS)}; nearest: {close}")
    if options["top"] < 2:
        raise InterpkitError(f"top must be at least 2, not {options['top']}: a deviation takes two images; paper: 100")
    if options["radius"] is not None and not 0 < options["radius"] < np.inf:
        raise InterpkitError(f"radius must be a positive number of input pixels, not {options['radius']:g}")
    if options["seed"] < 0:
        raise InterpkitError(f"seed must be at least 0, not {options['seed']}")


def check_maps(shapes: Mapping[str, tuple[int, int, int]]) -> None:
    """Stop at a layer whose maps (U, h, w) are too small to tell where a part is, or too large for its templates.

    Raises
    ------
    InterpkitError
        Naming the layer.
    """
    for layer, (_, h, w) in shapes.items():
        if h * w < MIN_CELLS:
            raise InterpkitError(
                f"layer {layer!r} gives maps of {h} x {w}: where a part is takes at least {MIN_CELLS} cells; "
                "choose a layer before the pooling"
            )
        if h * w > MAX_CELLS:
            raise InterpkitError(
                f"layer {layer!r} gives maps of {h} x {w}: a template for every cell is too much beyond {MAX_CELLS:,} "
                "cells; choose a later layer, or a smaller --size"
            )


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes of N images: names of K classes and (N, K) membership.

    A set without classes has one, '', that holds all images: it is then judged as a set of one category.
    """

    names: tuple[str, ...]
    member: npt.NDArray[np.bool_]

    @property
    def known(self) -> bool:
        """Whether the set has classes."""
        return self.names != ("",)


def classes_of(labels: LabelSet) -> Classes:
    """The classes of a label set's images, by name; images without a class belong to none."""
    table, images = labels.classes, labels.images["image"].tolist()
    if table is None or table.empty:
        return Classes(("",), np.ones((len(images), 1), np.bool_))
    names = sorted(set(table["class"]))
    row, column = ({name: i for i, name in enumerate(values)} for values in (images, names))
    member = np.zeros((len(images), len(names)), np.bool_)
    member[table["image"].map(row), table["class"].map(column)] = True
    return Classes(tuple(names), member)
