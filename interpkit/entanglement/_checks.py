"""What can be wrong with the arguments of ``entangle``, and what limits its numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from interpkit.errors import InterpkitError, nearest
from interpkit.running import COMMON

# The arguments of entangle() that decide its result; the others say where it runs and what it tells.
DECIDING = (
    "target",
    "pool",
    "rectify",
    "estimator",
    "analyses",
    "class_limit",
    *COMMON,
)
ANALYSES = ("ablation", "compression", "localisation", "adversarial")
_CHOICES = {
    "target": ("label", "prediction"),
    "pool": ("mean", "max"),
    "rectify": ("auto", "yes", "no"),
    "estimator": ("histogram", "knn"),
}

# Below these the largest of several noisy estimates passes for knowledge: measured, 0.03 nats on a unit that knows
# nothing with 200 images of 10 classes, 0.004 with 1,000.
FEW_IMAGES = 1000
FEW_A_CLASS = 50


def check_options(options: Mapping[str, Any]) -> None:
    """Stop at a value that cannot be used.

    Raises
    ------
    InterpkitError
        One line with what was asked and what exists.
    """
    if isinstance(options["analyses"], str):  # whose letters would be taken for names
        raise InterpkitError(f"analyses are several names: ({options['analyses']!r},), not {options['analyses']!r}")
    asked = [(what, options[what], have) for what, have in _CHOICES.items()]
    asked += [("analysis", one, ANALYSES) for one in options["analyses"]]
    for what, value, have in asked:
        if value not in have:
            close = ", ".join(nearest(str(value), have, count=1) or have)
            raise InterpkitError(f"no {what} {value!r}; there is {', '.join(have)}; nearest: {close}")
    if options["class_limit"] < 2:
        raise InterpkitError(f"class_limit must be at least 2, not {options['class_limit']}")
    if options["seed"] < 0:
        raise InterpkitError(f"seed must be at least 0, not {options['seed']}")


def in_order(analyses: Sequence[str]) -> tuple[str, ...]:
    """The analyses once each, in the order in which they are made: another order asks for the same run.

    Examples
    --------
    >>> in_order(["compression", "ablation", "compression"])
    ('ablation', 'compression')
    """
    return tuple(one for one in ANALYSES if one in analyses) + tuple(one for one in analyses if one not in ANALYSES)


def warn(member: npt.NDArray[np.bool_], names: Sequence[str]) -> tuple[str, ...]:
    """What limits the numbers of images with classes (N, K), a sentence each."""
    images, counts = len(member), member.sum(0)
    found = []
    if images < FEW_IMAGES:
        found.append(
            f"{images:,} images: below {FEW_IMAGES:,} the scores flatter units that know little; read them beside "
            "their values with permuted labels"
        )
    if len(counts) == 2:
        found.append(
            "two classes: what a unit tells of one it tells of the other, so exclusiveness, density and purity say "
            "nothing"
        )
    few = np.flatnonzero(counts < FEW_A_CLASS)
    if len(few):
        least = int(few[counts[few].argmin()])
        which = "one class has" if len(few) == 1 else f"{len(few):,} of {len(counts):,} classes have"
        found.append(f"{which} fewer than {FEW_A_CLASS} images, {names[least]} {int(counts[least]):,}")
    return tuple(found)
