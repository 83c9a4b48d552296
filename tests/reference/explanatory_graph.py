"""The explanatory graph cell by cell: the mixture of each filter written out, no separability, no matrix products."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def fused(moved: Floats, sigma: Floats) -> tuple[Floats, float, float]:
    """The product of M Gaussians around ``moved`` (M, 2), each to the power 1/M: its middle, variance and factor."""
    weight = 1 / sigma**2
    middle = (weight[:, None] * moved).sum(0) / weight.sum()
    variance = 1 / weight.mean()
    away = ((moved - middle) ** 2).sum(1)
    factor = variance / np.exp(np.mean(np.log(sigma**2))) * np.exp(-0.5 * np.mean(weight * away))
    return middle, float(variance), float(factor)


def gaussian(places: Floats, middle: Floats, sigma: float) -> Floats:
    """Density of a round Gaussian at places (..., 2)."""
    return np.exp(-((places - middle) ** 2).sum(-1) / (2 * sigma**2)) / (2 * np.pi * sigma**2)


def mixture(nodes: tuple[Floats, Floats], cells: Floats, shift: Floats, *, factor: Floats) -> Floats:
    """(N, h, w) what each node of one filter on one image gives at the cells (h, w, 2), without the noise."""
    place, sigma = nodes
    return np.stack([factor[n] * gaussian(cells, place[n] + shift[n], sigma[n]) for n in range(len(sigma))])


def likelihood(
    maps: Floats, nodes: tuple[Floats, Floats], cells: Floats, *, shift: Floats, factor: Floats, noise: float
) -> Floats:
    """(D,) sum over images and cells of F log P; maps (I, D, h, w), places (D, N, 2), shift (I, D, N, 2)."""
    place, sigma = nodes
    total = np.zeros(maps.shape[1])
    for i, image in enumerate(maps):
        for d, one in enumerate(image):
            parts = mixture((place[d], sigma[d]), cells, shift[i, d], factor=factor[i, d])
            total[d] += (one * np.log((noise + parts.sum(0)) / (len(parts) + 1))).sum()
    return total


def moments(
    maps: Floats, nodes: tuple[Floats, Floats], cells: Floats, *, shift: Floats, factor: Floats, noise: float
) -> tuple[Floats, Floats, Floats]:
    """(D, N), (D, N, 2) and (D, N): weight, first and second moment about each node's middle, over all images."""
    place, sigma = nodes
    weight, first, second = np.zeros(sigma.shape), np.zeros(place.shape), np.zeros(sigma.shape)
    for i, image in enumerate(maps):
        for d, one in enumerate(image):
            parts = mixture((place[d], sigma[d]), cells, shift[i, d], factor=factor[i, d])
            shares = one * parts / (noise + parts.sum(0))
            for n, share in enumerate(shares):
                away = cells - place[d, n] - shift[i, d, n]
                weight[d, n] += share.sum()
                first[d, n] += (share[..., None] * away).sum((0, 1))
                second[d, n] += (share * (away**2).sum(-1)).sum()
    return weight, first, second
