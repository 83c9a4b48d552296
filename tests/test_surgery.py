"""Masks, added layers and heads put into networks; the network given is left alone."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from interpkit.errors import InterpkitError, ModelError, UnknownNameError
from interpkit.models import load_model
from interpkit.probe import Probe, survey
from interpkit.surgery import AddedLayer, Cut, Dropped, MaskedLayer, Opened, PartMask, Site, Surgery, operate
from interpkit.templates import mask

SIDE = 32


class Block(nn.Module):
    """A residual block that takes an option by name, as EfficientNet's do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)

    def forward(self, maps: Tensor, scale: float = 1.0) -> Tensor:
        return maps + scale * self.norm(self.conv(maps))


class Net(nn.Module):
    """A list of blocks, an in-place activation that runs three times, dropout, a twin that stands at two places."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.late = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.also_late = self.late
        self.top = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.drop = nn.Dropout(0.5)
        self.unused = nn.Conv2d(6, 6, 1)
        self.fc = nn.Linear(8, 10)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.relu(self.stem(images))
        for number, block in enumerate(self.blocks):
            try:
                maps = self.relu(block(maps, scale=0.5 + number))
            except Exception:
                maps = torch.zeros_like(maps)
        maps = self.top(self.relu(self.also_late(maps)))
        return self.fc(self.drop(maps.mean((2, 3))))


def net(seed: int = 0) -> Net:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = Net()
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    return made.eval()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


LAYER = "blocks.1"


def surgery(**changes: object) -> Surgery:
    return Surgery.from_dict({"layer": LAYER, "classes": 5, "mask": "argmax", **changes})


def maps_of(network: nn.Module, layer: str, images: Tensor) -> Tensor:
    return Probe(network, layer)(images)[layer]


WAYS = [
    {"head": "pooled"},
    {"head": "pooled", "mask_layer": True},
    {"head": "pooled", "mask_layer": True, "add": False},
    {"head": "pooled", "filters": 4},
    {"head": "classifier"},
    {"head": "classifier", "mask_layer": True},
    {"head": "classifier", "mask_layer": True, "add": False},
]


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("position", ["argmax", "centre", None])
def test_sites_rectify_then_mask(way, position, images):
    base = net()
    operated = operate(base, surgery(**way, mask=position, beta=3.0), images)
    below = torch.relu(maps_of(base, LAYER, images))
    for site in operated.sites:
        act, masked = maps_of(operated.module, site.act, images), maps_of(operated.module, site.mask, images)
        assert act.min() >= 0
        kept = act if position is None else act * mask(act, 3.0, position)
        torch.testing.assert_close(masked, kept)
        if "added" not in site.act:
            torch.testing.assert_close(act, below)
    assert operated.module(images).shape == (3, 5)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_names_are_those_of_the_recipe(way, images):
    operated = operate(net(), surgery(**way), images)
    pooled = way["head"] == "pooled"
    own = "masked" if pooled else LAYER
    added = "added" if pooled else f"{LAYER}.added"
    wanted = [own] if way.get("mask_layer") else []
    wanted += [added] if way.get("add", True) else []
    assert operated.sites == tuple(Site(f"{name}.act", f"{name}.mask") for name in wanted)
    fresh = [f"{added}.conv"] if way.get("add", True) else []
    assert operated.fresh == (*fresh, "head" if pooled else "fc")


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_network_given_is_left_alone(way, images):
    base = net().train()
    base.blocks[0].norm.eval()
    before, flags = deepcopy(base.state_dict()), [module.training for module in base.modules()]
    draws = torch.get_rng_state()
    operated = operate(base, surgery(**way), images)
    with torch.no_grad():
        for parameter in operated.module.parameters():
            parameter.add_(1)
    assert all(torch.equal(before[name], value) for name, value in base.state_dict().items())
    assert [module.training for module in base.modules()] == flags
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in base.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in operated.module.modules())
    assert base.relu.inplace
    assert torch.equal(draws, torch.get_rng_state())
    # Flags of what is taken over are the base's.
    renamed = surgery(**way).renamed
    assert not operated.module.get_submodule(renamed("blocks.0.norm")).training
    assert operated.module.get_submodule(renamed("blocks.0.conv")).training


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_weights_taken_over_keep_their_values_under_their_new_names(way, images):
    base, done = net(), surgery(**way)
    operated = operate(base, done, images)
    for name in ("stem", "blocks.0.conv", LAYER, f"{LAYER}.conv"):
        old = base.get_submodule(name)
        assert torch.equal(next(old.parameters()), next(operated.module.get_submodule(done.renamed(name)).parameters()))


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_new_weights_depend_on_the_seed_alone(way, images):
    first = operate(net(), surgery(**way), images).module.state_dict()
    torch.rand(7)
    control = operate(net(), surgery(**way, mask=None), torch.zeros(1, 3, SIDE, SIDE)).module.state_dict()
    other = operate(net(), surgery(**way, seed=1), images).module.state_dict()
    assert all(torch.equal(first[name], value) for name, value in control.items())
    assert set(first) - set(control) == {name for name in first if name.endswith("mask.beta")}
    assert any(not torch.equal(first[name], value) for name, value in other.items())


def test_new_weights_are_drawn_as_torch_draws_them():
    wide = operate(nn.Sequential(nn.Conv2d(3, 64, 1), nn.ReLU()), Surgery("1", 4), torch.rand(1, 3, 8, 8))
    added, head = wide.module.get_submodule("added.conv"), wide.module.get_submodule("head")
    assert isinstance(added, nn.Conv2d)
    assert isinstance(head, nn.Linear)
    assert added.weight.abs().max() <= 1 / 24
    assert added.weight.detach().std() == pytest.approx(1 / 24 / 3**0.5, rel=0.02)
    assert added.bias is not None
    assert not added.bias.any()
    assert head.weight.abs().max() <= 1 / 8


def test_what_comes_after_the_layer_is_gone(images):
    module = operate(net(), surgery(), images).module
    state = {name.removeprefix("trunk.base.") for name in module.state_dict() if name.startswith("trunk.base.")}
    # A module that never runs may be read by another's code; one that runs only later is not missed.
    assert {name.partition(".")[0] for name in state} == {"stem", "blocks", "unused"}
    assert isinstance(module.get_submodule("trunk.base.late"), Dropped)
    assert isinstance(module.get_submodule("trunk.base.also_late"), Dropped)
    inner = operate(net(), surgery(layer="blocks.0"), images).module
    assert isinstance(inner.get_submodule("trunk.base.blocks.1"), Dropped)


def test_a_cut_inside_a_sequence_drops_the_rest_of_it(images):
    module = operate(net(), surgery(layer="top.0"), images).module
    kinds = [type(child) for child in module.get_submodule("trunk.base.top").children()]
    assert kinds == [nn.Conv2d, Dropped, Dropped]
    with pytest.raises(ModelError, match="cut below"):
        module.get_submodule("trunk.base.top")(torch.zeros(1, 8, 8, 8))


def test_every_layer_of_the_new_network_can_be_looked_into(images):
    base = net()
    for head in ("pooled", "classifier"):
        done = surgery(head=head, mask_layer=True)
        model = load_model(operate(base, done, images).module, size=SIDE)
        names = [info.name for info in survey(model) if info.hookable]
        found = Probe(model, names)(images)
        wanted = ["stem", "blocks.0", "blocks.0.conv", "blocks.1.conv"]
        assert {done.renamed(name) for name in wanted} <= set(names)
        for name in wanted:
            torch.testing.assert_close(found[done.renamed(name)], maps_of(base, name, images))
        both = Probe(model, [done.renamed("blocks.1"), done.renamed("stem"), "fc" if head == "classifier" else "head"])
        maps, outputs = both.through(images)
        torch.testing.assert_close(maps[both.layers[2]][:, :, 0, 0], outputs)


def test_looking_at_the_cut_layer_itself(images):
    base = net()
    module = operate(base, surgery(), images).module
    found = Probe(module, ["trunk", f"trunk.base.{LAYER}"])(images)
    for maps in found.values():
        torch.testing.assert_close(maps, maps_of(base, LAYER, images))


def test_state_dict_copies_and_modes(images):
    first = operate(net(), surgery(mask_layer=True), images).module
    second = operate(net(3), surgery(mask_layer=True, seed=4), images).module
    assert not torch.equal(first(images), second.eval()(images))
    second.load_state_dict(first.state_dict())
    expected = first.eval()(images)
    assert torch.equal(expected, second.eval()(images))
    assert torch.equal(expected, deepcopy(first)(images))
    assert not torch.equal(expected, first.train()(images))


def test_masks_learn_their_steepness_and_keep_it(images):
    first = operate(net(), surgery(), images).module.eval()
    before = first(images)
    found = first.get_submodule("added.mask")
    assert isinstance(found, PartMask)
    assert found.beta.shape == (6,)
    assert "argmax, beta=4" in repr(first)
    found.beta[:5] = 1.5
    assert "beta=1.5..4" in repr(first)
    assert not torch.equal(before, first(images))
    second = operate(net(), surgery(), images).module.eval()
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(images), second(images))


def test_a_mask_is_a_constant_for_back_propagation():
    maps = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    module = PartMask(3, "argmax", 2.0)
    module(maps).sum().backward()
    torch.testing.assert_close(maps.grad, (maps > 0) * mask(maps.detach(), 2.0))
    assert torch.equal(module(maps), module.eval()(maps))


def test_a_map_without_a_peak_stays_empty():
    assert not PartMask(2)(-torch.rand(1, 2, 4, 4)).any()


def test_gradients_reach_the_base_in_training(images):
    for way in [*WAYS, *({**way, "mask": None} for way in WAYS)]:
        module = operate(net(), surgery(**way), images).module.train()
        # Only what has run can have a gradient: the in-place activations behind a site must not spoil it.
        module(images).square().sum().backward()
        names = {name for name, parameter in module.named_parameters() if parameter.grad is None}
        assert {name for name in names if "unused" not in name} == set()


@pytest.mark.parametrize("head", ["pooled", "classifier"])
def test_under_autocast(head, images):
    module = operate(net(), surgery(head=head, mask_layer=True), images).module
    with torch.autocast("cpu", torch.bfloat16):
        outputs = module(images)
    assert outputs.isfinite().all()
    assert outputs.dtype == torch.bfloat16


def test_double_precision_is_kept(images):
    module = operate(net().double(), surgery(mask_layer=True), images.double()).module
    assert {p.dtype for p in module.parameters()} == {torch.float64}
    assert module(images.double()).dtype == torch.float64


def test_the_classifier_head_changes_nothing_before_it(images):
    # The layer is rectified already, so a surgery without masks leaves what reaches the head as it was.
    base = net()
    operated = operate(base, surgery(layer="top", head="classifier", add=False, mask_layer=True, mask=None), images)
    torch.testing.assert_close(maps_of(operated.module, "drop", images), maps_of(base, "drop", images))
    fc = operated.module.get_submodule("fc")
    assert isinstance(fc, nn.Linear)
    assert (fc.in_features, fc.out_features) == (8, 5)


def test_a_1_x_1_convolution_is_a_classifier(images):
    base = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 9, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    operated = operate(base, Surgery("1", 4, head="classifier"), images)
    assert operated.fresh == ("1.added.conv", "2")
    assert operated.module(images).shape == (3, 4)
    assert isinstance(operated.module.get_submodule("1"), Opened)


def test_a_network_after_surgery_can_be_operated_on_again(images):
    first = operate(net(), surgery(mask_layer=True), images).module.eval()
    second = operate(first, Surgery("added", 7, mask="centre"), images)
    torch.testing.assert_close(maps_of(second.module, "trunk", images), maps_of(first, "added", images))
    assert isinstance(second.module.get_submodule("trunk.base.head"), Dropped)
    # Once more below the first cut: the old cut's own layer is gone.
    third = operate(first, Surgery("trunk.base.blocks.0", 7), images).module
    torch.testing.assert_close(maps_of(third, "trunk", images), maps_of(net(), "blocks.0", images))
    assert third(images).shape == (3, 7)


def test_recipes_travel_as_plain_values():
    done = surgery(filters=7, beta=2.5)
    assert Surgery.from_dict(done.to_dict()) == done
    assert done.renamed("stem") == "trunk.base.stem"
    kept = surgery(head="classifier")
    names = ["stem", LAYER, f"{LAYER}.conv", "blocks.11.conv"]
    assert [kept.renamed(name) for name in names] == ["stem", f"{LAYER}.body", f"{LAYER}.body.conv", "blocks.11.conv"]


class Pair(nn.Module):
    """A layer that gives two maps, one that gives tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3)
        self.pair = Twice()
        self.tokens = nn.Flatten(2)

    def forward(self, images: Tensor) -> Tensor:
        first, second = self.pair(self.body(images))
        return self.tokens(first + second).mean(2)


