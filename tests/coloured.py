"""Coloured rectangles on grey, with their masks, and networks whose units are known to look for one colour each."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from labels_on_disk import Row, write_broden, write_csv
from PIL import Image
from torch import Tensor, nn

from interpkit.entanglement._sample import Sample
from interpkit.feeding import Feeding
from interpkit.labels import LabelSet
from interpkit.models import LoadedModel, Preprocessing, load_model
from interpkit.probe import Probe

SIZE = 16
# Concepts and classes alike are red, green and blue.
NAMES = ("name1", "name2", "name3")
FEEDING = Feeding(4, "contiguous", 1)


class Colours(nn.Module):
    """Units 0 and 1 are high on red, 2 and 3 on green, 4 and 5 on blue, 6 nowhere; units 1, 3 and 5 are weak copies."""

    def __init__(self, *, inplace: bool = True) -> None:
        super().__init__()
        self.colour = nn.Conv2d(3, 7, 1)
        self.act = nn.ReLU(inplace=inplace)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(7, 4)
        with torch.no_grad():
            for unit in range(6):
                strength = 1.0 if unit % 2 == 0 else 0.5
                self.colour.weight[unit, :, 0, 0] = -0.5 * strength
                self.colour.weight[unit, unit // 2] = strength
            self.colour.weight[6] = 0
            self.colour.bias.fill_(-0.05)
            self.colour.bias[6] = -1
            self.head.weight.copy_(torch.eye(4)[:, [1, 1, 2, 2, 3, 3, 0]] * 10)
            self.head.bias.copy_(torch.tensor([-1.0, 0.0, 0.01, 0.02]))

    def forward(self, images: Tensor) -> Tensor:
        """Output 0 is no class, 1 ... 3 are the colours."""
        return self.head(self.drop(self.act(self.colour(images)).mean((2, 3))))


class Deep(Colours):
    """The same with one more layer after the pooling: no linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(7, 7)
        with torch.no_grad():
            self.hidden.weight.copy_(torch.eye(7))
            self.hidden.bias.zero_()

    def forward(self, images: Tensor) -> Tensor:
        return self.head(torch.tanh(self.hidden(self.act(self.colour(images)).mean((2, 3)))))


def loaded(net: nn.Module, classes: Sequence[str] = ("none", *NAMES)) -> LoadedModel:
    """The network with names for its outputs, and an input that is normalised."""
    plain = Preprocessing((SIZE, SIZE), (0.1, 0.0, 0.2), (1.0, 2.0, 0.5))
    return replace(load_model(net.eval()), preprocessing=plain, classes=tuple(classes))


class Unnormalised(nn.Module):
    """A network that first undoes the normalisation, so that the colours are those of the picture."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        spread, mean = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([0.1, 0.0, 0.2])
        return self.net(images * spread[:, None, None] + mean[:, None, None])


def coloured_set(root: Path, *, images: int = 18, seed: int = 0, both: Sequence[int] = ()) -> LabelSet:
    """Image i shows one rectangle of colour i % 3, some of them with a second one of the next colour."""
    rng = np.random.default_rng(seed)
    rows, pictures, classes = [], [], []
    for i in range(images):
        picture, mask = rng.integers(100, 110, (SIZE, SIZE, 3)), np.zeros((SIZE // 2, SIZE // 2), np.int64)
        for which, colour in enumerate([i % 3, *([(i + 1) % 3] if i in both else [])]):
            left = 4 * which
            top, height, width = rng.integers(0, 5), rng.integers(2, 4), rng.integers(2, 4)
            mask[top : top + height, left : left + width] = colour + 1
            picture[2 * top : 2 * (top + height), 2 * left : 2 * (left + width), colour] += 120
            classes.append((f"{i:03d}.png", NAMES[colour]))
        rows.append(Row(f"{i:03d}.png", {"object": [mask]}))
        pictures.append(picture.astype(np.uint8))
    labels = {number: {"object": 1.0} for number in (1, 2, 3)}
    write_broden(root, labels, rows, categories=["object"], side=SIZE)
    for row, picture in zip(rows, pictures, strict=True):
        Image.fromarray(picture).save(root / "images" / row.image)
    write_csv(root / "classes.csv", ["image", "class"], classes)
    return LabelSet.open(root)


def sample(labels: LabelSet, net: nn.Module, layer: str = "net.colour", **options: Any) -> Sample:
    """The pooled activations of a layer, and everything around them; ``options`` replace fields."""
    classes = options.pop("classes", ("none", *NAMES))
    reshape = options.pop("reshape", None)
    targets = labels.targets()
    probe = Probe(loaded(Unnormalised(net), classes), [layer], reshape=reshape)
    fields: dict[str, Any] = {"rows": np.arange(len(labels)), "member": targets.member, "signed": True} | options
    made = Sample(
        probe=probe, layer=layer, labels=labels, feeding=FEEDING, pooled=np.empty(0), names=targets.names, **fields
    )
    pooled = []
    with made.batches() as batches:
        pooled = [made.pooling(probe(batch.images)[layer]).numpy() for batch in batches]
    return replace(made, pooled=np.concatenate(pooled))
