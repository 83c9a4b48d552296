"""What stands in a column: the results of one layer of one network, or a published table."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interpkit.errors import ResultError
from interpkit.results import (
    Comparison,
    Dissection,
    Entanglement,
    ExplanatoryGraph,
    FineTuning,
    PartScores,
    PublishedTable,
    SideBySide,
    SideColumn,
)

# The kinds that stand beside each other, in the order of reading.
KINDS: tuple[type, ...] = (FineTuning, Dissection, Entanglement, PartScores, ExplanatoryGraph)
PUBLISHED = "published"
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d{1,2}(?!\d))?")


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a comparison.

    Attributes
    ----------
    results
        At most one of each kind, all of one layer; empty for a published table.
    table
        The published table; None for results.
    source
        What it came from, in a word: the name of its folder or file.
    name
        What it is called; '' until that is decided.
    """

    results: tuple[Any, ...]
    table: PublishedTable | None = None
    source: str = ""
    name: str = ""

    @property
    def first(self) -> Any:  # noqa: ANN401 - a result of any kind
        """The result that is read first."""
        return self.results[0]

    @property
    def layer(self) -> str:
        """The layer; '' of a published table."""
        return str(self.first.layer) if self.results else ""

    @property
    def model(self) -> str:
        """The network's name."""
        return str(self.first.provenance.model) if self.table is None else self.table.name

    @property
    def model_sha(self) -> str:
        """Hash of the weights, or of the published file."""
        return str(self.first.provenance.model_sha) if self.table is None else self.table.sha

    @property
    def units(self) -> int:
        """U; of a graph alone its filters."""
        if self.table is not None:
            return self.table.units
        counts = [one.units for one in self.results if not isinstance(one, ExplanatoryGraph)]
        return int(counts[0]) if counts else sum(len(one.filters) for one in self.first.layers)

    @property
    def dissection(self) -> Dissection | None:
        """The dissection of a set with labels."""
        return next((one for one in self.results if isinstance(one, Dissection) and one.categories), None)

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories of its concepts; empty where it knows none."""
        source = self.table or self.dissection
        return source.categories if source is not None else ()

    def rows(self) -> pd.DataFrame | None:
        """One row per unit with its best concepts; None where it knows none."""
        source = self.table or self.dissection
        return None if source is None else source.table()

    def about(self) -> SideColumn:
        """What the result keeps of it."""
        return SideColumn(
            name=self.name,
            layer=self.layer,
            model=self.model,
            labels=" and ".join(dict.fromkeys(str(one.provenance.labels) for one in self.results)),
            units=self.units,
            images=images_of(self.first) if self.results else 0,
            verbs=tuple(one.provenance.verb for one in self.results) or (PUBLISHED,),
            model_sha=self.model_sha,
        )


def images_of(one: Any) -> int:  # noqa: ANN401 - a result of any kind
    """On how many images a result rests."""
    if isinstance(one, FineTuning):
        return len(one.validation)
    return one.images if isinstance(one.images, int) else len(one.images)


def columns_of(given: PublishedTable | Sequence[Any], *, source: str = "") -> list[Column]:
    """The columns that one thing asked for gives: a published table one, a run one for each layer.

    A graph, which spans layers, joins the results of the run's only layer, or stands alone.

    Raises
    ------
    ResultError
        If a result is itself a comparison, or two of one kind are of one layer.
    """
    if isinstance(given, PublishedTable):
        return [Column((), given, source or given.name)]
    inner = [one for one in given if isinstance(one, Comparison | SideBySide)]
    results: list[Any] = [one for one in given if isinstance(one, KINDS)]
    if not results:
        hint = f" of {' and '.join(_names(inner[0]))}: give the runs it was made of" if inner else ""
        raise ResultError(
            f"{source or 'what was given'} holds no result that compares{', but a comparison' * bool(inner)}{hint}"
        )
    layers = list(dict.fromkeys(one.layer for one in results if not isinstance(one, ExplanatoryGraph)))
    groups: dict[str, list[Any]] = {}
    for one in results:
        joins = isinstance(one, ExplanatoryGraph) and len(layers) == 1
        groups.setdefault(layers[0] if joins else one.layer, []).append(one)
    for layer, mine in groups.items():
        kinds = [type(one).__name__ for one in mine]
        twice = [kind for kind in kinds if kinds.count(kind) > 1]
        if twice:
            raise ResultError(f"{source} holds several results of {twice[0]} of {layer}; give one of each kind")
    return [
        Column(tuple(sorted(mine, key=lambda one: KINDS.index(type(one)))), None, source) for mine in groups.values()
    ]


def _names(one: Comparison | SideBySide) -> tuple[str, ...]:
    return one.columns if isinstance(one, Comparison) else one.names


def named(columns: Sequence[Column], names: Sequence[str] = ()) -> list[Column]:
    """The columns with their names: those given, else the shortest words that tell them apart.

    Raises
    ------
    ResultError
        If there are fewer than two columns, or another number of names, or one is empty, or two are equal.
    """
    if len(columns) < 2:
        raise ResultError("a comparison takes two results or more; one was given")
    if names and len(names) != len(columns):
        found = ", ".join(f"{one.source or one.model} {one.layer}".strip() for one in columns)
        raise ResultError(f"{len(names)} names for {len(columns)} columns ({found})")
    if not all(names):
        raise ResultError(f"a name is empty among {', '.join(map(repr, names))}")
    if len(set(names)) != len(names):
        raise ResultError(f"the names {', '.join(names)} are not different")
    choices = [
        names,
        [one.model for one in columns],
        [one.layer for one in columns],
        [one.source for one in columns],
        [f"{one.model} {one.layer}".strip() for one in columns],
        [f"{one.source} {one.layer}".strip() for one in columns],
        [f"{one.model} ({n})" for n, one in enumerate(columns, 1)],
    ]
    chosen = next(one for one in choices if one and len(set(one)) == len(columns) and all(one))
    return [Column(one.results, one.table, one.source, name) for one, name in zip(columns, chosen, strict=True)]


def axis_of(columns: Sequence[Column]) -> tuple[tuple[float, ...], str]:
    """A number of each column where they stand in an order, and what it is called; empty where they do not.

    Layers of one network stand in the order given. Names that differ in one number stand by that number: ``epoch 1``,
    ``epoch 5``, ``epoch 20``.

    Examples
    --------
    >>> axis_of([Column((), None, "", name) for name in ("epoch-1", "epoch-5", "epoch-20")])
    ((1.0, 5.0, 20.0), 'epoch')
    """
    names = [one.name for one in columns]
    parts = [_NUMBER.findall(name) for name in names]
    stems = {_NUMBER.sub("#", name) for name in names}
    if len(stems) == 1 and all(parts):
        table = np.array([[float(number) for number in row] for row in parts])
        moving = [k for k in range(table.shape[1]) if len(set(table[:, k])) == len(names)]
        still = all(len(set(table[:, k])) == 1 for k in range(table.shape[1]) if k not in moving)
        of_layers = bool(columns[0].results) and _layers_of_one(columns)
        if len(moving) == 1 and still and not of_layers and np.isfinite(table).all():
            before = next(iter(stems)).split("#")[moving[0]]
            return tuple(table[:, moving[0]].tolist()), before.strip(" -_=:./") or "number"
    if columns[0].results and _layers_of_one(columns):
        return tuple(float(n) for n in range(1, len(columns) + 1)), "layer"
    return (), ""


def _layers_of_one(columns: Sequence[Column]) -> bool:
    same = len({one.model_sha for one in columns}) == 1
    return same and len({one.layer for one in columns}) == len(columns)
