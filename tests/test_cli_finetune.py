"""``interpkit finetune``: the command line, the lines it prints, and how it refuses."""

import inspect
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from class_sets import folder_set, landmark_set, listed_set
from commands import Run, refused, runner
from made_comparison import comparison, small_finetuning

from interpkit.cli import app
from interpkit.cli._finetune import DISSECTED, TRAINING, read_settings
from interpkit.cli._shown import show
from interpkit.finetuning import finetune
from interpkit.holding import Held
from interpkit.models import load_model
from interpkit.studies import before_after

NETWORK = ["finetune", "python:networks:tiny", "--size", "16", "--layer", "body"]
SHORT = ["--epochs", "2", "--batch-size", "8", "--threads", "1", "--validation", "0.5"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return runner(capsys)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Label sets: with landmarks, with label maps, with one class, without any."""
    root = tmp_path_factory.mktemp("stock")
    landmark_set(root / "marks", images=36)
    listed_set(root / "set", images=12)
    listed_set(root / "one", images=4, classes=["red"] * 4)
    folder_set(root / "two", {"red": 6, "blue": 6})
    return root


def about(folder: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(Path(folder, "result.json").read_text())
    return document


# --- the signature is the configuration


def test_flags_are_the_signature() -> None:
    command = next(one.callback for one in app.registered_commands if one.name == "finetune")
    assert command is not None
    flags = {name: one.default for name, one in inspect.signature(command).parameters.items()}
    of_training = inspect.signature(finetune).parameters
    keywords = {name: one.default for name, one in of_training.items() if one.kind is one.KEYWORD_ONLY}
    keywords.pop("progress")
    # The options of a loss are its own: on the command line each is a --set.
    assert (keywords.pop("options"), flags["settings"]) == (None, None)
    assert set(TRAINING) == set(keywords)
    assert {name: flags[name] for name in keywords} == keywords
    assert flags["dissect_labels"] == inspect.signature(before_after).parameters["dissect_labels"].default == DISSECTED


def test_settings_are_read_as_what_they_are() -> None:
    given = ["tau=paper", "c = 2", "beta=4.5", "learn-beta=True", "clamp=false", "name=[1]", "where=a=b"]
    found = read_settings(given)
    assert found == {
        "tau": "paper",
        "c": 2,
        "beta": 4.5,
        "learn_beta": True,
        "clamp": False,
        "name": "[1]",
        "where": "a=b",
    }
    assert isinstance(found["c"], int)
    assert read_settings(None) is read_settings([]) is None


@pytest.mark.parametrize("given", [["tau"], ["=3"], ["tau="], ["tau=1", "tau=2"], ["learn-beta=1", "learn_beta=0"]])
def test_settings_that_are_none_are_refused(given: list[str]) -> None:
    with pytest.raises(typer.BadParameter, match=r"NAME=VALUE|twice"):
        read_settings(given)


# --- what is printed


def test_a_training_in_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show(replace(small_finetuning(), warnings=("class beaver has 3 images",)))
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "model added.act on my set: 60 images",
        "  loss icnn: accuracy 80.0% on 15 validation images after 8 epochs (before 30.0%, always the commonest class "
        "40.0%)",
        "  outputs: largest probability 70.0%, entropy 0.600 nats, margin 2.500",
        "  class beaver has 3 images",
    ]


def test_a_comparison_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    made = comparison(warnings=("few images",), skipped=())
    missing = replace(made.measures[4], after=math.nan)
    show(replace(made, measures=(*made.measures[:4], missing, *made.measures[5:])))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "model added.act on my set: 15 images"
    assert lines[1].split() == ["ordinary", "interpretable", "change", "by", "chance"]
    assert lines[2].split() == ["Accuracy", "80.0%", "79.0%", "-1.0", "points", "40.0%", "about", "the", "same"]
    assert lines[6].split() == ["Mutual", "information", "score", "0.222", "none", "none", "0.007", "/", "0.006"]
    detectors = next(line for line in lines if line.startswith("  Detectors"))
    assert detectors.endswith("about the same, short of chance")
    assert lines[-1] == "  few images"
    assert "nan" not in "".join(lines)


# --- trainings


def test_it_trains_and_prints_the_answer(run: Run, stock: Path) -> None:
    command = [*NETWORK, "--labels", stock / "marks", *SHORT, "--set", "tau=paper", "--set", "beta=3"]
    status, out, err = run(*command, "--out", "r", "--no-report")
    assert status == 0, err
    lines = out.splitlines()
    assert lines[0].endswith("added.act on marks: 36 images")
    assert lines[1].startswith("  loss icnn: accuracy ")
    assert lines[-1] == "r"
    assert {"weights.safetensors", "recipe.json"} <= {path.name for path in Path("r").iterdir()}
    recipe = json.loads(Path("r/recipe.json").read_text())
    assert recipe["loss"]["options"]["tau"] == "paper"
    assert recipe["loss"]["options"]["beta"] == 3
    assert load_model("r", trust=True).form == "finetuned"
    words = str(about("r/added.act-finetune")["provenance"]["command"]).split()  # type: ignore[index]
    assert run(*words[1:], "--out", "again", "--no-report")[0] == 0
    assert Path("again/weights.safetensors").read_bytes() == Path("r/weights.safetensors").read_bytes()


def test_json_keeps_the_streams_clean(run: Run, stock: Path) -> None:
    command = [*NETWORK, "--labels", stock / "two", *SHORT, "--loss", "none", "--no-report"]
    status, out, err = run(*command, "--json", "--quiet")
    assert (status, err) == (0, "")
    document = json.loads(out)
    # The default folder is that of the model, the labels and the loss.
    assert (document["run"], document["report"]) == ("reports/tiny-two-none", None)
    assert document["layers"][0]["loss"] == "none"
    assert document["layers"] == [about("reports/tiny-two-none/added.act-finetune")["summary"]]


def test_before_and_after_ends_with_its_page(run: Run, stock: Path) -> None:
    command = [*NETWORK, "--labels", stock / "marks", *SHORT, "--before-after", "--dissect-labels", stock / "set"]
    status, out, err = run(*command, "--out", "r")
    assert status == 0, err
    lines = out.splitlines()
    assert lines[-1] == "r/index.html"
    assert [line.split()[0] for line in lines[2:6]] == ["Accuracy", "Detectors", "Unique", "Best"]
    for page in ("r/index.html", "r/ordinary/index.html", "r/interpretable/index.html"):
        assert Path(page).is_file()
    words = str(about("r/added.act-compare")["provenance"]["command"]).split()  # type: ignore[index]
    status, again, err = run(*words[1:], "--out", "again", "--no-report", "--json", "--quiet")
    assert (status, err) == (0, "")
    first, second = about("r/added.act-compare")["summary"], json.loads(again)["layers"][0]
    for name in ("accuracy", "template", "margin"):
        one, other = (summary["measures"][name] for summary in (first, second))  # type: ignore[index]
        assert (other["before"], other["after"]) == (pytest.approx(one["before"]), pytest.approx(one["after"]))


def test_a_study_in_use_is_one_line(run: Run, stock: Path) -> None:
    folder = Path("reports/tiny-two-icnn-before-after")
    folder.mkdir(parents=True)
    command = [*NETWORK, "--labels", stock / "two", *SHORT, "--before-after", "--dissect-labels", "none"]
    with Held(folder, doing="another study"):
        assert "is in use by process" in refused(run, *command)


def test_a_study_without_a_dissection(run: Run, stock: Path) -> None:
    command = [*NETWORK, "--labels", stock / "two", *SHORT, "--epochs", "1", "--before-after", "--no-report"]
    status, out, err = run(*command, "--dissect-labels", "none", "--quiet")
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "reports/tiny-two-icnn-before-after"
    assert "Detectors" not in out


def test_a_finished_training_is_resumed_at_once_and_not_overwritten_unasked(run: Run, stock: Path) -> None:
    command = [*NETWORK, "--labels", stock / "two", *SHORT, "--epochs", "1", "--no-report", "--out", "r"]
    status, out, _ = run(*command)
    assert status == 0
    status, again, err = run(*command)
    assert (status, again) == (0, out)
    assert err.splitlines()[-1] == "already done: r holds this training"
    # A process was killed while it drew the page; and another one draws it.
    Path("r/.held").write_bytes(b"")
    Path("r/.index.html.123").write_bytes(b"half")
    drawn = [word for word in command if word != "--no-report"]
    assert run(*drawn)[0] == 0
    assert not [path.name for path in Path("r").iterdir() if path.name.startswith(".")]
    with Held(Path("r"), doing="drawing"):
        assert "(drawing)" in refused(run, *drawn)
    assert run(*command, "--resume")[:2] == (0, out)
    assert run(*command, "--overwrite")[:2] == (0, out)
    said = refused(run, *command, "--resume", "--rate", "0.01")
    assert "rate: 0.001 there, 0.01 asked for" in said
    said = refused(run, *command, "--rate", "0.01")
    assert "already holds" in said
    assert said.endswith("(--overwrite); it differs: rate: 0.001 there, 0.01 asked for")


def test_the_page_is_that_of_the_training(run: Run, stock: Path) -> None:
    """Built again where the training is done already, and gone with the training that it showed."""
    command = [*NETWORK, "--labels", stock / "two", *SHORT, "--epochs", "1", "--out", "r"]
    assert run(*command)[0] == 0
    page = Path("r/index.html")
    page.unlink()
    assert run(*command)[0] == 0
    assert page.is_file()
    assert run(*command, "--seed", "1", "--overwrite", "--no-report")[0] == 0
    assert not page.exists()


# What a user can get wrong, and a part of the line that says so.
WRONG = {
    "loss": (["--loss", "icn"], "no loss 'icn'; there is class-gate, icnn, none; nearest: icnn"),
    "loss option": (["--set", "taus=2"], "tau"),
    "setting": (["--set", "tau"], "is not NAME=VALUE"),
    "one class": (["--labels", "one"], "only one class"),
    "unknown labels": (["--labels", "broden-mni"], "broden-mini"),
    "layer": (["--layer", "boddy"], "body"),
    "no layer": (["--layer", ""], "not empty; leave --layer out for the default"),
    "two weights": (
        ["--set", "weight=2", "--weight", "3"],
        "asked for twice, weight 3 and among its options (--set) 2",
    ),
    "train from": (["--train-from", "boddy"], "body"),
    "head": (["--head", "pool"], "nearest: pooled"),
    "augment": (["--augment", "flips"], "nearest: flip"),
    "schedule": (["--rate-schedule", "cosin"], "nearest: cosine"),
    "precision": (["--precision", "8"], "32, bf16, 16"),
    "epochs": (["--epochs", "0"], "epochs must be at least 1"),
    "epochs word": (["--epochs", "many"], "'--epochs'"),
    "rate": (["--rate", "-1"], "positive number"),
    "validation": (["--validation", "1"], "between 0 and 1"),
    "filters": (["--no-add-layer", "--train-from", "body", "--filters", "3"], "filters"),
    "control": (["--before-after", "--loss", "none"], "which loss none is itself"),
    "dissect labels": (["--before-after", "--dissect-labels", "nowhere"], "nowhere"),
    "both": (["--resume", "--overwrite"], "one of the two"),
    "option": (["--pool", "max"], "--pool"),
    "model": (["--model", "nowhere.pt"], "nowhere.pt"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_mistake_is_one_line(run: Run, stock: Path, what: str) -> None:
    arguments, said = WRONG[what]
    command = [*NETWORK, *SHORT, "--out", "r", "--no-report"]
    if "--model" in arguments:
        command[1], arguments = arguments[1], []
    labels = "two"
    if arguments[:1] == ["--labels"]:
        labels, arguments = arguments[1], []
    command += ["--labels", str(stock / labels) if (stock / labels).is_dir() else labels]
    assert said in refused(run, *command, *arguments)
    assert not Path("r").exists()
