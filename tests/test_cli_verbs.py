"""interpkit entangle and interpkit parts as their users meet them: what they print and write, and how they say no."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from class_sets import class_of, coloured, folder_set, landmark_set, listed_set
from commands import Run, refused, runner
from labels_on_disk import photograph, write_csv
from made_parts import partscores

from interpkit.cli._shown import show

TINY = ["python:networks:tiny", "--size", "16", "--layer", "body"]
FED = ["--batch-size", "8", "--memory-format", "contiguous"]
OUT = ["--out", "r", "--no-report", *FED]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return runner(capsys)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Label sets, those that lack something among them; no test changes them."""
    root = tmp_path_factory.mktemp("stock")
    listed_set(root / "set", images=24)
    landmark_set(root / "marks")
    for seed in range(2):
        photograph(root / "photos" / f"{seed}.png", seed=seed)
        for name in ("outside", "blank"):
            photograph(root / name / "images" / f"{'ab'[seed]}.png", seed=seed)
    header = ["image", "head_row", "head_col"]
    write_csv(root / "outside" / "landmarks.csv", header, [["a.png", 16, 3], ["b.png", 2, 2]])
    write_csv(root / "blank" / "landmarks.csv", header, [["a.png", "", ""]])
    listed_set(root / "one", images=3, classes=["red"] * 3)
    folder_set(root / "folder", {"red": 3})
    folder_set(root / "single", {"red": 3, "blue": 1})
    folder_set(root / "two", {"red": 4, "blue": 4})
    listed_set(root / "several", images=8, classes=["red", "blue", "red+blue", "blue"] * 2)
    return root


@pytest.fixture
def labels(stock: Path) -> Path:
    """Classes and part masks."""
    return stock / "set"


@pytest.fixture
def marks(stock: Path) -> Path:
    """Classes and landmarks."""
    return stock / "marks"


