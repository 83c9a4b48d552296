"""Runs of entangle() that are stopped and go on."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from class_sets import class_of, listed_set
from labels_on_disk import photograph, write_csv
from sameness import same_numbers
from small_networks import probe
from stopping import assert_same_files, saved, stopped, through

from interpkit.entanglement import _requests, entangle_layers
from interpkit.keeping import Work
from interpkit.labels import LabelSet

ANALYSES = ("ablation", "compression", "localisation", "adversarial")
ASKED: dict[str, Any] = {"batch_size": 8, "memory_format": "contiguous", "threads": 1}
LAYERS = ("relu", "norm")


@pytest.fixture(scope="module", autouse=True)
def small_forests() -> Iterator[None]:
    """As large as they usually are, forests take most of the time of a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_requests, "detect", partial(_requests.detect, trees=2, seeds=1))
        yield


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> LabelSet:
    """Two classes that are called like concepts of the label maps; the manifest tells outputs."""
    told = listed_set(tmp_path_factory.mktemp("labels") / "set")
    pairs = [[f"{i:02d}.png", "name1" if class_of(i) == "red" else "name3"] for i in range(60) if i % 3]
    write_csv(told.root / "classes.csv", ["image", "class"], pairs)
    (told.root / "manifest.toml").write_text("[model_index]\nname1 = 2\nname3 = 0\n")
    return LabelSet.open(told.root)


@pytest.fixture(scope="module")
def whole(labels, tmp_path_factory) -> Path:
    results = entangle_layers(probe(LAYERS), labels, **ASKED, analyses=ANALYSES)
    return saved(results, tmp_path_factory.mktemp("whole"))


def run(labels: LabelSet, work: Work, **asked: Any) -> dict[str, Any]:
    return entangle_layers(probe(LAYERS), labels, **{**ASKED, "analyses": ANALYSES, **asked}, work=work)


def test_stopped_at_every_commit_it_ends_the_same(labels, whole, tmp_path):
    results, times = through(lambda work: run(labels, work), tmp_path / "work")
    # The feeding, where maps go, the batches, and of each layer the information, the head and the analyses.
    assert times > 40 // ASKED["batch_size"] + len(LAYERS) * (2 + len(ANALYSES))
    assert_same_files(saved(results, tmp_path / "run"), whole)


def test_what_is_done_is_not_done_again(labels, whole, tmp_path, monkeypatch):
    through(lambda work: run(labels, work), tmp_path / "work", commits=1000)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("done again")

    for name in ("find_head", "ablate", "compress", "localise", "detect"):
        monkeypatch.setattr(_requests, name, never)
    monkeypatch.setattr("interpkit.entanglement._entangle.measure", never)
    monkeypatch.setattr("interpkit.entanglement._pool._pooled", never)
    with Work(tmp_path / "work", title="again") as work:
        assert_same_files(saved(run(labels, work), tmp_path / "run"), whole)


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone", "other gone", "state cut", "state gone", "state edited"])
def test_damaged_work_costs_time_and_nothing_else(labels, whole, tmp_path, harm):
    assert stopped(lambda work: run(labels, work), tmp_path / "work", commits=5) is None
    # The other is of the second layer: the first one's are whole, and yet both begin again.
    maps = "pooled-1.bin" if harm.startswith("other") else "pooled-0.bin"
    path = tmp_path / "work" / ("activations.npz" if harm.startswith("state") else maps)
    content = bytearray(path.read_bytes())
    if harm in {"flipped", "state edited"}:
        content[len(content) // 8] ^= 1
        path.write_bytes(content)
    elif harm.endswith("cut"):
        path.write_bytes(content[: len(content) // 2])
    else:
        path.unlink()
    with Work(tmp_path / "work", title="again") as work:
        assert_same_files(saved(run(labels, work), tmp_path / "run"), whole)


@pytest.mark.parametrize("change", ["image", "option", "layer"])
def test_another_run_takes_nothing_over(tmp_path, change):
    """Not even where the file of an image has the size that it had."""
    mine = listed_set(tmp_path / "set", images=16)
    asked: dict[str, Any] = {**ASKED, "seed": 1 if change == "option" else 0}
    layers = ("norm", "relu") if change == "layer" else LAYERS
    before = {**asked, "seed": 0}
    # Of another seed the pass is the same: only what comes after it tells.
    commits = 1000 if change == "option" else 4
    stopped(lambda work: entangle_layers(probe(LAYERS), mine, **before, work=work), tmp_path / "w", commits=commits)
    if change == "image":
        path, told = mine.path(0), mine.sha
        size = path.stat().st_size
        other = photograph(tmp_path / "other.png", size=(4, 4), seed=99).read_bytes()
        path.write_bytes(other.ljust(size, b"\0"))
        mine = LabelSet.open(mine.root)
        assert mine.sha == told
    with Work(tmp_path / "w", title="again") as work:
        went_on = entangle_layers(probe(layers), mine, **asked, work=work)
    fresh = entangle_layers(probe(layers), mine, **asked)
    for layer in layers:
        same_numbers(went_on[layer], fresh[layer])


def test_images_that_cannot_be_read_stay_skipped(tmp_path):
    mine = listed_set(tmp_path / "set", images=24)
    mine.path(2).write_bytes(b"nothing")
    asked = {**ASKED, "batch_size": 4, "skip_bad": True}
    fresh = entangle_layers(probe(LAYERS), mine, **asked)
    went_on, _ = through(lambda work: entangle_layers(probe(LAYERS), mine, **asked, work=work), tmp_path / "work")
    for layer in LAYERS:
        same_numbers(went_on[layer], fresh[layer])
        assert len(went_on[layer].skipped) == 1
        assert np.isfinite(went_on[layer].information).all()
