"""Speed of a training step with each loss, as a ratio to the plain step, and memory of the filter loss.

    python tests/bench/loss_steps.py [--rounds 15]

A step is what training on a frozen trunk's cached features does: one added convolution with its head, Adam.
"""

import argparse
import json
import os
import subprocess
import sys
from typing import Any

# As the command line does: threads that spin while they wait slow each other down.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

THREADS = 2
# Of the plain step.
LIMITS = {"icnn": 2.5, "class-gate": 1.3}
MEMORY = 80e6

STEPS = f"""
import json, sys
from statistics import median
from time import perf_counter
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from interpkit import losses
from interpkit.losses import Layer, Pass, Step
from interpkit.surgery import PartMask
torch.set_num_threads({THREADS})
torch.manual_seed(0)
features = torch.rand(64, 112, 14, 14)
labels = torch.randint(10, (64,))
member = nn.functional.one_hot(labels, 10).float()

def stepper(name, epoch, **options):
    conv, head = nn.Conv2d(112, 112, 3, padding=1), nn.Linear(112, 10)
    mask = PartMask(112) if name == "icnn" else nn.Identity()
    loss = losses.make(name, options)
    layer = Layer(112, (14, 14), mask if name == "icnn" else None)
    loss.attach({{"act": layer}}, classes=10, multi=False, epochs=30)
    own = loss.own_optimizer()
    optimizers = [torch.optim.Adam([*conv.parameters(), *head.parameters()]), *([own] if own else [])]

    def run(edit):
        maps = torch.relu(conv(features))
        handed = mask(maps)
        handed = handed if edit is None else edit("act", handed)
        return Pass(head(handed.mean((2, 3))), {{"act": maps}})

    def step():
        start = perf_counter()
        for one in optimizers:
            one.zero_grad()
        loss(Step(member, epoch, run, lambda outputs: cross_entropy(outputs, labels))).backward()
        for one in optimizers:
            one.step()
        loss.after_step(epoch)
        return perf_counter() - start

    return loss, step

plain = stepper("class-gate", 0, weight=0.0)[1]
icnn = stepper("icnn", 0)[1]
loss, gate = stepper("class-gate", 5)
assert loss.path(5) == "gated"
steps = {{"plain": plain, "icnn": icnn, "class-gate": gate}}
for step in steps.values():
    step()
rounds = [{{name: step() for name, step in steps.items()}} for _ in range(int(sys.argv[1]))]
found = {{name: median(one[name] / one["plain"] for one in rounds) for name in ("icnn", "class-gate")}}
print(json.dumps(found | {{"seconds": median(one["plain"] for one in rounds)}}))
"""

PEAK = f"""
import json
from threading import Event, Thread
import psutil, torch
from interpkit.templates import mutual_information
torch.set_num_threads({THREADS})
maps = torch.rand(32, 512, 14, 14).requires_grad_()
tau = torch.full((512,), 6.0)
# What a first call loads is not what it needs.
small = torch.rand(2, 2, 3, 3, requires_grad=True)
mutual_information(small, torch.ones(2)).sum().backward()
maps.grad = torch.zeros_like(maps)
process, over, high = psutil.Process(), Event(), 0
before = process.memory_info().rss

def watch():
    global high
    while not over.wait(0.0005):
        high = max(high, process.memory_info().rss - before)

watcher = Thread(target=watch)
watcher.start()
for _ in range(5):
    mutual_information(maps, tau).sum().backward()
over.set()
watcher.join()
print(json.dumps(high))
"""


def _told(program: str, *arguments: str) -> Any:
    done = subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def bench_losses(rounds: int = 15) -> bool:
    """Run the jobs; True if all limits hold."""
    ratios = _told(STEPS, str(rounds))
    good = True
    for name, limit in LIMITS.items():
        held = ratios[name] <= limit
        good &= held
        print(
            f"{ratios[name]:8.2f} (limit {limit}) x the plain step of {1000 * ratios['seconds']:.0f} ms: {name}, "
            f"batch 64, 112 filters of 14 x 14   {'holds' if held else 'EXCEEDED'}"
        )
    grew = _told(PEAK)
    held = grew <= MEMORY
    print(
        f"{grew / 1e6:8.0f} MB beyond the maps and their gradient (limit {MEMORY / 1e6:.0f}): the filter loss, "
        f"batch 32, 512 filters of 14 x 14   {'holds' if held else 'EXCEEDED'}"
    )
    return good and held


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    sys.exit(0 if bench_losses(parser.parse_args().rounds) else 1)
