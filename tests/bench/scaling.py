"""What a dissection costs by network, and what it would at any size: the table of docs/scaling.md, by

    python tests/bench/scaling.py [--images 16] [--turns 3]

Measured on one thread: seconds of the processor of each pass an image, with real photographs and their labels; how
fast one process hands its part to another. Computed from them and from the sizes of what is kept: all else. Networks
have random weights, which cost what trained ones do.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

PHOTOGRAPHS = ROOT.parent / "shared" / "data" / "broden-real"
SIZES, PROCESSES = (63305, 1200000), (1, 8, 64)
CONCEPTS, BLOCKS, TOP, GRID = 1197, 16, 10, 112


@dataclass(frozen=True)
class Network:
    """A network of torchvision's, a layer of it, and the layer's maps (U, h, w)."""

    name: str
    layer: str
    maps: tuple[int, int, int]
    factory: str


NETWORKS = (
    Network("AlexNet", "features.10", (256, 13, 13), "alexnet"),
    Network("VGG-16", "features.28", (512, 14, 14), "vgg16"),
    Network("ResNet-152", "layer4", (2048, 7, 7), "resnet152"),
    Network("EfficientNet-B0", "features.8", (1280, 7, 7), "efficientnet_b0"),
)


@dataclass(frozen=True)
class Cost:
    """What was measured: seconds an image of either pass, bytes of the network, and what a process takes besides."""

    first: float
    second: float
    network: float
    peak: float


def of_process(name: str, images: int) -> None:
    """Measure one network in this process, and print it."""
    import resource

    import psutil
    import torch

    from interpkit import LabelSet, Probe, load_model
    from interpkit.dissection import dissect_layers
    from interpkit.models import import_torchvision

    torch.set_num_threads(1)
    network = next(one for one in NETWORKS if one.name == name)
    import_torchvision()
    loaded = load_model(f"python:torchvision.models:{network.factory}", size=224)
    probe, labels = Probe(loaded, [network.layer]), LabelSet.open(labels_here())
    probe(torch.zeros(1, 3, 224, 224))
    if probe.shapes()[network.layer] != network.maps:
        raise AssertionError(f"{name}: {probe.shapes()}")
    before = psutil.Process().memory_info().rss
    fed = {"batch_size": 4, "memory_format": "contiguous", "threads": 1}
    dissect_layers(probe, labels, limit=8, cache="disk", **fed)
    spent = []
    for count in (images, 3 * images):
        start = process_time()
        result = dissect_layers(probe, labels, limit=count, cache="disk", **fed)[network.layer]
        spent.append(process_time() - start)
    # What is done once is in both; how the passes share the rest, the second run says.
    each, stages = (spent[1] - spent[0]) / (2 * images), result.provenance.stages
    first = stages["thresholds"] / (stages["thresholds"] + stages["counting"])
    found = {
        "first": each * first,
        "second": each * (1 - first),
        "network": sum(4 * one.numel() for one in loaded.module.parameters()),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before,
    }
    print(json.dumps(found))


def labels_here() -> str:
    """The photographs where they are, else the set that travels with the package."""
    return str(PHOTOGRAPHS) if PHOTOGRAPHS.is_dir() else "broden-mini"


def measured(network: Network, *, images: int, turns: int) -> Cost:
    """The median of some turns."""
    command = [sys.executable, str(HERE / "scaling.py"), "--network", network.name, "--images", str(images)]
    told: list[Mapping[str, float]] = []
    for _ in range(turns):
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        told.append(json.loads(done.stdout.splitlines()[-1]))
    return Cost(**{name: median(one[name] for one in told) for name in told[0]})


HANDED = """
import sys, time
import numpy as np
from interpkit.processes import process_group
part = np.random.default_rng(int(sys.argv[1])).random(1 << 25, np.float32)
with process_group("cpu") as (group, _), group.together():
    group.meet()
    start = time.perf_counter()
    group.merge(part, lambda brought: float(brought[-1]))
    print((time.perf_counter() - start) / part.nbytes)
