"""An explanatory graph as a drawing: where its nodes, their patches and their edges stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from interpkit.results import ExplanatoryGraph

# Edges of a node that are drawn, at most.
MOST_TIES = 2
# Purity from which a node is called by its landmark, as from which it counts as pure.
PURE = 0.8


@dataclass(frozen=True)
class Knot:
    """A node that is drawn.

    Attributes
    ----------
    card
        Its position among the graph's cards.
    layer, node
        Which of the graph's layers, and which node of it.
    number
        What it is called in its layer: 1, 2, ... in the order in which they stand.
    part
        The landmark that it stands for; empty where it is none, or not for certain.
    """

    card: int
    layer: int
    node: int
    number: int
    part: str

    @property
    def key(self) -> str:
        """The same in every drawing of the graph."""
        return f"{self.layer}-{self.node}"


@dataclass(frozen=True)
class Tie:
    """An edge between two nodes that are drawn, the upper one first, and how alike the two move."""

    above: Knot
    below: Knot
    agreement: float


@dataclass(frozen=True)
class Bonds:
    """What is drawn of a graph in any shape: the nodes of each layer, topmost first, and their ties."""

    rows: tuple[tuple[Knot, ...], ...]
    ties: tuple[Tie, ...]

    def above(self, knot: Knot) -> list[Tie]:
        """The ties of a node to the layer above, strongest first."""
        return sorted((tie for tie in self.ties if tie.below == knot), key=lambda tie: -tie.agreement)

    @property
    def span(self) -> tuple[float, float]:
        """The least and the most agreement of a tie; 0 without any."""
        values = [tie.agreement for tie in self.ties]
        return min(values, default=0.0), max(values, default=0.0)

    @property
    def longest(self) -> int:
        """How many nodes a layer has at most."""
        return max((len(row) for row in self.rows), default=0)


def bonds(result: ExplanatoryGraph) -> Bonds:
    """The shown nodes in the order in which they stand, and the strongest ties between them.

    The nodes of the topmost layer stand from left to right as their parts lie; those below stand under the nodes that
    they are tied to, so that few ties cross. A tie to a node that coincides with a shown one counts as a tie to that.
    """
    shown = result.shown
    rows: list[tuple[Knot, ...]] = []
    ties: list[Tie] = []
    for number in range(len(result.layers) - 1, -1, -1):
        above = rows[-1] if rows and rows[-1][0].layer == number + 1 else ()
        cards = np.flatnonzero(shown.layer == number).tolist()
        nodes = [int(shown.node[card]) for card in cards]
        tied = [_tied(result, number, node, above=above) for node in nodes]
        column = [float(result.layers[number].mean[node, 1]) for node in nodes]
        order = sorted(range(len(nodes)), key=lambda i: (_middle(tied[i]), column[i], nodes[i]))
        row = tuple(
            Knot(cards[i], number, nodes[i], place, part_of(result, number, nodes[i]))
            for place, i in enumerate(order, 1)
        )
        ties += [Tie(above, knot, value) for knot, i in zip(row, order, strict=True) for above, value in tied[i]]
        if row:
            rows.append(row)
    return Bonds(tuple(rows), tuple(ties))


def part_of(result: ExplanatoryGraph, layer: int, node: int, *, least: float = PURE) -> str:
    """The landmark a node stands for; empty where none is near, or its purity is below ``least``."""
    one = result.layers[layer]
    known = result.evaluation is not None and one.part[node] >= 0 and one.purity[node] >= least
    return result.evaluation.landmarks[one.part[node]] if result.evaluation is not None and known else ""


def _tied(result: ExplanatoryGraph, layer: int, node: int, *, above: Sequence[Knot]) -> list[tuple[Knot, float]]:
    """The shown nodes above that a node is tied to, strongest first."""
    if not above:
        return []
    low, high = result.layers[layer : layer + 2]
    to = high.representative[low.edges[node]]
    found = []
    for knot in above:
        values = low.agreement[node][to == knot.node]
        if len(values):
            found.append((knot, float(values.max())))
    return sorted(found, key=lambda one: (-one[1], one[0].number))[:MOST_TIES]


def _middle(tied: Sequence[tuple[Knot, float]]) -> float:
    """Under which node above one stands: the mean of those it is tied to; none last."""
    if not tied:
        return float("inf")
    weights = np.array([max(value, 1e-3) for _, value in tied])
    return float(np.average([knot.number for knot, _ in tied], weights=weights))


@dataclass(frozen=True)
class Tile:
    """A node as it is drawn.

    Attributes
    ----------
    corner
        Upper left corner of its patches.
    dot
        Where its part lies on the layer's mean image.
    """

    knot: Knot
    corner: tuple[float, float]
    dot: tuple[float, float]


@dataclass(frozen=True)
class Row:
    """A layer as it is drawn: the size of its maps, the corner of its mean image, and its nodes."""

    layer: str
    cells: tuple[int, int]
    corner: tuple[float, float]
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Line:
    """A tie as it is drawn: an SVG path and its width."""

    tie: Tie
    path: str
    width: float


@dataclass(frozen=True)
class Sketch:
    """A drawing of a graph, in units of its own field.

    Attributes
    ----------
    shape
        ``rows``: a layer is a row, its mean image at the left. ``columns``: a layer is a column, its mean image on top.
    size, image
        (width, height) of the field, and of a mean image.
    side, small
        Side of a node's best patch, and of the further ones under it; 0 for none.
    disc
        Radius of a node on the mean image.
    """

    shape: Literal["rows", "columns"]
    size: tuple[float, float]
    image: tuple[float, float]
    side: float
    small: float
    disc: float
    rows: tuple[Row, ...]
    lines: tuple[Line, ...]


# Gap between patches of one node.
GAP = 2.0
# Side of a mean image, the height of a layer's name, and what is free between two layers at least.
IMAGE, HEAD, SPACE = 248.0, 24.0, 16.0


def in_rows(result: ExplanatoryGraph, made: Bonds) -> Sketch:
    """A drawing 1,200 wide: layers as rows, topmost first."""
    high, across = result.input_size
    image = (IMAGE * min(1.0, across / high), IMAGE * min(1.0, high / across))
    left, count = IMAGE + 40, max(made.longest, 1)
    pitch = min((1200.0 - left) / count, 180.0)
    side = min(pitch - 12, 120.0)
    small = (side - 2 * GAP) / 3
    reach = side + GAP + small
    step = max(image[1] + SPACE, reach + 96) + HEAD
    places: dict[str, tuple[float, float]] = {}
    rows = []
    for number, row in enumerate(made.rows):
        top = number * step + HEAD
        corners = [(left + i * pitch + (pitch - side) / 2, top) for i in range(len(row))]
        places |= {knot.key: corner for knot, corner in zip(row, corners, strict=True)}
        rows.append(_row(result, row, corners, corner=(0.0, top), image=image))
    lines = [
        _line(tie, (x + side / 2, y + reach + 5), (u + side / 2, v - 6), made=made, upright=True)
        for tie in made.ties
        for (x, y), (u, v) in [(places[tie.above.key], places[tie.below.key])]
    ]
    size = (1200.0, (len(rows) - 1) * step + HEAD + max(image[1], reach) + 8)
    return Sketch("rows", size, image, side, small, 19.0, tuple(rows), tuple(lines))


def in_columns(result: ExplanatoryGraph, made: Bonds) -> Sketch:
    """A drawing 400 wide, for narrow screens: layers as columns, topmost first."""
    high, across = result.input_size
    pitch = 400.0 / max(len(made.rows), 1)
    most = min(pitch - 12, 128.0)
    image = (most * min(1.0, across / high), most * min(1.0, high / across))
    side = min(pitch * 0.62, 72.0)
    start, step = HEAD + image[1] + 24, side + 12
    places: dict[str, tuple[float, float]] = {}
    rows = []
    for number, row in enumerate(made.rows):
        middle = number * pitch + pitch / 2
        corners = [(middle - side / 2, start + i * step) for i in range(len(row))]
        places |= {knot.key: corner for knot, corner in zip(row, corners, strict=True)}
        rows.append(_row(result, row, corners, corner=(middle - image[0] / 2, HEAD), image=image))
    lines = [
        _line(tie, (x + side + 1, y + side / 2), (u - 1, v + side / 2), made=made, upright=False)
        for tie in made.ties
        for (x, y), (u, v) in [(places[tie.above.key], places[tie.below.key])]
    ]
    size = (400.0, start + made.longest * step)
    return Sketch("columns", size, image, side, 0.0, 9.0, tuple(rows), tuple(lines))


def _row(
    result: ExplanatoryGraph,
    row: Sequence[Knot],
    corners: Sequence[tuple[float, float]],
    *,
    corner: tuple[float, float],
    image: tuple[float, float],
) -> Row:
    high, across = result.input_size
    tiles = []
    for knot, place in zip(row, corners, strict=True):
        y, x = np.clip(result.layers[knot.layer].mean[knot.node], 0, (high - 1, across - 1)).tolist()
        dot = corner[0] + (x + 0.5) / across * image[0], corner[1] + (y + 0.5) / high * image[1]
        tiles.append(Tile(knot, _rounded(place), _rounded(dot)))
    one = result.layers[row[0].layer]
    return Row(one.layer, one.map_size, _rounded(corner), tuple(tiles))


def _line(tie: Tie, start: tuple[float, float], end: tuple[float, float], *, made: Bonds, upright: bool) -> Line:
    (x, y), (u, v) = _rounded(start), _rounded(end)
    bend = f"{x} {(y + v) / 2:.1f} {u} {(y + v) / 2:.1f}" if upright else f"{(x + u) / 2:.1f} {y} {(x + u) / 2:.1f} {v}"
    low, high = made.span
    share = (tie.agreement - low) / (high - low) if high > low else 1.0
    return Line(tie, f"M{x} {y}C{bend} {u} {v}", round(1 + 3 * share, 2))


def _rounded(point: tuple[float, float]) -> tuple[float, float]:
    return round(point[0], 1), round(point[1], 1)
