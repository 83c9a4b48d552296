"""A training, and two networks beside each other, drawn."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from interpkit.errors import UnknownNameError, nearest
from interpkit.plot._axes import COLOURS, MOST_NAMES, NONE, bare, new_axes, nothing, plain
from interpkit.results import Comparison, FineTuning

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Ints = npt.NDArray[np.int64]


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
    ax = ax or new_axes()
    if result.multi:
        return nothing(ax, "several classes an image")
    order = confusion_order(result)
    shares = result.confusion / np.maximum(result.confusion.sum(1, keepdims=True), 1)
    image = ax.imshow(shares[order][:, order], interpolation="nearest", vmin=0, vmax=1, cmap="viridis")
    if len(order) <= MOST_NAMES:
        names = [plain(result.classes[k]) for k in order]
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
    ax = ax or new_axes()
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
    bare(ax)
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
    ax = ax or new_axes()
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
    bare(ax)
    return ax
