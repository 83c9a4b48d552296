"""``interpkit doctor``: what this machine has of what interpkit needs, and what to do about the rest."""

import ctypes.util
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import typer

from interpkit.cli import _options as options
from interpkit.cli._screen import aligned, as_json, line
from interpkit.errors import InterpkitError, one_line, printable

PACKAGE = "interpkit-cnn"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Below these a small label set still fits, and little else.
MEMORY, DISK = 2e9, 2e9
LEAST = (3, 11)
# torch 2.n came with torchvision 0.(n + 15).
PAIRED = 15


@dataclass(frozen=True)
class Found:
    """One line: what was looked at, what is there, ``ok``, ``note`` or ``wrong``, and what to do."""

    what: str
    there: str
    verdict: str = "ok"
    advice: str = ""


def doctor(*, as_document: options.Json = False) -> None:
    """Look at versions, devices, memory, disk and folders; say what is wrong and what to do; exit 1 if anything is."""
    found = [printed(one) for look in LOOKS for one in looked(look)]
    wrong = [one for one in found if one.verdict == "wrong"]
    if as_document:
        as_json({"sound": not wrong, "found": [asdict(one) for one in found]})
    else:
        for one, text in zip(found, aligned([(one.verdict, one.what, one.there) for one in found]), strict=True):
            line(text)
            if one.advice:
                line(f"       -> {one.advice}")
        line(f"{len(wrong)} wrong" if wrong else "nothing wrong")
    if wrong:
        raise typer.Exit(1)


def looked(look: Callable[[], Iterator[Found]]) -> Iterator[Found]:
    """What one look finds; one that fails is a finding of its own, so that the others are still seen."""
    try:
        yield from look()
    except Exception as error:
        where = look.__name__.strip("_")
        yield Found(where, f"{type(error).__name__}: {one_line(error)}", "wrong", "install interpkit anew")


def printed(one: Found) -> Found:
    """Each part in one line."""
    return Found(one.what, printable(one.there), one.verdict, printable(one.advice))


def _versions() -> Iterator[Found]:
    python = platform.python_version()
    if sys.version_info < LEAST:
        yield Found("Python", python, "wrong", "interpkit needs Python 3.11 or newer")
    else:
        yield Found("Python", f"{python}, {platform.system()} {platform.machine()}")
    try:
        needed = metadata.requires(PACKAGE) or []
        yield Found("interpkit", metadata.version(PACKAGE))
    except metadata.PackageNotFoundError:
        yield Found("interpkit", "not installed", "wrong", "pip install -c constraints.txt -e . in its checkout")
        return
    for text in needed:
        asked = re.match(r"([A-Za-z0-9._-]+)\s*>=\s*([\d.]+)\s*$", text)
        if asked:
            yield _package(asked[1], asked[2])


def _package(name: str, least: str) -> Found:
    advice = f"pip install -c constraints.txt '{name}>={least}'"
    try:
        there = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Found(name, "not installed", "wrong", advice)
    if _numbers(there) < _numbers(least):
        return Found(name, f"{there}, older than {least}", "wrong", advice)
    return Found(name, there)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])


def pair(torch: str, torchvision: str) -> Found:
    """Whether two versions were made for each other, as far as their numbers tell."""
    words = f"torch {torch} with torchvision {torchvision}"
    ours, theirs = _numbers(torch), _numbers(torchvision)
    if len(ours) < 2 or len(theirs) < 2 or (ours[0], theirs[0]) != (2, 0):
        return Found("torch pair", words, "note", "whether these two belong together is not known to this version")
    if theirs[1] != ours[1] + PAIRED:
        return Found("torch pair", words, "wrong", f"pip install 'torchvision==0.{ours[1] + PAIRED}.*'")
    return Found("torch pair", words)


def _pair() -> Iterator[Found]:
    yield pair(metadata.version("torch"), metadata.version("torchvision"))
    from interpkit.models import import_torchvision

    import_torchvision()


