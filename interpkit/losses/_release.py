"""How the authors' released code pulls at maps and learns its masks, which is not what their paper says.

Source: the MATLAB release of interpretable CNNs (zqs1022/interpretableCNN), restated from its formulas. Its masks have
slopes w over coordinates from -1 to 1: w = beta (n - 1) / (2 n), n the longer side of the map.
"""

import math

import torch
from torch import Tensor

from interpkit.templates import Position, place, spread

TEMPERATURE = 0.5
# Mean weight of an image before the decay.
MAGNITUDE = 0.1
# Slopes of masks that the release lets a filter learn.
SLOPES = (1.5, 3.0)
# Up to so many categories a category's share of the images weighs the pulls.
FEW = 10


def release_gradient(
    maps: Tensor, template: Tensor, member: Tensor, *, clamp: bool = True, magnitude: float = MAGNITUDE
) -> Tensor:
    """What the release adds to the gradient of each map: towards its template on images of the filter's category.

    On other images all cells are pushed down alike. The weights of the images come from how well a map fits its
    template compared with a template of another image and filter, and have the mean ``magnitude`` over the images of
    either kind; where there are none of a kind, nothing is pulled.

    Parameters
    ----------
    maps
        (N, U, h, w), rectified.
    template
        (N, U, h, w) of `templates.fitted`.
    member
        (N, U) bool, whether the image is of the filter's category.
    clamp
        Whether weights below 0 count as 0. As released they do not: an image can be pushed away from its own
        template, and a mean weight near 0 blows up the whole batch.
    magnitude
        The mean weight; the release divides 0.1 by the epoch and multiplies by 1e-5.

    Returns
    -------
    (N, U, h, w), for a loss summed over images, as the release's is.
    """
    fits, foreign, level = (x.mean((2, 3)) for x in (maps * template, maps * template.flip(0, 1), maps))
    inside = _weights(fits, foreign, member, clamp=clamp) * magnitude
    outside = _weights(-level, -level, ~member, clamp=clamp) * magnitude
    return outside[..., None, None] - inside[..., None, None] * template


def _weights(strength: Tensor, rival: Tensor, member: Tensor, *, clamp: bool) -> Tensor:
    """(N, U) weights of the members, of mean 1 over them; 0 for the others."""
    log_z = torch.logsumexp(rival / TEMPERATURE, 0) - math.log(len(rival))
    # A filter's common factor falls out of its weights, and the exponential is kept in range.
    top = strength.masked_fill(~member, -torch.inf).amax(0).clamp(min=torch.finfo(strength.dtype).min)
    weight = ((strength - top) / TEMPERATURE).exp() * (strength - TEMPERATURE * log_z + TEMPERATURE)
    weight = torch.where(member, weight.clamp(min=0) if clamp else weight, 0.0)
    mean = weight.sum(0) / member.sum(0)
    return torch.where(member & (mean != 0), weight / mean, 0.0)


def balance(share: Tensor) -> tuple[Tensor, Tensor]:
    """(K,) how much images of a category and others count, by the category's share (K,) of the images.

    By its share for up to ten categories, and as if all were equally common for more. One category counts as it is.
    """
    k = len(share)
    if k == 1:
        return torch.ones_like(share), torch.ones_like(share)
    common = share.clamp(1e-6, 1 - 1e-6) if k <= FEW else torch.full_like(share, 1 / k)
    return 0.5 / common, 0.5 / (1 - common)


def target_slope(maps: Tensor, template: Tensor, member: Tensor, *, position: Position) -> Tensor:
    """(U,) the slope w that a filter's mask should have: the wider its maps of its category, the flatter.

    3 / sigma, from 1.5 to 3, sigma being the mean spread of maps in cells, weighted by how well they fit their
    template; NaN for a filter without an image of its category. Arguments as in `release_gradient`.
    """
    row, column, alive = place(maps, position)
    fits = (maps * template).mean((2, 3)) * (member & alive)
    sigma = (fits * spread(maps, row, column)).sum(0) / fits.sum(0)
    return (3 / sigma).clamp(*SLOPES)


def slope(beta: Tensor, size: tuple[int, int]) -> Tensor:
    """The release's w of a mask's beta on maps of ``size`` (h, w)."""
    n = max(size)
    return beta * (n - 1) / (2 * n)


def steepness(w: Tensor, size: tuple[int, int]) -> Tensor:
    """The beta of a mask with the release's w on maps of ``size`` (h, w): the inverse of `slope`."""
    n = max(size)
    return w * (2 * n) / (n - 1)
