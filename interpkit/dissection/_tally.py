"""Second pass over the images: masks against labels, counted per block of images; outlines of the top images."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from interpkit.counts import BLOCKS, BlockCounts, Counts, block_of
from interpkit.dissection._observe import Observed
from interpkit.dissection._partners import Partners
from interpkit.dissection._pixels import CONCEPT, PIXELS, Entries, OnBits, PackedLabels, Packing, joined, meet, on_bits
from interpkit.feeding import ahead
from interpkit.geometry import Resampler
from interpkit.labels import ImageLabels, LabelSet
from interpkit.running import Progress

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Images counted in one go, so that numpy's calls are long enough for threads to work side by side: as many as hold no
# more than MOST_CELLS cells and open no more than MOST_READINGS label pixels, which bounds the memory.
AT_ONCE = 8
MOST_CELLS = 2**20
MOST_READINGS = 2**22
# Outlines drawn in one go: their mosaic then fits a processor's cache.
DRAWN_AT_ONCE = 256
DRAWING_THREADS = 2


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Images counted in one go: rows, blocks (n,), maps (n, U, h, w) per layer, labels; partners' labels a shuffle."""

    rows: list[int]
    block: Ints
    maps: dict[str, Floats]
    own: list[PackedLabels]
    partners: list[list[PackedLabels]]


@dataclass(frozen=True, eq=False)
class _Met:
    """What some images add to the counts of one layer.

    Attributes
    ----------
    labels
        Of each image.
    block
        (n,) of each image.
    entries
        (n,) the entries of each image's labels.
    index, shared
        (Z,) flat indices into the counts, which may repeat, and the pixels to add there.
    """

    labels: list[PackedLabels]
    block: Ints
    entries: list[Entries]
    index: Ints
    shared: Ints


@dataclass(frozen=True, eq=False)
class _Found:
    """What some images add to one layer: units that are on, and where they meet labels."""

    on: OnBits
    own: _Met
    luck: list[_Met]


class _Sums:
    """Running counts of U units against C concepts, over B blocks of images."""

    def __init__(self, shape: tuple[int, int, int], *, categories: int, largest: int) -> None:
        blocks, units, concepts = shape
        self.on = np.zeros(shape, np.int32 if largest < 2**31 else np.int64)
        self.truth = np.zeros((blocks, concepts), np.int64)
        self.active = np.zeros((blocks, units, categories + 1), np.int64)
        self.pixels = np.zeros((blocks, categories + 1), np.int64)

    def add(self, on: OnBits, met: _Met, *, pixels: int) -> None:
        """Add images of ``pixels`` label pixels."""
        units = self.on.shape[1]
        np.add.at(self.on.reshape(-1), met.index, met.shared.astype(self.on.dtype))
        cut = np.searchsorted(on.units, np.arange(len(met.block) + 1) * units)
        for i, (labels, block) in enumerate(zip(met.labels, met.block.tolist(), strict=True)):
            unit, area = on.units[cut[i] : cut[i + 1]] - i * units, on.area[cut[i] : cut[i + 1], None]
            counted = np.append(labels.annotated, True)
            self.active[block][unit] += area * counted
            self.pixels[block] += counted * pixels
            concept, count = met.entries[i][:, CONCEPT], met.entries[i][:, PIXELS]
            np.add.at(self.truth[block], concept.astype(np.int64), count.astype(np.int64))
            if len(labels.whole):
                self.on[block][np.ix_(unit, labels.whole)] += area.astype(self.on.dtype)
                self.truth[block][labels.whole] += pixels

    def counts(self, category: Ints) -> BlockCounts:
        """The counts so far, of concepts of category (C,)."""
        flat = self.on.ravel()
        index = np.flatnonzero(flat)
        return BlockCounts(
            index=index,
            value=flat[index],
            truth=self.truth,
            active=self.active,
            pixels=self.pixels,
            category=category,
        )


