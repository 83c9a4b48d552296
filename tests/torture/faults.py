"""What can happen to a run: each fault strikes a command, which is then asked for again."""

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from full_disk import largest_file
from kills import Told, by_signals
from PIL import Image
from scenes import Run, Scene

ROOM = 1 << 30


class Fault(Protocol):
    """Strikes so often."""

    def __call__(self, scene: Scene, *, seed: int, times: int) -> Told:
        """What came of it."""


@contextmanager
def _mounted(folder: Path, *, size: int) -> Iterator[Callable[[str], None] | None]:
    """A file system of so many bytes, and what changes its options; None where none can be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True) and None
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _expect_line(told: Told, run: Run) -> None:
    """It may have come through; if not, it has to say why in one line."""
    if run.wait() != 0 and not run.refused:
        told.complain("other", f"ended with {run.status}: {run.said[-2000:]}")


def _end(told: Told, scene: Scene, whole: dict[str, bytes], *more: str, other: bool = False) -> None:
    """The last run, and a new beginning; the work of runs on ``other`` images is theirs, and stays."""
    last = scene.run(*more)
    if other and "holds another run" in last.refused:
        # Where the image was not needed, there is a result of the set without it.
        last = scene.run("--overwrite")
    told.went_on += last.went_on
    if other:
        shutil.rmtree(scene.work, ignore_errors=True)
    told.judge(last, scene, whole)
    scene.again()


def full_disk(scene: Scene, *, seed: int, times: int, place: str) -> Told:
    """The disk of the work, or of the results, is full after some bytes."""
    rng, told, whole = random.Random(seed), Told(), scene.whole()
    most = sum(map(len, whole.values())) if place == "out" else 4 * sum(map(len, whole.values()))
    for _ in range(times):
        room = 4096 * rng.randint(1, max(2, most // 4096))
        with _mounted(scene.folder / place, size=room) as remount:
            run = scene.start() if remount else scene.start(prepare=partial(_small_files, room))
            _expect_line(told, run)
            told.times += 1
            if remount:
                remount(f"size={ROOM}")
            last = scene.run()
            told.went_on += last.went_on
            told.judge(last, scene, whole)
        scene.again()
    return told


def _small_files(room: int) -> None:
    largest_file(room).__enter__()


def read_only(scene: Scene, *, seed: int, times: int, place: str) -> Told:
    """The folder of the work, or of the results, cannot be written from some moment on."""
    rng, told, whole = random.Random(seed), Told(), scene.whole()
    for number in range(times):
        with _mounted(scene.folder / place, size=ROOM) as remount:
            if remount is None:
                told.said.append("no file system could be mounted")
                return told
            if number % 2 == 0:
                remount("ro")
            run = scene.start()
            if number % 2 and scene.reach(run, "passes", rng.random()):
                # A file that is open for writing keeps its file system so: first the process has to go.
                run.send(signal.SIGKILL)
                remount("ro")
                run = scene.start()
            told.times += 1
            _expect_line(told, run)
            remount("rw")
            last = scene.run()
            told.went_on += last.went_on
            told.judge(last, scene, whole)
        scene.again()
    return told


def _image(scene: Scene, rng: random.Random) -> Path:
    images = sorted((scene.folder / "set" / "images").rglob("*.png"))
    # Label maps lie beside them, under names that say which.
    return rng.choice([path for path in images if "_" not in path.name])


def vanished(scene: Scene, *, seed: int, times: int) -> Told:
    """An image is gone from some moment on, and comes back."""
    rng, told, whole = random.Random(seed), Told(), scene.whole()
    for number in range(times):
        image = _image(scene, rng)
        aside = scene.folder / "aside.png"
        run = scene.start()
        if scene.reach(run, "passes", rng.random()):
            run.send(signal.SIGSTOP if number % 2 else signal.SIGKILL)
            image.rename(aside)
            if number % 2:
                run.send(signal.SIGCONT)
                _expect_line(told, run)
            else:
                _expect_line(told, scene.run())
            told.times += 1
            aside.rename(image)
        run.wait()
        _end(told, scene, whole, other=True)
    return told


def changed_image(scene: Scene, *, seed: int, times: int) -> Told:
    """An image is another one from some moment on: the next run gives what a new one would, or refuses."""
    rng, told = random.Random(seed), Told()
    scene.whole()
    for number in range(times):
        run = scene.start()
        if scene.reach(run, "passes", rng.random()):
            run.send(signal.SIGSTOP if number % 2 else signal.SIGKILL)
            _repaint(_image(scene, rng), number)
            run.send(signal.SIGCONT)
            if number % 2:
                _expect_line(told, run)
            told.times += 1
        run.wait()
        last = scene.run()
        told.went_on += last.went_on
        # What is there is judged before a run that is left alone takes its place.
        found = scene.run("--overwrite") if last.refused else last
        kept = scene.aside()
        shutil.rmtree(scene.work, ignore_errors=True)
        told.judge(found, scene, scene.whole(), found=kept)
    return told


def _repaint(path: Path, number: int) -> None:
    """Another image in the place of one, of the same size, with the times of the old one."""
    told = path.stat()
    with Image.open(path) as image:
        turned = image.transpose(Image.Transpose.ROTATE_180).point(lambda value: (value + 40 + number) % 256)
    turned.save(path)
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))


def other_options(scene: Scene, *, seed: int, times: int) -> Told:
    """A command is killed, and another one given with the same folder."""
    rng, told = random.Random(seed), Told()
    own = scene.whole()
    for _ in range(times):
        run = scene.start()
        if not scene.reach(run, "passes", rng.random()):
            continue
        run.send(signal.SIGKILL)
        told.times += 1
        other = scene.run(*scene.job.other)
        if not (other.status == 0 or other.refused):
            told.complain("other", other.said[-2000:])
        if other.refused:
            other = scene.run(*scene.job.other, "--overwrite")
        found = scene.aside()
        told.judge(other, scene, scene.whole(*scene.job.other), found=found)
        # ... and the first one again, after which nothing of the other one's may be in the way.
        _end(told, scene, own)
    return told


def damaged_work(scene: Scene, *, seed: int, times: int) -> Told:
    """A file of the work of a killed run is cut, edited, emptied, gone, or another's."""
    rng, told, whole = random.Random(seed), Told(), scene.whole()
    while told.times < times:
        run = scene.start()
        if not scene.reach(run, "passes", rng.random()):
            scene.again()
            continue
        run.send(signal.SIGKILL)
        kept = [path for path in scene.work.rglob("*") if path.is_file()]
        kept += scene.out.glob("checkpoint*")
        if kept:
            _damage(rng.choice(sorted(kept)), rng, beside=rng.choice(sorted(kept)))
            told.times += 1
        last = scene.run()
        # A training that cannot be gone on with is the user's to throw away.
        if "remove it" in last.refused:
            (scene.out / "checkpoint.pt").unlink()
        more = ("--overwrite",) if "checkpoint" in last.refused else ()
        _end(told, scene, whole, *more)
    return told


