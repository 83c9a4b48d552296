"""Laws for whatever stands in interpkit/losses: a new file falls under them without being named."""

import copy
import math

import pytest
import torch
from tiny_training import BATCH, CLASSES, IMAGES, SITE, UNITS, Tiny, Training

from interpkit import _plugins, losses
from interpkit.errors import InterpkitError, UnknownNameError
from interpkit.losses import InterpretableLoss

LOSSES = pytest.mark.parametrize("name", losses.names())
MULTI = pytest.mark.parametrize("multi", [False, True])


class Plain(InterpretableLoss):
    """The classification alone."""

    def attach(self, layers, *, classes, multi, epochs):
        pass

    def forward(self, step):
        return step.task(step.run(None).outputs)


def kind(name: str) -> type[InterpretableLoss]:
    return _plugins.load("interpkit.losses", name.replace("-", "_"))


def training(name: str, *, multi: bool = False, **options: object) -> Training:
    return Training(losses.make(name, options), Tiny(masked=kind(name).masked), multi)


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(name == also and torch.equal(value, twin) for (name, value), (also, twin) in pairs)


@LOSSES
@MULTI
def test_without_weight_a_training_is_the_ordinary_one_bit_for_bit(name, multi):
    given = training(name, multi=multi, weight=0.0)
    plain = Training(Plain(0.0), Tiny(masked=kind(name).masked), multi)
    for one in (given, plain):
        one.train(range(one.epochs))
    assert same(given.net, plain.net)
    assert all(given.loss.path(epoch) == "ordinary" for epoch in range(given.epochs))
    assert given.loss.warnings() == ()


@LOSSES
@MULTI
def test_with_weight_it_is_another_one(name, multi):
    given, plain = training(name, multi=multi), training(name, multi=multi, weight=0.0)
    for one in (given, plain):
        one.train(range(one.epochs))
    assert not same(given.net, plain.net)
    assert all(bool(value.isfinite().all()) for value in given.net.state_dict().values())


@LOSSES
@MULTI
@pytest.mark.parametrize("images", [1, BATCH, IMAGES])
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1.0, 1e6, 1e18])
def test_gradients_are_finite_whatever_the_maps(name, multi, images, scale):
    given = training(name, multi=multi)
    given.images *= scale
    with torch.no_grad():
        given.net.conv.weight[0] = 0
        given.net.conv.bias[0] = -1  # a unit that never fires
        given.net.head.weight /= max(scale, 1)
        given.net.conv.bias *= scale
    for epoch in range(given.epochs):
        value = given.loss(given.step(epoch, torch.arange(images)))
        value.backward()
        given.loss.after_step(epoch)
        assert value.shape == ()
        assert bool(value.isfinite())
    learning = [*given.net.parameters(), *given.loss.parameters()]
    assert all(one.grad is None or bool(one.grad.isfinite().all()) for one in learning)
    assert all(math.isfinite(number) for number in given.loss.said().values())


@LOSSES
def test_half_precision_changes_little(name):
    exact, half = training(name), training(name)
    for epoch in (0, exact.epochs - 2):
        with torch.autocast("cpu", torch.bfloat16):
            found = half.loss(half.step(epoch))
        found.backward()
        assert float(found.detach()) == pytest.approx(float(exact.loss(exact.step(epoch)).detach()), rel=0.05)
    assert all(bool(one.grad.isfinite().all()) for one in half.net.parameters())


@LOSSES
def test_what_is_not_a_number_is_not_hidden(name):
    given = training(name)
    given.images[3, 0, 2, 2] = torch.nan
    assert all(bool(given.loss(given.step(epoch)).isnan()) for epoch in range(given.epochs))


@LOSSES
@MULTI
def test_a_training_that_was_interrupted_goes_on_bit_for_bit(name, multi):
    whole, first = training(name, multi=multi), training(name, multi=multi)
    whole.train(range(whole.epochs))
    first.train(range(4))
    again = training(name, multi=multi)
    again.loss.load_state_dict(copy.deepcopy(first.loss.state_dict()))
    again.net.load_state_dict(first.net.state_dict())
    again.optimizer.load_state_dict(copy.deepcopy(first.optimizer.state_dict()))
    own, before = again.loss.own_optimizer(), first.loss.own_optimizer()
    assert (own is None) == (before is None)
    if own is not None and before is not None:
        own.load_state_dict(copy.deepcopy(before.state_dict()))
    again.train(range(4, whole.epochs))
    assert same(again.net, whole.net)
    assert same(again.loss, whole.loss)
    assert again.loss.said() == whole.loss.said()
    assert again.loss.warnings() == whole.loss.warnings()


@LOSSES
def test_nothing_is_drawn_from_the_global_random_state(name):
    before = torch.get_rng_state()
    given = training(name)
    given.train(range(given.epochs))
    assert torch.equal(torch.get_rng_state(), before)


@LOSSES
def test_the_order_of_the_images_of_a_step_does_not_matter(name):
    given, other = training(name), training(name)
    for epoch in range(given.epochs):
        one = given.loss(given.step(epoch))
        two = other.loss(other.step(epoch, torch.arange(IMAGES).flip(0)))
        assert float(one.detach()) == pytest.approx(float(two.detach()), rel=1e-5)


@LOSSES
def test_after_training_the_network_needs_no_loss(name):
    given = training(name)
    given.train(range(given.epochs))
    alone = Tiny(masked=kind(name).masked, seed=9)
    alone.load_state_dict(given.net.state_dict())
    assert torch.equal(alone.run(given.images).outputs, given.net.run(given.images).outputs)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in given.net.modules())


@LOSSES
def test_it_tells_what_it_learnt(name):
    given = training(name)
    given.train(range(given.epochs))
    learnt = given.loss.learnt()
    assert all(isinstance(value, torch.Tensor) and not value.requires_grad for value in learnt.values())
    assert all(isinstance(number, float) for number in given.loss.said().values())
    before = {name: value.clone() for name, value in learnt.items()}
    given.train(range(1))
    assert all(torch.equal(value, before[name]) for name, value in learnt.items())


@LOSSES
def test_wrong_options_are_refused_in_one_line(name):
    with pytest.raises(UnknownNameError, match="weight") as refusal:
        losses.make(name, {"wieght": 1.0})
    assert "\n" not in str(refusal.value)
    for wrong in (-1.0, math.nan, math.inf, "much", True):
        with pytest.raises(InterpkitError, match=r"^weight is "):
            losses.make(name, {"weight": wrong})


def test_an_unknown_loss_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="icnn"):
        losses.make("icn", {})


def test_the_sizes_are_as_said():
    assert Tiny(masked=True).layer.units == UNITS
    assert training("icnn").step(0).run(None).maps[SITE].shape == (IMAGES, UNITS, 6, 6)
    assert training("icnn").member.shape == (IMAGES, CLASSES)
