"""Five kills of a dissection, and that the harness would see a result that was lost or wrong."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

TORTURE = Path(__file__).parent / "torture"


def test_five_kills_lose_nothing():
    words = ["killed (SIGKILL)", "dissect", "5", "1"]
    ended = subprocess.run(
        [sys.executable, str(TORTURE / "one.py"), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["times"], told["lost"], told["wrong"], told["other"]) == (5, 0, 0, 0), told["said"]
    assert sum(told["phases"].values()) == 5
    assert told["went_on"] > 0


@pytest.fixture
def torture(monkeypatch) -> ModuleType:
    """The harness, with its folder on the path for the time of a test."""
    monkeypatch.syspath_prepend(str(TORTURE))
    return importlib.import_module("kills")


class Ended:
    """A command that came to its end."""

    def __init__(self, status: int = 0) -> None:
        self.status, self.said = status, "interpkit: no"


class Stage:
    """A scene without commands."""

    def __init__(self, out: Path, *left: str) -> None:
        self.out, self._left = out, list(left)

    def left(self) -> list[str]:
        return self._left


@pytest.fixture
def out(tmp_path) -> Path:
    (tmp_path / "layer").mkdir()
    told = '{\n "units": 3,\n "when": "2020",\n "seconds": {\n  "total": 2.5\n }\n}'
    (tmp_path / "layer" / "result.json").write_text(told)
    (tmp_path / "index.html").write_text("<p>4 May 2020, 12:00 UTC, 2.5 s. <a>All</a></p>")
    return tmp_path


def judged(torture: ModuleType, out: Path, whole: dict[str, bytes], *left: str, status: int = 0) -> tuple[int, ...]:
    told = torture.Told()
    told.judge(Ended(status), Stage(out, *left), whole)
    return told.lost, told.wrong, told.other


def test_what_is_lost_or_wrong_is_seen(torture, out):
    whole = torture.files_of(out)
    assert judged(torture, out, whole) == (0, 0, 0)
    assert judged(torture, out, whole, status=2) == (1, 0, 0)
    assert judged(torture, out, whole, "work/maps.bin") == (0, 0, 1)
    assert judged(torture, out, {**whole, "units.csv": b""}) == (1, 0, 0)
    (out / ".layer.x1").write_bytes(b"half")
    assert judged(torture, out, whole) == (0, 0, 1)
    (out / ".layer.x1").unlink()
    for name in whole:
        held = (out / name).read_text()
        (out / name).write_text(held.replace("2020", "2021").replace("2.5", "3.5"))
        assert judged(torture, out, whole) == (0, 0, 0)
        (out / name).write_text(held + " ")
        assert judged(torture, out, whole) == (0, 1, 0)
        (out / name).write_text(held)


def test_the_table_adds_up(torture):
    run = importlib.import_module("torture")
    trials = [run.Trial("killed", "dissect", 3), run.Trial("killed", "parts", 2), run.Trial("full", "parts", 1)]
    told = [torture.Told(times=3, went_on=1), torture.Told(times=2, wrong=1), torture.Told(times=1, lost=2)]
    lines = run.table(dict(zip(trials, told, strict=True)))
    assert lines[2:] == ["| killed | dissect, parts | 5 | 1 | 0 | 1 | 0 |", "| full | parts | 1 | 0 | 2 | 0 | 0 |"]


def test_every_command_is_tried_and_killed_fifty_times(torture):
    run = importlib.import_module("torture")
    trials = list(run.trials(1.0))
    kills = [trial for trial in trials if trial.fault == run.KILLED]
    assert sum(trial.times for trial in kills if trial.cold) >= 30
    assert sum(trial.times for trial in kills) >= 50
    assert {trial.command for trial in kills} == set(importlib.import_module("scenes").JOBS)
    assert {trial.fault for trial in trials} == set(importlib.import_module("faults").FAULTS)