class Twice(nn.Module):
    """Gives its input twice."""

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        return maps, maps


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layer": "blocks"}, "'blocks' does not run"),
        ({"layer": "relu"}, "'relu' runs 4 times in one forward pass; surgery needs one that runs once"),
        ({"layer": "fc"}, r"'fc' gives \(1, 10\), no maps"),
        ({"layer": "late", "head": "classifier", "filters": 3}, "3 filters above late do not fit .* takes 8 maps"),
    ],
)
def test_what_cannot_be_operated_on_is_refused(changes, words, images):
    with pytest.raises(InterpkitError, match=words) as error:
        operate(net(), surgery(**changes), images)
    assert "\n" not in str(error.value)


def test_unknown_layers_list_the_nearest(images):
    with pytest.raises(UnknownNameError, match=r"no layer 'block\.1' in Net; nearest: .*blocks\.1"):
        operate(net(), surgery(layer="block.1"), images)
    with pytest.raises(UnknownNameError, match="no layer ''"):
        operate(net(), surgery(layer=""), images)


def test_layers_that_give_something_else_are_refused(images):
    with pytest.raises(ModelError, match="gives tuple, no maps"):
        operate(Pair(), Surgery("pair", 3), images)
    with pytest.raises(ModelError, match=r"gives \(1, 4, 900\), no maps"):
        operate(Pair(), Surgery("tokens", 3), images)


