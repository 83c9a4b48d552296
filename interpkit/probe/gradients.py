"""Gradients of what a network computes, with nothing left behind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from interpkit.errors import ModelError
from interpkit.probe.addresses import rows_of
from interpkit.probe.editing import edited
from interpkit.probe.probing import Probe, filled
from interpkit.probe.watching import Reached, dtype_of, undisturbed

# (N, U, h, w) maps and (N, outputs) of the network -> one number an image, (N,).
Score = Callable[[Tensor, Tensor], Tensor]


@contextmanager
def differentiable(model: nn.Module) -> Iterator[None]:
    """Gradients on inside, but none for the network's own weights; flags and random states are as before afterwards.

    Weights that want no gradient collect none: no ``.grad`` appears, and a backward pass costs half as much.
    """
    wanted = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    with undisturbed(model), torch.inference_mode(mode=False), torch.enable_grad():
        try:
            for parameter, _ in wanted:
                parameter.requires_grad = False
            yield
        finally:
            for parameter, before in wanted:
                parameter.requires_grad = before


def input_gradient(probe: Probe, layer: str, images: Tensor, *, score: Score) -> Tensor:
    """The gradient of a score with respect to the images.

    Parameters
    ----------
    probe : Probe
    layer : str
        Whose maps ``score`` gets.
    images : torch.Tensor
        (N, channels, H, W), preprocessed.
    score : Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
        From the layer's maps (N, U, h, w) and the network's output (N, outputs) to one number an image.

    Returns
    -------
    torch.Tensor
        (N, channels, H, W), without gradient.

    Raises
    ------
    ModelError
        If the network cannot be differentiated, or its units not be reached (see `edited`).
    """
    images, count = _ready(probe, images)
    with differentiable(probe.model):
        leaf = images.clone().requires_grad_()
        maps, output = _forward(probe, layer, leaf)
        gradient = _gradient(score(maps[:count], output[:count]), leaf)
    return gradient[:count]


def map_gradient(probe: Probe, layer: str, images: Tensor, *, score: Score) -> tuple[Tensor, Tensor]:
    """The maps of a layer, and the gradient of a score with respect to them: both (N, U, h, w), without gradient.

    Arguments as for `input_gradient`.
    """
    images, count = _ready(probe, images)
    with differentiable(probe.model):
        maps, output = _forward(probe, layer, images, cut=True)
        gradient = _gradient(score(maps[:count], output[:count]), maps)
    return maps.detach()[:count], gradient[:count]


def unit_gradients(probe: Probe, layer: str, images: Tensor, *, units: Tensor) -> Iterator[Tensor]:
    """For one unit an image after the other, the gradient of its mean activation with respect to the image.

    Parameters
    ----------
    probe : Probe
    layer : str
    images : torch.Tensor
        (N, channels, H, W), preprocessed.
    units : torch.Tensor
        (N, F) units of each image.

    Returns
    -------
    Iterator[torch.Tensor]
        F times (N, channels, H, W).
    """
    images, count = _ready(probe, images)
    places = torch.arange(count, device=images.device)
    with differentiable(probe.model):
        leaf = images.clone().requires_grad_()
        means = _maps(probe, layer, leaf).mean((2, 3))
    for column in units.to(images.device).T:
        with differentiable(probe.model):
            gradient = _gradient(means[places, column], leaf, again=True)
        yield gradient[:count]


def _ready(probe: Probe, images: Tensor) -> tuple[Tensor, int]:
    """Images on the probe's device, filled up to an exported network's batch, and how many are real."""
    images, count = images.to(probe.device, dtype_of(probe.model)), len(images)
    batch = probe.loaded.fixed_batch
    return (images if batch in (None, count) else filled(images, batch or count)), count


def _gradient(scores: Tensor, leaf: Tensor, *, again: bool = False) -> Tensor:
    if not scores.requires_grad:
        raise ModelError("the network computes without gradients (torch.no_grad inside it?); this needs them")
    (gradient,) = torch.autograd.grad(scores.sum(), leaf, retain_graph=again)
    return gradient


def _forward(probe: Probe, layer: str, images: Tensor, *, cut: bool = False) -> tuple[Tensor, Tensor]:
    """A whole forward pass: the layer's maps as part of the graph, from there on if ``cut``, and the output."""
    kept: list[Tensor] = []

    def keep(maps: Tensor) -> Tensor:
        kept.append(maps.detach().requires_grad_() if cut else maps)
        # A copy goes on: an in-place operation would make the kept tensor stand for its result.
        return kept[-1].clone()

    with edited(probe, layer, keep):
        # An in-place operation on a leaf that wants a gradient is an error.
        output = rows_of(probe.model(images.clone()))
    return kept[-1], output


def _maps(probe: Probe, layer: str, images: Tensor) -> Tensor:
    """The layer's maps as part of the graph; what comes after them does not run."""
    kept: list[Tensor] = []

    def keep(maps: Tensor) -> Tensor:
        kept.append(maps)
        raise Reached

    try:
        with edited(probe, layer, keep):
            probe.model(images.clone())
    except Reached:
        pass
    return kept[-1]
