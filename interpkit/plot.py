"""Results drawn with matplotlib. Nothing is computed here; every number comes from the result."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from interpkit.results import Dissection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
    ax.set_xticks([at for at, _ in ticks], [name.replace("$", r"\$") for _, name in ticks], rotation=90)
    ax.set_ylabel("units that detect it")
    ax.spines[["top", "right"]].set_visible(False)
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
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _axes() -> "Axes":
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]