def test_networks_without_a_classifier_want_the_pooled_head(images):
    with pytest.raises(ModelError, match="no linear layer or 1 x 1 convolution behind it to replace"):
        operate(Pair(), Surgery("body", 3, head="classifier"), images)
    maps = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 9, 1))
    with pytest.raises(ModelError, match=r"gives \(1, 3, 30, 30\), not 3 numbers an image; take the head pooled"):
        operate(maps, Surgery("0", 3, head="classifier"), images)


def test_images_of_another_kind_are_refused(images):
    with pytest.raises(ModelError, match="Net does not take images of 1 x 1 x 32 x 32"):
        operate(net(), surgery(), images[:, :1])


def test_networks_that_cannot_be_copied_are_refused(images):
    base = net()
    base.kept = torch.rand(2, requires_grad=True) * 2
    with pytest.raises(ModelError, match="Net cannot be copied: Only Tensors created explicitly"):
        operate(base, surgery(), images)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mask": "peak"}, "mask is one of argmax, centre, None, not 'peak'"),
        ({"head": "linear"}, "head is one of pooled, classifier, not 'linear'"),
        ({"add": False}, "nothing is left to train at blocks.1"),
        ({"add": False, "mask_layer": True, "filters": 3}, "3 filters go with an added layer"),
        ({"filters": 0}, "at least 1 class and 1 filter, not 5 and 0"),
        ({"classes": 0}, "at least 1 class and 1 filter"),
        ({"beta": 0.0}, "positive beta, this is 0"),
        ({"beta": float("inf")}, "positive beta"),
        ({"beta": 10**400}, "positive beta"),
        ({"beta": "4"}, "beta is of type int or float, not '4'"),
        ({"filters": 3.5}, "filters is of type int or None, not 3.5"),
        ({"classes": True}, "classes is of type int, not True"),
        ({"add": 1}, "add is of type bool, not 1"),
        ({"layer": ["stem"]}, r"layer is of type str, not \['stem'\]"),
        ({"seed": "a"}, "seed is of type int, not 'a'"),
        ({"seed": 1e30}, "seed is of type int, not 1e\\+30"),
        ({"seed": -1}, "seeds lie between 0 and"),
        ({"seed": 2**63}, "seeds lie between 0 and"),
    ],
)
def test_contradictions_are_refused(changes, words):
    with pytest.raises(InterpkitError, match=words):
        surgery(**changes)


