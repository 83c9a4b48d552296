"""What the results that judge a dissection have in common."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from interpkit.results._brief import OfLayer
from interpkit.results._fit import check_shape
from interpkit.results._parts import Parts
from interpkit.results._provenance import Provenance


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Judgement(OfLayer, ABC):
    """Best concepts of one layer's units under some change, and against the labels of other images.

    Attributes
    ----------
    layer
        Name of the layer.
    concepts
        C rows: number, name, category.
    concept, iou
        (..., U, G) each unit's best concept of each category, as its row in ``concepts``, -1 where none overlaps; and
        its IoU, 0 where there is none.
    luck_concept, luck_iou
        (..., U, G) the same against the labels of other images.
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

    ARRAYS: ClassVar[tuple[str, ...]] = ("concept", "iou", "luck_concept", "luck_iou")
    # What the table that is written for people is called.
    TABLE: ClassVar[str] = "units"

    @property
    def units(self) -> int:
        """U, the number of units."""
        return int(self.iou.shape[-2])

    @property
    def iou_threshold(self) -> float:
        """A unit is a detector of a concept where its IoU is above this."""
        return float(self.provenance.options["iou"])

    @abstractmethod
    def table(self) -> pd.DataFrame:
        """The result as a table."""

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """The headline."""

    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape that each array has, as the others say."""

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
        arrays = {name: getattr(self, name) for name in self.ARRAYS}
        return Parts(about=about, arrays=arrays, tables={self.TABLE: self.table()})

    @classmethod
    def from_parts(cls, parts: Parts) -> Self:
        """The inverse of ``to_parts``.

        Raises
        ------
        ValueError
            If the parts do not fit each other.
        """
        about, arrays = parts.about, parts.arrays
        result = cls(
            layer=about["layer"],
            concepts=pd.DataFrame(about["concepts"], columns=["number", "name", "category"]),
            categories=tuple(about["categories"]),
            images=about["images"],
            skipped=tuple(about["skipped"]),
            provenance=Provenance.from_dict(about["provenance"]),
            **{name: arrays[name] for name in cls.ARRAYS},
        )
        check_shape("categories", (len(result.categories),), result.iou.shape[-1:])
        for name, shape in result.shapes().items():
            check_shape(name, getattr(result, name).shape, shape)
        return result
