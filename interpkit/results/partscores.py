"""The result of score_parts(): how steadily and how part-like the units of a layer fire."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interpkit.results._brief import OfLayer
from interpkit.results._gallery import Gallery
from interpkit.results._measures import Association, Stability, TemplateScores
from interpkit.results._parts import Parts
from interpkit.results._provenance import Provenance
from interpkit.strangers import escape

Floats = npt.NDArray[np.float64]

_VALUES = ("layer", "images", "units")
_MEASURES: dict[str, type[Any]] = {"stability": Stability, "association": Association, "templates": TemplateScores}


@dataclass(frozen=True, eq=False, repr=False)
class PartScores(OfLayer):
    """Location instability, overlap with parts and template diagnostics of one layer (Zhang et al., CVPR 2018).

    Attributes
    ----------
    layer, units, images, skipped
        Name of the layer, U, N, and the names of the images that could not be read.
    map_size, input_size, placement
        (h, w), (H, W), and where cells lie, as in `Dissection`.
    stability
        How steady a unit's peak lies to landmarks; None for a set without landmarks.
    association
        How well a unit's fields overlap part masks; None for a set without part masks.
    templates
        How the unit's maps resemble the templates of a part; always there.
    gallery
        The steadiest units with their peaks.
    shown
        (E, 2) for the gallery's entries: the landmark, (row, column) as shares of the image; NaN for none.
    warnings
        What limits the numbers, a sentence each.
    """

    layer: str
    units: int
    images: int
    map_size: tuple[int, int]
    input_size: tuple[int, int]
    placement: tuple[tuple[float, float], tuple[float, float]]
    stability: Stability | None
    association: Association | None
    templates: TemplateScores
    gallery: Gallery
    shown: Floats
    provenance: Provenance
    warnings: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def summary(self) -> dict[str, Any]:
        """The headline, with what chance gives of each."""
        values: dict[str, Any] = {
            "verb": "parts",
            "layer": self.layer,
            "units": self.units,
            "images": self.images,
            "skipped": len(self.skipped),
            "templates": self.templates.summary(),
        }
        if self.stability is not None:
            values["stability"] = self.stability.summary()
        if self.association is not None:
            values["association"] = self.association.summary()
        return values

    def table(self) -> pd.DataFrame:
        """One row per unit, 0-based, in index order."""
        columns: dict[str, Any] = {"unit": np.arange(self.units)}
        for measure in (self.stability, self.association, self.templates):
            columns |= {} if measure is None else measure.columns()
        return pd.DataFrame(columns)

    def to_parts(self) -> Parts:
        """Everything, as plain values and arrays for storage."""
        measures = {name: getattr(self, name) for name in _MEASURES}
        about = {
            **{name: getattr(self, name) for name in _VALUES},
            "summary": self.summary(),
            "map_size": list(self.map_size),
            "input_size": list(self.input_size),
            "placement": [list(pair) for pair in self.placement],
            "warnings": list(self.warnings),
            "skipped": list(self.skipped),
            **{name: None if one is None else one.about() for name, one in measures.items()},
            "pictures": list(self.gallery.names),
            "provenance": self.provenance.to_dict(),
        }
        arrays: dict[str, Any] = {"shown": self.shown, **self.gallery.arrays()}
        for name, one in measures.items():
            arrays |= {} if one is None else one.arrays(name)
        return Parts(
            about=about,
            arrays=arrays,
            tables={"units": self.table()},
            documents={"gallery": self.gallery.document()},
            pictures=self.pictures,
        )

    @classmethod
    def from_parts(cls, parts: Parts) -> "PartScores":
        """The inverse of ``to_parts``."""
        about, arrays = parts.about, parts.arrays
        measures: dict[str, Any] = {
            name: None if about[name] is None else kind.restored(about[name], arrays, name)
            for name, kind in _MEASURES.items()
        }
        start, stride = about["placement"]
        result = cls(
            **{name: about[name] for name in _VALUES},
            **measures,
            map_size=tuple(about["map_size"]),
            input_size=tuple(about["input_size"]),
            placement=((start[0], start[1]), (stride[0], stride[1])),
            gallery=Gallery.restored(parts.documents["gallery"], arrays),
            shown=arrays["shown"],
            provenance=Provenance.from_dict(about["provenance"]),
            warnings=tuple(about["warnings"]),
            skipped=tuple(about["skipped"]),
            pictures=parts.pictures,
        )
        for name in _MEASURES:
            one = getattr(result, name)
            if one is not None:
                one.check_fit(result.units)
        if result.gallery.unit.max(initial=-1) >= result.units:
            raise ValueError(f"the gallery shows unit {result.gallery.unit.max()} of {result.units}")
        if result.shown.shape != (len(result.gallery.unit), 2):
            raise ValueError("the shown landmarks are not those of the gallery")
        return result

    def _repr_html_(self) -> str:
        """The headline, for notebooks: static, no network."""
        parts = [measure.words() for measure in (self.stability, self.association, self.templates) if measure]
        items = "".join(f"<li>{escape(text)}</li>" for text in parts)
        made = self.provenance
        return f"<p><b>{escape(made.model)}</b> {escape(self.layer)} on {escape(made.labels)}</p><ul>{items}</ul>"


OFFER = PartScores
