"""entangle() and score_parts() in several processes: the same integers, and the same files, as in one."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from class_sets import landmark_set, listed_set
from small_networks import probe
from stopping import assert_same_files, saved

from interpkit.entanglement import entangle_layers
from interpkit.labels import LabelSet
from interpkit.parts import score_parts_layers
from interpkit.processes import ALONE, Group
from interpkit.running import gathering

# 200 images in blocks of 64: four blocks, of which some processes have more than others.
IMAGES = 200
ASKED: dict[str, Any] = {"batch_size": 16, "memory_format": "contiguous", "threads": 1, "skip_bad": True}
LAYERS = ("relu", "norm")
PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from small_networks import probe
from stopping import saved
from interpkit.entanglement import entangle_layers
from interpkit.keeping import Work
from interpkit.labels import LabelSet
from interpkit.parts import score_parts_layers
from interpkit.processes import process_group
from interpkit.running import gathering
gathering.PIECE = 20000
asked, layers, out = {asked!r}, {layers!r}, Path({out!r})
with process_group(None) as (group, _):
    rank = group.rank
for number in range(2):
    with Work(out / f"work-{{rank}}", title="shared") as work:
        found = entangle_layers(probe(layers), LabelSet.open({classes!r}), **asked, work=work)
assert bool(found) is (rank == 0), found
saved(found, out / "run")
with Work(out / f"parts-{{rank}}", title="shared") as work:
    saved(score_parts_layers(probe(layers), LabelSet.open({marks!r}), **asked, cache="disk", work=work), out / "run")
"""


@pytest.fixture(scope="module")
def classes(tmp_path_factory) -> LabelSet:
    """One of the images cannot be read."""
    mine = listed_set(tmp_path_factory.mktemp("labels") / "set", images=IMAGES)
    mine.path(70).write_bytes(b"nothing")
    return mine


@pytest.fixture(scope="module")
def marks(tmp_path_factory) -> LabelSet:
    return landmark_set(tmp_path_factory.mktemp("labels") / "marks", images=90)


def started(program: str, world: int) -> list[subprocess.Popen[str]]:
    """The program in so many processes, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        **os.environ,
        **{"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        **{"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    }
    return [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]


def test_two_and_three_processes_give_what_one_gives(classes, marks, tmp_path):
    """Also a second time, from what each has kept."""
    running = {}
    for world in (2, 3):
        where = {"out": str(tmp_path / str(world)), "classes": str(classes.root), "marks": str(marks.root)}
        program = PROGRAM.format(tests=str(Path(__file__).parent), asked=ASKED, layers=LAYERS, **where)
        running[world] = started(program, world)
    alone = saved(entangle_layers(probe(LAYERS), classes, **ASKED), tmp_path / "alone")
    saved(score_parts_layers(probe(LAYERS), marks, **ASKED, cache="disk"), tmp_path / "alone")
    try:
        for world, processes in running.items():
            for process in processes:
                said = process.communicate(timeout=180)
                assert process.returncode == 0, said[1][-2000:]
            assert_same_files(tmp_path / str(world) / "run", alone)
    finally:
        for process in (one for processes in running.values() for one in processes):
            process.kill()
            process.communicate()


def test_one_process_gathers_nothing(monkeypatch):
    rows, array = np.array([1, 4]), np.arange(6).reshape(2, 3)
    one = gathering.Gathering.of(ALONE, rows)
    one.bring([array])
    np.testing.assert_array_equal(one.rows, rows)
    np.testing.assert_array_equal(array, np.arange(6).reshape(2, 3))


class Played(Group):
    """The first of three processes, to which the others bring what a test says."""

    def merge(self, mine: Any, take: Any) -> None:
        take(mine)
        for one in self.brought.pop(0):  # type: ignore[attr-defined]
            take(one)

    def agreed(self, work: Any) -> Any:
        return work()


@pytest.mark.parametrize("piece", [1, 24, 10**6])
def test_rows_are_put_in_their_order_piece_by_piece(monkeypatch, piece):
    monkeypatch.setattr(gathering, "PIECE", piece)
    rows = [np.array([0, 1]), np.array([], np.int64), np.array([5, 7, 9])]
    values = [np.full((len(some), 3), number, np.float32) for number, some in enumerate(rows)]
    size = max(1, piece // 12)
    pieces = [slice(first, first + size) for first in range(0, 3, size)]
    group = Played(0, 3)
    brought = [rows[1:], *([(rows[i][p], [values[i][p]]) for i in (1, 2)] for p in pieces)]
    object.__setattr__(group, "brought", brought)
    array = np.full((5, 3), -1, np.float32)
    array[:2] = values[0]
    one = gathering.Gathering.of(group, rows[0])
    one.bring([array])
    assert one.rows.tolist() == [0, 1, 5, 7, 9]
    assert array[:, 0].tolist() == [0, 0, 2, 2, 2]
    assert brought == []
