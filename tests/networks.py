"""Small networks for the command line's tests, found there as python:networks:NAME."""

import torch
from torch import nn


class Tiny(nn.Module):
    """Two convolutions and a head, for 16 x 16 inputs and larger."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.act = nn.ReLU()
        self.body = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.head = nn.Linear(8, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Class scores."""
        maps = self.act(self.body(self.act(self.stem(images))))
        return self.head(maps.mean((2, 3)))


def tiny() -> nn.Module:
    """The same weights every time."""
    state = torch.random.get_rng_state()
    torch.manual_seed(7)
    network = Tiny()
    torch.random.set_rng_state(state)
    return network


def leaky() -> nn.Module:
    """The same weights behind another activation."""
    network = tiny()
    network.act = nn.LeakyReLU()
    return network


class Twins(nn.Module):
    """Two layers whose names differ in characters that no folder name has."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module("a:b", nn.Conv2d(3, 4, 3))
        self.add_module("a b", nn.Conv2d(4, 4, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps of the second."""
        return self.get_submodule("a b")(self.get_submodule("a:b")(images))


def twins() -> nn.Module:
    """A network of two layers."""
    return Twins()


class Broken(Tiny):
    """Gives NaN for bright images."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(torch.where(images > 1.0, torch.nan, images))


def broken() -> nn.Module:
    """A network whose activations are not always finite."""
    return Broken()


class Tokens(nn.Module):
    """A layer in token layout, (N, tokens, U)."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 4, stride=4)
        self.mix = nn.Linear(6, 6)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Token features."""
        return self.mix(self.patches(images).flatten(2).transpose(1, 2))


def tokens() -> nn.Module:
    """A network with a layer that is no map."""
    return Tokens()
