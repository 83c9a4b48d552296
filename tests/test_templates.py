"""Part templates against the published-formula vectors, the slow definition, and what must hold for any maps."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import templates as plain

from interpkit.errors import InterpkitError
from interpkit.templates import (
    auc,
    calibrated_tau,
    dead,
    kappa,
    mutual_information,
    paper_tau,
    peak_level,
    posterior,
    prior,
    statistics,
    template_statistics,
    templates,
)

Maps = NDArray[np.float32]
VECTORS = json.loads((Path(__file__).parent / "vectors" / "icnn_vectors.json").read_text(encoding="utf-8"))
CASES = VECTORS["mi_cases"]


def spikes(seed: int, *, images: int = 12, units: int = 3, size: tuple[int, int] = (3, 4)) -> Maps:
    """(N, U, h, w) weak noise with strong cells here and there."""
    rng = np.random.default_rng(seed)
    maps = rng.uniform(0, 0.1, (images, units, *size))
    maps[rng.random(maps.shape) < 0.1] += rng.uniform(0.5, 3)
    return maps.astype(np.float32)


def of_case(case: dict) -> tuple[torch.Tensor, torch.Tensor]:
    n = case["n"]
    maps = torch.tensor(case["x"], dtype=torch.float64).reshape(-1, 1, n, n)
    return maps, torch.tensor([case["tau"]], dtype=torch.float64)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_vectors_are_met(case):
    n, alpha, beta = case["n"], case["alpha"], case["beta"]
    maps, tau = of_case(case)
    found = posterior(maps, tau, beta=beta, alpha=alpha)
    pairs = {
        "templates": templates(n, n, tau=case["tau"], beta=beta),
        "prior": prior(n, n, alpha),
        "scores": found.scores,
        "log_Z": found.log_z,
        "p_x_given_T": found.log_image_given_template.exp(),
        "p_x": found.log_image.exp(),
        "p_T_given_x": found.log_template_given_image.exp(),
        "MI_nats": found.information,
        "H_inter_category": found.inter,
        "H_spatial_weighted": found.spatial,
        "H_spatial_per_x": found.entropy,
        "p_Tpos_given_x": found.positive,
        "KL_per_template": found.divergence,
    }
    for name, value in pairs.items():
        np.testing.assert_allclose(value.numpy().ravel(), np.ravel(case[name]), rtol=1e-8, atol=1e-10, err_msg=name)
    whole = found.information + found.inter + found.spatial
    np.testing.assert_allclose(whole, [case["H_T"]], rtol=1e-12)
    assert float(mutual_information(maps, tau, beta=beta, alpha=alpha)) == pytest.approx(-case["loss"], rel=1e-8)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_autograd_gives_the_exact_gradient(case):
    maps, tau = of_case(case)
    maps.requires_grad_()
    (-mutual_information(maps, tau, beta=case["beta"], alpha=case["alpha"]).sum()).backward()
    np.testing.assert_allclose(maps.grad.numpy().ravel(), np.ravel(case["grad_exact"]), atol=1e-10)


@pytest.mark.parametrize("n", VECTORS["calibration_kappa"]["kappa_by_n"])
def test_kappa_is_the_published_one(n):
    expected = VECTORS["calibration_kappa"]["kappa_by_n"][n]
    assert kappa(int(n), int(n), VECTORS["calibration_kappa"]["beta"]) == pytest.approx(expected, rel=1e-8)


@given(st.integers(1, 9), st.integers(1, 9), st.floats(0.5, 12))
def test_kappa_gives_a_spike_at_the_centre_half_its_mass(h, w, beta):
    if h * w < 3:
        with pytest.raises(InterpkitError, match=f"{h} x {w}"):
            kappa(h, w, beta)
        return
    centre = h // 2 * w + w // 2
    mass = torch.softmax(kappa(h, w, beta) * templates(h, w, beta=beta)[:-1, centre], 0)
    assert float(mass[centre]) == pytest.approx(0.5, abs=1e-12)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 5),
    st.tuples(st.integers(1, 4), st.integers(2, 4)),
    st.sampled_from([0.05, 1.0, 40.0]),
    st.sampled_from([None, 0.5, 0.9]),
    st.sampled_from([1.5, 4.0]),
)
def test_any_maps_agree_with_the_definition(seed, images, size, tau, alpha, beta):
    maps = spikes(seed, images=images, units=1, size=size)
    slow = plain.judge(maps[:, 0].astype(np.float64), tau=tau, beta=beta, alpha=alpha)
    found = posterior(torch.from_numpy(maps).double(), torch.tensor(tau), beta=beta, alpha=alpha)
    pairs = (
        (found.log_image_given_template.exp(), slow.image_given_template),
        (found.log_image.exp(), slow.image),
        (found.log_template_given_image.exp(), slow.template_given_image),
        (found.information, slow.information),
        (found.inter, slow.inter),
        (found.spatial, slow.spatial),
        (found.entropy, slow.entropy),
        (found.positive, slow.positive),
    )
    for fast, expected in pairs:
        np.testing.assert_allclose(fast.numpy().ravel(), np.ravel(expected), atol=1e-9)
    if size[0] * size[1] > 2:
        (judged,) = template_statistics(maps, [np.array([tau])], beta=beta, alpha=alpha)
        assert judged.information[0] == pytest.approx(slow.information, abs=1e-9)
        assert judged.ratio[0] == pytest.approx(slow.information / slow.prior_entropy, abs=1e-9)
        assert judged.inter[0] == pytest.approx(slow.inter / slow.inter_bound, abs=1e-9)
        assert judged.spatial[0] == pytest.approx(slow.spatial / slow.spatial_bound, abs=1e-9)
        np.testing.assert_allclose(judged.positive[:, 0], slow.positive, atol=1e-5)


def test_scores_far_beyond_the_range_of_exp():
    maps = torch.from_numpy(spikes(5)) * 1e3
    found = posterior(maps, torch.ones(3))
    exact = posterior(maps.double(), torch.ones(3))
    assert found.scores.dtype == torch.float32
    assert float(found.scores.max()) > 1e3
    for name in ("information", "inter", "spatial", "positive"):
        np.testing.assert_allclose(getattr(found, name), getattr(exact, name), atol=1e-3)


def test_half_precision_is_not_computed_in():
    maps = torch.from_numpy(spikes(6)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = mutual_information(maps, torch.ones(3))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, mutual_information(maps.double(), torch.ones(3)), atol=1e-5)


def test_gradients_stay_finite_when_everything_is_decided():
    maps = (1e4 * torch.eye(9).reshape(9, 1, 3, 3)).requires_grad_()
    mutual_information(maps, torch.ones(1)).sum().backward()
    assert bool(maps.grad.isfinite().all())


@pytest.mark.parametrize("small", [{"_BLOCK": 60, "_READ": 200}, {"_ROUND": 80}, {"_ROUND": 1, "_BLOCK": 1}])
def test_how_the_work_is_cut_does_not_matter(monkeypatch, small):
    maps = spikes(1, units=7)
    taus = [np.linspace(0.5, 3, 7), np.full(7, 0.02)]
    whole = template_statistics(maps, taus)
    for name, value in small.items():
        monkeypatch.setattr(statistics, name, value)
    for one, other in zip(whole, template_statistics(maps, taus), strict=True):
        for name in ("tau", "information", "ratio", "inter", "spatial", "positive"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-6, err_msg=name)
        np.testing.assert_allclose(one.log_odds, other.log_odds, rtol=1e-6, atol=1e-6)


def test_scales_share_the_work_but_not_the_answer():
    maps = spikes(2)
    taus = [np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 5.0])]
    for tau, together in zip(taus, template_statistics(maps, taus), strict=True):
        (alone,) = template_statistics(maps, [tau])
        np.testing.assert_array_equal(together.information, alone.information)
        np.testing.assert_array_equal(together.tau, tau)


def test_arrays_tensors_and_files_are_judged_alike(tmp_path):
    maps = spikes(3)
    np.save(tmp_path / "maps.npy", maps)
    forms = (maps, torch.from_numpy(maps), np.load(tmp_path / "maps.npy", mmap_mode="r"))
    first, *others = (template_statistics(form, [np.ones(3)])[0] for form in forms)
    for other in others:
        np.testing.assert_array_equal(first.information, other.information)


def test_judging_changes_no_map_and_follows_no_gradient():
    maps = torch.from_numpy(spikes(3) - 0.05).requires_grad_()
    before = maps.detach().clone()
    template_statistics(maps, [np.ones(3)])
    assert torch.equal(maps, before)


def test_negative_values_count_as_zero():
    maps = spikes(4) - 0.05
    (one,), (other,) = (template_statistics(m, [np.ones(3)]) for m in (maps, np.maximum(maps, 0)))
    np.testing.assert_array_equal(one.information, other.information)


def test_a_unit_that_never_fires_says_nothing():
    maps = np.zeros((6, 1, 3, 3), np.float32)
    level = peak_level(maps.max((2, 3)))
    assert dead(level).all()
    (judged,) = template_statistics(maps, [calibrated_tau(level, (3, 3))])
    assert judged.tau[0] == 0
    np.testing.assert_allclose([judged.ratio[0], judged.inter[0], judged.spatial[0]], [0, 1, 1], atol=1e-12)
    assert auc(judged.log_odds, np.arange(6)[:, None] < 2) == 0.5


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 1.0, 20.0]))
def test_laws_of_the_information(seed, tau):
    maps = torch.from_numpy(spikes(seed, images=5)).double()
    value = mutual_information(maps, torch.tensor(tau))
    rng = np.random.default_rng(seed)

    def same(other: torch.Tensor, scale: float = tau) -> None:
        np.testing.assert_allclose(mutual_information(other, torch.tensor(scale)), value, atol=1e-9)

    assert bool((value >= -1e-12).all())
    assert bool((value <= min(math.log(13), math.log(5)) + 1e-12).all())
    same(maps[torch.from_numpy(rng.permutation(5))])
    same(maps * 4, tau / 4)
    same(maps.mT)
    same(maps.flip(2, 3))
    # What a unit does on every image alike is divided out with Z.
    same(maps + torch.from_numpy(rng.uniform(0, 1, (1, 3, 3, 4))))
    same(torch.cat([maps, maps]))
    order = torch.from_numpy(rng.permutation(3))
    np.testing.assert_allclose(mutual_information(maps[:, order], torch.tensor(tau)), value[order], atol=1e-9)


def test_shuffled_values_are_the_same_values_elsewhere():
    maps = spikes(8, images=40, units=2, size=(4, 4))
    tau = calibrated_tau(peak_level(maps.max((2, 3))), (4, 4))
    once, again, other = (template_statistics(maps, [tau], shuffle=seed)[0] for seed in (7, 7, 8))
    np.testing.assert_array_equal(once.information, again.information)
    assert (once.information != other.information).all()
    order = np.random.default_rng(7).permutation(40 * 16)
    moved = maps.transpose(1, 0, 2, 3).reshape(2, -1)[:, order].reshape(2, 40, 4, 4).transpose(1, 0, 2, 3)
    np.testing.assert_allclose(template_statistics(moved, [tau])[0].information, once.information, atol=1e-12)


# One row a filter: MI / H(T), inter-category, spatial, AUC; how far the mean of ten seeds may lie from it.
BEHAVIOUR = {
    "one spike": ((0.77, 0.56, 0.22, 1.00), 0.05),
    # Few pairs are neighbours, and they weigh much: the row moves by 0.05 from seed to seed.
    "two spikes": ((0.65, 0.67, 0.34, 1.00), 0.08),
    "texture": ((0.00, 1.00, 1.00, 1.00), 0.05),
    "all images": ((0.85, 0.99, 0.13, 0.50), (0.05, 0.05, 0.05, 0.08)),
    "centre": ((0.07, 0.97, 0.93, 1.00), 0.05),
    "other images": ((0.77, 0.56, 0.22, 0.00), 0.05),
    "dead": ((0.50, 0.80, 0.50, 0.50), (0.10, 0.10, 0.10, 0.08)),
}


def behaving(seed: int, *, n: int = 7, images: int = 400, peak: float = 10.0) -> tuple[Maps, NDArray[np.bool_]]:
    """The seven filters of `BEHAVIOUR` (N, 7, n, n), and the half of the images that is positive."""
    rng = np.random.default_rng(seed)
    positive = rng.permutation(images) < images // 2
    maps = rng.uniform(0, 0.03 * peak, (images, 7, n * n))

    def spike(unit: int, rows: NDArray[np.bool_], count: int) -> None:
        cells = rng.random((rows.sum(), n * n)).argsort(1)[:, :count]
        maps[np.flatnonzero(rows)[:, None], unit, cells] = peak

    spike(0, positive, 1)
    spike(1, positive, 2)
    maps[positive, 2] = np.maximum(peak * (1 + 0.1 * rng.normal(size=(positive.sum(), n * n))), 0)
    spike(3, np.ones_like(positive), 1)
    maps[positive, 4, n * n // 2] = peak
    spike(5, ~positive, 1)
    return maps.reshape(images, 7, n, n).astype(np.float32), positive


def test_filters_of_known_kinds_are_told_apart():
    rows = []
    for seed in range(10):
        maps, positive = behaving(seed)
        level = peak_level(maps.max((2, 3)))
        np.testing.assert_array_equal(dead(level), [name == "dead" for name in BEHAVIOUR])
        (judged,) = template_statistics(maps, [calibrated_tau(level, (7, 7))])
        found = auc(judged.log_odds, positive[:, None])[:, 0]
        rows.append(np.stack([judged.ratio, judged.inter, judged.spatial, found], axis=1))
    for row, (name, (expected, within)) in zip(np.mean(rows, 0), BEHAVIOUR.items(), strict=True):
        assert (np.abs(row - expected) <= within).all(), f"{name}: {row.round(3)}, expected {expected}"


def test_the_papers_scale_is_blind_on_large_maps():
    maps = behaving(0, n=14, images=200, peak=100)[0][:, :1]
    calibrated, fixed = template_statistics(
        maps, [calibrated_tau(peak_level(maps.max((2, 3))), (14, 14)), np.array([paper_tau((14, 14))])]
    )
    assert calibrated.spatial[0] < 0.5
    assert fixed.spatial[0] > 0.98


@pytest.mark.parametrize(("images", "quarter"), [(1, 1), (4, 1), (5, 2), (8, 2), (400, 100)])
def test_the_peak_level_is_the_mean_of_the_top_quarter(images, quarter):
    maxima = (np.random.default_rng(images).normal(size=(images, 3)) - 1).astype(np.float32)
    expected = np.sort(np.maximum(maxima, 0), axis=0)[::-1][:quarter].mean(0)
    np.testing.assert_allclose(peak_level(maxima), expected, rtol=1e-6)


def test_dead_units_are_those_far_below_the_others():
    np.testing.assert_array_equal(dead(np.array([1.0, 1.2, 0.049, 0.051, 0.9, 1.0, 1.1])), [0, 0, 1, 0, 0, 0, 0])
    assert dead(np.zeros(3)).all()


def test_the_scale_follows_the_peak_level():
    level = np.array([1.0, 2.0, 0.0])
    np.testing.assert_allclose(calibrated_tau(level, (7, 7), c=4), [4 * kappa(7, 7), 2 * kappa(7, 7), 0])
    assert paper_tau((2, 5)) == 0.05


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.booleans())
def test_the_auc_is_the_share_of_pairs(seed, images, ties):
    rng = np.random.default_rng(seed)
    evidence = rng.integers(0, 3, (images, 4)).astype(np.float32) if ties else rng.normal(size=(images, 4))
    member = rng.random((images, 3)) < 0.5
    slow = [[plain.auc(list(evidence[:, u]), list(member[:, k])) for k in range(3)] for u in range(4)]
    np.testing.assert_allclose(auc(evidence, member), slow, atol=1e-12)


def test_the_auc_does_not_depend_on_how_the_units_are_cut(monkeypatch):
    rng = np.random.default_rng(0)
    evidence, member = rng.integers(0, 9, (30, 7)), rng.random((30, 2)) < 0.3
    whole = auc(evidence, member)
    monkeypatch.setattr(statistics, "_RANKS", 60)
    np.testing.assert_array_equal(auc(evidence, member), whole)


def test_log_odds_order_images_where_the_probability_rounds():
    # Both images are surely positive in float64; the one with the higher spike is more so.
    maps = np.zeros((3, 1, 3, 3), np.float32)
    maps[0, 0, 1, 1], maps[1, 0, 1, 1] = 60, 50
    (judged,) = template_statistics(maps, [np.ones(1)])
    assert judged.positive[0, 0] == judged.positive[1, 0]
    assert judged.log_odds[0, 0] > judged.log_odds[1, 0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: templates(3, 3, beta=0), "positive beta"),
        (lambda: prior(3, 3, 1.0), "between 0 and 1"),
        (lambda: prior(3, 3, 0.0), "between 0 and 1"),
        (lambda: template_statistics(np.zeros((4, 2, 1, 2), np.float32), [np.ones(2)]), "1 x 2"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, said):
    with pytest.raises(InterpkitError, match=said):
        wrong()


def test_scales_of_other_units_are_refused():
    with pytest.raises(ValueError, match="3 units"):
        template_statistics(spikes(0), [np.ones(4)])
