"""``interpkit graph``: the command line, the lines it prints, the files it writes, and how it refuses."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import networkx
import pytest
from class_sets import landmark_set, listed_set
from commands import Run, refused, runner
from made_graph import graph as made_graph
from made_graph import without_landmarks

from interpkit.cli._job import GRAPH
from interpkit.cli._shown import show
from interpkit.export import STRONGEST, to_networkx
from interpkit.results import load

NETWORK = ["graph", "python:networks:tiny", "--size", "32"]
LAYERS = ["--layer", "act#1,act#2"]
SHORT = ["--nodes", "3,2", "--edges", "2", "--iterations", "3", "--shots", "1,2", "--align", "half-pixel"]
FED = ["--batch-size", "8", "--memory-format", "contiguous", "--threads", "1"]
FOLDER = "act-2--act-1-graph"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return runner(capsys)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Label sets: with landmarks and classes, with classes, with landmarks alone; no test changes them."""
    root = tmp_path_factory.mktemp("stock")
    landmark_set(root / "marks", images=40)
    landmark_set(root / "plain", images=16, classes=False)
    listed_set(root / "set", images=30)
    return root


def about(folder: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(Path(folder, FOLDER, "result.json").read_text())
    return document


# --- the lines that show a graph


def test_a_graph_in_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    graph = made_graph(("low", "middle", "top"))
    assert graph.evaluation is not None
    table = graph.evaluation.localisation
    # A mean over the landmarks.
    table.loc[(table["landmark"] == table["landmark"].iloc[0]) & (table["shots"] == 1), "error"] += 0.02
    show(graph, best=3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "model top, middle, low on my set: 40 images"
    assert lines[1] == "  96 part patterns in 3 layers of class beast; 25 images held out"
    assert "100 strongest on held-out images" in lines[2]
    assert lines[3].split() == [
        "layer",
        "filters",
        "nodes",
        "idle",
        "graph",
        "no",
        "edges",
        "shuffled",
        "raw",
        "centre",
    ]
    rows = {line.split()[0]: line.split()[1:] for line in lines[4:7]}
    assert list(rows) == ["top", "middle", "low"]
    # What the topmost layer hangs on does not exist, so it has no such controls.
    assert rows["top"][4:6] == ["none", "none"]
    measured = [graph.evaluation.at("low", name) for name in ("graph", "no edges", "shuffled", "raw", "centre")]
    assert rows["low"] == ["8", "32", "1", *(f"{value:.3f}" for value in measured)]
    assert lines[8].split() == ["shots", "graph", "raw", "mean", "place", "centre"]
    assert [line.split()[0] for line in lines[9:13]] == ["1", "3", "5", "10"]
    assert lines[9].split()[1:] == ["0.100", "0.160", "0.130", "0.170"]
    best = graph.layers[-1].best(3)
    assert [line.split()[0] for line in lines[-3:]] == [f"top/{node}" for node in best]
    assert "nan" not in "".join(lines)


def test_without_landmarks_nothing_is_said_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    show(without_landmarks())
    said = capsys.readouterr().out
    assert not any(word in said for word in ("instability", "landmark", "purity", "shots", "nan", "none"))
    lines = said.splitlines()
    assert lines[2].split() == ["layer", "filters", "nodes", "idle"]


def test_without_images_held_out_those_it_was_fitted_to_are_judged(capsys: pytest.CaptureFixture[str]) -> None:
    graph = made_graph(held_out=())
    assert graph.evaluation is not None
    none = graph.evaluation.localisation.head(0)
    show(replace(graph, class_name="", evaluation=replace(graph.evaluation, localisation=none)))
    said = capsys.readouterr().out
    assert "100 strongest on training images" in said
    assert "in 3 layers; 0 images held out" in said
    assert "shots" not in said


# --- runs


def test_it_fits_writes_and_prints_the_answer(run: Run, stock: Path) -> None:
    marks = ["--labels", stock / "marks", "--class", "red"]
    status, out, err = run(*NETWORK, *LAYERS, *marks, *SHORT, *FED, "--train", "14")
    assert status == 0, err
    folder = Path("reports/tiny-marks-red")
    there = {path.name for path in (folder / FOLDER).iterdir()}
    assert {"result.json", "scores.npz", "nodes.csv", "edges.csv", "likelihood.csv"} <= there
    lines = out.splitlines()
    assert lines[0] == "tiny act#2, act#1 on marks: 14 images"
    assert lines[1].startswith("  34 part patterns in 2 layers of class red; ")
    assert lines[-1] == str(folder / "index.html")
    assert Path(lines[-1]).is_file()
    assert "nan" not in out
    status, out, _ = run("open", folder, "--no-browser")
    assert status == 0
    assert out.splitlines()[:4] == lines[:4]


def test_json_and_quiet_keep_the_streams_clean_and_the_command_repeats_the_run(run: Run, stock: Path) -> None:
    chosen = ["--labels", stock / "marks", "--class", "red", "--no-controls", "--sigma", "fused", "--seed", "3"]
    command = [*NETWORK, *LAYERS, *chosen, *SHORT, "--filters", "4", "--no-report", "--out"]
    status, out, err = run(*command, "a", *FED, "--json", "--quiet")
    assert (status, err) == (0, "")
    document = json.loads(out)
    assert (document["run"], document["report"]) == ("a", None)
    assert document["layers"] == [about("a")["summary"]]
    made = about("a")["provenance"]
    words = shlex.split(str(made["command"]))  # type: ignore[index]
    assert words[:2] == ["interpkit", "graph"]
    assert {"--class", "--no-controls"} <= set(words)
    assert words[words.index("--nodes") + 1] == "3,2"
    assert words[words.index("--shots") + 1] == "1,2"
    status, _, err = run(*words[1:], "--out", "b", "--no-report", "--quiet")
    assert status == 0, (words, err)
    for path in sorted(Path("a", FOLDER).iterdir()):
        if path.name != "result.json":
            assert path.read_bytes() == Path("b", FOLDER, path.name).read_bytes(), path.name
    status, out, err = run(*words[1:], "--out", "a", "--no-report")
    assert (status, "already done" in err) == (0, True)


def test_the_same_run_again_is_done_and_another_is_refused(run: Run, stock: Path) -> None:
    command = [*NETWORK, *LAYERS, "--labels", stock / "marks", *SHORT, *FED, "--out", "r", "--no-report"]
    assert run(*command, "--class", "red")[0] == 0
    written = {path: path.read_bytes() for path in Path("r").glob("*/*")}
    # Touched, so that what is in them decides: of the class's images alone.
    for file in (stock / "marks").rglob("*"):
        file.touch()
    # The file for other programs comes from what is there.
    status, _, err = run(*command, "--class", "red", "--export", "red.json")
    assert (status, "already done" in err) == (0, True)
    assert Path("red.json").is_file()
    assert "r holds another run (interpkit graph" in refused(run, *command, "--class", "green")
    assert "r holds another run (interpkit graph" in refused(run, *command, "--class", "red", "--edges", "1")
    assert {path: path.read_bytes() for path in Path("r").glob("*/*")} == written
    assert run(*command, "--class", "green", "--overwrite")[0] == 0
    assert about("r")["class_name"] == "green"


def test_no_layer_named_and_no_class_needed(run: Run, stock: Path) -> None:
    short = ["--edges", "2", "--iterations", "2", "--no-report"]
    status, _, err = run(*NETWORK, "--labels", stock / "plain", *short, *FED)
    assert status == 0, err
    (said,) = [line for line in err.splitlines() if line.startswith("no layer named: the default is ")]
    assert said.count(", ") >= 1
    (result,) = Path("reports/tiny-plain").glob("*-graph")
    assert load(result).class_name == ""


def test_it_is_exported_for_other_programs(run: Run, stock: Path) -> None:
    command = [*NETWORK, *LAYERS, "--labels", stock / "marks", "--class", "red", *SHORT, *FED, "--out", "r"]
    status, _, err = run(*command, "--no-report", "--export", "a.graphml", "--export", "a.json")
    assert status == 0, err
    assert "written: a.graphml" in err.splitlines()
    made = to_networkx(load(Path("r", FOLDER)), strongest=STRONGEST)
    read = networkx.read_graphml("a.graphml")
    assert dict(read.nodes(data=True)) == dict(made.nodes(data=True))
    node_link = networkx.node_link_graph(json.loads(Path("a.json").read_text()), edges="edges")
    assert set(node_link.edges) == set(made.edges) == set(read.edges)


def test_a_class_of_a_long_name_has_a_folder(run: Run, tmp_path: Path) -> None:
    name = "r" * 300
    listed_set(tmp_path / "set", images=12, classes=[name] * 12)
    status, out, err = run(*NETWORK, *LAYERS, "--labels", "set", "--class", name, *SHORT, *FED, "--no-controls")
    assert status == 0, err
    assert Path(out.splitlines()[-1]).is_file()
    assert "cannot look into" in refused(run, *NETWORK, *LAYERS, "--labels", "set", *SHORT, *FED, "--out", name)


def test_a_page_for_graphs_beside_other_results(run: Run, stock: Path) -> None:
    common = ["--labels", stock / "marks", *FED, "--out", "r"]
    status, _, err = run("parts", *NETWORK[1:], "--layer", "act#2", *common, "--no-report")
    assert status == 0, err
    status, _, err = run(*NETWORK, *LAYERS, *common, "--class", "red", *SHORT)
    assert status == 0, err
    assert {path.parent.name for path in Path("r").glob("*/result.json")} == {"act-2-parts", FOLDER}
    assert Path("r/index.html").is_file()


# --- what is refused


# What a user can get wrong, and a part of the line that says so.
WRONG = {
    "no class": ({}, "name one of marks's (--class): blue, green, red"),
    "unknown class": ({"--class": "rde"}, "no class 'rde'; nearest: red"),
    "one layer": ({"--class": "red", "--layer": "act#2"}, "two layers or more"),
    "unknown layer": ({"--class": "red", "--layer": "act#1,bdy"}, "nearest: body"),
    "few images": ({"--class": "blue"}, "has 7 images of class 'blue'; a graph takes at least 10"),
    "train": ({"--class": "red", "--train": "4"}, "train must be at least 10"),
    "nodes": ({"--class": "red", "--nodes": "3,2,1"}, "nodes has 3 numbers for 2 layers"),
    "nodes word": ({"--class": "red", "--nodes": "many"}, "'many' is not a list of whole numbers such as 20,20,40"),
    "shots word": ({"--class": "red", "--shots": "1;3"}, "'1;3' is not a list of whole numbers"),
    "noise": ({"--class": "red", "--noise": "0"}, "noise must be a positive number"),
    "rule": ({"--class": "red", "--rule": "repik"}, "nearest: repick"),
    "sigma": ({"--class": "red", "--sigma": "fuse"}, "nearest: fused"),
    "precision": ({"--class": "red", "--precision": "int8"}, "nearest: uint8"),
    "align": ({"--class": "red", "--align": "receptive"}, "nearest: receptive-field"),
    "seed": ({"--class": "red", "--seed": "-1"}, "seed must be at least 0"),
    "option": ({"--class": "red", "--radius": "2"}, "--radius"),
    "export": ({"--class": "red", "--export": "graph.graphlm"}, "nearest: graph.graphml"),
    "export ending": ({"--class": "red", "--export": "graph"}, "written as .graphml or .json, and this has no ending"),
    "export folder": ({"--class": "red", "--export": "nowhere/graph.json"}, "there is no folder nowhere"),
    "not finite": ({"--class": "red", "MODEL": "broken"}, "not finite"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_mistake_is_one_line(run: Run, stock: Path, what: str) -> None:
    given, said = WRONG[what]
    given = {"MODEL": "tiny", "--layer": "act#1,act#2", **given}
    command = ["graph", f"python:networks:{given.pop('MODEL')}", "--size", "32", "--labels", str(stock / "marks")]
    for name, value in given.items():
        command += [name, value]
    assert said in refused(run, *command, *FED, "--out", "r", "--no-report")
    assert not Path("r").exists()


def test_the_command_line_has_every_option_of_the_function() -> None:
    from inspect import signature

    from interpkit.graph import fit_graph

    keywords = {name for name, one in signature(fit_graph).parameters.items() if one.kind is one.KEYWORD_ONLY}
    assert set(GRAPH.options) == keywords - {"progress", "work"}
