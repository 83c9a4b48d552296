"""What of a folder is a training's own, and what nobody may touch."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from made_finetuning import SHORT, SIZE, CutOffError, colours, cut_off, net, same_weights, trained
from safetensors.torch import save_file

from interpkit.errors import InterpkitError, ResultError
from interpkit.finetuning import _job, finetune
from interpkit.finetuning._folder import KIND
from interpkit.holding import Held, InUseError
from interpkit.labels import LabelSet
from interpkit.models import load_model
from interpkit.models.finetuned import read_recipe
from interpkit.report import build
from interpkit.results import load

ONE = {"epochs": 1}


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> LabelSet:
    return colours(tmp_path_factory.mktemp("labels") / "set")


def held(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


def said(work: Callable[[], object]) -> str:
    with pytest.raises(InterpkitError) as error:
        work()
    assert "\n" not in str(error.value)
    return str(error.value)


# --- whose files they are

FOREIGN: dict[str, Callable[[Path], object]] = {
    "a state dict": lambda out: torch.save(net().state_dict(), out / "checkpoint.pt"),
    "anything": lambda out: (out / "checkpoint.pt").write_bytes(b"mine"),
    "a dictionary": lambda out: torch.save({"format": 1}, out / "checkpoint.pt"),
    "no tensors": lambda out: torch.save({"format": 1, "what": Path}, out / "checkpoint.pt"),
    "weights": lambda out: save_file(net().state_dict(), out / "weights.safetensors"),
    "a recipe": lambda out: (out / "recipe.json").write_text('{"flour": 3}'),
    "a damaged recipe": lambda out: (out / "recipe.json").write_text(f'{{"kind": "{KIND}"'),
    "photographs": lambda out: [(out / "images").mkdir(), (out / "images" / "me.jpg").write_bytes(b"")],
    "a page": lambda out: (out / "index.html").write_text("<p>mine"),
    "a folder": lambda out: (out / "photos-finetune").mkdir(),
    "a part": lambda out: (out / ".checkpoint.pt.mine").write_text(""),
}


@pytest.mark.parametrize("what", FOREIGN)
@pytest.mark.parametrize("asked", [{}, {"resume": True}, {"overwrite": True}], ids=str)
def test_files_of_others_are_left_alone_whatever_their_names(labels, tmp_path, what, asked):
    FOREIGN[what](tmp_path)
    before = held(tmp_path)
    words = said(lambda: trained(labels, tmp_path, **ONE, **asked))
    assert "left alone; " in words
    assert "choose another folder" in words
    # torch's own advice is to read the file in the way that runs code.
    assert "weights_only" not in words
    assert "overwrite" not in words
    assert held(tmp_path) == before


def test_a_foreign_file_beside_a_trained_network_stops_too(labels, tmp_path):
    trained(labels, tmp_path / "out", **ONE)
    (tmp_path / "out" / "checkpoint.pt").write_bytes(b"mine")
    before = held(tmp_path)
    assert "holds a checkpoint.pt that no training wrote" in said(
        lambda: trained(labels, tmp_path / "out", **ONE, overwrite=True)
    )
    assert held(tmp_path) == before


def test_only_what_a_training_wrote_is_cleared(labels, tmp_path):
    out = tmp_path / "out"
    trained(labels, out, **ONE, layer="stage2")
    build(out)
    other = net().state_dict()
    torch.save(other, out / "best.pt")
    mine = {"photos-finetune/one.txt": b"mine", "notes-finetune": b"mine", "images/mine.jpg": b"mine"}
    (out / "photos-finetune").mkdir()
    for name, content in mine.items():
        (out / name).write_bytes(content)
    mine["best.pt"] = (out / "best.pt").read_bytes()
    first = {name for name in held(out) if name.startswith("images/")} - set(mine)
    result = trained(labels, out, **ONE, seed=3, head="classifier", overwrite=True)
    assert mine.items() <= held(out).items()
    listed = {f"images/{one.name}" for one in (out / "images").iterdir()} - set(mine)
    assert len(listed) == len(result.pictures)
    assert first - listed
    results = sorted(one.name for one in out.iterdir() if one.is_dir() and one.name.startswith(("added", "stage")))
    assert results == ["stage1.added.act-finetune"]
    assert not (out / "index.html").exists()


def test_a_page_of_the_users_own_stays(labels, tmp_path):
    out = tmp_path / "out"
    trained(labels, out, **ONE)
    (out / "index.html").write_text("<p>mine")
    trained(labels, out, **ONE, seed=1, overwrite=True)
    assert (out / "index.html").read_text() == "<p>mine"


def test_results_of_others_stay_with_their_pictures(labels, tmp_path):
    """Also where one is called as a training's would be."""
    out = tmp_path / "out"
    trained(labels, out, **ONE)
    (out / "theirs-finetune").mkdir()
    about = json.loads((out / "added.act-finetune" / "result.json").read_text())
    about["provenance"]["verb"] = "parts"
    (out / "theirs-finetune" / "result.json").write_text(json.dumps(about))
    shown = {one.name for one in (out / "images").iterdir()}
    trained(labels, out, **ONE, seed=3, overwrite=True)
    assert shown <= {one.name for one in (out / "images").iterdir()}