class Tally:
    """The counts of one layer, filled image by image; with other images' labels as well, for the chance level.

    Parameters
    ----------
    observed
        Thresholds and top images of the first pass.
    resampler
        From the layer's map to the label grid.
    categories
        G.
    category
        (C,) the category of each concept.
    map_size
        (h, w).
    images
        How many images will be counted, at most; decides the width of the counters.
    shuffles
        How often the labels of other images are counted.
    blocks
        How many blocks of images are kept apart: `BLOCKS`, or 1 for none.
    """

    def __init__(
        self,
        observed: Observed,
        resampler: Resampler,
        *,
        category: Ints,
        categories: int,
        map_size: tuple[int, int],
        images: int,
        shuffles: int = 1,
        blocks: int = BLOCKS,
    ) -> None:
        self._observed = observed
        self._resampler = resampler
        self.category = category
        units, k = observed.peaks.image.shape
        largest = images * resampler.grid[0] * resampler.grid[1]
        self._blocks = blocks
        self._sums = _Sums((blocks, units, len(category)), categories=categories, largest=largest)
        one = (1, units, len(category))
        self._luck = [_Sums(one, categories=categories, largest=largest) for _ in range(shuffles)]
        self.packing = Packing(resampler)
        above = np.nextafter(observed.thresholds, np.float32(np.inf))
        self._level = np.where(observed.silent, above, observed.thresholds)[:, None, None]
        self._pixels = resampler.grid[0] * resampler.grid[1]
        self.maps = np.zeros((units, k, *map_size), np.float32)
        self.outlines = [[""] * k for _ in range(units)]
        self._slots: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for unit, slot in np.argwhere(observed.peaks.image >= 0).tolist():
            self._slots[int(observed.peaks.image[unit, slot])].append((unit, slot))

    def find(self, maps: Floats, chunk: _Chunk, *, packing: int) -> list[_Found]:
        """What images with maps (n, U, h, w) add; changes nothing, so chunks may be looked at in parallel."""
        # Each cell above its threshold opens four squares. As many images in one go as their readings allow.
        readings = 4 * np.count_nonzero(maps >= self._level) * self._resampler.pixel.shape[1]
        each = max(1, len(maps) * MOST_READINGS // max(readings, 1))
        parts = [slice(i, i + each) for i in range(0, len(maps), each)]
        return [self._find(maps[part], chunk, part, packing=packing) for part in parts]

    def _find(self, maps: Floats, chunk: _Chunk, part: slice, *, packing: int) -> _Found:
        n, units = maps.shape[:2]
        squares = self._resampler.squares(
            maps.reshape(n * units, *maps.shape[2:]),
            np.tile(self._observed.thresholds, n),
            strict=np.tile(self._observed.silent, n),
        )
        on, block = on_bits(squares, self.packing, units=units), chunk.block[part] % self._blocks
        own = self._met(on, chunk.own[part], block=block, packing=packing)
        nowhere = np.zeros_like(block)
        luck = [self._met(on, others[part], block=nowhere, packing=packing) for others in chunk.partners]
        return _Found(on, own, luck)

    def _met(self, on: OnBits, labels: list[PackedLabels], *, block: Ints, packing: int) -> _Met:
        entries = [one.entries[packing] for one in labels]
        square, concept, shared = meet(on, joined(entries, self.packing.places))
        units = len(self._observed.thresholds)
        row = on.unit + ((block - np.arange(len(block))) * units)[on.unit // units]
        return _Met(labels, block, entries, row[square] * len(self.category) + concept, shared)

    def add(self, chunk: _Chunk, maps: Floats, found: list[_Found]) -> None:
        """Add what was found on images with maps (n, U, h, w), and keep the maps of which they are top images."""
        for part in found:
            self._sums.add(part.on, part.own, pixels=self._pixels)
            for sums, luck in zip(self._luck, part.luck, strict=True):
                sums.add(part.on, luck, pixels=self._pixels)
        for i, row in enumerate(chunk.rows):
            if row in self._slots:
                units, slots = np.array(self._slots[row]).T
                self.maps[units, slots] = maps[i, units]

    @property
    def cells(self) -> int:
        """U * h * w."""
        return self.maps[:, 0].size

    def draw(self, *, workers: int) -> None:
        """Fill in the outlines of all units on their top images."""
        shown = np.argwhere(self._observed.peaks.image >= 0)
        todo = [shown[i : i + DRAWN_AT_ONCE] for i in range(0, len(shown), DRAWN_AT_ONCE)]
        drawn = ahead(self._outlines, todo, workers=workers, window=4 * workers)
        for places, future in zip(todo, drawn, strict=True):
            for (unit, slot), path in zip(places.tolist(), future.result(), strict=True):
                self.outlines[unit][slot] = path

    def _outlines(self, places: Ints) -> list[str]:
        """Outlines at n (unit, slot)."""
        unit, slot = places.T
        squares = self._resampler.squares(
            self.maps[unit, slot], self._observed.thresholds[unit], strict=self._observed.silent[unit]
        )
        return self._resampler.outlines(squares, len(places))

    @property
    def saw_labels(self) -> bool:
        """Whether any image held a label."""
        return bool(self._sums.truth.any())

    def counts(self) -> BlockCounts:
        """The counts so far."""
        return self._sums.counts(self.category)

    @property
    def shuffles(self) -> int:
        """How often the labels of other images are counted."""
        return len(self._luck)

    def luck(self, shuffle: int = 0) -> Counts:
        """The counts so far against the labels of other images, of one shuffle."""
        return self._luck[shuffle].counts(self.category).total()


def tally(
    tallies: Mapping[str, Tally],
    batches: Iterable[Mapping[str, Floats]],
    labels: LabelSet,
    *,
    rows: Ints,
    grid: tuple[int, int],
    category: Ints,
    seed: int,
    workers: int,
    progress: Progress,
) -> None:
    """Count every image: ``batches`` hold the maps of the images ``rows`` of the label set, in that order."""
    packings, which = _packings(tallies)
    reader = _Reader(labels, packings, grid)
    shuffles = max(one.shuffles for one in tallies.values())
    there = rows if labels.grid else rows[:0]
    partners = [Partners(there, category=category, seed=(seed, k) if k else seed) for k in range(shuffles)]
    block = np.array([block_of(name) for name in labels.images["image"]])
    each = max(1, min(AT_ONCE, MOST_CELLS // sum(one.cells for one in tallies.values())))

    def look(chunk: _Chunk) -> tuple[_Chunk, dict[str, list[_Found]]]:
        return chunk, {name: tallies[name].find(maps, chunk, packing=which[name]) for name, maps in chunk.maps.items()}

    def chunks() -> Iterator[_Chunk]:
        # Partners depend on the images before, so they are handed out here, in order, whoever reads and counts.
        for shuffle in partners:
            shuffle.fill(reader.keep(shuffle.first))
        images = _images(batches)
        parts = np.split(rows, range(each, len(rows), each))
        for some, future in zip(parts, ahead(reader.read, parts, workers=1, window=4), strict=True):
            maps = _stacked(list(islice(images, len(some))))
            own = future.result()
            others = [[shuffle.of(*pair) for pair in zip(some.tolist(), own, strict=True)] for shuffle in partners]
            yield _Chunk(some.tolist(), block[some], maps, own, others)

    done = 0
    for future in ahead(look, chunks(), workers=workers, window=2 * workers):
        chunk, found = future.result()
        for layer, one in found.items():
            tallies[layer].add(chunk, chunk.maps[layer], one)
        done += len(chunk.rows)
        progress("counting", done, len(rows))
    for tallied in tallies.values():
        tallied.draw(workers=DRAWING_THREADS)


class _Reader:
    """Reads label maps and packs them."""

    def __init__(self, labels: LabelSet, packings: list[Packing], grid: tuple[int, int]) -> None:
        self._labels = labels
        self._packings = packings
        self._grid = grid
        self._kept: dict[int, PackedLabels] = {}

    def keep(self, rows: Ints) -> list[PackedLabels]:
        """The labels of some images, kept until they are read once more: decoding is half of the work."""
        parts = np.split(rows, range(AT_ONCE, len(rows), AT_ONCE))
        read = [one for future in ahead(self.read, parts, workers=2, window=4) for one in future.result()]
        self._kept.update(zip(rows.tolist(), read, strict=True))
        return read

    def read(self, rows: Ints) -> list[PackedLabels]:
        """The labels of some images."""
        return [self._kept.pop(row) if row in self._kept else self._read(row) for row in rows.tolist()]

    def _read(self, row: int) -> PackedLabels:
        own = self._labels.labels(row) if self._labels.grid else _unlabelled(self._grid)
        return PackedLabels(tuple(packing.entries(own) for packing in self._packings), own.whole, own.annotated)


def _packings(tallies: Mapping[str, Tally]) -> tuple[list[Packing], dict[str, int]]:
    """The packings of the layers, those that are alike once, and which of them is whose."""
    alike: dict[bytes, int] = {}
    which = {name: alike.setdefault(one.packing.key, len(alike)) for name, one in tallies.items()}
    return [next(one.packing for one in tallies.values() if one.packing.key == key) for key in alike], which


def _images(batches: Iterable[Mapping[str, Floats]]) -> Iterator[dict[str, Floats]]:
    """The maps (U, h, w) per layer of every image in the batches."""
    for maps in batches:
        for i in range(len(next(iter(maps.values())))):
            yield {layer: array[i] for layer, array in maps.items()}


def _stacked(images: list[dict[str, Floats]]) -> dict[str, Floats]:
    return {layer: np.stack([image[layer] for image in images]) for layer in images[0]}


def _unlabelled(grid: tuple[int, int]) -> ImageLabels:
    return ImageLabels(
        layers=np.zeros((0, *grid), np.int32), whole=np.zeros(0, np.int32), annotated=np.zeros(0, np.bool_)
    )
