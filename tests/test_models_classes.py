"""What the outputs of a network are called."""

import warnings

import pytest
import torch
from torch import nn

from interpkit.models import import_timm, import_torchvision, load_model
from interpkit.models.fitting import fit
from interpkit.models.outputs import imagenet_classes, timm_classes
from interpkit.models.zoo import Wish, build_torchvision, untrained_torchvision


def test_imagenet_has_a_thousand_names_each_once():
    names = imagenet_classes()
    assert len(set(names)) == 1000
    assert (names[0], names[281], names[340], names[388]) == ("tench", "tabby", "zebra", "giant panda")


def test_published_weights_bring_their_classes(lite0, monkeypatch):
    assert lite0.classes == imagenet_classes()
    models = import_torchvision().models
    monkeypatch.setattr(models, "get_model_builder", lambda name: lambda weights, progress: nn.Linear(1, 1))
    assert build_torchvision(Wish.read("torchvision:resnet18")).classes == imagenet_classes()


def test_untrained_networks_and_modules_know_none():
    assert load_model("torchvision:squeezenet1_1@random").classes == ()
    assert load_model("lite:efficientnet-lite0@random").classes == ()
    assert load_model("timm:resnet18@random").classes == ()
    assert load_model(nn.Sequential(nn.Conv2d(3, 2, 1))).classes == ()


def test_weights_named_for_a_file_name_its_outputs(tmp_path):
    named = "torchvision:squeezenet1_1@IMAGENET1K_V1"
    assert untrained_torchvision(Wish.read(named)).classes == imagenet_classes()
    state = untrained_torchvision(Wish.read("torchvision:squeezenet1_1@random"), classes=7).module.state_dict()
    torch.save(state, tmp_path / "tuned.pth")
    assert fit(state, named, file=tmp_path / "tuned.pth").classes == ()  # other outputs than the weights had
    torch.save(untrained_torchvision(Wish.read(named)).module.state_dict(), tmp_path / "same.pth")
    assert load_model(tmp_path / "same.pth", arch=named).classes == imagenet_classes()


@pytest.mark.parametrize(
    ("name", "outputs", "first"),
    [
        ("mobilenetv3_small_050.lamb_in1k", 1000, "tench"),
        ("mobilenetv3_large_100.miil_in21k", 11221, "benthos"),
        ("mobilenetv3_small_050.lamb_in1k", 9, None),
    ],
)
def test_timm_networks_are_called_like_the_imagenet_they_saw(name, outputs, first):
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        module = import_timm().create_model(name, pretrained=False, num_classes=outputs)
    names = timm_classes(module)
    assert len(names) == (outputs if first else 0)
    assert names[:1] == ((first,) if first else ())


def test_a_timm_networks_own_names_come_first():
    module = nn.Linear(1, 2)
    module.num_classes = 2
    module.pretrained_cfg = {"label_names": ["n1", "n2"], "label_descriptions": {"n1": "tench, Tinca tinca"}}
    assert timm_classes(module) == ("tench", "n2")
    module.pretrained_cfg = {"label_names": ["n1", "n2"]}
    assert timm_classes(module) == ("n1", "n2")
