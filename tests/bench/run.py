"""Speed and memory of the main job, as ratios measured in one run.

    python tests/bench/run.py [--pairs 5] [--images 1004] [--only dissect,thresholds,memory,report,passes,...]

Absolute times differ from machine to machine and from minute to minute; every line here is a ratio of two things
measured in turn, and the median of the pairs. The photographs are ../shared/data/broden-real where that folder is
there, else the embedded broden-mini, repeated to the number of images asked for.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import pandas as pd
from entanglement import bench_information
from graphs import bench_graphs
from load import bench_broden_size, bench_images, bench_repeated, bench_shapes
from loss_steps import bench_losses
from parts import bench_templates

# As the command line does, and before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROOT = Path(__file__).parents[2]
PHOTOGRAPHS = ROOT.parent / "shared" / "data" / "broden-real"
MODEL = "lite:efficientnet-lite0"
LAYER = "_bn1"
THREADS = 2
REFERENCE_BATCH = 64
# All but the run over as many images as Broden has: `--only broden-size`.
USUAL = "dissect,thresholds,memory,report,passes,information,templates,losses,graphs,images,shapes,repeated"
LIMITS = {
    "dissect, maps in memory / (decode + fastest forward)": 1.25,
    "dissect, maps on disk / (decode + fastest forward)": 1.35,
    "dissect, two forward passes / (decode + fastest forward)": 2.3,
    "dissect, maps in memory / (decode + forward at batch 64 contiguous)": 0.5,
    "thresholds / fastest forward": 0.05,
    "entangle, pass over the images / (decode + fastest forward)": 1.15,
    "parts, pass over the images / (decode + fastest forward)": 1.15,
}


def repeated(folder: Path, images: int) -> Path:
    """A label set of ``images`` images: the source's, repeated under other names."""
    source = PHOTOGRAPHS if PHOTOGRAPHS.is_dir() else ROOT / "datasets" / "broden-mini"
    target = folder / f"repeated-{images}"
    target.mkdir()
    for table in source.glob("*.csv"):
        if table.name not in {"index.csv", "classes.csv", "landmarks.csv"}:
            shutil.copy(table, target)
    index = pd.read_csv(source / "index.csv", dtype=str, keep_default_na=False)
    categories = [c for c in index.columns if c not in {"image", "split", "ih", "iw", "sh", "sw"}]
    parts = []
    for r in range(-(-images // len(index))):
        shutil.copytree(source / "images", target / "images" / f"r{r}")
        part = index.copy()
        part["image"] = f"r{r}/" + part["image"]
        for column in categories:
            part[column] = [_moved(cell, r) for cell in part[column]]
        parts.append(part)
    pd.concat(parts).head(images).to_csv(target / "index.csv", index=False)
    return target


def _moved(cell: str, r: int) -> str:
    return ";".join(f"r{r}/{part}" if part.endswith(".png") else part for part in cell.split(";"))


def timed(work: Callable[[], object]) -> float:
    """Seconds that ``work`` takes."""
    start = perf_counter()
    work()
    return perf_counter() - start


def report_ratios(rows: dict[str, list[float]]) -> bool:
    """Print each ratio's median and range beside its limit; True if all hold."""
    good = True
    for name, ratios in rows.items():
        limit = LIMITS.get(name)
        held = limit is None or median(ratios) <= limit
        good &= held
        verdict = "" if limit is None else f"   limit {limit:g} {'holds' if held else 'EXCEEDED'}"
        print(f"{median(ratios):8.3f}  ({min(ratios):.3f} to {max(ratios):.3f}, {len(ratios)} pairs)  {name}{verdict}")
    return good


class Bench:
    """The network, the images, and the parts of the job timed one by one."""

    def __init__(self, folder: Path, images: int) -> None:
        import torch

        from interpkit import LabelSet, Probe, load_model
        from interpkit.feeding import read_image, tune

        torch.set_num_threads(THREADS)
        self.labels = LabelSet.open(repeated(folder, images))
        self.probe = Probe(load_model(MODEL), [LAYER])
        inputs = [read_image(self.labels, row, self.probe.preprocessing) for row in range(REFERENCE_BATCH)]
        self.inputs = inputs
        self.feeding = tune(self.probe, inputs[:8])
        print(f"{len(self.labels):,} images of {self.labels.root.name}, {MODEL} {LAYER}, {THREADS} threads")
        for size, name, ms in self.feeding.timings:
            chosen = (size, name) == (self.feeding.batch_size, self.feeding.memory_format)
            print(f"{ms:8.1f} ms an image, batch {size} {name}{'   <- fastest' if chosen else ''}")

    def decode(self, *, maps: bool = True) -> float:
        """Seconds to decode every image and (``maps``) every label map, with as many threads as the run has."""
        from interpkit.feeding import read_image

        def one(row: int) -> None:
            read_image(self.labels, row, self.probe.preprocessing)
            if maps:
                self.labels.labels(row)

        with ThreadPoolExecutor(THREADS) as pool:
            return timed(lambda: list(pool.map(one, range(len(self.labels)))))

    def reference(self) -> float:
        """Seconds of a forward pass over all images in large batches, extrapolated.

        In a process of its own, as the reference codes run: one in which large arrays have come and gone keeps their
        memory, and large batches then run half as long again as fast (36 instead of 53 ms an image).
        """
        command = [sys.executable, "-c", REFERENCE, MODEL, str(REFERENCE_BATCH), str(THREADS)]
        seconds = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return float(seconds) * len(self.labels)

    def forward(self, batch_size: int, memory_format: str) -> float:
        """Seconds of a forward pass over all images."""
        from interpkit.feeding import stack, weights_in

        count = len(self.labels)
        batch = stack(self.inputs[:batch_size], memory_format)
        with weights_in(self.probe.model, memory_format):
            self.probe(batch)
            start = perf_counter()
            for _ in range(-(-count // batch_size)):
                self.probe(batch)
            return (perf_counter() - start) / (-(-count // batch_size) * batch_size) * len(self.labels)

    def dissect(self, cache: str) -> dict[str, float]:
        """Seconds of each stage of dissect() after tuning."""
        from interpkit import dissect

        result = dissect(
            self.probe,
            self.labels,
            cache=cache,
            batch_size=self.feeding.batch_size,
            memory_format=self.feeding.memory_format,
            threads=THREADS,
        )
        stages = dict(result.provenance.stages)
        stages.pop("tuning")
        return stages


def bench_dissect(folder: Path, *, pairs: int, images: int) -> bool:
    """dissect() against its physical limit, and against how the reference codes run."""
    bench = Bench(folder, images)
    fastest = (bench.feeding.batch_size, bench.feeding.memory_format)
    names = {
        "ram": "dissect, maps in memory / (decode + fastest forward)",
        "disk": "dissect, maps on disk / (decode + fastest forward)",
        "none": "dissect, two forward passes / (decode + fastest forward)",
    }
    slow = "dissect, maps in memory / (decode + forward at batch 64 contiguous)"
    ratios: dict[str, list[float]] = {**{name: [] for name in names.values()}, slow: []}
    ratios["counting / (decode + fastest forward)"] = []
    for pair in range(pairs):
        decode, forward = bench.decode(), bench.forward(*fastest)
        reference = decode + bench.reference()
        stages = {cache: bench.dissect(cache) for cache in names}
        for cache, name in names.items():
            ratios[name].append(sum(stages[cache].values()) / (decode + forward))
        ratios[slow].append(sum(stages["ram"].values()) / reference)
        ratios["counting / (decode + fastest forward)"].append(stages["ram"]["counting"] / (decode + forward))
        shown = {cache: " + ".join(f"{k} {v:.1f}" for k, v in one.items() if v > 0.05) for cache, one in stages.items()}
        slowly = reference - decode
        print(f"pair {pair + 1}: decode {decode:.1f} s, forward {forward:.1f} s, at batch 64 {slowly:.1f} s; {shown}")
    return report_ratios(ratios)


def bench_passes(folder: Path, *, pairs: int, images: int) -> bool:
    """The passes of entangle() and score_parts() against their physical limit."""
    from interpkit import entangle, score_parts

    bench = Bench(folder, images)
    # Classes by turns: what they are does not matter to the pass.
    names = bench.labels.images["image"]
    table = pd.DataFrame({"image": names, "class": [f"class {i % 4}" for i in range(len(names))]})
    table.to_csv(bench.labels.root / "classes.csv", index=False)
    labels = type(bench.labels).open(bench.labels.root)
    fastest = (bench.feeding.batch_size, bench.feeding.memory_format)
    ratios: dict[str, list[float]] = {}
    for _ in range(pairs):
        base = bench.decode(maps=False) + bench.forward(*fastest)
        for name, verb in (("entangle", entangle), ("parts", score_parts)):
            result = verb(bench.probe, labels, batch_size=fastest[0], memory_format=fastest[1], threads=THREADS)
            key = f"{name}, pass over the images / (decode + fastest forward)"
            ratios.setdefault(key, []).append(result.provenance.stages["activations"] / base)
    return report_ratios(ratios)


def bench_thresholds(folder: Path, *, pairs: int) -> bool:
    """Thresholds of 1,280 units of 7 x 7 cells against the forward pass of the same images."""
    from interpkit.quantiles import UpperQuantile

    bench = Bench(folder, 256)
    size = bench.feeding.batch_size
    from interpkit.feeding import stack

    maps = bench.probe(stack(bench.inputs[:size], "contiguous"))[LAYER].numpy()
    values = np.ascontiguousarray(maps.swapaxes(0, 1)).reshape(maps.shape[1], -1)
    rng = np.random.default_rng(0)
    batches = [values[:, rng.permutation(values.shape[1])] for _ in range(1004 // size)]

    def thresholds() -> None:
        quantiles = UpperQuantile(len(values), len(batches) * values.shape[1], quantile=0.005)
        for batch in batches:
            quantiles.add(batch)
        quantiles.result()

    def forward() -> float:
        return bench.forward(size, bench.feeding.memory_format) / 256

    ratios = [timed(thresholds) / (len(batches) * size) / forward() for _ in range(pairs)]
    return report_ratios({"thresholds / fastest forward": ratios})


REFERENCE = """
import sys, time, torch
from interpkit import Probe, load_model
model, batch, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
probe = Probe(load_model(model))
images = torch.zeros(batch, probe.preprocessing.channels, *probe.preprocessing.size)
probe(images)
start = time.perf_counter()
for _ in range(3):
    probe(images)
print((time.perf_counter() - start) / (3 * batch))
"""

MEASURE = """
import json, resource, sys, psutil
from interpkit import LabelSet, Probe, dissect, load_model
root, cache, scratch = sys.argv[1:]
probe, labels = Probe(load_model("lite:efficientnet-lite0"), ["_bn1"]), LabelSet.open(root)
before = psutil.Process().memory_info().rss
dissect(probe, labels, cache=cache, scratch=scratch, threads=2)
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before))
"""


def bench_memory(folder: Path, *, images: int) -> bool:
    """Peak memory beyond the loaded model, at ``images`` and at four times as many."""
    units, cells = 1280, 49
    good = True
    sets = {n: repeated(folder, n) for n in (images, 4 * images)}
    for cache in ("disk", "none"):
        peak = {}
        for n, root in sets.items():
            command = [sys.executable, "-c", MEASURE, str(root), cache, str(folder)]
            peak[n] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        tail = 4 * units * -(-5 * 4 * images * cells // 1000) * 4
        allowed = 1.1 * peak[images] + tail
        held = peak[images] <= 600e6 and peak[4 * images] <= allowed
        good &= held
        print(
            f"{peak[images] / 1e6:8.0f} MB at {images:,} images (limit 600), {peak[4 * images] / 1e6:.0f} MB at "
            f"{4 * images:,} (limit {allowed / 1e6:.0f}), cache {cache}   {'holds' if held else 'EXCEEDED'}"
        )
    return good


def bench_report(folder: Path, *, pairs: int) -> bool:
    """The pages of runs with 1,280 and 2,048 units, on a screen and on paper, and the start of the command line."""
    run = folder / "run"
    command = [sys.executable, "-m", "interpkit"]
    source = PHOTOGRAPHS if PHOTOGRAPHS.is_dir() else "broden-mini"
    ask = ["dissect", MODEL, "--layer", LAYER, "--labels", str(source), "--out", str(run), "--quiet", "--no-report"]
    subprocess.run([*command, *ask], check=True, capture_output=True)
    page = [
        timed(lambda: subprocess.run([*command, "report", str(run)], check=True, capture_output=True))
        for _ in range(pairs)
    ]
    start = [timed(lambda: subprocess.run([*command, "--help"], check=True, capture_output=True)) for _ in range(pairs)]
    print(f"{median(page):8.2f} s  interpkit report, 1,280 units (limit 15)")
    print(f"{median(start):8.2f} s  interpkit --help (limit 0.5)")
    good = bench_pdf(run) and bench_large_page(folder)
    return good and median(page) <= 15 and median(start) <= 0.5


WRITTEN = """
import resource, sys, time
from interpkit import report
start = time.perf_counter()
path = getattr(report, sys.argv[1])(sys.argv[2])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(time.perf_counter() - start, peak / 1e6, path.stat().st_size / 1e6)
"""


def written(function: str, run: Path) -> tuple[float, float, float]:
    """Seconds, peak memory and size in MB of what a function of the report's writes."""
    done = subprocess.run(
        [sys.executable, "-c", WRITTEN, function, str(run)], check=True, capture_output=True, text=True
    )
    seconds, peak, size = map(float, done.stdout.split())
    return seconds, peak, size


def bench_pdf(run: Path) -> bool:
    """The PDF of a run with 1,280 units."""
    seconds, peak, size = written("build_pdf", run)
    print(f"{seconds:8.2f} s  PDF, 1,280 units (limit 60); {size:.1f} MB (limit 20), {peak:.0f} MB of memory")
    return seconds <= 60 and size <= 20


def bench_large_page(folder: Path) -> bool:
    """The page of a run with 2,048 units."""
    run = folder / "large"
    ask = [
        "dissect",
        "python:torchvision.models:resnet50",
        "--layer",
        "layer4",
        "--labels",
        "broden-mini",
        "--limit",
        "200",
    ]
    command = [sys.executable, "-m", "interpkit", *ask, "--out", str(run), "--quiet", "--no-report"]
    subprocess.run(command, check=True, capture_output=True)
    seconds, peak, _ = written("build", run)
    print(f"{seconds:8.2f} s  page, 2,048 units (limit 20); {peak:.0f} MB of memory (limit 1000)")
    return seconds <= 20 and peak <= 1000


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def main() -> None:
    """Run the benchmarks asked for; exit status 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--images", type=int, default=1004)
    parser.add_argument("--only", default=USUAL)
    arguments = parser.parse_args()
    benches = {
        "dissect": lambda folder: bench_dissect(folder, pairs=arguments.pairs, images=arguments.images),
        "thresholds": lambda folder: bench_thresholds(folder, pairs=arguments.pairs),
        "memory": lambda folder: bench_memory(folder, images=arguments.images),
        "report": lambda folder: bench_report(folder, pairs=arguments.pairs),
        "passes": lambda folder: bench_passes(folder, pairs=arguments.pairs, images=arguments.images),
        "information": bench_information,
        "templates": lambda _folder: bench_templates(),
        "losses": lambda _folder: bench_losses(),
        "graphs": lambda _folder: bench_graphs(),
        "images": bench_images,
        "shapes": bench_shapes,
        "repeated": bench_repeated,
        "broden-size": bench_broden_size,
    }
    good = True
    for name in arguments.only.split(","):
        print(f"\n{name}")
        with workplace() as folder:
            good &= benches[name](folder)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
