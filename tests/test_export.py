"""An explanatory graph as other programs read it: nothing lost, nothing added, and bounded where that is asked for."""

import json
from dataclasses import replace
from pathlib import Path

import networkx
import numpy as np
import pytest
from made_graph import graph as made_graph
from made_graph import layer, without_landmarks

from interpkit.errors import ResultError
from interpkit.export import STRONGEST, check_path, to_networkx, write_graph
from interpkit.results import ExplanatoryGraph

LOW, HIGH = "low", "high"


@pytest.fixture(scope="module")
def graph() -> ExplanatoryGraph:
    """Of layers whose names have to be escaped; some nodes stand for others, some for nothing."""
    return made_graph()


@pytest.fixture(scope="module")
def bare() -> ExplanatoryGraph:
    return without_landmarks()


def test_every_node_and_edge_is_there_and_nothing_else(graph: ExplanatoryGraph) -> None:
    made = to_networkx(graph)
    table, edges = graph.table(), graph.edges()
    assert list(made) == [f"{layer}/{node}" for layer, node in zip(table["layer"], table["node"], strict=True)]
    for row in table.to_dict("records"):
        about = made.nodes[f"{row['layer']}/{row['node']}"]
        for name in ("layer", "node", "filter", "row", "column", "sigma", "score", "idle"):
            assert about[name] == row[name], name
        assert about["representative"] == f"{row['layer']}/{row['representative']}"
        assert about.get("landmark", "") == row["landmark"]
        for name in ("purity", "instability"):
            known = bool(np.isfinite(row[name]))
            assert (name in about, about.get(name)) == (known, row[name] if known else None)
    assert made.number_of_edges() == len(edges)
    for number, row in enumerate(edges.to_dict("records")):
        ends = f"{row['layer']}/{row['node']}", f"{row['above']}/{row['node_above']}"
        assert made.edges[ends] == {"agreement": row["agreement"], "rank": number % graph.layers[0].edges.shape[1]}


def test_what_landmarks_did_not_say_is_left_out(bare: ExplanatoryGraph) -> None:
    names = {name for _, about in to_networkx(bare).nodes(data=True) for name in about}
    assert not names & {"landmark", "purity", "instability"}


def test_the_graph_says_what_it_is_of(graph: ExplanatoryGraph) -> None:
    assert to_networkx(graph, strongest=1).graph == {
        "model": "model",
        "labels": "my set",
        "class": "beast",
        "height": 224,
        "width": 224,
        "images": 40,
        "nodes": graph.nodes,
    }


@pytest.mark.parametrize("ending", [".graphml", ".json"])
@pytest.mark.parametrize("strongest", [None, 2, STRONGEST])
@pytest.mark.parametrize("which", ["graph", "bare"])
def test_what_is_written_is_read_back(
    request: pytest.FixtureRequest, tmp_path: Path, *, ending: str, strongest: int | None, which: str
) -> None:
    graph: ExplanatoryGraph = request.getfixturevalue(which)
    path = write_graph(graph, tmp_path / f"graph{ending}", strongest=strongest)
    if ending == ".json":
        read = networkx.node_link_graph(json.loads(path.read_text(encoding="utf-8")), edges="edges")
    else:
        read = networkx.read_graphml(path)
    made = to_networkx(graph, strongest=strongest)
    assert read.is_directed()
    assert dict(read.nodes(data=True)) == dict(made.nodes(data=True))
    assert {(a, b): about for a, b, about in read.edges(data=True)} == {
        (a, b): about for a, b, about in made.edges(data=True)
    }
    assert {name: read.graph[name] for name in made.graph} == made.graph
    types = [{name: type(value) for name, value in about.items()} for _, about in made.nodes(data=True)]
    assert [{name: type(value) for name, value in about.items()} for _, about in read.nodes(data=True)] == types
    assert list(tmp_path.iterdir()) == [path]


def test_of_the_strongest_those_that_stand_for_others_take_their_edges(graph: ExplanatoryGraph) -> None:
    high = layer(1, name=HIGH, last=True, filters=1)
    # Node 1 is stood for by node 0; node 3 is idle.
    high = replace(
        high,
        score=np.array([4.0, 3, 2, 0]),
        representative=np.array([0, 0, 2, 3]),
        idle=np.array([False, False, False, True]),
    )
    low = layer(0, name=LOW, last=False, filters=1)
    low = replace(
        low,
        score=np.array([1.0, 4, 3, 2]),
        representative=np.arange(4),
        idle=np.zeros(4, bool),
        edges=np.array([[0, 1, 2]] * 4),
        agreement=np.array([[0.5, 0.7, 0.6], [0.9, 0.2, 0.1], [0.3, 0.4, 0.8], [0.1, 0.1, 0.1]]),
    )
    graph = replace(graph, layers=(low, high))
    both = to_networkx(graph, strongest=2)
    assert sorted(both) == [f"{HIGH}/0", f"{HIGH}/2", f"{LOW}/1", f"{LOW}/2"]
    assert dict(both[f"{LOW}/1"]) == {
        f"{HIGH}/0": {"agreement": 0.9, "rank": 0},
        f"{HIGH}/2": {"agreement": 0.1, "rank": 2},
    }
    assert both[f"{LOW}/2"][f"{HIGH}/0"] == {"agreement": 0.4, "rank": 1}
    one = to_networkx(graph, strongest=1)
    assert list(one.edges) == [(f"{LOW}/1", f"{HIGH}/0")]
    assert to_networkx(graph).number_of_edges() == 12


def test_a_large_graph_stays_small_on_disk(tmp_path: Path, graph: ExplanatoryGraph) -> None:
    graph = replace(
        graph, layers=tuple(layer(i, name=(LOW, HIGH)[i], last=i > 0, filters=1200, nodes=3) for i in range(2))
    )
    assert all(len(one.best()) > STRONGEST for one in graph.layers)
    read = networkx.read_graphml(write_graph(graph, tmp_path / "big.graphml"))
    assert len(read) == 2 * STRONGEST
    assert 0 < read.number_of_edges() <= 5 * STRONGEST
    assert read.graph["nodes"] == graph.nodes


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("graph.graphmk", "written as .graphml or .json, not .graphmk; nearest: "),
        ("graph.png", "written as .graphml or .json, not .png"),
        ("graph", "and this has no ending"),
        ("folder.json", "is a folder"),
        ("nowhere/graph.json", "there is no folder"),
    ],
)
def test_a_place_that_is_none_is_one_line(tmp_path: Path, graph: ExplanatoryGraph, name: str, said: str) -> None:
    (tmp_path / "folder.json").mkdir()
    for attempt in (lambda: check_path(tmp_path / name), lambda: write_graph(graph, tmp_path / name)):
        with pytest.raises(ResultError, match=said.replace(".", r"\.")):
            attempt()


def test_what_cannot_be_written_is_one_line_and_leaves_nothing(
    tmp_path: Path, graph: ExplanatoryGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ResultError, match=r"^cannot write .*graph\.json: No space left on device$"):
        write_graph(graph, tmp_path / "graph.json")
    assert not list(tmp_path.iterdir())


def test_fewer_than_one_node_is_a_mistake(graph: ExplanatoryGraph) -> None:
    with pytest.raises(ResultError, match="strongest must be at least 1"):
        to_networkx(graph, strongest=0)
