"""Many images, layers, units, pixels and runs: what a dissection takes of memory and time as they grow."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
IMAGES = (250, 1000, 4000, 16000)
EXPONENT = (0.95, 1.05)
SPREAD = 1.1
BRODEN = 63305
# Runs of the smaller sizes are over so soon that one of them says little; memory differs by a few MB from run to run.
TURNS = {250: 5, 1000: 3, 4000: 3}


def measured(job: str, *numbers: int, arguments: Sequence[str] = ()) -> dict[str, float]:
    """What a job of ``loads.py`` says, in a process of its own."""
    command = [sys.executable, str(HERE / "loads.py"), job, *map(str, numbers), *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def tail(units: int, cells: int, images: int) -> float:
    """Bytes of the values kept for thresholds, and as many again that wait to be sorted among them, up to 65,536."""
    kept = int(0.005 * images * cells) + 2
    return 4 * units * (kept + max(min(kept, 1 << 16), 2048))


def said(text: str, *, held: bool) -> bool:
    """Print a line and whether it holds."""
    print(f"{text}   {'holds' if held else 'EXCEEDED'}")
    return held


def bench_images(_: Path) -> bool:
    """Time in proportion to the images, and memory that does not grow with them."""
    seconds, memory = [], []
    for images in IMAGES:
        found = [measured("images", images) for _ in range(TURNS.get(images, 1))]
        seconds.append(float(np.median([one["seconds"] for one in found])))
        # At the end the kept values are copied, to be cut at the threshold.
        store = tail(512, 49, images) + 4 * 512 * int(0.005 * images * 49)
        memory.append(float(np.median([one["peak"] for one in found])) - store)
        print(f"{images:8,} images: {seconds[-1]:7.2f} s, {memory[-1] / 1e6:6.1f} MB beyond network and tail")
    exponent = float(np.polyfit(np.log(IMAGES), np.log(seconds), 1)[0])
    low, high = EXPONENT
    good = said(f"{exponent:8.3f}  exponent of time (limits {low} and {high})", held=low <= exponent <= high)
    most = max(memory) / memory[0]
    return good & said(f"{most:8.3f}  memory in units of that at 250 images (limit {SPREAD})", held=most <= SPREAD)


def bench_shapes(_: Path) -> bool:
    """48 layers at once, 10,000 units in one, photographs of 4,000 x 3,000 pixels."""
    layers, one = measured("layers", 48), measured("layers", 1)
    each = (layers["peak"] - one["peak"]) / 47 / 1e6
    good = said(f"{each:8.2f} MB a layer more, 48 layers of 32 x 14 x 14 at once (limit 4)", held=each <= 4)
    ratio = layers["seconds"] / one["seconds"]
    good &= said(f"{ratio:8.1f}  times as long as one of these layers (limit 48)", held=ratio <= 48)
    units = measured("units", 10000)["peak"] / 1e6
    text = f"{units:8.0f} MB, 10,000 units in a layer, 815 of them counts of 1,198 concepts (limit 1,100)"
    good &= said(text, held=units <= 1100)
    pixels = measured("photograph", 3000, 4000)["peak"] / 1e6
    return good & said(f"{pixels:8.0f} MB, photographs of 4,000 x 3,000 pixels (limit 450)", held=pixels <= 450)


def bench_repeated(_: Path) -> bool:
    """100 runs in one process."""
    found = measured("repeated", 100)
    growth = found["growth"] / 1e6
    good = said(f"{growth:8.2f} MB grown over the last 80 of 100 runs (limit 2)", held=growth <= 2)
    more = found["handles"] + found["hooks"] + found["threads"]
    return good & said(f"{more:8.0f}  handles, hooks and threads more (limit 0)", held=more <= 0)


def bench_broden_size(_: Path) -> bool:
    """As many images as Broden has, generated when they are asked for, 512 units of 7 x 7 cells."""
    found = measured("broden-size", BRODEN)
    most, kept = found["peak"] / 1e6, tail(512, 49, BRODEN) / 1e6
    print(f"{found['seconds']:8.0f} s, {most:.0f} MB beyond the network, of which {kept:.0f} MB for thresholds")
    growth = (found["end"] - found["tenth"]) / 1e6
    text = f"{growth:8.1f} MB more at the end than after a tenth of a pass (limit a tenth of {most:.0f})"
    return said(text, held=growth <= 0.1 * most)
