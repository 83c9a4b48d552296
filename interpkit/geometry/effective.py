"""Where the cells of a layer really look, from gradients on real images."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from interpkit.errors import InterpkitError, UnknownNameError, nearest
from interpkit.geometry.fields import Field, receptive_fields
from interpkit.geometry.placement import Placement
from interpkit.probe import Probe
from interpkit.probe.addresses import tensors
from interpkit.probe.tracing import as_maps, pick
from interpkit.probe.watching import Reached, Run, dtype_of, undisturbed, watched

# Cells looked at along each axis; a fit needs two, and gains little from more than these.
_CELLS = 4
_FEWEST = 3
_IMAGES_AT_ONCE = 4

Floats = npt.NDArray[np.float64]


def effective_placement(probe: Probe, layer: str, images: Tensor, *, cache: Path | None = None) -> Placement:
    """Start and stride fitted to where the cells of a layer look.

    A cell's gaze is the centre of gravity of sum over channels of ``|d a / d input|``, for the unit that fires
    there most strongly for its standards, averaged over images. Start and stride follow by least squares, for each
    axis by itself, from the cells whose receptive field the border does not cut. Where fewer than three are left
    along an axis (deep layers see more than the image), the stride is that of the receptive field, and the start
    follows from the cells in the middle, whose gaze the border cuts alike on both sides.

    Parameters
    ----------
    probe : Probe
    layer : str
        One of the probe's layers.
    images : torch.Tensor
        (N, channels, H, W), preprocessed, of real photographs; two dozen are enough.
    cache : pathlib.Path | None
        See `receptive_fields`.

    Raises
    ------
    InterpkitError
        If the layer is none of the probe's, or there is no image.
    """
    if layer not in probe.layers:
        raise UnknownNameError(f"no layer {layer!r} in the probe; nearest: {', '.join(nearest(layer, probe.layers))}")
    if len(images) == 0:
        raise InterpkitError("the effective alignment needs at least one image")
    field = receptive_fields(probe.loaded, [layer], cache=cache)[layer]
    maps = torch.cat([probe(part)[layer] for part in torch.split(images, _IMAGES_AT_ONCE)])
    units = _strongest(maps)
    sizes = ((images.shape[2], maps.shape[2]), (images.shape[3], maps.shape[3]))
    chosen = [_cells(field, axis=axis, image=image, count=count) for axis, (image, count) in enumerate(sizes)]
    gazes = _gazes(probe, layer, images, units=units, cells=_paired(chosen[0], chosen[1]))
    lines = [
        _line(gazes[:, axis], gazes[:, 2 + axis], stride=_stride(field, axis=axis, image=image, count=count))
        for axis, (image, count) in enumerate(sizes)
    ]
    return Placement((lines[0][0], lines[1][0]), (lines[0][1], lines[1][1]))


def _strongest(maps: Tensor) -> Tensor:
    """The unit (N, h, w) whose value stands out most from its own mean, in its own standard deviations."""
    deviation, mean = torch.std_mean(maps, dim=(0, 2, 3), correction=0, keepdim=True)
    return torch.where(deviation > 0, (maps - mean) / deviation, -torch.inf).argmax(1)


def _uncut(field: Field | str, *, axis: int, image: int, count: int) -> list[int]:
    """The cells along an axis whose field lies within the image."""
    if isinstance(field, str):
        return []
    reach, start, stride = (field.size[axis] - 1) / 2, field.centre[axis], field.stride[axis]
    return [i for i in range(count) if start + i * stride - reach >= 0 and start + i * stride + reach <= image - 1]


def _cells(field: Field | str, *, axis: int, image: int, count: int) -> list[int]:
    """The cells along an axis to look at: uncut ones, evenly spread; else the one or two in the middle."""
    uncut = _uncut(field, axis=axis, image=image, count=count)
    if len(uncut) < _FEWEST:
        return sorted({(count - 1) // 2, count // 2})
    spread = np.linspace(0, len(uncut) - 1, min(_CELLS, len(uncut)))
    return [uncut[round(each)] for each in spread]


def _stride(field: Field | str, *, axis: int, image: int, count: int) -> float | None:
    """The stride where the cells cannot tell it; None where they can."""
    if len(_uncut(field, axis=axis, image=image, count=count)) >= _FEWEST:
        return None
    return image / count if isinstance(field, str) else field.stride[axis]


def _paired(rows: Sequence[int], columns: Sequence[int]) -> list[tuple[int, int]]:
    """Cells that go through all rows and all columns, and along both diagonals: every cell costs a backward pass."""
    longest = max(len(rows), len(columns))
    down = [rows[k % len(rows)] for k in range(longest)]
    across = [columns[k % len(columns)] for k in range(longest)]
    return list(dict.fromkeys([*zip(down, across, strict=True), *zip(down, reversed(across), strict=True)]))


def _gazes(probe: Probe, layer: str, images: Tensor, *, units: Tensor, cells: Sequence[tuple[int, int]]) -> Floats:
    """(cells, 4): row and column of each cell, and of the pixel it looks at."""
    total = torch.zeros(len(cells), 2, dtype=torch.float64)
    seen = torch.zeros(len(cells), 1, dtype=torch.float64)
    size = probe.loaded.fixed_batch or _IMAGES_AT_ONCE
    for part, chosen in zip(torch.split(images, size), torch.split(units, size), strict=True):
        blanks = part.new_zeros((size - len(part) if probe.loaded.fixed_batch else 0, *part.shape[1:]))
        for k, weights in enumerate(_gradients(probe, layer, torch.cat([part, blanks]), units=chosen, cells=cells)):
            centres, counts = _centres(weights[: len(part)])
            total[k] += centres
            seen[k] += counts
    if not bool((seen > 0).all()):
        raise InterpkitError(f"layer {layer!r} passes no gradient to the image: the effective alignment cannot be had")
    return np.concatenate([np.asarray(cells, np.float64), (total / seen).numpy()], axis=1)


def _gradients(
    probe: Probe, layer: str, images: Tensor, *, units: Tensor, cells: Sequence[tuple[int, int]]
) -> Iterator[Tensor]:
    """For each cell, (n, H, W): sum over channels of ``|d a / d input|``, a being the cell's unit on each image."""
    pixels = images.to(probe.device, dtype_of(probe.model)).detach().clone().requires_grad_()
    maps = _differentiable(probe, layer, pixels)
    each = torch.arange(len(units), device=maps.device)
    for row, column in cells:
        fired = maps[each, units[:, row, column].to(maps.device), row, column].sum()
        (gradient,) = torch.autograd.grad(fired, pixels, retain_graph=True)
        yield gradient.abs().sum(1).cpu()


