"""The pieces that a training is made of: splits, draws, what runs when, where the network is fed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_finetuning import SIZE, colours, net
from torch import Tensor, nn

from interpkit.errors import UnknownNameError
from interpkit.finetuning._evaluate import Judged
from interpkit.finetuning._gallery import telling
from interpkit.finetuning._network import Network, norms_above
from interpkit.finetuning._order import order_of, set_modes, trained_modules, trains_layer
from interpkit.finetuning._supply import AREA, SHAPE, Read, draw, pieces_of
from interpkit.finetuning._train import Plan
from interpkit.finetuning._trunk import find_cut
from interpkit.models import Preprocessing
from interpkit.surgery import Surgery, operate


def test_draws_follow_from_seed_and_epoch():
    one, same, other, seed = (
        draw(20, 30, augment="standard", seed=s, epoch=e) for s, e in ((0, 1), (0, 1), (0, 2), (1, 1))
    )
    assert sorted(one.order.tolist()) == list(range(20))
    for different in (other, seed):
        assert one.order.tolist() != different.order.tolist()
        assert one.flips.tolist() != different.flips.tolist()
        assert (one.crops != different.crops).any()
    assert (one.crops == same.crops).all()
    assert one.order.tolist() == same.order.tolist()
    # The order is not to change with the augmentation: the control of one is that of the other.
    assert draw(20, 30, augment="none", seed=0, epoch=1).order.tolist() == one.order.tolist()
    assert not draw(20, 30, augment="none", seed=0, epoch=1).flips.any()


def test_crops_lie_inside_the_image():
    crops = draw(5, 2000, augment="standard", seed=0, epoch=0).crops
    width, height = (crops[:, 2:] - crops[:, :2]).T
    assert crops.min() >= 0
    assert crops.max() <= 1 + 1e-12
    assert (width * height).max() <= AREA[1]
    inside = (width < 1) & (height < 1)
    assert (width * height)[inside].min() >= AREA[0] - 1e-12
    assert (width / height)[inside].min() >= SHAPE[0] - 1e-12
    assert (width / height)[inside].max() <= SHAPE[1] + 1e-12


def test_read_images_are_cropped_and_mirrored_as_drawn(tmp_path):
    labels = colours(tmp_path / "set", images=2)
    plain = Preprocessing((SIZE, SIZE), (0.0,) * 3, (1.0,) * 3, "nearest")
    read = Read(labels, plain, torch.device("cpu"), "")
    rows = [np.array([0, 3]), np.array([5])]
    one, _two = read.plain(rows)
    assert [len(images) for images in read.plain(rows)] == [2, 1]
    draws = draw(6, 6, augment="flip", seed=0, epoch=0)
    flipped = np.zeros(6, np.bool_)
    flipped[3] = True
    mirrored, _ = read.training(rows, replace(draws, flips=flipped))
    assert torch.equal(mirrored[0], one[0])
    assert torch.equal(mirrored[1], one[1].flip(-1))
    crops = np.tile([0.0, 0.0, 1.0, 1.0], (6, 1))
    crops[0] = [0.5, 0.25, 1.0, 0.75]
    cropped, _ = read.training(rows, replace(draws, flips=np.zeros(6, np.bool_), crops=crops))
    assert torch.equal(cropped[1], one[1])
    assert torch.equal(cropped[0], one[0][:, 4:12, 8:].repeat_interleave(2, 1).repeat_interleave(2, 2))


@given(st.integers(2, 300), st.integers(2, 64))
def test_batches_are_even(images, size):
    sizes = [len(piece) for piece in pieces_of(np.arange(images), batch_size=size)]
    assert sum(sizes) == images
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-images // size)


def test_rates():
    def rates(schedule: str) -> list[float]:
        return [Plan(10, 8, 1.0, 1.0, 0.0, schedule, None, "none", 0).rate_of(epoch) for epoch in range(10)]

    assert rates("constant") == [1.0] * 10
    assert rates("steps") == pytest.approx([1.0] * 6 + [0.3] * 2 + [0.09] * 2)
    assert rates("cosine")[0] == 1
    assert rates("cosine")[5] == pytest.approx(0.5)
    assert np.all(np.diff(rates("cosine")) < 0)
    assert rates("cosine")[-1] > 0


class Residual(nn.Module):
    """A block that something goes around, a module that runs twice, and one that never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.block = Around(4)
        self.last = nn.Conv2d(4, 6, 3, padding=1)
        self.unused = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.block(self.act(self.stem(images)))
        return self.head(self.act(self.last(maps)).mean((2, 3)))


