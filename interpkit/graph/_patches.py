"""The best patches of a graph's nodes, side by side, and the mean of the images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from interpkit.feeding import read_image
from interpkit.graph._found import Found, Patterns
from interpkit.labels import LabelSet
from interpkit.models import Preprocessing
from interpkit.running import Progress, silent

# A patch's side: 70 pixels of an input of 224, as in the paper. How large it is drawn, and how many a strip has.
SHARE = 70 / 224
DRAWN = 140
PATCHES = 6

Pixels = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Strip:
    """The patches of a node.

    Attributes
    ----------
    pixels
        (140, 140 k, 3) k patches side by side, best first.
    images, where
        k rows of the label set, and (k, 2) the node's place there, input pixels.
    """

    pixels: Pixels
    images: tuple[int, ...]
    where: npt.NDArray[np.float64]


def patch_side(input_size: tuple[int, int]) -> int:
    """Side of a patch, input pixels.

    Examples
    --------
    >>> patch_side((224, 224)), patch_side((32, 48))
    (70, 10)
    """
    return max(2, round(SHARE * min(input_size)))


def draw_strips(
    nodes: Sequence[tuple[int, int]],
    patterns: Sequence[Patterns],
    labels: LabelSet,
    *,
    training: Sequence[int],
    turned: Bools,
    input_size: tuple[int, int],
) -> list[Strip]:
    """Of each of ``nodes``, pairs of layer and node: its patches on the training images of its highest scores.

    Patches are cut from the stored image once it is squashed to the input, but finer than the input where the stored
    image allows it; beyond the border the image is reflected. On images that were turned they are mirrored.

    Raises
    ------
    ImageError
        If an image cannot be read any more.
    """
    names = np.asarray(labels.images["image"].astype(str))[list(training)]
    best = [best_images(patterns[layer].training, node, names) for layer, node in nodes]
    drawn = [np.zeros((DRAWN, DRAWN * len(images), 3), np.uint8) for images in best]
    wanted = [(image, card, place) for card, images in enumerate(best) for place, image in enumerate(images)]
    zoom = DRAWN / patch_side(input_size)
    before, whole = -1, np.zeros((0, 0, 3), np.uint8)
    for image, card, place in sorted(wanted):
        if image != before:
            before, whole = image, _enlarged(labels.image(training[image]), input_size, zoom)
        layer, node = nodes[card]
        patch = cut(whole, patterns[layer].training.place[image, node], zoom=zoom, side=DRAWN)
        drawn[card][:, place * DRAWN : (place + 1) * DRAWN] = patch[:, ::-1] if turned[image] else patch
    return [
        Strip(
            pixels,
            tuple(int(training[image]) for image in images),
            patterns[layer].training.place[images, node].astype(np.float64),
        )
        for pixels, images, (layer, node) in zip(drawn, best, nodes, strict=True)
    ]


def best_images(found: Found, node: int, names: npt.NDArray[np.str_]) -> list[int]:
    """The images of a node's highest scores, best first: at most six, each of another name, where it has a place."""
    score = found.score[:, node]
    order = [int(image) for image in np.argsort(-score, kind="stable") if score[image] > 0]
    first = {str(names[image]): image for image in reversed(order)}
    return [image for image in order if first[str(names[image])] == image][:PATCHES]


def cut(whole: Pixels, place: npt.NDArray[np.float32], *, zoom: float, side: int) -> Pixels:
    """(side, side, 3) of an image that is ``zoom`` times as large as the input, around a place of the input."""
    first = [int(np.floor((float(at) + 0.5) * zoom - side / 2 + 0.5)) for at in place]
    rows, columns = (
        _reflected(np.arange(start, start + side), length) for start, length in zip(first, whole.shape[:2], strict=True)
    )
    patch: Pixels = whole[rows[:, None], columns]
    return patch


def _reflected(index: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
    """Positions inside, as if the image went on mirrored about its outermost pixels."""
    period = max(2 * (length - 1), 1)
    folded = np.abs(index) % period
    return np.asarray(np.minimum(folded, period - folded), np.int64)


def _enlarged(image: Image.Image, input_size: tuple[int, int], zoom: float) -> Pixels:
    height, width = (max(1, round(zoom * side)) for side in input_size)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def mean_input(
    labels: LabelSet,
    rows: Sequence[int],
    *,
    preprocessing: Preprocessing,
    turned: Bools | None = None,
    progress: Progress = silent,
) -> npt.NDArray[np.float32]:
    """(channels, H, W) mean of the network's inputs, some of them mirrored.

    Raises
    ------
    ImageError
        If an image cannot be read any more.
    """
    total = np.zeros((preprocessing.channels, *preprocessing.size))
    for done, row in enumerate(rows):
        values = read_image(labels, row, preprocessing)
        total += values[:, :, ::-1] if turned is not None and turned[done] else values
        progress("mean image", done + 1, len(rows))
    return np.asarray(total / max(len(rows), 1), np.float32)


def to_pixels(values: npt.NDArray[np.float32], preprocessing: Preprocessing) -> Pixels:
    """(H, W, 3) of an input (channels, H, W): the normalisation undone, luminance as grey."""
    std, mean = (np.asarray(one, np.float64)[:, None, None] for one in (preprocessing.std, preprocessing.mean))
    bright = np.rint(255 * (values * std + mean)).clip(0, 255).astype(np.uint8)
    pixels: Pixels = np.ascontiguousarray(np.broadcast_to(bright.transpose(1, 2, 0), (*values.shape[1:], 3)))
    return pixels
