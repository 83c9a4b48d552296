"""Images made from features: from all of them, and from those that the strongest nodes hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from interpkit.feeding import Feeding, read_image
from interpkit.graph._album import Album, jpeg
from interpkit.graph._decoder import Decoder, Source, decoder_layer, rectified, trained
from interpkit.graph._flips import mirrored_back
from interpkit.graph._found import Found, Patterns
from interpkit.graph._heat import strongest
from interpkit.graph._patches import mean_input, to_pixels
from interpkit.graph._some import spread
from interpkit.labels import LabelSet
from interpkit.mapstore import Cache
from interpkit.probe import Probe
from interpkit.results import GraphLayer
from interpkit.running import Progress

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

# Images that are made, the share of a layer's nodes whose features are kept, and how long an image's longer side is.
MADE, KEPT, SIDE = 4, 0.1, 224
KINDS = ("all", "kept")


@dataclass(frozen=True)
class Decoding:
    """That images are to be made from features, and how.

    Attributes
    ----------
    folder
        Where the decoder is, or will be.
    epochs, layer, cache, scratch
        As for ``train_decoder``.
    """

    folder: Path
    epochs: int = 30
    layer: str | None = None
    cache: Cache = "auto"
    scratch: str | Path | None = None


@dataclass(frozen=True)
class Synthesis:
    """What was made; the attributes are those of GraphPictures."""

    triples: tuple[tuple[str, str, str], ...] = ()
    layer: str = ""
    error: tuple[float, float] = (float("nan"), float("nan"))


def synthesise(
    graph: tuple[Sequence[GraphLayer], Sequence[Patterns]],
    network: tuple[Probe, Feeding],
    labels: LabelSet,
    *,
    training: Sequence[int],
    held_out: Sequence[int],
    turned: tuple[Bools, Bools],
    decoding: Decoding,
    album: Album,
    seed: int,
    progress: Progress,
) -> Synthesis:
    """Train a decoder on the training images, unless it is trained, and decode held-out ones into ``album``.

    Parameters
    ----------
    graph, network
        Layers from low to high with the places of their nodes; the probe and how it is fed.
    turned
        Which images of both kinds were mirrored. So are they here, and what is made of them is mirrored back.

    Raises
    ------
    ResultError
        If the folder is not of this network, layer and images.
    """
    layers, patterns = graph
    probe, feeding = network
    name = decoder_layer({one.layer: (one.units, *one.map_size) for one in layers}, decoding.layer)
    number = [one.layer for one in layers].index(name)
    source = Source(probe, labels, tuple(training), name, feeding)
    decoder = trained(
        source,
        decoding.folder,
        epochs=decoding.epochs,
        kept=(decoding.cache, decoding.scratch),
        seed=seed,
        progress=progress,
    )
    some = spread(training, held_out, MADE)
    mirror = turned[some.held_out][list(some.positions)]
    found = _seen(some.of(patterns[number]), mirror, width=probe.preprocessing.size[1])
    features = np.concatenate(list(rectified(source, some.rows, turned=mirror)))
    kept = as_strong(features * held(layers[number], found), features, scale=decoder.scale)
    triples = []
    for row, there, *made in zip(some.rows, mirror, decoder(features), decoder(kept), strict=True):
        image = str(labels.images["image"].iloc[row])
        album.show([image])
        back = [values[:, :, ::-1] if there else values for values in made]
        pictures = [_picture(labels, row, to_pixels(values, probe.preprocessing)) for values in back]
        names = [album.add(f"synthesis/{kind}/{image}", one) for kind, one in zip(KINDS, pictures, strict=True)]
        triples.append((image, names[0], names[1]))
    mean = mean_input(labels, training, preprocessing=probe.preprocessing)
    return Synthesis(tuple(triples), name, errors(decoder, source, held_out, mean=mean))


def _seen(found: Found, mirror: Bools, *, width: int) -> Found:
    """Places on images as they were seen; mirroring them back is mirroring them."""
    place = mirrored_back(torch.from_numpy(found.place), mirror, width)
    return Found(place.numpy(), found.score)


def held(layer: GraphLayer, found: Found) -> npt.NDArray[np.bool_]:
    """(N, U, h, w) on N images: the cells that a layer's strongest tenth of nodes lie on, each in its own filter."""
    start, stride = (np.asarray(one) for one in layer.placement)
    mask = np.zeros((len(found.score), layer.units, *layer.map_size), np.bool_)
    for image, score in enumerate(found.score):
        on = strongest(score, KEPT)
        cells = np.rint((found.place[image, on] - start) / stride).astype(np.int64)
        cells = cells.clip(0, np.asarray(layer.map_size) - 1)
        mask[image, layer.filter[on], cells[:, 0], cells[:, 1]] = True
    return mask


def as_strong(kept: Floats, features: Floats, *, scale: Floats) -> Floats:
    """Kept features (N, U, h, w), on each image as strong in the mean square as all features, as after dropout.

    A decoder that learnt from all features makes nothing but grey of the hundredth part of them.

    Parameters
    ----------
    scale
        (U,) what each unit is divided by first.
    """
    there, wanted = (np.square(one / scale[:, None, None]).sum((1, 2, 3), keepdims=True) for one in (kept, features))
    return np.asarray(kept * np.sqrt(wanted / np.where(there > 0, there, 1)), np.float32)


def errors(decoder: Decoder, source: Source, rows: Sequence[int], *, mean: Floats) -> tuple[float, float]:
    """Mean squared error of the decoder, and of one image for all, on images; NaN for none. Normalised pixels."""
    ours = theirs = 0.0
    done = 0
    for features in rectified(source, rows):
        some = rows[done : done + len(features)]
        wanted = np.stack([read_image(source.labels, row, source.probe.preprocessing) for row in some])
        ours += float(np.square(decoder(features) - wanted, dtype=np.float64).mean((1, 2, 3)).sum())
        theirs += float(np.square(mean - wanted, dtype=np.float64).mean((1, 2, 3)).sum())
        done += len(some)
    return (ours / done, theirs / done) if done else (float("nan"), float("nan"))


def _picture(labels: LabelSet, row: int, pixels: npt.NDArray[np.uint8]) -> bytes:
    """An input as a JPEG of the shape that the image itself is shown in."""
    stored = labels.image(row)
    shrink = min(1, SIDE / max(stored.size))
    size = (max(1, round(stored.width * shrink)), max(1, round(stored.height * shrink)))
    drawn = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    return jpeg(np.asarray(drawn))
