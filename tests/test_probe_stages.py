"""Layers that stand for a network's last stages, and the order in which layers finish."""

import pytest
from networks import tiny
from small_networks import probe
from torch import Tensor, nn

from interpkit.errors import ModelError
from interpkit.models import load_model
from interpkit.probe import Probe, finishing, stage_layers

STAGES = {
    "vgg16": ["features.20", "features.22", "features.27", "features.29"],
    "resnet18": ["layer3.0", "layer3.1", "layer4.0", "layer4.1"],
    "resnet50": ["layer3.4", "layer3.5", "layer4.1", "layer4.2"],
    "alexnet": ["features.4", "features.9", "features.11"],
    "densenet121": ["features.transition3.relu", "features.norm5"],
    "mobilenet_v2": ["features.12", "features.13", "features.16", "features.17"],
    "mobilenet_v3_small": ["features.7", "features.8", "features.10", "features.11"],
    "efficientnet_b0": ["features.4", "features.5", "features.6", "features.7"],
    "convnext_tiny": ["features.5.7", "features.5.8", "features.7.1", "features.7.2"],
    "squeezenet1_1": ["features.6", "features.7", "features.11", "features.12"],
    "googlenet": ["inception4d", "inception4e", "inception5a", "inception5b"],
}


@pytest.mark.parametrize("name", STAGES)
def test_the_last_blocks_of_the_last_two_sizes(name):
    assert list(stage_layers(load_model(f"torchvision:{name}@random"))) == STAGES[name]


def test_efficientnet_lite(lite0):
    assert stage_layers(lite0) == ("_blocks.9", "_blocks.10", "_blocks.14", "_blocks.15")


def chain(*modules: nn.Module, size: int = 16) -> tuple[str, ...]:
    return stage_layers(load_model(nn.Sequential(*modules), size=size))


def conv(inside: int, outside: int, *, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, 3, stride=stride, padding=1)


def test_two_convolutions_are_enough():
    assert chain(conv(3, 4), nn.ReLU(), conv(4, 5), nn.ReLU()) == ("1", "3")
    assert chain(conv(3, 4, stride=2), conv(4, 5, stride=2)) == ("0", "1")
    assert chain(conv(3, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), conv(4, 5), nn.Flatten()) == ("2", "4")


def test_of_one_size_the_last_four():
    assert chain(*(conv(3, 3) for _ in range(6))) == ("2", "3", "4", "5")


def test_small_maps_do_not_count():
    # 16, 8, 4, 2, 1 cells a side
    convolutions = [conv(3, 3, stride=2) for _ in range(4)]
    assert chain(*convolutions) == ("0", "1")
    assert chain(*convolutions, size=64) == ("2", "3")


def test_an_activation_that_is_shared():
    assert stage_layers(load_model(tiny(), size=16)) == ("act#1", "act#2")


class Wrapped(nn.Module):
    """A network that holds another one, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Two()

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)


class Two(nn.Module):
    """Two convolutions of two sizes, in no container that is known as such."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = conv(3, 4), conv(4, 5, stride=2)

    def forward(self, images: Tensor) -> Tensor:
        return self.two(self.one(images))


def test_what_comes_alone_is_opened():
    assert stage_layers(load_model(Wrapped(), size=16)) == ("net.one", "net.two")


def test_too_few_layers():
    with pytest.raises(ModelError, match=r"has one layer, 0, that gives maps .* 3 x 3 cells or more"):
        chain(conv(3, 4), nn.Flatten())
    with pytest.raises(ModelError, match="has no layer that gives maps"):
        chain(nn.Flatten(), nn.Linear(768, 2))


def test_layers_finish_in_the_order_of_the_network():
    assert finishing(probe(("norm", "early"))) == ("early", "norm")
    looked = Probe(load_model(tiny(), size=16), ["act#2", "stem", "act#1", "body"])
    assert finishing(looked) == ("stem", "act#1", "body", "act#2")
