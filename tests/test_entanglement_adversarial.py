"""Attacks that stay where they may, and a forest that tells them from clean images."""

import random

import numpy as np
import pytest
import torch
from coloured import Colours, Deep, coloured_set, sample
from torch.nn.functional import cross_entropy

from interpkit.entanglement._adversarial import Reach, _judge, attack_images, detect
from interpkit.entanglement._finding import find_head
from interpkit.errors import InterpkitError

MEAN, SPREAD = torch.tensor([0.1, 0.0, 0.2])[:, None, None], torch.tensor([1.0, 2.0, 0.5])[:, None, None]


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    return coloured_set(tmp_path_factory.mktemp("coloured"), images=24)


def pictures(taken, places) -> tuple[torch.Tensor, torch.Tensor]:
    """Preprocessed images, and the same on the 0..1 scale."""
    with taken.batches(np.array(places)) as batches:
        images = torch.cat([batch.images for batch in batches])
    return images, images * SPREAD + MEAN


@pytest.mark.parametrize("net", [Colours, Deep])
def test_one_step_along_the_sign_of_the_gradient(labels, net):
    taken = sample(labels, net())
    head, places = find_head(taken), np.array([0, 1, 5])
    images, plain = pictures(taken, places)
    leaf = plain.clone().requires_grad_()
    outputs = taken.probe.model((leaf - MEAN) / SPREAD)[:, 1:]
    cross_entropy(outputs, torch.tensor([0, 1, 2]), reduction="sum").backward()
    expected = (plain + 0.05 * leaf.grad.sign()).clamp(0, 1)
    found = attack_images(taken, head, images, places=places, reach=Reach(0.05, 0.05, 1)) * SPREAD + MEAN
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert float((found - plain).abs().max()) == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize("epsilon", [0.02, 0.9])
def test_several_steps_stay_within_epsilon_and_within_the_image(labels, epsilon):
    taken = sample(labels, Deep())
    head, places = find_head(taken), np.arange(6)
    images, plain = pictures(taken, places)
    found = attack_images(taken, head, images, places=places, reach=Reach(epsilon, epsilon / 4, 10)) * SPREAD + MEAN
    assert float((found - plain).abs().max()) <= epsilon + 1e-6
    assert found.min() >= -1e-6
    assert found.max() <= 1 + 1e-6
    losses = [
        cross_entropy(taken.probe.through((x - MEAN) / SPREAD)[1][:, 1:], torch.tensor([0, 1, 2] * 2))
        for x in (plain, found)
    ]
    assert losses[1] > losses[0]
    assert len(np.unique((found - plain).abs().numpy().round(5))) > 2 or epsilon == 0.02


@pytest.mark.parametrize("classes", [("none", "name1", "name2", "name3"), ()])
def test_attacked_images_are_told_from_clean_ones(labels, classes):
    """The network's own head, and a logistic one through which the attack goes as well."""
    taken = sample(labels, Colours(), classes=classes)
    head = find_head(taken)
    assert ("logistic" in head.words) is (not classes)
    found = detect(taken, head, attack="PGD", epsilon=0.3, trees=20)
    assert (found.attack, found.epsilon, found.seeds) == ("PGD", 0.3, 3)
    assert 10 <= found.pairs <= 24
    assert found.fooled == pytest.approx(found.pairs / (24 * head.accuracy))
    assert found.error < 0.2
    assert found.auroc > 0.9
    assert found.error_sd >= 0


def test_few_images_are_drawn_evenly(labels):
    taken = sample(labels, Colours())
    found = detect(taken, find_head(taken), attack="PGD", epsilon=0.5, at_most=18, trees=5, seeds=1)
    assert found.fooled == pytest.approx(found.pairs / 18)
    with pytest.raises(InterpkitError, match="turned 0 of 18"):  # a single step of a quarter
        detect(taken, find_head(taken), attack="PGD", epsilon=0.5, at_most=18, steps=1)
    assert (found.error_sd, found.auroc_sd) == (0, 0)


def test_a_forest_is_judged_by_pairs_it_has_not_seen():
    """Pairs whose members are alike: a forest that knows one member would know the other's opposite answer."""
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(61, 5)).astype(np.float32)
    error, area = _judge(clean, clean + 1e-6 * rng.normal(size=clean.shape).astype(np.float32), trees=50, seed=0)
    assert 0.35 < error < 0.65
    assert 0.35 < area < 0.65
    assert _judge(clean, clean, trees=10, seed=0)[0] == pytest.approx(0.5)
    assert _judge(clean, clean + 10, trees=10, seed=0) == (0, 1)


def test_what_cannot_be_attacked(labels, tmp_path):
    taken = sample(labels, Colours())
    head = find_head(taken)
    for options, message in [
        ({"attack": "PDG"}, "no attack 'PDG'; there is FGSM, PGD; nearest: PGD"),
        ({"epsilon": 0.0}, "an epsilon in 0..1, not 0"),
        ({"epsilon": 2.0}, "an epsilon in 0..1, not 2"),
        ({"seeds": 0}, "at least 1 step, image, tree and seed"),
        ({"epsilon": 1e-4}, "FGSM with epsilon 0.0001 turned 0 of 24 images that the head gets right"),
    ]:
        with pytest.raises(InterpkitError, match=message) as error:
            detect(taken, head, **options)
        assert "\n" not in str(error.value)
    several = sample(coloured_set(tmp_path, both=[1]), Colours())
    with pytest.raises(InterpkitError, match="one class an image"):
        detect(several, find_head(several))


def test_a_seed_decides_and_nothing_is_left_behind(labels):
    net = Deep()
    taken = sample(labels, net)
    head = find_head(taken)
    net.train()
    states = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    first, second = (detect(taken, head, epsilon=0.5, trees=5) for _ in range(2))
    assert vars(first) == vars(second)
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert all(module.training for module in net.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), str(np.random.get_state()))
