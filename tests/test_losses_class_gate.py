"""Class-specific gates against the vectors and the slow definition, and what a training does with them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import losses as plain
from tiny_training import CLASSES, SITE, UNITS, Tiny, Training

from interpkit.errors import InterpkitError
from interpkit.losses import Layer
from interpkit.losses.class_gate import ClassGate, excess, gates_of, is_gated, project

VECTORS = json.loads((Path(__file__).parent / "vectors" / "csg_vectors.json").read_text(encoding="utf-8"))


def doubles(values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def training(*, multi: bool = False, epochs: int = 6, **options: object) -> Training:
    return Training(ClassGate(**options), Tiny(masked=False), multi, epochs)


def test_the_projection_meets_its_vectors():
    case = VECTORS["gate_projection"]
    found = project(doubles(case["G_in"]))
    np.testing.assert_allclose(found, case["G_out"], atol=1e-8)
    assert float(found.sum()) == pytest.approx(case["l1_out"])
    assert float(found.mean()) == pytest.approx(case["l1_density_out"])
    assert float(excess(found, 4)) == pytest.approx(case["hinge_g4"])
    assert float(excess(found, 7)) == pytest.approx(case["hinge_g7"])
    start = VECTORS["gate_projection_uniform_start"]
    np.testing.assert_allclose(project(doubles(start["G_in"])), start["G_out"], atol=1e-8)
    step = VECTORS["l1_step_then_project"]
    np.testing.assert_allclose(project(doubles(step["G_in"]) - step["subtract"]), step["G_out"], atol=1e-8)
    ones = torch.ones_like(doubles(step["all_ones_out"]))
    np.testing.assert_allclose(project(ones - step["subtract"]), step["all_ones_out"], atol=1e-8)


def test_the_schedule_meets_its_vector():
    case = VECTORS["schedule"]
    said = {"period": case["period"], "ordinary": case["csg_when_mod_ge"], "warmup": case["warmup"]}
    paths = ["CSG" if is_gated(epoch, **said) else "STD" for epoch in range(21)]
    assert paths == case["path_epoch_0_to_20"]
    assert sum(is_gated(epoch, **said) for epoch in range(151)) == case["csg_epochs_in_0_to_150"]


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 6))
def test_any_gate_is_projected_as_defined(seed, classes, units):
    gate = np.random.default_rng(seed).integers(-2, 3, (classes, units)).astype(np.float64)
    found = project(torch.from_numpy(gate))
    np.testing.assert_allclose(found, plain.project(gate), atol=1e-12)
    assert bool((found.amax(0) == 1).all())
    assert bool((found >= 0).all())
    assert torch.equal(project(found), found)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.2, 0.7]))
def test_an_image_of_several_classes_gets_the_largest_gate(seed, share):
    rng = np.random.default_rng(seed)
    member, gate = (rng.random((5, 4)) < share).astype(np.float64), rng.random((4, 3))
    found = gates_of(torch.from_numpy(member), torch.from_numpy(gate))
    np.testing.assert_array_equal(found, plain.gates_of(member, gate))


def test_an_image_of_one_class_teaches_that_class_alone():
    gate = torch.rand(3, 4, requires_grad=True)
    gates_of(torch.eye(3)[[1, 1]], gate).sum().backward()
    assert torch.equal(gate.grad, torch.tensor([0.0, 2, 0])[:, None].expand(3, 4))


def test_gated_epochs_see_gated_maps_and_ordinary_ones_do_not():
    given = training(warmup=0)
    with torch.no_grad():
        given.loss.gate.copy_(torch.rand(CLASSES, UNITS))
    step, bound = given.step(0), given.loss.bound
    ordinary = step.task(given.net.run(given.images).outputs)
    rows = given.member @ given.loss.gate
    gated = step.task(given.net.head(given.net.run(given.images).maps[SITE].mean((2, 3)) * rows))
    expected = gated + 1e-2 * torch.relu(given.loss.gate.sum() - bound)
    assert [given.loss.path(epoch) for epoch in range(6)] == 2 * ["ordinary"] + ["gated"] + 3 * ["ordinary"]
    assert float(given.loss(step).detach()) == float(ordinary.detach())
    assert set(given.loss.said()) == {"task", "density"}
    assert float(given.loss(given.step(2)).detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert set(given.loss.said()) == {"gated_task", "penalty", "density"}
    both = training(warmup=0, mode="joint", weight=0.5)
    with torch.no_grad():
        both.loss.gate.copy_(given.loss.gate)
    total = ordinary + 0.5 * gated + expected - gated
    assert float(both.loss(both.step(0)).detach()) == pytest.approx(float(total.detach()), rel=1e-5)
    assert [both.loss.path(epoch) for epoch in range(6)] == 6 * ["joint"]


def test_only_the_topmost_layer_is_gated():
    loss = ClassGate(warmup=0)
    loss.attach({"low": Layer(2, (4, 4), None), "high": Layer(3, (4, 4), None)}, classes=2, multi=False, epochs=9)
    assert loss.gate.shape == (2, 3)
    with torch.no_grad():
        loss.gate.fill_(0.5)
    edit = loss._edit(torch.eye(2))
    low, high = torch.ones(2, 2, 4, 4), torch.ones(2, 3, 4, 4)
    assert torch.equal(edit("low", low), low)
    assert torch.equal(edit("high", high), high / 2)
    assert edit("high", high.bfloat16()).dtype == torch.bfloat16


def test_the_gate_moves_in_gated_epochs_alone():
    given = training(warmup=0)
    before = given.loss.gate.detach().clone()
    given.train(range(2))
    assert torch.equal(given.loss.gate, before)
    assert not given.loss.own_optimizer().state
    given.train(range(2, 3))
    moved = given.loss.gate.detach().clone()
    assert not torch.equal(moved, before)
    assert bool((moved.amax(0) == 1).all())
    given.train(range(3, 5))
    assert torch.equal(given.loss.gate, moved)


@pytest.mark.parametrize("multi", [False, True])
def test_the_network_can_be_left_out_of_it(multi):
    given, other = (training(warmup=0, multi=multi, train_network=learns) for learns in (False, True))
    for one in (given, other):
        one.train(range(2))
    before = {name: value.clone() for name, value in given.net.state_dict().items()}
    slopes = []
    for one in (given, other):
        value = one.loss(one.step(2))
        value.backward()
        slopes.append((float(value.detach()), one.loss.gate.grad.clone()))
        one.optimizer.zero_grad()
        one.loss.own_optimizer().zero_grad()
        one.train(range(2, 3))
    assert slopes[0][0] == slopes[1][0]
    np.testing.assert_allclose(slopes[0][1], slopes[1][1], rtol=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in given.net.state_dict().items())
    assert not all(torch.equal(value, before[name]) for name, value in other.net.state_dict().items())
    assert not bool((given.loss.gate == 1).all())


@pytest.mark.parametrize("rate", [0.1, None])
@pytest.mark.parametrize("mode", ["alternate", "joint"])
def test_a_gate_reaches_its_bound_and_classes_get_units(mode, rate):
    given = training(epochs=60, mode=mode, rate=rate)
    given.train(range(60))
    assert given.loss.said()["density"] <= 1.2 / CLASSES
    assert given.loss.warnings() == ()
    gate = given.loss.learnt()["gate"]
    assert gate.shape == (CLASSES, UNITS)
    assert float(gate.mean()) == pytest.approx(given.loss.said()["density"])


def test_few_gated_steps_are_made_up_for_by_their_rate():
    given = training(epochs=60)
    given.train(range(2))
    (group,) = given.loss.own_optimizer().param_groups
    gated = sum(given.loss.path(epoch) == "gated" for epoch in range(60)) * int(given.loss.steps)
    assert group["lr"] == pytest.approx(min(max(0.02, 6 / gated), 0.2))
    assert group["lr"] > 0.02


def test_a_gate_that_stays_open_is_told():
    given = training(epochs=9, rate=1e-5)
    given.train(range(9))
    (told,) = given.loss.warnings()
    assert "density ended at 1.000, its bound is 0.333" in told


def test_classes_without_a_unit_are_told():
    given = training(density=0.5)
    with torch.no_grad():
        given.loss.gate.copy_(torch.tensor([0.4, 1, 0])[:, None].expand(CLASSES, UNITS))
    assert given.loss.warnings() == ("2 of 3 classes have no unit of their own: 0, 2 (counted from 0)",)


def test_a_training_that_ends_before_the_first_gated_epoch_is_told():
    assert "no epoch was gated" in training(epochs=2).loss.warnings()[0]


@pytest.mark.parametrize(("epochs", "first"), [(1, 0), (4, 1), (8, 2), (12, 3), (60, 3), (200, 10)])
def test_warm_up_fits_the_training(epochs, first):
    assert training(epochs=epochs).loss.first == first
    assert training(epochs=epochs, warmup=7).loss.first == 7


def test_training_ends_on_the_path_that_is_used():
    for epochs in range(4, 40):
        loss = training(epochs=epochs, gated_per_period=2).loss
        assert loss.path(epochs - 1) == "ordinary"
        assert any(loss.path(epoch) == "gated" for epoch in range(epochs))


@pytest.mark.parametrize(("density", "expected"), [(None, 1 / 3), (0.5, 0.5), (1 / 3, 1 / 3), (1.0, 1.0)])
def test_the_bound_is_one_that_can_be_reached(density, expected):
    assert training(density=density).loss.bound == pytest.approx(expected * CLASSES * UNITS)


def test_what_cannot_be_reached_is_refused():
    layers = {SITE: Layer(UNITS, (6, 6), None)}
    with pytest.raises(
        InterpkitError, match=r"density of 0\.2 cannot .* 3 classes .* from 1/3 on, say 0\.3334, it can"
    ):
        ClassGate(density=0.2).attach(layers, classes=3, multi=False, epochs=9)
    ClassGate(density=0.3334).attach(layers, classes=3, multi=False, epochs=9)
    with pytest.raises(InterpkitError, match="has one"):
        ClassGate().attach(layers, classes=1, multi=True, epochs=9)
    wide = ClassGate()
    wide.attach(layers, classes=20, multi=False, epochs=9)
    assert wide.bound == pytest.approx(0.1 * 20 * UNITS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "both"}, "joint"),
        ({"density": 0}, "density is more than 0"),
        ({"density": 1.5}, "between 0 and 1"),
        ({"start": 2.0}, "between 0 and 1"),
        ({"start": 0}, "start is more than 0"),
        ({"rate": 0.0}, "rate is more than 0"),
        ({"hinge": -1}, "hinge is at least 0"),
        ({"period": 1}, "period is at least 2"),
        ({"gated_per_period": 3}, "at most 2 can be gated"),
        ({"gated_per_period": 0}, "gated_per_period is at least 1"),
        ({"warmup": 1.5}, "warmup is a whole number"),
        ({"warmup": -1}, "warmup is at least 0"),
        ({"train_network": 0}, "train_network is true or false"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(InterpkitError, match=words):
        ClassGate(**options)
