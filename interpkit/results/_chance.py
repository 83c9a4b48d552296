"""What the units of a layer would be called by luck: the same masks against the labels of other images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Chance:
    """Each unit's best concept a category when its masks are scored against other images' labels.

    For every image and every category annotated in it, the labels are those of another image in which the category
    is annotated too. Masks keep their sizes and places, label maps their shapes; only the pairing is broken. What
    passes a threshold then passes it by luck. It is one draw: another seed gives a somewhat different count.

    Attributes
    ----------
    concept
        (U, G) row of the concepts, -1 where no concept overlaps the unit.
    iou
        (U, G) its IoU, 0 where there is none.
    """

    concept: npt.NDArray[np.int64]
    iou: npt.NDArray[np.float64]

    def best(self) -> npt.NDArray[np.float64]:
        """(U,) the largest IoU of each unit."""
        best: npt.NDArray[np.float64] = self.iou.max(1, initial=0.0)
        return best

    def distribution(self, *, step: float, bars: int) -> npt.NDArray[np.int64]:
        """(bars,) units whose largest IoU lies in each stretch of width ``step``, the last one open upwards."""
        place = np.minimum(np.floor(self.best() / step + 1e-9).astype(np.int64), bars - 1)
        return np.bincount(place, minlength=bars)

    def summary(self, threshold: float) -> dict[str, int]:
        """How many detectors, and unique detectors by both rules, luck gives at a threshold."""
        if self.iou.shape[1] == 0:
            return {"detectors": 0, "unique_detectors_top_label": 0, "unique_detectors_every_category": 0}
        first = self.iou.argmax(1)
        over = self.best() > threshold
        top = self.concept[np.arange(len(first)), first][over]
        return {
            "detectors": int(over.sum()),
            "unique_detectors_top_label": len(np.unique(top)),
            "unique_detectors_every_category": sum(
                len(np.unique(self.concept[:, g][self.iou[:, g] > threshold])) for g in range(self.iou.shape[1])
            ),
        }


def best_of_each(scores: npt.NDArray[np.float64], category: npt.NDArray[np.int64], categories: Sequence[str]) -> Chance:
    """The best concept of each category from scores (U, C) of concepts of category (C,)."""
    units = len(scores)
    concept = np.full((units, len(categories)), -1, np.int64)
    value = np.zeros((units, len(categories)))
    for g in range(len(categories)):
        rows = np.flatnonzero(category == g)
        if len(rows):
            known = np.nan_to_num(scores[:, rows], nan=0.0)
            place = known.argmax(1)
            value[:, g] = known[np.arange(units), place]
            concept[:, g] = np.where(value[:, g] > 0, rows[place], -1)
    return Chance(concept, value)
