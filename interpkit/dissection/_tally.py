"""Second pass over the images: masks against labels, counted per block of images; outlines of the top images."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpkit.counts import BLOCKS, BlockCounts, Counts
from interpkit.dissection._observe import Observed, Progress
from interpkit.dissection._partners import Partners
from interpkit.dissection._pixels import LabelledPixels, OnPixels, count, fold, on_pixels
from interpkit.feeding import ahead
from interpkit.geometry import Resampler
from interpkit.labels import ImageLabels, LabelSet

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def block_of(image: str) -> int:
    """The block of an image, by the hash of its name: the same whatever the order, the split or the machine.

    Examples
    --------
    >>> block_of("street/0001.jpg")
    0
    """
    return int.from_bytes(hashlib.sha256(image.encode()).digest()[:4], "big") % BLOCKS


@dataclass(frozen=True, eq=False)
class _Shown:
    """A unit's entry among its top images, found on one image."""

    unit: int
    slot: int
    map: Floats
    outline: str


@dataclass(frozen=True, eq=False)
class _Item:
    """An image to be counted: its maps per layer, its labels, and its partners'."""

    row: int
    maps: dict[str, Floats]
    own: ImageLabels
    partners: ImageLabels


@dataclass(frozen=True, eq=False)
class _Labelled:
    """The label maps of an image and of its partners, folded."""

    own: LabelledPixels
    partners: LabelledPixels


@dataclass(frozen=True, eq=False)
class _Found:
    """What one image adds to one layer: pixels on, with own (F, K) and with partners' labels, and top images it is."""

    on: OnPixels
    joint: Ints
    luck: Ints
    shown: list[_Shown]


class _Sums:
    """Running counts of U units against C concepts, over B blocks of images."""

    def __init__(self, shape: tuple[int, int, int], *, categories: int, largest: int) -> None:
        blocks, units, concepts = shape
        self.on = np.zeros(shape, np.int32 if largest < 2**31 else np.int64)
        self.truth = np.zeros((blocks, concepts), np.int64)
        self.active = np.zeros((blocks, units, categories + 1), np.int64)
        self.pixels = np.zeros((blocks, categories + 1), np.int64)

    def add(self, block: int, on: OnPixels, labelled: LabelledPixels, *, joint: Ints) -> None:
        """Add an image to a block; ``joint`` (F, K) are the pixels on that carry each concept."""
        counted = np.append(labelled.annotated, True)
        self.on[block][np.ix_(on.units, labelled.concepts)] += joint.astype(self.on.dtype)
        self.truth[block][labelled.concepts] += labelled.truth
        self.active[block][on.units] += on.area[:, None] * counted
        self.pixels[block] += counted * len(labelled.combination)

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
    ) -> None:
        self._observed = observed
        self._resampler = resampler
        self.category = category
        units, k = observed.peaks.image.shape
        largest = images * resampler.grid[0] * resampler.grid[1]
        self._sums = _Sums((BLOCKS, units, len(category)), categories=categories, largest=largest)
        self._luck = _Sums((1, units, len(category)), categories=categories, largest=largest)
        self.maps = np.zeros((units, k, *map_size), np.float32)
        self.outlines = [[""] * k for _ in range(units)]
        self._slots: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for unit, slot in np.argwhere(observed.peaks.image >= 0).tolist():
            self._slots[int(observed.peaks.image[unit, slot])].append((unit, slot))

    def find(self, row: int, maps: Floats, labelled: _Labelled) -> _Found:
        """What image ``row`` with maps (U, h, w) adds; changes nothing, so images may be looked at in parallel."""
        squares = self._resampler.squares(maps, self._observed.thresholds, strict=self._observed.silent)
        on = on_pixels(squares, self._resampler)
        shown = [
            _Shown(unit, slot, maps[unit], self._resampler.outline(squares, unit))
            for unit, slot in self._slots.get(row, [])
        ]
        return _Found(on, count(on, labelled.own), count(on, labelled.partners), shown)

    def add(self, found: _Found, labelled: _Labelled, *, block: int) -> None:
        """Add what was found on an image of a block."""
        self._sums.add(block, found.on, labelled.own, joint=found.joint)
        self._luck.add(0, found.on, labelled.partners, joint=found.luck)
        for shown in found.shown:
            self.maps[shown.unit, shown.slot] = shown.map
            self.outlines[shown.unit][shown.slot] = shown.outline

    @property
    def saw_labels(self) -> bool:
        """Whether any image held a label."""
        return bool(self._sums.truth.any())

    def counts(self) -> BlockCounts:
        """The counts so far."""
        return self._sums.counts(self.category)

    def luck(self) -> Counts:
        """The counts so far against the labels of other images."""
        return self._luck.counts(self.category).total()


def tally(
    tallies: Mapping[str, Tally],
    batches: Iterable[Mapping[str, Floats]],
    labels: LabelSet,
    *,
    rows: Ints,
    grid: tuple[int, int],
    partners: Partners,
    workers: int,
    progress: Progress,
) -> None:
    """Count every image: ``batches`` hold the maps of the images ``rows`` of the label set, in that order."""
    pixels = grid[0] * grid[1]

    def read(row: int) -> ImageLabels:
        return labels.labels(row) if labels.grid else _unlabelled(grid)

    def look(item: _Item) -> tuple[_Labelled, dict[str, _Found]]:
        labelled = _Labelled(fold(item.own, pixels=pixels), fold(item.partners, pixels=pixels))
        return labelled, {name: tallies[name].find(item.row, maps, labelled) for name, maps in item.maps.items()}

    def items() -> Iterator[_Item]:
        # Partners depend on the images before, so they are handed out here, in order, whoever reads and counts.
        read_labels = ahead(read, rows.tolist(), workers=1, window=4 * workers)
        for (row, maps), future in zip(_images(batches, rows), read_labels, strict=True):
            own = future.result()
            yield _Item(row, maps, own, partners.of(row, own))

    names = labels.images["image"].to_numpy()
    todo = ahead(look, items(), workers=workers, window=4 * workers)
    for done, (row, future) in enumerate(zip(rows.tolist(), todo, strict=True), 1):
        labelled, found = future.result()
        for layer, one in found.items():
            tallies[layer].add(one, labelled, block=block_of(names[row]))
        progress("counting", done, len(rows))


def _images(batches: Iterable[Mapping[str, Floats]], rows: Ints) -> Iterator[tuple[int, dict[str, Floats]]]:
    """(row, maps (U, h, w) per layer) of every image in the batches."""
    images = ({layer: array[i] for layer, array in maps.items()} for maps in batches for i in range(_length(maps)))
    yield from zip(rows.tolist(), images, strict=True)


def _length(maps: Mapping[str, Floats]) -> int:
    return len(next(iter(maps.values())))


def _unlabelled(grid: tuple[int, int]) -> ImageLabels:
    return ImageLabels(
        layers=np.zeros((0, *grid), np.int32), whole=np.zeros(0, np.int32), annotated=np.zeros(0, np.bool_)
    )
