"""The head that stands for what a network makes of a layer: its own outputs where it knows the classes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from interpkit.entanglement._sample import Sample
from interpkit.probe import edited, map_gradient

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Numbers in one piece of a linear head's work: 128 MB.
_PIECE = 1 << 25


@dataclass(frozen=True, eq=False)
class Measured:
    """What a head gets right, for each of A ways to scale the units.

    Attributes
    ----------
    recall
        (A, K) share of the images of each class that the head finds.
    accuracy
        (A,) share of images it gets right; the mean recall where images may be of several classes.
    """

    recall: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Head(ABC):
    """From a layer's units to scores of K classes.

    An image of m classes is given the m with the highest scores; so one class, where each image has one.

    Attributes
    ----------
    words
        Which head this is.
    member
        (N, K) bool, the classes of the images.
    """

    words: str
    member: Bools

    @abstractmethod
    def batches(self, scales: Floats) -> Iterator[tuple[Ints, Floats]]:
        """Images (n,) and their scores (A, n, K), with the units scaled by each of ``scales`` (A, U)."""

    @abstractmethod
    def scores(self, maps: Tensor, output: Tensor, places: Ints) -> Tensor:
        """Scores (n, K) of the images at ``places``, a differentiable function of maps and of the network's output."""

    @abstractmethod
    def surface(self, images: Tensor, places: Ints, *, classes: Ints) -> Tensor:
        """(n, h, w): where on its map the layer speaks for each image's class of ``classes`` (n,)."""

    @property
    @abstractmethod
    def surface_method(self) -> str:
        """``CAM`` or ``Grad-CAM``: how ``surface`` is made."""

    def logits(self, scale: npt.NDArray[np.bool_] | Floats) -> Floats:
        """(N, K) scores with the units scaled by ``scale`` (U,): False or 0 takes one out."""
        scores = np.empty(self.member.shape, np.float32)
        for places, values in self.batches(np.asarray(scale, np.float32)[None]):
            scores[places] = values[0]
        return scores

    def measure(self, scales: npt.NDArray[np.bool_] | Floats) -> Measured:
        """What the head gets right with the units scaled by each of ``scales`` (A, U)."""
        images, classes = self.member.shape
        found = np.zeros((len(scales), classes))
        for places, values in self.batches(np.asarray(scales, np.float32)):
            found += given(values, self.member[places]).sum(1)
        recall = found / self.member.sum(0)
        single = bool((self.member.sum(1) == 1).all())
        return Measured(recall, found.sum(1) / images if single else recall.mean(1))

    @cached_property
    def accuracy(self) -> float:
        """With all units; see `Measured`."""
        return float(self.measure(np.ones((1, self.units), np.bool_)).accuracy[0])

    @property
    @abstractmethod
    def units(self) -> int:
        """U."""


def given(scores: Floats, member: Bools) -> Bools:
    """Which of their classes (n, K) images are given, by scores (A, n, K): m classes, the m highest.

    Equal scores go to the class that comes first.
    """
    counts = member.sum(1)
    if (counts == 1).all():
        right: Bools = (scores.argmax(-1)[..., None] == np.arange(member.shape[1])) & member
        return right
    order = np.argsort(-scores, axis=-1, kind="stable")
    rank: Ints = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(member.shape[1]), order.shape), axis=-1)
    among: Bools = (rank < counts[:, None]) & member
    return among


