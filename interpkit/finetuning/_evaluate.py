"""How well the network does on images kept apart, by its ordinary path, and how hard its outputs are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from interpkit.finetuning._network import Network
from interpkit.finetuning._objective import task_loss
from interpkit.finetuning._supply import Supply
from interpkit.processes import Group
from interpkit.results import Outputs

Ints = npt.NDArray[np.int64]

# Images in one pass without gradients.
BATCH = 64


@dataclass(frozen=True, eq=False)
class Judged:
    """Outputs on V images.

    Attributes
    ----------
    outputs, member
        (V, K) outputs, and 1 where an image is of a class.
    peaks
        (V, U) the largest activation of every unit of the topmost site.
    """

    outputs: Tensor
    member: Tensor
    peaks: Tensor
    multi: bool

    @property
    def loss(self) -> float:
        """The classification loss."""
        return float(task_loss(self.outputs, self.member, multi=self.multi))

    @property
    def accuracy(self) -> float:
        """Share of images called right; of several classes, the mean over classes."""
        return float(right(self.outputs, self.member, multi=self.multi).double().mean())

    @property
    def chance(self) -> float:
        """The accuracy of always naming the commonest class; of several, of always saying the same of each."""
        share = self.member.double().mean(0)
        return float(torch.maximum(share, 1 - share).mean() if self.multi else share.max())

    def confusion(self) -> Ints:
        """(K, K) images of the class of the row that were called the class of the column; (K, 4) for several classes.

        True positives, false positives, false negatives, true negatives.
        """
        truth = self.member.bool()
        if self.multi:
            said = self.outputs > 0
            cells = [said & truth, said & ~truth, ~said & truth, ~said & ~truth]
            return torch.stack([cell.sum(0) for cell in cells], 1).numpy().astype(np.int64)
        classes = truth.shape[1]
        pair = truth.long().argmax(1) * classes + self.outputs.argmax(1)
        return np.bincount(pair.numpy(), minlength=classes**2).reshape(classes, classes).astype(np.int64)

    def hardness(self) -> Outputs:
        """Mean top probability, entropy and margin."""
        outputs = self.outputs.double()
        best = outputs.topk(2, 1).values
        if self.multi:
            p = outputs.sigmoid()
            entropy = -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)).mean(1)
            top = p.amax(1)
        else:
            p = outputs.softmax(1)
            entropy, top = -torch.xlogy(p, p).sum(1), p.amax(1)
        return Outputs(float(top.mean()), float(entropy.mean()), float((best[:, 0] - best[:, 1]).mean()))


def right(outputs: Tensor, member: Tensor, *, multi: bool) -> Tensor:
    """(n,) whether the largest output names the class; (n, K) whether each class is told rightly."""
    if multi:
        return (outputs > 0) == (member > 0)
    return outputs.argmax(1) == member.argmax(1)


@dataclass(frozen=True, eq=False)
class Validation:
    """The images kept apart.

    Attributes
    ----------
    rows, member
        (V,) rows of the label set, and (V, K) 1 where an image is of a class, on the CPU.
    units
        U of the topmost site.
    """

    rows: Ints
    member: Tensor
    multi: bool
    units: int


def judge(network: Network, supply: Supply, images: Validation, *, group: Group) -> Judged:
    """The ordinary path on the images kept apart, each process on its share of them."""
    layer, rows = network.sites[-1].act, images.rows
    places = np.arange(len(rows))[group.rank :: group.world]
    pieces = [places[first : first + BATCH] for first in range(0, len(places), BATCH)]
    outputs = torch.zeros(images.member.shape, device=network.device)
    peaks = torch.zeros(len(rows), images.units, device=network.device)
    with network.evaluating():
        for inputs, piece in zip(supply.plain([rows[piece] for piece in pieces]), pieces, strict=True):
            seen = network.run(inputs)
            outputs[piece] = seen.outputs
            peaks[piece] = seen.maps[layer].flatten(2).amax(2).float()
    # Whoever could not read its share comes to no sum.
    group.meet()
    return Judged(group.summed(outputs).cpu(), images.member, group.summed(peaks).cpu(), images.multi)
