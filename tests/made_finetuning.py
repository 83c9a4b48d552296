"""Networks and label sets that a test can train in a second, and trainings that are cut off."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from class_sets import coloured, folder_set
from labels_on_disk import write_csv
from PIL import Image
from torch import Tensor, nn

from interpkit.finetuning import finetune
from interpkit.finetuning._train import Trainer
from interpkit.labels import LabelSet
from interpkit.models import LoadedModel, load_model
from interpkit.results import FineTuning

SIZE = 16
# Fast, and long enough for a gate to open: images of three colours tell themselves apart soon.
SHORT: dict[str, Any] = {"layer": "stage1", "epochs": 3, "batch_size": 8, "rate": 0.01, "head_rate": 1.0, "threads": 1}


class Net(nn.Module):
    """Two stages and a head, for 16 x 16 images: 6 maps of 8 x 8, then 8 maps of 4 x 4; batch norm on request."""

    def __init__(self, *, norm: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.stage1 = self._stage(3, 6, norm=norm)
        self.stage2 = self._stage(6, 8, norm=norm)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(8, 5)

    def _stage(self, took: int, gives: int, *, norm: bool) -> nn.Sequential:
        between = [nn.BatchNorm2d(gives)] if norm else []
        return nn.Sequential(nn.Conv2d(took, gives, 3, stride=2, padding=1), *between, nn.ReLU(inplace=True))

    def forward(self, images: Tensor) -> Tensor:
        """Class scores."""
        return self.head(self.drop(self.stage2(self.stage1(images)).mean((2, 3))))


def drawn(net: nn.Module, seed: int = 0) -> nn.Module:
    """The network with weights from a seed, and statistics that are not those of a new batch norm."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
        for child in net.modules():
            if isinstance(child, nn.BatchNorm2d):
                child.running_mean.copy_(torch.randn(child.num_features, generator=generator) * 0.1)
                child.running_var.copy_(torch.rand(child.num_features, generator=generator) + 0.5)
    return net.eval()


def net(*, norm: bool = True, dropout: float = 0.0, seed: int = 0) -> Net:
    made = drawn(Net(norm=norm, dropout=dropout), seed)
    assert isinstance(made, Net)
    return made


def net_without_norm() -> Net:
    """For ``python:made_finetuning:net_without_norm``."""
    return net(norm=False)


def loaded(network: nn.Module | None = None) -> LoadedModel:
    return load_model(net() if network is None else network, size=SIZE)


def colours(root: Path, *, images: int = 12) -> LabelSet:
    """``images`` of each of three colours; PNG, 16 x 16."""
    return LabelSet.open(folder_set(root, dict.fromkeys(("blue", "green", "red"), images)))


def several(root: Path, *, images: int = 40) -> LabelSet:
    """Images of one or several of three colours, in classes.csv."""
    rows = []
    for i in range(images):
        names = ["red", "green+blue", "blue", "red+blue"][i % 4]
        coloured(root / "images" / f"{i:02d}.png", names, size=(SIZE, SIZE), seed=i)
        rows += [[f"{i:02d}.png", name] for name in names.split("+")]
    write_csv(root / "classes.csv", ["image", "class"], rows)
    return LabelSet.open(root)


def digits(root: Path) -> LabelSet:
    """The 1,797 digits of scikit-learn as an image folder: 8 x 8, 0 to 16 spread over 0 to 255."""
    from sklearn.datasets import load_digits

    data = load_digits()
    for i, (image, name) in enumerate(zip(data.images, data.target, strict=True)):
        path = root / str(name) / f"{i:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 255 / 16).round().astype(np.uint8)).save(path)
    return LabelSet.open(root)


class DigitsNet(nn.Module):
    """Three convolutions with batch norms, pooling and a linear head, for digits."""

    def __init__(self) -> None:
        super().__init__()
        self.first = self._block(1, 16)
        self.second = nn.Sequential(*self._block(16, 32), nn.MaxPool2d(2))
        self.third = self._block(32, 32)
        self.head = nn.Linear(32, 10)

    def _block(self, took: int, gives: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(took, gives, 3, padding=1), nn.BatchNorm2d(gives), nn.ReLU())

    def forward(self, images: Tensor) -> Tensor:
        """Class scores."""
        return self.head(self.third(self.second(self.first(images))).mean((2, 3)))


def digits_net(seed: int = 0) -> DigitsNet:
    """As torch initialises it, the same for one seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return DigitsNet()


def weights(folder: Path) -> dict[str, Tensor]:
    """Every tensor of a trained network."""
    from safetensors.torch import load_file

    return load_file(folder / "weights.safetensors")


def same_weights(one: Path, other: Path) -> bool:
    """Whether two trained networks are equal bit for bit."""
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


class CutOffError(Exception):
    """A training is cut off here."""


@contextmanager
def cut_off(step: int) -> Iterator[None]:
    """Trainings are cut off in their step ``step``, from 0: gradients are there, weights have not moved yet."""
    whole = Trainer._move
    done = iter(range(1 << 30))

    def move(self: Trainer, epoch: int, *, share: float) -> None:
        if next(done) == step:
            raise CutOffError
        whole(self, epoch, share=share)

    Trainer._move = move  # type: ignore[method-assign]
    try:
        yield
    finally:
        Trainer._move = whole  # type: ignore[method-assign]


def trained(labels: LabelSet, out: Path, *, network: nn.Module | None = None, **changes: Any) -> FineTuning:
    return finetune(loaded(network), labels, out, **{**SHORT, **changes})
