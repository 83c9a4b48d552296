"""The counts of a layer: masks against labels, per block of images; maps and outlines of the top images."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from interpkit.counts import BLOCKS, BlockCounts, Counts
from interpkit.dissection._observe import Observed
from interpkit.dissection._pixels import CONCEPT, PIXELS, Entries, OnBits, PackedLabels, Packing, joined, meet, on_bits
from interpkit.feeding import ahead
from interpkit.geometry import Resampler

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Images looked at in one go open no more than so many label pixels, which bounds the memory.
MOST_READINGS = 2**22
# Outlines drawn in one go: their mosaic then fits a processor's cache.
DRAWN_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Chunk:
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
class Found:
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

    def _sparse(self) -> tuple[Ints, npt.NDArray[np.integer]]:
        """Where there are counts above 0 in ``on``, flattened, and what they are."""
        flat = self.on.ravel()
        index = np.flatnonzero(flat)
        return index, flat[index]

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The counts so far, as arrays."""
        index, value = self._sparse()
        dense = {"truth": self.truth, "active": self.active, "pixels": self.pixels}
        return {"index": index, "value": value, **dense}

    def take(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Add the counts of a state."""
        self.on.reshape(-1)[state["index"]] += state["value"]
        self.truth += state["truth"]
        self.active += state["active"]
        self.pixels += state["pixels"]

    def counts(self, category: Ints) -> BlockCounts:
        """The counts so far, of concepts of category (C,)."""
        index, value = self._sparse()
        return BlockCounts(
            index=index,
            value=value,
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
        self._held = np.zeros((units, k), np.bool_)
        self.outlines = [[""] * k for _ in range(units)]
        self._slots: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for unit, slot in np.argwhere(observed.peaks.image >= 0).tolist():
            self._slots[int(observed.peaks.image[unit, slot])].append((unit, slot))

    def find(self, maps: Floats, chunk: Chunk, *, packing: int) -> list[Found]:
        """What images with maps (n, U, h, w) add; changes nothing, so chunks may be looked at in parallel."""
        # Each cell above its threshold opens four squares. As many images in one go as their readings allow.
        readings = 4 * np.count_nonzero(maps >= self._level) * self._resampler.pixel.shape[1]
        each = max(1, len(maps) * MOST_READINGS // max(readings, 1))
        parts = [slice(i, i + each) for i in range(0, len(maps), each)]
        return [self._find(maps[part], chunk, part, packing=packing) for part in parts]

    def _find(self, maps: Floats, chunk: Chunk, part: slice, *, packing: int) -> Found:
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
        return Found(on, own, luck)

    def _met(self, on: OnBits, labels: list[PackedLabels], *, block: Ints, packing: int) -> _Met:
        entries = [one.entries[packing] for one in labels]
        square, concept, shared = meet(on, joined(entries, self.packing.places))
        units = len(self._observed.thresholds)
        row = on.unit + ((block - np.arange(len(block))) * units)[on.unit // units]
        return _Met(labels, block, entries, row[square] * len(self.category) + concept, shared)

    def add(self, chunk: Chunk, maps: Floats, found: list[Found]) -> None:
        """Add what was found on images with maps (n, U, h, w), and keep the maps of which they are top images."""
        for part in found:
            self._sums.add(part.on, part.own, pixels=self._pixels)
            for sums, luck in zip(self._luck, part.luck, strict=True):
                sums.add(part.on, luck, pixels=self._pixels)
        for i, row in enumerate(chunk.rows):
            if row in self._slots:
                units, slots = np.array(self._slots[row]).T
                self.maps[units, slots] = maps[i, units]
                self._held[units, slots] = True

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The counts and the maps of top images so far, as arrays."""
        sums = {"own": self._sums, **{f"luck{number}": one for number, one in enumerate(self._luck)}}
        counts = {f"{which}-{name}": array for which, one in sums.items() for name, array in one.state().items()}
        return {**counts, "held": np.argwhere(self._held), "maps": self.maps[self._held]}

    def take(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Add what a state holds, of other images."""
        sums = {"own": self._sums, **{f"luck{number}": one for number, one in enumerate(self._luck)}}
        for which, one in sums.items():
            one.take({name: state[f"{which}-{name}"] for name in ("index", "value", "truth", "active", "pixels")})
        units, slots = state["held"].T
        self.maps[units, slots] = state["maps"]
        self._held[units, slots] = True

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

    def finished(self) -> BlockCounts:
        """The counts, given away: the room that they were counted in, most of what a tally takes, is free again."""
        counts = self.counts()
        self._sums.on = np.empty((0, 0, 0), self._sums.on.dtype)
        return counts

    @property
    def shuffles(self) -> int:
        """How often the labels of other images are counted."""
        return len(self._luck)

    def luck(self, shuffle: int = 0) -> Counts:
        """The counts so far against the labels of other images, of one shuffle."""
        return self._luck[shuffle].counts(self.category).total()
