"""Which images are seen mirrored. Features are those of the mirrored input: mirroring a map is not the same.

Source: Zhang et al., AAAI 2018, who allow a flip for each image; the code they released computes both sides from the
same features. Here the parts of the topmost layer decide, by likelihood, and the layers below follow.
"""

import numpy as np
import numpy.typing as npt
import torch

from interpkit import em
from interpkit.graph._store import Maps

# Images at a time.
_IMAGES = 16

Bools = npt.NDArray[np.bool_]


def turn(maps: Maps, nodes: em.Nodes, grid: em.Grid, *, noise: float) -> None:
    """Decide which of the images are seen mirrored, from now on: those that the nodes explain better so."""
    if len(maps.rows):
        plain, mirrored = (maps.seen(np.full_like(maps.turned, side)) for side in (False, True))
        maps.turned[maps.rows] = likelier(plain, mirrored, nodes, grid=grid, noise=noise)


def likelier(plain: em.Maps, mirrored: em.Maps, nodes: em.Nodes, *, grid: em.Grid, noise: float) -> Bools:
    """(I,) whether the nodes explain the mirror images, ``mirrored``, better than the same images as they are.

    By log-likelihood over the sum of activations. The likelihood alone would prefer the side with less activation:
    densities per squared pixel are far below one.
    """
    before, after = (
        em.likelihoods(maps, nodes, grid, above=None, edges=None, noise=noise) / _activation(maps)
        for maps in (plain, mirrored)
    )
    better: Bools = (after > before).cpu().numpy()
    return better


def _activation(maps: em.Maps) -> torch.Tensor:
    """(I,) sum over all cells of each image, above 0."""
    images = maps.shape[0]
    parts = [maps[first : first + _IMAGES].double().sum((1, 2, 3)) for first in range(0, images, _IMAGES)]
    return torch.cat(parts).clamp(min=torch.finfo(torch.float64).tiny)


def mirrored_back(place: torch.Tensor, turned: Bools, width: int) -> torch.Tensor:
    """Places (I, V, 2) on the images as they are, of ``width`` pixels, where ``turned`` (I,) were seen mirrored."""
    if not turned.any():
        return place
    there = torch.from_numpy(turned).to(place.device)[:, None]
    columns = torch.where(there, width - 1 - place[..., 1], place[..., 1])
    return torch.stack([place[..., 0], columns], -1)
