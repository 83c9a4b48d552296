"""untrained(): the same network with random weights, beside the one that was trained."""

import json
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from labels_on_disk import small_broden
from small_networks import SIZE, Small, probe, small_network, small_set
from torch import Tensor, nn

from interpkit import dissect_layers
from interpkit.cli import main
from interpkit.cli._dissect import dissect as command
from interpkit.cli._job import UNTRAINED
from interpkit.dissection import untrained, untrained_layers
from interpkit.errors import LabelSetError, ModelError, ResultError
from interpkit.labels import LabelSet
from interpkit.models import load_model
from interpkit.models import untrained as begun
from interpkit.results import Untrained, load, save

FED: dict[str, Any] = {"batch_size": 2, "memory_format": "contiguous", "quantile": 0.05, "iou": 0.02}
LAYERS = ("early", "norm")


class Scaled(nn.Module):
    """A parameter of its own, and no word on how it begins."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.scale * self.body(images)
        return maps


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> LabelSet:
    return small_set(tmp_path_factory.mktemp("labels") / "set")


@pytest.fixture(scope="module")
def found(labels: LabelSet) -> dict[str, Untrained]:
    return untrained_layers(probe(LAYERS), labels, seed=3, **FED)


def test_weights_are_drawn_from_the_seed_and_the_network_stays() -> None:
    net = small_network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.random.get_rng_state()
    loaded = load_model(net, size=SIZE)
    one, same, other = (begun(loaded, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert one.sha == same.sha != other.sha != loaded.sha
    assert one.preprocessing == loaded.preprocessing
    for name, value in one.module.state_dict().items():
        # Weights of a normalisation begin as ones, its statistics as nothing seen.
        assert name.startswith("norm.num") or not torch.equal(value, before[name])
    torch.manual_seed(1)
    fresh = Small().eval()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for part in (fresh.early, fresh.late, fresh.norm, fresh.head):
            part.reset_parameters()
    assert all(torch.equal(value, fresh.state_dict()[name]) for name, value in one.module.state_dict().items())
    assert not one.module.training


def test_a_parameter_without_a_beginning_is_one_line() -> None:
    with pytest.raises(ModelError, match=r"scale of Scaled \(Scaled\) comes without a rule") as stop:
        begun(load_model(Scaled(), size=16))
    assert "\n" not in str(stop.value)


def test_it_is_the_dissection_of_the_untrained_network(labels: LabelSet, found: dict[str, Untrained]) -> None:
    blank = begun(probe(LAYERS).loaded, seed=3)
    whole = dissect_layers(probe(LAYERS, blank.module), labels, seed=3, **FED)
    for layer, one in whole.items():
        assert one.chance is not None
        for g, category in enumerate(one.categories):
            assert found[layer].concept[:, g].tolist() == one.best(category)[0].tolist()
            assert found[layer].iou[:, g].tolist() == one.best(category)[1].tolist()
        assert (found[layer].luck_iou == one.chance.iou).all()
        told = one.summary()
        assert {name: told[name] for name in ("detectors", "chance")} == {
            name: found[layer].summary()[name] for name in ("detectors", "chance")
        }
        assert found[layer].table()["concept"].tolist() == one.table()["concept"].tolist()
        assert found[layer].provenance.model_sha == probe(LAYERS).loaded.sha


def test_an_untrained_result_is_kept_whole(found: dict[str, Untrained], tmp_path: Path) -> None:
    one, folder = found["norm"], tmp_path / "norm-untrained"
    again = load(save(one, folder))
    for name in ("concept", "iou", "luck_concept", "luck_iou"):
        np.testing.assert_array_equal(getattr(again, name), getattr(one, name))
    assert (again.summary(), again.provenance, again.order) == (one.summary(), one.provenance, 1)
    assert "untrained" in one._repr_html_()
    with np.load(folder / "scores.npz") as archive:
        arrays = dict(archive)
    np.savez(folder / "scores.npz", **{**arrays, "luck_iou": arrays["luck_iou"][:2]})
    with pytest.raises(ResultError, match="luck_iou has shape"):
        load(folder)


def test_no_labels_are_refused(labels: LabelSet, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes((labels.root / "images" / labels.images["image"].iloc[0]).read_bytes())
    with pytest.raises(LabelSetError, match="an untrained network is judged by concepts"):
        untrained(probe(["norm"]), LabelSet.open(tmp_path))


def test_flags_are_the_signature() -> None:
    flags = {name: p.default for name, p in signature(command).parameters.items()}
    keywords = {n: p.default for n, p in signature(untrained_layers).parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert keywords.pop("progress") is None
    assert keywords.pop("work") is None
    assert {name: flags[name] for name in UNTRAINED.options} == keywords


def test_the_page_of_a_dissection_holds_the_untrained_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, out = small_broden(tmp_path / "set"), tmp_path / "run"
    asked = ["dissect", "python:networks:tiny", "--size", "16", "--layer", "body", "--labels", str(labels)]
    asked += ["--out", str(out), "--random-weights"]
    said = ""
    for more in ([], ["--json", "--quiet"]):
        with pytest.raises(SystemExit) as stop:
            main([*asked, *more])
        said = capsys.readouterr().out
        assert not stop.value.code
        assert "untrained" in said
    assert json.loads(said)["untrained"][0]["units"] == 8
    page = (out / "index.html").read_text()
    assert "The same network, untrained" in page
    assert "of 8 units detect a concept with random weights" in page
    made = load(out / "body-untrained").provenance
    assert "--random-weights" in made.command
    assert made.model_sha == load(out / "body").provenance.model_sha


def test_the_device_asked_for_is_that_of_every_process(labels, monkeypatch):
    """Told of none, each of several processes would take its GPU."""
    from interpkit.dissection import _untrained

    asked = []

    def looking(*_: Any, **more: Any) -> None:
        asked.append(more["asked"]["device"])
        raise KeyboardInterrupt

    monkeypatch.setattr(_untrained, "passes", looking)
    with pytest.raises(KeyboardInterrupt):
        untrained_layers(probe(), labels, device="cpu")
    assert asked == ["cpu"]
