"""A small network of our own, and label sets that fit it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from labels_on_disk import Row, write_broden
from numpy.typing import NDArray
from torch import Tensor, nn

from interpkit.labels import LabelSet
from interpkit.models import LoadedModel, load_model
from interpkit.probe import Probe

SIZE = 32
CATEGORIES = ("object", "part", "scene", "color")
# number -> coverage by category; 7 is both object and part, and primarily a part.
LABELS = {
    1: {"object": 3.0},
    2: {"object": 2.0},
    3: {"part": 1.0},
    4: {"part": 1.0},
    5: {"color": 9.0},
    6: {"color": 8.0},
    7: {"object": 1.0, "part": 2.0},
    8: {"scene": 1.0},
    300: {"scene": 2.0},
}
PRIMARY = {
    1: "object",
    2: "object",
    3: "part",
    4: "part",
    5: "color",
    6: "color",
    7: "part",
    8: "scene",
    300: "scene",
}


class Small(nn.Module):
    """Three convolutions on 32 x 32: `early` 6 x 16 x 16, `late` 8 x 8 x 8, with a ReLU written in place after each.

    Unit 0 of `early` and unit 1 of `norm` are dead (constant), unit 1 of `relu` is silent (at 0 nearly always).
    """

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.late = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        late = self.norm(self.late(self.relu(self.early(images))))
        return self.head(late.mean((2, 3)))


def small_network(seed: int = 0) -> Small:
    generator = torch.Generator().manual_seed(seed)
    net = Small()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
        net.norm.running_mean.copy_(torch.randn(8, generator=generator))
        net.norm.running_var.copy_(torch.rand(8, generator=generator) + 0.5)
        net.early.weight[0] = 0
        net.early.bias[1] = -5  # 0.2 % of noise gets through
        net.late.weight[1] = 0  # a dead unit behind the normalisation as well
    return net.eval()


def loaded(net: nn.Module | None = None) -> LoadedModel:
    return load_model(net or small_network(), size=SIZE)


def probe(layers: Sequence[str] = ("early", "norm"), net: nn.Module | None = None) -> Probe:
    return Probe(loaded(net), list(layers))


def random_labels(rng: np.random.Generator, numbers: Sequence[int], side: int = 16) -> NDArray[np.int64]:
    """(side, side) label numbers in random rectangles, 0 elsewhere."""
    field = np.zeros((side, side), np.int64)
    for number in rng.permutation(numbers):
        top, left = rng.integers(0, side - 2, 2)
        field[top : top + rng.integers(2, side), left : left + rng.integers(2, side)] = number
    return field


def random_rows(images: int = 10, seed: int = 0) -> list[Row]:
    """Images with label maps that overlap, whole-image labels, scene 0, and some without any label of a category."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(images):
        cells: dict[str, list[int | NDArray[np.int64]]] = {"color": [random_labels(rng, [5, 6])]}
        if i % 3:
            cells["object"] = [random_labels(rng, [1, 2, 7])]
        if i % 2:
            cells["part"] = [random_labels(rng, [3, 7]), random_labels(rng, [3, 4])]
        if i % 4 == 1:
            cells["scene"] = [300, 8] if i % 8 == 1 else [0]
        if i == 6:
            cells = {}
        rows.append(Row(f"{'ab'[i % 2]}/{i:02d}.png", cells, "val" if i % 5 == 0 else "train"))
    return rows


def small_set(root: Path, *, images: int = 10, seed: int = 0, rows: Sequence[Row] | None = None) -> LabelSet:
    """A Broden set of 32 x 32 images with a label grid of 16 x 16."""
    rows = random_rows(images, seed) if rows is None else rows
    columns = ["color", "scene", "object", "part"]
    return LabelSet.open(write_broden(root, LABELS, rows, categories=CATEGORIES, columns=columns, side=SIZE))