"""


def handing() -> float:
    """Seconds a byte from one process to another of the same machine."""
    from together import together

    return median(float(together(2, ["-c", HANDED, str(turn)], cwd=ROOT)[0].stdout) for turn in range(3))


def tail(network: Network, images: int) -> int:
    """Values a unit that thresholds need."""
    _, h, w = network.maps
    return math.ceil(0.005 * images * h * w) + 1


def memory(network: Network, cost: Cost, images: int) -> float:
    """Bytes of one process beyond Python and its libraries, at most.

    Weights, what a short run takes besides, values for thresholds, counts, top images.
    """
    return cost.network + cost.peak + network.maps[0] * sum(unit_bytes(network, images))


def unit_bytes(network: Network, images: int) -> tuple[int, int, int]:
    """Bytes that a unit takes: values for its threshold and room to sort them, counts, top images."""
    _, h, w = network.maps
    kept = tail(network, images)
    width = 4 if images * GRID**2 < 2**31 else 8
    return 4 * (kept + max(min(kept, 1 << 16), 2048)), CONCEPTS * (BLOCKS + 1) * width, 4 * TOP * h * w


def seconds(network: Network, cost: Cost, images: int, *, processes: int, rate: float, kept: bool) -> float:
    """Of a run: both passes over a share of the images, then every part to the first process."""
    units, h, w = network.maps
    share = images / processes
    passes = share * (cost.first + cost.second + (0 if kept else cost.first))
    values = units * min(tail(network, images), share * h * w) * 4
    return passes + (processes - 1) * rate * (values + units * CONCEPTS * 12)


def span(value: float) -> str:
    """Seconds as people say them."""
    if value < 5400:
        return f"{value / 60:.0f} min"
    return f"{value / 3600:.1f} h" if value < 48 * 3600 else f"{value / 86400:.1f} days"


def size(value: float) -> str:
    """Bytes as people say them."""
    return (
        f"{value / 1e6:.0f} MB"
        if value < 1e9
        else f"{value / 1e9:.1f} GB"
        if value < 1e12
        else f"{value / 1e12:.1f} TB"
    )


def points(costs: Mapping[Network, Cost], rate: float) -> list[str]:
    """What was measured, as Markdown."""
    heads = ["network, layer", "maps", "first pass, ms an image", "second pass, ms an image"]
    heads += [f"kB a unit for thresholds, {images:,} images" for images in SIZES]
    heads += ["kB a unit for counts", "kB a unit for top images", "bytes a unit and image on disk"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for network, cost in costs.items():
        _, h, w = network.maps
        kept = [unit_bytes(network, images) for images in SIZES]
        cells = [f"{network.name} `{network.layer}`", " x ".join(map(str, network.maps))]
        cells += [f"{1e3 * cost.first:.0f}", f"{1e3 * cost.second:.1f}"]
        cells += [f"{one[0] / 1e3:,.0f}" for one in kept]
        cells += [f"{kept[0][1] / 1e3:.0f}", f"{kept[0][2] / 1e3:.0f}", f"{4 * h * w}"]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", f"From one process to another: {1e-6 / rate:,.0f} MB/s."]


def table(costs: Mapping[Network, Cost], rate: float) -> list[str]:
    """What follows, as Markdown."""
    heads = ("network", "images", "memory of a process", "maps of all on disk")
    times = [f"{n} process{'es' if n > 1 else ''}" for n in PROCESSES]
    lines = [f"| {' | '.join((*heads, *times, 'without maps kept, 1 process'))} |", "|---" * 8 + "|"]
    for images in SIZES:
        for network, cost in costs.items():
            units, h, w = network.maps
            cells = [network.name, f"{images:,}", size(memory(network, cost, images)), size(4 * images * units * h * w)]
            cells += [span(seconds(network, cost, images, processes=n, rate=rate, kept=True)) for n in PROCESSES]
            cells.append(span(seconds(network, cost, images, processes=1, rate=rate, kept=False)))
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Measure, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--network", help="measure this one in this process")
    asked = parser.parse_args()
    if asked.network:
        of_process(asked.network, asked.images)
        return
    costs = {network: measured(network, images=asked.images, turns=asked.turns) for network in NETWORKS}
    rate = handing()
    print("\n".join([*points(costs, rate), "", *table(costs, rate)]))


if __name__ == "__main__":
    main()
