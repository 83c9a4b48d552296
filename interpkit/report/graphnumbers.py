"""What the measures of an explanatory graph say: where edges help, and what stands beside each number."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from interpkit.results import ExplanatoryGraph, GraphEvaluation

# Whose places are judged, in the order in which they stand, and what the page calls them.
POSITIONS = {
    "graph": "the graph",
    "no edges": "the same without edges",
    "shuffled": "edges to shuffled images",
    "raw": "arg-max of the filters",
    "centre": "image centre",
}
CONTROLS = ("no edges", "shuffled")
FLOORS = {"raw": "arg-max of the filters", "mean place": "mean place of the examples", "centre": "image centre"}
TOP = 100
SHOTS = 3


@dataclass(frozen=True)
class Against:
    """A number, and what it is read beside: (words, value)."""

    value: float
    beside: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Helped:
    """In which layers edges lower the instability, against nodes without edges and with edges that tell nothing.

    Attributes
    ----------
    layers
        (layer, with edges, without, shuffled), topmost first.
    """

    layers: tuple[tuple[str, float, float, float], ...]

    @property
    def better(self) -> list[tuple[str, float, float, float]]:
        """The layers in which edges are steadier than both controls."""
        return [one for one in self.layers if one[1] < min(one[2:])]

    @property
    def others(self) -> list[tuple[str, float, float, float]]:
        """The layers in which they are not."""
        return [one for one in self.layers if one not in self.better]


def judged_on(result: ExplanatoryGraph) -> str:
    """Which images the measures speak of: those that nothing was fitted to, where there are any."""
    found = result.evaluation
    known = set() if found is None else set(found.table["images"])
    return "held out" if "held out" in known else "training"


def measured(result: ExplanatoryGraph, layer: str, positions: str, *, column: str, top: int = TOP) -> float:
    """Mean over landmarks of a measure of the ``top`` nodes of a layer; NaN where it was not measured."""
    if result.evaluation is None:
        return float("nan")
    t = result.evaluation.table
    rows = t[(t["layer"] == layer) & (t["positions"] == positions) & (t["images"] == judged_on(result))]
    rows = rows[(rows["top"] == top) & (rows["landmark"] == "all")]
    return float(rows[column].iloc[0]) if len(rows) else float("nan")


def helped(result: ExplanatoryGraph) -> Helped:
    """Where edges make nodes steadier; only layers of which all three were measured."""
    found = []
    for one in reversed(result.layers):
        values = [measured(result, one.layer, name, column="instability") for name in ("graph", *CONTROLS)]
        if np.isfinite(values).all():
            found.append((one.layer, values[0], values[1], values[2]))
    return Helped(tuple(found))


def compared_layers(result: ExplanatoryGraph) -> list[str]:
    """The layers that every control was measured on, topmost first; all where there are none such."""
    names = [name for name, *_ in helped(result).layers]
    return names or [one.layer for one in reversed(result.layers)]


def large(result: ExplanatoryGraph, column: str) -> Against:
    """A measure of the nodes, and of the controls, as a mean over the layers that all were measured on."""
    layers = compared_layers(result)

    def mean(positions: str) -> float:
        return _mean(measured(result, layer, positions, column=column) for layer in layers)

    # One place is pure or not: its share says nothing.
    left = {"graph"} if column == "instability" else {"graph", "centre"}
    beside = [(words, mean(name)) for name, words in POSITIONS.items() if name not in left]
    return Against(mean("graph"), tuple((words, value) for words, value in beside if np.isfinite(value)))


def localised(found: GraphEvaluation) -> tuple[int, Against] | None:
    """How many shots, the error with them as a mean over landmarks, and that of the controls; None without any."""
    table = found.localisation
    if table.empty:
        return None
    shots = sorted(set(table["shots"]))
    chosen = SHOTS if SHOTS in shots else int(shots[0])
    rows = table[table["shots"] == chosen]
    means = {str(name): _mean(of["error"]) for name, of in rows.groupby("positions", sort=False)}
    beside = tuple((words, means[name]) for name, words in FLOORS.items() if np.isfinite(means.get(name, np.nan)))
    return chosen, Against(means.get("graph", float("nan")), beside)


def _mean(values: Iterable[float]) -> float:
    known = pd.Series(list(values), dtype=np.float64).dropna()
    return float(known.mean()) if len(known) else float("nan")
