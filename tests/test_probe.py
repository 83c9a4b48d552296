"""Probe: the right maps, and nothing left behind."""

import gc
import random
import warnings
import weakref

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interpkit.errors import InterpkitError, ModelError, UnknownNameError
from interpkit.models import Preprocessing, load_model
from interpkit.probe import Probe

SIZE = 12


class Net(nn.Module):
    """A ReLU in place that is used three times, a tuple, dropout, a layer that runs in training only, and a counter."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.body = nn.Sequential(nn.Conv2d(4, 5, 3, stride=2, padding=1), nn.BatchNorm2d(5))
        self.several = Several()
        self.extra = nn.Conv2d(5, 5, 1)
        self.drop = nn.Dropout(0.5)
        self.tail = Tail()
        self.head = nn.Linear(5, 2)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.relu(self.body(self.relu(self.first(images))))
        pair = self.several(self.relu(maps - 0.1))
        if self.training:
            maps = self.extra(maps)
        return self.head(self.tail(self.drop(pair[1])).mean((2, 3)))


class Several(nn.Module):
    """Returns a vector, a map, tokens, and no tensor."""

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor, str]:
        return maps.mean((2, 3)), maps * 2, maps.flatten(2).transpose(1, 2), "note"


class Tail(nn.Module):
    """Counts its runs."""

    runs = 0

    def forward(self, maps: Tensor) -> Tensor:
        self.runs += 1
        return maps


@pytest.fixture
def net() -> Net:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Net()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def probe(model: nn.Module, *layers: str, **options) -> Probe:
    return Probe(load_model(model, size=SIZE), list(layers) or None, **options)


def by_hand(net: Net, images: Tensor) -> dict[str, Tensor]:
    """Each layer's maps, computed without hooks and without anything in place."""
    net = net.eval()
    with torch.no_grad():
        first = net.first(images)
        body = net.body(first.relu())
        third = (body.relu() - 0.1).relu()
    return {
        "first": first,
        "relu#1": first.relu(),
        "body": body,
        "relu#2": body.relu(),
        "relu#3": third,
        "several": third * 2,
        "several[0]": third.mean((2, 3))[:, :, None, None],
        "several[1]": third * 2,
        "drop": third * 2,
    }


LAYERS = "first relu#1 body relu#2 relu#3 several several[0] several[1] drop".split()


@pytest.mark.parametrize("layer", LAYERS)
def test_each_layer_alone(net, images, layer):
    expected = by_hand(net, images)[layer]
    torch.testing.assert_close(probe(net, layer)(images), {layer: expected})


def test_all_layers_at_once_in_the_order_asked(net, images):
    expected = by_hand(net, images)
    layers = list(expected)[::-1]
    found = probe(net, *layers)
    assert found.layers == tuple(layers)
    maps = found(images)
    assert list(maps) == layers
    torch.testing.assert_close(maps, {name: expected[name] for name in layers})


def test_maps_are_copies_without_gradient(net, images):
    maps = probe(net, "several[1]", "drop", "relu#2", "body")(images.requires_grad_())
    assert len({m.data_ptr() for m in maps.values()}) == 4
    assert not any(m.requires_grad for m in maps.values())


def test_the_pass_stops_after_the_deepest_layer(net, images):
    looked = probe(net, "relu#2", "first")
    net.tail.runs = 0
    looked(images)
    assert net.tail.runs == 0
    probe(net, "drop")(images)
    assert net.tail.runs == 1  # while the probe was made


def test_a_network_that_catches_exceptions_is_stopped_all_the_same(images):
    class Catching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.tail = nn.Conv2d(3, 2, 1), Tail()

        def forward(self, images: Tensor) -> Tensor:
            try:
                maps = self.conv(images)
            except Exception:
                maps = images
            return self.tail(maps)

    model = Catching()
    looked = probe(model, "conv")
    model.tail.runs = 0
    looked(images)
    assert model.tail.runs == 0


def test_flags_hooks_random_states_and_weights_are_as_before(net, images):
    net.train()
    net.body[1].eval()
    seen = []
    net.body.register_forward_hook(lambda *_: seen.append("mine"))
    net.first.register_forward_pre_hook(lambda *_: None)
    flags = {name: module.training for name, module in net.named_modules()}
    hooks = {name: list(module._forward_hooks) for name, module in net.named_modules()}
    weights = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[2]
    maps = probe(net, "drop")(images)
    assert {name: module.training for name, module in net.named_modules()} == flags
    assert {name: list(module._forward_hooks) for name, module in net.named_modules()} == hooks
    assert all(torch.equal(weights[name], tensor) for name, tensor in net.state_dict().items())
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), np.random.get_state()[2])
    assert seen == ["mine", "mine"]
    torch.testing.assert_close(maps["drop"], by_hand(net, images)["drop"])


