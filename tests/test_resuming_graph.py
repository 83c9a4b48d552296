"""Runs of fit_graph() that are stopped and go on."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from spotted import probe, spotted
from stopping import assert_same_files, saved, through

from interpkit import InterpkitError, LabelSet, fit_graph
from interpkit.graph import _decoder, _decoderfolder, _fitting
from interpkit.keeping import Work

ASKED: dict[str, Any] = {
    **{"batch_size": 4, "memory_format": "contiguous", "threads": 1, "cache": "disk"},
    **{"class_name": "beast", "nodes": (6, 4), "edges": 5, "iterations": 14, "shots": (1, 3), "align": "half-pixel"},
    **{"flips": True},
}


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> LabelSet:
    return spotted(tmp_path_factory.mktemp("spotted"), images=48, others=4, mirrored=16)


@pytest.fixture(scope="module")
def whole(labels, tmp_path_factory) -> Path:
    return saved({"": fit_graph(probe(), labels, **ASKED)}, tmp_path_factory.mktemp("whole"))


def run(labels: LabelSet, work: Work, **asked: Any) -> dict[str, Any]:
    return {"": fit_graph(probe(), labels, **{**ASKED, **asked}, work=work)}


def test_stopped_at_every_few_commits_it_ends_the_same(labels, whole, tmp_path):
    """With mirror images: what the topmost layer decides of them is put back."""
    results, times = through(lambda work: run(labels, work), tmp_path / "work", commits=2)
    assert times > 4
    assert results[""].turned.any()
    assert_same_files(saved(results, tmp_path / "run"), whole)


def test_what_is_done_is_not_done_again(labels, whole, tmp_path, monkeypatch):
    through(lambda work: run(labels, work), tmp_path / "work", commits=1000)
    assert {path.stem for path in (tmp_path / "work").glob("fit-*")} == {
        *("fit-1-graph", "fit-0-graph", "fit-0-no-edges", "fit-0-shuffled"),
    }

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("done again")

    monkeypatch.setattr(_fitting, "fit", never)
    monkeypatch.setattr("interpkit.graph._store.forward", never)
    with Work(tmp_path / "work", title="again") as work:
        assert_same_files(saved(run(labels, work), tmp_path / "run"), whole)


def test_several_processes_are_refused(labels, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InterpkitError, match="fitted in one process; start it without torchrun"):
        fit_graph(probe(), labels, **ASKED)


class KilledError(Exception):
    """In place of a kill."""


def test_a_decoder_cut_off_anywhere_ends_the_same(labels, tmp_path, monkeypatch):
    """Also between the two files of an epoch, which speak of it one after the other."""
    asked: dict[str, Any] = {"epochs": 2, "batch_size": 4, "memory_format": "contiguous", "threads": 1}
    mine = labels.select(limit=3)
    _decoder.train_decoder(probe(), mine, tmp_path / "whole", **asked)
    put = _decoderfolder._replace
    for kill in range(1, 100):
        left = [kill]

        def replace(path: Path, content: bytes, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                # What a process leaves that was killed while it wrote.
                path.with_name(f".{path.name}.123").write_bytes(content[:10])
                raise KilledError
            put(path, content)

        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        monkeypatch.setattr(_decoderfolder, "_replace", replace)
        try:
            _decoder.train_decoder(probe(), mine, tmp_path / "out", **asked)
        except KilledError:
            monkeypatch.setattr(_decoderfolder, "_replace", put)
            _decoder.train_decoder(probe(), mine, tmp_path / "out", **asked)
        for name in ("decoder.json", "decoder.pt"):
            assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), (kill, name)
        assert len(list((tmp_path / "out").iterdir())) == 2
        if left[0] > 0:
            break
    assert kill == 1 + 1 + 2 * asked["epochs"]
