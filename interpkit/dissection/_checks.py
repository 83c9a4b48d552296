"""What can be wrong with the arguments of ``dissect``."""

from interpkit.errors import InterpkitError, nearest
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
