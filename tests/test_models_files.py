"""Files of weights and pickled networks; in each, nothing of the file's runs without trust."""

import os
import pickle
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from interpkit.errors import InterpkitError
from interpkit.models import import_torchvision, load_model

RESNET = "torchvision:resnet18"


class Net(nn.Module):
    """Small, with everything a state dict may hold."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.classes = nn.Linear(4, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classes(self.norm(self.first(images)).mean((2, 3)))


class Toucher:
    """Creates a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.trace),)


def refused(path: Path, *, arch: str | None = None) -> str:
    """The one line that ``path`` is refused with."""
    with pytest.raises(InterpkitError) as error:
        load_model(path, arch=arch)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.fixture
def net() -> Net:
    torch.manual_seed(3)
    net = Net()
    net.norm.running_mean.uniform_()
    return net


@pytest.fixture
def nets_module(tmp_path, monkeypatch) -> str:
    """``--arch`` for `Net`, whose factory stands in a file of the current directory."""
    (tmp_path / "own_nets.py").write_text(f"from {__name__} import Net\n\n\ndef net():\n    return Net()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_nets", raising=False)
    yield "python:own_nets:net"
    sys.modules.pop("own_nets", None)


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    return load_model(f"{RESNET}@random").module


@pytest.fixture(scope="module")
def resnet_file(resnet, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet.pth"
    torch.save(resnet.state_dict(), path)
    return path


# --- state dicts that fit


def without_counters(state: OrderedDict[str, torch.Tensor]) -> OrderedDict[str, torch.Tensor]:
    """Version numbers stay beside the tensors, so that torch does not fill the counters in by itself."""
    for key in [key for key in state if key.endswith("num_batches_tracked")]:
        del state[key]
    return state


WRAPPINGS = {
    "plain": lambda state: state,
    "legacy": lambda state: state,
    "state_dict": lambda state: {"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}},
    "model": lambda state: {"model": state, "epoch": 3},
    "model_state_dict": lambda state: {"model_state_dict": state},
    "twice": lambda state: {"model": {"state_dict": state}},
    "parallel": lambda state: {f"module.{key}": value for key, value in state.items()},
    "parallel below": lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}},
    "compiled": lambda state: {f"module._orig_mod.{key}": value for key, value in state.items()},
    "with a counter": lambda state: {**state, "steps": 12},
    "no batch counters": without_counters,
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_state_dict_loads_from_every_wrapping(wrapping, net, nets_module, tmp_path):
    path = tmp_path / "my weights.pt"
    content = WRAPPINGS[wrapping](net.state_dict())
    torch.save(content, path, _use_new_zipfile_serialization=wrapping != "legacy")
    loaded = load_model(path, arch=nets_module)
    assert loaded.sha == load_model(net).sha
    assert (loaded.form, loaded.name, loaded.spec) == ("state-dict", "my-weights", str(path))
    assert not loaded.module.training
    assert loaded.preprocessing.record == "assumed: 224 x 224, luminance, mean 0, std 1"
    assert any("code of yours and ran" in note for note in loaded.notes)


def test_data_parallel_state_dict(net, nets_module, tmp_path):
    torch.save(nn.DataParallel(net).state_dict(), tmp_path / "w.pt")
    assert load_model(tmp_path / "w.pt", arch=nets_module).sha == load_model(net).sha


def test_safetensors(net, nets_module, tmp_path):
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    assert load_model(tmp_path / "w.safetensors", arch=nets_module).sha == load_model(net).sha


def test_a_network_with_a_prefix_of_its_own_keeps_it(tmp_path, monkeypatch):
    (tmp_path / "outer_nets.py").write_text(
        "from torch import nn\n\n\nclass Outer(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.model = nn.Conv2d(3, 2, 1)\n"
    )
    monkeypatch.chdir(tmp_path)
    torch.save({"model.weight": torch.ones(2, 3, 1, 1), "model.bias": torch.ones(2)}, tmp_path / "w.pt")
    assert load_model(tmp_path / "w.pt", arch="python:outer_nets:Outer").module.model.bias.sum() == 2
    sys.modules.pop("outer_nets")


def test_torchvision_arch_gives_the_usual_input_and_says_that_it_is_assumed(resnet, resnet_file):
    loaded = load_model(resnet_file, arch=RESNET)
    assert loaded.sha == load_model(resnet).sha
    assert loaded.preprocessing.size == (224, 224)
    assert loaded.preprocessing.record.startswith("assumed: 224 x 224, ImageNet mean 0.485 0.456 0.406, std")
    assert loaded.flags == ("--arch", RESNET)
    assert loaded.preprocessing.record.endswith("as torchvision:resnet18 (IMAGENET1K_V1)")
    named = load_model(resnet_file, arch=f"{RESNET}@IMAGENET1K_V1")
    assert named.preprocessing.record == "the weights' own record (IMAGENET1K_V1)"


def test_published_file_is_recognised_by_its_checksum(resnet_file, monkeypatch):
    import hashlib

    from interpkit.models import fitting

    start = hashlib.sha256(resnet_file.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(fitting, "torchvision_checksums", lambda name: {"IMAGENET1K_V1": start})
    loaded = load_model(resnet_file, arch=RESNET)
    assert loaded.notes == ("recognised by its checksum: torchvision's IMAGENET1K_V1",)
    assert loaded.preprocessing.record == "the weights' own record (IMAGENET1K_V1)"


def test_checksums_are_those_in_the_published_file_names():
    from interpkit.models.zoo import torchvision_checksums

    assert torchvision_checksums("resnet50") == {"IMAGENET1K_V1": "0676ba61", "IMAGENET1K_V2": "11ad3fa6"}


@pytest.mark.parametrize("arch", [RESNET, "timm:resnet18", "torchvision:squeezenet1_1", "lite:efficientnet-lite0"])
def test_number_of_classes_is_the_files(arch, tmp_path):
    import_torchvision()
    family = arch.partition(":")[0]
    if family == "lite":
        from efficientnet_lite_pytorch import EfficientNet

        net = EfficientNet.from_name("efficientnet-lite0", num_classes=7)
    elif family == "timm":
        import timm

        net = timm.create_model("resnet18", num_classes=7)
    else:
        net = import_torchvision().models.get_model(arch.partition(":")[2], num_classes=7)
    torch.save(net.state_dict(), tmp_path / "seven.pt")
    loaded = load_model(tmp_path / "seven.pt", arch=arch)
    assert loaded.sha == load_model(net).sha
    assert loaded.notes == ("the classifier has 7 outputs, as in the file",)


def test_inception_with_training_heads(tmp_path):
    full = import_torchvision().models.inception_v3(weights=None, init_weights=False, num_classes=5)
    torch.save(full.state_dict(), tmp_path / "inception.pt")
    loaded = load_model(tmp_path / "inception.pt", arch="torchvision:inception_v3")
    assert loaded.module.AuxLogits is None
    assert loaded.preprocessing.size == (299, 299)
    images = torch.rand(1, 3, 80, 80)
    with torch.no_grad():
        assert torch.equal(loaded.module(images), full.eval()(images))


def test_densenet_names_of_before(tmp_path):
    net = import_torchvision().models.densenet121(weights=None, num_classes=3)
    old = {
        key.replace("norm1", "norm.1").replace("conv1", "conv.1").replace("norm2", "norm.2").replace("conv2", "conv.2")
        if "denselayer" in key
        else key: value
        for key, value in net.state_dict().items()
    }
    assert old.keys() != net.state_dict().keys()
    torch.save(old, tmp_path / "old.pt")
    assert load_model(tmp_path / "old.pt", arch="torchvision:densenet121").sha == load_model(net).sha


def test_modules_learn_how_old_a_prefixed_file_is(tmp_path):
    # mnasnet refuses a state dict without the version number that torch keeps beside the tensors.
    net = import_torchvision().models.mnasnet0_5(weights=None)
    torch.save(nn.DataParallel(net).state_dict(), tmp_path / "m.pt")
    assert load_model(tmp_path / "m.pt", arch="torchvision:mnasnet0_5").sha == load_model(net).sha


# --- state dicts that do not fit


def test_misfit_lists_first_keys_of_each_kind_and_the_network_that_fits(tmp_path):
    state = import_torchvision().models.resnet34(weights=None).state_dict()
    state["conv1.weight"] = state["conv1.weight"][:, :, :5, :5].clone()
    torch.save(state, tmp_path / "w.pt")
    message = refused(tmp_path / "w.pt", arch="torchvision:resnet50")
    assert message.startswith(f"{tmp_path / 'w.pt'} does not fit torchvision:resnet50: ")
    assert "missing (layer1.0.conv3.weight, layer1.0.bn3.weight, layer1.0.bn3.bias, ...)" in message
    assert "unexpected (layer3.6.conv1.weight" not in message
    assert "conv1.weight is (64, 3, 5, 5), not (64, 3, 7, 7)" in message
    assert "nearest: torchvision:resnet34 (9" in message
    assert len(message) < 800


def test_misfit_names_the_network_that_fits(resnet_file):
    message = refused(resnet_file, arch="torchvision:squeezenet1_1")
    assert message.endswith("; they fit torchvision:resnet18")
    assert "unexpected (conv1.weight, bn1.weight" in message


@pytest.mark.parametrize(
    ("name", "classes"),
    [("resnet18", 1000), ("resnet18", 5), ("regnet_y_400mf", 3), ("swin_t", 2), ("shufflenet_v2_x0_5", 6)],
)
def test_state_dict_without_arch_names_the_network_that_fits(name, classes, tmp_path):
    net = import_torchvision().models.get_model(name, num_classes=classes)
    torch.save({"state_dict": nn.DataParallel(net).state_dict()}, tmp_path / "w.pt")
    message = refused(tmp_path / "w.pt")
    assert f"they fit torchvision:{name};" in message
    assert "--arch" in message


def test_state_dict_like_no_torchvision_network(net, tmp_path):
    torch.save(net.state_dict(), tmp_path / "w.pt")
    assert "no torchvision network is like them" in refused(tmp_path / "w.pt")


@pytest.mark.parametrize("arch", ["resnet18", "torchvison:resnet18", "torchvision:resnet81", "python:no_nets:net"])
def test_unknown_arch(arch, resnet_file):
    message = refused(resnet_file, arch=arch)
    assert "resnet18" in message or "no_nets" in message


# --- code in files


def pickled(content: object, path: Path, form: str) -> None:
    if form == "plain":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")


@pytest.mark.parametrize("form", ["plain", "zip", "legacy"])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("arch", [None, RESNET])
def test_nothing_of_a_file_runs_without_trust(form, nested, arch, tmp_path):
    trace, path = tmp_path / "it-ran", tmp_path / "model.pt"
    content = Toucher(trace)
    pickled({"state_dict": {"conv1.weight": torch.zeros(1)}, "extra": content} if nested else content, path, form)
    message = refused(path, arch=arch)
    assert "unpickling runs code" in message
    assert "--trust" in message
    assert not trace.exists()


@pytest.mark.parametrize("form", ["plain", "zip", "legacy"])
def test_whole_module_needs_trust(form, net, tmp_path):
    path = tmp_path / "whole.pt"
    pickled(net.train(), path, form)
    message = refused(path)
    assert "--trust" in message
    if form != "plain":
        assert f"{__name__}.Net" in message
    loaded = load_model(path, trust=True)
    assert (loaded.form, loaded.name) == ("pickle", "whole")
    assert loaded.sha == load_model(net).sha
    assert not loaded.module.training
    assert "runs its code" in loaded.notes[0]


def test_whole_module_below_a_key_and_wrapped(net, tmp_path):
    torch.save({"epoch": 1, "model": nn.DataParallel(net).half()}, tmp_path / "w.pt")
    loaded = load_model(tmp_path / "w.pt", trust=True)
    assert isinstance(loaded.module, Net)
    assert loaded.module.first.weight.dtype == torch.float32


def test_checkpoint_with_objects_beside_its_weights_loads_with_trust(net, nets_module, tmp_path):
    torch.save({"state_dict": net.state_dict(), "score": np.float64(0.5), "args": Path("x")}, tmp_path / "w.pt")
    assert "--trust" in refused(tmp_path / "w.pt", arch=nets_module)
    loaded = load_model(tmp_path / "w.pt", arch=nets_module, trust=True)
    assert loaded.sha == load_model(net).sha
    assert "runs its code" in loaded.notes[0]


def test_trust_runs_nothing_that_needs_no_running(net, nets_module, tmp_path, monkeypatch):
    torch.save(net.state_dict(), tmp_path / "w.pt")
    monkeypatch.setattr("interpkit.models.files._unpickle", pytest.fail)
    loaded = load_model(tmp_path / "w.pt", arch=nets_module, trust=True)
    assert not any("unpickled" in note for note in loaded.notes)


def test_pickled_class_that_cannot_be_imported(net, tmp_path, monkeypatch):
    monkeypatch.setattr(Net, "__module__", "gone_nets")
    gone = type(sys)("gone_nets")
    gone.Net = Net
    monkeypatch.setitem(sys.modules, "gone_nets", gone)
    torch.save(net, tmp_path / "w.pt")
    monkeypatch.delitem(sys.modules, "gone_nets")
    with pytest.raises(InterpkitError, match=r"gone_nets.*importable"):
        load_model(tmp_path / "w.pt", trust=True)


# --- no models


def test_missing_file_names_the_nearest(tmp_path):
    (tmp_path / "resnet.pth").touch()
    message = refused(tmp_path / "resent.pth")
    assert "no file" in message
    assert "nearest: resnet.pth" in message
    assert "no folder" in refused(tmp_path / "none" / "resnet.pth")


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pt2", ".safetensors", ".onnx"])
@pytest.mark.parametrize("content", ["text", "empty", "noise", "zip"])
def test_not_a_model(suffix, content, tmp_path):
    path = tmp_path / f"model{suffix}"
    if content == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.txt", "hello")
    else:
        path.write_bytes({"text": b"hello, world\n" * 99, "empty": b"", "noise": b"\x00\x01" * 999}[content])
    message = refused(path)
    assert str(path) in message


def test_folder(tmp_path):
    assert "is a folder" in refused(tmp_path)


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors", "plain"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
@pytest.mark.parametrize("trust", [False, True])
def test_truncated_file(form, share, trust, net, tmp_path):
    path = tmp_path / "model.pt"
    if form == "safetensors":
        save_file(net.state_dict(), path)
    else:
        pickled(net.state_dict(), path, form)
    content = path.read_bytes()
    path.write_bytes(content[: max(int(len(content) * share), 9)])
    with pytest.raises(InterpkitError) as error:
        load_model(path, arch=RESNET, trust=trust)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [torch.zeros(3), [1, 2], {"epoch": 3}, {}, "text"])
def test_torch_file_without_a_model(content, tmp_path):
    torch.save(content, tmp_path / "w.pt")
    assert "neither a state dict nor a network" in refused(tmp_path / "w.pt")


def test_arch_beside_a_whole_network(net, tmp_path):
    torch.save(net, tmp_path / "w.pt")
    with pytest.raises(InterpkitError, match="leave --arch"):
        load_model(tmp_path / "w.pt", arch=RESNET, trust=True)


@pytest.mark.parametrize("name", ["m.pt", "m.pth", "m.pt2"])
def test_torchscript_is_refused_with_the_way_out(name, tmp_path):
    import warnings

    with warnings.catch_warnings():
        # Newer torch warns that scripting is on its way out; the archive is what is tested here.
        warnings.simplefilter("ignore")
        torch.jit.script(nn.Sequential(nn.Conv2d(1, 1, 1))).save(tmp_path / name)
    for trust in (False, True):
        with pytest.raises(InterpkitError, match=r"TorchScript.*torch\.export\.save"):
            load_model(tmp_path / name, trust=trust)


def test_ordered_dict_subclass_is_a_state_dict(net, nets_module, tmp_path):
    torch.save(OrderedDict(net.state_dict()), tmp_path / "w.pt")
    assert load_model(tmp_path / "w.pt", arch=nets_module).sha == load_model(net).sha
