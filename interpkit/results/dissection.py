"""The result of Network Dissection for one layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interpkit.counts import BlockCounts, Counts
from interpkit.errors import UnknownNameError
from interpkit.results._brief import OfLayer
from interpkit.results._chance import Chance
from interpkit.results._fit import check_fit
from interpkit.results._parts import Parts
from interpkit.results._provenance import Provenance
from interpkit.strangers import escape, html_table

_PER_UNIT = ("thresholds", "silent", "dead")
_COUNTS = ("index", "value", "truth", "active", "pixels", "category")
_TOP = ("image", "peak", "maps")
_CHANCE = ("concept", "iou")
UNIQUE_RULES = ("top-label", "every-category")


@dataclass(frozen=True, eq=False)
class TopImages:
    """The images on which each unit fires most, best first; equal peaks in the order of the label set.

    Attributes
    ----------
    names
        The images that occur, by their path in the label set.
    image
        (U, k) int32, position in ``names``; -1 where fewer than k images were seen.
    peak
        (U, k) float32, the unit's largest activation there; NaN where there is no image.
    maps
        (U, k, h, w) float32, the unit's map there.
    outlines
        U x k SVG path data: the outline of the unit's mask on the label grid, x from 0 to sw, y from 0 to sh; to be
        filled by the even-odd rule; empty where nothing is on.
    """

    names: tuple[str, ...]
    image: npt.NDArray[np.int32]
    peak: npt.NDArray[np.float32]
    maps: npt.NDArray[np.float32]
    outlines: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False, repr=False)
class Dissection(OfLayer):
    """Names for the units of one layer, with the counts they rest on (Bau et al. 2017).

    Attributes
    ----------
    layer
        Name of the layer.
    concepts
        C rows: number, name, category; categories in the label set's order in ``categories``.
    thresholds
        (U,) float32, the 1 - q quantile of all the unit's activations.
    silent
        (U,) bool, units that rest at their floor in more than 1 - q of all positions; their mask is > instead of >=.
    dead
        (U,) bool, units that never vary.
    blocks
        Integer counts, per block of images.
    scores
        Metric name -> (U, C) float64 under the run's category rule.
    top
        The unit's top images.
    images, skipped
        How many images were used, and the names of those left out because they could not be read.
    map_size, grid, input_size
        (h, w), (sh, sw), (H, W).
    placement
        Where cell (0, 0) lies and the step between cells, (rows, columns) in input pixels: ((c0, c0), (s, s)).
    pictures
        Name -> JPEG bytes of the images in ``top``.
    chance
        What the same masks find against other images' labels; None for a set without labels.
    """

    layer: str
    concepts: pd.DataFrame
    categories: tuple[str, ...]
    thresholds: npt.NDArray[np.float32]
    silent: npt.NDArray[np.bool_]
    dead: npt.NDArray[np.bool_]
    blocks: BlockCounts
    scores: Mapping[str, npt.NDArray[np.float64]]
    top: TopImages
    images: int
    map_size: tuple[int, int]
    grid: tuple[int, int]
    input_size: tuple[int, int]
    placement: tuple[tuple[float, float], tuple[float, float]]
    provenance: Provenance
    skipped: tuple[str, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    chance: Chance | None = None

    @property
    def units(self) -> int:
        """U, the number of units."""
        return len(self.thresholds)

    @property
    def counts(self) -> Counts:
        """The counts over all images."""
        return self.blocks.total()

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """(U, C) intersection over union."""
        return self.scores["iou"]

    @property
    def iou_threshold(self) -> float:
        """A unit is a detector of a concept where its IoU is above this."""
        return float(self.provenance.options["iou"])

    def best(self, category: str | None = None) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Each unit's best concept, of all or of one category.

        Returns
        -------
        (U,) row of ``concepts``, -1 where no concept overlaps the unit; (U,) its IoU, 0 where there is none.

        Raises
        ------
        UnknownNameError
            If there is no such category.
        """
        columns = np.arange(len(self.concepts))
        if category is not None:
            self._check_name("category", category, self.categories)
            columns = np.flatnonzero(self.concepts["category"].to_numpy() == category)
        if len(columns) == 0:
            return np.full(self.units, -1), np.zeros(self.units)
        scores = np.nan_to_num(self.iou[:, columns], nan=0.0)
        place = scores.argmax(1)
        value = scores[np.arange(self.units), place]
        return np.where(value > 0, columns[place], -1), value

    def detectors(self) -> npt.NDArray[np.bool_]:
        """(U,) True where the unit's best IoU is above the threshold."""
        return self.best()[1] > self.iou_threshold

    def unique(self, rule: str = "top-label") -> dict[str, int]:
        """Distinct concepts with a detector, per category.

        Parameters
        ----------
        rule
            ``top-label``: a unit counts for its best concept alone (the paper's text). ``every-category``: a unit
            counts in each category whose best concept is above the threshold (the published tables).

        Raises
        ------
        UnknownNameError
            If there is no such rule.
        """
        self._check_name("rule", rule, UNIQUE_RULES)
        if rule == "top-label":
            rows, value = self.best()
            found = self.concepts["category"].to_numpy()[np.unique(rows[value > self.iou_threshold])]
            return {category: int((found == category).sum()) for category in self.categories}
        per_category = {category: self.best(category) for category in self.categories}
        return {c: len(np.unique(rows[value > self.iou_threshold])) for c, (rows, value) in per_category.items()}

    def summary(self) -> dict[str, Any]:
        """The headline: units, detectors, unique detectors by both rules, per category; what luck gives of each."""
        rows, value = self.best()
        found = self.concepts["category"].to_numpy()[rows[value > self.iou_threshold]]
        top, every = self.unique("top-label"), self.unique("every-category")
        return {
            "layer": self.layer,
            "units": self.units,
            "images": self.images,
            "skipped": len(self.skipped),
            "detectors": int(self.detectors().sum()),
            "unique_detectors_top_label": sum(top.values()),
            "unique_detectors_every_category": sum(every.values()),
            "by_category": {
                c: {"detectors": int((found == c).sum()), "unique_top_label": top[c], "unique_every_category": every[c]}
                for c in self.categories
            },
            "silent": int(self.silent.sum()),
            "dead": int(self.dead.sum()),
            "chance": {} if self.chance is None else self.chance.summary(self.iou_threshold),
        }

    def table(self) -> pd.DataFrame:
        """One row per unit, 0-based, in index order: its best concept overall and per category.

        ``concept`` is the best concept also below the threshold; ``detector`` says whether it is above.
        """
        rows, value = self.best()
        columns: dict[str, Any] = {
            "unit": np.arange(self.units),
            "concept": self._column("name", rows),
            "category": self._column("category", rows),
            "iou": value,
            "detector": value > self.iou_threshold,
            "threshold": self.thresholds,
            "silent": self.silent,
            "dead": self.dead,
        }
        for category in self.categories:
            rows, value = self.best(category)
            columns |= {f"{category}_concept": self._column("name", rows), f"{category}_iou": value}
        columns["top_image"] = [self.top.names[i] if i >= 0 else "" for i in self.top.image[:, 0]]
        return pd.DataFrame(columns)

    @staticmethod
    def _check_name(what: str, name: str, have: Sequence[str]) -> None:
        if name not in have:
            raise UnknownNameError(f"no {what} {name!r}; there is {', '.join(have) or 'none'}")

    def _column(self, column: str, rows: npt.NDArray[np.int64]) -> list[str]:
        values = [*self.concepts[column], ""]
        return [values[row] for row in rows]

    def by_concept(self, rule: str = "top-label") -> pd.DataFrame:
        """The concepts that have a detector, with the units that detect them, by falling number of units.

        Parameters
        ----------
        rule
            As in `unique`: the rows of a category are as many as the unique detectors of that rule.

        Returns
        -------
        Columns number, name, category, count, units: the units (0-based) by falling IoU, as a tuple.
        """
        groups: list[str | None] = [None] if rule == "top-label" else list(self.categories)
        found: dict[int, list[int]] = {}
        for category in groups:
            rows, value = self.best(category)
            for unit in np.argsort(-value, kind="stable")[: int((value > self.iou_threshold).sum())]:
                found.setdefault(int(rows[unit]), []).append(int(unit))
        order = sorted(found, key=lambda row: (-len(found[row]), row))
        table = self.concepts.iloc[order].reset_index(drop=True)
        return table.assign(
            count=[len(found[row]) for row in order],
            units=pd.Series([tuple(found[row]) for row in order], dtype=object),
        )

    def distribution(self, *, step: float = 0.005) -> pd.DataFrame:
        """How many units reach which IoU with their best concept.

        Returns
        -------
        One row per bar of width ``step`` from 0 to the largest IoU: ``low``, its lower edge, and a column per category
        with the units whose best concept belongs to it. The last column, named by the empty string, counts the units
        that overlap no concept.
        """
        rows, value = self.best()
        place = np.floor(value / step + 1e-9).astype(np.int64)
        bars = int(place.max(initial=0)) + 1
        category = np.array([*self.concepts["category"], ""])[rows]
        columns = {c: np.bincount(place[category == c], minlength=bars) for c in [*self.categories, ""]}
        return pd.DataFrame({"low": np.arange(bars) * step, **columns})

    def reference_table(self) -> pd.DataFrame:
        """The table with the reference code's columns, as in the published results.

        ``unit`` is 1-based; rows by falling score; for each category, in the label set's order, its best label with
        truth, activation, intersection (pixels) and IoU. The best label stands there also below the threshold.
        """
        rows, value = self.best()
        columns: dict[str, Any] = {
            "unit": np.arange(1, self.units + 1),
            "category": self._column("category", rows),
            "label": self._column("name", rows),
            "score": value,
        }
        counts = self.counts.under(self.provenance.options["category_rule"])
        for category in self.categories:
            rows, value = self.best(category)
            columns |= {
                f"{category}-label": self._column("name", rows),
                f"{category}-truth": _at(counts.truth, rows),
                f"{category}-activation": _at(counts.state[1][:, counts.category], rows),
                f"{category}-intersect": _at(counts.joint[1], rows),
                f"{category}-iou": value,
            }
        table = pd.DataFrame(columns)
        return table.sort_values(["score", "unit"], ascending=[False, True], kind="stable", ignore_index=True)

    def to_parts(self) -> Parts:
        """Everything, as plain values and arrays for storage."""
        about = {
            "layer": self.layer,
            "summary": self.summary(),
            "categories": list(self.categories),
            "concepts": self.concepts.to_dict(orient="list"),
            "images": self.images,
            "skipped": list(self.skipped),
            "map_size": list(self.map_size),
            "grid": list(self.grid),
            "input_size": list(self.input_size),
            "placement": [list(pair) for pair in self.placement],
            "pictures": list(self.top.names),
            "provenance": self.provenance.to_dict(),
        }
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _PER_UNIT}
        arrays |= {f"counts.{name}": getattr(self.blocks, name) for name in _COUNTS}
        arrays |= {f"score.{name}": score for name, score in self.scores.items()}
        arrays |= {f"top.{name}": getattr(self.top, name) for name in _TOP}
        if self.chance is not None:
            arrays |= {f"chance.{name}": getattr(self.chance, name) for name in _CHANCE}
        return Parts(
            about=about,
            arrays=arrays,
            tables={"units": self.reference_table()},
            documents={"outlines": self.top.outlines},
            pictures=self.pictures,
        )

    @classmethod
    def from_parts(cls, parts: Parts) -> "Dissection":
        """The inverse of ``to_parts``."""
        about, arrays = parts.about, parts.arrays
        prefix = "score."
        top = TopImages(
            names=tuple(about["pictures"]),
            outlines=tuple(tuple(row) for row in parts.documents["outlines"]),
            **{name: arrays[f"top.{name}"] for name in _TOP},
        )
        result = cls(
            layer=about["layer"],
            concepts=pd.DataFrame(about["concepts"], columns=["number", "name", "category"]),
            categories=tuple(about["categories"]),
            blocks=BlockCounts(**{name: arrays[f"counts.{name}"] for name in _COUNTS}),
            scores={name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)},
            top=top,
            images=about["images"],
            skipped=tuple(about["skipped"]),
            map_size=tuple(about["map_size"]),
            grid=tuple(about["grid"]),
            input_size=tuple(about["input_size"]),
            placement=(_pair(about["placement"][0]), _pair(about["placement"][1])),
            provenance=Provenance.from_dict(about["provenance"]),
            pictures=parts.pictures,
            chance=Chance(*(arrays[f"chance.{name}"] for name in _CHANCE)) if "chance.iou" in arrays else None,
            **{name: arrays[name] for name in _PER_UNIT},
        )
        check_fit(result)
        return result

    def _repr_html_(self) -> str:
        """The headline and the ten best units, for notebooks: static, no network."""
        summary = self.summary()
        head = (
            f"<p><b>{escape(self.provenance.model)}</b> {escape(self.layer)} on {escape(self.provenance.labels)}: "
            f"{summary['detectors']:,} of {self.units:,} units detect a concept; "
            f"{summary['unique_detectors_top_label']:,} unique detectors (top label).</p>"
        )
        best = self.table().sort_values(["iou", "unit"], ascending=[False, True]).head(10)
        return head + html_table(best[["unit", "concept", "category", "iou"]])


def _at(values: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(U,) the entry of values (U, C) in each unit's row of ``concepts``, 0 where that is -1."""
    found = np.zeros(len(rows), np.int64)
    there = np.flatnonzero(rows >= 0)
    found[there] = values[there, rows[there]]
    return found


def _pair(values: Sequence[float]) -> tuple[float, float]:
    first, second = values
    return float(first), float(second)


OFFER = Dissection
