"""What each unit tells about each class: mutual information, its chance level, and what it is without some images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from interpkit.binning import codes, levels
from interpkit.counts import BLOCKS
from interpkit.metrics.mutual_information import Presence, Terms, information, table
from interpkit.results._analyses import Stored
from interpkit.running import Progress, silent

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Activations = npt.NDArray[np.floating]
Estimator = Literal["histogram", "knn"]

# Units taken at once: a copy of 256 x 50,000 activations takes 51 MB, and a memory map is read in 1 kB pieces.
CHUNK = 256
NEIGHBOURS = 3


@dataclass(frozen=True, eq=False)
class Information(Stored):
    """Mutual information of units with classes, one class against the rest, in nats.

    Attributes
    ----------
    information
        (U, K) at most ``entropy``.
    entropy
        (K,) of *the image is of class k*.
    permuted
        (U, K) with the labels permuted once: the chance level.
    without_block
        (B, U) each unit's largest information without the images of one block, in the same bins; NaN if no images
        are left, and with the nearest-neighbour estimator.
    bins
        (U,) bins of the histogram; 0 with the nearest-neighbour estimator.
    """

    information: Floats
    entropy: Floats
    permuted: Floats
    without_block: Floats
    bins: Ints


def measure(
    pooled: Activations,
    member: Bools,
    *,
    blocks: Ints,
    signed: bool,
    estimator: Estimator = "histogram",
    seed: int = 0,
    progress: Progress | None = None,
) -> Information:
    """Mutual information of pooled activations with class membership (Liang et al., ECCV 2020, section 4.1).

    The histogram has the bins of `interpkit.binning` and the Miller-Madow correction, both ours; ``knn`` is the
    estimator of the released code, Ross's, as in scikit-learn: without bins, slow, and noisier for few images.

    Parameters
    ----------
    pooled
        (N, U) one number per image and unit, in memory or a memory map.
    member
        (N, K) whether an image is of a class, of one or of several.
    blocks
        (N,) the block of each image, 0 to 15.
    signed
        Whether low activations may also mark a class: the lowest bin is refined like the highest.
    estimator
        ``histogram`` or ``knn``.
    seed
        For the permutation, and the tiny noise that the nearest-neighbour estimator breaks ties with.
    progress
        Called as progress(stage, done, total), in units.
    """
    images, units = pooled.shape
    order = np.random.default_rng(seed).permutation(images)
    entropy = Presence.of(member.sum(0), np.array(images)).entropy
    if estimator == "histogram":
        labels = _Labels.of(member, order, blocks=blocks)
        work = _by_histogram(pooled, labels, levels(images, _smallest_share(member), signed=signed))
    else:
        work = _by_neighbours(pooled, member, member[order], seed=seed)
    found = Information(
        information=np.empty((units, len(entropy))),
        entropy=entropy,
        permuted=np.empty((units, len(entropy))),
        without_block=np.empty((BLOCKS, units)),
        bins=np.empty(units, np.int64),
    )
    tell = progress or silent
    for unit, (own, chance, without, bins) in enumerate(work):
        found.information[unit] = own
        found.permuted[unit] = chance
        found.without_block[:, unit] = without
        found.bins[unit] = bins
        if (unit + 1) % CHUNK == 0 or unit + 1 == units:
            tell("information", unit + 1, units)
    return found


# Of one unit: information (K,), with permuted labels (K,), its largest without each block (B,), bins.
_Found = tuple[Floats, Floats, Floats, int]


def _smallest_share(member: Bools) -> float:
    """The smallest share of images of a class, or not of it, among classes that divide the images."""
    share = member.mean(0)
    share = np.minimum(share, 1 - share)
    return float(share[share > 0].min(initial=0.5))


@dataclass(frozen=True, eq=False)
class _Labels:
    """The (image, class) pairs of the labels, by block, and what follows from them for every unit.

    Attributes
    ----------
    image, permuted
        (P,) the image of each pair, and the image that gets its label by permutation; pairs of a block stand together.
    category
        (P,) its class.
    ends
        (B + 1,) where the pairs of each block begin and end.
    block
        (N,) the block of each image.
    all, without
        Presence of the classes in all images, and in those outside of each block.
    terms
        n ln n, corrected.
    """

    image: Ints
    permuted: Ints
    category: Ints
    ends: Ints
    block: Ints
    all: Presence
    without: tuple[Presence, ...]
    terms: Terms

    @classmethod
    def of(cls, member: Bools, order: Ints, *, blocks: Ints) -> Self:
        """Of images' membership (N, K), the order (N,) in which classes were dealt out anew, and their blocks (N,)."""
        image, category = np.nonzero(member)
        by_block = np.argsort(blocks[image], kind="stable")
        image, category = image[by_block], category[by_block]
        terms = table(len(member), miller_madow=True)
        truth = np.stack([member[blocks == b].sum(0, dtype=np.int64) for b in range(BLOCKS)])
        total = np.bincount(blocks, minlength=BLOCKS)[:, None]
        return cls(
            image=image,
            permuted=np.argsort(order)[image],
            category=category,
            ends=np.searchsorted(blocks[image], np.arange(BLOCKS + 1)),
            block=blocks,
            all=Presence.of(truth.sum(0), total.sum(0), terms),
            without=tuple(Presence.of(truth.sum(0) - truth[b], total.sum(0) - total[b], terms) for b in range(BLOCKS)),
            terms=terms,
        )


