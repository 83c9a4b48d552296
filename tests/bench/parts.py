"""Speed and memory of the template diagnostics, and of the location and association numbers.

    python tests/bench/parts.py

Each job runs in a process of its own, so that its peak of memory is its own.
"""

import json
import os
import subprocess
import sys

# As the command line does: threads that spin while they wait slow each other down.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

THREADS = 2

TEMPLATES = f"""
import json, resource
from time import perf_counter
import numpy as np, psutil, torch
from interpkit.templates import calibrated_tau, paper_tau, peak_level, template_statistics
torch.set_num_threads({THREADS})
rng, size = np.random.default_rng(0), (14, 14)
maps = np.empty((1000, 512, *size), np.float32)
for image in maps:
    rng.standard_normal(out=image, dtype=np.float32)
    image -= 1.5
level = peak_level(maps.max((2, 3)))
taus = [calibrated_tau(level, size, c=c) for c in (1, 2, 4)] + [np.full(512, paper_tau(size))]
before = psutil.Process().memory_info().rss
start = perf_counter()
template_statistics(maps, taus)
seconds = perf_counter() - start
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before]))
"""

LOCATION = """
import json, resource
from time import perf_counter
import numpy as np, psutil
from interpkit.location import baselines, instability
rng = np.random.default_rng(0)
cells = np.stack(np.meshgrid(*2 * [15.5 + 32 * np.arange(7)], indexing="ij"), -1).reshape(-1, 2)
marks = rng.uniform(0, 224, (5000, 15, 2))
position, score = np.empty((5000, 1280, 2)), np.empty((5000, 1280))
for places, heights in zip(position, score):  # one image at a time: making them all at once would be the peak
    places[:] = cells[rng.integers(49, size=1280)]
    rng.random(out=heights)
before = psutil.Process().memory_info().rss
start = perf_counter()
instability(position, score, marks, diagonal=316.8)
baselines(marks, cells, diagonal=316.8, seed=0)
seconds = perf_counter() - start
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before]))
"""

ASSOCIATION = """
import json, resource
from time import perf_counter
import numpy as np, psutil
from interpkit.geometry import half_pixel
from interpkit.parts._association import Association
rng = np.random.default_rng(0)
maps = rng.random((20, 512, 14, 14), np.float32)
masks = np.zeros((20, 30, 112, 112), bool)
for n, p in np.ndindex(20, 30):
    top, left = rng.integers(0, 90, 2)
    masks[n, p, top : top + 20, left : left + 20] = p % 2
before = psutil.Process().memory_info().rss
start = perf_counter()
where = dict(map_size=(14, 14), input_size=(224, 224), grid=(112, 112), radius=28, parts=30)
counting = Association(np.full(512, 0.995), half_pixel((224, 224), (14, 14)), **where)
for n in range(1000):
    counting.add(maps[n % 20], masks[n % 20], masks[(n + 1) % 20])
counting.result()
seconds = perf_counter() - start
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before]))
"""

# The job, its limits in seconds and bytes beyond what it is given.
JOBS = {
    "templates: 512 units of 14 x 14, 1,000 images, four scales": (TEMPLATES, 30, 300e6),
    "location: 1,280 units, 5,000 images, 15 landmarks, and the baselines": (LOCATION, 30, 300e6),
    "association: 512 units of 14 x 14, 1,000 images, 15 of 30 parts each": (ASSOCIATION, 30, 300e6),
}


def bench_templates() -> bool:
    """Run the jobs; True if all limits hold."""
    good = True
    for name, (program, seconds, memory) in JOBS.items():
        done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
        took, grew = json.loads(done.stdout)
        held = took <= seconds and grew <= memory
        good &= held
        print(
            f"{took:8.2f} s (limit {seconds}), {grew / 1e6:6.0f} MB beyond its input (limit {memory / 1e6:.0f})  {name}"
            f"   {'holds' if held else 'EXCEEDED'}"
        )
    return good


if __name__ == "__main__":
    sys.exit(0 if bench_templates() else 1)
