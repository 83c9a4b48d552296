"""Many runs in one process, and label sets that lie nowhere: nothing is left behind, and nothing grows."""

import gc
import importlib
import sys
import threading
import weakref
from pathlib import Path
from types import ModuleType

import pytest
from small_networks import probe, small_set

from interpkit import Probe
from interpkit.dissection import dissect_layers
from interpkit.keeping import Work

BENCH = Path(__file__).parent / "bench"
FED = {"batch_size": 4, "memory_format": "contiguous", "threads": 1}
LAYERS = ("early", "norm")


def held(looked: Probe, scratch: Path) -> dict[str, int]:
    """Open files, threads, hooks, objects and files left behind."""
    gc.collect()
    modules = list(looked.model.modules())
    return {
        "handles": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "hooks": sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in modules),
        # A table of pandas remembers who looked at it, until there are some hundreds.
        "objects": sum(type(one) is not weakref.ref for one in gc.get_objects()),
        "files": len(list(scratch.iterdir())),
    }


@pytest.mark.skipif(sys.platform != "linux", reason="open files are counted in /proc")
def test_many_runs_in_one_process_leave_nothing(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    looked, labels = probe(LAYERS), small_set(tmp_path / "set", images=8)
    seen = []
    for turn in range(12):
        with Work(scratch / "run" / "work", title="one of many", every=0) as work:
            dissect_layers(looked, labels, cache=("none", "ram", "disk")[turn % 3], work=work, **FED)
            work.drop()
        seen.append(held(looked, scratch))
    # What is made once is made by then: every kind of cache was used twice.
    first, last = seen[5], seen[-1]
    assert last["objects"] - first["objects"] < 20
    assert {**last, "objects": 0} == {**first, "objects": 0}
    assert (last["hooks"], last["files"]) == (0, 0)


@pytest.fixture
def generated(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("generated")


def test_a_set_that_lies_nowhere_is_a_set_like_any(generated):
    labels = generated.generated(20, side=32, grid=16)
    assert labels.image(3).size == (32, 32)
    assert labels.image(3).tobytes() == labels.image(3).tobytes() != labels.image(4).tobytes()
    found = dissect_layers(probe(LAYERS), labels, cache="none", **FED)
    kept = dissect_layers(probe(LAYERS), labels, cache="ram", **FED)
    for layer in LAYERS:
        assert found[layer].blocks.total().joint.tobytes() == kept[layer].blocks.total().joint.tobytes()
        assert found[layer].images == 20
        assert found[layer].blocks.total().joint.sum() > 0
    assert found["norm"].pictures[found["norm"].top.names[0]].startswith(b"\xff\xd8")
