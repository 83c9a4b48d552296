"""Maps held against the masks of objects."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from coloured import Colours, Deep, coloured_set, sample
from labels_on_disk import write_csv

from interpkit.entanglement._finding import find_head
from interpkit.entanglement._localisation import highest, localise, on_grid, overlap, rates, steepest
from interpkit.entanglement._objects import drawn, find_objects
from interpkit.entanglement._sample import evenly
from interpkit.errors import InterpkitError
from interpkit.labels import LabelSet
from interpkit.results import Localisation

VECTORS = json.loads((Path(__file__).parent / "vectors" / "csg_vectors.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    return coloured_set(tmp_path_factory.mktemp("coloured"), images=24)


def tensor(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


# --- the published cases


def test_an_activation_map_on_the_grid():
    case = VECTORS["activation_map_iou"]
    upsampled = on_grid(tensor(case["map"])[None, None], (4, 4))
    np.testing.assert_allclose(upsampled.reshape(4, 4), case["upsampled"], atol=1e-8)
    foreground = highest(upsampled, case["top_rate"])
    np.testing.assert_array_equal(foreground.reshape(4, 4), case["pred"])
    mask = tensor(case["mask_gt"]).reshape(1, 16).float()
    assert float(overlap(foreground[0], mask)) == pytest.approx(case["iou"], abs=1e-8)


def test_a_gradient_map():
    case, masks = VECTORS["grad_map"], VECTORS["activation_map_iou"]
    foreground = steepest(tensor(case["grad"])[None], (4, 4), blurred=False)
    np.testing.assert_array_equal(foreground.reshape(4, 4), case["mask_no_blur"])
    mask = tensor(masks["mask_gt"]).reshape(1, 16).float()
    assert float(overlap(foreground, mask)) == pytest.approx(case["iou_with_mask_gt"], abs=1e-8)


def test_rates_of_success():
    case = VECTORS["ap_at"]
    ious = np.array(case["ious"])
    assert rates(ious, inclusive=True) == pytest.approx((case["Avg_IoU"], case["AP20_ge"], case["AP30_ge"]))
    assert rates(ious, inclusive=False) == pytest.approx((case["Avg_IoU"], case["AP20_gt"], case["AP30_gt"]))


# --- pieces


def test_overlap_of_nothing_with_nothing_is_none():
    found = overlap(torch.zeros(1, 4), torch.zeros(1, 4))
    assert float(found) == 0
    foregrounds = torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 0]])
    masks = torch.tensor([[1.0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]])
    np.testing.assert_allclose(overlap(foregrounds, masks), [[0.5, 1, 0], [0, 0, 0]])


def test_a_gradient_map_that_is_blurred_is_where_the_gradient_is():
    gradient = torch.zeros(2, 3, 32, 48)
    gradient[0, :, 20:28, 4:12] = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = steepest(gradient, (16, 24)).reshape(2, 16, 24)
    rows, columns = found[0].nonzero(as_tuple=True)
    assert 9 <= rows.float().mean() <= 15
    assert 0 <= columns.float().mean() <= 6
    assert not found[1].any()  # no gradient at all
    torch.testing.assert_close(steepest(gradient * 1000, (16, 24)).reshape(2, 16, 24), found)


def test_a_blur_keeps_the_sum_of_a_flat_map():
    from interpkit.entanglement._localisation import _blur

    torch.testing.assert_close(_blur(torch.ones(1, 1, 20, 7)), torch.ones(1, 1, 20, 7))
    spot = torch.zeros(1, 1, 129, 129)
    spot[..., 64, 64] = 1
    blurred = _blur(spot)[0, 0]
    # A standard deviation of 30 in 128, cut off after as many.
    assert float(blurred[64, 64 + 30] / blurred[64, 64]) == pytest.approx(np.exp(-0.5), abs=0.01)
    assert blurred[64, 64 + 31] == 0


def test_images_are_drawn_evenly():
    label = np.repeat([0, 1, 2], [50, 3, 20])
    chosen = evenly(label, at_most=13, seed=0)
    assert np.bincount(label[chosen]).tolist() == [5, 3, 5]
    assert (np.diff(chosen) > 0).all()
    assert evenly(label, at_most=1000, seed=0).tolist() == list(range(73))
    assert evenly(label, at_most=13, seed=1).tolist() != chosen.tolist()


# --- objects


def test_objects_are_read_from_the_label_maps(labels):
    objects = find_objects(sample(labels, Colours()), at_most=1000, seed=0)
    assert objects.place.tolist() == list(range(24))
    assert objects.label.tolist() == [i % 3 for i in range(24)]
    for pair in range(24):
        expected = labels.labels(pair).layers[0] == pair % 3  # concepts are rows of the table, in order
        np.testing.assert_array_equal(objects.masks(np.array([pair])).reshape(8, 8), expected)
    assert [objects.judged[objects.label == k].sum() for k in range(3)] == [4, 4, 4]


def test_partners_are_others_of_the_same_half(labels):
    objects = find_objects(sample(labels, Colours()), at_most=1000, seed=0)
    assert (objects.partner != np.arange(24)).all()
    assert sorted(objects.partner) == list(range(24))
    np.testing.assert_array_equal(objects.judged[objects.partner], objects.judged)
    pairs = np.array([3, 7])
    np.testing.assert_array_equal(objects.both(pairs)[:, 1], objects.masks(objects.partner[pairs]))


def test_an_image_of_two_classes_is_two_pairs_of_one_half(tmp_path):
    taken = sample(coloured_set(tmp_path, both=[0, 1, 2, 4, 8]), Colours())
    objects = find_objects(taken, at_most=1000, seed=0)
    assert len(objects.place) == 23
    for one in np.unique(objects.place):
        assert len(set(objects.judged[objects.place == one])) == 1
    assert (objects.place[objects.partner] != objects.place).all()
    batch = np.array([0, 1, 2])
    pieces = list(objects.of(batch, np.ones(23, np.bool_)))
    assert [len(pairs) for pairs, _ in pieces] == [3, 3]
    for pairs, inside in pieces:
        np.testing.assert_array_equal(batch[inside], objects.place[pairs])
    assert not list(objects.of(batch, np.zeros(23, np.bool_)))
    assert all(map(np.isfinite, (one.mean_iou for one in localise(taken, find_head(taken), units=2))))


def test_few_are_drawn_of_those_that_are_judged(labels):
    objects = find_objects(sample(labels, Colours()), at_most=1000, seed=0)
    chosen = drawn(objects, at_most=6, seed=0)
    assert chosen.sum() == 6
    assert objects.judged[chosen].all()
    assert np.bincount(objects.label[chosen]).tolist() == [2, 2, 2]
    limited = find_objects(sample(labels, Colours()), at_most=12, seed=0)
    assert np.bincount(limited.label).tolist() == [4, 4, 4]


def test_images_without_pixels_of_their_class_are_left_out(tmp_path):
    root = coloured_set(tmp_path).root
    classes = [[f"{i:03d}.png", f"name{(i + (i < 4)) % 3 + 1}"] for i in range(18)]  # wrong for the first four
    write_csv(root / "classes.csv", ["image", "class"], classes)
    objects = find_objects(sample(LabelSet.open(root), Colours()), at_most=1000, seed=0)
    assert objects.place.tolist() == list(range(4, 18))


def refused(labels: LabelSet, message: str) -> None:
    taken = sample(labels, Colours())
    with pytest.raises(InterpkitError, match=message) as error:
        localise(taken, find_head(taken))
    assert "\n" not in str(error.value)


def test_what_cannot_be_localised(tmp_path):
    made = coloured_set(tmp_path / "masks")
    for i in range(18):
        folder = tmp_path / "plain" / f"name{i % 3 + 1}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.png").write_bytes(made.path(i).read_bytes())
    refused(LabelSet.open(tmp_path / "plain"), "needs masks of objects, and label set plain has no label maps")
    table = made.root / "classes.csv"
    rows = [[f"{i:03d}.png", f"name{i % 3 + 1}"] for i in range(18)]
    write_csv(table, ["image", "class"], [[image, f"{name}x"] for image, name in rows])
    refused(LabelSet.open(made.root), "no concept of masks is called like one of its 3 classes; nearest to 'name1x'")
    write_csv(table, ["image", "class"], [[image, f"name{(int(name[4]) % 3) + 1}"] for image, name in rows])
    refused(LabelSet.open(made.root), "no class of masks has pixels in the label maps of two of its images")


# --- everything


def by_method(found: tuple[Localisation, ...]) -> dict[str, Localisation]:
    return {one.method: one for one in found}


def test_units_that_look_for_colours_find_the_coloured_objects(labels):
    taken = sample(labels, Colours())
    found = by_method(localise(taken, find_head(taken), units=2))
    assert list(found) == ["CAM", "activation map", "gradient map"]
    assert all(one.images == 12 for one in found.values())
    cam = found["CAM"]
    # 30 % of the picture holds the object, which is smaller.
    assert cam.mean_iou > cam.chance_iou + 0.1
    assert 0 <= cam.ap30 <= cam.ap20 <= 1
    assert "ReLU between" in cam.words
    units = found["activation map"]
    assert units.mean_iou > units.chance_iou + 0.05
    assert 0 <= units.chance_ap30 <= units.chance_ap20 <= 1


def test_a_head_that_is_not_linear_is_weighed_by_its_gradient(labels):
    taken = sample(labels, Deep(), "net.act")
    linear = sample(labels, Colours(), "net.act")
    graded, cam = localise(taken, find_head(taken), units=1)[0], localise(linear, find_head(linear), units=1)[0]
    assert graded.method == "Grad-CAM"
    assert graded.words.startswith("the head is no linear layer on pooled maps")
    assert graded.mean_iou == pytest.approx(cam.mean_iou, abs=0.02)


def test_a_class_activation_map_by_hand(labels):
    taken = sample(labels, Colours(), "net.act")
    objects = find_objects(taken, at_most=1000, seed=0)
    weight = taken.probe.model.net.head.weight.detach()[1:]
    ious = []
    for pair in np.flatnonzero(objects.judged):
        with taken.batches(np.array([objects.place[pair]])) as batches:
            maps = taken.looked(next(batches).images)["net.act"][0]
        cam = (maps * weight[objects.label[pair]][:, None, None]).sum(0)
        small = torch.nn.functional.interpolate(cam[None, None], size=(8, 8), mode="bilinear", align_corners=False)
        level = np.sort(small.numpy().ravel())[-int(0.3 * 64)]
        mask, foreground = (
            objects.masks(np.array([pair]))[0] > 0,
            (small.numpy().ravel() >= level) & (small.numpy().ravel() > small.numpy().min()),
        )
        ious.append((mask & foreground).sum() / (mask | foreground).sum())
    cam = localise(taken, find_head(taken), units=1)[0]
    assert cam.mean_iou == pytest.approx(np.mean(ious), abs=1e-6)
    assert cam.ap30 == pytest.approx(np.mean(np.array(ious) > 0.3))


def mixed() -> Colours:
    """Units that look for mixtures of colours, some of them for what is not there."""
    net = Colours()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        net.colour.weight[:6] = torch.randn(6, 3, 1, 1)
    return net


def test_activation_maps_by_hand(labels):
    taken = sample(labels, mixed())
    objects = find_objects(taken, at_most=1000, seed=0)
    with taken.batches() as batches:
        maps = torch.cat([taken.looked(batch.images)["net.colour"] for batch in batches])
    flat = maps.swapaxes(0, 1).reshape(7, -1).numpy()
    level = np.quantile(flat.astype(np.float64), 0.7, axis=1)
    alive = level > flat.min(1)
    read = on_grid(maps, (8, 8)).numpy()
    foreground = np.where(alive[:, None], read >= level[:, None].astype(np.float32), read > flat.min(1)[:, None])
    masks = objects.masks(np.arange(24)) > 0
    both = (foreground & masks[:, None]).sum(2)
    ious = both / np.maximum((foreground | masks[:, None]).sum(2), 1)
    half, label = objects.judged, objects.label
    scores = []
    for unit in range(7):
        share = [(ious[~half & (label == k), unit] > 0.3).mean() for k in range(3)]
        mean = [ious[~half & (label == k), unit].mean() for k in range(3)]
        best = max(range(3), key=lambda k: (share[k], mean[k]))
        judged = ious[half & (label == best), unit]
        scores.append([judged.mean(), (judged > 0.2).mean(), (judged > 0.3).mean()])
    found = localise(taken, find_head(taken), units=1)[1]
    np.testing.assert_allclose([found.mean_iou, found.ap20, found.ap30], np.mean(scores, axis=0), atol=1e-6)


def test_units_for_gradient_maps_can_be_named(labels):
    taken = sample(labels, Colours())
    head = find_head(taken)
    ranking = np.zeros((7, 3))
    ranking[6] = 1  # the unit that looks at nothing
    gradient = by_method(localise(taken, head, units=1, ranking=ranking))["gradient map"]
    assert gradient.mean_iou == 0
    assert gradient.words.startswith("1 unit a class")


def test_gradient_maps_of_a_unit_that_sees_only_the_object(tmp_path):
    """The gradient of a convolution is flat; of one behind a ReLU it is the object."""
    labels = coloured_set(tmp_path, images=12)
    taken = sample(labels, Colours(inplace=False), "net.act")
    found = localise(taken, find_head(taken), units=1)[2]
    assert found.method == "gradient map"
    assert found.images == 6
    assert found.mean_iou > found.chance_iou


def test_a_seed_decides_and_nothing_is_left_behind(labels):
    net = Deep()
    taken = sample(labels, net)
    head = find_head(taken)
    net.train()
    states = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    wanted = [(p.requires_grad, p.grad) for p in net.parameters()]
    first, second = (localise(taken, head, units=2) for _ in range(2))
    assert [vars(a) for a in first] == [vars(b) for b in second]
    assert [vars(a) for a in localise(taken, head, units=2, seed=5)] != [vars(a) for a in first]
    assert [(p.requires_grad, p.grad) for p in net.parameters()] == wanted
    assert all(module.training for module in net.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), str(np.random.get_state()))


def test_units_of_a_class_are_those_highest_on_the_images_that_choose(labels):
    from interpkit.entanglement._localisation import _mean_activation

    taken = sample(labels, mixed())
    objects = find_objects(taken, at_most=1000, seed=0)
    choosing = set(objects.place[~objects.judged])
    by_hand = [np.mean([taken.pooled[i] for i in range(k, 24, 3) if i in choosing], axis=0) for k in range(3)]
    np.testing.assert_allclose(_mean_activation(taken, objects), np.array(by_hand).T, atol=1e-6)
