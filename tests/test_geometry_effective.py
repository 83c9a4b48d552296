"""Where cells look: against networks whose gaze is known, and on photographs."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from interpkit.errors import InterpkitError, UnknownNameError
from interpkit.geometry import Placement, effective_placement
from interpkit.geometry.placement import half_pixel
from interpkit.models import load_model
from interpkit.probe import Probe


def noise(count: int, size: int) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(3))


def weighted(weights: list[float], stride: int) -> nn.Module:
    """One convolution over rows and columns whose kernel is the outer product of ``weights``, and a clamped head."""
    conv = nn.Conv2d(3, 2, len(weights), stride=stride)
    kernel = torch.tensor(weights)
    with torch.no_grad():
        conv.weight.copy_((kernel[:, None] * kernel).expand_as(conv.weight))
        conv.weight[1] *= -1
    return nn.Sequential(conv, nn.ReLU(inplace=True))


def placed(net: nn.Module, layer: str, images: Tensor, cache) -> Placement:
    return effective_placement(Probe(load_model(net, size=images.shape[2]), layer), layer, images, cache=cache)


def test_a_lopsided_kernel_is_looked_through_at_its_centre_of_gravity(tmp_path):
    # 0, 3, 1 and 0 at offsets 0 to 3: centre of gravity 1.25; the field's mid-point is 1.5.
    found = placed(weighted([0.0, 3.0, 1.0, 0.0], 2), "0", noise(3, 32), tmp_path)
    np.testing.assert_allclose([*found.start, *found.stride], [1.25, 1.25, 2, 2], atol=1e-4)


def test_an_in_place_relu_behind_the_layer_changes_nothing(tmp_path):
    net = weighted([1.0, 1.0, 4.0], 3)
    found = placed(net, "0", noise(2, 31), tmp_path)
    np.testing.assert_allclose([*found.start, *found.stride], [1.5, 1.5, 3, 3], atol=1e-4)


def test_the_unit_that_stands_out_decides(tmp_path):
    conv = nn.Conv2d(3, 2, 4)
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[0, :, 0, 0] = 1
        conv.weight[1, :, 3, 3] = -1
    images = torch.zeros(4, 3, 16, 16)
    images[2] = 10
    # On the bright image unit 0 stands out and looks at offset 0, on the other three unit 1, which looks at offset 3.
    np.testing.assert_allclose(placed(nn.Sequential(conv), "0", images, tmp_path).start, 2.25, atol=1e-4)


def test_where_the_border_cuts_every_field_the_stride_is_the_measured_one(tmp_path):
    convs = [nn.Conv2d(3 if not i else 4, 4, 9, stride=2, padding=4) for i in range(3)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for conv in convs:
            nn.init.uniform_(conv.weight)
    found = placed(nn.Sequential(*convs), "2", noise(4, 32), tmp_path)
    assert found.stride == (8, 8)
    # Cells 1 and 2 of four, and stride 8 where half-pixel is 8 as well.
    assert found.start == pytest.approx((0, 0), abs=3.6)


def test_a_layer_without_a_field_keeps_the_maps_own_stride(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(5))
    found = placed(net, "1", noise(2, 40), tmp_path)
    assert found.stride == half_pixel((40, 40), (5, 5)).stride
    np.testing.assert_allclose(found.start, 3.5, atol=1e-4)


def test_nothing_stays_behind(tmp_path):
    net = weighted([1.0, 2.0], 1).train()
    probe = Probe(load_model(net, size=16), "0")
    images = noise(2, 16)
    before = torch.get_rng_state()
    effective_placement(probe, "0", images, cache=tmp_path)
    assert all(module.training for module in net.modules())
    assert not any(module._forward_hooks for module in net.modules())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert not images.requires_grad
    assert torch.equal(torch.get_rng_state(), before)


def test_bad_input(tmp_path):
    probe = Probe(load_model(weighted([1.0, 2.0], 1), size=16), "0")
    with pytest.raises(UnknownNameError, match="nearest"):
        effective_placement(probe, "1", noise(1, 16), cache=tmp_path)
    with pytest.raises(InterpkitError, match="at least one image"):
        effective_placement(probe, "0", noise(0, 16), cache=tmp_path)
    with pytest.raises(InterpkitError, match="no gradient"):
        placed(nn.Sequential(nn.Conv2d(3, 2, 3), nn.Threshold(1e9, 0.0)), "1", noise(1, 16), tmp_path)


def test_two_runs_agree_bit_for_bit(tmp_path):
    net = weighted([1.0, 2.0, 3.0], 2)
    assert placed(net, "0", noise(5, 33), tmp_path) == placed(net, "0", noise(5, 33), tmp_path)


@pytest.mark.data
@pytest.mark.parametrize(("layer", "count", "near"), [("_bn1", 7, (1, 7)), ("_blocks.10", 14, (0, 4))])
def test_photographs_are_looked_at_near_half_pixel(lite0, shared_data, tmp_path, layer, count, near):
    """Right of and below half-pixel, and far less so than the fields' mid-points (15.5 and 7.5 px)."""
    files = sorted((shared_data / "broden-real" / "images").rglob("*.jpg"))[::30][:8]
    images = torch.stack([torch.from_numpy(lite0.preprocessing(Image.open(file))) for file in files])
    found = effective_placement(Probe(lite0, layer), layer, images, cache=tmp_path)
    off = np.mean(found.start) + (count - 1) / 2 * np.mean(found.stride) - 111.5
    assert near[0] < off < near[1]
