"""What a layer of the same network detects before any training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interpkit.results._chance import Chance
from interpkit.results._judgement import Judgement
from interpkit.strangers import escape


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Untrained(Judgement):
    """Best concepts of one layer's units with random weights in the whole network.

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
        (U, G) the same against the labels of other images.
    images, skipped
        How many images were used, and the names of those left out because they could not be read.
    """

    def table(self) -> pd.DataFrame:
        """One row per unit, 0-based: its best concept and IoU."""
        rows = self.concept[np.arange(self.units), self.iou.argmax(1)]
        names, groups = [*self.concepts["name"], ""], [*self.concepts["category"], ""]
        return pd.DataFrame(
            {
                "unit": np.arange(self.units),
                "concept": [names[row] for row in rows],
                "category": [groups[row] for row in rows],
                "iou": self.iou.max(1, initial=0.0),
            }
        )

    def summary(self) -> dict[str, Any]:
        """Detectors and unique detectors by both rules, and what luck gives of each."""
        return {
            "layer": self.layer,
            "units": self.units,
            "images": self.images,
            **Chance(self.concept, self.iou).summary(self.iou_threshold),
            "chance": Chance(self.luck_concept, self.luck_iou).summary(self.iou_threshold),
        }

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape that each array has, as that of ``iou`` says."""
        return dict.fromkeys(self.ARRAYS, (self.units, self.iou.shape[-1]))

    def _repr_html_(self) -> str:
        """The counts, for notebooks: static, no network."""
        found = self.summary()
        return (
            f"<p><b>{escape(self.provenance.model)}</b>, untrained, {escape(self.layer)} on "
            f"{escape(self.provenance.labels)}: {found['detectors']:,} of {self.units:,} units detect a concept; "
            f"{found['unique_detectors_top_label']:,} unique detectors (top label).</p>"
        )


OFFER = Untrained
