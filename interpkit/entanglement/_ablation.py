"""What the head loses without the units that a class owns."""

import numpy as np
import numpy.typing as npt

from interpkit.entanglement._head import Head
from interpkit.errors import InterpkitError
from interpkit.results import Ablation

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Every class takes a pass over the images and ten more for its control, where the network has to run anew.
AT_MOST = 50


def ablate(
    head: Head,
    owner: Ints,
    positive: Bools | None = None,
    *,
    at_most: int = AT_MOST,
    draws: int = 10,
    seed: int = 0,
) -> Ablation:
    """Set the units that a class owns to zero, and see which classes the head still finds.

    The masked-filter test of Liang et al. (ECCV 2020); beside it, as many units drawn at random.

    Parameters
    ----------
    head : Head
    owner : (U,) int
        The class each unit knows best; -1 for none.
    positive : (U,) bool | None
        Whether the unit is higher on its owner than elsewhere: only those are set to zero, since a unit that falls
        silent on a class does not speak for it. None for all.
    at_most : int
        So many classes are tested, those with the most images first.
    draws : int
        Of random units, for the control.
    seed : int

    Raises
    ------
    InterpkitError
        If ``at_most`` or ``draws`` is below 1.
    """
    if at_most < 1 or draws < 1:
        raise InterpkitError(f"ablation takes at least 1 class and 1 draw, not {at_most} and {draws}")
    images = head.member.sum(0)
    tested = np.sort(np.argsort(-images, kind="stable")[:at_most])
    mine = (owner == tested[:, None]) & (np.ones(head.units, np.bool_) if positive is None else positive)
    removed = mine.sum(1)
    # Units in random order: those below r are a draw of r units.
    rng = np.random.default_rng(seed)
    rank = rng.random((len(tested), draws, head.units)).argsort(-1)
    control = (rank < removed[:, None, None]).reshape(-1, head.units)
    gone = np.concatenate([np.zeros((1, head.units), np.bool_), mine, control])
    found, count = head.measure(~gone), len(tested)
    recall = found.recall
    return Ablation(
        base=recall[0],
        recall=recall[1 : 1 + count],
        ablated=tested.astype(np.int64),
        removed=removed.astype(np.int64),
        control=recall[1 + count :].reshape(count, draws, -1).mean(1),
        draws=draws,
        accuracy=float(found.accuracy[0]),
        head=head.words,
    )
