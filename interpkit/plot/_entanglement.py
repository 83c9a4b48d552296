"""An entanglement, drawn."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from interpkit.plot._axes import COLOURS, MOST_NAMES, NONE, bare, new_axes, plain
from interpkit.results import Entanglement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class OwnerBlocks:
    """The order in which the units of a layer stand in a matrix: those that one class owns side by side.

    Attributes
    ----------
    classes
        (K,) positions of the classes, by falling number of units.
    units
        (U,) the units: those of ``classes[0]`` first, each class's by falling information, those of no class last.
    sizes
        (K + 1,) how many units each of ``classes`` owns, and how many have no owner.
    """

    classes: Ints
    units: Ints
    sizes: Ints


def owner_blocks(result: Entanglement) -> OwnerBlocks:
    """The order of ``result``'s units by the class that owns them."""
    counts = result.units_per_class
    classes = np.argsort(-counts, kind="stable")
    rank = np.empty(len(classes) + 1, np.int64)
    rank[classes] = np.arange(len(classes))
    rank[-1] = len(classes)
    units = np.lexsort((-result.best, rank[result.owner]))
    return OwnerBlocks(classes, units, np.append(counts[classes], result.units - counts.sum()))


def entanglement_matrix(result: Entanglement, *, ax: "Axes | None" = None) -> "Axes":
    """What each unit knows about each class, units ordered by the class that owns them (Liang et al. 2020, figure 1).

    Parameters
    ----------
    ax
        Axes to draw into; new ones by default.
    """
    ax = ax or new_axes()
    blocks = owner_blocks(result)
    values = result.information[blocks.units][:, blocks.classes].T
    image = ax.imshow(values, aspect="auto", interpolation="nearest", vmin=0, cmap="viridis")
    ends = np.cumsum(blocks.sizes)[:-1]
    if len(blocks.classes) <= MOST_NAMES:
        ax.set_yticks(range(len(blocks.classes)), [plain(result.classes[k]) for k in blocks.classes])
        for end in ends[(ends > 0) & (ends < result.units)]:
            ax.axvline(end - 0.5, color="white", linewidth=0.5, alpha=0.5)
    ax.set_xlabel("units, ordered by the class they know best")
    ax.set_ylabel("classes")
    bar = ax.figure.colorbar(image, ax=ax, label="mutual information, nats")
    bar.ax.axhline(result.mis_floor, color="white", linestyle="--")
    return ax


def units_per_class(result: Entanglement, *, most: int = 60, ax: "Axes | None" = None) -> "Axes":
    """Bars of how many units each class owns.

    Parameters
    ----------
    most
        The classes with the most units, at most so many.
    ax
        Axes to draw into; new ones by default.
    """
    ax = ax or new_axes()
    counts = result.units_per_class
    classes = owner_blocks(result).classes[:most]
    ax.bar(range(len(classes)), counts[classes], color=COLOURS["object"], width=0.8)
    ax.set_xticks(range(len(classes)), [plain(result.classes[k]) for k in classes], rotation=90)
    ax.set_ylabel("units that know it best")
    bare(ax)
    return ax


def information_distribution(result: Entanglement, *, bars: int = 40, ax: "Axes | None" = None) -> "Axes":
    """What each unit knows about its best class, beside the same with permuted labels.

    Parameters
    ----------
    bars
        How many, of equal width on a logarithmic axis.
    ax
        Axes to draw into; new ones by default.
    """
    ax = ax or new_axes()
    best, chance = result.best, result.permuted.max(1)
    known = np.concatenate([best[best > 0], chance[chance > 0]])
    if len(known):
        edges = np.geomspace(known.min(), known.max() * 1.001, bars + 1).tolist()
        ax.hist(best, bins=edges, color=COLOURS["object"])
        ax.hist(chance, bins=edges, histtype="step", color=NONE, linestyle="--")
        ax.set_xscale("log")
        ax.axvline(result.mis, color="black", linewidth=1)
        ax.annotate(f" mean {result.mis:.3g}", (result.mis, 1), xycoords=("data", "axes fraction"), va="top")
        ax.annotate(
            f"permuted labels {result.mis_floor:.3g} ",
            (result.mis_floor, 1),
            xycoords=("data", "axes fraction"),
            va="top",
            ha="right",
            color=NONE,
        )
    ax.set_xlabel("information about the unit's best class, nats")
    ax.set_ylabel("units")
    bare(ax)
    return ax