def _by_histogram(pooled: Activations, labels: _Labels, quantiles: Floats) -> Iterator[_Found]:
    """What is found of each unit in turn, from counts of bin and class."""
    for first in range(0, pooled.shape[1], CHUNK):
        for binned in codes(np.ascontiguousarray(pooled[:, first : first + CHUNK].T), quantiles):
            yield _count(binned.astype(np.intp), labels)


def _count(binned: Ints, labels: _Labels) -> _Found:
    """What is found of a unit whose images lie in bins (N,)."""
    bins, classes = int(binned.max()) + 1, len(labels.all.entropy)
    shape = bins, classes

    def joint(cells: Ints) -> Ints:
        return np.bincount(cells, minlength=bins * classes).reshape(shape)

    cells = binned[labels.image] * classes + labels.category
    luck = binned[labels.permuted] * classes + labels.category
    counts = joint(cells)
    blocks = np.bincount(labels.block * bins + binned, minlength=BLOCKS * bins).reshape(BLOCKS, bins, 1)
    state = blocks.sum(0)
    without = np.empty(BLOCKS)
    for b, presence in enumerate(labels.without):
        rest = counts - joint(cells[labels.ends[b] : labels.ends[b + 1]])
        without[b] = information(rest, state - blocks[b], presence, terms=labels.terms).max()
    own = information(counts, state, labels.all, terms=labels.terms)
    chance = information(joint(luck), state, labels.all, terms=labels.terms)
    return own, chance, without, bins


def _by_neighbours(pooled: Activations, member: Bools, permuted: Bools, *, seed: int) -> Iterator[_Found]:
    """What is found of each unit in turn by its nearest neighbours (Ross 2014)."""
    from sklearn.feature_selection import mutual_info_classif

    entropy = Presence.of(member.sum(0), np.array(len(member))).entropy

    def estimate(values: Activations, member: Bools) -> Floats:
        columns = [mutual_info_classif(values, one, n_neighbors=NEIGHBOURS, random_state=seed) for one in member.T]
        found: Floats = np.minimum(np.stack(columns, axis=1), entropy)
        return found

    for first in range(0, pooled.shape[1], CHUNK):
        values = np.ascontiguousarray(pooled[:, first : first + CHUNK])
        for own, chance in zip(estimate(values, member), estimate(values, permuted), strict=True):
            yield own, chance, np.full(BLOCKS, np.nan), 0
