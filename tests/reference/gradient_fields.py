"""Receptive fields the slow way: from the gradient of single cells, in float64, on noise."""

import copy

import torch
from torch import Tensor, nn


def gradient_field(model: nn.Module, layer: str, *, shape: tuple[int, int], channels: int = 3) -> tuple[list, list]:
    """Field of a cell in the middle of the map: its size, and stride and centre of cell (0, 0); rows, then columns.

    Several noise images: a ReLU that is closed on one of them must not hide a path.
    """
    model = copy.deepcopy(model).double().eval()
    kept: list[Tensor] = []
    model.get_submodule(layer).register_forward_hook(lambda module, inputs, output: kept.append(output.clone()))
    pixels = torch.randn(3, channels, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    pixels.requires_grad_()
    model(pixels)
    (maps,) = kept
    middle = [maps.shape[2] // 2, maps.shape[3] // 2]
    spans = []
    for row, column in (middle, [middle[0] + 1, middle[1] + 1]):
        (gradient,) = torch.autograd.grad(maps[:, :, row, column].abs().sum(), pixels, retain_graph=True)
        lit = gradient.abs().sum((0, 1)) > 0
        spans.append([(int(on[0]), int(on[-1])) for axis in (1, 0) if len(on := lit.any(axis).nonzero().flatten())])
    sizes = [last - first + 1 for first, last in spans[0]]
    strides = [after[0] - before[0] for before, after in zip(*spans, strict=True)]
    centres = [
        (first + last) / 2 - cell * stride
        for (first, last), cell, stride in zip(spans[0], middle, strides, strict=True)
    ]
    return sizes, strides + centres
