"""Receptive fields, against published geometry, against gradients, and for networks made to be difficult."""

import json
import warnings

import pytest
import torch
from reference.gradient_fields import gradient_field
from torch import Tensor, nn
from torch.nn import functional

from interpkit.errors import UnknownNameError
from interpkit.geometry import Field, receptive_fields
from interpkit.geometry.measuring import BLIND, GLOBAL, UNEVEN
from interpkit.models import load_model

KNOWN = {
    "alexnet": ("features.10", 163, 16, 15),
    "vgg16": ("features.28", 196, 16, 7.5),
    "resnet18": ("layer4", 435, 32, 0),
    "googlenet": ("inception5b", 379, 32, 22),
    "inception_v3": ("Mixed_7c", 1311, 32, 37),
    "convnext_tiny": ("features.7", 1688, 32, 15.5),
    "efficientnet_b0": ("features", 851, 32, 0),
    "mobilenet_v3_large": ("features", 595, 32, 0),
}


def square(size: int, stride: float, centre: float) -> Field:
    return Field((size, size), (stride, stride), (centre, centre))


def fields(model, *layers, tmp_path, size=32):
    return receptive_fields(load_model(model, size=size), layers, cache=tmp_path)


@pytest.mark.parametrize("name", KNOWN)
def test_known_networks(name, tmp_path):
    layer, size, stride, centre = KNOWN[name]
    loaded = load_model(f"torchvision:{name}@random")
    assert receptive_fields(loaded, [layer], cache=tmp_path) == {layer: square(size, stride, centre)}


def test_efficientnet_lite(lite0, tmp_path):
    known = {
        "_conv_stem": square(3, 2, 1),
        "_blocks.2": square(19, 4, 3),
        "_blocks.4": square(67, 8, 7),
        "_blocks.10": square(339, 16, 15),
        "_bn1": square(851, 32, 31),
    }
    assert receptive_fields(lite0, list(known), cache=tmp_path) == known


