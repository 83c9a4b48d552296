"""Fitted layers, kept as soon as they are fitted for a run that goes on."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from interpkit import em
from interpkit.graph._layers import Fit, Layer
from interpkit.keeping import Work

Arrays = Mapping[str, npt.NDArray[Any]]


def fitted_once(work: Work | None, name: str, layer: Layer, *, make: Callable[[], Fit]) -> Fit:
    """A layer's fit: made, or as it was kept under a name. Either way it is laid out in memory alike, bit for bit.

    Where the layer decides which images are seen mirrored, that is put back too.
    """
    device, turned = layer.training.device, layer.training.turned
    before = None if work is None else work.state(name)
    if before is not None and (found := _unpacked(before.arrays, device)) is not None:
        if layer.decides:
            turned[:] = before.arrays["turned"]
        return found
    arrays = _packed(make())
    if work is not None:
        work.commit(name, {**arrays, "turned": turned}, {})
    made = _unpacked(arrays, device)
    assert made is not None
    return made


def _packed(one: Fit) -> dict[str, npt.NDArray[Any]]:
    nodes = one.fitted.nodes
    tensors = {
        "nodes.place": nodes.place,
        "nodes.sigma": nodes.sigma,
        "used": one.fitted.used,
        "likelihood": one.fitted.likelihood,
        **({} if one.fitted.edges is None else {"edges": one.fitted.edges}),
        "training.place": one.training.place,
        "training.score": one.training.score,
        "held_out.place": one.held_out.place,
        "held_out.score": one.held_out.score,
    }
    return {name: np.ascontiguousarray(tensor.cpu().numpy()) for name, tensor in tensors.items()}


def _unpacked(arrays: Arrays, device: torch.device) -> Fit | None:
    """The inverse of ``_packed``; None for anything else."""

    def of(name: str) -> torch.Tensor:
        return torch.from_numpy(arrays[name]).to(device)

    try:
        edges = of("edges") if "edges" in arrays else None
        nodes = em.Nodes(of("nodes.place"), of("nodes.sigma"))
        training, held_out = (em.Found(of(f"{one}.place"), of(f"{one}.score")) for one in ("training", "held_out"))
        return Fit(em.Fitted(nodes, of("used"), edges, of("likelihood")), training, held_out)
    except KeyError:
        return None
