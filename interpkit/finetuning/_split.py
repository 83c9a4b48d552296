"""Which images are trained on and which are kept apart."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpkit.labels import LabelSet, Targets

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


# What the parts of a label set are called, wherever it says of an image to which it belongs.
TRAINING = ("train", "training")
VALIDATION = ("val", "valid", "validation")
TEST = ("test",)


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a label set, rising; together not all of them where the set has parts that serve neither purpose.

    Attributes
    ----------
    train, validation
        The two parts.
    words
        Where they come from, and how many images are in neither.
    warnings
        What is wrong with them, a sentence each.
    """

    train: Ints
    validation: Ints
    words: str
    warnings: tuple[str, ...] = ()


def split_of(labels: LabelSet, targets: Targets, *, validation: float, seed: int) -> Split:
    """The label set's own split where every image has one and there is a part to train on; else by class.

    Validated on is the set's validation part; its test part where it has none of that; a share of the training part
    where it has neither. Whatever belongs to no such part is left out. Drawn from the seed, a share ``validation`` of
    each class, at least one image of it, is kept apart; of images of several classes the rarest decides first (after
    Sechidis et al., ECML 2011).
    """
    own = labels.images["split"].to_numpy(str)
    trained, kept = np.isin(own, TRAINING), np.isin(own, VALIDATION)
    by_class = f"by class, {validation:.0%} kept apart, seed {seed}"
    if (own == "").any() or not trained.any():
        kept = drawn(targets.member, share=validation, seed=seed)
        return Split(np.flatnonzero(~kept), np.flatnonzero(kept), by_class)
    words = "the label set's own"
    if not kept.any():
        kept = np.isin(own, TEST)
        words += "; it has no validation images, so its test images serve as such"
    if not kept.any():
        rows = np.flatnonzero(trained)
        kept[rows] = drawn(targets.member[rows], share=validation, seed=seed)
        trained &= ~kept
        words = by_class
    missing = [targets.names[k] for k in np.flatnonzero(targets.member[trained].sum(0) == 0)]
    warnings = (f"no image to train on is of {', '.join(missing)}",) if missing else ()
    return Split(np.flatnonzero(trained), np.flatnonzero(kept), words + _unused(own[~trained & ~kept]), warnings)


def _unused(parts: npt.NDArray[np.str_]) -> str:
    """Words for the images that are left out, from the parts (N,) they belong to."""
    names, counts = np.unique(parts, return_counts=True)
    said = " and ".join(f"{count:,} of {name}" for name, count in zip(names, counts, strict=True))
    return f"; images left out: {said}" if said else ""


def drawn(member: Bools, *, share: float, seed: int) -> Bools:
    """(N,) whether an image is kept apart, from membership (N, K): of every class with two images one on either side.

    Examples
    --------
    >>> member = np.array([[1, 0], [1, 0], [1, 0], [1, 0], [0, 1], [0, 1]], bool)
    >>> kept = drawn(member, share=0.25, seed=0)
    >>> member[kept].sum(0)
    array([1, 1])
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(member))
    kept, settled = np.zeros(len(member), np.bool_), np.zeros(len(member), np.bool_)
    counts = member.sum(0)
    for k in np.argsort(counts, kind="stable"):
        wanted = min(max(round(share * counts[k]), 1), counts[k] - 1) - int((kept & member[:, k]).sum())
        free = order[member[order, k] & ~settled[order]]
        kept[free[: max(wanted, 0)]] = True
        settled |= member[:, k]
    alone = order[~settled[order]]
    kept[alone[: round(share * len(alone))]] = True
    return _on_both_sides(member, kept)


def _on_both_sides(member: Bools, kept: Bools) -> Bools:
    """Images of several classes may leave a class on one side only: one of them changes sides, if no class suffers."""
    for images in member.T:
        for side in (True, False):
            if (kept[images] == side).any() or images.sum() < 2:
                continue
            for row in np.flatnonzero(images):
                mine = member[:, member[row]]
                others = mine[kept != side].sum(0)
                if (others > 1).all():
                    kept[row] = side
                    break
    return kept
