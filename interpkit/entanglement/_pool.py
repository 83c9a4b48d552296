"""The pass over the images: each unit's activation pooled to one number an image, with what the gallery needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from interpkit.errors import LabelSetError, ModelError
from interpkit.labels import LabelSet
from interpkit.mapstore import Filled
from interpkit.probe import Probe
from interpkit.quantiles import LargestPeaks, UpperQuantile
from interpkit.running import Fed, Progress, check_finite, resumed
from interpkit.running.gathering import Gathering

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
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


@dataclass(frozen=True)
class Look:
    """How maps are looked at; the words are those of ``entangle``.

    Attributes
    ----------
    predict
        Whether the network's strongest output on each image is wanted too.
    """

    pool: Pool
    rectify: Rectify
    predict: bool


class _Layer:
    """One layer's share of the pass.

    Parameters
    ----------
    values, positive
        (n, U) room for the images of this process; of all of them on the first one.
    images, cells
        How many images all processes have together, and cells a map.
    """

    def __init__(self, values: Floats, positive: Floats | None, *, images: int, cells: int) -> None:
        units = values.shape[1]
        self.arrays = [values] if positive is None else [values, positive]
        self._done = 0
        self.lowest = float("inf")
        self.quantile = UpperQuantile(units, images * cells, quantile=QUANTILE)
        self.peaks = LargestPeaks(units, k=min(SHOWN, images))

    def add(self, maps: torch.Tensor, rows: Ints, *, pool: Pool) -> None:
        """Take in maps (n, U, h, w) of the images ``rows``."""
        n, units = maps.shape[:2]
        flat = maps.reshape(n, units, -1)
        new = slice(self._done, self._done + n)
        for array, maps in zip(self.arrays, (flat, flat.clamp(min=0)), strict=False):
            array[new] = _pooled(maps, pool)
        self._done += n
        values = np.ascontiguousarray(flat.cpu().numpy().swapaxes(0, 1))
        self.lowest = min(self.lowest, float(values.min()))
        self.peaks.add(values.max(2), rows)
        self.quantile.add(values.reshape(units, -1))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What it has taken in, but for the arrays."""
        return {
            "lowest": np.array(self.lowest),
            **{f"peaks.{name}": value for name, value in self.peaks.state().items()},
            **{f"quantile.{name}": value for name, value in self.quantile.state().items()},
        }

    def restore(self, state: Mapping[str, npt.NDArray[Any]], *, done: int) -> None:
        """The inverse of ``state``, with ``done`` images in the arrays."""
        self._done = done
        self.lowest = float(state["lowest"])
        self.peaks.restore(_under("peaks", state))
        self.quantile.restore(_under("quantile", state))

    def gather(self, gathering: Gathering) -> None:
        """Bring what the other processes saw to the first one."""
        gathering.bring(self.arrays)
        gathering.group.merge((self.lowest, self.peaks, self.quantile), self._take)

    def _take(self, other: tuple[float, LargestPeaks, UpperQuantile]) -> None:
        lowest, peaks, quantile = other
        if quantile is not self.quantile:
            self.lowest = min(self.lowest, lowest)
            self.peaks.merge(peaks)
            self.quantile.merge(quantile)

    def finish(self, images: int) -> Pooled:
        """What is known of the first ``images`` images that the arrays hold."""
        thresholds = self.quantile.result()
        values, positive = [*(array[:images] for array in self.arrays), None][:2]
        assert values is not None
        return Pooled(
            values=values,
            positive=positive,
            signed=self.lowest < 0,
            thresholds=thresholds,
            silent=thresholds <= self.quantile.minimum,
            peaks=self.peaks,
        )


