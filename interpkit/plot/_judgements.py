"""What judges a dissection, drawn."""

from typing import TYPE_CHECKING

import numpy as np

from interpkit.errors import UnknownNameError, nearest
from interpkit.plot._axes import NONE, bare, new_axes
from interpkit.results import Rotation, Shuffles, Untrained

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COUNTS = {
    "unique_detectors_top_label": "unique detectors, top label",
    "unique_detectors_every_category": "unique detectors, every category",
    "detectors": "detectors",
}
# Thresholds at which detectors are counted: so many, from half the run's own to three times it.
STEPS, LOW, HIGH = 200, 0.5, 3.0


def rotation(result: Rotation, *, count: str = "unique_detectors_top_label", ax: "Axes | None" = None) -> "Axes":
    """A count against how far the units are turned towards a random basis (Bau et al. 2017, figure 4).

    A dot for each rotation, a line through their means, the spread shaded; the dashed line is chance, the turned masks
    against the labels of other images.

    Parameters
    ----------
    count
        ``unique_detectors_top_label``, ``unique_detectors_every_category`` or ``detectors``.
    ax
        Axes to draw into; new ones by default.

    Raises
    ------
    UnknownNameError
        If there is no such count.
    """
    if count not in COUNTS:
        close = ", ".join(nearest(count, COUNTS) or COUNTS)
        raise UnknownNameError(f"no count {count!r} of a rotation; nearest: {close}")
    ax = ax or new_axes()
    every, steps = result.table(), result.summary()["alphas"]
    ax.fill_between(
        result.alphas,
        [step["range"][count][0] for step in steps],
        [step["range"][count][1] for step in steps],
        color="black",
        alpha=0.12,
        linewidth=0,
    )
    ax.plot(result.alphas, [step[count] for step in steps], color="black")
    luck = [step["chance"][count] for step in steps]
    ax.plot(result.alphas, luck, color=NONE, linestyle="--")
    ax.scatter(every["alpha"], every[count], s=9, color="black", alpha=0.6)
    ax.annotate("chance", (result.alphas[-1], luck[-1]), (0, 6), textcoords="offset points", ha="right")
    ax.set_ylim(bottom=0)
    ax.set_xlabel("alpha: how far the units are turned towards a random basis")
    ax.set_ylabel(COUNTS[count])
    bare(ax)
    return ax


def shuffles(result: Shuffles, *, ax: "Axes | None" = None) -> "Axes":
    """Detectors against the IoU threshold, and how many there are with the labels shuffled.

    The dashed line is the mean over the shuffles, shaded from the least to the most; the upright line is the run's own
    threshold, with its false-detector rate.

    Parameters
    ----------
    ax
        Axes to draw into; new ones by default.
    """
    ax = ax or new_axes()
    own, rate = result.iou_threshold, result.summary()["false_detector_rate"]
    high = min(HIGH * own, 1.0) or float(result.best().max(initial=0.0)) or 1.0
    table = result.rates(np.linspace(LOW * own, high, STEPS))
    ax.fill_between(table["iou"], table["lowest"], table["highest"], color=NONE, alpha=0.3, linewidth=0)
    ax.plot(table["iou"], table["detectors"], color="black")
    ax.plot(table["iou"], table["chance"], color=NONE, linestyle="--")
    ax.axvline(own, color=NONE)
    said = "no detector" if rate is None else f"false-detector rate {rate:.1%}"
    side = "left" if own < high / 2 else "right"
    ax.annotate(f" {said} at {own:g} ", (own, 1), xycoords=("data", "axes fraction"), va="top", ha=side)
    ax.set_xlim(LOW * own, high)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("IoU threshold")
    ax.set_ylabel("detectors (dashed: labels shuffled)")
    bare(ax)
    return ax


def untrained(result: Untrained, *, ax: "Axes | None" = None) -> "Axes":
    """Detectors and unique detectors of the untrained network, each with its chance level as a dashed line.

    Parameters
    ----------
    ax
        Axes to draw into; new ones by default.
    """
    ax = ax or new_axes()
    found = result.summary()
    values = [found[name] for name in COUNTS]
    ax.bar(range(len(COUNTS)), values, width=0.6, color=NONE)
    for place, name in enumerate(COUNTS):
        luck = found["chance"][name]
        ax.plot([place - 0.4, place + 0.4], [luck, luck], color="black", linestyle="--")
        ax.annotate(f"{found[name]:,} (chance {luck:,})", (place, max(found[name], luck)), va="bottom", ha="center")
    ax.set_xticks(range(len(COUNTS)), [words.replace(", ", ",\n") for words in COUNTS.values()])
    ax.set_ylim(0, 1.15 * max(1, *values, *found["chance"].values()))
    ax.set_ylabel(f"of {result.units:,} untrained units")
    bare(ax)
    return ax
