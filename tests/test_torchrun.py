"""One dissection in several processes: the files of one process, and one failure that stops all."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_networks import small_set
from stopping import assert_same_files, saved
from together import environment, together
from torchrun_cases import CASES, compute

from interpkit.labels import LabelSet

IMAGES = 150


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> Path:
    """Label sets: a whole one, one of less than a block, one with images that cannot be read, one without labels."""
    root = tmp_path_factory.mktemp("sets")
    small_set(root / "whole", images=IMAGES)
    small_set(root / "few", images=5)
    shutil.copytree(root / "whole", root / "spoilt")
    spoilt = LabelSet.open(root / "spoilt")
    for row in (0, 70, 71, 128, 149):
        spoilt.path(row).write_bytes(b"no image")
    shutil.copytree(root / "whole", root / "broken")
    LabelSet.open(root / "broken").path(IMAGES - 1).write_bytes(b"no image")
    return root


@pytest.fixture(scope="module")
def alone(sets, tmp_path_factory) -> Path:
    """What one process makes of every case."""
    out = tmp_path_factory.mktemp("alone")
    for name in CASES:
        saved(compute(name, sets, None), out / name)
    return out


@pytest.mark.parametrize("world", [2, 3])
def test_every_case_ends_as_in_one_process(sets, alone, tmp_path, world):
    ended = together(world, ["-m", "torchrun_cases", str(sets), str(tmp_path / "out")], cwd=tmp_path)
    for one in ended:
        assert one.returncode == 0, one.stderr
    for name in CASES:
        assert_same_files(tmp_path / "out" / name, alone / name)
    assert [one.stdout.count("results") for one in ended] == [len(CASES), *[0] * (world - 1)]
    # A broken image is in the last block alone: whoever reads it says so, and all stop.
    said = [one.stdout.splitlines()[-1] for one in ended]
    assert all("image b/149.png is no image" in line for line in said), said
    assert sum(line.startswith("OthersError process") for line in said) == world - 1, said
    assert said[-1].startswith("ImageError")


def command(sets: Path, out: Path, *more: str) -> list[str]:
    fed = ["--batch-size", "4", "--memory-format", "contiguous", "--threads", "1", "--layer", "stem,body"]
    network = ["python:networks:tiny", "--size", "16", "--labels", str(sets / "whole")]
    return ["interpkit", "dissect", *network, *fed, "--out", str(out), *more]


def test_torchrun_writes_the_files_of_one_process(sets, tmp_path):
    beside = ["--shuffle-labels", "2"]
    alone = [sys.executable, "-m", *command(sets, tmp_path / "one", *beside)]
    several = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    several += ["-m", *command(sets, tmp_path / "two", *beside)]
    ended: list[subprocess.CompletedProcess[str]] = []
    for words in (alone, several):
        env = environment(INTERPKIT_WORK=str(tmp_path / "work"))
        ended.append(
            subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
        )
        assert ended[-1].returncode == 0, ended[-1].stderr
    assert ended[1].stdout == ended[0].stdout.replace("one/", "two/")
    assert ended[1].stderr.count("150 images, about") == 2
    assert_same_files(tmp_path / "one", tmp_path / "two")
    assert list((tmp_path / "work").iterdir()) == []


def test_a_mistake_is_said_once(sets, tmp_path):
    held = [*command(sets, tmp_path / "out"), "--quantile", "2"]
    ended = together(2, ["-m", *held], cwd=tmp_path)
    assert [one.returncode for one in ended] == [2, 2]
    said = "".join(one.stderr for one in ended)
    assert "quantile must lie between 0 and 1" in said
    assert "Traceback" not in said
    assert len([line for line in said.splitlines() if "quantile" in line]) <= 2
    assert not (tmp_path / "out").exists()


def test_cases_are_of_all_kinds():
    kinds: set[Any] = {(case.verb, case.labels) for case in CASES.values()}
    assert len(kinds) == len(CASES)
