"""The network that docs/howto/own_model.md shows: one file, and every command takes it."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from commands import runner
from howto import code_of
from small_networks import small_set

from interpkit import Dissection, LabelSet, Probe, load, load_model

PAGE = "own_model.md"
MODULE, LAYER = "digits", "10"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's file, and with weights of that network."""
    (tmp_path / f"{MODULE}.py").write_text(code_of(PAGE)[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    # Not a module of that name that another test has imported, nor this one for another test.
    monkeypatch.setitem(sys.modules, MODULE, ModuleType(MODULE))
    del sys.modules[MODULE]
    torch.manual_seed(0)
    torch.save(told()["net"]().state_dict(), f"{MODULE}.pt")
    return tmp_path


def told() -> dict:
    """What the page's file defines."""
    found: dict = {}
    exec(compile(code_of(PAGE)[0], PAGE, "exec"), found)
    return found


def command(verb: str) -> list[str]:
    """The words of the command that the page shows after ``interpkit``."""
    found = re.search(rf"^\$ interpkit ({verb} {MODULE}\.pt .*)$", code_of(PAGE, whole=True), flags=re.MULTILINE)
    assert found is not None
    return found[1].split()


def test_the_page_names_the_file_that_it_shows():
    said = code_of(PAGE, whole=True)
    assert f"`{MODULE}.py`" in said
    assert f"`python:{MODULE}:net`" in said


def test_its_layers_are_listed(here, capsys):
    status, out, _ = runner(capsys)(*command("layers"))
    assert status == 0
    assert re.search(rf"^\W*{LAYER}\s+ReLU\s.*64", out, flags=re.MULTILINE), out


def test_it_is_dissected_with_what_was_said_of_its_images(here, capsys):
    small_set(here / "set")
    few = ["--labels", "set", "--out", "run", "--batch-size", "2", "--memory-format", "contiguous", "--threads", "1"]
    status, _, err = runner(capsys)(*command("dissect"), *few, "--no-report", "--quiet")
    assert status == 0, err
    result = load(here / "run" / LAYER)
    assert isinstance(result, Dissection)
    assert (result.layer, result.units, result.map_size) == (LAYER, 64, (8, 8))
    read = result.provenance.preprocessing
    assert (list(read["size"]), list(read["mean"]), list(read["std"])) == ([32, 32], [0.5], [0.25])


def test_the_network_at_hand_is_the_one_in_the_file(here, monkeypatch):
    at_hand = code_of(PAGE)[1]
    *lines, last = at_hand.strip().splitlines()
    found = told()
    torch.manual_seed(0)
    exec("\n".join(lines), found)
    filed = load_model(f"{MODULE}.pt", arch=f"python:{MODULE}:net", size=32, mean=0.5, std=0.25)
    assert found["model"].preprocessing.size == filed.preprocessing.size == (32, 32)
    images = torch.rand(2, 1, 32, 32)
    maps = [Probe(model, LAYER, device="cpu")(images)[LAYER] for model in (found["model"], filed)]
    torch.testing.assert_close(*maps)
    labels = small_set(here / "set")
    monkeypatch.setattr(LabelSet, "open", lambda name: labels)
    exec(last, found)
    assert found["result"].units == 64


def test_tokens_become_maps_as_shown():
    (line,) = [code for code in code_of(PAGE) if "reshape=" in code]
    reshape = eval(re.search(r"reshape=(lambda .*)\)$", line.strip())[1])
    tokens = torch.arange(2 * 197 * 3).reshape(2, 197, 3)
    maps = reshape(tokens)
    assert maps.shape == (2, 3, 14, 14)
    assert torch.equal(maps[1, :, 2, 5], tokens[1, 1 + 2 * 14 + 5])
