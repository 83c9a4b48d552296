"""Every kind of page there is, from results put together by hand, with whatever names a stranger may have given."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import made_graph
import numpy as np
import pandas as pd
from made_beside import blocked
from made_comparison import results_of
from made_entanglement import HOSTILE, LONG, analysed, saved
from made_finetuning_page import compared, finetuned
from made_pages import detecting, many_units, shown, three_layers, unlabelled, with_threshold
from made_parts import partscores
from made_results import NAMES as PLAIN
from made_results import dissection, random_cells

from interpkit.comparison import side_by_side
from interpkit.report import build
from interpkit.results import Rotation, Shuffles, Untrained

# Hebrew under an order to be read backwards and an isolate, neither of which ends, and the end of one that never began.
BACKWARDS = "\N{POP DIRECTIONAL ISOLATE}gnp.\N{RIGHT-TO-LEFT OVERRIDE}\u05e9\u05dc\u05d5\u05dd\N{RIGHT-TO-LEFT ISOLATE}"
# A terminal would turn red, ring, erase a line and change its title.
BINDING = "\x1b[31mred\x07\r\x1b[2K\x1b]0;title\x07\x00\x9b31m\ttab"
UNBROKEN = "w" * 300
NAMES = (HOSTILE, BACKWARDS, BINDING, UNBROKEN)


def one_unit() -> list[Any]:
    """The smallest layer there is."""
    cells = random_cells(units=4)
    cells = replace(cells, joint=cells.joint[:1], active=cells.active[:1])
    return [dissection(cells, PLAIN, shown=shown(1))]


def judged() -> list[Any]:
    """A dissection with what judges it."""
    result = detecting()
    rng = np.random.default_rng(5)
    groups, count = len(result.categories), len(result.concepts)

    def some(*shape: int) -> Any:
        iou = rng.random((*shape, result.units, groups)) ** 3 * 0.2
        return rng.integers(0, count, iou.shape), iou

    def verb(name: str) -> dict[str, Any]:
        shared = ("layer", "concepts", "categories", "images", "skipped")
        made = replace(result.provenance, verb=name)
        return {**{one: getattr(result, one) for one in shared}, "provenance": made}

    def about(*shape: int, luck: tuple[int, ...]) -> dict[str, Any]:
        (concept, iou), (luck_concept, luck_iou) = some(*shape), some(*luck)
        return {"concept": concept, "iou": iou, "luck_concept": luck_concept, "luck_iou": luck_iou / 3}

    turned = Rotation(alphas=np.array([0.0, 0.5, 1.0]), **about(3, 2, luck=(3, 2)), **verb("rotate"))
    shuffled = Shuffles(**about(luck=(5,)), **verb("shuffle"))
    return [result, turned, shuffled, Untrained(**about(luck=()), **verb("untrained"))]


def columns(count: int) -> list[Any]:
    runs = [[blocked(n, units=12 + (n if count > 2 else 0))] for n in range(count)]
    side, pair = side_by_side(runs, match="yes" if count == 2 else "auto")
    return [one for one in (side, pair) if one is not None]


def pair() -> list[Any]:
    return list(side_by_side([results_of("none", seed=0), results_of("icnn", seed=1)], names=("a", "b")))


EVERY: dict[str, Callable[[], list[Any]]] = {
    "dissection": lambda: [detecting()],
    "layers": three_layers,
    "unlabelled": lambda: [unlabelled()],
    "one unit": one_unit,
    "no detector": lambda: [with_threshold(detecting(), 0.99)],
    "judged": judged,
    "entanglement": lambda: [analysed()],
    "parts": lambda: [partscores()],
    "graph": lambda: [made_graph.graph()],
    "synthesis": lambda: [made_graph.synthesised()],
    "training": lambda: [finetuned()],
    "gate": lambda: [finetuned("class-gate")],
    "comparison": lambda: [compared()],
    "two columns": lambda: columns(2),
    "columns": lambda: columns(4),
    "pair": pair,
    "all of one layer": lambda: [many_units(64), analysed(), partscores()],
}
# Names of what is shown, by who would give them: labels, layers, networks, columns.
STRANGE = {
    **{"cat": BACKWARDS, "leg": UNBROKEN, "red-c": BINDING, "object": BACKWARDS, "part": UNBROKEN, "color": BINDING},
    **{"albatross": BACKWARDS, "beaver": BINDING, "church": UNBROKEN, LONG: LONG},
    **{"head": BACKWARDS, "front legs": UNBROKEN, "tail": BINDING, "beast": BACKWARDS, "my set": BACKWARDS},
    **{"model": BINDING, "features.21": BACKWARDS, "features.28": UNBROKEN, "features.3": f"{BACKWARDS}3"},
    **{"ordinary": BACKWARDS, "interpretable": BINDING, "net 0": BACKWARDS, "net 1": UNBROKEN, "a": BACKWARDS},
    **{"set/image01.png": f"{BACKWARDS}.png", "set/image02.png": f"{BINDING}.png", "c.jpg": f"{UNBROKEN}.jpg"},
}


def renamed(value: Any, names: Mapping[str, str] = STRANGE) -> Any:
    """``value`` with other names wherever one stands alone."""
    if isinstance(value, str):
        return names.get(value, value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: renamed(getattr(value, one.name), names) for one in fields(value)})
    if isinstance(value, pd.DataFrame):
        return value.map(lambda one: renamed(one, names))
    if isinstance(value, Mapping):
        return {renamed(key, names): renamed(one, names) for key, one in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return type(value)(renamed(one, names) for one in value)
    return value


def strange(results: list[Any]) -> list[Any]:
    """The same results under names that do harm wherever they are not taken for text."""
    return [renamed(result) for result in results]


def page_of(results: list[Any], run: Path, *, single_file: bool = False) -> Path:
    """The page of results, each saved in its usual place in ``run``."""
    for result in results:
        saved(result, run)
    return build(run, single_file=single_file)