class Mixed(nn.Module):
    """Uneven kernels, padding on one side, dilation, ceil-mode pooling, branches, a ReLU in place used three times."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, (3, 5), stride=2, padding=(0, 2))
        self.relu = nn.ReLU(inplace=True)
        self.wide = nn.Conv2d(8, 8, 3, dilation=2, padding=2)
        self.narrow = nn.Conv2d(8, 8, 1)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.last = nn.Conv2d(16, 8, (1, 7), padding=(0, 3))
        self.head = nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.relu(self.first(functional.pad(images, (0, 1, 0, 1))))
        maps = self.pool(torch.cat([self.relu(self.wide(maps)), self.relu(self.narrow(maps))], 1))
        return self.head(self.last(maps).mean((2, 3)))


@pytest.fixture
def mixed() -> Mixed:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Mixed().eval()


@pytest.mark.parametrize("layer", ["first", "wide", "narrow", "pool", "last"])
def test_equals_the_gradient(mixed, layer, tmp_path):
    field = fields(mixed, layer, tmp_path=tmp_path)[layer]
    size, rest = gradient_field(mixed, layer, shape=(96, 96))
    assert (list(field.size), [*field.stride, *field.centre]) == (size, rest)


def test_equals_the_gradient_on_resnet(tmp_path):
    loaded = load_model("torchvision:resnet18@random")
    layers = ["conv1", "maxpool", "layer1.0.relu#2", "layer2.0.downsample", "layer2"]
    found = receptive_fields(loaded, layers, cache=tmp_path)
    assert found["layer1.0.relu#2"] == square(27, 4, 0)
    for layer in ("conv1", "maxpool", "layer2.0.downsample", "layer2"):
        size, rest = gradient_field(loaded.module, layer, shape=(224, 224))
        assert (list(found[layer].size), [*found[layer].stride, *found[layer].centre]) == (size, rest)


ACTIVATIONS = (
    "ReLU ReLU6 Hardswish Hardsigmoid Hardtanh SiLU GELU Mish ELU SELU LeakyReLU PReLU Sigmoid Tanh Softplus Softsign "
    "CELU LogSigmoid"
).split()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_no_activation_stops_the_poison(activation, tmp_path):
    # 18 units: vectorised kernels and their scalar remainder both run.
    act = getattr(nn, activation)()
    net = nn.Sequential(nn.Conv2d(3, 18, 3, padding=1), act, nn.MaxPool2d(2), nn.Conv2d(18, 4, 3, padding=1))
    assert fields(net, "3", tmp_path=tmp_path) == {"3": square(8, 2, 0.5)}


class Gated(nn.Module):
    """Squeeze-excitation in every way in which people write the squeeze."""

    def __init__(self, squeeze) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.squeeze = squeeze

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        return maps * torch.sigmoid(self.squeeze(maps))


SQUEEZES = {
    "adaptive": lambda maps: functional.adaptive_avg_pool2d(maps, 1),
    "adaptive max": lambda maps: functional.adaptive_max_pool2d(maps, 1),
    "mean": lambda maps: maps.mean((2, 3), keepdim=True),
    "mean of -1, -2": lambda maps: maps.mean(dim=[-1, -2], keepdim=True),
    "amax": lambda maps: torch.amax(maps, dim=(2, 3), keepdim=True),
    "flattened": lambda maps: maps.flatten(2).mean(-1)[:, :, None, None],
    "one axis": lambda maps: maps.mean(3, keepdim=True) + maps.mean(2, keepdim=True),
    "pooled": lambda maps: functional.avg_pool2d(maps, maps.shape[2:]),
    "max": lambda maps: maps.flatten(2).max(2).values[:, :, None, None],
    "std": lambda maps: torch.std(maps, (2, 3), keepdim=True),
    "norm": lambda maps: maps.norm(2, (2, 3), keepdim=True),
    "channels last": lambda maps: maps.permute(0, 2, 3, 1).norm(p=2, dim=(1, 2))[:, :, None, None],
    "everything": lambda maps: maps.mean(),
}


@pytest.mark.parametrize("squeeze", SQUEEZES)
def test_global_reductions_do_not_count(squeeze, tmp_path):
    net = nn.Sequential(Gated(SQUEEZES[squeeze]), nn.Conv2d(4, 2, 3))
    assert fields(net, "0", "1", tmp_path=tmp_path) == {"0": square(3, 1, 0), "1": square(5, 1, 1)}


NORMS = [nn.GroupNorm(2, 4), nn.InstanceNorm2d(4), nn.BatchNorm2d(4, track_running_stats=False)]


@pytest.mark.parametrize("norm", NORMS, ids=lambda norm: type(norm).__name__)
def test_statistics_of_normalisations_do_not_count(norm, tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), norm, nn.Conv2d(4, 2, 3))
    assert fields(net, "2", tmp_path=tmp_path) == {"2": square(5, 1, 1)}


class Attention(nn.Module):
    """Every cell looks at every other."""

    def forward(self, maps: Tensor) -> Tensor:
        cells = maps.flatten(2)
        return (cells @ torch.softmax(cells.transpose(1, 2) @ cells, -1)).view_as(maps)


def test_reasons(tmp_path):
    body = nn.Conv2d(3, 4, 3, stride=8), Attention(), nn.AdaptiveAvgPool2d(2), nn.Conv2d(4, 4, 1)
    net = nn.Sequential(*body, nn.Flatten(), nn.Linear(16, 2))
    found = fields(net, "0", "1", "2", "3", "5", tmp_path=tmp_path)
    assert found["0"] == square(3, 8, 1)
    assert found["1"] == GLOBAL
    assert found["2"] == found["3"] == BLIND
    assert "no map" in found["5"]


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 4, 4, stride=4)
        self.up = nn.Upsample(scale_factor=2)
        self.thirds = nn.Conv2d(3, 4, 3, stride=3)

    def forward(self, images: Tensor) -> Tensor:
        self.thirds(images)
        return self.up(self.down(images))


def test_alternating_fields_are_averaged_and_stride_three(tmp_path):
    found = fields(Decoder(), "down", "up", "thirds", tmp_path=tmp_path, size=36)
    assert found["down"] == square(4, 4, 1.5)
    # Cells 2k and 2k + 1 both see pixels 4k .. 4k + 3: on average, cell i looks at 2 i + 0.5.
    assert found["up"] == square(4, 2, 0.5)
    assert found["thirds"] == square(3, 3, 1)


class Warp(nn.Module):
    """Cells lie closer together towards the bottom."""

    def forward(self, maps: Tensor) -> Tensor:
        rows = torch.arange(maps.shape[2]) ** 2 // maps.shape[2]
        return maps[:, :, rows]


def test_fields_that_do_not_repeat_are_refused(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), Warp())
    assert fields(net, "0", "1", tmp_path=tmp_path) == {"0": square(3, 1, 0), "1": UNEVEN}


def test_small_grey_network_with_a_fixed_head(tmp_path):
    body = nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 5)
    net = nn.Sequential(*body, nn.Flatten(), nn.Linear(800, 10))
    found = fields(net, "0", "2", "3", "5", tmp_path=tmp_path)
    assert found["0"] == square(5, 1, 2)
    assert found["2"] == square(6, 2, 2.5)
    assert found["3"] == square(14, 2, 6.5)
    assert isinstance(found["5"], str)


def test_the_model_is_left_as_found(mixed, tmp_path):
    mixed.train()
    mixed.wide.eval()
    mixed.first.weight.requires_grad = False
    hook = mixed.pool.register_forward_hook(lambda *_: None)
    before = {name: tensor.clone() for name, tensor in mixed.state_dict().items()}
    flags = [module.training for module in mixed.modules()]
    random_state = torch.get_rng_state()
    fields(mixed, "last", tmp_path=tmp_path)
    assert all(torch.equal(before[name], tensor) for name, tensor in mixed.state_dict().items())
    assert [module.training for module in mixed.modules()] == flags
    assert [len(module._forward_hooks) for module in mixed.modules() if module._forward_hooks] == [1]
    assert torch.equal(torch.get_rng_state(), random_state)
    assert [p.requires_grad for p in mixed.parameters()] == [False] + [True] * (len(list(mixed.parameters())) - 1)
    assert all(p.grad is None and p.dtype == torch.float32 for p in mixed.parameters())
    hook.remove()


def test_unknown_and_reused_layers(mixed, tmp_path):
    with pytest.raises(UnknownNameError, match="nearest: wide"):
        fields(mixed, "wid", tmp_path=tmp_path)
    with pytest.raises(UnknownNameError, match="relu#1"):
        fields(mixed, "relu", tmp_path=tmp_path)


def test_the_cache_is_read_and_keyed_by_weights_and_structure(mixed, tmp_path):
    fields(mixed, "first", tmp_path=tmp_path)
    (file,) = tmp_path.rglob("*.json")
    kept = json.loads(file.read_text())
    kept["first"]["size"] = [7, 7]
    file.write_text(json.dumps(kept))
    assert fields(mixed, "first", tmp_path=tmp_path)["first"].size == (7, 7)
    assert fields(mixed, "first", "wide", tmp_path=tmp_path)["wide"].size == (11, 13)
    mixed.first.stride = (1, 1)
    assert fields(mixed, "first", tmp_path=tmp_path)["first"].stride == (1, 1)
    with torch.no_grad():
        mixed.first.weight += 1
    fields(mixed, "first", tmp_path=tmp_path)
    assert len(list(tmp_path.rglob("*.json"))) == 3
    assert not list(tmp_path.rglob("*.part"))


def test_a_damaged_or_unwritable_cache_only_costs_time(mixed, tmp_path):
    first = fields(mixed, "first", tmp_path=tmp_path)
    (file,) = tmp_path.rglob("*.json")
    for damage in ("", "{", "[1]", '{"first": {"size": 3}}'):
        file.write_text(damage)
        assert fields(mixed, "first", tmp_path=tmp_path) == first
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert fields(mixed, "first", tmp_path=blocked) == first


class Frozen(nn.Module):
    """Operations whose geometry has to be read from a graph."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, (3, 5), stride=2, padding=(1, 2))
        self.same = nn.Conv2d(8, 8, (3, 5), padding="same")
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.mean = nn.AvgPool2d(2)
        self.norm = nn.LayerNorm(8)
        self.side = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
        self.last = nn.Conv2d(16, 8, 1)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.relu(self.same(self.relu(self.stem(functional.pad(images, (1, 2, 3, 0))))))
        maps = self.norm(self.pool(maps).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        maps = maps * torch.sigmoid(maps.mean((2, 3), keepdim=True))
        maps = torch.cat([maps, self.side(maps)], 1)
        return self.head(functional.adaptive_avg_pool2d(self.last(self.mean(maps[:, :, 1::2, 1:])), 1).flatten(1))


def test_an_exported_network_has_the_fields_of_the_network_it_was(tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = Frozen().eval()
    layers = ["stem", "relu#1", "same", "relu#2", "pool", "side", "mean", "last", "head"]
    measured = fields(net, *layers, tmp_path=tmp_path, size=64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(net, (torch.zeros(2, 3, 64, 64),)), tmp_path / "net.pt2")
        frozen = load_model(tmp_path / "net.pt2")
        assert frozen.form == "export"
        read = receptive_fields(frozen, layers, cache=tmp_path)
    assert read == measured
    assert isinstance(read["last"], Field)
    assert isinstance(read["head"], str)
