"""Where the objects of the images' classes lie, which images choose and which are judged, and whose mask is chance."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpkit.entanglement._sample import Sample, evenly
from interpkit.errors import InterpkitError, nearest
from interpkit.feeding import ahead

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Objects:
    """P pairs of an image and one of its classes, with that class's mask.

    Attributes
    ----------
    place, label
        (P,) which image of the sample, rising; which class.
    judged
        (P,) bool: the half that is judged; the other half chooses units.
    partner
        (P,) another pair of the same half, whose mask shows what chance gives.
    grid
        (sh, sw) of the masks.
    """

    place: Ints
    label: Ints
    judged: Bools
    partner: Ints
    grid: tuple[int, int]
    _packed: npt.NDArray[np.uint8]

    def masks(self, pairs: Ints) -> npt.NDArray[np.float32]:
        """(n, sh * sw) masks of pairs (n,), 0 or 1."""
        pixels = self.grid[0] * self.grid[1]
        return np.unpackbits(self._packed[pairs], axis=1, count=pixels).astype(np.float32)

    def both(self, pairs: Ints) -> npt.NDArray[np.float32]:
        """(n, 2, sh * sw): the mask of each pair, and that of its partner."""
        return np.stack([self.masks(pairs), self.masks(self.partner[pairs])], axis=1)

    def of(self, places: Ints, among: Bools) -> Iterator[tuple[Ints, Ints]]:
        """The pairs of a batch's images that are ``among`` (P,), and for each its position in the batch.

        At most as many at a time as the batch has images: an image of several classes has several pairs.
        """
        first, after = np.searchsorted(self.place, [places[0], places[-1] + 1])
        pairs = first + np.flatnonzero(among[first:after] & np.isin(self.place[first:after], places))
        for start in range(0, len(pairs), len(places)):
            some = pairs[start : start + len(places)]
            yield some, np.searchsorted(places, self.place[some])


def find_objects(sample: Sample, *, at_most: int, seed: int) -> Objects:
    """Read the label maps; an image's object is where they carry a concept called like one of its classes.

    Images without such pixels are left out. Of more than ``at_most`` pairs as many are drawn, evenly over the classes.

    Raises
    ------
    InterpkitError
        If the label set has no label maps, no concept is called like a class, or no class has objects on two images.
    """
    grid = sample.labels.grid
    if grid is None:
        name = sample.labels.name
        raise InterpkitError(f"localisation needs masks of objects, and label set {name} has no label maps")
    concepts = _concepts(sample)
    place, label = np.nonzero(sample.member)
    keep = evenly(label, at_most=at_most, seed=seed)
    place, label = place[keep], label[keep]
    packed = list(_read(sample, place, label, concepts=concepts))
    seen = np.array([mask is not None for mask in packed], np.bool_)
    # A class that only one image shows can be chosen from or judged, not both.
    seen &= (np.bincount(label[seen], minlength=len(sample.names)) > 1)[label]
    if not seen.any():
        raise InterpkitError(
            f"localisation needs masks of objects: no class of {sample.labels.name} has pixels in the label maps of "
            "two of its images"
        )
    place, label = place[seen], label[seen]
    judged = _halves(place, label, seed=seed)
    masks = np.stack([mask for mask, one in zip(packed, seen, strict=True) if one and mask is not None])
    return Objects(place, label, judged, _partners(place, judged, seed=seed), grid, masks)


def _concepts(sample: Sample) -> list[Ints]:
    """For each class, the rows of the concepts that are called like it."""
    names = sample.labels.concepts["name"].to_numpy(str)
    found = [np.flatnonzero(names == name).astype(np.int64) for name in sample.names]
    if not any(len(rows) for rows in found):
        close = nearest(sample.names[0], names.tolist(), count=1)
        hint = f"; nearest to {sample.names[0]!r}: {close[0]!r}" if close else ""
        raise InterpkitError(
            f"localisation needs masks of objects: no concept of {sample.labels.name} is called like one of its "
            f"{len(sample.names)} classes{hint}"
        )
    return found


def _read(sample: Sample, place: Ints, label: Ints, *, concepts: list[Ints]) -> Iterator[npt.NDArray[np.uint8] | None]:
    """Each pair's mask, packed; None where it has no pixels."""

    def mask(pair: int) -> npt.NDArray[np.uint8] | None:
        layers = sample.labels.labels(int(sample.rows[place[pair]])).layers
        found = np.isin(layers, concepts[label[pair]]).any(0)
        return np.packbits(found) if found.any() else None

    for done, future in enumerate(ahead(mask, range(len(place)), workers=2, window=16)):
        yield future.result()
        sample.progress("masks", done + 1, len(place))


def drawn(objects: Objects, *, at_most: int, seed: int) -> Bools:
    """(P,) bool: at most so many of the judged pairs, evenly over the classes."""
    judged = np.flatnonzero(objects.judged)
    chosen = np.zeros(len(objects.judged), np.bool_)
    chosen[judged[evenly(objects.label[judged], at_most=at_most, seed=seed)]] = True
    return chosen


def _halves(place: Ints, label: Ints, *, seed: int) -> Bools:
    """(P,) bool, whether a pair is judged: half of every class's images, and all pairs of an image alike."""
    images, first = np.unique(place, return_index=True)
    mixed = np.random.default_rng(seed).permutation(len(images))
    order = mixed[np.argsort(label[first][mixed], kind="stable")]
    judged = np.zeros(len(images), np.bool_)
    judged[order[1::2]] = True
    return judged[np.searchsorted(images, place)]


def _partners(place: Ints, judged: Bools, *, seed: int) -> Ints:
    """(P,) for each pair another one of its half, of another image where the half has one."""
    rng = np.random.default_rng(seed)
    partner = np.empty(len(place), np.int64)
    for half in (judged, ~judged):
        # One step around a circle of mixed images: nobody is his own partner, everybody is one image's.
        images = rng.permutation(np.unique(place[half]))
        following = dict(zip(images.tolist(), np.roll(images, -1).tolist(), strict=True))
        here = np.flatnonzero(half)
        for pair in here:
            partner[pair] = rng.choice(here[place[here] == following[int(place[pair])]])
    return partner
