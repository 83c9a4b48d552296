"""What the masks of a layer overlap when images carry the labels of others: how many detectors are luck."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interpkit.results._chance import Chance
from interpkit.results._judgement import Judgement
from interpkit.strangers import escape, html_table


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Shuffles(Judgement):
    """Best concepts of one layer's units, and the same K times with the labels of other images.

    In each shuffle an image takes, for every category annotated in it, the labels of another image in which the
    category is annotated; masks keep their sizes and places, label maps their shapes. The first shuffle is the one
    behind the dissection's chance level.

    Attributes
    ----------
    layer
        Name of the layer.
    concepts
        C rows: number, name, category.
    concept, iou
        (U, G) each unit's best concept of each category, as its row in ``concepts``, -1 where none overlaps; and its
        IoU, 0 where there is none.
    luck_concept, luck_iou
        (K, U, G) the same in each shuffle.
    images, skipped
        How many images were used, and the names of those left out because they could not be read.
    """

    @property
    def shuffles(self) -> int:
        """K, how often the labels were shuffled."""
        return len(self.luck_iou)

    def best(self) -> npt.NDArray[np.float64]:
        """(U,) the largest IoU of each unit."""
        best: npt.NDArray[np.float64] = self.iou.max(1, initial=0.0)
        return best

    def luck(self) -> npt.NDArray[np.float64]:
        """(K, U) the largest IoU of each unit in each shuffle."""
        luck: npt.NDArray[np.float64] = self.luck_iou.max(2, initial=0.0)
        return luck

    def at(self, shuffle: int) -> Chance:
        """The best concepts of one shuffle."""
        return Chance(self.luck_concept[shuffle], self.luck_iou[shuffle])

    def probability(self) -> npt.NDArray[np.float64]:
        """(U,) how probable so large an IoU is by luck: (1 + shuffles that reach the unit's IoU) / (1 + K)."""
        reached = (self.luck() >= self.best()).sum(0)
        found: npt.NDArray[np.float64] = (1 + reached) / (1 + self.shuffles)
        return found

    def rates(self, thresholds: npt.NDArray[np.float64]) -> pd.DataFrame:
        """How many detectors thresholds give, and how many of them luck accounts for.

        Parameters
        ----------
        thresholds
            (T,) IoU.

        Returns
        -------
        One row per threshold: ``iou``; ``detectors``; ``chance``, their mean number over the shuffles, ``lowest`` and
        ``highest``; ``rate``, the false-detector rate ``chance / detectors``, at most 1, NaN without a detector.
        """
        best, luck = self.best(), self.luck()
        rows = []
        for threshold in thresholds.tolist():
            found, lucky = int((best > threshold).sum()), (luck > threshold).sum(1)
            rows.append(
                {
                    "iou": threshold,
                    "detectors": found,
                    "chance": float(lucky.mean()),
                    "lowest": int(lucky.min()),
                    "highest": int(lucky.max()),
                    "rate": min(float(lucky.mean()) / found, 1.0) if found else float("nan"),
                }
            )
        return pd.DataFrame(rows)

    def table(self) -> pd.DataFrame:
        """One row per unit, 0-based: its best concept, IoU, largest IoU of all shuffles, and `probability`."""
        first = self.iou.argmax(1)
        rows = self.concept[np.arange(self.units), first]
        names, groups = [*self.concepts["name"], ""], [*self.concepts["category"], ""]
        return pd.DataFrame(
            {
                "unit": np.arange(self.units),
                "concept": [names[row] for row in rows],
                "category": [groups[row] for row in rows],
                "iou": self.best(),
                "largest_by_chance": self.luck().max(0),
                "probability": self.probability(),
            }
        )

    def summary(self) -> dict[str, Any]:
        """The false-detector rate at the run's threshold, and what it rests on."""
        at = self.rates(np.array([self.iou_threshold])).iloc[0]
        real = Chance(self.concept, self.iou).summary(self.iou_threshold)
        unique = [self.at(k).summary(self.iou_threshold)["unique_detectors_top_label"] for k in range(self.shuffles)]
        return {
            "layer": self.layer,
            "units": self.units,
            "images": self.images,
            "shuffles": self.shuffles,
            **real,
            "chance": {
                "detectors": float(at["chance"]),
                "range": [int(at["lowest"]), int(at["highest"])],
                "unique_detectors_top_label": float(np.mean(unique)),
            },
            "false_detector_rate": None if np.isnan(at["rate"]) else float(at["rate"]),
        }

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape that each array has, as that of ``luck_iou`` says."""
        shuffled = self.luck_iou.shape
        return {"luck_concept": shuffled, "concept": shuffled[1:], "iou": shuffled[1:]}

    def _repr_html_(self) -> str:
        """The false-detector rate and the clearest units, for notebooks: static, no network."""
        found = self.summary()
        head = (
            f"<p><b>{escape(self.provenance.model)}</b> {escape(self.layer)} on {escape(self.provenance.labels)}: "
            f"{found['detectors']:,} detectors, {found['chance']['detectors']:.3g} with labels shuffled "
            f"{self.shuffles} {'time' if self.shuffles == 1 else 'times'}</p>"
        )
        best = self.table().sort_values(["iou", "unit"], ascending=[False, True]).head(10)
        return head + html_table(best, numbers="{:.3g}")


OFFER = Shuffles