# --- the network that training starts from


def written(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True)
    state = net(norm=False).state_dict()
    path = folder / name
    if name.endswith(".safetensors"):
        save_file(state, path)
    else:
        torch.save(net(norm=False) if name == "whole.pt" else state, path)
    return path


@pytest.mark.parametrize("name", ["weights.safetensors", "checkpoint.pt", "whole.pt", "below/net.pt"])
@pytest.mark.parametrize("asked", [{}, {"resume": True}, {"overwrite": True}], ids=str)
def test_the_base_may_not_lie_in_the_folder(labels, tmp_path, monkeypatch, name, asked):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.chdir(tmp_path)
    path = written((tmp_path / "out" / name).parent, Path(name).name)
    arch = None if "whole" in name else "python:made_finetuning:net_without_norm"
    model = load_model(path.relative_to(tmp_path), arch=arch, trust=True, size=SIZE)
    before = held(tmp_path)
    words = said(lambda: finetune(model, labels, tmp_path / "out", **{**SHORT, **ONE, **asked}))
    assert "the network that training starts from" in words
    assert held(tmp_path) == before


def test_a_trained_network_inside_the_folder_is_a_base_too(labels, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    model = load_model("python:made_finetuning:net_without_norm", size=SIZE)
    finetune(model, labels, tmp_path / "out", **{**SHORT, **ONE})
    finetune(model, labels, tmp_path / "out" / "inner", **{**SHORT, **ONE})
    again = load_model(tmp_path / "out" / "inner", trust=True)
    words = said(lambda: finetune(again, labels, tmp_path / "out", **{**SHORT, **ONE, "layer": None}, overwrite=True))
    assert "holds" in words


# --- cut off before there is a state


def stopping(stage: str, done: int, total: int) -> None:
    if stage in {"features", "images"}:
        raise CutOffError


def test_a_first_training_cut_off_early_leaves_nothing(labels, tmp_path):
    with pytest.raises(CutOffError):
        trained(labels, tmp_path / "runs" / "out", progress=stopping, **ONE)
    assert list(tmp_path.iterdir()) == []


def test_the_old_training_stays_until_the_new_one_has_a_state(labels, tmp_path):
    out = tmp_path / "out"
    trained(labels, out, **ONE)
    build(out)
    before = held(out)
    with pytest.raises(CutOffError):
        trained(labels, out, **ONE, seed=1, overwrite=True, progress=stopping)
    assert held(out) == before
    with cut_off(1), pytest.raises(CutOffError):
        trained(labels, out, **ONE, seed=1, overwrite=True)
    assert list(held(out)) == ["checkpoint.pt"]


def test_cut_off_between_the_first_state_and_the_clearing(labels, tmp_path, monkeypatch):
    out = tmp_path / "out"
    trained(labels, out, **ONE, layer="stage2", head="classifier")
    trained(labels, tmp_path / "whole", **ONE)

    def fail(_folder: Path) -> None:
        raise CutOffError

    with monkeypatch.context() as patched:
        patched.setattr(_job, "clear", fail)
        with pytest.raises(CutOffError):
            trained(labels, out, **ONE, overwrite=True)
    trained(labels, out, **ONE, resume=True)
    assert same_weights(out, tmp_path / "whole")
    assert sorted(one.name for one in out.iterdir()) == sorted(one.name for one in (tmp_path / "whole").iterdir())


@pytest.mark.parametrize("asked", [{}, {"resume": True}, {"overwrite": True}], ids=str)
def test_what_killed_processes_left_is_in_nobodys_way(labels, tmp_path, asked):
    made = tmp_path / "made"
    trained(labels, made, **ONE)
    build(made)
    out = tmp_path / "out"
    (made / "images").rename(tmp_path / "images")
    out.mkdir()
    (tmp_path / "images").rename(out / "images")
    (made / "index.html").rename(out / "index.html")
    for name in (".checkpoint.pt.123", ".weights.safetensors.part", ".recipe.json.part", ".index.html.77"):
        (out / name).write_bytes(b"x")
    trained(labels, out, **ONE, **asked)
    assert sorted(one.name for one in out.iterdir()) == [
        "added.act-finetune",
        "images",
        "recipe.json",
        "weights.safetensors",
    ]


def killed_removing(patched: pytest.MonkeyPatch) -> None:
    """A kill once the first file of a result is removed."""
    whole = shutil.rmtree

    def remove(folder: Path, *arguments: object, **asked: bool) -> None:
        found = sorted(Path(folder).rglob("result.json"))
        if not found:
            return whole(folder, *arguments, **asked)
        found[0].unlink()
        raise CutOffError

    patched.setattr(shutil, "rmtree", remove)


def test_cut_off_while_the_old_result_is_removed(labels, tmp_path, monkeypatch):
    out = tmp_path / "out"
    trained(labels, out, **ONE)
    trained(labels, tmp_path / "whole", **ONE, seed=1)
    with monkeypatch.context() as patched:
        killed_removing(patched)
        with pytest.raises(CutOffError):
            trained(labels, out, **ONE, seed=1, overwrite=True)
    trained(labels, out, **ONE, seed=1)
    assert sorted(held(out)) == sorted(held(tmp_path / "whole"))


@pytest.mark.parametrize("left", [".added.act-finetune.old.x1y2z3_4", ".stage2-finetune.x1y2z3_4"])
@pytest.mark.parametrize("begun", [False, True])
def test_results_that_killed_processes_moved_away_are_gone_in_the_end(labels, tmp_path, left, begun):
    out = tmp_path / "out"
    if begun:
        with cut_off(5), pytest.raises(CutOffError):
            trained(labels, out, epochs=2)
    (out / left / "result").mkdir(parents=True)
    (out / left / "result" / "scores.npz").write_bytes(b"half")
    trained(labels, out, epochs=2)
    assert not [one.name for one in out.iterdir() if one.name.startswith(".")]


# --- one at a time


@pytest.mark.parametrize("again", [False, True])
def test_a_training_holds_its_folder_to_its_end(labels, tmp_path, again):
    out, stages = tmp_path / "out", set()
    if again:
        trained(labels, out, **ONE)

    def second(stage: str, done: int, total: int) -> None:
        if stage == "training" and stage not in stages:
            stages.add(stage)
            assert (out / "checkpoint.pt").exists()
            with pytest.raises(InUseError):
                Held(out)
            with pytest.raises(InUseError):
                trained(labels, out, **ONE, seed=1)

    trained(labels, out, **ONE, seed=1, overwrite=again, progress=second)
    assert stages
    assert not (out / ".held").exists()


# --- a place that is none


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a system without /proc")
def test_a_place_where_nothing_can_be(labels):
    assert said(lambda: trained(labels, Path("/proc/x/y"), **ONE)).startswith("cannot write /proc/x/y: ")


def test_a_name_that_is_too_long(labels, tmp_path):
    assert "cannot write" in said(lambda: trained(labels, tmp_path / ("x" * 300), **ONE))


# --- the same again


def test_the_same_training_again_is_already_done(labels, tmp_path, caplog):
    out = tmp_path / "out"
    result = trained(labels, out, **ONE)
    before = {name: (out / name).stat().st_mtime_ns for name in held(out)}
    with caplog.at_level("INFO", "interpkit"):
        again = trained(labels, out, epochs=1, weight=1.0, options={"c": 1.0}, filters=6)
    assert caplog.messages == [f"already done: {out} holds this training"]
    assert again.summary() == result.summary()
    assert {name: (out / name).stat().st_mtime_ns for name in held(out)} == before
    words = said(lambda: trained(labels, out, epochs=1, rate=0.5, loss="none"))
    assert "already holds a trained network; choose another folder, or clear it (--overwrite)" in words
    assert words.endswith("it differs: loss: icnn there, none asked for; rate: 0.01 there, 0.5 asked for")


def test_the_recipe_is_known_by_its_kind(labels, tmp_path):
    trained(labels, tmp_path / "out", **ONE)
    assert read_recipe(tmp_path / "out")["kind"] == KIND


def test_a_network_without_its_result_is_said(labels, tmp_path):
    out = tmp_path / "out"
    trained(labels, out, **ONE)
    (out / "added.act-finetune").rename(tmp_path / "away")
    assert "without its result" in said(lambda: trained(labels, out, **ONE))
    with pytest.raises(ResultError):
        load(out)
