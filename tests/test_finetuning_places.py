"""Where masks can stand: behind norm, activation and bypass, in networks that everybody uses and in odd ones."""

from functools import cache

import pytest
import torch
from reference.bypass import goes_around
from torch import Tensor, nn
from torch.nn import functional

from interpkit.errors import InterpkitError, ModelError, UnknownNameError
from interpkit.finetuning._paths import paths
from interpkit.finetuning._places import Place, place
from interpkit.models import LoadedModel, load_model

# What is chosen where no layer is named.
DEFAULTS = {
    "torchvision:vgg16": ("features.29", 512, 14),
    "torchvision:alexnet": ("features.11", 256, 13),
    "torchvision:resnet18": ("layer3", 256, 14),
    "torchvision:resnet50": ("layer3", 1024, 14),
    "torchvision:densenet121": ("features.transition3.relu", 1024, 14),
    "torchvision:mobilenet_v2": ("features.13", 96, 14),
    "torchvision:mobilenet_v3_small": ("features.8", 48, 14),
    "torchvision:efficientnet_b0": ("features.5", 112, 14),
    "torchvision:convnext_tiny": ("features.5", 384, 14),
    "torchvision:squeezenet1_1": ("features", 512, 13),
    "lite:efficientnet-lite0": ("_blocks.10", 112, 14),
}

NAMED = [
    ("torchvision:resnet18", "conv1", "relu", "behind its BatchNorm2d and ReLU"),
    ("torchvision:resnet18", "bn1", "relu", "behind its ReLU"),
    ("torchvision:resnet18", "relu", "relu", "nothing goes around it"),
    ("torchvision:resnet18", "layer3.0", "layer3.0", "nothing goes around it"),
    ("torchvision:resnet18", "layer3.1", "layer3.1", "nothing goes around it"),
    ("torchvision:resnet18", "layer3.0.conv1", "layer3", "a residual block: masked after layer3, behind the addition"),
    ("torchvision:resnet18", "layer3.0.downsample.0", "layer3", "behind the addition and its activation"),
    ("torchvision:resnet18", "layer4.1.bn2", "layer4", "behind the addition and its activation"),
    ("torchvision:resnet18", "layer3.1.relu#2", "layer3", "nothing goes around it"),
    ("torchvision:alexnet", "features.8", "features.9", "behind its ReLU"),
    ("torchvision:densenet121", "features.denseblock3.denselayer2.conv1", "features.transition3.relu", "several ways"),
    ("torchvision:densenet121", "features.denseblock4", "features", "behind its BatchNorm2d"),
    ("torchvision:mobilenet_v2", "features.14.conv.0.0", "features.14.conv.0", "behind its BatchNorm2d and ReLU6"),
    ("torchvision:mobilenet_v2", "features.17.conv.2", "features.17", "behind its BatchNorm2d"),
    ("torchvision:mobilenet_v2", "features.15.conv.1.0", "features.16", "behind the addition"),
    ("torchvision:mobilenet_v3_small", "features.9.block.1.0", "features.9.block.1", "BatchNorm2d and Hardswish"),
    ("torchvision:efficientnet_b0", "features.5.1.block.0.0", "features.5", "behind the addition"),
    ("torchvision:convnext_tiny", "features.5.3.block.0", "features.5", "behind the addition"),
    ("torchvision:squeezenet1_1", "features.12.expand3x3", "features", "where they have met"),
    ("lite:efficientnet-lite0", "_blocks.10._depthwise_conv", "_blocks.10", "behind the addition"),
    ("lite:efficientnet-lite0", "_blocks.8._expand_conv", "_blocks.8._bn0", "behind its BatchNorm2d and ReLU6"),
]

REFUSED = [
    ("torchvision:resnet18", "fc", "no maps, but 1000 an image; the nearest that can is 'layer4'"),
    ("torchvision:resnet18", "avgpool", "its maps of 1 x 1 are too small, part masks need 3 cells; the nearest"),
    ("torchvision:resnet18", "layer3.1.relu", "runs 2 times in one forward pass"),
    ("torchvision:resnet18", "layer5", "no layer 'layer5'"),
    ("torchvision:squeezenet1_1", "classifier.1", "it makes the network's outputs; the nearest that can is 'features'"),
    ("torchvision:mobilenet_v3_small", "features.9.block.2.fc1", "too small"),
]


@cache
def network(spec: str, size: int | None = None) -> LoadedModel:
    if spec.startswith("lite:"):
        pytest.importorskip("efficientnet_lite_pytorch", reason="the extra `zoo` is not installed")
    return load_model(f"{spec}@random", size=size)


def loaded(net: nn.Module, size: int = 32) -> LoadedModel:
    return load_model(net.eval(), size=size)


@pytest.mark.parametrize("spec", DEFAULTS)
def test_the_default_is_the_last_fine_place_between_stages(spec):
    found = place(network(spec))
    layer, units, side = DEFAULTS[spec]
    assert (found.layer, found.units, found.size) == (layer, units, (side, side))
    assert found.words.startswith(layer)


@pytest.mark.parametrize(("spec", "asked", "layer", "words"), NAMED)
def test_a_named_layer_is_masked_where_it_can_be(spec, asked, layer, words):
    found = place(network(spec), asked)
    assert found.layer == layer
    assert words in found.words


@pytest.mark.parametrize(("spec", "asked", "words"), REFUSED)
def test_what_cannot_be_masked_is_refused_in_one_line(spec, asked, words):
    with pytest.raises(InterpkitError) as error:
        place(network(spec), asked)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_padding_is_no_place():
    # At 128 pixels a padded map is larger than the stride says.
    assert place(network("lite:efficientnet-lite0", 128)).layer == "_blocks.10"


