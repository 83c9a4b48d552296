"""Part scores, drawn."""

from typing import TYPE_CHECKING

import numpy as np

from interpkit.plot._axes import BASELINES, COLOURS, NONE, bare, new_axes, nothing
from interpkit.results import PartScores

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def instability(result: PartScores, *, bars: int = 40, ax: "Axes | None" = None) -> "Axes":
    """Location instability of the units with its three baselines (rule for several categories).

    Parameters
    ----------
    bars
        How many.
    ax
        Axes to draw into; new ones by default.
    """
    ax = ax or new_axes()
    if result.stability is None:
        return nothing(ax, "no landmarks")
    values = result.stability.multi(result.stability.deviation)
    ax.hist(values[~np.isnan(values)], bins=bars, color=COLOURS["part"])
    summary = result.stability.summary()["multi"]
    for line, (name, words) in enumerate(BASELINES.items()):
        if summary[name] is not None:
            ax.axvline(summary[name], color=NONE, linestyle="--")
            place = summary[name], 1 - 0.06 * line
            ax.annotate(f" {words} {summary[name]:.3f}", place, xycoords=("data", "axes fraction"), va="top")
    ax.set_xlabel("location instability, share of the image's diagonal")
    ax.set_ylabel("units")
    bare(ax)
    return ax


def template_scatter(result: PartScores, *, ax: "Axes | None" = None) -> "Axes":
    """Template information of each unit against its location instability: part detectors lie at the upper left.

    Parameters
    ----------
    ax
        Axes to draw into; new ones by default.
    """
    ax = ax or new_axes()
    if result.stability is None:
        return nothing(ax, "no landmarks")
    templates, stability = result.templates, result.stability
    across, up = stability.multi(stability.deviation), templates.ratio[templates.chosen]
    for chosen, colour in ((~templates.flagged, COLOURS["part"]), (templates.flagged, NONE)):
        ax.scatter(across[chosen], up[chosen], s=9, color=colour, alpha=0.6, linewidths=0)
    chance, constant = templates.summary()["chance"], stability.summary()["multi"]["best_constant"]
    if chance is not None:
        ax.axhline(chance, color=NONE, linestyle="--")
        ax.annotate("shuffled values", (1, chance), xycoords=("axes fraction", "data"), va="bottom", ha="right")
    if constant is not None:
        ax.axvline(constant, color=NONE, linestyle="--")
        ax.annotate(" best constant place", (constant, 1), xycoords=("data", "axes fraction"), va="top")
    ax.set_xlabel("location instability, share of the image's diagonal")
    ax.set_ylabel("template information, share of its bound")
    bare(ax)
    return ax
