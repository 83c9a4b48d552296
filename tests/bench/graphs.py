"""Speed and memory of fitting an explanatory graph, on the four layers that the paper takes of VGG-16.

    python tests/bench/graphs.py

512 filters a layer, 28 x 28 and 14 x 14 cells, 40 and 20 nodes a filter: 61,440 nodes, 15 edges each. Maps are
synthetic: a few bumps each. Each job runs in a process of its own, so that its peak of memory is its own. Seconds are
of one machine at one time; beside them stand ratios of two things measured in turn.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

# As the command line does: threads that spin while they wait slow each other down.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

THREADS = 2

PREAMBLE = f"""
import json, math, resource, sys
from statistics import median
from time import perf_counter
import numpy as np, psutil, torch
from interpkit import em
from interpkit.em import Above, Settings
from interpkit.em.fitting import FIRST, _Fit, rounds
torch.set_num_threads({THREADS})
SIDE, EDGES, NOISE = 224, 15, 0.01
LOW_TO_HIGH = ((28, 40), (28, 40), (14, 20), (14, 20))

def grid(n):
    cells = SIDE / n * (torch.arange(n) + 0.5) - 0.5
    return em.Grid(cells, cells)

def bumps(images, filters, n, seed=0):
    # Two bumps a map, float16.
    draws = torch.Generator().manual_seed(seed)
    maps = torch.empty(images, filters, n, n, dtype=torch.float16)
    cells = grid(n).rows
    for one in maps:
        at = SIDE * torch.rand(filters, 2, 2, generator=draws)
        rows, columns = ((-((cells - at[..., a, None]) ** 2) / (2 * 12.0**2)).exp() for a in (0, 1))
        one[:] = rows.transpose(1, 2) @ columns
    return maps

class Kept:
    # Maps in half precision, given in single precision.
    def __init__(self, maps):
        self.maps, self.shape = maps, tuple(maps.shape)

    def __getitem__(self, images):
        return self.maps[images].float()

def drawn(images, nodes, seed=1):
    # Nodes above, as they were found.
    draws = torch.Generator().manual_seed(seed)
    mean = 30 + (SIDE - 60) * torch.rand(nodes, 2, generator=draws)
    place = mean + 20 * torch.randn(images, nodes, 2, generator=draws)
    return Above(place, 0.1 + torch.rand(images, nodes, generator=draws), mean, 8 + 16 * torch.rand(nodes))

def settings(nodes, edges=EDGES, iterations=20):
    size = (SIDE, SIDE)
    return Settings(nodes, edges, NOISE, iterations, rule="repick", fused=False, candidates=600, input_size=size)

def timed(work):
    start = perf_counter()
    work()
    return perf_counter() - start

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
"""

# Of each layer: seconds an image of an iteration (E- and M-step) and of inference, those of the three matrix products
# alone, and an iteration of three times as many images.
STEPS = """
images, pairs = 12, 3
out = []
for number, (n, count) in enumerate(LOW_TO_HIGH):
    maps, where = Kept(bumps(3 * images, 512, n)), grid(n)
    above = None
    if number + 1 < len(LOW_TO_HIGH):
        m, more = LOW_TO_HIGH[number + 1]
        above = drawn(3 * images, 512 * more)
    few = Kept(maps.maps[:images])
    cut = None if above is None else Above(above.place[:images], above.score[:images], above.mean, above.sigma)
    fit = _Fit(few, where, cut, settings(count), torch.Generator().manual_seed(0))
    if above is not None:
        fit.edges = torch.randint(len(above.mean), (512, count, EDGES))
    many = _Fit(maps, where, above, settings(count), torch.Generator().manual_seed(0))
    many.edges = fit.edges
    nodes = em.Nodes(fit.nodes.place, fit.used)

    def products():
        for part in rounds(few, nodes):
            size = few[part].shape[0]
            a, b = torch.rand(size, 512, n, count), torch.rand(size, 512, n, n)
            start = perf_counter()
            a @ a.transpose(2, 3), a.transpose(2, 3) @ b, a.transpose(2, 3) @ b
            spent.append(perf_counter() - start)

    rows = []
    for _ in range(pairs):
        spent = []
        products()
        step = timed(lambda: fit.maximise(fit.expect(fit.edges))) / images
        longer = timed(lambda: many.maximise(many.expect(many.edges))) / (3 * images)
        found = timed(lambda: em.located(few, nodes, where, above=cut, edges=fit.edges)) / images
        rows.append((step, found, sum(spent) / images, longer))
    out.append([median(column) for column in zip(*rows)])