class Around(nn.Module):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(units, units, 3, padding=1)
        self.two = nn.Conv2d(units, units, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(maps + self.two(torch.relu(self.one(maps))))


@pytest.mark.parametrize(
    ("first", "cut"),
    [
        ("head", "head"),
        ("last", "last"),
        ("block.two", "block"),
        ("block.one", "block"),
        ("block", "block"),
        ("stem", "stem"),
        ("act", ""),
    ],
)
def test_the_network_is_fed_where_nothing_goes_around(first, cut):
    """What is frozen below runs no more, and the outputs are the same as ever."""
    network = Residual().eval()
    images = torch.randn(2, 3, 8, 8)
    order = order_of(network, images)
    found = find_cut(network, images, order=order, trained=[first])
    assert found.name == cut
    more = torch.randn(5, 3, 8, 8)
    inputs = found.inputs(network, more)
    before = {name: module.forward for name, module in network.named_modules()}
    with torch.no_grad():
        wanted = network(more)
        ran: list[str] = []
        handle = network.stem.register_forward_pre_hook(lambda *_: ran.append("stem"))
        with found.idle(network):
            torch.testing.assert_close(found.run(network, inputs), wanted)
            idle = network.stem.forward.__func__ if hasattr(network.stem.forward, "__func__") else None
        handle.remove()
    assert (idle is nn.Conv2d.forward) == (cut in {"", "stem"})
    assert {name: module.forward for name, module in network.named_modules()} == before
    assert not any("forward" in vars(module) for module in network.modules())


def test_what_looks_at_the_image_itself_is_found():
    class Peeking(Residual):
        def forward(self, images: Tensor) -> Tensor:
            # Not by gradients: a decision.
            return super().forward(images) + (images.detach().mean() > 0).float() + images.detach().sum()

    network, images = Peeking().eval(), torch.ones(2, 3, 8, 8)
    found = find_cut(network, images, order=order_of(network, images), trained=["last"])
    assert found.name == ""


def test_a_way_around_is_found_that_the_images_at_hand_do_not_show():
    class Rarely(Residual):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) + torch.relu(images - 100).mean((1, 2, 3))[:, None]

    network, images = Rarely().eval(), torch.ones(2, 3, 8, 8)
    assert find_cut(network, images, order=order_of(network, images), trained=["last"]).name == ""


def test_order_is_seen_and_left_no_trace_of():
    network = Residual().train()
    order = order_of(network, torch.randn(1, 3, 8, 8))
    names = ["stem", "act", "block", "block.one", "block.two", "last", "head"]
    assert order.after(1) == names
    assert order.runs["act"] == 2
    assert "unused" not in order.start
    assert order.start["block"] < order.start["block.one"] < order.end["block.one"] < order.end["block"]
    assert all(module.training and not module._forward_hooks for module in network.modules())


@pytest.mark.parametrize(
    ("start", "reaches"),
    [(None, False), ("all", True), ("stem", True), ("block", True), ("block.two", True), ("last", False)],
)
def test_whether_training_reaches_the_layer(start, reaches):
    order = order_of(Residual(), torch.randn(1, 3, 8, 8))
    assert trains_layer(order, start, "block") == reaches


def test_modules_that_never_run_cannot_be_trained_from():
    order = order_of(Residual(), torch.randn(1, 3, 8, 8))
    with pytest.raises(UnknownNameError, match="'unused'"):
        trains_layer(order, "unused", "block")


