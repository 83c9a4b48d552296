"""What the network is fed with, batch by batch: kept features, kept images, or images read anew."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import log, prod
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from interpkit.errors import InterpkitError, ResultError
from interpkit.feeding import FORMATS, ahead, weights_in
from interpkit.finetuning._trunk import Cut
from interpkit.labels import LabelSet
from interpkit.mapstore import choose, kept_arrays
from interpkit.models import Preprocessing
from interpkit.processes import Group
from interpkit.running import Progress

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

# Images in one pass through the frozen part, and how they lie in memory: fixed, not tuned, since a training that is
# resumed has to see the same features. Measured on a CPU, an image of EfficientNet-lite0: 30 ms so, 50 ms by sixteens
# and contiguous.
PASS = {"cpu": 4, "cuda": 64}
FORMAT = "channels_last"
# A random crop covers this share of the image, within these proportions: milder than for training from nothing, since
# fine-tuning sets are small and parts must stay in sight.
AREA = (0.35, 1.0)
SHAPE = (3 / 4, 4 / 3)


@dataclass(frozen=True, eq=False)
class Draws:
    """What is random in one epoch, from seed and epoch alone.

    Attributes
    ----------
    order
        (N,) the positions of the images to train on, shuffled.
    flips
        (rows,) whether an image is mirrored.
    crops
        (rows, 4) left, top, right, bottom as shares of the image; None for whole images.
    """

    order: Ints
    flips: Bools
    crops: npt.NDArray[np.float64] | None


def draw(images: int, rows: int, *, augment: str, seed: int, epoch: int) -> Draws:
    """Draw an epoch of ``images`` to train on, of a label set with so many ``rows``."""
    order, flips, crops = (np.random.default_rng([seed, epoch, stream]) for stream in range(3))
    return Draws(
        order=order.permutation(images),
        flips=np.zeros(rows, np.bool_) if augment == "none" else flips.random(rows) < 0.5,
        crops=_crops(rows, crops) if augment == "standard" else None,
    )


def _crops(rows: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """(rows, 4) boxes of random area and shape inside the unit square."""
    area, shape = rng.uniform(*AREA, rows), np.exp(rng.uniform(log(SHAPE[0]), log(SHAPE[1]), rows))
    width, height = np.minimum(np.sqrt(area * shape), 1), np.minimum(np.sqrt(area / shape), 1)
    left, top = rng.random(rows) * (1 - width), rng.random(rows) * (1 - height)
    return np.stack([left, top, left + width, top + height], 1)


def pieces_of(order: Ints, *, batch_size: int) -> list[Ints]:
    """An order in pieces of at most ``batch_size``, as equal as can be: no last batch of a single image.

    Examples
    --------
    >>> [len(piece) for piece in pieces_of(np.arange(9), batch_size=4)]
    [3, 3, 3]
    """
    return np.array_split(order, max(-(-len(order) // batch_size), 1))


class Supply(Protocol):
    """Gives what the network takes."""

    @property
    def words(self) -> str:
        """What is kept, and where."""

    def training(self, pieces: Sequence[Ints], draws: Draws) -> Iterator[Tensor]:
        """Inputs of each piece of rows, augmented as drawn."""

    def plain(self, pieces: Sequence[Ints]) -> Iterator[Tensor]:
        """Inputs of each piece of rows, as they are."""


@dataclass(frozen=True, eq=False)
class Kept:
    """Inputs in memory, or in a file.

    Attributes
    ----------
    plain_view, mirrored
        (rows, ...) of every image, and (n, ...) of the mirrored images to train on; None where mirroring the input
        does.
    place
        (rows,) where an image is in ``mirrored``.
    """

    plain_view: Floats
    mirrored: Floats | None
    place: Ints
    device: torch.device
    words: str

    def training(self, pieces: Sequence[Ints], draws: Draws) -> Iterator[Tensor]:
        """Inputs of each piece of rows, mirrored as drawn."""
        for rows in pieces:
            inputs, flips = self.plain_view[rows], draws.flips[rows]
            if flips.any():
                inputs[flips] = (
                    inputs[flips][..., ::-1] if self.mirrored is None else self.mirrored[self.place[rows[flips]]]
                )
            yield torch.from_numpy(inputs).to(self.device)

    def plain(self, pieces: Sequence[Ints]) -> Iterator[Tensor]:
        """Inputs of each piece of rows."""
        for rows in pieces:
            yield torch.from_numpy(self.plain_view[rows]).to(self.device)


@dataclass(frozen=True, eq=False)
class Read:
    """Images read from their files, ahead of the network."""

    labels: LabelSet
    preprocessing: Preprocessing
    device: torch.device
    words: str

    def training(self, pieces: Sequence[Ints], draws: Draws) -> Iterator[Tensor]:
        """Images of each piece of rows, cropped and mirrored as drawn."""
        return self._read(pieces, draws)

    def plain(self, pieces: Sequence[Ints]) -> Iterator[Tensor]:
        """Images of each piece of rows."""
        return self._read(pieces, None)

    def _read(self, pieces: Sequence[Ints], draws: Draws | None) -> Iterator[Tensor]:
        def one(row: int) -> Floats:
            image = self.labels.image(row)
            if draws is None:
                return self.preprocessing(image)
            if draws.crops is not None:
                image = _cropped(image, draws.crops[row])
            pixels = self.preprocessing(image)
            return pixels[..., ::-1] if draws.flips[row] else pixels

        rows = [int(row) for piece in pieces for row in piece]
        window = 2 * max((len(piece) for piece in pieces), default=1) + 2
        found = ahead(one, rows, workers=2, window=window, yielding=self.device.type == "cpu")
        for piece in pieces:
            images = [next(found).result() for _ in piece]
            shape = (len(images), self.preprocessing.channels, *self.preprocessing.size)
            yield torch.from_numpy(np.stack(images) if images else np.empty(shape, np.float32)).to(self.device)


def _cropped(image: Image.Image, box: npt.NDArray[np.float64]) -> Image.Image:
    """The part of an image in a box of shares, at least a pixel."""
    width, height = image.size
    left, top, right, bottom = (box * [width, height, width, height]).round().astype(int).tolist()
    return image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))


@dataclass(frozen=True, eq=False)
class Source:
    """Images and how the network takes them.

    Attributes
    ----------
    train
        Rows of the images to train on.
    augment
        ``none``, ``flip`` or ``standard``.
    """

    labels: LabelSet
    preprocessing: Preprocessing
    train: Ints
    augment: str
    device: torch.device

    @property
    def read(self) -> Read:
        """The images, read anew every time."""
        return Read(self.labels, self.preprocessing, self.device, "images read in every epoch")


def _views(source: Source, cut: Cut) -> list[tuple[int, ...]]:
    """Shapes of what is kept: every image, and where features are, the mirrored images to train on."""
    views = [len(source.labels)]
    if source.augment == "flip" and cut.name:
        views.append(len(source.train))
    return [(images, *cut.shape) for images in views]


@dataclass(frozen=True)
class Fed:
    """How a training is fed: decided once, since sums taken in another order give other weights.

    Attributes
    ----------
    cut
        The module whose input is kept; '' for images.
    place
        Where they are kept, ``ram`` or ``disk``, or ``none`` for images that are read anew.
    """

    cut: str
    place: Literal["ram", "disk", "none"]

    def state(self) -> dict[str, Any]:
        """What a training that goes on must share."""
        return {"cut": self.cut, "kept": self.place != "none"}

    def at(self, cut: Cut) -> Cut:
        """The cut that the network has, or that of images."""
        return cut if cut.name == self.cut else cut.whole


def decide(source: Source, cut: Cut, *, group: Group) -> Fed:
    """Features below the cut if there is room for them, else images if there is, else images read anew."""
    for one in (cut, cut.whole):
        place = _room(source, one, group)
        if place != "none":
            return Fed(one.name, place)
    return Fed("", "none")


def follow(before: Mapping[str, Any], source: Source, cut: Cut, *, group: Group) -> Fed:
    """As a training began, whatever room there is by now; images give the same kept or read.

    Raises
    ------
    ResultError
        If the network can no longer be fed there.
    """
    name = before["cut"]
    if name not in {"", cut.name}:
        raise ResultError(
            f"the training that was cut off kept features below {name}, where this network cannot be fed on this "
            "machine; train again with --overwrite"
        )
    if not before["kept"]:
        return Fed("", "none")
    place = _room(source, cut if name else cut.whole, group)
    # A training that began with kept features finds room for them or stops.
    return Fed(name, "disk" if name and place == "none" else place)


def _room(source: Source, cut: Cut, group: Group) -> Literal["ram", "disk", "none"]:
    """Where there is room for what the cut takes, in every process; none where it is another in every epoch."""
    size = 4 * group.world * sum(map(prod, _views(source, cut)))
    return "none" if source.augment == "standard" else choose("auto", size, scratch=Path(tempfile.gettempdir()))[0]


@contextmanager
def supplied(source: Source, module: nn.Module, cut: Cut, *, fed: Fed, progress: Progress) -> Iterator[Supply]:
    """What the cut takes, computed once and kept as was decided, or images read anew.

    Features of mirrored images are kept beside the others. ``cut`` is what ``fed.at`` gave.

    Raises
    ------
    ResultError
        If the room that there was is gone.
    """
    if fed.place == "none":
        yield source.read
        return
    what = f"features below {cut.name}" if cut.name else "images"
    with ExitStack() as stack:
        try:
            arrays, _ = stack.enter_context(kept_arrays(_views(source, cut), cache=fed.place))
        except (InterpkitError, OSError) as error:
            raise ResultError(
                f"no room in {tempfile.gettempdir()} for the kept {what}: free some, or name another folder (TMPDIR)"
            ) from error
        # The weights lie otherwise for the pass alone: what is trained afterwards must stay where it is.
        with weights_in(module, FORMAT):
            _fill(arrays, source, module, cut=cut, progress=progress)
        place = np.zeros(len(source.labels), np.int64)
        place[source.train] = np.arange(len(source.train))
        second = arrays[1] if len(arrays) == 2 else None
        yield Kept(arrays[0], second, place, source.device, f"{what} kept")


def _fill(arrays: Sequence[Floats], source: Source, module: nn.Module, *, cut: Cut, progress: Progress) -> None:
    """One pass: what the cut takes of every image, and of the mirrored images to train on if there is room for it."""
    size = PASS.get(source.device.type, 4)
    views = [(np.arange(len(source.labels)), False), (source.train, True)][: len(arrays)]
    total, done = sum(map(len, arrays)), 0
    for array, (rows, mirrored) in zip(arrays, views, strict=True):
        starts = range(0, len(rows), size)
        pieces = [rows[first : first + size] for first in starts]
        for first, images in zip(starts, source.read.plain(pieces), strict=True):
            seen = (images.flip(-1) if mirrored else images).contiguous(memory_format=FORMATS[FORMAT])
            array[first : first + len(images)] = cut.inputs(module, seen).float().cpu().numpy()
            done += len(images)
            progress("features" if cut.name else "images", done, total)
