"""What columns side by side are made of: the columns, their measures, and the units that changed most."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from interpkit.results._gallery import Gallery

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Numbers = tuple[float, ...]

# Below this three decimals would hold less than two digits.
_SMALL = 0.01


@dataclass(frozen=True)
class SideColumn:
    """One column: what it is called and where it comes from.

    Attributes
    ----------
    name, layer, model, labels
        As people read them; of a published table the layer and the label set are not known, ''.
    units, images
        U and N; 0 images of a published table.
    verbs
        What was measured of it.
    model_sha
        Hash of the weights, or of the published file.
    """

    name: str
    layer: str
    model: str
    labels: str
    units: int
    images: int
    verbs: tuple[str, ...]
    model_sha: str = ""


@dataclass(frozen=True)
class SideMeasure:
    """One number of every column (N of them here), with what chance gives and how sure it is.

    Attributes
    ----------
    name, title, group, floor, better, unit, words
        As of a `Measure`.
    values, floors
        (N,) the numbers, and what chance gives of each; NaN for none.
    low, high
        (N,) 95 % interval over images, a delete-a-block jackknife; NaN where no blocks are kept.
    changes, changes_low, changes_high
        (N,) value minus that of the first column, and the interval of that difference, block by block; NaN for the
        first.
    """

    name: str
    title: str
    group: str
    values: Numbers
    floors: Numbers
    low: Numbers
    high: Numbers
    changes: Numbers
    changes_low: Numbers
    changes_high: Numbers
    floor: str
    better: Literal["higher", "lower", "neither"]
    unit: Literal["share", "nats", "count", "number"]
    words: str

    def at_chance(self, n: int) -> bool:
        """Whether column ``n`` is no better than what chance gives of it."""
        apart = self.values[n] - self.floors[n]
        return self.better != "neither" and bool((apart <= 0) if self.better == "higher" else (apart >= 0))

    def verdict(self, n: int) -> Literal["better", "worse", "chance", "unclear", "neither"]:
        """What the change of column ``n`` means.

        ``unclear`` where its interval holds 0 or is not known; ``chance`` where it would be better, but chance gives
        the same.
        """
        low, high = self.changes_low[n], self.changes_high[n]
        if self.better == "neither":
            return "neither"
        if not (np.isfinite(low) and np.isfinite(high)) or low <= 0 <= high:
            return "unclear"
        if (low > 0) != (self.better == "higher"):
            return "worse"
        return "chance" if self.at_chance(n) else "better"

    def said(self, value: float) -> str:
        """A value as people read it; ``none`` for NaN."""
        if not np.isfinite(value):
            return "none"
        small = value and abs(value) < _SMALL
        return {"share": f"{value:.1%}", "count": f"{value:,.0f}"}.get(
            self.unit, f"{value:.2g}" if small else f"{value:.3f}"
        )


@dataclass(frozen=True, eq=False)
class Movers:
    """The matched units that changed most between two columns.

    Attributes
    ----------
    units
        (M,) their numbers, largest change of IoU first.
    concepts
        (2, M) the best concept of each in either column; '' for none.
    iou
        (2, M) its IoU.
    galleries
        The units on the images on which they fire most, in either column.
    """

    units: Ints
    concepts: tuple[tuple[str, ...], tuple[str, ...]]
    iou: Floats
    galleries: tuple[Gallery, Gallery]