def about(folder: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(Path(folder, "result.json").read_text())
    return document


# --- what is printed and written


def test_entangle_writes_the_run_and_prints_the_answer(run: Run, labels: Path) -> None:
    status, out, err = run("entangle", *TINY, "--labels", labels, *OUT)
    assert status == 0, err
    listed = {path.name for path in Path("r/body-entangle").iterdir()}
    assert listed == {"result.json", "scores.npz", "units.csv", "information.csv", "gallery.json"}
    lines = out.splitlines()
    assert len(lines) <= 14
    assert lines[0] == "tiny body on set: 24 images"
    assert "3 classes; mutual information score 0." in lines[1]
    assert "permuted labels" in lines[1]
    assert lines[-1] == "r"
    assert "24 images, about" in err
    with Path("r/body-entangle/units.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    best = max(range(8), key=lambda unit: float(rows[unit]["information"]))
    shown = [line.split() for line in lines if line.split()[:1] == [str(best)]]
    assert shown[0][1:3] == [rows[best]["owner"], f"{float(rows[best]['information']):.4f}"]


def test_parts_writes_the_run_and_prints_the_answer(run: Run, marks: Path, labels: Path) -> None:
    status, out, err = run("parts", *TINY, "--labels", marks, *OUT)
    assert status == 0, err
    listed = {path.name for path in Path("r/body-parts").iterdir()}
    assert listed == {"result.json", "scores.npz", "units.csv", "gallery.json"}
    lines = out.splitlines()
    assert len(lines) <= 14
    assert lines[1].strip().startswith("location instability 0.")
    assert "random 0." in lines[1]
    assert "maps kept: disk" in err
    assert "nan" not in out
    status, out, err = run("parts", *TINY, "--labels", labels, "--out", "masks", "--no-report", *FED)
    assert status == 0, err
    assert "part interpretability" in out
    assert "no landmarks" in out


def test_what_is_not_known_is_not_called_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    one = partscores(8)
    assert one.stability is not None
    unknown = replace(one.stability, explained=np.full_like(one.stability.explained, np.nan))
    show(replace(one, stability=unknown))
    out = capsys.readouterr().out
    assert "nan" not in out
    assert out.count("none") >= 5


@pytest.mark.parametrize("verb", ["entangle", "parts"])
def test_the_default_folder_is_that_of_the_model_the_labels_and_the_layer(run: Run, labels: Path, verb: str) -> None:
    status, _, err = run(verb, "python:networks:tiny", "--size", "16", "--labels", labels, "--no-report", *FED)
    assert status == 0
    assert "no layer named: the default is body" in err
    assert Path(f"reports/tiny-set-body/body-{verb}/result.json").is_file()


@pytest.mark.parametrize("verb", ["entangle", "parts"])
def test_quiet_and_json_keep_the_streams_clean(run: Run, labels: Path, verb: str) -> None:
    status, out, err = run(verb, *TINY, "--labels", labels, *OUT, "--json", "--quiet")
    assert (status, err) == (0, "")
    document = json.loads(out)
    assert (document["run"], document["report"]) == ("r", None)
    assert document["layers"] == [about(f"r/body-{verb}")["summary"]]
    assert document["layers"][0]["verb"] == verb


@pytest.mark.parametrize("verb", ["entangle", "parts"])
def test_several_layers_share_a_run(run: Run, labels: Path, verb: str) -> None:
    options = ["--size", "16", "--labels", labels, *OUT, "--json"]
    status, out, _ = run(verb, "python:networks:tiny", "--layer", "stem,body", "--layer", "act#2", *options)
    assert status == 0
    assert [layer["layer"] for layer in json.loads(out)["layers"]] == ["stem", "body", "act#2"]
    there = {path.parent.name for path in Path("r").glob("*/result.json")}
    assert there == {f"stem-{verb}", f"body-{verb}", f"act-2-{verb}"}
    layers = ["--layer", "stem,body,act#2"]
    status, again, err = run(verb, "python:networks:tiny", *layers, *options)
    assert (status, "already done" in err) == (0, True)
    assert again == out


REPEATED = {
    "entangle": ["--pool", "max", "--rectify", "yes", "--with", "ablation,compression", "--class-limit", "2"],
    "parts": ["--top", "5", "--radius", "2.5", "--align", "receptive-field", "--limit", "20"],
}


@pytest.mark.parametrize("verb", REPEATED)
def test_the_printed_command_repeats_the_run(run: Run, labels: Path, verb: str) -> None:
    command = [verb, *TINY, "--labels", labels, *REPEATED[verb], "--no-report", "--seed", "3"]
    assert run(*command, "--out", "a")[0] == 0
    words = str(about(f"a/body-{verb}")["provenance"]["command"]).split()  # type: ignore[index]
    assert words[:2] == ["interpkit", verb]
    assert run(*words[1:], "--out", "b", "--no-report")[0] == 0
    files = sorted(path.name for path in Path(f"a/body-{verb}").iterdir())
    for name in files:
        if name != "result.json":
            assert Path(f"a/body-{verb}", name).read_bytes() == Path(f"b/body-{verb}", name).read_bytes(), name
    assert about(f"a/body-{verb}")["summary"] == about(f"b/body-{verb}")["summary"]
    status, _, err = run(*words[1:], "--out", "a", "--no-report")
    assert (status, "already done" in err) == (0, True)


def test_analyses_are_printed_and_kept(run: Run, labels: Path) -> None:
    command = ["entangle", *TINY, "--labels", labels, *OUT, "--with", "ablation", "--with", "compression"]
    status, out, err = run(*command)
    assert status == 0, err
    assert "recall lost without a class's own units" in out
    document = about("r/body-entangle")
    assert document["ablation"] is not None
    assert document["compression"] is not None
    assert "pooled activations of body" in str(document["head"])
    assert "--with ablation,compression" in str(document["provenance"])


def test_the_network_s_own_answers_may_be_the_classes(run: Run, tmp_path: Path) -> None:
    for seed in range(12):
        coloured(tmp_path / "photos" / f"{seed:02d}.png", class_of(seed), seed=seed)
    command = ["entangle", "python:networks:tiny", "--size", "16", "--layer", "body", "--labels", "photos", *OUT]
    assert "has no classes" in refused(run, *command)
    # The little network gives one answer to all of them, which is said.
    assert "--target prediction needs at least two" in refused(run, *command, "--target", "prediction")


# --- runs beside each other


def test_three_verbs_live_in_one_folder(run: Run, labels: Path) -> None:
    for verb in ("dissect", "entangle", "parts"):
        status, _, err = run(verb, *TINY, "--labels", labels, *OUT)
        assert status == 0, err
    assert {path.parent.name for path in Path("r").glob("*/result.json")} == {"body", "body-entangle", "body-parts"}
    written = {path: path.read_bytes() for path in Path("r").glob("*/*")}
    for verb in ("dissect", "entangle", "parts"):
        status, out, err = run(verb, *TINY, "--labels", labels, *OUT)
        assert (status, "already done" in err) == (0, True)
        assert out.startswith("tiny body on set: 24 images")
    assert {path: path.read_bytes() for path in Path("r").glob("*/*")} == written


def test_one_page_shows_all_verbs(run: Run, labels: Path) -> None:
    for verb in ("dissect", "entangle", "parts"):
        command = [verb, *TINY, "--labels", labels, "--out", "r", *FED]
        status, out, err = run(*command)
        assert status == 0, err
        assert out.splitlines()[-1] == "r/index.html"
    status, out, _ = run("open", "r", "--no-browser")
    assert status == 0
    for words in ("detect a concept", "mutual information score", "template information"):
        assert words in out
    status, out, _ = run("open", "r", "--no-browser", "--json")
    assert [one.get("verb", "dissect") for one in json.loads(out)] == ["dissect", "entangle", "parts"]


def pictures() -> set[str]:
    return {path.name for path in Path("r/images").iterdir()}


@pytest.mark.parametrize("verb", ["entangle", "parts"])
def test_overwriting_one_verb_leaves_the_others_and_their_pictures(run: Run, labels: Path, verb: str) -> None:
    from interpkit.results import picture_file

    for one in ("dissect", "entangle", "parts"):
        assert run(one, *TINY, "--labels", labels, *OUT, "--limit", "24" if one != "dissect" else "3")[0] == 0
    kept = [path for path in Path("r").glob("*/*") if path.parent.name not in {f"body-{verb}", "images"}]
    before = {path: path.read_bytes() for path in kept}
    assert "holds another run" in refused(run, verb, *TINY, "--labels", labels, *OUT, "--limit", "20")
    assert run(verb, *TINY, "--labels", labels, *OUT, "--limit", "20", "--overwrite")[0] == 0
    assert {path: path.read_bytes() for path in kept} == before
    assert about(f"r/body-{verb}")["images"] == 20
    listed = [about(f"r/{name}")["pictures"] for name in ("body", "body-entangle", "body-parts")]
    assert pictures() == {picture_file(name) for names in listed for name in names}  # type: ignore[attr-defined]


def test_a_layer_that_another_verb_does_not_know_may_be_added(run: Run, labels: Path) -> None:
    options = ["--size", "16", "--labels", labels, *OUT]
    assert run("dissect", "python:networks:tiny", "--layer", "stem,body", *options)[0] == 0
    assert run("entangle", "python:networks:tiny", "--layer", "body", *options)[0] == 0
    assert run("parts", "python:networks:tiny", "--layer", "stem", *options)[0] == 0
    there = {path.parent.name for path in Path("r").glob("*/result.json")}
    assert there == {"stem", "body", "body-entangle", "stem-parts"}
    said = refused(run, "entangle", "python:networks:tiny", "--layer", "stem", *options)
    assert "holds another run" in said


@pytest.mark.parametrize("verb", ["entangle", "parts"])
def test_another_network_or_set_in_that_folder_is_refused(run: Run, labels: Path, marks: Path, verb: str) -> None:
    assert run("dissect", *TINY, "--labels", labels, *OUT)[0] == 0
    leaky = ["python:networks:leaky", "--size", "16", "--layer", "body"]
    assert "r holds another run (interpkit dissect" in refused(run, verb, *leaky, "--labels", labels, *OUT)
    assert "r holds another run (interpkit dissect" in refused(run, verb, *TINY, "--labels", marks, *OUT)
    assert not Path(f"r/body-{verb}").exists()
    # Overwriting it takes the whole folder: what lay there was of another network.
    assert run(verb, *leaky, "--labels", labels, *OUT, "--overwrite")[0] == 0
    assert {path.parent.name for path in Path("r").glob("*/result.json")} == {f"body-{verb}"}


@pytest.mark.parametrize("verb", ["entangle", "parts"])
def test_another_run_of_the_verb_is_refused_and_may_be_overwritten(run: Run, labels: Path, verb: str) -> None:
    command = [verb, *TINY, "--labels", labels, *OUT]
    assert run(*command)[0] == 0
    written = Path(f"r/body-{verb}/result.json").read_bytes()
    assert "holds another run" in refused(run, *command, "--seed", "1")
    assert Path(f"r/body-{verb}/result.json").read_bytes() == written
    assert run(*command, "--seed", "1", "--overwrite")[0] == 0
    assert about(f"r/body-{verb}")["provenance"]["seed"] == 1  # type: ignore[index]


def test_layers_whose_results_would_share_a_folder_are_refused(run: Run, labels: Path) -> None:
    for verb in ("entangle", "parts"):
        said = refused(run, verb, "python:networks:twins", "--size", "16", "--layer", "a:b,a b", "--labels", labels)
        assert "'a:b' and 'a b' would share the folder a-b" in said


# --- what is refused


# What a user can get wrong, and a part of the line that says so.
WRONG = {
    "target": ("entangle", ["--target", "labels"], "nearest: label"),
    "pool": ("entangle", ["--pool", "mena"], "nearest: mean"),
    "rectify": ("entangle", ["--rectify", "maybe"], "auto, yes, no"),
    "estimator": ("entangle", ["--estimator", "histograms"], "nearest: histogram"),
    "analysis": (
        "entangle",
        ["--with", "ablaton"],
        "no analysis 'ablaton'; there is ablation, compression",
    ),
    "second analysis": ("entangle", ["--with", "ablation,cam"], "no analysis 'cam'"),
    "class limit": ("entangle", ["--class-limit", "1"], "class_limit must be at least 2"),
    "entangle layer": ("entangle", ["--layer", "boddy"], "body"),
    "entangle seed": ("entangle", ["--seed", "-1"], "seed must be at least 0"),
    "entangle split": ("entangle", ["--split", "test"], "train, val"),
    "entangle limit": ("entangle", ["--limit", "1"], "only one class"),
    "no classes": ("entangle", ["--labels", "photos"], "add classes.csv with columns image and class"),
    "one class": ("entangle", ["--labels", "one"], "has only one class, 'red'; it takes at least 2"),
    "one folder": ("entangle", ["--labels", "folder"], "one folder a class, at least two"),
    "a single image": ("entangle", ["--labels", "single"], "class 'blue' has only one image, blue/00.png"),
    "no object masks": (
        "entangle",
        ["--with", "localisation", "--labels", "two"],
        "localisation needs masks",
    ),
    "several classes": ("entangle", ["--with", "adversarial", "--labels", "several"], "one class an image"),
    "entangle option": ("entangle", ["--radius", "3"], "--radius"),
    "nan": ("entangle", ["--model", "broken"], "not finite"),
    "landmarks outside": (
        "parts",
        ["--labels", "outside"],
        "head of a.png at row 16, column 3 lies outside",
    ),
    "no landmark": ("parts", ["--labels", "blank"], "none of its 1 images has a landmark"),
    "align": ("parts", ["--align", "halfpixel"], "nearest: half-pixel"),
    "top": ("parts", ["--top", "1"], "top must be at least 2"),
    "radius": ("parts", ["--radius", "-3"], "radius must be a positive number"),
    "radius word": ("parts", ["--radius", "wide"], "'--radius'"),
    "cache": ("parts", ["--cache", "tape"], "auto, ram, disk, none"),
    "no cache": ("parts", ["--cache", "none"], "have to be kept"),
    "scratch": ("parts", ["--cache", "disk", "--scratch", "nowhere"], "nowhere"),
    "one cell": ("parts", ["--layer", "head"], "1 x 1"),
    "parts nan": ("parts", ["--model", "broken"], "not finite"),
    "parts option": ("parts", ["--pool", "max"], "--pool"),
    "missing file": ("parts", ["--model", "nowhere.pt"], "nowhere.pt"),
    "unknown labels": ("parts", ["--labels", "broden-mni"], "broden-mini"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_mistake_is_one_line(run: Run, stock: Path, what: str) -> None:
    verb, arguments, said = WRONG[what]
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    model = given.pop("--model", "tiny")
    command = [verb, model if model.endswith(".pt") else f"python:networks:{model}", "--size", "16"]
    named = given.pop("--labels", "set")
    command += ["--labels", str(stock / named) if (stock / named).is_dir() else named]
    for name, value in {"--layer": "body", **given}.items():
        command += [name, value]
    assert said in refused(run, *command, *OUT)
    assert not Path("r").exists()


@pytest.mark.parametrize("verb", ["entangle", "parts"])
def test_unreadable_images_can_be_skipped(run: Run, tmp_path: Path, verb: str) -> None:
    marks = landmark_set(tmp_path / "marks").root
    (marks / "images" / "02.png").write_bytes(b"no image")
    command = [verb, *TINY, "--labels", marks, *OUT]
    assert "02.png" in refused(run, *command)
    status, out, err = run(*command, "--skip-bad")
    assert status == 0, err
    assert "1 image could not be read: 02.png" in out
    assert about(f"r/body-{verb}")["skipped"] == ["02.png"]


def test_images_without_a_class_are_counted_on_the_page_and_here(run: Run, tmp_path: Path) -> None:
    listed_set(tmp_path / "set", images=24, classes=[class_of(i) if i % 6 else "" for i in range(24)])
    status, out, _ = run("entangle", *TINY, "--labels", "set", *OUT)
    assert status == 0
    assert "4 images of set have no class and are left out" in out


def test_what_fails_late_leaves_nothing(run: Run, labels: Path) -> None:
    said = refused(run, "entangle", *TINY, "--labels", labels, *OUT, "--with", "localisation")
    assert "localisation needs masks of the classes" in said
    assert not Path("r").exists()
