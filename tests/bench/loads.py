"""One job of `load.py`: ``python tests/bench/loads.py JOB NUMBER ...``; prints JSON.

Memory is the most that was resident, less what was with the network loaded and fed once.
"""

import gc
import json
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - after the path is set, as all below
import psutil  # noqa: E402
import torch  # noqa: E402
from generated import generated  # noqa: E402
from PIL import Image  # noqa: E402
from torch import nn  # noqa: E402

from interpkit import LabelSet, Probe, load_model  # noqa: E402
from interpkit.dissection import dissect_layers  # noqa: E402

FED = {"batch_size": 8, "memory_format": "contiguous", "threads": 1}


def chain(units: int, *, layers: int = 1, side: int = 28) -> nn.Module:
    """Two convolutions that leave a quarter of the side, and ``layers`` of so many units."""
    torch.manual_seed(0)
    first = [nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, units, 3, stride=2, padding=1)]
    more = [nn.Conv2d(units, units, 3, padding=1) for _ in range(layers - 1)]
    return nn.Sequential(*first, *more).eval()


def probe(net: nn.Module, layers: list[str], *, side: int = 28) -> Probe:
    """Fed once, so that what a library takes at first is not counted."""
    looked = Probe(load_model(net, size=side), layers)
    looked(torch.zeros(8, 3, side, side))
    return looked


def resident() -> int:
    """Bytes."""
    return int(psutil.Process().memory_info().rss)


def costs(work: Callable[[], object], *, before: Callable[[], object] = lambda: None) -> dict[str, float]:
    """Seconds of the processor, which do not depend on what else runs, and the most memory in bytes.

    What is imported and made once is so ``before``, which counts as memory and not as time.
    """
    gc.collect()
    had = resident()
    before()
    start = process_time()
    work()
    seconds = process_time() - start
    return {"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - had}


def images(number: int) -> dict[str, float]:
    """So many images, 512 units of 7 x 7 cells, in a network of a hundred million products an image."""
    torch.manual_seed(0)
    widths = ((3, 64, 2), (64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 512, 2))
    convolutions = [nn.Conv2d(i, o, 3, stride=stride, padding=1) for i, o, stride in widths]
    looked = probe(nn.Sequential(*convolutions).eval(), ["4"], side=56)
    labels = generated(number, side=56)
    few = generated(64, side=56)
    # Outlines of top images are as many for any number of images, and would hide what the images cost.
    return costs(
        lambda: dissect_layers(looked, labels, cache="none", top=1, **FED),
        before=lambda: dissect_layers(looked, few, cache="none", top=1, **FED),
    )


def layers(number: int) -> dict[str, float]:
    """So many layers at once, 64 images."""
    names = [str(2 + i) for i in range(number)]
    looked = probe(chain(32, layers=48, side=56), names, side=56)
    return costs(lambda: dissect_layers(looked, generated(64, side=56), cache="none", **FED))


def units(number: int) -> dict[str, float]:
    """So many units in a layer, 64 images."""
    looked = probe(chain(number), ["2"])
    return costs(lambda: dissect_layers(looked, generated(64, side=28), cache="none", **FED))


def photograph(height: int, width: int) -> dict[str, float]:
    """Four photographs of so many pixels, and the page of their dissection."""
    from interpkit import report
    from interpkit.results import save

    looked = probe(chain(32, side=224), ["2"], side=224)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "set").mkdir()
        for i in range(4):
            small = np.random.default_rng(i).integers(0, 256, (height // 50, width // 50, 3), np.uint8)
            large = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
            large.save(folder / "set" / f"{i}.jpg", quality=90)
        del small, large
        return in_a_child(lambda: _photographs(looked, folder, save, report.build))


def _photographs(looked: Probe, folder: Path, save: Callable[..., object], build: Callable[..., object]) -> None:
    found = dissect_layers(looked, LabelSet.open(folder / "set"), cache="none", **FED)
    save(found["2"], folder / "run" / "2")
    build(folder / "run")


def in_a_child(work: Callable[[], object]) -> dict[str, float]:
    """The most memory of a fork: what its parent once took does not count."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        Path("/proc/self/clear_refs").write_text("5")
        before = resident()
        work()
        peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        os.write(writing, json.dumps({"peak": int(peak.split()[1]) * 1024 - before}).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    found: dict[str, float] = json.loads(os.read(reading, 1000))
    return found


def repeated(number: int) -> dict[str, float]:
    """So many runs, one after the other; what is more after the last than after the first 20."""
    looked, labels = probe(chain(32), ["2"]), generated(24, side=28, grid=28)
    process, settled = psutil.Process(), {}
    for turn in range(number):
        cache = ("none", "ram", "disk")[turn % 3]
        dissect_layers(looked, labels, cache=cache, **FED)
        gc.collect()
        if turn == 19:
            settled = counted(process, looked)
    found = counted(process, looked)
    return {name: found[name] - settled[name] for name in found}


def counted(process: psutil.Process, looked: Probe) -> dict[str, float]:
    """Memory, open files, hooks and threads."""
    hooks = sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in looked.model.modules())
    return {
        "growth": resident(),
        "handles": process.num_fds(),
        "hooks": hooks,
        "threads": process.num_threads(),
    }


def broden_size(number: int) -> dict[str, float]:
    """512 units of 7 x 7 cells, and what was resident on the way."""
    looked, labels = probe(chain(512), ["2"]), generated(number, side=28, grid=28)
    before, seen = resident(), {}

    def progress(stage: str, done: int, total: int) -> None:
        seen.setdefault((stage, done * 10 // total), resident() - before)

    found = costs(lambda: dissect_layers(looked, labels, cache="none", progress=progress, **FED))
    tenth = max(size for (_, part), size in seen.items() if part == 1)
    return {**found, "tenth": tenth, "end": max(seen.values())}


JOBS = {
    "images": images,
    "layers": layers,
    "units": units,
    "photograph": photograph,
    "repeated": repeated,
    "broden-size": broden_size,
}

if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](*map(int, sys.argv[2:]))))
