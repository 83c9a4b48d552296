"""A dissection, drawn."""

from typing import TYPE_CHECKING

from interpkit.plot._axes import NONE, bare, category_colours, new_axes, plain
from interpkit.results import Dissection

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def concepts(result: Dissection, *, rule: str = "top-label", ax: "Axes | None" = None) -> "Axes":
    """Bars of how many units detect each concept, by category (Bau et al. 2017, figure 5).

    Parameters
    ----------
    rule
        ``top-label`` or ``every-category``, as in `Dissection.unique`.
    ax
        Axes to draw into; new ones by default.
    """
    ax = ax or new_axes()
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
    ax.set_xticks([at for at, _ in ticks], [plain(name) for _, name in ticks], rotation=90)
    ax.set_ylabel("units that detect it")
    bare(ax)
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
    ax = ax or new_axes()
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
    bare(ax)
    return ax
