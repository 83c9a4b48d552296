"""Whether columns compare, and which of their settings are equal."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from interpkit.comparison._columns import Column, images_of
from interpkit.comparison._compare import said
from interpkit.errors import ResultError
from interpkit.results import Dissection, Entanglement, FineTuning

# Options of each verb without whose being equal its numbers do not compare.
DECISIVE: Mapping[str, tuple[str, ...]] = {
    "dissect": ("quantile", "iou", "category_rule", "align", "split", "limit"),
    "entangle": ("target", "pool", "rectify", "estimator", "split", "limit"),
    "parts": ("align", "top", "radius", "split", "limit"),
    "graph": ("class_name", "align", "train", "split", "limit"),
}
# How a pass is fed decides no more than the last bits of what it measures; layers stand in the heading.
_ASIDE = {"layers", "layer", "device", "batch_size", "memory_format", "threads", "skip_bad"}
_NONE = "\N{EN DASH}"
# Of a published table's best concepts so many must be in the other's label set.
_KNOWN = 0.5


def conflicts(columns: Sequence[Column]) -> list[str]:
    """What differs although it must not: ``dissect: quantile 0.005 / 0.01``; empty where all compares."""
    found = []
    for verb in dict.fromkeys(one.provenance.verb for column in columns for one in column.results):
        sides = [_decisive(one) for column in columns for one in column.results if one.provenance.verb == verb]
        for name in dict.fromkeys(name for side in sides for name in side):
            values = [side.get(name, "") for side in sides]
            if len(set(values)) > 1:
                shown = " / ".join(dict.fromkeys(value.partition("\0")[0] for value in values))
                found.append(f"{verb}: {name.replace('_', ' ')} {shown}")
    return [*found, *_strange(columns)]


def check(columns: Sequence[Column], *, force: bool) -> tuple[str, ...]:
    """What differs although it must not.

    Raises
    ------
    ResultError
        If anything does and ``force`` is not set, or nothing was measured of two columns.
    """
    kinds = [set(column.about().verbs) for column in columns]
    concepts = [bool(column.categories) for column in columns]
    shared = any(a & b for n, a in enumerate(kinds) for b in kinds[:n]) or sum(concepts) > 1
    if not shared:
        each = "; ".join(f"{one.name} has {', '.join(sorted(have))}" for one, have in zip(columns, kinds, strict=True))
        raise ResultError(f"nothing was measured of two of them: {each}")
    found = conflicts(columns)
    if found and not force:
        names = " and ".join([", ".join(one.name for one in columns[:-1]), columns[-1].name])
        raise ResultError(
            f"{names} do not compare: {'; '.join(found)}; to set them side by side all the same, force it (--force)"
        )
    return tuple(found)


def _decisive(one: Any) -> dict[str, str]:  # noqa: ANN401 - a result of any kind
    """What must be equal, in words; behind a zero byte what tells apart that is no word."""
    made = one.provenance
    found = {"label set": f"{made.labels} ({made.labels_sha[:8]})\0{made.labels_sha}"}
    found |= {name: said(made.options.get(name)) for name in DECISIVE.get(made.verb, ())}
    if isinstance(one, Dissection) and not one.categories:
        found |= {"labels": "none"}
    if not isinstance(one, FineTuning):
        # One set with unreadable files skipped is another set.
        found["images"] = f"{images_of(one):,}"
    if isinstance(one, Entanglement):
        mix = dict(zip(one.classes, one.class_images.tolist(), strict=True))
        found["class mix"] = f"{len(mix):,} classes\0{sorted(mix.items())}"
    if isinstance(one, FineTuning):
        sha = hashlib.sha256("\n".join(sorted(one.validation)).encode()).hexdigest()
        found["validation images"] = f"{len(one.validation):,} ({sha[:8]})"
    return found


def _strange(columns: Sequence[Column]) -> list[str]:
    """Published tables most of whose concepts a run's label set does not have."""
    runs = [one for one in columns if one.dissection is not None]
    found = []
    for column in columns:
        if column.table is None:
            continue
        rows = column.table.rows
        best = rows.loc[rows["concept"] != "", ["category", "concept"]].itertuples(index=False, name=None)
        named = set(best)
        for run in runs:
            assert run.dissection is not None
            have = set(run.dissection.concepts[["category", "name"]].itertuples(index=False, name=None))
            known = len(named & have)
            if named and known < _KNOWN * len(named):
                labels = run.first.provenance.labels
                found.append(f"{known:,} of {len(named):,} concepts of {column.name} are in the label set {labels}")
    return found


def settings(columns: Sequence[Column]) -> tuple[dict[str, str], tuple[tuple[str, tuple[str, ...]], ...]]:
    """Settings that all columns share, and those that differ, with the value of each column."""
    verbs = list(dict.fromkeys(one.provenance.verb for column in columns for one in column.results))
    table: dict[str, list[str]] = {}
    for n, column in enumerate(columns):
        for name, value in _settings(column, several=len(verbs) > 1).items():
            table.setdefault(name, [_NONE] * len(columns))[n] = value
    equal = {name: values[0] for name, values in table.items() if len(set(values)) == 1}
    differs = tuple((name, tuple(values)) for name, values in table.items() if name not in equal)
    return equal, differs


def _settings(column: Column, *, several: bool) -> dict[str, str]:
    """All settings of a column, in words."""
    if column.table is not None:
        return {"network": column.table.name, "units": f"{column.units:,}", "made by": "a published table"}
    made = column.first.provenance
    found = {"network": made.model, "layer": column.layer, "units": f"{column.units:,}"}
    size = made.preprocessing.get("size")
    found |= {"input": " x ".join(map(str, size))} if size else {}
    found |= {name: said(made.preprocessing[name]) for name in ("mean", "std") if name in made.preprocessing}
    for one in column.results:
        start = f"{one.provenance.verb}: " if several else ""
        found[f"{start}label set"] = f"{one.provenance.labels}, {images_of(one):,} images"
        options = {k: v for k, v in one.provenance.options.items() if k not in _ASIDE}
        found |= {f"{start}{name.replace('_', ' ')}": said(value) for name, value in options.items()}
    return found
