"""What can be wrong with the arguments of ``dissect``, and where each layer's cells lie."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from interpkit.errors import ImageError, InterpkitError, ModelError, nearest
from interpkit.feeding import read_image
from interpkit.geometry import Placement, effective_placement, half_pixel, receptive_fields
from interpkit.labels import LabelSet
from interpkit.probe import Probe

Align = Literal["half-pixel", "receptive-field", "effective"]
ALIGNMENTS = ("half-pixel", "receptive-field", "effective")
CATEGORY_RULES = ("annotated", "all")

# Enough photographs for the gradient-weighted centre to settle; the measured offsets in the docs use as many.
EFFECTIVE_IMAGES = 24


def check_options(*, align: str, quantile: float, iou: float, category_rule: str, top: int, seed: int) -> None:
    """Stop at a value that no dissection can use.

    Raises
    ------
    InterpkitError
        One line with what was asked and what exists.
    """
    if not 0 < quantile < 1:
        raise InterpkitError(
            f"quantile must lie between 0 and 1, both excluded, not {quantile:g}; the paper uses 0.005"
        )
    if not 0 <= iou < 1:
        raise InterpkitError(f"iou must be at least 0 and below 1, not {iou:g}; the paper uses 0.04")
    if top < 1:
        raise InterpkitError(f"top must be at least 1, not {top}")
    if seed < 0:
        raise InterpkitError(f"seed must be at least 0, not {seed}")
    for what, value, have in [("alignment", align, ALIGNMENTS), ("category rule", category_rule, CATEGORY_RULES)]:
        if value not in have:
            close = ", ".join(nearest(value, have, count=1) or have)
            raise InterpkitError(f"no {what} {value!r}; there is {', '.join(have)}; nearest: {close}")


def place(probe: Probe, labels: LabelSet, *, align: Align, seed: int, skip_bad: bool) -> dict[str, Placement]:
    """Where the cells of each layer lie on the input, by the alignment asked for.

    Raises
    ------
    ModelError
        If ``receptive-field`` is asked for a layer that has none.
    """
    shapes = probe.shapes()
    if align == "half-pixel":
        return {layer: half_pixel(probe.preprocessing.size, shape[1:]) for layer, shape in shapes.items()}
    if align == "receptive-field":
        fields = receptive_fields(probe.loaded, probe.layers)
        for layer, field in fields.items():
            if isinstance(field, str):
                raise ModelError(
                    f"layer {layer!r} has no receptive field to align by: {field}; use --align half-pixel or effective"
                )
        return {layer: Placement(f.centre, f.stride) for layer, f in fields.items() if not isinstance(f, str)}
    images = _some_images(probe, labels, seed=seed, skip_bad=skip_bad)
    receptive_fields(probe.loaded, probe.layers)  # all in one pass; each layer's is then found in the cache
    return {layer: effective_placement(probe, layer, images) for layer in probe.layers}


def _some_images(probe: Probe, labels: LabelSet, *, seed: int, skip_bad: bool) -> torch.Tensor:
    """(n, channels, H, W) inputs, drawn at random but in the order of the label set."""
    images: dict[int, npt.NDArray[np.float32]] = {}
    for row in np.random.default_rng(seed).permutation(len(labels)).tolist():
        try:
            images[row] = read_image(labels, row, probe.preprocessing)
        except ImageError:
            if not skip_bad:
                raise
        if len(images) == EFFECTIVE_IMAGES:
            break
    return torch.from_numpy(np.stack([images[row] for row in sorted(images)]))
