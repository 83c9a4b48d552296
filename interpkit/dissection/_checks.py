"""What can be wrong with the arguments of ``dissect``."""

from collections.abc import Sequence

from interpkit.errors import InterpkitError, LabelSetError, nearest
from interpkit.labels import LabelSet
from interpkit.running import ALIGNMENTS

CATEGORY_RULES = ("annotated", "all")


def check_options(*, align: str, quantile: float, iou: float, category_rule: str, top: int, seed: int) -> None:
    """Stop at a value that no dissection can use.

    Raises
    ------
    InterpkitError
        One line with what was asked and what exists.
    """
    if not 0 < quantile < 1:
        raise InterpkitError(
            f"quantile must lie between 0 and 1, both excluded, not {quantile:g}; the paper uses 0.005"
        )
    if not 0 <= iou < 1:
        raise InterpkitError(f"iou must be at least 0 and below 1, not {iou:g}; the paper uses 0.04")
    if top < 1:
        raise InterpkitError(f"top must be at least 1, not {top}")
    if seed < 0:
        raise InterpkitError(f"seed must be at least 0, not {seed}")
    for what, value, have in [("alignment", align, ALIGNMENTS), ("category rule", category_rule, CATEGORY_RULES)]:
        if value not in have:
            close = ", ".join(nearest(value, have, count=1) or have)
            raise InterpkitError(f"no {what} {value!r}; there is {', '.join(have)}; nearest: {close}")


def check_alphas(alphas: Sequence[float]) -> list[float]:
    """How far to turn, as rising numbers.

    Raises
    ------
    InterpkitError
        If there are none, one lies outside 0..1, or one is there twice.
    """
    values = sorted(float(alpha) for alpha in alphas)
    if not values or not all(0 <= alpha <= 1 for alpha in values) or len(set(values)) < len(values):
        asked = ",".join(f"{float(alpha):g}" for alpha in alphas) or "nothing"
        raise InterpkitError(f"a layer is turned by different numbers from 0 to 1, such as 0,0.5,1, not by {asked}")
    return values


def check_repeats(what: str, number: int) -> None:
    """Stop at less than one repetition.

    Raises
    ------
    InterpkitError
        Naming it.
    """
    if number < 1:
        raise InterpkitError(f"{what} must be at least 1, not {number}")


def check_labelled(what: str, labels: LabelSet) -> None:
    """Stop at a label set that names nothing.

    Raises
    ------
    LabelSetError
        Naming it.
    """
    if not labels.categories:
        raise LabelSetError(f"{what} is judged by concepts, and label set {labels.name} has none")


def check_partners(labels: LabelSet, *, split: str | None, limit: int | None) -> None:
    """Stop at a single image, whose labels no other can take: luck would look like nothing.

    Raises
    ------
    LabelSetError
        Naming the label set.
    """
    count = len(labels.select(split=split, limit=limit))
    if count < 2:
        raise LabelSetError(f"labels are shuffled among two images or more; of label set {labels.name} {count} is used")
