"""Results drawn with matplotlib. Nothing is computed here; every number comes from the result."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from interpkit.errors import UnknownNameError, nearest
from interpkit.results import Comparison, Dissection, Entanglement, FineTuning, PartScores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Okabe and Ito's palette, which colour-blind readers tell apart; the same for a category on every page.
COLOURS = {
    "object": "#0072B2",
    "part": "#D55E00",
    "scene": "#009E73",
    "material": "#CC79A7",
    "texture": "#E69F00",
    "color": "#56B4E9",
}
NONE = "#8A8F98"
# More class names than this cannot be read beside a matrix.
MOST_NAMES = 60
# Letters of a name that are written beside a figure.
LONGEST = 40
# What location instability is read beside, and how a figure calls it.
BASELINES = {"best_constant": "best constant place", "centre": "image centre", "random": "random unit"}


def category_colours(categories: Sequence[str]) -> dict[str, str]:
    """A colour for each category: its own if it is one of Broden's, else one that is free, else grey.

    Examples
    --------
    >>> category_colours(["part", "tissue"])
    {'part': '#D55E00', 'tissue': '#0072B2'}
    """
    free = iter([colour for name, colour in COLOURS.items() if name not in categories])
    return {name: COLOURS.get(name) or next(free, NONE) for name in categories}


def concepts(result: Dissection, *, rule: str = "top-label", ax: "Axes | None" = None) -> "Axes":
    """Bars of how many units detect each concept, by category (Bau et al. 2017, figure 5).

    Parameters
    ----------
    rule
        ``top-label`` or ``every-category``, as in `Dissection.unique`.
    ax
        Axes to draw into; new ones by default.
    """
    ax = ax or _axes()
    found = result.by_concept(rule)
    colours = category_colours(result.categories)
    order = found["category"].value_counts(sort=True).index
    place, ticks = 0, []
    for category in order:
        mine = found[found["category"] == category]
        at = [place + i for i in range(len(mine))]
        ax.bar(at, mine["count"], color=colours[category], width=0.8)
        middle = place + (len(mine) - 1) / 2
        text = f"{len(mine)} {category}"
        ax.annotate(text, (middle, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom")
        ticks += list(zip(at, mine["name"], strict=True))
        place += len(mine) + 1
    ax.set_xticks([at for at, _ in ticks], [_plain(name) for _, name in ticks], rotation=90)
    ax.set_ylabel("units that detect it")
    _bare(ax)
    if found.empty:
        ax.text(0.5, 0.5, "no unit detects a concept", ha="center", va="center", transform=ax.transAxes)
    return ax


def iou_distribution(result: Dissection, *, step: float = 0.005, ax: "Axes | None" = None) -> "Axes":
    """How many units reach which IoU with their best concept, with the line above which they are detectors.

    Parameters
    ----------
    step
        Width of a bar.
    ax
        Axes to draw into; new ones by default.
    """
    ax = ax or _axes()
    table = result.distribution(step=step)
    colours = {**category_colours(result.categories), "": NONE}
    base = table["low"] * 0
    for category in table.columns[1:]:
        ax.bar(table["low"], table[category], width=step, align="edge", bottom=base, color=colours[category])
        base = base + table[category]
    ax.axvline(result.iou_threshold, color=NONE, linestyle="--")
    label = f" detectors: {result.summary()['detectors']:,} of {result.units:,} units"
    ax.annotate(label, (result.iou_threshold, 1), xycoords=("data", "axes fraction"), va="top")
    ax.set_xlim(left=0)
    ax.set_xlabel("IoU with the unit's best concept")
    ax.set_ylabel("units")
    _bare(ax)
    return ax


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
    ax = ax or _axes()
    blocks = owner_blocks(result)
    values = result.information[blocks.units][:, blocks.classes].T
    image = ax.imshow(values, aspect="auto", interpolation="nearest", vmin=0, cmap="viridis")
    ends = np.cumsum(blocks.sizes)[:-1]
    if len(blocks.classes) <= MOST_NAMES:
        ax.set_yticks(range(len(blocks.classes)), [_plain(result.classes[k]) for k in blocks.classes])
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
    ax = ax or _axes()
    counts = result.units_per_class
    classes = owner_blocks(result).classes[:most]
    ax.bar(range(len(classes)), counts[classes], color=COLOURS["object"], width=0.8)
    ax.set_xticks(range(len(classes)), [_plain(result.classes[k]) for k in classes], rotation=90)
    ax.set_ylabel("units that know it best")
    _bare(ax)
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
    ax = ax or _axes()
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
    _bare(ax)
    return ax


def instability(result: PartScores, *, bars: int = 40, ax: "Axes | None" = None) -> "Axes":
    """Location instability of the units with its three baselines (rule for several categories).

    Parameters
    ----------
    bars
        How many.
    ax
        Axes to draw into; new ones by default.
    """
    ax = ax or _axes()
    if result.stability is None:
        return _nothing(ax, "no landmarks")
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
    _bare(ax)
    return ax


def template_scatter(result: PartScores, *, ax: "Axes | None" = None) -> "Axes":
    """Template information of each unit against its location instability: part detectors lie at the upper left.

    Parameters
    ----------
    ax
        Axes to draw into; new ones by default.
    """
    ax = ax or _axes()
    if result.stability is None:
        return _nothing(ax, "no landmarks")
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
    _bare(ax)
    return ax


def confusion_order(result: FineTuning) -> Ints:
    """The classes in an order that puts those side by side that are taken for each other."""
    images = np.maximum(result.confusion.sum(1, keepdims=True), 1)
    shares = result.confusion / images
    alike, right = shares + shares.T, np.diag(shares).copy()
    order = [int(right.argmax())]
    left = [k for k in range(len(right)) if k != order[0]]
    while left:
        found = max(left, key=lambda k: (alike[order[-1], k], right[k], -k))
        order.append(found)
        left.remove(found)
    return np.array(order, np.int64)


def confusion(result: FineTuning, *, ax: "Axes | None" = None) -> "Axes":
    """The share of each class's validation images that were called each class.

    Parameters
    ----------
    ax
        Axes to draw into; new ones by default.
    """
    ax = ax or _axes()
    if result.multi:
        return _nothing(ax, "several classes an image")
    order = confusion_order(result)
    shares = result.confusion / np.maximum(result.confusion.sum(1, keepdims=True), 1)
    image = ax.imshow(shares[order][:, order], interpolation="nearest", vmin=0, vmax=1, cmap="viridis")
    if len(order) <= MOST_NAMES:
        names = [_plain(result.classes[k]) for k in order]
        ax.set_yticks(range(len(order)), names)
        ax.set_xticks(range(len(order)), names, rotation=90)
    ax.set_ylabel("class of the image")
    ax.set_xlabel("what it was called")
    ax.figure.colorbar(image, ax=ax, label="share of the class's images")
    return ax


def training(result: FineTuning, *, ax: "Axes | None" = None) -> "Axes":
    """Accuracy by epoch, with the epochs shaded that were trained through another path than the ordinary one.

    Parameters
    ----------
    ax
        Axes to draw into; new ones by default.
    """
    ax = ax or _axes()
    history = result.history
    for epoch, path in zip(history["epoch"], history["path"], strict=True):
        if path != "ordinary":
            ax.axvspan(epoch - 0.5, epoch + 0.5, color=NONE, alpha=0.15, linewidth=0)
    ax.plot(history["epoch"], history["train_accuracy"].astype(float), color=NONE)
    validation = [result.start_accuracy, *history["validation_accuracy"].astype(float)]
    ax.plot([0, *history["epoch"]], validation, color="black")
    last = history["epoch"].iloc[-1] if len(history) else 0
    ax.annotate(f" validation {result.accuracy:.3f}", (last, validation[-1]), va="center")
    ax.axhline(result.chance_accuracy, color=NONE, linestyle="--")
    ax.annotate("chance", (0, result.chance_accuracy), va="bottom", color=NONE)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("epoch")
    ax.set_ylabel("accuracy")
    _bare(ax)
    return ax


def before_after(result: Comparison, measure: str, *, ax: "Axes | None" = None) -> "Axes":
    """A measure of every unit in both networks, one against the other, with their chance levels.

    Parameters
    ----------
    measure
        One of ``result.per_unit``.
    ax
        Axes to draw into; new ones by default.

    Raises
    ------
    UnknownNameError
        If the units have no such measure.
    """
    if measure not in result.per_unit:
        close = ", ".join(nearest(measure, list(result.per_unit)) or result.per_unit)
        raise UnknownNameError(f"units have no measure {measure!r}; there is {close or 'none'}")
    ax = ax or _axes()
    before, after = result.per_unit[measure]
    one = next((one for one in result.measures if one.name == measure), None)
    ax.scatter(before, after, s=9, color=COLOURS["part" if one and one.group == "Parts" else "object"], alpha=0.6)
    ax.axline((0, 0), slope=1, color="black", linewidth=1)
    if one and np.isfinite(one.floor_before):
        ax.axvline(one.floor_before, color=NONE, linestyle="--")
    if one and np.isfinite(one.floor_after):
        ax.axhline(one.floor_after, color=NONE, linestyle="--")
        ax.annotate(one.floor, (1, one.floor_after), xycoords=("axes fraction", "data"), va="bottom", ha="right")
    title = one.title if one else measure
    ax.set_xlabel(f"{title}, {result.columns[0]}")
    ax.set_ylabel(f"{title}, {result.columns[1]}")
    _bare(ax)
    return ax


def _bare(ax: "Axes") -> None:
    ax.spines[["top", "right"]].set_visible(False)


def _nothing(ax: "Axes", words: str) -> "Axes":
    ax.text(0.5, 0.5, words, ha="center", va="center", transform=ax.transAxes)
    return ax


def _plain(name: str) -> str:
    """A name as it is written: a dollar would start a formula, and one of a whole line would leave no room to draw."""
    short = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"
    return short.replace("$", r"\$")


def _axes() -> "Axes":
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]