print(json.dumps(out))
"""

# The heaviest layer, 200 images, with all that is kept of it and of the layer above: the first iteration that picks
# edges, and inference.
MEMORY = """
images, (n, count), (_, more) = 200, *LOW_TO_HIGH[:2]
before = psutil.Process().memory_info().rss
others = [bumps(images, 512, m, seed) for seed, (m, _) in enumerate(LOW_TO_HIGH[1:])]
maps, above = Kept(bumps(images, 512, n)), drawn(images, 512 * more)
fit = _Fit(maps, grid(n), above, settings(count), torch.Generator().manual_seed(0))
seconds = {}
seconds["edges picked"] = timed(lambda: fit.choose_edges(FIRST))
seconds["iteration"] = timed(lambda: fit.maximise(fit.expect(fit.edges)))
found = em.located(maps, em.Nodes(fit.nodes.place, fit.used), fit.grid, above=above, edges=fit.edges)
print(json.dumps([peak() - before, seconds]))
"""

# The small preset: 64 filters, 100 images, all four layers with their inference.
SMALL = """
images, filters, above = 100, 64, None
start = perf_counter()
for n, count in ((14, 8), (14, 8), (28, 12), (28, 12)):
    maps, where = Kept(bumps(images, filters, n)), grid(n)
    fitted = em.fit_layer(maps, where, above, settings=settings(count, 5), draws=torch.Generator().manual_seed(0))
    nodes = em.Nodes(fitted.nodes.place, fitted.used)
    found = em.located(maps, nodes, where, above=above, edges=fitted.edges)
    place, score = found.place.flatten(1, 2), found.score.flatten(1)
    _, mean = em.displacement(place, score > 0)
    above = Above(place, score, mean, fitted.nodes.sigma.flatten())
print(json.dumps(perf_counter() - start))
"""

# The separable E-step against one with an array of nodes times cells, and against the mixture written out in loops.
DENSE = """
sys.path.insert(0, sys.argv[1])
from reference import explanatory_graph as slow
n, count, images = 28, 40, 2
where = grid(n)
maps = bumps(images, 512, n).float()
nodes = em.start(512, count, where, sigma=20.0, draws=torch.Generator().manual_seed(0))
cells = torch.stack(torch.meshgrid(where.rows, where.columns, indexing="ij"), -1)

def dense():
    # The same sums, an image at a time: all images at once would not fit.
    weight, first, second = 0, 0, 0
    for one in maps:
        away = cells - nodes.place[:, :, None, None]
        squared = away.square().sum(-1)
        variance = nodes.sigma.square()[..., None, None]
        parts = (-squared / (2 * variance)).exp() / (2 * math.pi * variance)
        share = parts * (one / (NOISE / where.cell + parts.sum(1)))[:, None]
        weight = weight + share.sum((2, 3))
        first = first + (share[..., None] * away).sum((2, 3))
        second = second + (share * squared).sum((2, 3))
    return weight, first, second

def separable():
    return em.expect(maps, nodes, where, told=None, noise=NOISE)

mine, theirs = separable(), dense()
off = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip((mine.weight, mine.first, mine.second), theirs))
few = 2
given = maps[:1, :few].double().numpy(), tuple(x[:few].double().numpy() for x in (nodes.place, nodes.sigma))
named = dict(shift=np.zeros((1, few, count, 2)), factor=np.ones((1, few, count)), noise=NOISE / where.cell)
loops, ratios = [], []
for _ in range(3):
    quick = timed(separable)
    ratios.append(timed(dense) / quick)
    written = timed(lambda: slow.moments(*given, cells.double().numpy(), **named))
    loops.append(written * 512 / few * images / quick)
print(json.dumps([median(ratios), median(loops), off]))
"""

# Seconds an image over the four layers, the ratio to three times as many images, MB, and seconds.
LIMITS = {"iteration": 0.30, "inference": 0.80, "longer": 1.15, "memory": 2000.0, "small": 60.0}


def _done(program: str) -> object:
    command = [sys.executable, "-c", PREAMBLE + program, str(Path(__file__).parents[1])]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def told(value: float, text: str, limit: str | None = None) -> bool:
    """Print a line beside its limit; True if that holds."""
    bound = LIMITS.get(limit or "")
    held = bound is None or value <= bound
    verdict = "" if bound is None else f"   limit {bound:g} {'holds' if held else 'EXCEEDED'}"
    print(f"{value:10.3f}  {text}{verdict}")
    return held


def bench_graphs() -> bool:
    """Run the jobs; True if all limits hold."""
    layers = _done(STEPS)
    assert isinstance(layers, list)
    for (step, found, products, longer), name in zip(layers, ("conv4_2", "conv4_3", "conv5_2", "conv5_3"), strict=True):
        print(f"{name}: iteration {step:.3f} s an image ({longer:.3f} of three times as many), inference {found:.3f}")
        print(f"{'':9}an iteration takes {step / products:.1f} times its three matrix products alone")
    step, found, products, longer = (sum(column) for column in zip(*layers, strict=True))
    good = told(step, "s an image, an iteration (E- and M-step) of all four layers", "iteration")
    good &= told(found, "s an image, inference of all 61,440 places", "inference")
    told(step / products, "iteration / its three matrix products alone")
    good &= told(longer / step, "iteration an image, 36 images / 12 images", "longer")
    memory, seconds = _done(MEMORY)  # type: ignore[misc]
    print("conv4_2, 200 images: " + ", ".join(f"{name} in {value:.0f} s" for name, value in seconds.items()))
    good &= told(memory / 1e6, "MB at most, 200 images, maps of all four layers in half precision", "memory")
    small = _done(SMALL)
    assert isinstance(small, float)
    good &= told(small, "s, small preset: 64 filters, 100 images, four layers fitted", "small")
    dense, loops, off = _done(DENSE)  # type: ignore[misc]
    told(dense, f"dense E-step (nodes times cells) / separable; sums differ by {off:.0e}")
    told(loops, "E-step written out in loops / separable")
    return good


if __name__ == "__main__":
    sys.exit(0 if bench_graphs() else 1)
