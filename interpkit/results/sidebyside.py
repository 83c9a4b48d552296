"""The result of side_by_side(): any number of networks, layers or published tables beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interpkit.errors import UnknownNameError
from interpkit.results._analyses import plain
from interpkit.results._brief import Brief
from interpkit.results._gallery import Gallery
from interpkit.results._parts import Parts
from interpkit.results._provenance import Provenance
from interpkit.results._sides import Movers, Numbers, SideColumn, SideMeasure
from interpkit.results.dissection import UNIQUE_RULES
from interpkit.strangers import escape, html_table

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SERIES = ("values", "floors", "low", "high", "changes", "changes_low", "changes_high")
_VALUES = ("layer", "rule", "iou_threshold", "axis_name", "images")
_LISTS = ("categories", "forced", "warnings", "skipped")


@dataclass(frozen=True, eq=False, repr=False)
class SideBySide(Brief):
    """Networks, layers, checkpoints or published tables beside each other, N columns.

    Attributes
    ----------
    layer
        The layer, where all columns have the same; else ``several layers``.
    columns
        In the order asked for; changes are against the first.
    measures
        In the order of reading; what only some columns have is NaN in the others.
    categories, concepts
        G categories; C rows of every concept that any column detects: name, category.
    detecting
        Rule of `Dissection.unique` -> (C, N) how many units detect each concept; -1 in a column whose labels do not
        have the concept's category, or that knows no concepts.
    rule
        The rule that the page shows first.
    iou
        (U_n,) of each column: the best IoU of its units; empty where it has none.
    iou_threshold
        A unit is a detector above this.
    axis, axis_name
        (N,) a number of each column where they stand in an order: layers, checkpoints, widths; empty without.
    equal, differs
        Settings that all share, and (setting, values of the columns) of those that differ.
    forced
        What differs although it must not if numbers are to compare; empty unless that was forced.
    movers
        The matched units that changed most; None unless two columns have matched units.
    """

    layer: str
    columns: tuple[SideColumn, ...]
    measures: tuple[SideMeasure, ...]
    categories: tuple[str, ...]
    concepts: pd.DataFrame
    detecting: Mapping[str, Ints]
    rule: str
    iou: tuple[Floats, ...]
    iou_threshold: float
    axis: Numbers
    axis_name: str
    equal: Mapping[str, str]
    differs: tuple[tuple[str, tuple[str, ...]], ...]
    forced: tuple[str, ...]
    movers: Movers | None
    provenance: Provenance
    warnings: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    images: int = 0
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Stop at parts that do not belong together.

        Raises
        ------
        ValueError
            Naming the first.
        """
        count = len(self.columns)
        for one in self.measures:
            if any(len(getattr(one, name)) != count for name in _SERIES):
                raise ValueError(f"{one.name} has not a number for each of {count} columns")
        for rule, held in self.detecting.items():
            if held.shape != (len(self.concepts), count):
                raise ValueError(f"detecting by {rule} has shape {held.shape}, not {(len(self.concepts), count)}")
        if len(self.iou) != count or len(self.axis) not in {0, count}:
            raise ValueError(f"there are {count} columns, but IoU of {len(self.iou)} and an axis of {len(self.axis)}")

    @property
    def order(self) -> int:
        """Place among the results of the same run: before the comparison of its two columns."""
        return -1

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns are called."""
        return tuple(one.name for one in self.columns)

    @property
    def units(self) -> int:
        """U of the widest column."""
        return max(one.units for one in self.columns)

    @property
    def sets(self) -> tuple[str, ...]:
        """The verbs whose numbers stand here; a published table's are those of a dissection."""
        verbs = [verb for one in self.columns for verb in one.verbs]
        return tuple(dict.fromkeys("dissect" if verb == "published" else verb for verb in verbs))

    def measure(self, name: str) -> SideMeasure:
        """The measure called ``name``.

        Raises
        ------
        UnknownNameError
            If there is none of that name; the message lists what there is.
        """
        for one in self.measures:
            if one.name == name:
                return one
        raise UnknownNameError(f"no measure {name!r} here; there is {', '.join(m.name for m in self.measures)}")

    def by_concept(self, rule: str | None = None) -> pd.DataFrame:
        """Every concept that a column detects by a rule: ``name``, ``category``, and (position) -> units of a column.

        Of two columns ``status`` says whether the concept is ``gained``, ``lost`` or ``kept`` from first to second,
        '' where one does not know its category. Rows by falling number of columns that detect it, then of units; -1
        for a column that does not know the category.

        Raises
        ------
        UnknownNameError
            If there is no such rule.
        """
        held = self._held(rule)
        units = np.maximum(held, 0)
        order = sorted(range(len(held)), key=lambda row: (-int((units[row] > 0).sum()), -int(units[row].sum()), row))
        order = [row for row in order if units[row].any()]
        table = self.concepts.iloc[order].reset_index(drop=True)
        table = table.assign(**{str(n): held[order, n] for n in range(len(self.columns))})
        if len(self.columns) == 2 and all(map(len, self.iou)):
            was, now = held[order].T > 0
            words = np.where(was & now, "kept", np.where(now, "gained", "lost"))
            table["status"] = np.where((held[order] < 0).any(1), "", words)
        return table

    def by_category(self) -> pd.DataFrame:
        """Detectors and unique detectors of each category and column, by both rules.

        Returns
        -------
        Columns rule, category, column (its position), detectors, unique. By ``every-category`` a unit counts in each
        category whose best concept it detects. A column has no rows of categories that its labels do not have.
        """
        category = self.concepts["category"].to_numpy()
        rows = [
            (rule, name, n, int(held[category == name, n].sum()), int((held[category == name, n] > 0).sum()))
            for rule, held in self.detecting.items()
            for name in self.categories
            for n in range(len(self.columns))
            if len(self.iou[n]) and not (held[category == name, n] < 0).any()
        ]
        return pd.DataFrame(rows, columns=["rule", "category", "column", "detectors", "unique"])

    def distribution(self, *, step: float = 0.01) -> pd.DataFrame:
        """How many units of each column reach which IoU with their best concept, on common bins.

        Returns
        -------
        One row per bin of width ``step``: ``low``, and (position) -> units of a column.
        """
        places = [np.floor(one / step + 1e-9).astype(np.int64) for one in self.iou]
        bars = max(int(one.max(initial=0)) for one in places) + 1
        held = {str(n): np.bincount(one, minlength=bars) for n, one in enumerate(places)}
        return pd.DataFrame({"low": np.arange(bars) * step, **held})

    def _held(self, rule: str | None) -> Ints:
        chosen = rule or self.rule
        if chosen not in self.detecting:
            raise UnknownNameError(f"no rule {chosen!r}; there is {', '.join(UNIQUE_RULES)}")
        return self.detecting[chosen]

    def summary(self) -> dict[str, Any]:
        """The headline: every measure of every column, with floors, intervals and changes."""
        return {
            "verb": "side-by-side",
            "layer": self.layer,
            "columns": [asdict(one) for one in self.columns],
            "rule": self.rule,
            "forced": list(self.forced),
            "measures": {
                one.name: {name: [plain(value) for value in getattr(one, name)] for name in _SERIES}
                | {"verdicts": [one.verdict(n) for n in range(1, len(self.columns))]}
                for one in self.measures
            },
        }

    def table(self) -> pd.DataFrame:
        """One row for each measure and column, in the order of reading."""
        rows = [
            {"name": one.name, "title": one.title, "column": self.columns[n].name}
            | {name: getattr(one, name)[n] for name in _SERIES}
            | {"floor": one.floor, "better": one.better, "unit": one.unit}
            for one in self.measures
            for n in range(len(self.columns))
        ]
        return pd.DataFrame(rows)

    def to_parts(self) -> Parts:
        """Everything, as plain values and arrays for storage."""
        about: dict[str, Any] = {
            **{name: getattr(self, name) for name in _VALUES},
            **{name: list(getattr(self, name)) for name in _LISTS},
            "summary": self.summary(),
            "columns": [asdict(one) for one in self.columns],
            "measures": [_stored(one) for one in self.measures],
            "concepts": self.concepts.to_dict(orient="list"),
            "axis": list(self.axis),
            "equal": dict(self.equal),
            "differs": [[name, list(values)] for name, values in self.differs],
            "provenance": self.provenance.to_dict(),
            "pictures": list(self.pictures),
        }
        arrays: dict[str, Any] = {f"detecting.{rule}": held for rule, held in self.detecting.items()}
        arrays |= {f"iou.{n}": values for n, values in enumerate(self.iou)}
        documents: dict[str, Any] = {}
        if self.movers is not None:
            arrays |= {"movers.units": self.movers.units, "movers.iou": self.movers.iou}
            about["moved"] = [list(names) for names in self.movers.concepts]
            for n, gallery in enumerate(self.movers.galleries):
                arrays |= {f"movers.{n}.{name}": value for name, value in gallery.arrays().items()}
                documents[f"gallery-{n + 1}"] = gallery.document()
        tables = {"measures": self.table(), "concepts": self._concept_table()}
        return Parts(about=about, arrays=arrays, tables=tables, documents=documents, pictures=self.pictures)

    def _concept_table(self) -> pd.DataFrame:
        names = {str(n): f"{n + 1} {name}" for n, name in enumerate(self.names)}
        tables = [self.by_concept(rule).rename(columns=names).assign(rule=rule) for rule in self.detecting]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["name", "category"])

    @classmethod
    def from_parts(cls, parts: Parts) -> "SideBySide":
        """The inverse of ``to_parts``."""
        about, arrays = parts.about, parts.arrays
        values: dict[str, Any] = {name: about[name] for name in _VALUES}
        values |= {name: tuple(about[name]) for name in _LISTS}
        rules = [name.removeprefix("detecting.") for name in arrays if name.startswith("detecting.")]
        return cls(
            **values,
            columns=tuple(SideColumn(**{**one, "verbs": tuple(one["verbs"])}) for one in about["columns"]),
            measures=tuple(_measure(one) for one in about["measures"]),
            concepts=pd.DataFrame(about["concepts"], columns=["name", "category"]),
            detecting={rule: arrays[f"detecting.{rule}"] for rule in rules},
            iou=tuple(arrays[f"iou.{n}"] for n in range(len(about["columns"]))),
            axis=tuple(about["axis"]),
            equal=about["equal"],
            differs=tuple((name, tuple(shown)) for name, shown in about["differs"]),
            movers=_movers(parts),
            provenance=Provenance.from_dict(about["provenance"]),
            pictures=parts.pictures,
        )

    def _repr_html_(self) -> str:
        """Measure by measure, for notebooks: static, no network."""
        cells = [(one.title, *(one.said(value) for value in one.values)) for one in self.measures]
        shown = html_table(pd.DataFrame(cells, columns=["", *self.names]))
        mark = f"<p>Forced: {escape('; '.join(self.forced))}.</p>" if self.forced else ""
        return f"<p><b>{escape(', '.join(self.names))}</b></p>{mark}{shown}"


def _stored(one: SideMeasure) -> dict[str, Any]:
    return {**asdict(one), **{name: [plain(value) for value in getattr(one, name)] for name in _SERIES}}


def _measure(values: Mapping[str, Any]) -> SideMeasure:
    return SideMeasure(**{**values, **{name: _numbers(values[name]) for name in _SERIES}})


def _numbers(values: Sequence[float | None]) -> Numbers:
    return tuple(float("nan") if value is None else float(value) for value in values)


def _movers(parts: Parts) -> Movers | None:
    """The units that changed most; None where none were stored."""
    if "moved" not in parts.about:
        return None
    galleries = []
    for n in range(2):
        start = f"movers.{n}."
        mine = {name.removeprefix(start): value for name, value in parts.arrays.items() if name.startswith(start)}
        galleries.append(Gallery.restored(parts.documents[f"gallery-{n + 1}"], mine))
    was, now = (tuple(names) for names in parts.about["moved"])
    units, iou = parts.arrays["movers.units"], parts.arrays["movers.iou"]
    return Movers(units, (was, now), iou, (galleries[0], galleries[1]))


OFFER = SideBySide
