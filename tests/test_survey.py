"""What a network is made of, and which of its layers to look at."""

import warnings
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor, nn

from interpkit.errors import ModelError
from interpkit.models import LoadedModel, import_timm, load_model
from interpkit.probe import LayerInfo, Probe, default_layer, survey

DEFAULTS = {
    "torchvision:resnet18@random": ("layer4", (512, 7, 7)),
    "torchvision:resnet50@random": ("layer4", (2048, 7, 7)),
    "torchvision:alexnet@random": ("features.11", (256, 13, 13)),
    "torchvision:vgg16@random": ("features.29", (512, 14, 14)),
    "torchvision:googlenet@random": ("inception5b", (1024, 7, 7)),
    "torchvision:densenet121@random": ("features", (1024, 7, 7)),
    "torchvision:mobilenet_v3_large@random": ("features", (960, 7, 7)),
    "torchvision:efficientnet_b0@random": ("features", (1280, 7, 7)),
    "torchvision:convnext_tiny@random": ("features", (768, 7, 7)),
    "torchvision:squeezenet1_1@random": ("features", (512, 13, 13)),
    "torchvision:inception_v3@random": ("Mixed_7c", (2048, 8, 8)),
}


@pytest.mark.parametrize("spec", DEFAULTS)
def test_default_layers(spec):
    name, shape = DEFAULTS[spec]
    model = load_model(spec)
    infos = survey(model)
    assert [(info.name, info.shape) for info in infos if info.default] == [(name, shape)]
    assert default_layer(model) == name
    looked = Probe(model)
    assert looked.shapes() == {name: shape}
    size = model.preprocessing.size
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    assert looked(images)[name].shape == (2, *shape)


def test_timm():
    if find_spec("timm") is None:
        pytest.skip("the extra `zoo` is not installed")
    model = load_model(import_timm().create_model("mobilenetv3_small_050", pretrained=False))
    assert default_layer(model) == "blocks"
    assert Probe(model, "blocks.5").shapes() == {"blocks.5": (288, 7, 7)}


def test_efficientnet_lite_and_its_one_relu6(lite0):
    infos = {info.name: info for info in survey(lite0)}
    assert [name for name, info in infos.items() if info.default] == ["_bn1"]
    assert infos["_bn1"] == LayerInfo("_bn1", "BatchNorm2d", (1280, 7, 7), 1, hookable=True, default=True)
    assert "_swish" not in infos
    assert infos["_swish#2"] == LayerInfo("_swish#2", "ReLU6", (1280, 7, 7), 2, hookable=True, default=False)
    assert infos["_blocks.3._swish#1"].shape == (144, 56, 56)
    names = list(infos)
    assert names.index("_swish#1") < names.index("_blocks.0") < names.index("_blocks.15") < names.index("_swish#2")


class Parts(nn.Module):
    """Dead ends, a tuple, tokens, a module used twice, one that does not run, and a layout with channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.act = nn.ReLU()
        self.split = Split()
        self.idle = nn.Conv2d(4, 4, 1)
        self.body = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2), nn.ReLU(), nn.Dropout())
        self.last = Turn()
        self.head = nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.act(self.act(self.stem(images)))
        self.split(maps)
        return self.head(self.last(self.body(maps)).mean((1, 2)))


class Split(nn.Module):
    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return maps.mean((2, 3)), maps, maps.flatten(2)


class Turn(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return maps.permute(0, 2, 3, 1)


def test_a_small_grey_network():
    infos = survey(load_model(Parts(), size=32))
    assert [(info.name, info.shape, info.calls, info.hookable) for info in infos] == [
        ("stem", (4, 32, 32), 1, True),
        ("act#1", (4, 32, 32), 2, True),
        ("act#2", (4, 32, 32), 2, True),
        ("split[0]", (4,), 1, True),
        ("split", (4, 32, 32), 1, True),
        ("split[2]", (4, 1024), 1, False),
        ("body.0", (6, 15, 15), 1, True),
        ("body.1", (6, 15, 15), 1, True),
        ("body.2", (6, 15, 15), 1, True),
        ("body", (6, 15, 15), 1, True),
        ("last", (15, 15, 6), 1, False),
        ("head", (3,), 1, True),
    ]
    assert [info.name for info in infos if info.default] == ["body"]
    assert {info.name: info.type for info in infos}["split"] == "Split"


def chosen(*layers: nn.Module, size: int = 32) -> str:
    return default_layer(load_model(nn.Sequential(*layers), size=size))


CONV = (nn.Conv2d(3, 4, 3), nn.ReLU())
HEAD = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


def test_rules_of_the_default():
    assert chosen(*CONV, *HEAD) == "1"
    assert chosen(*CONV, nn.MaxPool2d(2), nn.Dropout2d(), *HEAD) == "1"
    # A folder that ends in a pooling gives the pooling's map, one that ends in a dropout the map before it.
    assert chosen(nn.Sequential(*CONV, nn.AvgPool2d(2)), *HEAD) == "0.1"
    assert chosen(nn.Sequential(*CONV, nn.Dropout2d()), *HEAD) == "0"
    # A convolution may be the classifier, or the end of a backbone.
    assert chosen(*CONV, nn.Conv2d(4, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()) == "1"
    assert chosen(*CONV, nn.Conv2d(4, 2, 1)) == "2"
    assert chosen(*CONV, nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()) == "3"
    # Nothing but single cells, and nothing but the classifier.
    assert chosen(nn.Conv2d(3, 4, 32), nn.Flatten(), nn.Linear(4, 2)) == "0"
    assert chosen(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)) == "0"
    with pytest.raises(ModelError, match="no layer of Sequential gives maps"):
        chosen(nn.Flatten(), nn.Linear(3072, 2))


def test_an_activation_in_place_does_not_hide_the_layer_before():
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
            self.relu = nn.ReLU(inplace=True)
            self.head = nn.Linear(4, 2)

        def forward(self, images: Tensor) -> Tensor:
            return self.head(self.relu(self.norm(self.relu(self.conv(images)))).mean((2, 3)))

    assert default_layer(load_model(Shared(), size=16)) == "norm"


def test_an_exported_network_shows_its_operators(tmp_path):
    relu = nn.ReLU(inplace=True)
    body = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), relu, nn.MaxPool2d(2))
    net = nn.Sequential(nn.Conv2d(3, 4, 3), relu, body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(net, (torch.zeros(2, 3, 16, 16),)), tmp_path / "net.pt2")
        exported = load_model(tmp_path / "net.pt2")
    ours = survey(load_model(net, size=16))
    theirs = survey(exported)
    assert [i.shape for i in theirs] == [i.shape for i in ours]
    types = {i.name: i.type for i in theirs}
    assert (types["0"], types["2"], types["2.3"]) == ("aten.conv2d", "block", "aten.max_pool2d")
    # An export makes a module of its own for each path on which a shared one is reached.
    assert [i.name for i in ours if i.default] == ["2.1"]
    assert default_layer(exported) == "2.2"


def test_surveys_leave_nothing_behind(lite0):
    net = Parts().train()
    before = torch.get_rng_state()
    survey(load_model(net, size=32))
    assert all(module.training for module in net.modules())
    assert not any(module._forward_hooks for module in net.modules())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_size_that_does_not_fit_is_said():
    model: LoadedModel = load_model(nn.Sequential(nn.Flatten(), nn.Linear(10, 2)), size=8)
    with pytest.raises(ModelError, match=r"Sequential does not take images of 1 x 3 x 8 x 8: mat1 and mat2"):
        survey(model)
