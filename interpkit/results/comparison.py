"""The result of compare(): two networks, or one before and after, measure by measure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from interpkit.errors import UnknownNameError
from interpkit.results._analyses import plain
from interpkit.results._brief import Brief
from interpkit.results._gallery import Gallery
from interpkit.results._parts import Parts
from interpkit.results._provenance import Provenance
from interpkit.strangers import escape, html_table

Floats = npt.NDArray[np.float64]

_SIDES = ("before", "after")
_NUMBERS = ("before", "after", "floor_before", "floor_after")
# A difference of exactly what is allowed must not count by rounding.
_ROUNDING = 1e-9
_VALUES = ("layer", "units", "images")
_LISTS = ("columns", "pages", "warnings", "skipped")


@dataclass(frozen=True)
class Measure:
    """One number of both networks, each beside what chance gives.

    Attributes
    ----------
    name, title, group
        Key (``instability``), words for people, and under which heading it stands (``Accuracy``, ``Concepts``,
        ``Classes``, ``Parts``, ``Outputs``).
    before, after
        The numbers; NaN for none.
    floor_before, floor_after
        The same number by chance; NaN where chance has none.
    floor
        What that chance is, in a few words; empty for none.
    better
        Which way is more interpretable, or more accurate; ``neither`` where it is no merit.
    unit
        ``share``, ``nats``, ``count``, ``number``.
    words
        What the number says, a sentence.
    least
        What the difference must exceed to count, at least 0: one validation image, or two standard errors over units.
        Of units of one training each: how much another training would differ is not known.
    """

    name: str
    title: str
    group: str
    before: float
    after: float
    floor_before: float
    floor_after: float
    floor: str
    better: Literal["higher", "lower", "neither"]
    unit: Literal["share", "nats", "count", "number"]
    words: str
    least: float = 0.0

    @property
    def change(self) -> float:
        """After minus before."""
        return self.after - self.before

    @property
    def verdict(self) -> Literal["better", "worse", "same", "neither"]:
        """What the change means; ``same`` for one that is not above ``least``."""
        if self.better == "neither" or not np.isfinite(self.change):
            return "neither"
        if abs(self.change) <= self.least * (1 + _ROUNDING):
            return "same"
        return "better" if (self.change > 0) == (self.better == "higher") else "worse"

    @property
    def beyond(self) -> tuple[bool | None, bool | None]:
        """Whether the number before and that after are better than by chance; None where nothing can be said."""
        before, after = self._beyond(self.before, self.floor_before), self._beyond(self.after, self.floor_after)
        return before, after

    def _beyond(self, value: float, floor: float) -> bool | None:
        if self.better == "neither" or not np.isfinite(value - floor):
            return None
        return value > floor if self.better == "higher" else value < floor

    def said(self, value: float) -> str:
        """A value as people read it; ``none`` for NaN.

        Examples
        --------
        >>> one = Measure("accuracy", "", "", 0.5, 0.75, 0.25, 0.25, "", "higher", "share", "")
        >>> one.said(one.after), one.said_change(), one.said_floor()
        ('75.0%', '+25.0 points', '25.0%')
        """
        if not np.isfinite(value):
            return "none"
        return {"share": f"{value:.1%}", "count": f"{value:,.0f}"}.get(self.unit, f"{value:.3f}")

    def said_change(self) -> str:
        """The change with its sign; ``none`` where either number is missing."""
        change = self.change
        if not np.isfinite(change):
            return "none"
        return {"share": f"{100 * change:+.1f} points", "count": f"{change:+,.0f}"}.get(self.unit, f"{change:+.3f}")

    def said_verdict(self) -> str:
        """The verdict as people read it: ``about the same`` for a change too small to count, '' for no merit."""
        if self.verdict == "same":
            return "about the same" if self.change else "the same"
        return "" if self.verdict == "neither" else self.verdict

    def said_floor(self) -> str:
        """What chance gives: one number where both networks have the same, else both; '' for none."""
        before, after = self.said(self.floor_before), self.said(self.floor_after)
        if before == after == "none":
            return ""
        return before if before == after else f"{before} / {after}"


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Brief):
    """Two networks side by side.

    Attributes
    ----------
    layer, units
        The layer compared, U of each.
    columns
        What the two are called.
    measures
        In the order of reading.
    per_unit
        Measure -> (2, U) its value for every unit, where units have one; NaN for none.
    histories
        Column -> the training's history, column -> list of values by epoch; None for a network that was not trained.
    equal, differs
        Settings that both share, and (setting, before, after) of those that differ.
    sets
        Verb -> label set its numbers rest on, in words: ``dissect`` -> ``broden-mini, 416 images``.
    galleries
        The same units on the same images in either network; None without.
    pages
        Addresses of the two networks' own pages, relative to this result's run; empty without.
    """

    layer: str
    units: int
    columns: tuple[str, str]
    measures: tuple[Measure, ...]
    per_unit: Mapping[str, Floats]
    histories: tuple[Mapping[str, list[Any]] | None, Mapping[str, list[Any]] | None]
    equal: Mapping[str, str]
    differs: tuple[tuple[str, str, str], ...]
    sets: Mapping[str, str]
    galleries: tuple[Gallery, Gallery] | None
    pages: tuple[str, ...]
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
        for name, values in self.per_unit.items():
            if values.shape != (2, self.units):
                raise ValueError(f"{name} of every unit has shape {values.shape}, not {(2, self.units)}")
        if self.galleries is not None:
            before, after = self.galleries
            if before.names != after.names or (before.unit.tolist(), before.image.tolist()) != (
                after.unit.tolist(),
                after.image.tolist(),
            ):
                raise ValueError("the two galleries show different units or images")
            if before.unit.max(initial=-1) >= self.units:
                raise ValueError(f"the galleries show unit {before.unit.max()} of {self.units}")

    @property
    def order(self) -> int:
        """Place among the layers of the same run."""
        return 0

    def measure(self, name: str) -> Measure:
        """The measure called ``name``.

        Raises
        ------
        UnknownNameError
            If this comparison has none of that name; the message lists what it has.
        """
        for one in self.measures:
            if one.name == name:
                return one
        raise UnknownNameError(f"no measure {name!r} here; there is {', '.join(m.name for m in self.measures)}")

    def summary(self) -> dict[str, Any]:
        """The headline: every measure of both, beside its floor."""
        return {
            "verb": "compare",
            "layer": self.layer,
            "units": self.units,
            "images": self.images,
            "columns": list(self.columns),
            "sets": dict(self.sets),
            "measures": {
                one.name: {
                    **{name: plain(getattr(one, name)) for name in (*_NUMBERS, "change", "least")},
                    "floor": one.floor,
                    "better": one.better,
                    "verdict": one.verdict,
                    "beyond_floor": list(one.beyond),
                }
                for one in self.measures
            },
        }

    def table(self) -> pd.DataFrame:
        """One row a measure, in the order of reading."""
        names = ["name", "title", "group", *_NUMBERS, "change", "least", "floor", "better", "verdict", "unit"]
        return pd.DataFrame([{name: getattr(one, name) for name in names} for one in self.measures], columns=names)

    def unit_table(self) -> pd.DataFrame:
        """One row per unit, 0-based, in index order: each measure before and after."""
        columns: dict[str, Any] = {"unit": np.arange(self.units)}
        for name, values in self.per_unit.items():
            columns |= {f"{name}_before": values[0], f"{name}_after": values[1]}
        return pd.DataFrame(columns)

    def to_parts(self) -> Parts:
        """Everything, as plain values and arrays for storage."""
        about = {
            **{name: getattr(self, name) for name in _VALUES},
            "summary": self.summary(),
            "measures": [_stored(one) for one in self.measures],
            "per_unit": list(self.per_unit),
            **{name: list(getattr(self, name)) for name in _LISTS},
            "equal": dict(self.equal),
            "differs": [list(one) for one in self.differs],
            "sets": dict(self.sets),
            "pictures": [] if self.galleries is None else list(self.galleries[0].names),
            "provenance": self.provenance.to_dict(),
        }
        arrays: dict[str, Any] = {f"unit.{name}": values for name, values in self.per_unit.items()}
        documents: dict[str, Any] = {"curves": [None if one is None else _curves(one) for one in self.histories]}
        for side, gallery in zip(_SIDES, self.galleries or (), strict=False):
            arrays |= {f"{side}.{name}": value for name, value in gallery.arrays().items()}
            documents[f"gallery-{side}"] = gallery.document()
        return Parts(
            about=about,
            arrays=arrays,
            tables={"measures": self.table(), "units": self.unit_table()},
            documents=documents,
            pictures=self.pictures,
        )

    @classmethod
    def from_parts(cls, parts: Parts) -> "Comparison":
        """The inverse of ``to_parts``."""
        about, arrays = parts.about, parts.arrays
        before, after = (_read_curves(one) for one in parts.documents["curves"])
        values: dict[str, Any] = {name: about[name] for name in _VALUES}
        values |= {name: tuple(about[name]) for name in _LISTS}
        return cls(
            **values,
            measures=tuple(_measure(one) for one in about["measures"]),
            per_unit={name: arrays[f"unit.{name}"] for name in about["per_unit"]},
            histories=(before, after),
            equal=about["equal"],
            differs=tuple((name, first, second) for name, first, second in about["differs"]),
            sets=about["sets"],
            galleries=_galleries(parts),
            provenance=Provenance.from_dict(about["provenance"]),
            pictures=parts.pictures,
        )

    def _repr_html_(self) -> str:
        """Measure by measure, for notebooks: static, no network."""
        made = self.provenance
        cells = [
            (
                one.title,
                one.said(one.before),
                one.said(one.after),
                one.said_change(),
                one.said_floor(),
                one.said_verdict(),
            )
            for one in self.measures
        ]
        names = ["", *self.columns, "change", "by chance", "verdict"]
        shown = html_table(pd.DataFrame(cells, columns=names))
        head = f"{escape(made.model)} {escape(self.layer)} on {escape(made.labels)}: {self.images:,} images"
        return f"<p><b>{head}</b></p>{shown}"


def _stored(one: Measure) -> dict[str, Any]:
    return {name: plain(value) if name in _NUMBERS else value for name, value in asdict(one).items()}


def _measure(values: Mapping[str, Any]) -> Measure:
    numbers = {name: float("nan") if values[name] is None else float(values[name]) for name in _NUMBERS}
    return Measure(**{**values, **numbers})


def _curves(history: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """A history for JSON, which has neither NaN nor infinity."""
    return {name: [_finite(value) for value in values] for name, values in history.items()}


def _read_curves(history: Any) -> dict[str, list[Any]] | None:  # noqa: ANN401 - JSON
    """The inverse of ``_curves``.

    Raises
    ------
    ValueError
        If the curves are of different numbers of epochs, or one holds both numbers and something else.
    """
    if history is None:
        return None
    if len({len(values) for values in history.values()}) > 1:
        raise ValueError("the curves are of different numbers of epochs")
    for name, values in history.items():
        known = [value for value in values if value is not None]
        if not any(all(isinstance(value, kind) for value in known) for kind in (int | float, str)):
            raise ValueError(f"the curve {name} holds what is no number")
    return dict(history)


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _galleries(parts: Parts) -> tuple[Gallery, Gallery] | None:
    """Both galleries; None where none were stored."""
    if f"gallery-{_SIDES[0]}" not in parts.documents and not parts.about["pictures"]:
        return None
    found = []
    for side in _SIDES:
        mine = {n.removeprefix(f"{side}."): v for n, v in parts.arrays.items() if n.startswith(f"{side}.")}
        found.append(Gallery.restored(parts.documents[f"gallery-{side}"], mine))
    before, after = found
    return before, after


OFFER = Comparison
