"""The pass over the images: each unit's activation pooled to one number an image, with what the gallery needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from interpkit.errors import LabelSetError, ModelError
from interpkit.labels import LabelSet
from interpkit.probe import Probe
from interpkit.quantiles import LargestPeaks, UpperQuantile
from interpkit.running import Fed, Progress, check_finite

Floats = npt.NDArray[np.float32]
Pool = Literal["mean", "max"]
Rectify = Literal["auto", "yes", "no"]

# A gallery's outlines use the threshold of Network Dissection, and as many images as fill a row of a page.
QUANTILE = 0.005
SHOWN = 6


@dataclass(frozen=True, eq=False)
class Pooled:
    """What the pass found for one layer.

    Attributes
    ----------
    values
        (N, U) float32, the unit's map pooled over its cells; unreadable images left out.
    positive
        (N, U) the same of max(a, 0), for analyses that set units to zero; None where none was asked for.
    signed
        Whether any pooled map held a negative value.
    thresholds, silent
        (U,) the 0.995 quantile of all activations, and whether it is the unit's minimum.
    peaks
        Each unit's images with the largest activations, by row of the label set.
    """

    values: Floats
    positive: Floats | None
    signed: bool
    thresholds: Floats
    silent: npt.NDArray[np.bool_]
    peaks: LargestPeaks


class _Layer:
    """One layer's share of the pass."""

    def __init__(self, values: Floats, positive: Floats | None, *, cells: int) -> None:
        images, units = values.shape
        self.values, self.positive = values, positive
        self.lowest = float("inf")
        self.quantile = UpperQuantile(units, images * cells, quantile=QUANTILE)
        self.peaks = LargestPeaks(units, k=min(SHOWN, images))
        self.done = 0

    def add(self, maps: torch.Tensor, rows: npt.NDArray[np.int64], *, pool: Pool) -> None:
        """Take in maps (n, U, h, w) of the images ``rows``."""
        n, units = maps.shape[:2]
        flat = maps.reshape(n, units, -1)
        new = slice(self.done, self.done + n)
        self.values[new] = _pooled(flat, pool)
        if self.positive is not None:
            self.positive[new] = _pooled(flat.clamp(min=0), pool)
        self.done += n
        values = np.ascontiguousarray(flat.cpu().numpy().swapaxes(0, 1))
        self.lowest = min(self.lowest, float(values.min()))
        self.peaks.add(values.max(2), rows)
        self.quantile.add(values.reshape(units, -1))

    def finish(self) -> Pooled:
        thresholds = self.quantile.result()
        return Pooled(
            values=self.values[: self.done],
            positive=None if self.positive is None else self.positive[: self.done],
            signed=self.lowest < 0,
            thresholds=thresholds,
            silent=thresholds <= self.quantile.minimum,
            peaks=self.peaks,
        )


def _pooled(flat: torch.Tensor, pool: Pool) -> Floats:
    """(n, U) of maps (n, U, cells)."""
    pooled: Floats = (flat.mean(2) if pool == "mean" else flat.amax(2)).cpu().numpy()
    return pooled


@dataclass(frozen=True, eq=False)
class Passed:
    """What the pass found: each layer's pooled activations, and the network's strongest output an image.

    Attributes
    ----------
    rows
        (N,) the images that could be read.
    predicted
        (N,) index of the largest output; None where it was not asked for.
    """

    layers: dict[str, Pooled]
    rows: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64] | None


def pool_images(
    probe: Probe,
    labels: LabelSet,
    fed: Fed,
    *,
    arrays: Mapping[str, tuple[Floats, Floats | None]],
    pool: Pool,
    rectify: Rectify,
    predict: bool,
    progress: Progress,
) -> Passed:
    """Run every image through the network once.

    Raises
    ------
    ModelError
        If an activation is not finite, or ``predict`` is asked of a network without one row of outputs an image.
    LabelSetError
        If no image can be read.
    """
    shapes = probe.shapes()
    layers = {layer: _Layer(*arrays[layer], cells=shapes[layer][1] * shapes[layer][2]) for layer in probe.layers}
    names = labels.images["image"].to_numpy(str)
    rows, predicted = [], []
    for batch in fed.feeder.batches():
        maps, output = probe.through(batch.images) if predict else (probe(batch.images), None)
        if output is not None:
            predicted.append(_strongest(output))
        for layer, one in layers.items():
            raw = maps[layer].flatten(2).transpose(0, 1).cpu().numpy()
            # Before negative values go: minus infinity would pass for silence.
            check_finite(raw, layer, names[batch.rows].tolist())
            one.add(maps[layer].clamp(min=0) if rectify == "yes" else maps[layer], batch.rows, pool=pool)
        rows.append(batch.rows)
        progress("activations", int(batch.rows[-1]) + 1, len(labels))
    if not rows:
        raise LabelSetError(f"label set {labels.name}: none of its {len(labels)} images can be read")
    return Passed(
        layers={layer: one.finish() for layer, one in layers.items()},
        rows=np.concatenate(rows),
        predicted=np.concatenate(predicted) if predict else None,
    )


def _strongest(output: torch.Tensor) -> npt.NDArray[np.int64]:
    """(n,) the largest output of each image."""
    if output.dim() != 2 or output.shape[1] < 2:
        raise ModelError(
            f"the network's output has shape {tuple(output.shape)}, not (images, classes): it predicts no class, "
            "so use --target label"
        )
    strongest: npt.NDArray[np.int64] = output.argmax(1).cpu().numpy()
    return strongest
