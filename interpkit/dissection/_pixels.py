"""Counting where units and concepts meet on one image: masks and label maps as bits, square by square.

A square of the label grid lies between four cells of a map (`Resampler`). Its pixels are bits of a few machine words,
so that a unit and a concept meet in "and" and a count of bits, and only where both of them are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpkit.geometry import Resampler, Squares
from interpkit.labels import ImageLabels

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
# (E, 3 + W), a row for each square and concept that has a pixel there: the square, the concept's row, how many of its
# pixels, and W words that say which. One array: entries are selected and put together many times.
Entries = npt.NDArray[np.uint64]
PLACE, CONCEPT, PIXELS, WORDS = 0, 1, 2, 3


class Packing:
    """Puts the pixels of every square of a layer's label grid into W words of 64 bits.

    Attributes
    ----------
    places
        How many squares there are.
    key
        Equal for packings that are alike.
    """

    def __init__(self, resampler: Resampler) -> None:
        self.places, pixels = resampler.pixel.shape
        self._words = -(-pixels // 64)
        none = resampler.grid[0] * resampler.grid[1]  # one past the last pixel, which holds no label
        self._pixel = np.where(resampler.pixel < 0, none, resampler.pixel)
        self.key = self._pixel.tobytes()

    def words(self, on: npt.NDArray[np.bool_]) -> Words:
        """(..., W) words of the squares' pixels (..., P), P as in ``Resampler.pixel``."""
        packed = np.packbits(on, axis=-1)
        missing = 8 * self._words - packed.shape[-1]
        if missing:
            packed = np.concatenate([packed, np.zeros((*packed.shape[:-1], missing), np.uint8)], axis=-1)
        return packed.view(np.uint64)

    def entries(self, labels: ImageLabels) -> Entries:
        """Where each concept of the label maps lies. A concept may have several entries a square, without overlap."""
        found = [np.zeros((0, WORDS + self._words), np.uint64)]
        for layer in map(np.ravel, labels.layers):
            concepts = np.flatnonzero(np.bincount(layer + 1)[1:])
            # Half the bytes to compare, if the numbers allow.
            small = layer.astype(np.int16) if concepts.max(initial=0) < 2**15 else layer
            squares = np.append(small, small.dtype.type(-1))[self._pixel]
            words = self.words(squares == concepts.astype(small.dtype)[:, None, None])
            which, place = np.nonzero(words.any(2))
            one = np.empty((len(which), WORDS + self._words), np.uint64)
            one[:, PLACE], one[:, CONCEPT], one[:, WORDS:] = place, concepts[which], words[which, place]
            one[:, PIXELS] = _held(one[:, WORDS:])
            found.append(one)
        return np.concatenate(found)


def _held(words: Words) -> Ints:
    """(Z,) how many bits are set in words (Z, W)."""
    # Over so short an axis a matrix product takes a third of the time of a sum.
    return (np.bitwise_count(words).astype(np.int32) @ np.ones(words.shape[1], np.int32)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class PackedLabels:
    """The labels of one image, or of its partners.

    Attributes
    ----------
    entries
        Of the label maps, for each packing.
    whole
        (K,) rows of the concepts that hold for the whole image; none of them has entries.
    annotated
        (G,) bool, the categories annotated here.
    """

    entries: tuple[Entries, ...]
    whole: npt.NDArray[np.int32]
    annotated: npt.NDArray[np.bool_]


def joined(entries: Sequence[Entries], places: int) -> Entries:
    """The entries of n images as one, squares numbered on from image to image by ``places``."""
    one = np.concatenate(entries)
    one[:, PLACE] += np.repeat(np.arange(len(entries), dtype=np.uint64) * places, [len(each) for each in entries])
    return one


@dataclass(frozen=True, eq=False)
class OnBits:
    """Every square in which a unit is on, of one image or of n images whose U units stand one after another.

    Attributes
    ----------
    units
        (F,) units that are on somewhere, rising, image * U + unit.
    area
        (F,) on how many pixels.
    unit, place
        (Q,) unit as in ``units``, and square, image * ``places`` + place.
    bits
        (Q, W) words of the square's pixels that are on.
    """

    units: Ints
    area: Ints
    unit: Ints
    place: Ints
    bits: Words


def on_bits(squares: Squares, packing: Packing, *, units: int) -> OnBits:
    """The masks as bits, without the squares that stay empty; ``units`` of them belong to each image."""
    bits = packing.words(squares.on)
    inside = _held(bits)
    there = np.flatnonzero(inside)
    unit = squares.unit[there]
    starts = np.flatnonzero(np.diff(unit, prepend=-1))
    return OnBits(
        units=unit[starts],
        area=np.add.reduceat(inside[there], starts) if len(starts) else inside[:0],
        unit=unit,
        place=unit // units * packing.places + squares.place[there],
        bits=bits[there],
    )


def meet(on: OnBits, entries: Entries) -> tuple[Ints, Ints, Ints]:
    """(Z,) squares of ``on``, concepts that lie there too, and on how many pixels they meet; pairs may repeat."""
    place = entries[:, PLACE].astype(np.int64)
    order = np.argsort(place, kind="stable")
    size = np.bincount(place, minlength=int(on.place.max(initial=-1)) + 1)
    start = (np.cumsum(size) - size)[on.place]
    size = size[on.place]
    # Each square that is on with each entry of the labels there.
    square = np.repeat(np.arange(len(size)), size)
    entry = order[np.arange(len(square)) + np.repeat(start - (np.cumsum(size) - size), size)]
    shared = _held(on.bits[square] & entries[entry, WORDS:])
    return square, entries[entry, CONCEPT].astype(np.int64), shared
