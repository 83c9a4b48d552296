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
            for g, part in self._parts(row, labels.labels(row)).items():
                self._pool[g].append(part)

    def _parts(self, row: int, labels: ImageLabels) -> dict[int, _Part]:
        """The labels of each annotated category by itself."""
        small = np.int16 if self._concepts < 2**15 else np.int32
        layers: dict[int, list[npt.NDArray[np.integer]]] = defaultdict(list)
        for layer in labels.layers:
            category = self._category[layer]
            held = np.flatnonzero(np.bincount(category.ravel() + 1)[1:])
            for g in held.tolist():
                alone = layer if len(held) == 1 else np.where(category == g, layer, -1)
                layers[g].append(alone.astype(small))
        none = np.zeros((0, *labels.layers.shape[1:]), small)
        return {
            g: _Part(
                row,
                np.stack(layers[g]) if g in layers else none,
                labels.whole[self._category[labels.whole] == g].astype(np.int32),
            )
            for g in np.flatnonzero(labels.annotated).tolist()
        }

    def of(self, row: int, own: ImageLabels) -> ImageLabels:
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
        return ImageLabels(
            layers=np.concatenate([own.layers[:0], *(partner.layers for partner in partners)]),
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
