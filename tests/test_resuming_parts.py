"""Runs of score_parts() that are stopped and go on."""

from pathlib import Path
from typing import Any

import pytest
from class_sets import landmark_set, listed_set
from small_networks import probe
from stopping import assert_same_files, saved, stopped, through

from interpkit.keeping import Work
from interpkit.labels import LabelSet
from interpkit.parts import _score, score_parts_layers

ASKED: dict[str, Any] = {"batch_size": 4, "memory_format": "contiguous", "threads": 1, "cache": "disk"}
LAYERS = ("relu", "norm")


@pytest.fixture(scope="module", params=["landmarks", "masks"])
def labels(request, tmp_path_factory) -> LabelSet:
    folder = tmp_path_factory.mktemp("labels") / request.param
    return landmark_set(folder, images=24) if request.param == "landmarks" else listed_set(folder, images=24)


@pytest.fixture(scope="module")
def whole(labels, tmp_path_factory) -> Path:
    return saved(score_parts_layers(probe(LAYERS), labels, **ASKED), tmp_path_factory.mktemp("whole"))


def run(labels: LabelSet, work: Work, **asked: Any) -> dict[str, Any]:
    return score_parts_layers(probe(LAYERS), labels, **{**ASKED, **asked}, work=work)


def test_stopped_at_every_commit_it_ends_the_same(labels, whole, tmp_path):
    results, times = through(lambda work: run(labels, work), tmp_path / "work")
    assert times > len(labels) // ASKED["batch_size"] + len(LAYERS)
    assert_same_files(saved(results, tmp_path / "run"), whole)


def test_what_is_done_is_not_done_again(labels, whole, tmp_path, monkeypatch):
    through(lambda work: run(labels, work), tmp_path / "work", commits=1000)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("done again")

    for name in ("measure_templates", "measure_association"):
        monkeypatch.setattr(_score, name, never)
    monkeypatch.setattr("interpkit.parts._observe.forward", never)
    with Work(tmp_path / "work", title="again") as work:
        assert_same_files(saved(run(labels, work), tmp_path / "run"), whole)


def test_maps_in_memory_are_computed_again(labels, whole, tmp_path):
    assert stopped(lambda work: run(labels, work, cache="ram"), tmp_path / "work", commits=6) is None
    with Work(tmp_path / "work", title="again") as work:
        results = run(labels, work, cache="ram")
    fresh = score_parts_layers(probe(LAYERS), labels, **{**ASKED, "cache": "ram"})
    assert_same_files(saved(results, tmp_path / "run"), saved(fresh, tmp_path / "fresh"))


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone"])
def test_damaged_maps_cost_time_and_nothing_else(labels, whole, tmp_path, harm):
    assert stopped(lambda work: run(labels, work), tmp_path / "work", commits=5) is None
    path = tmp_path / "work" / "maps-1.bin"
    content = bytearray(path.read_bytes())
    if harm == "gone":
        path.unlink()
    else:
        content[100] ^= 1
        path.write_bytes(content[: 200 if harm == "cut" else None])
    with Work(tmp_path / "work", title="again") as work:
        assert_same_files(saved(run(labels, work), tmp_path / "run"), whole)
