"""What can happen to a run happens to it, again and again; a table of what came of it.

    python tests/torture/torture.py [--times 1.0] [--seed 0] [--only FAULT] [--jobs 2]

Commands are killed at random moments of their start-up, their passes, while they save and while they build the page;
their disk is full, images vanish, kept work is damaged. Each is asked for again until it is done, and its files are
held against those of a run that was left alone: byte for byte, but for when a run was made and how long that took. A
third of the kills strike processes started as a user starts them, the others forks of one in which all is imported.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1]), str(HERE.parent)]

from kills import Told  # noqa: E402 - found once the folders are on the path
from scenes import JOBS, ONE_THREAD, PHASES  # noqa: E402

KILLED = "killed (SIGKILL)"
VERBS = ("dissect", "entangle", "parts", "graph", "finetune")
# Faults and how often each strikes a command; those of graphs and trainings are the same code as those of the others.
TIMES = {
    "interrupted (SIGINT)": 2,
    "terminated (SIGTERM)": 2,
    "no room for the work": 3,
    "no room for the results": 3,
    "work cannot be written": 2,
    "results cannot be written": 2,
    "an image vanishes": 3,
    "an image changes": 3,
    "other options in between": 2,
    "work cut or edited": 6,
    "two at once": 4,
}


@dataclass(frozen=True)
class Trial:
    """A fault and a command, how often, and whether commands are started as a user starts them."""

    fault: str
    command: str
    times: int
    cold: bool = False


def trials(share: float) -> Iterator[Trial]:
    """All of them."""
    for command in JOBS:
        yield Trial(KILLED, command, round(6 * share) or 1, cold=True)
        yield Trial(KILLED, command, round(12 * share) or 1)
    yield Trial("one of two is killed", "dissect", round(4 * share) or 1, cold=True)
    for fault, times in TIMES.items():
        for command in VERBS:
            yield Trial(fault, command, round(times * share) or 1)


def tried(trial: Trial, seed: int) -> Told:
    """What came of it, in a process of its own."""
    words = [trial.fault, trial.command, str(trial.times), str(seed), *(["cold"] if trial.cold else [])]
    ended = subprocess.run(
        [sys.executable, str(HERE / "one.py"), *words],
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, **ONE_THREAD},
        check=False,
    )
    if ended.returncode:
        print(trial.fault, trial.command, f"ended with {ended.returncode}", file=sys.stderr, sep=" | ", flush=True)
        return Told(other=1, said=[ended.stderr[-4000:]])
    found = json.loads(ended.stdout.splitlines()[-1])
    print(trial.fault, trial.command, found, file=sys.stderr, sep=" | ", flush=True)
    return Told(**{**found, "phases": Counter(found["phases"])})


def table(done: dict[Trial, Told]) -> list[str]:
    """As Markdown, a line a fault."""
    heads = ("fault", "commands", "times", "went on", "results lost", "results wrong", "other")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for fault in dict.fromkeys(trial.fault for trial in done):
        of = {trial: told for trial, told in done.items() if trial.fault == fault}
        commands = ", ".join(dict.fromkeys(trial.command for trial in of))
        numbers = [sum(getattr(told, name) for told in of.values()) for name in ("times", "went_on")]
        numbers += [sum(getattr(told, name) for told in of.values()) for name in ("lost", "wrong", "other")]
        lines.append(f"| {fault} | {commands} | {' | '.join(map(str, numbers))} |")
    return lines


def main() -> int:
    """Every trial; 1 if anything was lost or wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=float, default=1.0, help="as often as usual, times this")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="faults whose name holds this")
    parser.add_argument("--jobs", type=int, default=2, help="so many commands at the same moment")
    asked = parser.parse_args()
    chosen = [trial for trial in trials(asked.times) if asked.only in trial.fault]
    start = time.monotonic()
    with ThreadPoolExecutor(asked.jobs) as pool:
        found = pool.map(lambda pair: tried(pair[1], asked.seed + pair[0]), enumerate(chosen))
        done = dict(zip(chosen, found, strict=True))
    print("\n".join(table(done)))
    where: Counter[str] = sum((told.phases for told in done.values()), Counter())
    print(f"\nkilled in: {', '.join(f'{name} {where[name]}' for name in PHASES)}; {time.monotonic() - start:,.0f} s")
    bad = {trial: told for trial, told in done.items() if told.lost or told.wrong or told.other}
    for trial, told in bad.items():
        print(f"\n{trial.fault}, {trial.command}:", *told.said, sep="\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
