"""Commands to be ill-treated: how they are started, how far they are, and whether their files are those of a whole run.

A scene lies in one folder, which is the working folder of its commands: no file tells one scene from another.
"""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol

import psutil
from class_sets import CLASSES, class_of, landmark_set, listed_set
from labels_on_disk import write_csv
from small_networks import small_set

CHECKOUT = Path(__file__).resolve().parents[2]
# A thread that a process has would be missing in its forks; libraries start theirs when they are imported.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
PHASES = ("start-up", "passes", "saving", "page")
# No run of a scene takes half as long, also where the machine has more to do.
PATIENCE = 300.0
LOOK = 0.004
# A page says so at its top and, with the seconds of each stage, among the settings.
WHEN = re.compile(rb"\d+ [A-Z][a-z]+ \d{4}, \d\d:\d\d UTC[^<]*")
_NETWORK = ("python:networks:tiny", "--size", "16")
_FED = ("--batch-size", "4", "--memory-format", "contiguous", "--threads", "1")


@dataclass(frozen=True)
class Job:
    """A command, how its label set is made, how many results it writes, and arguments that make it another one."""

    arguments: tuple[str, ...]
    make: Callable[[Path], object]
    results: int
    other: tuple[str, ...]


def _classes(root: Path) -> None:
    """Two classes that are called like concepts of the label maps."""
    listed_set(root)
    rows = [[f"{i:02d}.png", "name1" if class_of(i) == CLASSES[2] else "name3"] for i in range(60) if i % 3]
    write_csv(root / "classes.csv", ["image", "class"], rows)


def _marks(root: Path) -> None:
    landmark_set(root, images=60)


JOBS = {
    "dissect": Job(
        ("dissect", *_NETWORK, "--layer", "stem,body", *_FED, "--cache", "disk"),
        lambda root: small_set(root, images=80),
        2,
        ("--quantile", "0.01"),
    ),
    "dissect and judges": Job(
        (
            *("dissect", *_NETWORK, "--layer", "body", *_FED, "--cache", "none"),
            *("--shuffle-labels", "2", "--rotate", "0,1", "--rotations", "1", "--random-weights"),
        ),
        lambda root: small_set(root, images=60),
        4,
        ("--quantile", "0.01"),
    ),
    "entangle": Job(
        ("entangle", *_NETWORK, "--layer", "stem,body", *_FED, "--with", "ablation,compression,localisation"),
        _classes,
        2,
        ("--pool", "max"),
    ),
    "parts": Job(("parts", *_NETWORK, "--layer", "stem,body", *_FED, "--cache", "disk"), _marks, 2, ("--top", "9")),
    "graph": Job(
        (
            *("graph", "python:networks:tiny", "--size", "32", "--class", "red", "--layer", "act#1,act#2", *_FED),
            *("--nodes", "3,2", "--edges", "2", "--iterations", "4", "--shots", "1,2", "--align", "half-pixel"),
            *("--cache", "disk"),
        ),
        _marks,
        1,
        ("--edges", "1"),
    ),
    "finetune": Job(
        (
            *("finetune", *_NETWORK, "--layer", "body", "--epochs", "6", "--batch-size", "8", "--threads", "1"),
            *("--validation", "0.5"),
        ),
        _marks,
        1,
        ("--rate", "0.01"),
    ),
}


class Started(Protocol):
    """A command that runs, as `subprocess.Popen` has it."""

    pid: int

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""


class Forked:
    """A command in a fork of this process, in which all is imported: most of its time is what it does itself.

    Parameters
    ----------
    prepare
        Called in the fork.
    """

    def __init__(self, arguments: Sequence[str], scene: "Scene", log: Path, *, prepare: Callable[[], None]) -> None:
        self._status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                status = _become(arguments, scene, log, prepare)
            finally:
                os._exit(status)

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status


def _become(arguments: Sequence[str], scene: "Scene", log: Path, prepare: Callable[[], None]) -> int:
    from interpkit.cli import main

    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with log.open("wb", buffering=0) as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), line_buffering=True)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), line_buffering=True)
    os.chdir(scene.folder)
    os.environ.update(scene.environment)
    sys.argv = ["interpkit", *arguments]
    try:
        prepare()
        main(list(arguments))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    return 1


MODULES = {"entangle": "entanglement", "parts": "parts", "graph": "graph", "finetune": "finetuning"}


def import_all(verb: str) -> None:
    """What a command needs; no computing, after which a process cannot be forked any more."""
    for name in ("torch", "pandas", "cv2", "interpkit.cli", "interpkit.report", "interpkit.results"):
        import_module(name)
    import_module(f"interpkit.{MODULES.get(verb, 'dissection')}")


@dataclass(eq=False)
class Run:
    """One start of a command: whether it has held the folder of the run, how it ended and what it said."""

    process: Started
    log: Path
    before: frozenset[str]
    world: int = 1
    held: bool = False
    status: int | None = None

    def ended(self) -> bool:
        """Whether it has."""
        if self.status is None:
            self.status = self.process.poll()
        return self.status is not None

    def processes(self) -> list[int]:
        """Its own, and those that it started, by rank."""
        own, others = self.process.pid, []
        if self.world > 1:
            with suppress(psutil.NoSuchProcess):
                others = [one.pid for one in psutil.Process(own).children()]
        return [own, *others]

    def wait(self) -> int:
        """Its exit status; one that hangs is ended, and gives the signal."""
        end = time.monotonic() + PATIENCE
        while not self.ended() and time.monotonic() < end:
            time.sleep(5 * LOOK)
        if not self.ended():
            self.send(signal.SIGKILL)
        return -1 if self.status is None else self.status

    def send(self, number: int) -> None:
        """A signal; SIGKILL is waited for."""
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, number)
        while number == signal.SIGKILL and not self.ended():
            time.sleep(LOOK)

    @property
    def said(self) -> str:
        """All that it wrote on a terminal."""
        return self.log.read_text(errors="replace")

    @property
    def went_on(self) -> bool:
        """Whether it had something to go on with."""
        return "going on with" in self.said or "already done" in self.said

    @property
    def refused(self) -> str:
        """The line with which it stopped; '' if it did anything else, or said more than that."""
        lines = [line for line in self.said.splitlines() if line.startswith("interpkit: ")]
        good = self.status == 2 and len(lines) == 1 and "Traceback" not in self.said
        return lines[0] if good else ""


