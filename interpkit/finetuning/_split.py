"""Which images are trained on and which are kept apart."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpkit.labels import LabelSet, Targets

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a label set, rising.

    Attributes
    ----------
    train, validation
        The two parts.
    words
        Where they come from.
    warnings
        What is wrong with them, a sentence each.
    """

    train: Ints
    validation: Ints
    words: str
    warnings: tuple[str, ...] = ()


def split_of(labels: LabelSet, targets: Targets, *, validation: float, seed: int) -> Split:
    """The label set's own split where every image has one and there is a part to train on and another; else by class.

    Drawn from the seed, a share ``validation`` of each class, at least one image of it, is kept apart; of images of
    several classes the rarest decides first (after Sechidis et al., ECML 2011).
    """
    own = labels.images["split"].to_numpy(str)
    trained = own == "train"
    if (own != "").all() and trained.any() and not trained.all():
        missing = [name for name, seen in zip(targets.names, targets.member[trained].any(0), strict=True) if not seen]
        warnings = (f"no image to train on is of {', '.join(missing)}",) if missing else ()
        return Split(np.flatnonzero(trained), np.flatnonzero(~trained), "the label set's own", warnings)
    kept = drawn(targets.member, share=validation, seed=seed)
    return Split(np.flatnonzero(~kept), np.flatnonzero(kept), f"by class, {validation:.0%} kept apart, seed {seed}")


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
