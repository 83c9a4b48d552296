"""Joint counts of unit state and concept: additive integers from which every score follows."""

import hashlib
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

CategoryRule = Literal["annotated", "all"]
BLOCKS = 16


def block_of(image: str) -> int:
    """The block of an image, by the hash of its name: the same whatever the order, the split or the machine.

    Examples
    --------
    >>> block_of("street/0001.jpg")
    0
    """
    return int.from_bytes(hashlib.sha256(image.encode()).digest()[:4], "big") % BLOCKS


@dataclass(frozen=True, eq=False)
class Counts:
    """How often each unit was in each state, alone and together with each concept.

    Counts of disjoint sets of images add up: ``a + b``.

    Attributes
    ----------
    joint
        (S, U, C) int64, pixels where unit u is in state s and concept c is labelled. Dissection has two states:
        0 off, 1 on.
    state
        (S, U, G + 1) int64, pixels where unit u is in state s, over the images in which category g is annotated;
        the last column counts every image.
    category
        (C,) int64, the column of ``state`` that concept c is judged against.
    """

    joint: npt.NDArray[np.int64]
    state: npt.NDArray[np.int64]
    category: npt.NDArray[np.int64]

    def __add__(self, other: Self) -> Self:
        return replace(self, joint=self.joint + other.joint, state=self.state + other.state)

    @property
    def truth(self) -> npt.NDArray[np.int64]:
        """(U, C) pixels where concept c is labelled; the same for every unit that saw the same images."""
        truth: npt.NDArray[np.int64] = self.joint.sum(0)
        return truth

    def under(self, rule: CategoryRule) -> Self:
        """The same counts, judged by a category rule.

        ``annotated`` (the paper) counts a unit's pixels only in images that hold a label of the concept's category;
        ``all`` counts them in every image.
        """
        if rule == "annotated":
            return self
        return replace(self, category=np.full_like(self.category, self.state.shape[2] - 1))


@dataclass(frozen=True, eq=False)
class BlockCounts:
    """On-counts of a two-state unit, kept apart for blocks of images so that intervals can be computed later.

    An image belongs to the block that the hash of its name gives, whatever the order of the images.

    Attributes
    ----------
    index, value
        (Z,) int64 and (Z,) int32 or int64: the non-zero entries of the (B, U, C) array of pixels where unit u is on
        and concept c is labelled, by position in the flattened array.
    truth
        (B, C) int64, pixels labelled c.
    active
        (B, U, G + 1) int64, pixels where u is on, over images with category g annotated; last column: every image.
    pixels
        (B, G + 1) int64, all pixels of those images.
    category
        (C,) int64, the category of each concept.
    """

    index: npt.NDArray[np.int64]
    value: npt.NDArray[np.integer]
    truth: npt.NDArray[np.int64]
    active: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.int64]
    category: npt.NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(B, U, C)."""
        return self.active.shape[0], self.active.shape[1], self.truth.shape[1]

    def block(self, b: int) -> Counts:
        """The counts of block ``b`` alone."""
        _, units, concepts = self.shape
        size = units * concepts
        low, high = np.searchsorted(self.index, [b * size, (b + 1) * size])
        on = np.zeros(size, np.int64)
        on[self.index[low:high] - b * size] = self.value[low:high]
        return _two_states(
            on.reshape(units, concepts),
            truth=self.truth[b],
            active=self.active[b],
            pixels=self.pixels[b],
            category=self.category,
        )

    def total(self) -> Counts:
        """The counts of all blocks together."""
        _, units, concepts = self.shape
        flat = np.zeros(units * concepts, np.int64)
        np.add.at(flat, self.index % max(units * concepts, 1), self.value)
        on = flat.reshape(units, concepts)
        return _two_states(
            on,
            truth=self.truth.sum(0),
            active=self.active.sum(0),
            pixels=self.pixels.sum(0),
            category=self.category,
        )


def _two_states(
    on: npt.NDArray[np.int64],
    *,
    truth: npt.NDArray[np.int64],
    active: npt.NDArray[np.int64],
    pixels: npt.NDArray[np.int64],
    category: npt.NDArray[np.int64],
) -> Counts:
    """Counts with the states off and on from the on-counts (U, C), (U, G + 1) and the totals (C,), (G + 1,)."""
    return Counts(np.stack([truth - on, on]), np.stack([pixels - active, active]), category)
