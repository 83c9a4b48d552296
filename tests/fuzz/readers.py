"""Every reader of files from strangers, with sound files to start from, and what has to hold whatever is in them.

A reader takes the bytes of one file. It either reads them or raises ``InterpkitError`` with one line: any other error,
a line more, a file outside the folder that was read, or code that ran is a fault.
"""

import io
import os
import pickle
import shutil
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image

from interpkit.errors import InterpkitError

TESTS = Path(__file__).resolve().parents[1]
SECONDS = 5.0
PIXELS = 2**18
ARCH = "python:networks:tiny"


class FaultError(AssertionError):
    """What no file may lead to."""


class TooLongError(BaseException):
    """A file that takes longer to read than any should; none that a reader could take for a fault of the file."""


class Toucher:
    """Creates a folder when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.trace),)


@dataclass(frozen=True)
class Reader:
    """One kind of file.

    Attributes
    ----------
    seeds
        (folder) -> sound files to edit: (name of the file in the folder that is read, its bytes).
    read
        (folder) -> reads all that the folder holds, as the commands do.
    """

    seeds: Callable[[Path], Sequence[tuple[str, bytes]]]
    read: Callable[[Path, str], object]


@dataclass
class Bench:
    """A folder in memory in which one reader is tried, again and again."""

    reader: Reader
    folder: Path
    seeds: Sequence[tuple[str, bytes]] = field(default_factory=tuple)
    refused: int = 0
    done: int = 0
    slowest: float = 0.0

    def try_one(self, which: int, change: Callable[[bytes], bytes]) -> None:
        """Read one of the seeds after a change, and put the sound file back.

        Raises
        ------
        FaultError, Exception
            If what came of it is neither a result nor one line.
        """
        name, sound = self.seeds[which % len(self.seeds)]
        path = self.folder / name
        path.write_bytes(change(sound))
        self.done += 1
        began = time.process_time()
        try:
            with time_limit(SECONDS), warnings.catch_warnings():
                # What libraries say of odd files is for the user to see, not a fault.
                warnings.simplefilter("ignore")
                self.reader.read(self.folder, name)
        except InterpkitError as error:
            self.refused += 1
            if "\n" in str(error) or len(str(error)) > 2000 or not str(error).isprintable():
                raise FaultError(f"not one line: {str(error)[:300]!r}") from error
        finally:
            path.write_bytes(sound)
            self.slowest = max(self.slowest, time.process_time() - began)
        if trace(self.folder).exists():
            trace(self.folder).rmdir()
            raise FaultError("code in a file ran")


@contextmanager
def bench(name: str) -> Iterator[Bench]:
    """A reader with its sound files, each of which it reads."""
    memory = Path("/dev/shm")
    where = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="interpkit-fuzz-", dir=where))
    try:
        yield Bench(READERS[name], folder, READERS[name].seeds(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise ``TooLongError`` after so many seconds of computing, whatever else the machine has to do meanwhile.

    Where another than the main thread runs this, or the system has no such timer, nothing is limited.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TooLongError(f"longer than {seconds} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def trace(folder: Path) -> Path:
    """What is there as soon as code in a file has run."""
    return folder / "it-ran"


# --- models


def _models(folder: Path) -> list[tuple[str, bytes]]:
    import torch
    from networks import tiny
    from safetensors.torch import save

    network, ran = tiny(), Toucher(trace(folder))
    state = network.state_dict()
    contents: list[Any] = [state, {"model": state, "epoch": 3}, network, {"state_dict": state, "extra": ran}, ran]
    files = [_torched(content, zipped=True) for content in contents]
    files += [_torched(content, zipped=False) for content in contents]
    files += [pickle.dumps(ran), pickle.dumps({"state_dict": {"a": 1}, "b": [ran]}), save(state)]
    script = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(network), script)
        program = torch.export.export(network.eval(), (torch.zeros(2, 3, 16, 16),))
        exported = io.BytesIO()
        torch.export.save(program, exported)
    names = ("model.pt", "model.pth", "model.pt2", "model.safetensors", "model.bin")
    sound = [(names[n % len(names)], data) for n, data in enumerate([*files, script.getvalue()])]
    # One of many, since opening one takes a hundred times as long.
    return [*sound * 3, ("exported.pt2", exported.getvalue())]


def _torched(content: Any, *, zipped: bool) -> bytes:
    import torch

    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def _read_model(folder: Path, name: str) -> object:
    from interpkit.models import load_model

    path = folder / name
    # Which of torchvision's networks weights are like takes seconds to tell the first time, and reads nothing.
    with mock.patch("interpkit.models.fitting.closest", return_value="like no other"):
        return load_model(path, arch=None if name.startswith("exported") else ARCH, size=16)


# --- label sets


def _label_sets(folder: Path, *names: str) -> list[tuple[str, bytes]]:
    from labels_on_disk import Row, grid_of, write_broden

    rows = [
        Row("a.png", {"part": [grid_of(0, 2), grid_of(1)]}),
        Row("b/c.jpg", {"part": [2, grid_of(1, 0)]}, "val"),
        Row("d.png"),
    ]
    root = write_broden(folder / "set", {1: {"part": 2.0}, 2: {"part": 5.0}}, rows, categories=["part"])
    if "classes.csv" in names:
        (root / "classes.csv").write_text("image,class\na.png,one\nb/c.jpg,two\nd.png,one\n")
        (root / "landmarks.csv").write_text("image,eye_row,eye_col\na.png,3,4\nb/c.jpg,5,2.5\nd.png,,\n")
        (root / "manifest.toml").write_text('name = "small"\nlicence = "MIT"\ngrid = [8, 8]\n')
    # Beside the set, so that a path that leads out of it finds something.
    shutil.copy(root / "images" / "a.png", folder / "outside.png")
    return [(f"set/{name}", (root / name).read_bytes()) for name in names]


def _read_label_set(folder: Path, name: str) -> object:
    from interpkit.labels import LabelSet

    labels = LabelSet.open(folder / "set")
    inside = (folder / "set").resolve()
    shown = [repr(labels), labels.sha, labels.licence]
    # What is of interest in the index is how it is taken apart; the other tables decide what labels mean.
    for i in range(min(len(labels), 1 if name.endswith("index.csv") else 3)):
        for file in labels.files(i):
            if not file.resolve().is_relative_to(inside):
                raise FaultError(f"{file} lies outside the label set")
        with _refusals():
            shown.append(repr(labels.image(i)))
        with _refusals():
            shown.append(repr(labels.labels(i).layers.shape))
    if not name.endswith("index.csv"):
        with _refusals():
            shown.append(repr(labels.targets()))
        with _refusals():
            shown.append(repr(labels.landmarks_of_input((8, 8))))
    return shown


@contextmanager
def _refusals() -> Iterator[None]:
    """What is refused of one image leaves the others to be read."""
    try:
        yield
    except InterpkitError as error:
        if "\n" in str(error):
            raise FaultError(f"not one line: {str(error)[:300]!r}") from error


# --- images


def _label_pngs(_folder: Path) -> list[tuple[str, bytes]]:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 4, (8, 8), np.uint8)
    wide = grey.astype(np.uint16) * 300
    palette = Image.fromarray(grey, "L").convert("P")
    images = [
        *(Image.fromarray(grey), Image.fromarray(wide), palette, Image.fromarray(grey > 1)),
        *(Image.fromarray(rng.integers(0, 255, (8, 8, n), np.uint8)) for n in (3, 4)),
        Image.fromarray(rng.integers(0, 255, (8, 8, 2), np.uint8), "LA"),
    ]
    files = [("label.png", _encoded(image, "PNG")) for image in images]
    files.append(("label.png", _encoded(images[0], "PNG", bits=2)))
    photograph = images[4]
    files += [(f"photo.{kind}", _encoded(photograph, kind.upper())) for kind in ("jpeg", "gif", "bmp", "tiff", "webp")]
    files.append(("photo.jpeg", _encoded(photograph.convert("CMYK"), "JPEG")))
    return files


def _encoded(image: Image.Image, kind: str, *, bits: int | None = None) -> bytes:
    stream = io.BytesIO()
    if bits is None:
        image.save(stream, kind)
    else:
        image.convert("P").save(stream, kind, bits=bits)
    return stream.getvalue()


def _read_image(folder: Path, name: str) -> object:
    path, read = folder / name, []
    # An edited header speaks of up to that many pixels, and a few such files took longer than all others.
    with mock.patch.object(Image, "MAX_IMAGE_PIXELS", PIXELS):
        return _read_small_image(path, read)


def _read_small_image(path: Path, read: list[object]) -> object:
    from interpkit.labels.decoding import decode_index, decode_photograph, decode_unified, image_size, small_jpeg

    for decode in (decode_unified, decode_index):
        with _refusals():
            read.append(decode(path).shape)
    with _refusals():
        read.append(image_size(path))
    with _refusals():
        read.append(small_jpeg(path, side=4, upright=True))
    return decode_photograph(path, upright=False)


# --- results


def _results(folder: Path) -> list[tuple[str, bytes]]:
    from interpkit.results import save

    for number, make in enumerate(_made()):
        save(make, folder / str(number))
    # Each file of each result as often as it is small: scores.npz would be most of the inputs otherwise.
    found = sorted(path for path in folder.glob("*/*") if path.suffix in {".json", ".npz"})
    return [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in found]


@cache
def _made() -> tuple[Any, ...]:
    from made_comparison import comparison
    from made_entanglement import analysed
    from made_finetuning_page import finetuned
    from made_graph import graph
    from made_parts import partscores
    from made_results import small_dissection

    return (
        *(small_dissection(), analysed(12), partscores(12)),
        *(graph(), finetuned(), comparison()),
    )


def _read_result(folder: Path, name: str) -> object:
    from interpkit.results import load

    result = load((folder / name).parent)
    return repr(result), result.order, result._repr_html_()


# --- published tables


def _tables(_folder: Path) -> list[tuple[str, bytes]]:
    head = "unit,category,label,score,object-label,object-truth,object-iou,part-label,part-iou"
    rows = ["1,object,cat,0.25,cat,100,0.25,leg,0.1", "2,part,leg,0.05,,0,,leg,0.05", "3,,,,,,,,"]
    text = "\n".join([head, *rows, ""])
    return [("table.csv", text.encode()), ("table.csv", text.replace("\n", "\r\n").encode("utf-8-sig"))]


def _read_page(folder: Path, name: str) -> object:
    from interpkit.report import build

    return build((folder / name).parent)


def _read_table(folder: Path, name: str) -> object:
    from interpkit.results import read_published

    table = read_published(folder / name)
    return table.unique("top-label"), table.unique("every-category"), table.detectors().sum()


def _read_index(folder: Path, name: str) -> object:
    """A label set of which the index alone is edited: what the other tables say is read once."""
    from interpkit.labels.layouts import broden

    read, kept = broden._concepts, _kept_concepts()

    def concepts(*given: Any) -> Any:
        if folder not in kept:
            kept[folder] = read(*given)
        return kept[folder].copy()

    with mock.patch.object(broden, "_concepts", concepts):
        return _read_label_set(folder, name)


@cache
def _kept_concepts() -> dict[Path, Any]:
    return {}


READERS: dict[str, Reader] = {
    "model": Reader(_models, _read_model),
    "index": Reader(lambda folder: _label_sets(folder, "index.csv"), _read_index),
    "labels": Reader(
        lambda folder: _label_sets(
            folder, "label.csv", "category.csv", "c_part.csv", "classes.csv", "landmarks.csv", "manifest.toml"
        ),
        _read_label_set,
    ),
    "image": Reader(_label_pngs, _read_image),
    "result": Reader(_results, _read_result),
    "published": Reader(_tables, _read_table),
    "page": Reader(_results, _read_page),
}

if str(TESTS) not in sys.path:
    sys.path.insert(0, str(TESTS))
