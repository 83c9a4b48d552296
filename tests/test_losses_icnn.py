"""The filter loss: its gradients against the vectors, its scales, categories, schedules and masks."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_training import CLASSES, SIDE, SITE, UNITS, Tiny, Training
from torch import Tensor

from interpkit.errors import InterpkitError
from interpkit.losses import Layer, Pass, Step, _release
from interpkit.losses.icnn import ICNN
from interpkit.surgery import PartMask
from interpkit.templates import (
    calibrated_tau,
    fitted,
    mutual_information,
    paper_tau,
    peak_level,
    place,
    single_template_gradient,
    spread,
)

VECTORS = json.loads((Path(__file__).parent / "vectors" / "icnn_vectors.json").read_text(encoding="utf-8"))
CODE = VECTORS["code_case"]


def doubles(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def code_case() -> tuple[Tensor, Tensor, Tensor]:
    """Maps (N, U, h, w), their templates, and member (N, U)."""
    maps = doubles(CODE["x"])
    template = fitted(maps, _release.steepness(doubles(CODE["beta_w"]), (4, 4)), "centre")
    return maps, template, (torch.tensor(CODE["labels"])[:, None] > 0).expand(-1, 3)


def drawn(seed: int = 0, *, units: int = UNITS, images: int = 12) -> Tensor:
    rng = np.random.default_rng(seed)
    maps = rng.uniform(0, 0.2, (images, units, SIDE, SIDE))
    maps[rng.random(maps.shape) < 0.05] += rng.uniform(0.5, 3)
    return torch.from_numpy(maps).float()


def asked(loss: ICNN, maps: Tensor, *, member: Tensor | None = None, epoch: int = 0, mask: PartMask | None = None):
    """The loss at these maps, whose outputs cost nothing; attached where it is new."""
    classes = CLASSES if member is None else member.shape[1]
    if not loss.units:
        layers = {SITE: Layer(maps.shape[1], (maps.shape[2], maps.shape[3]), mask)}
        loss.attach(layers, classes=classes, multi=False, epochs=10)
    outputs = torch.zeros(len(maps), classes)
    member = torch.eye(CLASSES)[torch.arange(len(maps)) % CLASSES] if member is None else member
    return loss(Step(member, epoch, lambda edit: Pass(outputs, {SITE: maps}), lambda outputs: outputs.sum()))


def gradient_of(loss: ICNN, maps: Tensor, **given: object) -> Tensor:
    watched = maps.clone().requires_grad_()
    asked(loss, watched, **given).backward()
    return watched.grad


def test_the_release_meets_its_vectors():
    maps, template, member = code_case()
    row, column, _ = place(maps, "centre")
    np.testing.assert_array_equal(torch.stack([row, column], -1), CODE["centroid_row_col"])
    np.testing.assert_allclose(spread(maps, row, column), CODE["spread"], rtol=1e-9)
    np.testing.assert_allclose(template, CODE["mask"], atol=1e-12)
    magnitude = 1e-5 * CODE["mag"] / CODE["epoch"]
    found = _release.release_gradient(maps, template, member, clamp=False, magnitude=magnitude)
    np.testing.assert_allclose(found, CODE["grad_filter_loss"], rtol=1e-9, atol=1e-20)
    target = _release.target_slope(maps, template, member, position="centre")
    np.testing.assert_allclose(target, CODE["beta_target"], rtol=1e-9)


def test_clamped_weights_never_push_an_image_from_its_own_template():
    maps, template, member = code_case()
    # At its place a template is 1: descent must not lower a map there on its unit's category.
    row, column, _ = place(maps, "centre")
    cell = (row * 4 + column).long()[..., None]
    at = {
        clamp: _release.release_gradient(maps, template, member, clamp=clamp).flatten(2).gather(2, cell)[..., 0]
        for clamp in (True, False)
    }
    assert bool((at[True][member] <= 0).all())
    assert bool((at[False][member] > 0).any())
    assert bool((at[True][~member] >= 0).all())
    np.testing.assert_allclose(at[True].where(member, 0.0).sum(0) / member.sum(0), -0.1, rtol=1e-12)


def test_the_release_pulls_nothing_where_there_is_nobody_to_pull():
    maps, template, member = code_case()
    for everyone in (True, False):
        of_all = torch.full_like(member, everyone)
        found = _release.release_gradient(maps * 1e4, template, of_all)
        assert bool(found.isfinite().all())
    assert bool(_release.target_slope(maps, template, torch.zeros_like(member), position="centre").isnan().all())


def test_the_release_pulls_at_strong_and_at_weak_maps():
    member = torch.tensor([True, True, False, False])[:, None]
    for scale in (1e-4, 1e5):
        maps = torch.zeros(4, 1, 4, 4, dtype=torch.float64)
        maps[0, 0, 1, 2], maps[1, 0, 2, 2], maps[2:] = scale, scale / 2, 0
        found = _release.release_gradient(maps, fitted(maps), member)
        pulls = -found[[0, 1], 0, [1, 2], 2], found[2:, 0, 0, 0]
        np.testing.assert_allclose([float(pull.mean()) for pull in pulls], 0.1, rtol=1e-9)


def test_slopes_and_betas_are_two_ways_to_say_it():
    assert float(_release.slope(doubles(4.0), (14, 14))) == pytest.approx(1.857, abs=1e-3)
    assert float(_release.steepness(_release.slope(doubles(3.3), (5, 9)), (5, 9))) == pytest.approx(3.3)


@pytest.mark.parametrize(("classes", "inside", "outside"), [(1, 1, 1), (2, 2, 2 / 3), (20, 10, 0.5 / 0.95)])
def test_rare_categories_count_more(classes, inside, outside):
    found = _release.balance(torch.full((classes,), 0.25))
    np.testing.assert_allclose([float(side[0]) for side in found], [inside, outside], rtol=1e-6)


@pytest.mark.parametrize("case", VECTORS["mi_cases"], ids=lambda case: case["name"])
@pytest.mark.parametrize("gradient", ["exact", "single-template"])
def test_the_filter_loss_meets_the_vectors(case, gradient):
    maps = doubles(case["x"]).reshape(-1, 1, case["n"], case["n"]).requires_grad_()
    inside = torch.tensor(case["labels"]) > 0
    member = torch.stack([inside, ~inside], 1).double()
    loss = ICNN(1.0, gradient=gradient, tau=case["tau"], beta=case["beta"], categories="single").double()
    value = asked(loss, maps, member=member)
    value.backward()
    assert float(value.detach()) == pytest.approx(case["loss"], rel=1e-6)
    expected = case["grad_exact" if gradient == "exact" else "grad_single_template"]
    np.testing.assert_allclose(maps.grad.ravel(), np.ravel(expected), atol=1e-7)


@pytest.mark.parametrize("gradient", ["exact", "single-template", "release"])
def test_whatever_the_gradient_the_value_is_the_loss(gradient):
    maps = drawn()
    tau = torch.from_numpy(calibrated_tau(peak_level(maps.amax((2, 3)).numpy()), (SIDE, SIDE), c=1)).float()
    expected = -0.5 * mutual_information(maps, tau).mean()
    assert float(asked(ICNN(0.5, gradient=gradient), maps).detach()) == pytest.approx(float(expected), rel=1e-5)
    assert gradient_of(ICNN(0.5, gradient=gradient), maps).abs().max() > 0


def test_each_gradient_is_its_formula_and_the_mean_over_units():
    maps, loss = drawn(), ICNN(2.0, gradient="single-template", tau="paper")
    found = gradient_of(loss, maps)
    member = torch.eye(CLASSES)[torch.arange(12) % CLASSES]
    category = (maps.sum((2, 3)).T @ member).argmax(1)
    assert torch.equal(loss.learnt()[f"category.{SITE}"], category)
    row, column, _ = place(maps)
    inside = member[:, category] > 0
    target = torch.where(inside, row * SIDE + column, SIDE * SIDE).long()
    alone = single_template_gradient(maps, torch.tensor(paper_tau((SIDE, SIDE))), target)
    np.testing.assert_allclose(found, 2 / UNITS * alone, rtol=1e-5, atol=1e-12)
    released = _release.release_gradient(maps, fitted(maps), inside)
    sides = torch.where(inside, 0.5 * 3, 0.5 * 1.5)[..., None, None]
    np.testing.assert_allclose(
        gradient_of(ICNN(2.0, gradient="release"), maps), 2 / UNITS / 12 * released * sides, rtol=1e-4, atol=1e-12
    )


def test_several_layers_share_the_penalty():
    maps = {"low": drawn(1), "high": drawn(2, units=4)}
    loss = ICNN(1.0, tau=2.0)
    loss.attach(
        {name: Layer(one.shape[1], (SIDE, SIDE), None) for name, one in maps.items()},
        classes=CLASSES,
        multi=False,
        epochs=3,
    )
    step = Step(torch.zeros(12, CLASSES), 0, lambda edit: Pass(torch.zeros(12, CLASSES), maps), torch.sum)
    alone = [-mutual_information(one, torch.tensor(2.0)).mean() for one in maps.values()]
    assert float(loss(step)) == pytest.approx(float(sum(alone)) / 2, rel=1e-5)


def test_the_scale_follows_the_peaks():
    loss, first, second = ICNN(), drawn(1), 3 * drawn(2)
    levels = [torch.from_numpy(peak_level(one.amax((2, 3)).numpy())).float() for one in (first, second)]
    for maps, level in ((first, levels[0]), (second, 0.9 * levels[0] + 0.1 * levels[1])):
        asked(loss, maps)
        expected = calibrated_tau(level.numpy(), (SIDE, SIDE), c=1)
        np.testing.assert_allclose(loss.learnt()[f"tau.{SITE}"], expected, rtol=1e-5)


def test_the_calibrated_loss_does_not_care_for_scale():
    maps = drawn(3)
    assert float(asked(ICNN(), maps)) == pytest.approx(float(asked(ICNN(), 1000 * maps)), rel=1e-4)


def test_silent_units_get_no_loss():
    maps = drawn(4)
    maps[:, 1] = 0
    maps[:, 2] *= 1e-3
    loss = ICNN()
    moved = gradient_of(loss, maps).abs().amax((0, 2, 3))
    assert (moved > 0).tolist() == [True, False, False, True, True, True]
    assert loss.said()["silent"] == 2
    assert loss.warnings() == (f"2 of {UNITS} units of {SITE} ended silent, and without a filter loss",)
    assert bool((gradient_of(ICNN(tau="paper"), maps)[:, 2] != 0).any())


@pytest.mark.parametrize(("schedule", "factor"), [("constant", 1.0), ("inverse", 0.25), ("paper", None)])
def test_schedules(schedule, factor):
    maps = drawn(5)
    each = -mutual_information(maps, torch.tensor(2.0))
    peaks = maps.amax((2, 3)).mean(0)
    expected = (each * (peaks / 4 if factor is None else factor)).mean()
    found = asked(ICNN(1.0, tau=2.0, schedule=schedule), maps, epoch=3)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_categories_are_a_running_mean_of_summed_maps():
    loss = ICNN(gradient="single-template")
    member = torch.eye(CLASSES)[[0, 0, 1, 1]]
    maps = torch.ones(4, 2, SIDE, SIDE)
    maps[:2, 0] = 3
    maps[2:, 1] = 2
    asked(loss, maps, member=member)
    # No image of the last class: nothing is known of it.
    assert loss.learnt()[f"category.{SITE}"].tolist() == [0, 1]
    units = loss.units[0]
    np.testing.assert_allclose(units.summed, [[108, 36, -1], [36, 72, -1]])
    asked(loss, 2 * maps, member=torch.eye(CLASSES)[[2, 2, 2, 1]])
    np.testing.assert_allclose(units.summed[0], [108, 0.9 * 36 + 0.1 * 72, (216 + 216 + 72) / 3])
    np.testing.assert_allclose(units.share, [0.45, 0.475, 0.075])


def test_all_units_may_be_of_one_category():
    maps = drawn(6)
    member = torch.eye(CLASSES)[torch.arange(12) % CLASSES]
    loss = ICNN(1.0, gradient="single-template", tau=1.0, categories="single", category=2)
    row, column, _ = place(maps)
    target = torch.where(member[:, 2:] > 0, row * SIDE + column, SIDE * SIDE).long()
    alone = single_template_gradient(maps, torch.tensor(1.0), target)
    np.testing.assert_allclose(gradient_of(loss, maps), alone / UNITS, atol=1e-7)
    assert loss.learnt() == {}
    with pytest.raises(InterpkitError, match="no category 7"):
        asked(ICNN(categories="single", category=7), maps)


def test_masks_learn_how_far_their_units_spread():
    maps = drawn(7)
    mask = PartMask(UNITS)
    loss = ICNN(learn_beta=True, beta_rate=0.25, categories="single")
    member = torch.eye(CLASSES)[torch.arange(12) % CLASSES]
    asked(loss, maps, mask=mask)
    assert bool((mask.beta == 4).all())
    loss.after_step(0)
    goal = _release.target_slope(maps, fitted(maps, 4.0), (member[:, :1] > 0).expand(-1, UNITS), position="argmax")
    w = 4 * (SIDE - 1) / (2 * SIDE)
    expected = (w + 0.25 * (goal - w)) * 2 * SIDE / (SIDE - 1)
    np.testing.assert_allclose(mask.beta, expected, rtol=1e-5)
    assert torch.equal(loss.learnt()[f"beta.{SITE}"], mask.beta)
    # Once for a step; and a batch without the category teaches nothing.
    loss.after_step(0)
    asked(loss, maps, member=torch.eye(CLASSES)[torch.ones(12).long()])
    loss.after_step(0)
    np.testing.assert_allclose(mask.beta, expected, rtol=1e-5)


def test_masks_keep_their_beta_unless_told():
    given = Training(ICNN(gradient="release"), Tiny(masked=True))
    given.train(range(3))
    assert bool((given.net.mask.beta == 4).all())
    assert set(given.loss.learnt()) == {f"tau.{SITE}", f"category.{SITE}"}


def test_without_weight_masks_do_not_learn_either():
    given = Training(ICNN(0.0, learn_beta=True), Tiny(masked=True))
    given.train(range(3))
    assert bool((given.net.mask.beta == 4).all())


@pytest.mark.parametrize("gradient", ["exact", "single-template", "release"])
def test_autocast_rounds_nothing(gradient):
    maps, found = drawn(8), []
    for half in (False, True):
        loss = ICNN(gradient=gradient, learn_beta=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            moved = gradient_of(loss, maps)
        found.append((moved, loss.units[0].summed, loss.units[0].level, loss.units[0].slope))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("gradient", ["exact", "single-template"])
def test_training_raises_the_information(gradient):
    reached = {}
    for weight in (0.0, 3.0):
        given = Training(ICNN(weight, gradient=gradient), Tiny(masked=True), epochs=25)
        given.train(range(25))
        maps = given.net.run(given.images).maps[SITE].detach()
        tau = calibrated_tau(peak_level(maps.amax((2, 3)).numpy()), (SIDE, SIDE))
        reached[weight] = float(mutual_information(maps, torch.from_numpy(tau).float()).mean())
    assert reached[3.0] > reached[0.0] + 0.15


def test_what_it_says_of_a_step():
    loss = ICNN(0.5)
    total = float(asked(loss, drawn()))
    said = loss.said()
    assert set(said) == {"task", "penalty", "silent"}
    assert said["task"] + 0.5 * said["penalty"] == pytest.approx(total)
    quiet = ICNN(0.0)
    asked(quiet, drawn())
    assert set(quiet.said()) == {"task"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gradient": "exakt"}, "exact"),
        ({"position": "center"}, "centre"),
        ({"schedule": "1/t"}, "constant"),
        ({"categories": "many"}, "multi"),
        ({"tau": "calibrate"}, "calibrated"),
        ({"tau": 0.0}, "tau is more than 0"),
        ({"beta": -4}, "beta is more than 0"),
        ({"c": math.nan}, "c is a number"),
        ({"beta_rate": 0}, "beta_rate is more than 0"),
        ({"learn_beta": 1}, "learn_beta is true or false"),
        ({"clamp": "no"}, "clamp is true or false"),
        ({"category": 0.5}, "category is a whole number"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(InterpkitError, match=words):
        ICNN(**options)


def test_maps_without_a_place_are_refused():
    with pytest.raises(InterpkitError, match="1 x 2"):
        ICNN().attach({"fc": Layer(4, (1, 2), None)}, classes=3, multi=False, epochs=1)
