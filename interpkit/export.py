"""An explanatory graph for other programs: networkx, GraphML, node-link JSON."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx
import numpy as np
import numpy.typing as npt

from interpkit.errors import ResultError, nearest, one_line
from interpkit.results import ExplanatoryGraph, GraphLayer
from interpkit.writing import written

if TYPE_CHECKING:
    from networkx import DiGraph

    Directed = DiGraph[str]

Ints = npt.NDArray[np.int64]

# All four layers of a VGG-16 have 61,440 nodes and 768,000 edges, which hardly a program draws.
STRONGEST = 1000
ENDINGS = (".graphml", ".json")


def to_networkx(graph: ExplanatoryGraph, *, strongest: int | None = None) -> "Directed":
    """A directed graph with an edge from each node to those of the layer above that it is tied to.

    Nodes are called ``<layer>/<number>`` and have ``layer``, ``node``, ``filter``, ``row``, ``column`` and ``sigma``
    (input pixels), ``score``, ``representative`` (a name) and ``idle``; ``landmark``, ``purity`` and ``instability``
    where they are known. Edges have ``agreement`` and ``rank``, 0 for a node's best. The graph itself says ``model``,
    ``labels``, ``class``, ``height`` and ``width`` of the input, ``images``, and ``nodes``: how many there are in all.

    Parameters
    ----------
    strongest
        Only so many nodes of each layer: those of the highest scores that stand for themselves. An edge to a node that
        another stands for leads to that one; of several that then join the same two, the best is kept. Default: every
        node and edge, nothing merged.

    Raises
    ------
    ResultError
        If fewer than one are asked for.
    """
    _check_number(strongest)
    made = graph.provenance
    height, width = graph.input_size
    result: Directed = networkx.DiGraph()
    result.graph |= {
        "model": made.model,
        "labels": made.labels,
        "class": graph.class_name,
        "height": height,
        "width": width,
        "images": len(graph.images),
        "nodes": graph.nodes,
    }
    kept = [_kept(one, strongest) for one in graph.layers]
    for one, some in zip(graph.layers, kept, strict=True):
        result.add_nodes_from(_nodes(one, some, graph))
    for number, low in enumerate(graph.layers[:-1]):
        high = graph.layers[number + 1]
        result.add_edges_from(_edges(low, high, kept[number : number + 2], merged=strongest is not None))
    return result


def _check_number(strongest: int | None) -> None:
    if strongest is not None and strongest < 1:
        raise ResultError(f"strongest must be at least 1 node a layer, or None for all, not {strongest}")


def _kept(layer: GraphLayer, strongest: int | None) -> Ints:
    return np.arange(len(layer)) if strongest is None else np.sort(layer.best(strongest))


def _name(layer: GraphLayer, node: int) -> str:
    return f"{layer.layer}/{node}"


def _nodes(layer: GraphLayer, kept: Ints, graph: ExplanatoryGraph) -> Iterator[tuple[str, dict[str, Any]]]:
    landmarks = () if graph.evaluation is None else graph.evaluation.landmarks
    filters = layer.filter
    for v in kept.tolist():
        about: dict[str, Any] = {
            "layer": layer.layer,
            "node": v,
            "filter": int(filters[v]),
            "row": float(layer.mean[v, 0]),
            "column": float(layer.mean[v, 1]),
            "sigma": float(layer.sigma[v]),
            "score": float(layer.score[v]),
            "representative": _name(layer, int(layer.representative[v])),
            "idle": bool(layer.idle[v]),
        }
        # Left out, not NaN: JSON has none, and two graphs that hold one are never equal.
        known = {"purity": float(layer.purity[v]), "instability": float(layer.instability[v])}
        about |= {name: value for name, value in known.items() if np.isfinite(value)}
        about |= {"landmark": landmarks[layer.part[v]]} if layer.part[v] >= 0 else {}
        yield _name(layer, v), about


def _edges(
    low: GraphLayer, high: GraphLayer, kept: list[Ints], *, merged: bool
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    below, above = kept
    stands = high.representative if merged else np.arange(len(high))
    there = np.zeros(len(high), np.bool_)
    there[above] = True
    for v in below.tolist():
        ends = stands[low.edges[v]]
        best: dict[int, tuple[int, float]] = {}
        for rank in np.flatnonzero(there[ends]).tolist():
            end, alike = int(ends[rank]), float(low.agreement[v, rank])
            if end not in best or alike > best[end][1]:
                best[end] = (rank, alike)
        for end, (rank, alike) in best.items():
            yield _name(low, v), _name(high, end), {"agreement": alike, "rank": rank}


def write_graph(graph: ExplanatoryGraph, path: str | Path, *, strongest: int | None = STRONGEST) -> Path:
    """Write a graph for another program: GraphML for ``.graphml``, networkx's node-link form for ``.json``.

    ``networkx.read_graphml(path)`` and ``networkx.node_link_graph(json.loads(text), edges="edges")`` give back what
    `to_networkx` gives. The file is written beside its place and moved there, so that one that exists is whole.

    Parameters
    ----------
    strongest
        As in `to_networkx`. The 1,000 best of each layer by default, since a large network has some ten thousand nodes
        and some hundred thousand edges; the result's own ``nodes.csv`` and ``edges.csv`` have them all.

    Raises
    ------
    ResultError
        For another ending, or where nothing can be written.
    """
    path = Path(path)
    check_path(path)
    made = to_networkx(graph, strongest=strongest)
    try:
        with written(path) as part:
            if path.suffix == ".graphml":
                networkx.write_graphml_xml(made, part)
            else:
                document = networkx.node_link_data(made, edges="edges")
                part.write_text(json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise ResultError(f"cannot write {path}: {one_line(error)}") from error
    return path


def check_path(path: str | Path) -> None:
    """Stop at a file that no graph can be written to, before a long run and not after it.

    Raises
    ------
    ResultError
        For an ending that stands for no form, a folder that is not there, or a folder in the file's place.
    """
    path = Path(path)
    if path.suffix not in ENDINGS:
        close = nearest(path.suffix, ENDINGS, count=1)
        hint = f"; nearest: {path.with_suffix(close[0])}" if close else ""
        other = f"not {path.suffix}{hint}" if path.suffix else "and this has no ending"
        raise ResultError(f"{path}: a graph is written as {' or '.join(ENDINGS)}, {other}")
    if path.is_dir():
        raise ResultError(f"{path} is a folder; name a file to write the graph to")
    if not path.parent.is_dir():
        raise ResultError(f"{path}: there is no folder {path.parent}")