def _damage(path: Path, rng: random.Random, *, beside: Path) -> None:
    content = bytearray(path.read_bytes())
    kind = rng.choice(("cut", "edited", "emptied", "gone", "another's", "longer"))
    if kind == "gone":
        path.unlink()
    elif kind == "another's":
        path.write_bytes(beside.read_bytes())
    elif kind == "edited" and content:
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
    elif kind == "longer":
        path.write_bytes(content + b"\0" * rng.randint(1, 5000))
    else:
        path.write_bytes(content[: rng.randrange(len(content)) if content and kind == "cut" else 0])


def two_at_once(scene: Scene, *, seed: int, times: int) -> Told:
    """The same command is given again while it runs, into the same folder or another; one of the two has to stop."""
    rng, told, whole = random.Random(seed), Told(), scene.whole()
    for number in range(times):
        first = scene.start()
        there = True
        if number % 3:  # else both at the same moment
            there = scene.reach(first, "passes", rng.random())
            if there:
                first.send(signal.SIGSTOP)
        second = scene.start(out="out" if number % 2 else "out-2")
        if number % 3 and there:
            # The second one ends while the first one stands still.
            second.wait()
            # Two trainings in two folders have nothing in common.
            apart = scene.job.arguments[0] == "finetune" and number % 2 == 0
            if not apart and "in use by process" not in second.refused:
                told.complain("other", f"the second: {second.status} {second.said[-2000:]}")
            first.send(signal.SIGCONT)
        told.times += 1
        for one in (first, second):
            _expect_line(told, one)
        if first.status != 0 and second.status != 0:
            told.complain("other", f"both stopped: {first.said[-500:]} {second.said[-500:]}")
        shutil.rmtree(scene.folder / "out-2", ignore_errors=True)
        _end(told, scene, whole)
    return told


def one_of_two(scene: Scene, *, seed: int, times: int) -> Told:
    """One of two processes that share a run is killed: the other one stops, and the two go on, or one does it all."""
    rng, told, whole = random.Random(seed), Told(), scene.whole()
    for number in range(times):
        run = scene.start(world=2)
        if scene.reach(run, "passes", rng.random()):
            ranks = run.processes()[1:]
            told.times += 1
            os.kill(ranks[number % len(ranks)], signal.SIGKILL)
            if run.wait() in {0, -1}:
                told.complain("other", f"the other process did not stop: {run.status} {run.said[-2000:]}")
        run.wait()
        last = scene.start(world=1 + (number + 1) % 2)
        last.wait()
        told.went_on += last.went_on
        # The work of so many processes is not that of another number of them.
        shutil.rmtree(scene.work, ignore_errors=True)
        told.judge(last, scene, whole)
        scene.again()
    return told


FAULTS: dict[str, Fault] = {
    "killed (SIGKILL)": by_signals,
    "interrupted (SIGINT)": partial(by_signals, number=signal.SIGINT),
    "terminated (SIGTERM)": partial(by_signals, number=signal.SIGTERM),
    "no room for the work": partial(full_disk, place="work"),
    "no room for the results": partial(full_disk, place="out"),
    "work cannot be written": partial(read_only, place="work"),
    "results cannot be written": partial(read_only, place="out"),
    "an image vanishes": vanished,
    "an image changes": changed_image,
    "other options in between": other_options,
    "work cut or edited": damaged_work,
    "two at once": two_at_once,
    "one of two is killed": one_of_two,
}
