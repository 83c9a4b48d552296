"""An explanatory graph, drawn."""

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from interpkit.errors import UnknownNameError, nearest
from interpkit.plot._axes import COLOURS, NONE, bare, new_axes, nothing, plain
from interpkit.results import ExplanatoryGraph, GraphEvaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Whose places are judged beside the graph's own, and how each is drawn.
CONTROLS = {"no edges": "x", "shuffled": "+", "raw": "s", "centre": "|"}


def part_patterns(result: ExplanatoryGraph, layer: str, *, most: int = 20, ax: "Axes | None" = None) -> "Axes":
    """The strongest nodes of a layer over the mean training image: where each lies, and how far it strays.

    Parameters
    ----------
    most
        Nodes that are drawn, best first.
    ax
        Axes to draw into; new ones by default.

    Raises
    ------
    UnknownNameError
        If the graph has no such layer.
    """
    names = [one.layer for one in result.layers]
    if layer not in names:
        close = ", ".join(nearest(layer, names) or names)
        raise UnknownNameError(f"the graph has no layer {layer!r}; there is {close}")
    ax = ax or new_axes()
    one = result.layers[names.index(layer)]
    height, width = result.input_size
    if result.shown.mean in result.pictures:
        picture = Image.open(io.BytesIO(result.pictures[result.shown.mean]))
        ax.imshow(np.asarray(picture), extent=(-0.5, width - 0.5, height - 0.5, -0.5), alpha=0.6)
    best = one.best(most)
    ax.scatter(one.mean[best, 1], one.mean[best, 0], s=one.sigma[best] ** 2, color=COLOURS["part"], alpha=0.25)
    for node in best.tolist():
        ax.annotate(f"{one.filter[node]}", (one.mean[node, 1], one.mean[node, 0]), ha="center", va="center")
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)
    ax.set_xlabel("column, pixels")
    ax.set_ylabel("row, pixels")
    return ax


def pattern_instability(result: ExplanatoryGraph, *, top: int = 100, ax: "Axes | None" = None) -> "Axes":
    """Location instability of each layer's strongest nodes beside every control; lower is steadier.

    Parameters
    ----------
    top
        How many nodes of each layer, as in the table of the evaluation.
    ax
        Axes to draw into; new ones by default.
    """
    ax = ax or new_axes()
    found = result.evaluation
    if found is None:
        return nothing(ax, "no landmarks")
    layers = [one.layer for one in result.layers]
    on = "held out" if (found.table["images"] == "held out").any() else "training"
    for name, marker in CONTROLS.items():
        ax.plot(_at(found, layers, name, on=on, top=top), range(len(layers)), marker, color=NONE, label=name)
    own = _at(found, layers, "graph", on=on, top=top)
    ax.plot(own, range(len(layers)), "o", color=COLOURS["part"], label="graph")
    ax.set_yticks(range(len(layers)), [plain(layer) for layer in layers])
    ax.set_xlim(left=0)
    ax.set_xlabel("location instability, share of the image's diagonal")
    ax.legend(frameon=False)
    bare(ax)
    return ax


def _at(found: GraphEvaluation, layers: list[str], name: str, *, on: str, top: int) -> list[float]:
    return [found.at(layer, name, images=on, top=top) for layer in layers]
