"""The loss that docs/howto/own_loss.md shows: on offer once its file is there, it trains a network, keeps the laws."""

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from howto import code_of, law_tests, offered
from made_finetuning import colours, trained

from interpkit import losses
from interpkit.labels import LabelSet
from interpkit.models import load_model
from interpkit.probe import Probe

PAGE = "own_loss.md"
NAME, SITE = "sparse", "added.act"


@pytest.fixture
def sparse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The page's code as a file of the folder of losses; its name."""
    (code,) = code_of(PAGE)
    with offered(losses, NAME, code, folder=tmp_path / "more", monkeypatch=monkeypatch):
        yield NAME


def level(folder: Path, labels: LabelSet) -> float:
    """The mean activation of a trained network's units on the first images."""
    model = load_model(folder, arch="python:made_finetuning:net", trust=True)
    images = torch.stack([torch.from_numpy(model.preprocessing(labels.image(row))) for row in range(6)])
    return float(Probe(model, SITE, device="cpu")(images)[SITE].mean())


def test_the_page_names_the_file_that_it_shows():
    assert f"`{NAME}.py`" in code_of(PAGE, whole=True)


def test_it_is_on_offer_without_being_registered(sparse):
    assert sparse in losses.names()
    assert losses.make(sparse, {"weight": 0.3}).weight == 0.3


def test_a_training_with_it_makes_units_fire_less(sparse, tmp_path):
    labels = colours(tmp_path / "set")
    with_it = trained(labels, tmp_path / "with", loss=sparse, weight=30.0)
    without = trained(labels, tmp_path / "without", loss=sparse, weight=0.0)
    assert with_it.recipe["loss"] == {"name": sparse, "options": {"weight": 30.0}}
    assert with_it.history["penalty"].iloc[0] > 0
    assert (without.history["penalty"] == 0).all()
    activity = [level(tmp_path / name, labels) for name in ("with", "without")]
    assert activity[0] < 0.5 * activity[1]


def test_its_network_is_read_without_it(sparse, tmp_path, monkeypatch):
    labels = colours(tmp_path / "set")
    trained(labels, tmp_path / "out", loss=sparse)
    monkeypatch.undo()
    assert sparse not in losses.names()
    assert level(tmp_path / "out", labels) > 0


def test_it_keeps_the_laws(sparse):
    kept = 0
    for law in law_tests("test_loss_laws.py"):
        wanted = set(inspect.signature(law).parameters)
        for multi in (False, True):
            given = {"name": sparse, "multi": multi, "images": 8, "scale": 1.0}
            if "name" in wanted and (not multi or "multi" in wanted):
                law(**{name: given[name] for name in wanted})
                kept += 1
    assert kept > 10
