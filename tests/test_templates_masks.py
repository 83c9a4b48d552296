"""Part masks against the vectors and the slow definition."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import losses as plain

from interpkit.errors import InterpkitError
from interpkit.templates import fitted, mask, place, spread

VECTORS = json.loads((Path(__file__).parent / "vectors" / "icnn_vectors.json").read_text(encoding="utf-8"))
POSITIONS = st.sampled_from(["argmax", "centre"])


def drawn(seed: int, size: tuple[int, int]) -> torch.Tensor:
    """(N, U, h, w) maps of few different values, so that many are equal, some negative and some maps all 0."""
    rng = np.random.default_rng(seed)
    maps = rng.integers(-2, 3, (5, 3, *size)).astype(np.float64)
    maps[0, 0] = 0
    maps[1, 1] = np.minimum(maps[1, 1], 0)
    return torch.from_numpy(maps)


@pytest.mark.parametrize("case", VECTORS["mi_cases"], ids=lambda case: case["name"])
def test_the_vectors_are_met(case):
    maps = torch.tensor(case["x"], dtype=torch.float64).reshape(-1, 1, case["n"], case["n"])
    row, column, alive = place(maps)
    cell = (row * case["n"] + column)[alive]
    np.testing.assert_array_equal(cell, np.array(case["mu_hat"])[alive[:, 0].numpy()])
    masked = torch.relu(maps) * mask(maps, case["beta"])
    np.testing.assert_allclose(masked[:, 0], np.array(case["x_masked_unit"]).reshape(masked[:, 0].shape), atol=1e-12)


@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 5), st.integers(2, 5)),
    st.sampled_from([0.7, 2.0, 4.0, 9.0]),
    POSITIONS,
)
def test_any_maps_agree_with_the_definition(seed, size, beta, position):
    maps = drawn(seed, size)
    found = mask(maps, beta, position)
    row, column, alive = place(maps, position)
    for n, u in np.ndindex(5, 3):
        np.testing.assert_allclose(
            found[n, u], plain.mask(maps[n, u].numpy(), beta=beta, position=position), atol=1e-12
        )
        at = plain.place(maps[n, u].numpy(), position)
        assert bool(alive[n, u]) == (at is not None)
        if at is not None:
            assert (float(row[n, u]), float(column[n, u])) == at


@given(st.integers(0, 2**32 - 1), POSITIONS)
def test_each_unit_has_its_own_beta(seed, position):
    maps = drawn(seed, (4, 5))
    betas = torch.tensor([1.0, 3.0, 6.0])
    together = mask(maps, betas, position)
    for u, beta in enumerate(betas.tolist()):
        assert torch.equal(together[:, u : u + 1], mask(maps[:, u : u + 1], beta, position))


@given(st.integers(0, 2**32 - 1), POSITIONS)
def test_a_mask_is_the_upper_part_of_the_template(seed, position):
    maps = drawn(seed, (4, 4))
    template = fitted(maps, 4.0, position)
    assert torch.equal(template.clamp(min=0), mask(maps, 4.0, position))
    assert float(template.min()) == -1


def test_a_map_without_anything_above_0_is_neither_kept_nor_cut():
    for position in ("argmax", "centre"):
        assert torch.equal(mask(torch.zeros(2, 3, 4, 4), 4.0, position), torch.ones(2, 3, 4, 4))
        assert torch.equal(mask(torch.full((2, 3, 4, 4), -1.0), 4.0, position), torch.ones(2, 3, 4, 4))
    assert not bool(place(torch.zeros(2, 3, 4, 4))[2].any())


def test_halves_are_rounded_up():
    maps = torch.zeros(1, 1, 4, 4)
    maps[0, 0, 0, 2] = maps[0, 0, 1, 3] = 2.5
    row, column, _ = place(maps, "centre")
    assert (float(row), float(column)) == (1, 3)


def test_of_equal_cells_the_first_is_the_place():
    maps = torch.zeros(1, 1, 3, 4)
    maps[0, 0, 1, 2] = maps[0, 0, 1, 3] = maps[0, 0, 2, 0] = 7
    row, column, _ = place(maps)
    assert (float(row), float(column)) == (1, 2)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_its_type_and_its_place(kind):
    maps = torch.zeros(1, 1, 28, 28)
    maps[0, 0, 23, 25] = 300
    found = mask(maps.to(kind), 4.0, "centre")
    assert found.dtype == kind
    assert torch.equal(found, mask(maps, 4.0, "centre").to(kind))
    row, column, _ = place(maps.to(kind), "centre")
    assert (float(row), float(column)) == (23, 25)


def test_nothing_is_differentiated_and_no_map_changed():
    maps = torch.rand(2, 2, 3, 3, requires_grad=True)
    before = maps.detach().clone()
    for position in ("argmax", "centre"):
        assert not mask(maps, 4.0, position).requires_grad
    assert torch.equal(maps, before)


def test_what_is_not_a_number_stays_to_be_seen():
    maps = torch.rand(1, 1, 3, 3)
    maps[0, 0, 1, 1] = torch.nan
    assert bool((maps * mask(maps)).isnan().any())
    assert bool((maps * mask(maps, 4.0, "centre")).isnan().any())


def test_spread_by_hand():
    maps = torch.zeros(1, 3, 3, 5)
    maps[0, 0, 1, 2] = 4
    maps[0, 1, 1, 0] = maps[0, 1, 1, 4] = 1
    maps[0, 1, 0, 0] = -9
    row, column, _ = place(maps, "centre")
    np.testing.assert_allclose(spread(maps, row, column), [[0, 2, 0]])


def test_another_position_is_refused():
    with pytest.raises(InterpkitError, match="centre"):
        mask(torch.rand(1, 1, 3, 3), 4.0, "center")