def _differentiable(probe: Probe, layer: str, pixels: Tensor) -> Tensor:
    """The layer's maps (N, U, h, w), still tied to the pixels; parameters take no part."""
    address = probe.address(layer)
    size = (pixels.shape[2], pixels.shape[3])
    kept: list[Tensor] = []

    def take(run: Run) -> None:
        if run.call == address.call:
            maps = as_maps(pick(tensors(run.output), address), layer, size=size, reshape=probe.reshape)
            kept.append(maps)
            raise Reached

    with torch.enable_grad(), undisturbed(probe.model), watched(probe.model, [address.module], take):
        probe.model(pixels)
    return kept[0]


def _centres(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Centres of gravity (row, column) of weights (n, H, W), summed over images, and how many images had any weight."""
    weights = weights.double()
    mass = weights.sum((1, 2))
    lit = mass > 0
    rows = weights.sum(2) @ torch.arange(weights.shape[1], dtype=torch.float64)
    columns = weights.sum(1) @ torch.arange(weights.shape[2], dtype=torch.float64)
    centres = torch.stack([rows[lit] / mass[lit], columns[lit] / mass[lit]], 1)
    return centres.sum(0), lit.sum().double()[None]


def _line(cells: Floats, pixels: Floats, *, stride: float | None) -> tuple[float, float]:
    """Start and stride of pixel = start + cell * stride, by least squares; of the start alone where stride is given."""
    if stride is not None:
        return float(np.mean(pixels - cells * stride)), stride
    slope = float(np.sum((cells - cells.mean()) * pixels) / np.sum((cells - cells.mean()) ** 2))
    return float(pixels.mean() - slope * cells.mean()), slope
