"""A network that makes an image from the features of one layer, trained on the images of a graph."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from interpkit.errors import InterpkitError, ModelError, ResultError, UnknownNameError, nearest, one_line
from interpkit.feeding import Batch, Feeding, MemoryFormat, read_image, stack, weights_in
from interpkit.graph._decoderfolder import Recipe, check_folder, digest, epochs_said, read_state, tidy, write
from interpkit.holding import Held
from interpkit.labels import LabelSet
from interpkit.mapstore import Cache, kept_arrays
from interpkit.models.seeds import fixed_seed
from interpkit.probe import Probe
from interpkit.running import Progress, check_finite, fed, forward, silent

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

# Maps that an image can be made from, and those it can be made from well; how wide and narrow the decoder is.
LEAST_MAP, GOOD_MAP, WIDEST, NARROWEST = 7, 14, 256, 16
SLOPE = 0.2
BATCH, RATE, EPOCHS = 8, 1e-3, 30


class Network(nn.Module):
    """From features (N, U, h, w) to inputs (N, channels, H, W).

    A convolution to 256 channels, fewer for few units; then twice the size and half the channels, again and again, up
    to about the input's size; resized to it where that is no power of two times the map's; a last convolution. Features
    are divided by their root mean square over the training images, unit by unit.
    Source: after Dosovitskiy and Brox, "Inverting Visual Representations with Convolutional Networks", CVPR 2016.
    """

    scale: Tensor

    def __init__(self, units: int, map_size: tuple[int, int], output: tuple[int, int, int]) -> None:
        super().__init__()
        channels, *size = output
        self.size = (size[0], size[1])
        width = min(WIDEST, max(NARROWEST, 2 ** math.ceil(math.log2(units))))
        self.register_buffer("scale", torch.ones(units))
        stages: list[nn.Module] = [nn.Conv2d(units, width, 3, padding=1), nn.LeakyReLU(SLOPE)]
        for _ in range(_doublings(map_size, self.size)):
            narrower = max(NARROWEST, width // 2)
            stages += [nn.Upsample(scale_factor=2), nn.Conv2d(width, narrower, 3, padding=1), nn.LeakyReLU(SLOPE)]
            width = narrower
        self.stages = nn.Sequential(*stages)
        self.last = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W), normalised as the network's inputs are."""
        made = self.stages(features / self.scale[:, None, None])
        if made.shape[-2:] != self.size:
            made = functional.interpolate(made, self.size, mode="bilinear", align_corners=False)
        image: Tensor = self.last(made)
        return image


def _doublings(map_size: tuple[int, int], size: tuple[int, int]) -> int:
    """How often a map has to grow to twice its size, rounded."""
    return max(0, round(math.log2(max(big / small for big, small in zip(size, map_size, strict=True)))))


@dataclass(frozen=True, eq=False)
class Source:
    """Images that a decoder is trained on: rows of a label set, seen by a layer of a network."""

    probe: Probe
    labels: LabelSet
    rows: tuple[int, ...]
    layer: str
    feeding: Feeding

    @property
    def shape(self) -> tuple[int, int, int]:
        """(U, h, w) of the layer."""
        return self.probe.shapes()[self.layer]

    def recipe(self, seed: int) -> Recipe:
        """Of a decoder trained on these."""
        probe = self.probe
        files = [(str(self.labels.images["image"].iloc[row]), self.labels.path(row)) for row in self.rows]
        known = network_of(probe, self.layer)
        return Recipe(**known, images=len(files), images_sha=digest(files), seed=seed, batch=BATCH, rate=RATE)


@dataclass(frozen=True, eq=False)
class Decoder:
    """A trained decoder.

    Attributes
    ----------
    network
        From features to images, in evaluation mode.
    recipe
        What it was trained on.
    loss
        Mean squared error over the training images of each epoch, normalised pixels.
    """

    network: Network
    recipe: Recipe
    loss: tuple[float, ...]

    @property
    def scale(self) -> Floats:
        """(U,) what each unit's features are divided by."""
        scale: Floats = self.network.scale.cpu().numpy()
        return scale

    def __call__(self, features: Floats) -> Floats:
        """(N, channels, H, W) images from rectified features (N, U, h, w), normalised as the network's inputs are."""
        device = self.network.scale.device
        with torch.no_grad():
            made = [self.network(torch.from_numpy(some).to(device)).cpu().numpy() for some in _rounds(features)]
        return np.concatenate(made)


def _rounds(features: Floats) -> Iterator[Floats]:
    for first in range(0, len(features), BATCH):
        yield np.ascontiguousarray(features[first : first + BATCH])


