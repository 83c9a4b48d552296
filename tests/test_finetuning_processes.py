"""One training in several processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from made_finetuning import colours, net, trained, weights

PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from made_finetuning import net, trained
from interpkit.errors import InterpkitError
from interpkit.labels import LabelSet
labels, network = LabelSet.open({labels!r}), net(norm=False)
try:
    trained(labels, Path({other!r}), network=network, **{options!r})
except InterpkitError as error:
    print(error)
result = trained(labels, Path({out!r}), network=network, **{options!r})
print("ACCURACY", result.accuracy)
trained(labels, Path({half!r}), network=network, **{options!r} | {single!r})
"""
# Batches of one image: the second process never has any, and its scaler none to scale.
SINGLE = {"batch_size": 1, "precision": "16", "epochs": 1, "patience": 1}
# The second process alone fails. Told so, the first must not need its end to come to its own.
FAILING = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from made_finetuning import net, trained
from interpkit.errors import ImageError, InterpkitError
from interpkit.finetuning._train import Trainer
from interpkit.labels import LabelSet
second, read = os.environ["RANK"] == "1", LabelSet.image
ended, done = Path({ended!r}), iter(range(9999))

def image(self, row):
    if second and next(done) >= {reads}:
        raise ImageError("the second cannot read this")
    return read(self, row)

def broken(self, *arguments, **keywords):
    if second:
        raise ImageError("the second cannot move")
    return move(self, *arguments, **keywords)

LabelSet.image, move = image, Trainer._move
if {moving}:
    Trainer._move = broken
try:
    trained(LabelSet.open({labels!r}), Path({out!r}), network=net(norm=False), **{options!r})
except InterpkitError as error:
    print(type(error).__name__, error)
for _ in range({patience} if second else 0):
    if ended.exists():
        print("the first has ended")
        break
    time.sleep(0.1)
ended.touch()
"""
OPTIONS = {"loss": "none", "batch_size": 10, "train_from": "all", "head": "classifier"}


def in_two(program: str) -> list[subprocess.CompletedProcess[str]]:
    """The program in two processes, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        **os.environ,
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        ended = [(process, *process.communicate(timeout=120)) for process in started]
    finally:
        for process in started:
            process.kill()
            process.communicate()
    return [subprocess.CompletedProcess([], process.returncode, out, err) for process, out, err in ended]


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed")
def test_two_processes_train_the_same_network(tmp_path):
    """Without batch norms the gradients of a batch's parts add up to its own; 27 images make uneven parts.

    A mistake that the first process alone can see stops both.
    """
    labels = colours(tmp_path / "set")
    one = trained(labels, tmp_path / "one", network=net(norm=False), **OPTIONS)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    names = {
        "labels": labels.root,
        "out": tmp_path / "two",
        "other": tmp_path / "other",
        "half": tmp_path / "half",
        "tests": Path(__file__).parent,
    }
    ended = in_two(PROGRAM.format(**{name: str(path) for name, path in names.items()}, options=OPTIONS, single=SINGLE))
    assert [process.returncode for process in ended] == [0, 0], ended[0].stderr + ended[1].stderr
    first, second = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=1e-5)
    alone = tmp_path / "alone"
    trained(labels, alone, network=net(norm=False), **{**OPTIONS, **SINGLE})
    first, second = weights(alone), weights(tmp_path / "half")
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=1e-5)
    for process in ended:
        mistake, accuracy = process.stdout.strip().splitlines()
        assert mistake.endswith("holds no training, so it is left alone; choose another folder")
        assert accuracy == f"ACCURACY {one.accuracy}"


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed")
@pytest.mark.parametrize(
    ("reads", "augment", "moving"),
    [(0, "flip", False), (40, "flip", False), (0, "standard", False), (20, "standard", False), (9999, "flip", True)],
    ids=["at once", "in the pass", "when judged", "in a step", "between the sums of a step"],
)
def test_what_stops_one_process_alone_stops_both(tmp_path, reads, augment, moving):
    labels = colours(tmp_path / "set")
    paths = {"labels": labels.root, "tests": Path(__file__).parent, **{one: tmp_path / one for one in ("out", "ended")}}
    program = FAILING.format(
        **{name: str(path) for name, path in paths.items()},
        options={**OPTIONS, "augment": augment},
        reads=reads,
        moving=moving,
        # A sum that has begun breaks off at the end of the other process.
        patience=0 if moving else 300,
    )
    first, second = in_two(program)
    said = f"the second cannot {'move' if moving else 'read this'}"
    assert first.stdout == f"OthersError process 1 of 2 stopped: {said}\n", first.stderr
    assert second.stdout.splitlines() == [f"ImageError {said}", *([] if moving else ["the first has ended"])]
    assert [first.returncode, second.returncode] == [0, 0], first.stderr + second.stderr
    assert not (tmp_path / "out" / ".held").exists()
