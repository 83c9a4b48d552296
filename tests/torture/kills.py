"""Commands ended by a signal at random moments, and started again until they are done."""

import random
import signal
from collections import Counter
from dataclasses import dataclass, field

from scenes import PHASES, Run, Scene, files_of

# Of a phase that is short enough, every moment is tried; passes are where most can go wrong.
WEIGHTS = {"start-up": 1, "passes": 5, "saving": 2, "page": 2}
MOST = 4


@dataclass
class Told:
    """What came of a fault.

    Attributes
    ----------
    times
        How often it was injected.
    went_on
        How often the run after it had something to go on with.
    lost, wrong, other
        Results that were not there in the end, or not whole; files that differ from those of a run left alone; and
        commands that hung, ended otherwise than in one line, or left something behind.
    phases
        Where it struck.
    said
        Of what went wrong.
    """

    times: int = 0
    went_on: int = 0
    lost: int = 0
    wrong: int = 0
    other: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)

    def complain(self, kind: str, text: str, *, by: int = 1) -> None:
        """Count something that went wrong."""
        setattr(self, kind, getattr(self, kind) + by)
        self.said.append(f"{kind}: {text}")

    def judge(self, run: Run, scene: Scene, whole: dict[str, bytes], *, found: dict[str, bytes] | None = None) -> None:
        """The last run has to end well, with the files of one that was left alone; ``found``: those it has left."""
        if run.status != 0:
            self.complain("lost", f"ended with {run.status}: {run.said[-2000:]}")
            return
        found = files_of(scene.out) if found is None else found
        missing = [name for name in whole if name not in found]
        differing = [name for name in whole if name in found and found[name] != whole[name]]
        if missing:
            self.complain("lost", f"missing: {missing}", by=len(missing))
        if differing:
            self.complain("wrong", f"differ: {differing}", by=len(differing))
        if more := sorted(found.keys() - whole.keys()) + scene.left():
            self.complain("other", f"left behind: {more}")


def by_signals(scene: Scene, *, seed: int, times: int, number: int = signal.SIGKILL) -> Told:
    """So many ends, one to four of them on the way to each result."""
    rng, told, whole = random.Random(seed), Told(), scene.whole()
    while told.times < times:
        for _ in range(min(rng.randint(1, MOST), times - told.times)):
            run = scene.start()
            if not scene.reach(run, rng.choices(PHASES, [WEIGHTS[name] for name in PHASES])[0], rng.random()):
                break  # it was done before
            told.phases[scene.phase(run)] += 1
            told.times += 1
            run.send(number)
            run.wait()
            told.went_on += run.went_on
            if "Traceback" in run.said:
                told.complain("other", run.said[-2000:])
        last = scene.run()
        told.went_on += last.went_on
        told.judge(last, scene, whole)
        scene.again()
    return told
