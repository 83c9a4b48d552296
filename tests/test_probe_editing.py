"""Layers changed inside a network, gradients of what it computes, and nothing left behind by either."""

import random
import warnings
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interpkit.errors import ModelError
from interpkit.models import load_model
from interpkit.probe import Probe, differentiable, edited, input_gradient, map_gradient, unit_gradients

SIZE = 12
Pair = namedtuple("Pair", "vector maps")


class Net(nn.Module):
    """Two convolutions around a ReLU in place that runs twice, a module that returns several tensors, a linear head."""

    def __init__(self, kind: str = "tuple") -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(4, 5, 3, stride=2, padding=1)
        self.several = Several(kind)
        self.head = nn.Linear(5, 2)

    def forward(self, images: Tensor) -> Tensor:
        found = self.several(self.relu(self.second(self.relu(self.first(images)))))
        maps = found if isinstance(found, Tensor) else list(found.values() if isinstance(found, dict) else found)[1]
        return self.head(maps.mean((2, 3)))


class Several(nn.Module):
    """Returns a vector and a map, in one of several forms, or the map alone."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, maps: Tensor) -> object:
        vector = maps.mean((2, 3))
        forms = {
            "tuple": (vector, maps * 2),
            "list": [vector, maps * 2, "note"],
            "named": Pair(vector, maps * 2),
            "dict": {"vector": vector, "maps": maps * 2},
            "ordered": OrderedDict(vector=vector, maps=maps * 2),
            "tensor": maps * 2,
        }
        return forms[self.kind]


def made(kind: str = "tuple") -> Net:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Net(kind)


@pytest.fixture
def net() -> Net:
    return made()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def probe(model: nn.Module, *layers: str, **options) -> Probe:
    return Probe(load_model(model, size=SIZE), list(layers), **options)


def by_hand(net: Net, images: Tensor, *, first: float = 1.0, second: float = 1.0, maps: float = 1.0) -> Tensor:
    """The output, with the maps of the two runs of the ReLU and of `several` multiplied."""
    early = net.first(images).relu() * first
    late = net.second(early).relu() * second
    return net.head((late * 2 * maps).mean((2, 3)))


def triple(maps: Tensor) -> Tensor:
    return maps * 3


@pytest.mark.parametrize(
    ("layer", "factors"),
    [("relu#1", {"first": 3.0}), ("relu#2", {"second": 3.0}), ("several", {"maps": 3.0}), ("several[0]", {})],
)
def test_only_what_is_addressed_is_changed(net, images, layer, factors):
    looked = probe(net, layer)
    with edited(looked, layer, triple):
        for _ in range(2):  # runs are counted anew in every pass
            _, output = looked.through(images)
            torch.testing.assert_close(output, by_hand(net.eval(), images, **factors).detach())
            looked(images)  # stops early


@pytest.mark.parametrize("kind", ["tuple", "list", "named", "dict", "ordered", "tensor"])
def test_several_tensors_come_back_in_their_own_form(images, kind):
    net = made(kind)
    looked = probe(net, "several")
    kinds = []
    handle = net.several.register_forward_hook(lambda module, inputs, output: kinds.append(type(output)))
    with edited(looked, "several", triple):
        net.several.register_forward_hook(lambda module, inputs, output: kinds.append(type(output)))
        _, output = looked.through(images)
    torch.testing.assert_close(output, by_hand(net.eval(), images, maps=3.0).detach())
    assert kinds[0] is kinds[1]
    handle.remove()


def test_vectors_are_edited_as_maps_of_one_cell(net, images):
    looked = probe(net, "head")
    shapes = []

    def note(maps: Tensor) -> Tensor:
        shapes.append(maps.shape)
        return maps + 1

    with edited(looked, "head", note):
        _, output = looked.through(images)
    torch.testing.assert_close(output, by_hand(net.eval(), images).detach() + 1)
    assert shapes == [(3, 2, 1, 1)]


def test_the_probe_sees_the_changed_maps(net, images):
    looked = probe(net, "second", "relu#2")
    before = looked(images)
    with edited(looked, "second", lambda maps: maps - 1):
        after = looked(images)
    torch.testing.assert_close(after["second"], before["second"] - 1)
    torch.testing.assert_close(after["relu#2"], (before["second"] - 1).relu())
    torch.testing.assert_close(looked(images), before)


def test_no_hook_is_left_also_after_an_error(net, images):
    looked = probe(net, "second")
    with pytest.raises(ZeroDivisionError), edited(looked, "second", lambda maps: maps * (1 / 0)):
        looked(images)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_an_edit_keeps_the_shape(net, images):
    looked = probe(net, "second")
    with (
        edited(looked, "second", lambda maps: maps[:, :3]),
        pytest.raises(ModelError, match=r"gives \(3, 5, 6, 6\); edited it would be \(3, 3, 6, 6\)"),
    ):
        looked(images)


def test_what_is_read_through_reshape_cannot_be_edited(net):
    looked = probe(net, "second", reshape=lambda maps: maps)
    with pytest.raises(ModelError, match="read through reshape="), edited(looked, "second", triple):
        pass


# --- the whole pass


def test_a_whole_pass_gives_maps_and_output(net, images):
    looked = probe(net, "first", "relu#2")
    maps, output = looked.through(images)
    torch.testing.assert_close(maps, looked(images))
    torch.testing.assert_close(output, by_hand(net.eval(), images).detach())
    assert not output.requires_grad


class Ending(nn.Module):
    """A convolution, and then whatever `end` makes of its maps."""

    def __init__(self, end) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.end = end

    def forward(self, images: Tensor) -> object:
        return self.end(self.conv(images))


def test_the_output_is_found_among_several(images):
    maps, output = probe(Ending(lambda m: {"map": m, "score": m.mean((2, 3))}), "conv").through(images)
    torch.testing.assert_close(output, maps["conv"].mean((2, 3)))
    maps, output = probe(Ending(lambda m: m.mean((2, 3), keepdim=True)), "conv").through(images)
    torch.testing.assert_close(output, maps["conv"].mean((2, 3)))


def test_a_network_without_a_row_of_outputs_says_what_it_gives(images):
    with pytest.raises(ModelError, match=r"gives \(3, 4, 12, 12\), not a row of outputs an image"):
        probe(Ending(lambda m: m), "conv").through(images)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network exported for batches of two."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        file = tmp_path_factory.mktemp("exported") / "model.pt2"
        torch.export.save(torch.export.export(model.eval(), (torch.zeros(2, 3, SIZE, SIZE),)), file)
        return model, load_model(file)


def test_an_exported_network_is_filled_up_and_edited(exported, images):
    model, loaded = exported
    looked = Probe(loaded, ["0"])
    with torch.no_grad():
        torch.testing.assert_close(looked.through(images)[1], model(images))
        with edited(looked, "0", triple):
            torch.testing.assert_close(looked.through(images)[1], model[1:](model[0](images) * 3))


def test_an_exported_network_has_gradients(exported, images):
    model, loaded = exported
    images = images[:1]
    leaf = images.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    found = input_gradient(Probe(loaded, ["0"]), "0", images, score=lambda maps, output: output[:, 1])
    torch.testing.assert_close(found, expected)


# --- gradients


def test_the_gradient_of_a_score_with_respect_to_the_images(net, images):
    leaf = images.clone().requires_grad_()
    (expected,) = torch.autograd.grad(by_hand(net.eval(), leaf)[:, 1].sum(), leaf)
    found = input_gradient(probe(net, "second"), "second", images, score=lambda maps, output: output[:, 1])
    torch.testing.assert_close(found, expected)
    assert not found.requires_grad


def test_the_gradient_with_respect_to_maps_that_are_rewritten_in_place(net, images):
    maps = net.eval().second(net.first(images).relu()).detach().requires_grad_()
    (expected,) = torch.autograd.grad(net.head((maps.relu() * 2).mean((2, 3)))[:, 0].sum(), maps)
    seen, found = map_gradient(probe(net, "second"), "second", images, score=lambda maps, output: output[:, 0])
    torch.testing.assert_close(seen, maps.detach())
    torch.testing.assert_close(found, expected)


def test_the_gradient_of_units_one_after_the_other(net, images):
    units = torch.tensor([[0, 3], [1, 2], [4, 4]])
    leaf = images.clone().requires_grad_()
    means = net.eval().second(net.first(leaf).relu()).mean((2, 3))
    found = list(unit_gradients(probe(net, "second"), "second", images, units=units))
    assert len(found) == 2
    for column, gradient in enumerate(found):
        score = means[torch.arange(3), units[:, column]].sum()
        torch.testing.assert_close(gradient, torch.autograd.grad(score, leaf, retain_graph=True)[0])


def test_a_first_operation_in_place_does_not_write_into_the_images(images):
    net = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    before = images.clone()
    input_gradient(probe(net, "1"), "1", images, score=lambda maps, output: output[:, 0])
    assert torch.equal(images, before)


def everything(net: nn.Module) -> list[object]:
    """What observing must not change."""
    return [
        [(name, p.requires_grad, p.grad is None) for name, p in net.named_parameters()],
        [module.training for module in net.modules()],
        [(list(module._forward_hooks), list(module._forward_pre_hooks)) for module in net.modules()],
        {name: tensor.tolist() for name, tensor in net.state_dict().items()},
        torch.get_rng_state().tolist(),
        random.getstate(),
        str(np.random.get_state()),
        torch.is_grad_enabled(),
    ]


@pytest.mark.parametrize("failing", [False, True])
def test_gradients_leave_nothing_behind(net, images, failing):
    net.train()
    net.first.weight.requires_grad_(requires_grad=False)
    net.first.weight.grad = None
    looked = probe(net, "second")

    def score(maps: Tensor, output: Tensor) -> Tensor:
        torch.rand(3)
        if failing:
            raise ZeroDivisionError
        return output[:, 0]

    before = everything(net)
    for gradient in (input_gradient, map_gradient):
        try:
            gradient(looked, "second", images, score=score)
        except ZeroDivisionError:
            assert failing
    assert everything(net) == before
    next(unit_gradients(looked, "second", images, units=torch.zeros(3, 2, dtype=torch.long)))
    assert everything(net) == before


def test_gradients_are_on_inside_also_where_the_caller_switched_them_off(net, images):
    expected = input_gradient(probe(net, "second"), "second", images, score=lambda maps, output: output[:, 0])
    for off in (torch.no_grad(), torch.inference_mode()):
        with off:
            looked = probe(net, "second")
            found = input_gradient(looked, "second", images, score=lambda maps, output: output[:, 0])
            torch.testing.assert_close(found.clone(), expected)
    with torch.no_grad():
        with differentiable(net):
            assert torch.is_grad_enabled()
        assert not torch.is_grad_enabled()


def test_a_network_that_computes_without_gradients_is_refused(images):
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    silent = Ending(torch.no_grad()(lambda maps: maps.mean((2, 3))))
    with pytest.raises(ModelError, match="computes without gradients"):
        map_gradient(probe(silent, "conv"), "conv", images, score=lambda maps, output: output[:, 0])
    assert input_gradient(probe(net, "0"), "0", images, score=lambda maps, output: output[:, 0]).abs().max() > 0
