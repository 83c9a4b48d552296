"""What a layer's units detect when they are turned, step by step, towards a random basis."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interpkit.results._chance import Chance
from interpkit.results._judgement import Judgement
from interpkit.strangers import escape, html_table

COUNTS = ("detectors", "unique_detectors_top_label", "unique_detectors_every_category")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Rotation(Judgement):
    """Best concepts of one layer with its maps a replaced by Q^alpha a (Bau et al. 2017, section 3.2).

    A alphas, R random rotations Q. At alpha 0, which needs no Q, all R entries are the same.

    Attributes
    ----------
    layer
        Name of the layer.
    concepts
        C rows: number, name, category.
    alphas
        (A,) float64, rising: how far the units were turned, 0 not at all, 1 the whole of Q.
    concept, iou
        (A, R, U, G) each turned unit's best concept of each category, as its row in ``concepts``, -1 where none
        overlaps; and its IoU, 0 where there is none.
    luck_concept, luck_iou
        (A, R, U, G) the same against the labels of other images: the chance level of each turn.
    images, skipped
        How many images were used, and the names of those left out because they could not be read.
    """

    alphas: npt.NDArray[np.float64]

    ARRAYS = ("alphas", *Judgement.ARRAYS)
    TABLE = "rotations"

    @property
    def rotations(self) -> int:
        """R, the number of random rotations."""
        return int(self.iou.shape[1])

    def at(self, alpha: int, rotation: int) -> Chance:
        """The best concepts at place ``alpha`` of ``alphas`` under one rotation."""
        return Chance(self.concept[alpha, rotation], self.iou[alpha, rotation])

    def luck_at(self, alpha: int, rotation: int) -> Chance:
        """The same against the labels of other images."""
        return Chance(self.luck_concept[alpha, rotation], self.luck_iou[alpha, rotation])

    def table(self) -> pd.DataFrame:
        """One row per alpha and rotation.

        Returns
        -------
        Columns alpha, rotation, detectors, unique_detectors_top_label, unique_detectors_every_category, and each of
        the three again as ``chance_...``, against the labels of other images.
        """
        rows = []
        for a, alpha in enumerate(self.alphas.tolist()):
            for r in range(self.rotations):
                luck = self.luck_at(a, r).summary(self.iou_threshold)
                row = {"alpha": alpha, "rotation": r, **self.at(a, r).summary(self.iou_threshold)}
                rows.append(row | {f"chance_{name}": value for name, value in luck.items()})
        return pd.DataFrame(rows)

    def summary(self) -> dict[str, Any]:
        """For each alpha the mean over the rotations of each count, its smallest and largest value, and chance."""
        steps = []
        for alpha, group in self.table().groupby("alpha", sort=True):
            steps.append(
                {
                    "alpha": float(alpha),  # type: ignore[arg-type]  # the key of one column is its value
                    **{name: float(group[name].mean()) for name in COUNTS},
                    "range": {name: [int(group[name].min()), int(group[name].max())] for name in COUNTS},
                    "chance": {name: float(group[f"chance_{name}"].mean()) for name in COUNTS},
                }
            )
        return {
            "layer": self.layer,
            "units": self.units,
            "images": self.images,
            "rotations": self.rotations,
            "alphas": steps,
        }

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape that each array has, as that of ``iou`` says."""
        steps, rotations, units, groups = self.iou.shape
        return {"alphas": (steps,), **dict.fromkeys(Judgement.ARRAYS, (steps, rotations, units, groups))}

    def _repr_html_(self) -> str:
        """The counts by alpha, for notebooks: static, no network."""
        head = (
            f"<p><b>{escape(self.provenance.model)}</b> {escape(self.layer)} on {escape(self.provenance.labels)}: "
            f"units turned towards {self.rotations} random {'basis' if self.rotations == 1 else 'bases'}</p>"
        )
        return head + html_table(self.table(), numbers="{:.3g}")


OFFER = Rotation