@dataclass(frozen=True, eq=False)
class LinearHead(Head):
    """Scores that are linear in pooled activations: ``weight[f] @ features + bias[f]``.

    Attributes
    ----------
    sample
        The images, and the layer.
    features
        (N, U) float32, the mean or maximum over the cells of ``raised``.
    weight, bias
        (F, K, U) and (F, K): one head, or one for each fold of images.
    fold
        (N,) which of them is an image's.
    raised, pooled
        From maps (n, U, h, w) to what is pooled, and to (n, U).
    """

    sample: Sample
    features: Floats
    weight: Floats
    bias: Floats
    fold: Ints
    raised: Callable[[Tensor], Tensor]
    pooled: Callable[[Tensor], Tensor]
    surface_method = "CAM"

    @property
    def units(self) -> int:
        """U."""
        return int(self.features.shape[1])

    def batches(self, scales: Floats) -> Iterator[tuple[Ints, Floats]]:
        """See `Head`."""
        images, classes = self.member.shape
        step = max(1, _PIECE // (len(scales) * classes + self.units))
        for start in range(0, images, step):
            places = np.arange(start, min(start + step, images))
            scores = np.empty((len(scales), len(places), classes), np.float32)
            for f in np.unique(self.fold[places]):
                here = np.flatnonzero(self.fold[places] == f)
                features = np.asarray(self.features[places[here]])
                whole = features @ self.weight[f].T + self.bias[f]
                for values, scale in zip(scores, scales, strict=True):
                    values[here] = _scaled(features, scale, weight=self.weight[f], bias=self.bias[f], whole=whole)
            yield places, scores

    def scores(self, maps: Tensor, output: Tensor, places: Ints) -> Tensor:
        """See `Head`."""
        weight = torch.from_numpy(self.weight[self.fold[places]]).to(maps.device)
        bias = torch.from_numpy(self.bias[self.fold[places]]).to(maps.device)
        return torch.einsum("nu,nku->nk", self.pooled(maps).float(), weight) + bias

    def surface(self, images: Tensor, places: Ints, *, classes: Ints) -> Tensor:
        """See `Head`: the class's weights over the maps (Zhou et al., CVPR 2016)."""
        maps = self.raised(self.sample.looked(images)[self.sample.layer]).float()
        weight = torch.from_numpy(self.weight[self.fold[places], classes]).to(maps.device)
        return torch.einsum("nuhw,nu->nhw", maps, weight)


def _scaled(features: Floats, scale: Floats, *, weight: Floats, bias: Floats, whole: Floats) -> Floats:
    """Scores (n, K) with scaled units; ``whole`` are those with all of them."""
    on, off = np.flatnonzero(scale), np.flatnonzero(scale == 0)
    if (scale[on] == 1).all() and len(off) < len(on):
        # What is taken out is less than what stays.
        rest: Floats = whole - features[:, off] @ weight[:, off].T
        return rest
    return np.asarray((features[:, on] * scale[on]) @ weight[:, on].T + bias, np.float32)


@dataclass(frozen=True, eq=False)
class NetworkHead(Head):
    """The rest of the network, run anew for every change of the layer's units.

    Attributes
    ----------
    sample
        The images, and the layer.
    outputs
        (K,) which of the network's outputs each class is.
    """

    sample: Sample
    outputs: Ints
    surface_method = "Grad-CAM"

    @property
    def units(self) -> int:
        """U."""
        return int(self.sample.pooled.shape[1])

    def batches(self, scales: Floats) -> Iterator[tuple[Ints, Floats]]:
        """See `Head`."""
        sample, total = self.sample, len(self.member)
        factors = torch.from_numpy(scales).to(sample.looked.device)
        with sample.batches() as batches:
            for batch in batches:
                scores = [self._once(batch.images, factor) for factor in factors]
                yield batch.rows, np.stack(scores).astype(np.float32, copy=False)
                sample.progress("network with units changed", int(batch.rows[-1]) + 1, total)

    def _once(self, images: Tensor, factor: Tensor) -> Floats:
        """Scores (n, K) with the layer's units scaled by ``factor`` (U,)."""
        looked = self.sample.looked
        with edited(looked, self.sample.layer, lambda maps: maps * factor.to(maps.dtype)[:, None, None]):
            _, output = looked.through(images)
        scores: Floats = output[:, self.outputs].float().cpu().numpy()
        return scores

    def scores(self, maps: Tensor, output: Tensor, places: Ints) -> Tensor:
        """See `Head`."""
        return output[:, self.outputs].float()

    def surface(self, images: Tensor, places: Ints, *, classes: Ints) -> Tensor:
        """See `Head`: maps weighted by the mean gradient of the score (Selvaraju et al., ICCV 2017).

        Without the rectification at the end: only the order of cells matters here, and many equal zeros have none.
        """
        rows = torch.arange(len(places))

        def score(maps: Tensor, output: Tensor) -> Tensor:
            return self.scores(maps, output, places)[rows, classes]

        maps, gradient = map_gradient(self.sample.looked, self.sample.layer, images, score=score)
        return torch.einsum("nuhw,nu->nhw", maps, gradient.mean((2, 3)))