class Odd(nn.Module):
    """Everything that makes a way hard to follow: halves, in-place operations, a reused activation, a dead branch."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.left, self.right = nn.Conv2d(4, 4, 3, padding=1), nn.Identity()
        self.joined = nn.Conv2d(8, 8, 3, padding=1)
        self.dead = nn.Conv2d(8, 8, 1)
        self.gate = nn.Conv2d(8, 8, 1)
        self.late = nn.Conv2d(8, 6, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 4)

    def forward(self, images: Tensor) -> Tensor:
        first, second = self.relu(self.stem(images)).chunk(2, 1)
        maps = self.joined(torch.cat([self.left(first), self.right(second)], 1))
        self.dead(maps)
        maps = maps * torch.sigmoid(self.gate(maps))
        maps = self.relu(self.norm(self.late(maps)))
        maps += 1
        return self.head(functional.relu(maps, inplace=True).mean((2, 3)))


class Residual(nn.Module):
    """A residual addition written in place, without a module of its own, up to the pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.inner = nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, 4)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.stem(images)
        out = self.inner(maps)
        out += maps
        return self.head(out.mean((2, 3)))


class OwnPooling(nn.Module):
    """A skip that goes around the last maps altogether."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 6, 3, padding=1)
        self.head = nn.Linear(9, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(torch.cat([images.mean((2, 3)), self.body(images).mean((2, 3))], 1))


class WithoutGradients(nn.Module):
    """Computes under no_grad, as some wrappers for inference do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 6, 3)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return self.body(images).mean((2, 3))


@pytest.mark.parametrize("spec", [Odd, Residual, "torchvision:resnet18", "torchvision:mobilenet_v3_small"])
def test_the_chain_is_what_nothing_goes_around(spec):
    model = network(spec, 32) if isinstance(spec, str) else loaded(spec())
    seen = paths(model)
    images = torch.rand(1, 3, *model.preprocessing.size)
    once = [run for run in seen.runs if seen.times(run.name) == 1 and run.gave in seen.leading and run.cells]
    assert len(once) >= 2
    # Every third of a large network's modules, the last of them among these.
    for run in once[:: -3 if len(once) > 20 else -1]:
        assert (run.gave not in seen.chain) == goes_around(model.module, run.name, images), run.name


def test_a_reused_activation_has_no_name_of_its_own():
    found = place(loaded(Odd()))
    assert found.layer == "norm"
    assert place(loaded(Odd()), "late").layer == "norm"


def test_a_branch_that_leads_nowhere_is_refused():
    with pytest.raises(ModelError, match="does not depend on it"):
        place(loaded(Odd()), "dead")


def test_a_half_is_bypassed_by_the_other():
    for name in ("left", "right"):
        assert place(loaded(Odd()), name).layer == "joined"


def test_a_bypass_that_ends_without_a_module_is_refused():
    assert place(loaded(Residual())).layer == "stem"
    with pytest.raises(ModelError, match=r"something goes around it.*; the nearest that can is 'stem'"):
        place(loaded(Residual()), "inner")


def test_a_network_without_any_place_is_refused():
    with pytest.raises(ModelError, match="no layer that can be masked"):
        place(loaded(OwnPooling()))


def test_a_network_without_gradients_is_refused():
    with pytest.raises(ModelError, match="computes without gradients"):
        place(loaded(WithoutGradients()))


def test_stages_that_lie_deeper_than_the_stem_are_found():
    def stage(units: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(units, 2 * units, 3, stride=4, padding=1), nn.BatchNorm2d(2 * units), nn.SiLU())

    stages = nn.Sequential(stage(4), stage(8), nn.AdaptiveAvgPool2d(1))
    net = nn.ModuleDict({"stem": nn.Conv2d(3, 4, 3, padding=1), "stages": stages, "fc": nn.Linear(16, 3)})
    model = loaded(nn.Sequential(net["stem"], net["stages"], nn.Flatten(), net["fc"]), 64)
    # The stem is further out, but finer than need be.
    assert (place(model).layer, place(model).size) == ("1.1", (4, 4))


def test_small_maps_still_have_a_last_place():
    coarse = nn.Sequential(nn.Conv2d(3, 5, 8, stride=8), nn.ReLU(), nn.Conv2d(5, 6, 4, stride=4), nn.Flatten())
    model = loaded(nn.Sequential(coarse, nn.Linear(6 * 4, 3)), 64)
    assert place(model) == Place("0.1", place(model).words, 5, (8, 8))
    assert place(loaded(nn.Sequential(nn.Conv2d(3, 5, 32, stride=32), nn.Flatten(), nn.Linear(20, 3)), 64)).layer == "0"


def test_the_network_is_left_as_it_was():
    net = Odd().train()
    net.norm.eval()
    net.stem.weight.requires_grad_(requires_grad=False)
    flags = [module.training for module in net.modules()]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    draws = torch.get_rng_state()
    place(load_model(net, size=32))
    assert [module.training for module in net.modules()] == flags
    assert [p.requires_grad for p in net.parameters()].count(False) == 1
    assert not any(p.grad is not None for p in net.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert torch.equal(draws, torch.get_rng_state())


def test_an_unknown_layer_lists_the_nearest():
    with pytest.raises(UnknownNameError, match="joined"):
        place(loaded(Odd()), "joint")
