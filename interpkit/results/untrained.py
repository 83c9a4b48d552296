"""What a layer of the same network detects before any training."""

from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interpkit.results._brief import Brief
from interpkit.results._chance import Chance
from interpkit.results._fit import check_shape
from interpkit.results._parts import Parts
from interpkit.results._provenance import Provenance

_ARRAYS = ("concept", "iou", "luck_concept", "luck_iou")


@dataclass(frozen=True, eq=False, repr=False)
class Untrained(Brief):
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

    layer: str
    concepts: pd.DataFrame
    categories: tuple[str, ...]
    concept: npt.NDArray[np.int64]
    iou: npt.NDArray[np.float64]
    luck_concept: npt.NDArray[np.int64]
    luck_iou: npt.NDArray[np.float64]
    images: int
    provenance: Provenance
    skipped: tuple[str, ...] = ()
    # Nothing of single images is kept.
    pictures = MappingProxyType[str, bytes]({})

    @property
    def units(self) -> int:
        """U, the number of units."""
        return len(self.iou)

    @property
    def iou_threshold(self) -> float:
        """A unit is a detector of a concept where its IoU is above this."""
        return float(self.provenance.options["iou"])

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

    @property
    def order(self) -> int:
        """Place of this layer among those of the same run."""
        layers = list(self.provenance.options.get("layers", [self.layer]))
        return layers.index(self.layer) if self.layer in layers else len(layers)

    def to_parts(self) -> Parts:
        """Everything, as plain values and arrays for storage."""
        about = {
            "layer": self.layer,
            "summary": self.summary(),
            "categories": list(self.categories),
            "concepts": self.concepts.to_dict(orient="list"),
            "images": self.images,
            "skipped": list(self.skipped),
            "provenance": self.provenance.to_dict(),
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        return Parts(about=about, arrays=arrays, tables={"units": self.table()})

    @classmethod
    def from_parts(cls, parts: Parts) -> "Untrained":
        """The inverse of ``to_parts``."""
        about, arrays = parts.about, parts.arrays
        units, groups = arrays["iou"].shape
        check_shape("categories", (len(about["categories"]),), (groups,))
        for name in _ARRAYS:
            check_shape(name, arrays[name].shape, (units, groups))
        return cls(
            layer=about["layer"],
            concepts=pd.DataFrame(about["concepts"], columns=["number", "name", "category"]),
            categories=tuple(about["categories"]),
            images=about["images"],
            skipped=tuple(about["skipped"]),
            provenance=Provenance.from_dict(about["provenance"]),
            **{name: arrays[name] for name in _ARRAYS},
        )

    def _repr_html_(self) -> str:
        """The counts, for notebooks: static, no network."""
        found = self.summary()
        return (
            f"<p><b>{escape(self.provenance.model)}</b>, untrained, {escape(self.layer)} on "
            f"{escape(self.provenance.labels)}: {found['detectors']:,} of {self.units:,} units detect a concept; "
            f"{found['unique_detectors_top_label']:,} unique detectors (top label).</p>"
        )


OFFER = Untrained
