"""Second pass over the images: labels and those of partners handed to the counts of every layer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from interpkit.counts import block_of
from interpkit.dissection._partners import Segments
from interpkit.dissection._pixels import PackedLabels, Packing
from interpkit.dissection._source import Look, Source
from interpkit.dissection._tally import Chunk, Found, Tally
from interpkit.feeding import ahead
from interpkit.labels import ImageLabels, LabelSet
from interpkit.processes import Group
from interpkit.running import Progress

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Images counted in one go, so that numpy's calls are long enough for threads to work side by side: as many as hold no
# more than MOST_CELLS cells.
AT_ONCE = 8
MOST_CELLS = 2**20
DRAWING_THREADS = 2


class _Counting:
    """What the second pass fills: the counts of every layer."""

    def __init__(self, tallies: Mapping[str, Tally]) -> None:
        self._tallies = list(tallies.values())

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Those of every layer, by its number."""
        every = enumerate(self._tallies)
        return {f"{number}-{name}": array for number, one in every for name, array in one.state().items()}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """The inverse of ``state``, for counts that are still 0."""
        for number, one in enumerate(self._tallies):
            start = f"{number}-"
            one.take({name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)})

    def merge(self, group: Group) -> None:
        """Bring what all processes counted to the first one, layer by layer."""
        for one in self._tallies:
            mine = one.state() if group.world > 1 else {}

            def take(brought: Mapping[str, Any], mine: Mapping[str, Any] = mine, one: Tally = one) -> None:
                if brought is not mine:
                    one.take(brought)

            group.merge(mine, take)


@dataclass(frozen=True, eq=False)
class Counted:
    """The images to count.

    Attributes
    ----------
    rows
        (n,) those of this process that could be read, rising.
    every
        (N,) those of all processes.
    category
        (C,) the category of each concept.
    """

    labels: LabelSet
    group: Group
    rows: Ints
    every: Ints
    grid: tuple[int, int]
    category: Ints
    seed: int
    progress: Progress


def tally(
    tallies: Mapping[str, Tally], source: Source, counted: Counted, *, look: Look, name: str, workers: int
) -> None:
    """Count every image, and bring the counts to the first process, which draws the outlines.

    Parameters
    ----------
    look
        Makes of a batch's maps what the tallies are of, by name.
    name
        Of the pass.
    """
    stage = _Counting(tallies)
    done = source.begun(stage, name=name, most=len(counted.rows))
    packings, which = _packings(tallies)

    def found(chunk: Chunk) -> tuple[Chunk, dict[str, list[Found]]]:
        return chunk, {
            layer: tallies[layer].find(maps, chunk, packing=which[layer]) for layer, maps in chunk.maps.items()
        }

    each = max(1, min(AT_ONCE, MOST_CELLS // sum(one.cells for one in tallies.values())))
    shuffles = max(one.shuffles for one in tallies.values())
    chunks = _chunks(source, counted, packings, look=look, done=done, each=each, shuffles=shuffles)
    before = done
    for future in ahead(found, chunks, workers=workers, window=2 * workers):
        chunk, met = future.result()
        for layer, one in met.items():
            tallies[layer].add(chunk, chunk.maps[layer], one)
        done += len(chunk.rows)
        source.keep(stage, name=name, done=done)
        counted.progress("counting", done, len(counted.rows))
    if done > before:
        source.keep(stage, name=name, done=done, last=True)
    stage.merge(counted.group)
    if counted.group.first:
        for tallied in tallies.values():
            tallied.draw(workers=DRAWING_THREADS)


def _chunks(
    source: Source, counted: Counted, packings: list[Packing], *, look: Look, done: int, each: int, shuffles: int
) -> Iterator[Chunk]:
    """The images that are not ``done``, with their labels and partners."""
    reader = _Reader(counted.labels, packings, counted.grid)
    rows, todo = counted.rows, counted.rows[done:]
    if not len(todo):
        return
    there = counted.every if counted.labels.grid else rows[:0]
    partners = Segments(there, category=counted.category, seed=counted.seed, shuffles=shuffles, read=reader.keep)
    # Partners depend on the images before, so they are handed out here, in order, whoever reads and counts.
    partners.begin(int(todo[0]))
    for some, own in reader.ahead(partners.before(int(todo[0]))):
        for pair in zip(some.tolist(), own, strict=True):
            partners.of(*pair)
    block = np.array([block_of(name) for name in counted.labels.images["image"]])
    images = source.images(done, look=look)
    for some, own in reader.ahead(todo, each=each):
        maps = _stacked(list(islice(images, len(some))))
        handed = [partners.of(*pair) for pair in zip(some.tolist(), own, strict=True)]
        others = [list(one) for one in zip(*handed, strict=True)]
        yield Chunk(some.tolist(), block[some], maps, own, others)


class _Reader:
    """Reads label maps and packs them."""

    def __init__(self, labels: LabelSet, packings: list[Packing], grid: tuple[int, int]) -> None:
        self._labels = labels
        self._packings = packings
        self._grid = grid
        self._kept: dict[int, PackedLabels] = {}

    def keep(self, rows: Ints, segment: range) -> dict[int, PackedLabels]:
        """The labels of some images; those of a segment's rows are kept until they are read once more."""
        read = [one for some, labels in self.ahead(rows, workers=2) for one in zip(some.tolist(), labels, strict=True)]
        # Decoding is half of the work.
        self._kept = {row: labels for row, labels in read if row in segment}
        return dict(read)

    def ahead(self, rows: Ints, *, each: int = AT_ONCE, workers: int = 1) -> Iterator[tuple[Ints, list[PackedLabels]]]:
        """The labels of some images, so many at a time, read ahead."""
        parts = np.split(rows, range(each, len(rows), each)) if len(rows) else []
        for some, future in zip(parts, ahead(self._read, parts, workers=workers, window=4), strict=True):
            yield some, future.result()

    def _read(self, rows: Ints) -> list[PackedLabels]:
        # Taken at once: another thread may put a segment's in its place.
        kept = self._kept
        return [kept.pop(row) if row in kept else self._packed(row) for row in rows.tolist()]

    def _packed(self, row: int) -> PackedLabels:
        own = self._labels.labels(row) if self._labels.grid else _unlabelled(self._grid)
        return PackedLabels(tuple(packing.entries(own) for packing in self._packings), own.whole, own.annotated)


def _packings(tallies: Mapping[str, Tally]) -> tuple[list[Packing], dict[str, int]]:
    """The packings of the layers, those that are alike once, and which of them is whose."""
    alike: dict[bytes, int] = {}
    which = {name: alike.setdefault(one.packing.key, len(alike)) for name, one in tallies.items()}
    return [next(one.packing for one in tallies.values() if one.packing.key == key) for key in alike], which


def _stacked(images: list[Mapping[str, Floats]]) -> dict[str, Floats]:
    return {layer: np.stack([image[layer] for image in images]) for layer in images[0]}


def _unlabelled(grid: tuple[int, int]) -> ImageLabels:
    return ImageLabels(
        layers=np.zeros((0, *grid), np.int32), whole=np.zeros(0, np.int32), annotated=np.zeros(0, np.bool_)
    )