class Fragile(nn.Module):
    """Draws random numbers in every mode, then fails on images brighter than 9."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)
        self.end = nn.Conv2d(2, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images) + torch.rand(()) + random.random() + float(np.random.rand())
        if images.max() > 9:
            raise RuntimeError("too bright")
        return self.end(maps)


def test_also_after_an_error(images):
    model = Fragile().train()
    looked = probe(model, "end")
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[2]
    with pytest.raises(RuntimeError, match="too bright"):
        looked(images + 100)
    looked(images)
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), np.random.get_state()[2])
    assert torch.is_grad_enabled()


def test_flags_are_set_without_calling_overridden_methods(images):
    class Merging(nn.Conv2d):
        def train(self, mode: bool = True) -> nn.Module:  # noqa: FBT001, FBT002 - torch's signature
            raise AssertionError("train() may do more than set a flag")

    model = nn.Sequential(Merging(3, 2, 1), nn.Conv2d(2, 2, 1))
    assert probe(model, "0")(images)["0"].shape == (3, 2, SIZE, SIZE)


def test_nothing_of_a_pass_is_kept_alive(net, images):
    kept = []
    net.first.register_forward_hook(lambda module, inputs, output: kept.append(weakref.ref(output)))
    looked = probe(net, "body")
    gc.collect()
    gc.disable()
    try:
        kept.clear()
        maps = looked(images)
        assert [ref() for ref in kept] == [None]
        (last,) = map(weakref.ref, maps.values())
        del maps
        assert last() is None
    finally:
        gc.enable()


def test_vectors_are_maps_of_one_cell(net, images):
    maps = probe(net, "head", "several[0]")(images)
    assert maps["head"].shape == (3, 2, 1, 1)
    assert maps["several[0]"].shape == (3, 5, 1, 1)


def test_what_is_no_map_is_refused_with_its_shape_and_a_cure(net, images):
    with pytest.raises(ModelError, match=r"\(1, 36, 5\), not \(N, U, h, w\).*reshape=lambda t: t\.transpose") as error:
        probe(net, "several[2]")
    cure = eval(str(error.value).partition("reshape=")[2])
    maps = probe(net, "several[2]", reshape=cure)(images)["several[2]"]
    torch.testing.assert_close(maps, by_hand(net, images)["several"] / 2)


def test_channels_last_layouts_are_refused(images):
    class Last(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.permute(0, 2, 3, 1).contiguous()

    model = nn.Sequential(nn.Conv2d(3, 7, 1), Last())
    with pytest.raises(ModelError, match=r"channels come last.*permute\(0, 3, 1, 2\)"):
        probe(model, "1")
    cure = lambda t: t.permute(0, 3, 1, 2)  # noqa: E731 - as a user would write it
    assert probe(model, "1", reshape=cure)(images)["1"].shape == (3, 7, SIZE, SIZE)
    with pytest.raises(ModelError, match=r"reshape= turned layer '0'"):
        probe(model, "0", reshape=lambda t: t.flatten(1))


def test_class_tokens_are_left_out_by_the_cure():
    from interpkit.probe.tracing import mending

    cure = eval(mending((2, 1 + 49, 8), (224, 224)).partition("=")[2])
    assert cure(torch.zeros(2, 50, 8)).shape == (2, 8, 7, 7)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("frist", "no layer 'frist' in Net; nearest: first"),
        ("body.2", "nearest: body.1|nearest: body.0"),
        ("relu", r"'relu' runs 3 times in one forward pass: ask for one of 'relu#1' ... 'relu#3'"),
        ("relu#4", r"no layer 'relu#4': it runs 3 times; there is 'relu#1' ... 'relu#3'"),
        ("relu#0", "no layer 'relu#0'"),
        ("first#2", "it runs 1 times; there is 'first'"),
        ("extra", "does not run"),
        ("several[3]", "returns 3 tensors"),
        ("", "no layer ''"),
    ],
)
def test_names_that_are_wrong(net, layer, message):
    with pytest.raises(UnknownNameError, match=message) as error:
        probe(net, layer)
    assert "\n" not in str(error.value)


def test_a_module_that_runs_once_may_be_counted(net, images):
    torch.testing.assert_close(probe(net, "first#1")(images)["first#1"], by_hand(net, images)["first"])


def test_data_parallel_prefixes(net, images):
    expected = by_hand(net, images)["body"]
    wrapped = nn.DataParallel(net)
    for model, layer in [(wrapped, "body"), (wrapped, "module.body"), (net, "module.body")]:
        torch.testing.assert_close(probe(model, layer)(images), {layer: expected})
    inner = nn.Sequential(nn.DataParallel(nn.Sequential(nn.Conv2d(3, 2, 1))))
    assert probe(inner, "0.0")(images)["0.0"].shape == (3, 2, SIZE, SIZE)


def test_a_shared_module_answers_to_each_of_its_names(images):
    model = nn.Sequential(nn.Conv2d(3, 3, 1))
    model.add_module("again", model[0])
    maps = probe(model, "again#2", "0#1")(images)
    with torch.no_grad():
        torch.testing.assert_close(maps["0#1"], model[0](images))
        torch.testing.assert_close(maps["again#2"], model(images))


def test_mappings_are_tuples(images):
    class Named(nn.Module):
        def forward(self, images: Tensor) -> dict[str, Tensor]:
            return {"score": images.mean((2, 3)), "map": images * 3}

    maps = probe(nn.Sequential(Named()), "0", "0[0]")(images)
    torch.testing.assert_close(maps["0"], images * 3)
    assert maps["0[0]"].shape == (3, 3, 1, 1)


def test_memory_format_is_that_of_the_images(net, images):
    looked = probe(net, "first", "body")
    expected = looked(images)
    maps = looked(images.to(memory_format=torch.channels_last))
    assert all(m.is_contiguous(memory_format=torch.channels_last) for m in maps.values())
    torch.testing.assert_close(maps, expected)


def test_other_types(net, images):
    double = probe(net.double(), "body")(images)["body"]
    assert double.dtype == torch.float64
    half = probe(net.bfloat16(), "body")(images)["body"]
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, double.float(), atol=0.05, rtol=0.05)


def test_shapes_and_preprocessing(net):
    assert probe(net, "head", "body", "first").shapes() == {"head": (2, 1, 1), "body": (5, 6, 6), "first": (4, 12, 12)}
    larger = Preprocessing((16, 20), (0.0,) * 3, (1.0,) * 3)
    found = probe(net, "first", preprocessing=larger)
    assert found.preprocessing is larger
    assert found.shapes() == {"first": (4, 16, 20)}


def test_a_network_that_does_not_take_the_assumed_size_waits_for_images():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))
    looked = Probe(model, "0")
    assert looked(torch.zeros(2, 1, 8, 8))["0"].shape == (2, 2, 6, 6)
    assert looked.shapes() == {"0": (2, 222, 222)}  # the head is never reached
    with pytest.raises(ModelError, match="does not take images of 1 x 1 x 224 x 224"):
        Probe(model)


def test_a_layer_that_does_not_run_on_some_images(images):
    class Fickle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 1)

        def forward(self, images: Tensor) -> Tensor:
            return images if images.sum() > 0 else self.conv(images)

    with pytest.raises(ModelError, match="layer conv did not run on these images"):
        probe(Fickle(), "conv")(images.abs())


def test_devices(net):
    with pytest.raises(ModelError, match="no device 'gpu' here; there is cpu"):
        probe(net, "first", device="gpu")
    assert probe(net, "first", device="cpu").device == torch.device("cpu")
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="no device 'cuda' here; there is cpu"):
            probe(net, "first", device="cuda")


def test_images_of_another_rank(net):
    with pytest.raises(InterpkitError, match=r"not \(3, 12, 12\)"):
        probe(net, "first")(torch.zeros(3, 12, 12))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network exported for batches of two."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        relu = nn.ReLU(inplace=True)
        start, end = (nn.Conv2d(3, 4, 3), relu, nn.MaxPool2d(2)), (nn.Flatten(), nn.Linear(45, 2))
        model = nn.Sequential(*start, nn.Conv2d(4, 5, 3), relu, *end)
        file = tmp_path_factory.mktemp("exported") / "model.pt2"
        torch.export.save(torch.export.export(model.eval(), (torch.zeros(2, 3, SIZE, SIZE),)), file)
        return model, load_model(file)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_an_exported_network_takes_any_number_of_images(exported, images, count):
    model, loaded = exported
    images = images.repeat(2, 1, 1, 1)[:count]
    looked = Probe(loaded, ["3", "4"])
    maps = looked(images)
    assert looked.shapes() == {"3": (5, 3, 3), "4": (5, 3, 3)}
    with torch.no_grad():
        expected = model[:4](images)
    torch.testing.assert_close(maps, {"3": expected, "4": expected.relu()})
