"""The closed-form gradient of the information, and the paper's approximation of it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import losses as plain

from interpkit.templates import information, mutual_information, place, posterior, single_template_gradient

VECTORS = json.loads((Path(__file__).parent / "vectors" / "icnn_vectors.json").read_text(encoding="utf-8"))
CASES = pytest.mark.parametrize("case", VECTORS["mi_cases"], ids=lambda case: case["name"])
SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, *, units: int = 3, size: tuple[int, int] = (3, 4)) -> torch.Tensor:
    """(N, U, h, w) in float64."""
    rng = np.random.default_rng(seed)
    maps = rng.uniform(0, 0.1, (6, units, *size))
    maps[rng.random(maps.shape) < 0.2] += rng.uniform(0.5, 3)
    return torch.from_numpy(maps)


def of_case(case: dict) -> tuple[torch.Tensor, torch.Tensor]:
    maps = torch.tensor(case["x"], dtype=torch.float64).reshape(-1, 1, case["n"], case["n"])
    return maps, torch.tensor(case["tau"], dtype=torch.float64)


@CASES
def test_one_template_alone_pulls_as_the_vectors_say(case):
    maps, tau = of_case(case)
    target = torch.tensor(case["target_template"])[:, None]
    row, column, _ = place(maps)
    inside = torch.tensor(case["labels"])[:, None] > 0
    assert torch.equal(torch.where(inside, row * case["n"] + column, case["n"] ** 2).long(), target)
    found = single_template_gradient(maps, tau, target, beta=case["beta"], alpha=case["alpha"])
    np.testing.assert_allclose(found.ravel(), np.ravel(case["grad_single_template"]), atol=1e-10)


@CASES
def test_the_sign_lets_descent_raise_the_information(case):
    maps, tau = of_case(case)
    maps.requires_grad_()
    value = mutual_information(maps, tau, beta=case["beta"], alpha=case["alpha"]).sum()
    (-value).backward()
    step = 1e-4 / float(maps.grad.abs().max().clamp(min=1e-9))
    moved = mutual_information(maps.detach() - step * maps.grad, tau, beta=case["beta"], alpha=case["alpha"])
    assert float(moved.sum()) >= float(value.detach())


@given(SEEDS, st.sampled_from([0.05, 1.0, 5.0]), st.sampled_from([1.5, 4.0]))
def test_gradients_agree_with_the_definition(seed, tau, beta):
    maps = drawn(seed, units=2).requires_grad_()
    (-mutual_information(maps, torch.tensor(tau), beta=beta).sum()).backward()
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 13, (6, 2))
    pulled = single_template_gradient(maps, torch.tensor(tau), torch.from_numpy(targets), beta=beta)
    assert not pulled.requires_grad
    for u in range(2):
        x = maps.detach()[:, u].numpy()
        exact = plain.information_gradient(x, tau=tau, beta=beta)
        np.testing.assert_allclose(maps.grad[:, u], exact, atol=1e-9)
        alone = plain.information_gradient(x, tau=tau, beta=beta, targets=targets[:, u].tolist())
        np.testing.assert_allclose(pulled[:, u], alone, atol=1e-9)


@given(SEEDS, st.sampled_from([None, 0.6]), st.sampled_from([(), (1,), (3,)]))
def test_value_and_gradients_are_those_of_autograd(seed, alpha, shape):
    upstream = torch.from_numpy(np.random.default_rng(seed).normal(size=3))
    found = []
    for exact in (mutual_information, lambda *given, **named: posterior(*given, **named).information):
        maps = drawn(seed).requires_grad_()
        tau = torch.full(shape, 2.0, dtype=torch.float64, requires_grad=True)
        value = exact(maps, tau, alpha=alpha)
        (value * upstream).sum().backward()
        found.append((value.detach(), maps.grad, tau.grad))
    for one, other in zip(*found, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=1e-10)


def test_finite_differences_agree():
    maps = drawn(3, size=(2, 3)).requires_grad_()
    tau = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(mutual_information, (maps, tau))


@pytest.mark.parametrize("block", [1, 200, 1 << 30])
def test_how_the_work_is_cut_does_not_matter(monkeypatch, block):
    whole = drawn(4, units=7).requires_grad_()
    tau, targets = torch.linspace(0.5, 3, 7), torch.arange(42).reshape(6, 7) % 13
    value = mutual_information(whole, tau)
    value.sum().backward()
    pulled = single_template_gradient(whole, tau, targets)
    monkeypatch.setattr(information, "_BLOCK", block)
    cut = whole.detach().clone().requires_grad_()
    again = mutual_information(cut, tau)
    again.sum().backward()
    np.testing.assert_allclose(value.detach(), again.detach(), atol=1e-12)
    np.testing.assert_allclose(whole.grad, cut.grad, atol=1e-12)
    np.testing.assert_allclose(pulled, single_template_gradient(cut, tau, targets), atol=1e-12)


def test_single_precision_is_close_and_far_scores_are_no_trouble():
    for scale in (1.0, 1e3, 1e6):
        single, double = (drawn(5).to(kind).mul(scale).requires_grad_() for kind in (torch.float32, torch.float64))
        for maps in (single, double):
            mutual_information(maps, torch.ones(3)).sum().backward()
        assert single.grad.dtype == torch.float32
        np.testing.assert_allclose(single.grad, double.grad, atol=2e-5)


def test_half_precision_gets_its_gradient_back_in_kind():
    maps = drawn(6).bfloat16().requires_grad_()
    exact = maps.detach().double().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        mutual_information(maps, torch.ones(3)).sum().backward()
    mutual_information(exact, torch.ones(3)).sum().backward()
    assert maps.grad.dtype == torch.bfloat16
    np.testing.assert_allclose(maps.grad.float(), exact.grad, rtol=1e-2, atol=1e-4)


def test_a_second_derivative_is_refused_not_wrong():
    maps = drawn(7).requires_grad_()
    value = mutual_information(maps, torch.ones(3)).square().sum()
    (slope,) = torch.autograd.grad(value, maps, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


def test_one_image_says_nothing():
    maps = drawn(8)[:1].requires_grad_()
    value = mutual_information(maps, torch.ones(3))
    value.sum().backward()
    np.testing.assert_allclose(value.detach(), 0, atol=1e-12)
    np.testing.assert_allclose(maps.grad, 0, atol=1e-12)


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_what_is_not_a_number_is_not_hidden(wrong):
    maps = drawn(9)
    maps[2, 1, 0, 0] = wrong
    value = mutual_information(maps.requires_grad_(), torch.ones(3))
    assert value.isnan().tolist() == [False, True, False]
