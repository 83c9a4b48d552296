"""Damaged files for every reader of files from strangers, and a table of what came of them.

    python tests/fuzz/fuzz.py [READER ...]

FUZZ_INPUTS (default 100,000) a reader, half of them by hypothesis and half by atheris where that is installed;
FUZZ_BY names the drivers, FUZZ_SEED another course of them (default 0). A reader fails at an error that is no
``InterpkitError`` of one line, at an input that takes more than five seconds of computing, at code in a file that ran,
at a file read outside its folder, and at a process that takes more than 2,500 MB.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from drivers import MEGABYTES  # noqa: E402 - found once the folder of the tests is on the path
from readers import READERS  # noqa: E402

# Where building a page is what takes the time, and all that it reads was fuzzed without.
SHARE = {"page": 50}


@dataclass(frozen=True)
class Done:
    """What one driver did with one reader; ``told`` is None where it failed."""

    reader: str
    driver: str
    told: dict[str, float] | None
    said: str


def tried(reader: str, driver: str, inputs: int) -> Done:
    """Run one driver on one reader, in a process whose end says how it went."""
    paths = os.pathsep.join([str(HERE.parents[1]), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(HERE / "drivers.py"), reader, driver, str(inputs), os.environ.get("FUZZ_SEED", "0")]
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    lines = ended.stdout.strip().splitlines()
    told = json.loads(lines[-1]) if ended.returncode == 0 and lines else None
    if told is not None and told["peak"] > MEGABYTES:
        return Done(reader, driver, None, f"took {told['peak']} MB")
    # atheris tells the error on its standard output, and how it got there on the other one.
    return Done(reader, driver, told, ended.stderr[-6000:] + ended.stdout[-6000:])


def main(readers: list[str]) -> int:
    """Every reader with every driver; 1 if one failed."""
    inputs = int(os.environ.get("FUZZ_INPUTS", "100000"))
    drivers = os.environ.get("FUZZ_BY", "hypothesis,atheris").split(",")
    if "atheris" in drivers and not find_spec("atheris"):
        print("atheris is not installed (pip install 'interpkit-cnn[fuzz]', on Linux and x86_64): hypothesis alone")
        drivers = ["hypothesis"]
    shares = {name: max(1, inputs // SHARE.get(name, 1) // len(drivers)) for name in readers}
    jobs = [(name, driver, shares[name]) for name in readers for driver in drivers]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        done = list(pool.map(lambda job: tried(*job), jobs))
    heads = ("reader", "by", "inputs", "refused", "seconds", "slowest, s", "peak, MB", "faults")
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for one in done:
        if one.told is None:
            print(f"| {one.reader} | {one.driver} | | | | | | 1 |")
        else:
            t = one.told
            numbers = f"{t['inputs']:,} | {t['refused']:,} | {t['seconds']:,.0f} | {t['slowest']:.2f} | {t['peak']:,}"
            print(f"| {one.reader} | {one.driver} | {numbers} | 0 |")
    failed = [one for one in done if one.told is None]
    for one in failed:
        print(f"\n{one.reader}, by {one.driver}:\n{one.said}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(READERS)))
