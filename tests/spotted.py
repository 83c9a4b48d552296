"""Images of an object with a red head and a green tail, and a network that sees colours: what graphs are fitted to."""

from pathlib import Path

import numpy as np
import pytest
import torch
from labels_on_disk import write_csv
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from interpkit.graph import _fit, fit_graph
from interpkit.graph._found import Patterns
from interpkit.labels import LabelSet
from interpkit.models import load_model
from interpkit.probe import Probe
from interpkit.results import ExplanatoryGraph

SIDE = 48
# Where head and tail lie from the object's middle, rows and columns, and how wide they are.
HEAD, TAIL, WIDTH = (-6, -9), (5, 8), 2.5
LAYERS = ("low", "high")


class Colours(nn.Module):
    """`low` 6 x 24 x 24 and `high` 5 x 12 x 12, rectified; unit 4 of `low` and unit 3 of `high` are dead.

    A black image gives maps of zeros.
    """

    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU())
        self.high = nn.Sequential(nn.Conv2d(6, 5, 3, stride=2, padding=1), nn.ReLU())
        self.head = nn.Linear(5, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.high(self.low(images)).mean((2, 3)))


def colours() -> Colours:
    """Units of `low` see red, green, blue, all, nothing, red and green; those of `high` the same but blue."""
    seen = [(1, -1, -1), (-1, 1, -1), (-1, -1, 1), (0.5, 0.5, 0.5), (0, 0, 0), (1, 1, -2)]
    mixed = [(1, 0, 0, 0, 0, 0), (0, 1, 0, 0, 0, 0), (0, 0, 0, 1, 0, 0), (0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 1)]
    bell = torch.tensor([0.25, 0.5, 0.25])
    net = Colours()
    with torch.no_grad():
        for layer, weights in ((net.low, seen), (net.high, mixed)):
            layer[0].weight.copy_(torch.tensor(weights)[:, :, None, None] * bell[:, None] * bell)
            layer[0].bias.fill_(-0.05)
        net.head.weight.fill_(1)
        net.head.bias.fill_(0)
    return net.eval()


def probe(layers: tuple[str, ...] = LAYERS, net: nn.Module | None = None) -> Probe:
    return Probe(load_model(colours() if net is None else net, size=SIDE, mean=[0, 0, 0], std=[1, 1, 1]), layers)


def picture(middle: NDArray[np.float64], *, size: tuple[int, int] = (SIDE, SIDE), seed: int = 0) -> NDArray[np.uint8]:
    """(H, W, 3) the object around a middle (row, column), in pixels of a SIDE x SIDE image, with two false spots."""
    rng = np.random.default_rng(seed)
    scale = np.array(size) / SIDE
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in size), indexing="ij"), -1)
    pixels = rng.uniform(0, 40, (*size, 3))
    spots = [(middle + HEAD, 0), (middle + TAIL, 1), *((rng.uniform(0, SIDE, 2), colour) for colour in (0, 1))]
    for number, (at, colour) in enumerate(spots):
        away = (grid - ((at + 0.5) * scale - 0.5)) / scale
        pixels[..., colour] += (200 if number < 2 else 120) * np.exp(-(away**2).sum(-1) / (2 * WIDTH**2))
    return pixels.clip(0, 255).astype(np.uint8)


def spotted(
    root: Path,
    *,
    images: int = 30,
    others: int = 12,
    mirrored: int = 0,
    size: tuple[int, int] = (SIDE, SIDE),
    classes: bool = True,
) -> LabelSet:
    """Images of class `beast` and ``others`` of class `blank`, with the landmarks head and tail.

    The last ``mirrored`` beasts look the other way.
    """
    rng = np.random.default_rng(4)
    rows = []
    for i in range(images + others):
        name = f"{i:02d}.png"
        middle = rng.uniform(16, 32, 2)
        pixels = picture(middle, size=size, seed=i)
        turned = images - mirrored <= i < images
        cells = [(np.array(middle + part) + 0.5) * np.array(size) / SIDE - 0.5 for part in (HEAD, TAIL)]
        if turned:
            pixels = pixels[:, ::-1]
            cells = [np.array([row, size[1] - 1 - column]) for row, column in cells]
        save(root / "images" / name, pixels)
        named = ["beast" if i < images else "blank"] if classes else []
        rows.append([name, *named, *(round(float(value), 3) for cell in cells for value in cell)])
    header = ["image", *(["class"] if classes else []), "head_row", "head_col", "tail_row", "tail_col"]
    write_csv(root / "landmarks.csv", header, rows)
    return LabelSet.open(root)


def save(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)


def watched(labels: LabelSet, options: dict[str, object]) -> tuple[ExplanatoryGraph, dict[str, list[Patterns]]]:
    """A graph of these images, and where whose nodes are."""
    kept: dict[str, list[Patterns]] = {}
    with pytest.MonkeyPatch.context() as patch:
        judged = _fit.evaluate
        patch.setattr(_fit, "evaluate", lambda found, *a, **k: kept.update(found) or judged(found, *a, **k))
        return fit_graph(probe(), labels, **options), kept
