"""Speed and memory of the matrix of mutual information, on one core and synthetic activations.

    python tests/bench/entanglement.py

Zero-inflated activations max(z, 0), z normal, each unit higher on one class. The matrix comes with its chance level and
all leave-one-block-out values. Seconds are of one machine at one time; the limits leave room for a slow one.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Size:
    """One job, with what it may take."""

    units: int
    classes: int
    images: int
    seconds: float
    megabytes: float | None = None


SIZES = (Size(2048, 1000, 50_000, seconds=60, megabytes=1500), Size(512, 64, 10_000, seconds=3))
ONE_CORE = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}

# The memory map is read before memory is first looked at: what comes on top is the work's own.
MEASURE = """
import json, resource, sys, time
import numpy as np, psutil
from interpkit.entanglement._information import measure
from interpkit.entanglement._redundancy import class_means, correlation, mass
pooled, labels = np.load(sys.argv[1], mmap_mode="r"), np.load(sys.argv[2])
classes = int(sys.argv[3])
pooled.max()
before = psutil.Process().memory_info().rss
member = labels[:, None] == np.arange(classes)
blocks = np.random.default_rng(0).integers(0, 16, len(labels))
seconds = {}
def timed(name, work):
    start = time.perf_counter()
    result = work()
    seconds[name] = time.perf_counter() - start
    return result
found = timed("information", lambda: measure(pooled, member, blocks=blocks, signed=False))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
owner = found.information.argmax(1)
timed("correlation", lambda: correlation(pooled))
timed("class means", lambda: class_means(pooled, member))
timed("mass", lambda: mass(pooled, member, owner))
all = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
mis, floor = found.information.max(1).mean(), found.permuted.max(1).mean()
right = float((owner == np.arange(len(owner)) % classes).mean())
print(json.dumps({"seconds": seconds, "peak": peak, "all": all, "mis": mis, "floor": floor, "right": right}))
"""


def synthetic(folder: Path, size: Size) -> tuple[Path, Path]:
    """Files of activations (N, U) and labels (N,)."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(size.images) % size.classes)
    values = np.lib.format.open_memmap(
        folder / "pooled.npy", mode="w+", dtype=np.float32, shape=(size.images, size.units)
    )
    for first in range(0, size.images, 1000):
        some = labels[first : first + 1000, None] == np.arange(size.units) % size.classes
        noise = rng.standard_normal(some.shape, np.float32)
        values[first : first + 1000] = np.maximum(noise - 0.5 + 4 * some, 0)
    values.flush()
    np.save(folder / "labels.npy", labels)
    return folder / "pooled.npy", folder / "labels.npy"


def bench_information(folder: Path, *, sizes: tuple[Size, ...] = SIZES) -> bool:
    """Seconds and memory of each size; True if the limits hold."""
    good = True
    for size in sizes:
        pooled, labels = synthetic(folder, size)
        command = [sys.executable, "-c", MEASURE, str(pooled), str(labels), str(size.classes)]
        env = os.environ | ONE_CORE
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout)
        pooled.unlink()
        print(f"{size.units:,} units, {size.classes:,} classes, {size.images:,} images, one core")
        for name, seconds in found["seconds"].items():
            good &= told(seconds, "s", name, limit=size.seconds if name == "information" else None)
        good &= told(found["peak"] / 1e6, "MB", "beyond the memory map, information", limit=size.megabytes)
        good &= told(found["all"] / 1e6, "MB", "beyond the memory map, all", limit=size.megabytes)
        right = f"{found['right']:.1%} of units have the right owner"
        print(f"MIS {found['mis']:.5f} nats, chance {found['floor']:.5f}; {right}")
    return good


def told(value: float, unit: str, name: str, *, limit: float | None) -> bool:
    """Print a line beside its limit; True if that holds."""
    held = limit is None or value <= limit
    verdict = "" if limit is None else f"   limit {limit:g} {'holds' if held else 'EXCEEDED'}"
    print(f"{value:8.2f} {unit:<3} {name}{verdict}")
    return held


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        sys.exit(0 if bench_information(Path(place)) else 1)