def _optional() -> Iterator[Found]:
    try:
        yield Found("timm", metadata.version("timm"))
    except metadata.PackageNotFoundError:
        yield Found("timm", "not installed", "note", "for timm: and lite: networks: pip install 'interpkit-cnn[zoo]'")
    if ctypes.util.find_library("pangoft2-1.0"):
        yield Found("Pango", "there")
    else:
        yield Found("Pango", "not installed", "note", "for --pdf: apt-get install libpango-1.0-0 libpangoft2-1.0-0")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser:
        yield Found("Chromium", browser)
    else:
        yield Found("Chromium", "not found", "note", "for the tests of pages alone: apt-get install chromium")


def _devices() -> Iterator[Found]:
    from interpkit.running.machine import built_for, devices

    for one in devices():
        if one.fault:
            advice = f"torch is built for {built_for()}; install the driver or another torch, or say --device cpu"
            yield Found(one.name, one.fault, "wrong", advice)
        elif one.name != "cpu":
            yield Found(one.name, f"{one.words}, {one.free / 1e9:,.1f} of {one.memory / 1e9:,.1f} GB free")
        elif shutil.which("nvidia-smi"):
            advice = "pip install a torch that is built for its CUDA: see pytorch.org"
            yield Found("device", f"cpu: {one.words}, built for {built_for()}, and nvidia-smi is there", "note", advice)
        else:
            yield Found("device", f"cpu: {one.words}")


def _processor() -> Iterator[Found]:
    from interpkit.running.machine import threads

    ours = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    there, words = threads(), f"a forward pass takes {threads()}; this process may use {ours} processors"
    if there > ours:
        yield Found("threads", words, "note", f"more threads than processors wait for each other: --threads {ours}")
    elif there < ours and "OMP_NUM_THREADS" not in os.environ:
        yield Found("threads", words, "ok", "")
    elif there < ours:
        yield Found("threads", f"{words} (OMP_NUM_THREADS)", "note", f"unset OMP_NUM_THREADS, or --threads {ours}")
    else:
        yield Found("threads", words)


def _memory() -> Iterator[Found]:
    import psutil

    memory = psutil.virtual_memory()
    words = f"{memory.available / 1e9:,.1f} of {memory.total / 1e9:,.1f} GB free"
    if memory.available < MEMORY:
        yield Found("memory", words, "note", "end other programs, or --batch-size 8 --cache disk")
    else:
        yield Found("memory", words)


def _folders() -> Iterator[Found]:
    from interpkit.cli._runs import work_root
    from interpkit.labels.places import data_folder

    yield _folder("data", data_folder(), "$INTERPKIT_DATA names another folder")
    yield _folder("work", work_root(), "$INTERPKIT_WORK names another folder")
    yield _folder("reports", Path("reports").absolute(), "--out names another folder")


def _folder(what: str, folder: Path, elsewhere: str) -> Found:
    """Whether a folder can be written to, tried where it or the nearest folder above it is, and what is free there."""
    there = next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))
    if not there.is_dir():
        return Found(what, f"{folder}: {there} is a file", "wrong", elsewhere)
    try:
        with TemporaryFile(dir=there) as tried:
            tried.write(b"x")
            tried.flush()
    except OSError as error:
        return Found(what, f"{folder}: {one_line(error)}", "wrong", f"let it be written to; {elsewhere}")
    free = shutil.disk_usage(there).free
    words = f"{folder}, {free / 1e9:,.1f} GB free"
    return Found(what, words) if free >= DISK else Found(what, words, "note", f"make room there; {elsewhere}")


def _label_sets() -> Iterator[Found]:
    from interpkit.labels import LabelSet, available

    for one in available():
        if one.present:
            yield Found(one.name, f"{one.images:,} images, {one.concepts:,} concepts, in {one.where}")
    try:
        labels: Any = LabelSet.open("broden-mini")
        labels.image(0), labels.labels(0)
    except InterpkitError as error:
        yield Found(
            "broden-mini", one_line(error), "wrong", "install interpkit anew: the embedded label set is damaged"
        )


LOOKS = (_versions, _pair, _optional, _devices, _processor, _memory, _folders, _label_sets)