def test_frozen_modules_are_in_evaluation_mode():
    network = net().train()
    surgery = Surgery("stage1", 3, mask_layer=True)
    example = torch.zeros(1, 3, SIZE, SIZE)
    operated = operate(network, surgery, example)
    order = order_of(operated.module, example)
    names = trained_modules(operated, order, surgery=surgery, train_from="stage1.1")
    parameters = set_modes(operated.module, names)
    modes = {name: child.training for name, child in operated.module.named_modules()}
    assert not modes["trunk.base.stage1.0"]
    assert not modes["trunk.base.stage1"]
    assert modes["trunk.base.stage1.1"]
    assert modes["added.conv"]
    wanted = {name for name, one in operated.module.named_parameters() if one.requires_grad}
    assert wanted == {
        f"{name}.{part}" for name in ("trunk.base.stage1.1", "added.conv", "head") for part in ("weight", "bias")
    }
    assert len(parameters) == len(wanted)


def network_above(surgery: Surgery) -> tuple[Network, nn.Module]:
    """A network trained from the layer up, whose second stage has a batch norm above the site."""
    example = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    operated = operate(net(), surgery, example)
    order = order_of(operated.module, example)
    names = trained_modules(operated, order, surgery=surgery, train_from="stage1")
    set_modes(operated.module, names)
    made = Network(
        module=operated.module,
        sites=operated.sites,
        trained=names,
        above=norms_above(operated.module, names, start=order.start, site=operated.sites[0]),
        cut=find_cut(operated.module, example, order=order, trained=names),
        head=operated.fresh[-1],
        precision="32",
        device=torch.device("cpu"),
    )
    return made, operated.module


def test_an_edit_reaches_no_statistics_above_it():
    network, module = network_above(Surgery("stage1", 3, add=False, mask_layer=True, head="classifier"))
    below, above = module.get_submodule("stage1.body.1"), module.get_submodule("stage2.1")
    assert network.above == ("stage2.1",)
    images = torch.randn(4, 3, SIZE, SIZE)
    start = above.running_mean.clone()
    network.run(images, lambda _layer, maps: 3 * maps)
    assert torch.equal(above.running_mean, start)
    assert above.training
    at = below.running_mean.clone()
    network.run(images)
    assert not torch.equal(above.running_mean, start)
    assert not torch.equal(below.running_mean, at)


def test_maps_are_seen_before_mask_and_edit():
    network, module = network_above(Surgery("stage1", 3, mask="argmax"))
    images = torch.randn(4, 3, SIZE, SIZE)
    with network.evaluating():
        plain = network.run(images)
        edited = network.run(images, lambda layer, maps: maps * 2 if layer == "added.act" else maps)
    assert torch.equal(plain.maps["added.act"], edited.maps["added.act"])
    assert torch.allclose(edited.outputs - module.head.bias, 2 * (plain.outputs - module.head.bias), atol=1e-5)
    assert (module.added.mask(plain.maps["added.act"]) < plain.maps["added.act"]).any()
    assert not any(child._forward_hooks for child in module.modules())


def test_units_that_tell_a_class_are_shown():
    generator = torch.Generator().manual_seed(0)
    member = torch.eye(3).repeat(5, 1)
    peaks = torch.rand(15, 8, generator=generator) * 0.1
    for k in range(3):
        peaks[:, 2 * k] += member[:, k] * (k + 1)
        peaks[:, 2 * k + 1] += 0.5 * member[:, k]
    shown = telling(Judged(torch.zeros(15, 3), member, peaks, multi=False))
    assert [unit for unit, _ in shown] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]
    assert all(member[row, unit // 2] for unit, row in shown)
    for unit in range(6):
        rows = [row for one, row in shown if one == unit]
        mine = torch.where(member[:, unit // 2] > 0, peaks[:, unit], -1)
        assert rows == mine.topk(3).indices.tolist()


def test_dead_units_show_nothing():
    member = torch.eye(2).repeat(3, 1)
    assert telling(Judged(torch.zeros(6, 2), member, torch.zeros(6, 4), multi=False)) == []
