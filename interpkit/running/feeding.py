"""One pass over the images: tuned, fed, and its activations looked at."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from interpkit.errors import ImageError, LabelSetError, ModelError
from interpkit.feeding import Batch, Feeder, Feeding, MemoryFormat, read_image, threads_set, tune, weights_in
from interpkit.keeping import Work
from interpkit.labels import LabelSet, as_text, combined
from interpkit.probe import Probe
from interpkit.processes import ALONE, Group

Floats = npt.NDArray[np.float32]
# What the work of a run calls how it is fed.
FEEDING = "feeding"
Progress = Callable[[str, int, int], None]

# The first images, on which the feeding is tuned: as many as the largest batch that a CPU tries.
TUNING_IMAGES = 8


@dataclass(frozen=True, eq=False)
class Fed:
    """A network ready for a pass.

    Attributes
    ----------
    feeder
        The images that this process takes, in batches.
    feeding
        How all of them are fed.
    group
        The processes that share them.
    work
        Where finished work is kept; None if nowhere.
    """

    feeder: Feeder
    feeding: Feeding
    group: Group
    work: Work | None

    def settle(self) -> "Settled":
        """What all processes know together when each is through its images; they all have to ask."""
        every: list[tuple[list[int], int]] = []
        self.group.merge((list(self.feeder.skipped), self.feeder.content), every.append)
        return self.group.agreed(
            lambda: Settled(
                skipped=tuple(sorted(row for skipped, _ in every for row in skipped)),
                content=as_text(combined(content for _, content in every)),
            )
        )


@dataclass(frozen=True)
class Settled:
    """What all processes know of their images.

    Attributes
    ----------
    skipped
        Rows of all images that could not be read.
    content
        A digest of the files of all images (`interpkit.labels.content`).
    """

    skipped: tuple[int, ...]
    content: str


@contextmanager
def fed(
    probe: Probe,
    labels: LabelSet,
    *,
    batch_size: int | Literal["auto"],
    memory_format: MemoryFormat,
    threads: int | None,
    skip_bad: bool,
    group: Group = ALONE,
    work: Work | None = None,
) -> Iterator[Fed]:
    """The network tuned on the first images, threads and weights set for the pass, and put back afterwards.

    All processes of ``group`` are fed as the first one found best, and a run that goes on as it was fed before.
    """

    def found() -> Feeding:
        images = first_images(labels, probe)
        return tune(probe, images, batch_size=batch_size, memory_format=memory_format)

    def kept() -> Feeding:
        before = None if work is None else work.state(FEEDING)
        return found() if before is None else Feeding.of(before.plain)

    with threads_set(threads):
        feeding = group.agreed(kept)
    if work is not None:
        # What was kept of a run that was fed otherwise fits no batch of this one.
        work.under(FEEDING, asdict(feeding))
    with threads_set(feeding.threads), weights_in(probe.model, feeding.memory_format):
        span = group.share(len(labels), block=feeding.block)
        yield Fed(Feeder(labels, probe, feeding=feeding, skip_bad=skip_bad, span=span), feeding, group, work)


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
