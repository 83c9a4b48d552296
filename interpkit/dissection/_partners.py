"""Labels of other images, for the chance level: the pairing of masks and labels broken, all else kept."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpkit.labels import ImageLabels, LabelSet

Ints = npt.NDArray[np.int64]

# Label sets are often sorted, so that neighbours look alike; partners come from a pool as wide as this.
POOL = 128


@dataclass(frozen=True, eq=False)
class _Part:
    """The labels of one category of image ``row``: layers (L, sh, sw) and whole-image labels, rows of the concepts."""

    row: int
    layers: npt.NDArray[np.integer]
    whole: npt.NDArray[np.int32]


class Partners:
    """Hands every image the labels of others, category by category.

    A pool holds, for each category, the labels of some images in which it is annotated. An image takes a partner from
    there at random and leaves its own labels in its place, so that over the images each one's labels serve about once.

    Parameters
    ----------
    labels, rows
        The label set, and the images that will come.
    category
        (C,) the category of each concept.
    seed
        For the partners drawn.
    """

    def __init__(self, labels: LabelSet, rows: Ints, *, category: Ints, seed: int) -> None:
        self._category = np.append(category, -1)
        self._concepts = len(category)
        self._rng = np.random.default_rng(seed)
        self._pool: dict[int, list[_Part]] = defaultdict(list)
        for row in self._rng.permutation(rows)[: POOL if labels.grid else 0].tolist():
            own = labels.labels(row)
            for g in np.flatnonzero(own.annotated).tolist():
                self._pool[g].append(self._part(row, own, g))

    def _part(self, row: int, labels: ImageLabels, g: int) -> _Part:
        small = np.int16 if self._concepts < 2**15 else np.int32
        layers = [np.where(self._category[layer] == g, layer, -1) for layer in labels.layers]
        layers = [layer.astype(small) for layer in layers if (layer >= 0).any()]
        stacked = np.stack(layers) if layers else np.zeros((0, *labels.layers.shape[1:]), small)
        whole = labels.whole[self._category[labels.whole] == g]
        return _Part(row, stacked, whole.astype(np.int32))

    def of(self, row: int, own: ImageLabels) -> ImageLabels:
        """The labels of image ``row``'s partners, one a category annotated in ``own``.

        ``annotated`` says for which categories there was a partner.
        """
        found = np.zeros(len(own.annotated), np.bool_)
        parts = []
        for g in np.flatnonzero(own.annotated).tolist():
            partner = self._exchange(row, own, g)
            if partner is not None:
                found[g] = True
                parts.append(partner)
        return ImageLabels(
            layers=np.concatenate([own.layers[:0], *(part.layers for part in parts)]),
            whole=np.concatenate([own.whole[:0], *(part.whole for part in parts)]),
            annotated=found,
        )

    def _exchange(self, row: int, own: ImageLabels, g: int) -> _Part | None:
        pool = self._pool[g]
        others = [slot for slot, part in enumerate(pool) if part.row != row]
        if not others:
            pool.append(self._part(row, own, g))
            return None
        slot = others[int(self._rng.integers(len(others)))]
        partner, pool[slot] = pool[slot], self._part(row, own, g)
        return partner
