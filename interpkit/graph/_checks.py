"""What can be wrong with the arguments of ``fit_graph``."""

import math
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from interpkit.errors import InterpkitError, nearest
from interpkit.probe import Probe
from interpkit.running import ALIGNMENTS, COMMON

# The arguments of fit_graph() that decide its result; the others say where it runs and what it tells.
DECIDING = (
    "class_name",
    "train",
    "nodes",
    "edges",
    "noise",
    "iterations",
    "rule",
    "sigma",
    "candidates",
    "filters",
    "align",
    "flips",
    "precision",
    "controls",
    "shots",
    "decoder",
    "decoder_epochs",
    *COMMON,
)
CHOICES = {
    "rule": ("repick", "frozen"),
    "sigma": ("fitted", "fused"),
    "precision": ("float16", "uint8", "auto"),
    "align": ALIGNMENTS,
}
AT_LEAST = {"train": 10, "edges": 1, "iterations": 1, "candidates": 1, "filters": 1, "decoder_epochs": 1, "seed": 0}
# Outside of these, single precision gives densities that are zero or none.
LEAST_NOISE, MOST_NOISE = 1e-12, 1e12
FEWEST_CELLS = 3
# Nodes a cell, by the shorter side of the map: from so many cells on.
DENSITIES = ((20, 0.05), (10, 0.1), (0, 0.2))


def check_options(options: Mapping[str, Any]) -> None:
    """Stop at a value that cannot be used.

    Raises
    ------
    InterpkitError
        One line with what was asked and what may be.
    """
    for name, choices in CHOICES.items():
        if options[name] not in choices:
            close = ", ".join(nearest(str(options[name]), choices, count=1) or choices)
            raise InterpkitError(
                f"{name} {options[name]!r} does not exist; there is {', '.join(choices)}; nearest: {close}"
            )
    several = {name: options[name] or () for name in ("nodes", "shots")}
    for name, values in {**{name: [options[name]] for name in AT_LEAST}, **several}.items():
        broken = [value for value in values if value is not None and not isinstance(value, Integral)]
        if broken:
            raise InterpkitError(f"{name} takes whole numbers, not {broken[0]!r}")
    for name, least in AT_LEAST.items():
        if options[name] is not None and options[name] < least:
            raise InterpkitError(f"{name} must be at least {least}, not {options[name]}")
    if not LEAST_NOISE <= options["noise"] <= MOST_NOISE:
        raise InterpkitError(
            f"noise must be a positive number, {LEAST_NOISE:g} to {MOST_NOISE:g}, not {options['noise']:g}; "
            "the paper: 0.1, here: 0.01"
        )
    if not options["shots"] or min(options["shots"]) < 1:
        raise InterpkitError(f"shots must be numbers of images, at least 1, not {list(options['shots'])}")


def check_layers(probe: Probe) -> None:
    """Stop at layers that make no graph.

    Raises
    ------
    InterpkitError
        Where there are fewer than two, one is named twice, or a map is too small to tell one place from another.
    """
    if len(probe.layers) < 2:
        raise InterpkitError(
            f"a graph takes two layers or more, from low to high, the probe has {len(probe.layers)} "
            f"({', '.join(probe.layers)}); `interpkit layers` lists them"
        )
    seen: dict[object, str] = {}
    for layer in probe.layers:
        other = seen.setdefault(probe.address(layer), layer)
        if other != layer:
            raise InterpkitError(f"layers {other!r} and {layer!r} are the same; a graph takes each once")
    for layer, (_, h, w) in probe.shapes().items():
        if min(h, w) < FEWEST_CELLS:
            raise InterpkitError(
                f"layer {layer!r} gives maps of {h} x {w}: part patterns take at least {FEWEST_CELLS} x {FEWEST_CELLS} "
                "cells; choose a layer before the pooling"
            )


def nodes_of(
    layers: Sequence[str], shapes: Mapping[str, tuple[int, int, int]], asked: Sequence[int] | None
) -> list[int]:
    """How many nodes a filter has in each of the layers, as asked for, or by the size of the map.

    Raises
    ------
    InterpkitError
        If another number of layers is meant, or a map has fewer cells.

    Examples
    --------
    >>> nodes_of(["a", "b"], {"a": (512, 28, 28), "b": (512, 14, 14)}, None)
    [40, 20]
    """
    if asked is None:
        return [_by_density(*shapes[layer][1:]) for layer in layers]
    if len(asked) != len(layers):
        raise InterpkitError(
            f"nodes has {len(asked)} numbers for {len(layers)} layers; one each, from low to high: {', '.join(layers)}"
        )
    for layer, number in zip(layers, asked, strict=True):
        _, h, w = shapes[layer]
        if not 1 <= number <= h * w:
            raise InterpkitError(
                f"{number} nodes a filter for layer {layer!r}: its maps of {h} x {w} take 1 to {h * w}; "
                f"default: {_by_density(h, w)}"
            )
    return list(asked)


def _by_density(h: int, w: int) -> int:
    density = next(density for cells, density in DENSITIES if min(h, w) >= cells)
    return math.ceil(round(density * h * w, 6))
