"""Where each layer's cells lie on the input, by the alignment asked for."""

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

# Enough photographs for the gradient-weighted centre to settle; the measured offsets in the docs use as many.
EFFECTIVE_IMAGES = 24


def label_grid(labels: LabelSet, probe: Probe) -> tuple[int, int]:
    """(sh, sw) of the label maps; for a set without any, half the input, as in Broden."""
    height, width = probe.preprocessing.size
    return labels.grid or (max(height // 2, 1), max(width // 2, 1))


def place(probe: Probe, labels: LabelSet, *, align: Align, seed: int, skip_bad: bool) -> dict[str, Placement]:
    """Where the cells of each layer lie on the input.

    Raises
    ------
    InterpkitError
        If there is no such alignment.
    ModelError
        If ``receptive-field`` is asked for a layer that has none.
    """
    if align not in ALIGNMENTS:
        close = ", ".join(nearest(align, ALIGNMENTS, count=1) or ALIGNMENTS)
        raise InterpkitError(f"no alignment {align!r}; there is {', '.join(ALIGNMENTS)}; nearest: {close}")
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
