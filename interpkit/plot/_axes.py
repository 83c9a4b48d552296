"""What all drawings share: colours, names, axes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

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


def bare(ax: "Axes") -> None:
    """Without a frame at the top and the right."""
    ax.spines[["top", "right"]].set_visible(False)


def nothing(ax: "Axes", words: str) -> "Axes":
    """Words instead of a drawing."""
    ax.text(0.5, 0.5, words, ha="center", va="center", transform=ax.transAxes)
    return ax


def plain(name: str) -> str:
    """A name as it is written: a dollar would start a formula, and one of a whole line would leave no room to draw."""
    short = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"
    return short.replace("$", r"\$")


def new_axes() -> "Axes":
    """Axes of a new figure."""
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]
