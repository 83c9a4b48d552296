"""One pass over the images: tuned, fed, and its activations looked at."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from interpkit.errors import ImageError, LabelSetError, ModelError
from interpkit.feeding import Batch, Feeder, Feeding, MemoryFormat, read_image, threads_set, tune, weights_in
from interpkit.labels import LabelSet
from interpkit.probe import Probe

Floats = npt.NDArray[np.float32]
Progress = Callable[[str, int, int], None]

# The first images, on which the feeding is tuned: as many as the largest batch that a CPU tries.
TUNING_IMAGES = 8


@dataclass(frozen=True, eq=False)
class Fed:
    """A network ready for a pass: its images in batches, and how they are fed."""

    feeder: Feeder
    feeding: Feeding


@contextmanager
def fed(
    probe: Probe,
    labels: LabelSet,
    *,
    batch_size: int | Literal["auto"],
    memory_format: MemoryFormat,
    threads: int | None,
    skip_bad: bool,
) -> Iterator[Fed]:
    """The network tuned on the first images, threads and weights set for the pass, and put back afterwards."""
    with threads_set(threads):
        feeding = tune(probe, first_images(labels, probe), batch_size=batch_size, memory_format=memory_format)
        with weights_in(probe.model, feeding.memory_format):
            yield Fed(Feeder(labels, probe, feeding=feeding, skip_bad=skip_bad), feeding)


def first_images(labels: LabelSet, probe: Probe) -> list[Floats]:
    """The first readable images, as inputs (channels, H, W).

    Raises
    ------
    LabelSetError
        If none can be read.
    """
    images: list[Floats] = []
    for row in range(len(labels)):
        try:
            images.append(read_image(labels, row, probe.preprocessing))
        except ImageError:
            continue
        if len(images) == TUNING_IMAGES:
            break
    if not images:
        raise LabelSetError(f"label set {labels.name}: none of its {len(labels)} images can be read")
    return images


def forward(probe: Probe, batch: Batch) -> dict[str, Floats]:
    """The maps (n, U, h, w) of a batch, as contiguous float32 arrays in memory."""
    return {layer: maps.float().cpu().contiguous().numpy() for layer, maps in probe(batch.images).items()}


def check_finite(values: Floats, layer: str, names: Sequence[str]) -> None:
    """Stop at values (U, n, cells) of n named images that are not finite.

    Raises
    ------
    ModelError
        Naming the layer, the first image and the count.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):  # one pass; a sum that overflows is looked at again
            return
    bad = ~np.isfinite(values)
    per_image = bad.sum((0, 2))
    if per_image.any():
        first = int(np.argmax(per_image > 0))
        raise ModelError(
            f"layer {layer!r} gives {int(per_image[first]):,} activations that are not finite (NaN or infinite) "
            f"on image {names[first]!r}; check the weights and the preprocessing"
        )


def silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""
