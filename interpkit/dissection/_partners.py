"""Labels of other images, for the chance level: the pairing of masks and labels broken, all else kept."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpkit.dissection._pixels import CONCEPT, Entries, PackedLabels

Ints = npt.NDArray[np.int64]

# Partners are drawn anew after so many rows: whoever counts later rows need not look at all the earlier ones.
SEGMENT = 1024
# Label sets are often sorted, so that neighbours look alike; partners come from a pool as wide as this.
POOL = 128


@dataclass(frozen=True, eq=False)
class _Part:
    """The labels of one category of image ``row``: its entries per packing, and whole-image labels."""

    row: int
    entries: tuple[Entries, ...]
    whole: npt.NDArray[np.int32]


class Partners:
    """Hands every image the labels of others, category by category.

    A pool holds, for each category, the labels of some images in which it is annotated. An image takes a partner from
    there at random and leaves its own labels in its place, so that over the images each one's labels serve about once.

    Parameters
    ----------
    rows
        All images.
    category
        (C,) the category of each concept.
    seed
        For the partners drawn.
    first
        The images whose labels are in the pool from the start, for `fill`; default: drawn here.
    """

    def __init__(self, rows: Ints, *, category: Ints, seed: int | tuple[int, ...], first: Ints | None = None) -> None:
        self._category = category
        self._rng = np.random.default_rng(seed)
        self._pool: dict[int, list[_Part]] = defaultdict(list)
        self.first: Ints = self._rng.permutation(rows)[:POOL] if first is None else first

    def fill(self, labels: Sequence[PackedLabels]) -> None:
        """Take the labels of the images ``first`` into the pool."""
        for row, own in zip(self.first.tolist(), labels, strict=True):
            for g, part in self._parts(row, own).items():
                self._pool[g].append(part)

    def _parts(self, row: int, labels: PackedLabels) -> dict[int, _Part]:
        """The labels of each annotated category by itself."""
        categories = [self._category[entries[:, CONCEPT].astype(np.int64)] for entries in labels.entries]
        whole = self._category[labels.whole]
        return {
            g: _Part(
                row,
                tuple(entries[of == g] for entries, of in zip(labels.entries, categories, strict=True)),
                labels.whole[whole == g],
            )
            for g in np.flatnonzero(labels.annotated).tolist()
        }

    def of(self, row: int, own: PackedLabels) -> PackedLabels:
        """The labels of image ``row``'s partners, one a category annotated in ``own``.

        ``annotated`` says for which categories there was a partner.
        """
        found = np.zeros(len(own.annotated), np.bool_)
        partners = []
        for g, part in self._parts(row, own).items():
            partner = self._exchange(g, part)
            if partner is not None:
                found[g] = True
                partners.append(partner)
        return PackedLabels(
            entries=tuple(
                np.concatenate([entries[:0], *(partner.entries[i] for partner in partners)])
                for i, entries in enumerate(own.entries)
            ),
            whole=np.concatenate([own.whole[:0], *(partner.whole for partner in partners)]),
            annotated=found,
        )

    def _exchange(self, g: int, part: _Part) -> _Part | None:
        """A partner from the pool of category ``g``, with ``part`` in its place; None where there is no other image."""
        pool = self._pool[g]
        others = [slot for slot, held in enumerate(pool) if held.row != part.row]
        if not others:
            pool.append(part)
            return None
        slot = others[int(self._rng.integers(len(others)))]
        partner, pool[slot] = pool[slot], part
        return partner


# Gives the labels of some images, and keeps those of a segment's rows until they are read once more.
Read = Callable[[Ints, range], Mapping[int, PackedLabels]]


class Segments:
    """Partners in K shuffles for consecutive images, with a pool of their own for every `SEGMENT` rows.

    What an image is handed depends on the images before it in its segment alone.

    Parameters
    ----------
    rows
        All images, rising, also those that are not counted here.
    category
        (C,) the category of each concept.
    shuffles
        K.
    read
        Reads labels.
    """

    def __init__(
        self,
        rows: Ints,
        *,
        category: Ints,
        seed: int,
        shuffles: int,
        read: Read,
    ) -> None:
        self._rows, self._category, self._seed, self._shuffles, self._read = rows, category, seed, shuffles, read
        self._segment = -1
        self._partners: list[Partners] = []

    def before(self, row: int) -> Ints:
        """The images before ``row`` in its segment, which have to be handed partners first."""
        return self._rows[slice(*np.searchsorted(self._rows, [row // SEGMENT * SEGMENT, row]))]

    def of(self, row: int, own: PackedLabels) -> list[PackedLabels]:
        """The labels of the partners of image ``row``, of each shuffle."""
        self.begin(row)
        return [one.of(row, own) for one in self._partners]

    def begin(self, row: int) -> None:
        """Fill the pools of the segment of image ``row``, unless that is done."""
        segment, first = row // SEGMENT, None
        if segment == self._segment:
            return
        self._segment = segment
        if segment:
            # One pool for all shuffles, since reading labels is half of the work.
            drawn = np.random.default_rng((self._seed, 0, segment, 1))
            first = drawn.choice(self._rows, min(POOL, len(self._rows)), replace=False)
        self._partners = [
            Partners(self._rows, category=self._category, seed=self._seed_of(k), first=first)
            for k in range(self._shuffles)
        ]
        wanted = np.unique(np.concatenate([one.first for one in self._partners]))
        labels = self._read(wanted, range(segment * SEGMENT, (segment + 1) * SEGMENT))
        for one in self._partners:
            one.fill([labels[row] for row in one.first.tolist()])

    def _seed_of(self, shuffle: int) -> int | tuple[int, ...]:
        if self._segment:
            return self._seed, shuffle, self._segment
        return (self._seed, shuffle) if shuffle else self._seed