def train_decoder(
    probe: Probe,
    labels: LabelSet,
    folder: str | Path,
    *,
    layer: str | None = None,
    epochs: int = EPOCHS,
    batch_size: int | Literal["auto"] = "auto",
    memory_format: MemoryFormat = "auto",
    threads: int | None = None,
    cache: Cache = "auto",
    scratch: str | Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Decoder:
    """Train a network that makes images from a layer's rectified features, on all images of a label set.

    The state is kept in ``folder`` after every epoch. A training that was stopped goes on from there and ends the same,
    on a CPU bit for bit at equal batch size and threads; a decoder that has had its epochs is read and not trained.

    Parameters
    ----------
    layer
        None: the last of the probe's layers that has maps of at least 14 x 14 cells, else of 7 x 7.
    batch_size, memory_format, threads
        How the network is fed, whose features are decoded.
    cache, scratch
        Where its features are kept during the training.

    Raises
    ------
    InterpkitError
        If no layer has such maps, or there are no epochs.
    ResultError
        If the folder holds anything else: another network's, layer's or training's decoder.
    ImageError
        If an image cannot be read.
    """
    name = decoder_layer({one: probe.shapes()[one] for one in probe.layers}, layer)
    with fed(
        probe, labels, batch_size=batch_size, memory_format=memory_format, threads=threads, skip_bad=False
    ) as ready:
        source = Source(probe, labels, tuple(range(len(labels))), name, ready.feeding)
        kept = (cache, scratch)
        return trained(source, Path(folder), epochs=epochs, kept=kept, seed=seed, progress=progress or silent)


def decoder_layer(shapes: Mapping[str, tuple[int, int, int]], asked: str | None = None) -> str:
    """The layer that images are made from: the last of those given with maps of at least 14 x 14 cells, else of 7 x 7.

    Raises
    ------
    UnknownNameError
        If the one asked for is not among them.
    InterpkitError
        If none is asked for and none has such maps.
    """
    if asked is not None:
        if asked not in shapes:
            close = ", ".join(nearest(asked, shapes, count=1) or shapes)
            raise UnknownNameError(f"no layer {asked!r} to decode; there is {', '.join(shapes)}; nearest: {close}")
        return asked
    for least in (GOOD_MAP, LEAST_MAP):
        large = [name for name, (_, h, w) in shapes.items() if min(h, w) >= least]
        if large:
            break
    else:
        sizes = ", ".join(f"{name} {h}x{w}" for name, (_, h, w) in shapes.items())
        raise InterpkitError(
            f"a decoder needs maps of at least {LEAST_MAP}x{LEAST_MAP} cells; there is {sizes}; leave the decoder out"
        )
    return large[-1]


def check_decoder(probe: Probe, folder: str | Path, *, layer: str | None = None, epochs: int = EPOCHS) -> None:
    """Stop, before anything is computed, where a decoder could not be trained or kept; ``layer`` as in `train_decoder`.

    Raises
    ------
    InterpkitError, ResultError
        As `train_decoder`; whether the folder's decoder saw the same images is known later.
    """
    _check_epochs(epochs)
    check_folder(Path(folder), network_of(probe, decoder_layer(probe.shapes(), layer)))


def network_of(probe: Probe, layer: str) -> dict[str, Any]:
    """What a recipe says of the network and its layer, as plain values."""
    units, h, w = probe.shapes()[layer]
    how = probe.preprocessing
    return {
        "model": probe.loaded.name,
        "model_sha": probe.loaded.sha,
        "layer": layer,
        "units": units,
        "map_size": [h, w],
        "input_size": list(how.size),
        "channels": how.channels,
        "preprocessing": f"{how.described}, {how.interpolation}",
    }


def _check_epochs(epochs: int) -> None:
    if epochs < 1:
        raise InterpkitError(f"a decoder is trained for at least 1 epoch, not {epochs}")


def trained(
    source: Source,
    folder: Path,
    *,
    epochs: int,
    kept: tuple[Cache, str | Path | None],
    seed: int,
    progress: Progress,
) -> Decoder:
    """The decoder of a source, read from its folder as far as it is trained, and trained further to ``epochs``.

    Parameters
    ----------
    kept
        Where features are kept meanwhile: ``cache`` and ``scratch``.

    Raises
    ------
    ResultError
        If the folder holds anything else.
    """
    _check_epochs(epochs)
    recipe = source.recipe(seed)
    check_folder(folder, recipe.plain())
    with _held(folder), torch.inference_mode(mode=False), torch.enable_grad():
        training = _Training.of(source, recipe, read_state(folder, recipe))
        if len(training.loss) < epochs:
            write(folder, recipe, state=None, loss=training.loss)
            shape = (len(source.rows), *source.shape)
            with kept_arrays([shape], cache=kept[0], scratch=kept[1]) as ([features], _):
                _fill(features, source, progress)
                training.begin(features)
                while len(training.loss) < epochs:
                    training.epoch(features, epochs, progress)
                    write(folder, recipe, state=training.state(), loss=training.loss)
        elif epochs_said(folder) != len(training.loss):
            # Killed between the two files of the last epoch.
            write(folder, recipe, state=None, loss=training.loss)
    return Decoder(training.network.eval(), recipe, tuple(training.loss))


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """The folder is this training's alone; where it cannot be written to it can still be read."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultError(f"cannot write the decoder into {folder}: {one_line(error)}") from error
    if not os.access(folder, os.W_OK):
        yield
        return
    with Held(folder):
        tidy(folder)
        yield


def _fill(features: Floats, source: Source, progress: Progress) -> None:
    done = 0
    for some in rectified(source, source.rows):
        features[done : done + len(some)] = some
        done += len(some)
        progress("features", done, len(features))


def rectified(source: Source, rows: Sequence[int], *, turned: Bools | None = None) -> Iterator[Floats]:
    """Maps (n, U, h, w) of images, or of their mirror images, batch by batch, what is negative set to 0.

    Parameters
    ----------
    turned
        Of which of them the mirror image; default: of none.

    Raises
    ------
    ImageError
        If an image cannot be read.
    ModelError
        If activations are not finite.
    """
    probe, feeding = source.probe.only(source.layer), source.feeding
    with weights_in(probe.model, feeding.memory_format):
        for first in range(0, len(rows), feeding.batch_size):
            some = rows[first : first + feeding.batch_size]
            images = [read_image(source.labels, row, probe.preprocessing) for row in some]
            if turned is not None:
                mirror = turned[first : first + len(some)]
                images = [one[:, :, ::-1] if here else one for one, here in zip(images, mirror, strict=True)]
            maps = forward(probe, Batch(np.array(some), stack(images, feeding.memory_format), max(some) + 1))[
                source.layer
            ]
            names = [str(source.labels.images["image"].iloc[row]) for row in some]
            check_finite(maps.reshape(len(some), maps.shape[1], -1).swapaxes(0, 1), source.layer, names)
            yield np.maximum(maps, 0)


@dataclass(frozen=True, eq=False)
class _Training:
    """The state of a training between two epochs."""

    source: Source
    seed: int
    network: Network
    optimiser: torch.optim.Optimizer
    loss: list[float]

    @classmethod
    def of(cls, source: Source, recipe: Recipe, state: Mapping[str, Any] | None) -> "_Training":
        """A new one, or one that goes on from a state that was kept."""
        (units, h, w), how = source.shape, source.probe.preprocessing
        with fixed_seed(recipe.seed):
            network = Network(units, (h, w), (how.channels, *how.size))
        network.to(source.probe.device)
        optimiser = torch.optim.Adam(network.parameters(), lr=recipe.rate)
        if state is not None:
            network.load_state_dict(state["network"])
            optimiser.load_state_dict(state["optimiser"])
        return cls(source, recipe.seed, network, optimiser, [] if state is None else list(state["loss"]))

    def begin(self, features: Floats) -> None:
        """Measure the features' scale, which belongs to the network from the first epoch on."""
        if self.loss:
            return
        total = np.zeros(features.shape[1])
        for some in _rounds(features):
            total += np.square(some, dtype=np.float64).mean((2, 3)).sum(0)
        size = np.sqrt(total / len(features))
        self.network.scale.copy_(torch.from_numpy(np.where(size > 0, size, 1)))

    def epoch(self, features: Floats, epochs: int, progress: Progress) -> None:
        """One look at every image, in an order that follows from seed and epoch."""
        order = np.random.default_rng([self.seed, len(self.loss)]).permutation(len(features))
        total, done = 0.0, 0
        for first in range(0, len(order), BATCH):
            some = np.sort(order[first : first + BATCH])
            total += self._step(features[some], some) * len(some)
            done += len(some)
            progress("decoder", len(self.loss) * len(order) + done, epochs * len(order))
        if not math.isfinite(total):
            raise ModelError(f"the decoder's training left the finite numbers in epoch {len(self.loss) + 1}")
        self.loss.append(total / len(order))

    def _step(self, features: Floats, images: npt.NDArray[np.int64]) -> float:
        source, device = self.source, self.source.probe.device
        rows = [source.rows[image] for image in images]
        wanted = np.stack([read_image(source.labels, row, source.probe.preprocessing) for row in rows])
        made = self.network(torch.from_numpy(features).to(device))
        loss = functional.mse_loss(made, torch.from_numpy(wanted).to(device))
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return float(loss.detach())

    def state(self) -> dict[str, Any]:
        """What the training goes on from."""
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}
