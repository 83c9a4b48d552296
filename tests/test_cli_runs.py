"""The folder of a run: what may be written over, and what stays."""

import json
from pathlib import Path

import pytest
from labels_on_disk import photograph, small_broden

from interpkit.cli import main
from interpkit.holding import Held
from interpkit.keeping import Work

DISSECT = ["dissect", "python:networks:tiny", "--size", "16", "--layer", "body", "--no-report", "--quiet"]


def dissect(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stop:
        main([*DISSECT, *map(str, arguments)])
    return int(stop.value.code or 0)


def test_a_label_set_is_no_place_for_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = small_broden(tmp_path / "set")
    before = sorted(labels.rglob("*"))
    assert dissect("--labels", labels, "--out", labels, "--overwrite") == 2
    assert "left alone" in capsys.readouterr().err
    assert sorted(labels.rglob("*")) == before


def test_photographs_of_others_stay(tmp_path: Path) -> None:
    labels = small_broden(tmp_path / "set")
    photograph(tmp_path / "run/images/holiday.jpg")
    for top in ("2", "1"):
        assert dissect("--labels", labels, "--out", tmp_path / "run", "--overwrite", "--top", top) == 0
    shown = json.loads((tmp_path / "run/body/result.json").read_text())["pictures"]
    assert (tmp_path / "run/images/holiday.jpg").is_file()
    assert len(list((tmp_path / "run/images").glob("*.jpg"))) == len(shown) + 1


def test_a_layer_is_no_place_for_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, run = small_broden(tmp_path / "set"), tmp_path / "run"
    assert dissect("--labels", labels, "--out", run) == 0
    assert dissect("--labels", labels, "--out", run / "body", "--overwrite", "--top", "1") == 2
    assert f"the folder of a run: {run}" in capsys.readouterr().err
    assert (run / "body" / "result.json").is_file()


def test_nothing_readable_and_a_seed_below_zero_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = small_broden(tmp_path / "set")
    assert dissect("--labels", labels, "--out", tmp_path / "run", "--seed", "-1") == 2
    assert "seed must be at least 0" in capsys.readouterr().err
    for label_map in labels.rglob("*.png"):
        label_map.write_bytes(b"no image")
    status = dissect("--labels", labels, "--out", tmp_path / "run", "--skip-bad")
    said = capsys.readouterr().err.splitlines()
    assert (status, len(said)) == (2, 1)
    assert "can be read with its labels" in said[0]


def test_work_of_a_run_that_was_killed_once_it_was_saved_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, work = small_broden(tmp_path / "set"), tmp_path / "work"
    monkeypatch.setenv("INTERPKIT_WORK", str(work))
    with monkeypatch.context() as killed:
        killed.setattr(Work, "drop", Work.release)
        assert dissect("--labels", labels, "--out", tmp_path / "run") == 0
    assert list(work.rglob("about.json"))
    with Held(next(work.glob("*/*")), doing="another run"):
        assert dissect("--labels", labels, "--out", tmp_path / "run") == 0
        assert list(work.rglob("about.json"))
    assert dissect("--labels", labels, "--out", tmp_path / "run") == 0
    assert list(work.iterdir()) == []
    assert capsys.readouterr().err == ""