def _under(prefix: str, state: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """What of a state is called ``<prefix>.<name>``, by name."""
    start = f"{prefix}."
    return {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}


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
    content
        Digest of the files looked at.
    """

    layers: dict[str, Pooled]
    rows: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64] | None
    content: str


class _Pass:
    """All layers' shares of the pass, and the images it has seen."""

    def __init__(self, layers: dict[str, _Layer]) -> None:
        self.layers = layers
        # Of all layers together: where the maps of one are lost, none may go on.
        self._filled = Filled([array for layer in layers.values() for array in layer.arrays])
        self._rows = [np.empty(0, np.int64)]
        self._predicted = [np.empty(0, np.int64)]

    def add(self, rows: Ints, predicted: Ints | None) -> None:
        """Take in the images ``rows``, and the network's strongest output on each where that is asked for."""
        self._rows.append(rows)
        if predicted is not None:
            self._predicted.append(predicted)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What the pass has taken in."""
        every = enumerate(self.layers.values())
        of_layers = {f"{i}.{name}": value for i, layer in every for name, value in layer.state().items()}
        rows, predicted = np.concatenate(self._rows), np.concatenate(self._predicted)
        return {**of_layers, "filled": self._filled.upto(len(rows)), "rows": rows, "predicted": predicted}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """The inverse of ``state``."""
        done = self._filled.restore(arrays["filled"])
        for i, layer in enumerate(self.layers.values()):
            layer.restore(_under(str(i), arrays), done=done)
        self._rows, self._predicted = [arrays["rows"]], [arrays["predicted"]]

    def gathered(self, fed: Fed, *, predict: bool) -> Passed | None:
        """What all processes saw, on the first one; None elsewhere."""
        group, content = fed.group, fed.settle().content
        gathering = Gathering.of(group, np.concatenate(self._rows))
        predicted: list[Ints] = []
        group.merge(np.concatenate(self._predicted), predicted.append)
        for layer in self.layers.values():
            layer.gather(gathering)
        if not group.first:
            return None
        images = len(gathering.rows)
        return Passed(
            layers={name: layer.finish(images) for name, layer in self.layers.items()} if images else {},
            rows=gathering.rows,
            predicted=np.concatenate(predicted) if predict else None,
            content=content,
        )


def pool_images(
    probe: Probe,
    labels: LabelSet,
    fed: Fed,
    *,
    arrays: Mapping[str, tuple[Floats, Floats | None]],
    look: Look,
    progress: Progress,
) -> Passed | None:
    """Run every image of this process through the network once.

    Returns
    -------
    What all processes saw, on the first one; None on the others.

    Raises
    ------
    ModelError
        If an activation is not finite, or a prediction is asked of a network without one row of outputs an image.
    LabelSetError
        If no image can be read.
    """
    shapes = probe.shapes()
    cells = {layer: h * w for layer, (_, h, w) in shapes.items()}
    layers = {one: _Layer(*arrays[one], images=len(labels), cells=cells[one]) for one in probe.layers}
    seen = _Pass(layers)
    names = labels.images["image"].to_numpy(str)
    for batch in resumed(fed.feeder, seen, work=fed.work, name="activations"):
        fed.group.check()
        maps, output = probe.through(batch.images) if look.predict else (probe(batch.images), None)
        seen.add(batch.rows, None if output is None else _strongest(output))
        for layer, one in layers.items():
            raw = maps[layer].flatten(2).transpose(0, 1).cpu().numpy()
            # Before negative values go: minus infinity would pass for silence.
            check_finite(raw, layer, names[batch.rows].tolist())
            one.add(maps[layer].clamp(min=0) if look.rectify == "yes" else maps[layer], batch.rows, pool=look.pool)
        progress("activations", int(batch.rows[-1]) + 1, len(labels))
    passed = seen.gathered(fed, predict=look.predict)
    if passed is not None and not len(passed.rows):
        raise LabelSetError(f"label set {labels.name}: none of its {len(labels)} images can be read")
    return passed


def _strongest(output: torch.Tensor) -> npt.NDArray[np.int64]:
    """(n,) the largest output of each image."""
    if output.dim() != 2 or output.shape[1] < 2:
        raise ModelError(
            f"the network's output has shape {tuple(output.shape)}, not (images, classes): it predicts no class, "
            "so use --target label"
        )
    strongest: npt.NDArray[np.int64] = output.argmax(1).cpu().numpy()
    return strongest
