"""Any number of results beside each other: one result."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from interpkit.comparison import _columns
from interpkit.comparison._columns import Column
from interpkit.comparison._comparable import check, settings
from interpkit.comparison._compare import compare
from interpkit.comparison._estimates import KNOWN, Estimate, estimates, published
from interpkit.comparison._jackknife import interval
from interpkit.comparison._measures import MEASURERS
from interpkit.comparison._movers import akin, movers
from interpkit.errors import ResultError, UnknownNameError
from interpkit.results import PAPERS_IOU as _PAPERS_IOU
from interpkit.results import (
    UNIQUE_RULES,
    Comparison,
    ExplanatoryGraph,
    Movers,
    Provenance,
    PublishedTable,
    SideBySide,
    SideMeasure,
    units_by_concept,
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Match = Literal["auto", "yes", "no"]

_NAN = float("nan")
SEVERAL = "several layers"
VERB = "side-by-side"


def side_by_side(
    given: Sequence[PublishedTable | Sequence[Any]],
    *,
    names: Sequence[str] = (),
    sources: Sequence[str] = (),
    rule: str = "top-label",
    match: Match = "auto",
    force: bool = False,
    command: str = "",
) -> tuple[SideBySide, Comparison | None]:
    """Set networks, layers, checkpoints or published tables beside each other.

    Parameters
    ----------
    given
        One entry each: the results of a run, as `load_run` reads them, or a published table. A run of several layers
        gives a column for each.
    names
        What the columns are called; default: what tells them apart, the networks, the layers or ``sources``. Names that
        differ in one number put the columns in an order, over which curves are drawn.
    sources
        What each entry came from, such as the names of the folders.
    rule
        Which rule of `Dissection.unique` the page shows first; both are kept.
    match
        Whether unit u of the first of two columns is unit u of the second, as before and after a training: ``auto`` if
        the layers have one name and equally many units, and the networks one name or their units' top images fit.
    force
        Set side by side what does not compare; the result says so.
    command
        The command line that repeats it.

    Returns
    -------
    The columns side by side, and of two with matched units their `Comparison` as well.

    Raises
    ------
    ResultError
        If there are fewer than two columns, nothing was measured of two of them, or they do not compare: other label
        sets, category rules, quantiles or alignments, other images or classes for mutual information.
    UnknownNameError
        If there is no such rule.
    """
    if rule not in UNIQUE_RULES:
        raise UnknownNameError(f"no rule {rule!r}; there is {', '.join(UNIQUE_RULES)}")
    sources = sources or [""] * len(given)
    found = [
        one for part, source in zip(given, sources, strict=True) for one in _columns.columns_of(part, source=source)
    ]
    columns = _columns.named(found, names)
    forced = check(columns, force=force)
    made = _provenance(columns, {"names": list(names), "rule": rule, "match": match, "force": force}, command)
    pair = _pair(columns, match, comparable=not forced)
    both = None if pair is None else compare(pair[0].results, pair[1].results, names=(pair[0].name, pair[1].name))
    if both is not None:
        both = replace(both, provenance=_of_the_same(both.provenance, made))
    return _beside(columns, rule=rule, forced=forced, moved=movers(pair) if pair else None, made=made), both


def _beside(
    columns: Sequence[Column], *, rule: str, forced: tuple[str, ...], moved: Movers | None, made: Provenance
) -> SideBySide:
    threshold = _threshold(columns)
    concepts, detecting = _detecting(columns, threshold)
    measures = _measures(columns, threshold)
    if not measures:
        raise ResultError(f"nothing is measured alike of two of {', '.join(one.name for one in columns)}")
    equal, differs = settings(columns)
    axis, axis_name = _columns.axis_of(columns) if len(columns) > 2 else ((), "")
    layers = list(dict.fromkeys(one.layer for one in columns if one.results))
    rows = [one.rows() for one in columns]
    shown = dict.fromkeys(name for one in (moved.galleries if moved else ()) for name in one.names)
    pictures = {n: b for one in reversed(columns) if one.dissection for n, b in _some(one.dissection.pictures, shown)}
    return SideBySide(
        layer=layers[0] if len(layers) == 1 else SEVERAL,
        columns=tuple(one.about() for one in columns),
        measures=tuple(measures),
        categories=tuple(dict.fromkeys(name for one in columns for name in one.categories)),
        concepts=concepts,
        detecting=detecting,
        rule=rule,
        iou=tuple(np.zeros(0) if one is None else one["iou"].to_numpy(np.float64) for one in rows),
        iou_threshold=threshold,
        axis=axis,
        axis_name=axis_name,
        equal=equal,
        differs=differs,
        forced=forced,
        movers=moved,
        provenance=made,
        warnings=tuple(_warnings(columns, matched=moved is not None)),
        skipped=tuple(dict.fromkeys(name for one in columns for result in one.results for name in result.skipped)),
        images=max(one.about().images for one in columns),
        pictures=pictures,
    )


def _some(pictures: Any, names: dict[str, None]) -> list[tuple[str, bytes]]:  # noqa: ANN401 - a mapping that may read files
    return [(name, pictures[name]) for name in names if name in pictures]


def _threshold(columns: Sequence[Column]) -> float:
    """The runs' own threshold, which then serves published tables too; the paper's without runs."""
    return next((one.dissection.iou_threshold for one in columns if one.dissection is not None), _PAPERS_IOU)


def _detecting(columns: Sequence[Column], threshold: float) -> tuple[pd.DataFrame, dict[str, Ints]]:
    """Every concept that a column detects by either rule, and how many units of each column do.

    A run counts above its own threshold, as its measures do, should the runs' be forced together; -1 where the column
    does not know the concept's category.
    """
    found: dict[str, list[dict[tuple[str, str], int]]] = {}
    for rule in UNIQUE_RULES:
        found[rule] = []
        for one in columns:
            rows = one.rows()
            least = threshold if one.dissection is None else one.dissection.iou_threshold
            held = {} if rows is None else units_by_concept(rows, one.categories, rule=rule, threshold=least)
            found[rule].append(held)
    order = list(dict.fromkeys(name for one in columns for name in one.categories))
    every = sorted(
        {key for row in found.values() for held in row for key in held}, key=lambda k: (order.index(k[0]), k[1])
    )
    table = pd.DataFrame([(name, category) for category, name in every], columns=["name", "category"])
    known = [set(one.categories) for one in columns]
    units = {
        rule: np.array(
            [[one.get(key, 0) if key[0] in known[n] else -1 for n, one in enumerate(row)] for key in every], np.int64
        )
        for rule, row in found.items()
    }
    return table, {rule: values.reshape(len(every), len(columns)) for rule, values in units.items()}


def _measures(columns: Sequence[Column], threshold: float) -> list[SideMeasure]:
    """Every measure that two columns have, in the order of reading."""
    sides: list[dict[str, tuple[Estimate, str]]] = []
    for one in columns:
        found = [(estimate, "") for estimate in published(one.table, threshold)] if one.table is not None else []
        found += [(estimate, made.provenance.labels_sha) for made in one.results for estimate in estimates(made)]
        sides.append({estimate.name: (estimate, sha) for estimate, sha in reversed(found)})
    same_width = len({one.units for one in columns}) == 1
    measures = []
    for name in KNOWN:
        if name == "detector_share" and same_width:
            continue
        pairs = [side.get(name, (None, "")) for side in sides]
        row = [one for one, _ in pairs]
        if sum(one is not None and np.isfinite(one.value) for one in row) > 1:
            measures.append(_measure(name, row, [sha == pairs[0][1] for _, sha in pairs]))
    return measures


def _measure(name: str, row: Sequence[Estimate | None], same_images: Sequence[bool]) -> SideMeasure:
    """One measure of all columns; intervals of changes only where the blocks are of the same images."""
    about, first = KNOWN[name], row[0]
    values = [_NAN if one is None else one.value for one in row]
    intervals = [
        (_NAN, _NAN) if one is None or one.without is None else interval(one.value, one.without) for one in row
    ]
    changes = [value - values[0] for value in values]
    apart = [(_NAN, _NAN)] * len(row)
    for n, one in enumerate(row[1:], 1):
        if one is None or first is None or one.without is None or first.without is None or not same_images[n]:
            continue
        if one.without.shape == first.without.shape:
            apart[n] = interval(changes[n], one.without - first.without)
    most = 1.0 if about.unit == "share" else np.inf
    return SideMeasure(
        name=name,
        title=about.title,
        group=about.group,
        values=tuple(values),
        floors=tuple(_NAN if one is None else one.floor for one in row),
        low=tuple(float(np.maximum(low, 0.0)) for low, _ in intervals),
        high=tuple(float(np.minimum(high, most)) for _, high in intervals),
        changes=(_NAN, *changes[1:]),
        changes_low=tuple(low for low, _ in apart),
        changes_high=tuple(high for _, high in apart),
        floor=about.floor,
        better=about.better,
        unit=about.unit,
        words=about.words,
    )


def _pair(columns: Sequence[Column], match: Match, *, comparable: bool) -> tuple[Column, Column] | None:
    """Two columns whose units are matched by number; None for others.

    Raises
    ------
    ResultError
        If that was asked for and cannot be.
    """
    if match == "no":
        return None
    kinds = [{type(one) for one in column.results} & set(MEASURERS) for column in columns]
    possible = len(columns) == 2 and bool(kinds[0] & kinds[1]) and columns[0].units == columns[1].units and comparable
    if match == "yes" and not possible:
        widths = ", ".join(f"{one.name} {one.units:,}" for one in columns)
        raise ResultError(f"units match by number in two columns of equally many that compare; here are {widths} units")
    if not possible:
        return None
    if match == "auto" and (columns[0].layer != columns[1].layer or not akin((columns[0], columns[1]))):
        return None
    first, last = (
        replace(one, results=tuple(r for r in one.results if not isinstance(r, ExplanatoryGraph))) for one in columns
    )
    return first, last


def _warnings(columns: Sequence[Column], *, matched: bool) -> list[str]:
    found = []
    tables = [one.name for one in columns if one.table is not None]
    if tables and len(tables) < len(columns):
        found.append(
            f"{', '.join(tables)}: a published table names neither its label set nor its settings, so only its "
            "concepts could be checked; it has no chance levels and no intervals"
        )
    if matched:
        found.append("units are matched by their number, which means something for one network before and after alone")
    several = dict.fromkeys(w for one in columns for r in one.results for w in getattr(r, "warnings", ()))
    return [*found, *several]


def _provenance(columns: Sequence[Column], options: dict[str, Any], command: str) -> Provenance:
    """How the comparison was made: of all networks and label sets."""
    every = [one.provenance for column in columns for one in column.results]
    sets = {one.labels_sha: one.labels for one in every}
    models = list(dict.fromkeys(one.model for one in columns))
    try:
        own = version("interpkit-cnn")
    except PackageNotFoundError:
        own = ""
    return Provenance(
        verb=VERB,
        command=command,
        options={"layers": list(dict.fromkeys(one.layer for one in columns if one.layer)), **options},
        model=", ".join(models),
        model_sha=_joined([one.model_sha for one in columns]),
        labels=", ".join(dict.fromkeys(sets.values())) or "as published",
        labels_sha=next(iter(sets)) if len(sets) == 1 else _joined(list(sets)),
        preprocessing={},
        versions={"interpkit": own},
        seed=0,
        device="cpu",
        batch_size=0,
        memory_format="",
        threads=1,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=0.0,
    )


def _of_the_same(one: Provenance, made: Provenance) -> Provenance:
    """The comparison's own, of the same networks and label sets, so that both share a folder."""
    return replace(one, model_sha=made.model_sha, labels_sha=made.labels_sha, command=made.command)


def _joined(shas: Sequence[str]) -> str:
    return hashlib.sha256("".join(shas).encode()).hexdigest()