def test_a_layer_that_stops_running_is_said(images):
    class Fickle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Conv2d(3, 4, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.body(images) if images.shape[-1] > 8 else images

    trunk = operate(Fickle(), Surgery("body", 3), images).module.get_submodule("trunk")
    assert isinstance(trunk, Cut)
    with pytest.raises(ModelError, match="layer 'body' did not run on these images"):
        trunk(images[..., :8, :8])
    assert not any(module._forward_hooks for module in trunk.modules())


def test_modules_by_themselves():
    maps = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    added = AddedLayer(3, 5, nn.Identity())
    nn.init.ones_(added.conv.weight)
    assert added.conv.bias is not None
    nn.init.zeros_(added.conv.bias)
    torch.testing.assert_close(added(maps)[:, :, 1, 1], maps[:, :, :3, :3].sum((1, 2, 3))[:, None].expand(2, 5).relu())
    torch.testing.assert_close(MaskedLayer(nn.Identity())(maps), maps.relu())
    assert torch.equal(Opened(nn.Identity(), None, None)(maps), maps)


@pytest.mark.parametrize("head", ["pooled", "classifier"])
@pytest.mark.parametrize("spec", ["torchvision:resnet18", "torchvision:mobilenet_v3_small", "lite:efficientnet-lite0"])
def test_on_networks_that_everybody_uses(spec, head):
    if spec.startswith("lite:"):
        pytest.importorskip("efficientnet_lite_pytorch", reason="the extra `zoo` is not installed")
    layer = {"r": "layer3", "m": "features.8", "e": "_blocks.10"}[spec.partition(":")[2][0]]
    base = load_model(f"{spec}@random", size=64)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    operated = operate(base.module, Surgery(layer, 6, mask="argmax", mask_layer=True, head=head), images)
    torch.testing.assert_close(
        maps_of(operated.module, operated.sites[0].act, images), maps_of(base.module, layer, images).relu()
    )
    operated.module(images).sum().backward()
    assert operated.module(images).shape == (2, 6)