@dataclass(eq=False)
class Scene:
    """A folder with a label set, in which a command is run again and again.

    Attributes
    ----------
    durations
        Seconds of each phase, of a run that was left alone.
    """

    job: Job
    folder: Path
    cold: bool = False
    durations: Mapping[str, float] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    _runs: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.environment |= {
            "INTERPKIT_WORK": str(self.work),
            "INTERPKIT_COMMIT_SECONDS": "0",
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "tests")]),
            "CUDA_VISIBLE_DEVICES": "",
            **ONE_THREAD,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "set").exists():
            self.job.make(self.folder / "set")

    @property
    def work(self) -> Path:
        """Where the commands keep finished work."""
        return self.folder / "work"

    @property
    def out(self) -> Path:
        """The folder of the run."""
        return self.folder / "out"

    def start(self, *more: str, out: str = "out", world: int = 1, prepare: Callable[[], None] = lambda: None) -> Run:
        """The command, with further arguments; in several processes, by ``torchrun``.

        ``prepare`` is called in the process before, where it is a fork of this one.
        """
        log = self.folder / f"said-{len(self._runs)}"
        arguments = [*self.job.arguments, "--labels", "set", "--out", out, *more]
        there = frozenset(_inside(self.folder / out))
        warm = not self.cold and world == 1
        process: Started = (
            Forked(arguments, self, log, prepare=prepare) if warm else self._spawned(arguments, log, world=world)
        )
        self._runs.append(Run(process, log, there, world))
        return self._runs[-1]

    def _spawned(self, arguments: Sequence[str], log: Path, *, world: int) -> "subprocess.Popen[bytes]":
        several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
        with log.open("wb") as stream:
            return subprocess.Popen(
                [sys.executable, *(several if world > 1 else ()), "-m", "interpkit", *arguments],
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    def run(self, *more: str, out: str = "out") -> Run:
        """The command from its start to its end."""
        run = self.start(*more, out=out)
        run.wait()
        return run

    def phase(self, run: Run) -> str:
        """Which of ``PHASES`` a command is in that writes into the usual folder."""
        folder = self.out
        with suppress(OSError, ValueError, KeyError):
            run.held |= json.loads((folder / ".held").read_bytes())["process"] in run.processes()
        if not run.held:
            return "start-up"
        if len(list(folder.glob("[!.]*/result.json"))) >= self.job.results:
            return "page"
        new = _inside(folder) - run.before
        return "saving" if any(name != ".held" and "checkpoint" not in name for name in new) else "passes"

    def whole(self, *more: str) -> dict[str, bytes]:
        """The files of a run that is left alone, with further arguments; its phases are timed.

        Raises
        ------
        RuntimeError
            If it fails: then nothing can be tried.
        """
        run, at, began = self.start(*more), dict.fromkeys(PHASES, 0.0), time.monotonic()
        while not run.ended():
            at[self.phase(run)] = time.monotonic()
            time.sleep(LOOK)
        if run.status != 0:
            raise RuntimeError(run.said)
        for name in PHASES:
            at[name] = max(at[name], began)
            began, at[name] = at[name], at[name] - began
        self.durations = at
        found = files_of(self.out)
        self.again()
        return found

    def reach(self, run: Run, phase: str, fraction: float) -> bool:
        """Wait until a command is so far in a phase, or past it; False if it ends before."""
        wanted = PHASES.index(phase)
        while PHASES.index(self.phase(run)) < wanted:
            if run.ended():
                return False
            time.sleep(LOOK)
        until = time.monotonic() + fraction * self.durations[phase]
        while time.monotonic() < until and not run.ended():
            time.sleep(LOOK)
        return not run.ended()

    def close(self) -> None:
        """No command runs any more."""
        for run in self._runs:
            if not run.ended():
                run.send(signal.SIGKILL)

    def again(self) -> None:
        """As before the first run."""
        for folder in (self.out, self.work):
            shutil.rmtree(folder, ignore_errors=True)

    def aside(self) -> dict[str, bytes]:
        """The files that are there, which go."""
        found = files_of(self.out)
        shutil.rmtree(self.out, ignore_errors=True)
        return found

    def left(self) -> list[str]:
        """What is left of finished work, which is to be nothing."""
        return sorted(str(path.relative_to(self.folder)) for path in self.work.rglob("*") if path.is_file())


def _inside(folder: Path) -> set[str]:
    """The names in a folder, and those in its folder of pictures."""
    try:
        return {str(path.relative_to(folder)) for path in (*folder.iterdir(), *folder.glob("images/*"))}
    except OSError:
        return set()


def files_of(run: Path) -> dict[str, bytes]:
    """The files of a run by path, but for when it was made and how long that took."""
    found = {}
    for path in sorted(run.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.name == "result.json":
                content = re.sub(rb'"when": "[^"]*"|"seconds": \{[^}]*\}', b"", content)
            if path.name == "index.html":
                content = WHEN.sub(b"", content)
            found[path.relative_to(run).as_posix()] = content
    return found
