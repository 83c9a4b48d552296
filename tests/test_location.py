"""Location instability against the vector, the slow definition, and what must hold for any peaks."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import location as plain

from interpkit import location
from interpkit.geometry import Placement, half_pixel
from interpkit.location import baselines, instability, peak_positions

Floats = NDArray[np.float64]
VECTORS = json.loads((Path(__file__).parent / "vectors" / "icnn_vectors.json").read_text(encoding="utf-8"))
DIAGONAL = float(np.hypot(224, 224))


def cells_of(place: Placement, h: int, w: int) -> Floats:
    """(h w, 2) centres of cells."""
    axes = [start + stride * np.arange(n) for start, stride, n in zip(place.start, place.stride, (h, w), strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)


def peaks(seed: int, *, images: int = 12, units: int = 4, parts: int = 3) -> tuple[Floats, Floats, Floats]:
    """Positions, scores with ties and some not above 0, and landmarks of which some are missing."""
    rng = np.random.default_rng(seed)
    position = rng.integers(0, 8, (images, units, 2)) * 32 + 15.5
    score = rng.integers(-2, 6, (images, units)).astype(float)
    position[rng.random((images, units)) < 0.1] = np.nan
    landmarks = rng.uniform(0, 224, (images, parts, 2))
    landmarks[rng.random((images, parts)) < 0.3] = np.nan
    return position, score, landmarks


def test_the_vector_is_met():
    case = VECTORS["location_instability_case"]
    position = case["first_centre"] + case["stride"] * np.array(case["peak_row_col"], float)
    marks = np.array(
        [[[np.nan if v is None else v for v in mark] for mark in part] for part in case["landmarks_row_col"]]
    )
    found = instability(
        position,
        np.array(case["peak_score"]),
        marks.transpose(1, 0, 2),
        diagonal=float(np.hypot(*case["image_size"])),
        top=case["top"],
    )
    np.testing.assert_allclose(found.deviation, case["D"], rtol=1e-10)
    np.testing.assert_allclose(found.deviation.mean(1), case["instability_per_filter"], rtol=1e-10)
    assert found.deviation.mean() == pytest.approx(case["instability"], rel=1e-10)


@given(st.integers(0, 2**32 - 1), st.integers(0, 14), st.integers(1, 9))
def test_any_peaks_agree_with_the_definition(seed, images, top):
    position, score, landmarks = peaks(seed, images=images)
    found = instability(position, score, landmarks, diagonal=DIAGONAL, top=top)
    np.testing.assert_array_equal(found.used, (~np.isnan(landmarks[..., 0])).sum(0))
    for u in range(4):
        slow = [
            plain.steady(position[:, u].tolist(), score[:, u].tolist(), marks.tolist(), diagonal=DIAGONAL, top=top)
            for marks in landmarks.swapaxes(0, 1)
        ]
        np.testing.assert_allclose(found.deviation[u], [one.deviation for one in slow], atol=1e-12)
        np.testing.assert_allclose(found.explained[u], [one.explained for one in slow], atol=1e-9)
        moves = [one.spread for one in slow if not np.isnan(one.spread)]
        np.testing.assert_allclose(found.spread[u], np.mean(moves) if moves else np.nan, atol=1e-12)


def test_how_the_units_are_cut_does_not_matter(monkeypatch):
    given_ = peaks(1, units=9)
    whole = instability(*given_, diagonal=DIAGONAL, top=5)
    monkeypatch.setattr(location, "_BLOCK", 24)
    parts = instability(*given_, diagonal=DIAGONAL, top=5)
    for name in ("deviation", "explained", "spread", "used"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


@given(st.integers(0, 2**32 - 1))
def test_laws_of_the_instability(seed):
    position, score, landmarks = peaks(seed)
    rng = np.random.default_rng(seed)
    score = score + rng.random(score.shape) / 2  # no ties, so that the order of images does not count
    first = instability(position, score, landmarks, diagonal=DIAGONAL, top=6)

    def same(other: location.Instability, units: object = slice(None), parts: object = slice(None)) -> None:
        for name in ("deviation", "explained"):
            expected = getattr(first, name)[units][:, parts]
            np.testing.assert_allclose(getattr(other, name), expected, atol=1e-9)
        if isinstance(parts, slice):
            np.testing.assert_allclose(other.spread, first.spread[units], atol=1e-12)

    images, units = rng.permutation(12), rng.permutation(4)
    same(instability(position[images], score[images], landmarks[images], diagonal=DIAGONAL, top=6))
    same(instability(position[:, units], score[:, units], landmarks, diagonal=DIAGONAL, top=6), units)
    same(instability(position, score, landmarks[:, [2, 0]], diagonal=DIAGONAL, top=6), parts=[2, 0])
    same(instability(position + 7, score, landmarks + 7, diagonal=DIAGONAL, top=6))
    same(instability(3 * position, score, 3 * landmarks, diagonal=3 * DIAGONAL, top=6))
    same(instability(position, np.where(score > 0, 10 * score, score), landmarks, diagonal=DIAGONAL, top=6))
    same(instability(position[..., ::-1], score, landmarks[..., ::-1], diagonal=DIAGONAL, top=6))


def one_unit(position: Floats, landmark: Floats) -> tuple[float, float, float]:
    """Deviation, spread and explained share of a unit judged on all images."""
    found = instability(position[:, None], np.ones((len(position), 1)), landmark[:, None], diagonal=DIAGONAL)
    return found.deviation[0, 0], found.spread[0], found.explained[0, 0]


def test_a_unit_that_follows_the_landmark_is_told_from_one_that_stands_still():
    rng = np.random.default_rng(0)
    landmark = rng.uniform(90, 130, (80, 2))
    follows = one_unit(landmark + np.array([20, -9]), landmark)
    np.testing.assert_allclose(follows, [0, np.sqrt(landmark.var(0, ddof=1).sum()) / DIAGONAL, 1], atol=1e-12)
    still = one_unit(np.full((80, 2), 15.5), landmark)
    assert still[0] < 0.06
    np.testing.assert_allclose(still[1:], 0, atol=1e-12)
    anywhere = one_unit(rng.uniform(0, 224, (80, 2)), landmark)
    assert anywhere[0] > 0.1
    assert anywhere[2] < 0.1


def test_a_unit_that_circles_the_landmark_is_steady():
    angle = np.linspace(0, 6, 50)
    landmark = np.random.default_rng(0).uniform(90, 130, (50, 2))
    assert one_unit(landmark + 30 * np.stack([np.sin(angle), np.cos(angle)], 1), landmark)[0] < 1e-12


def test_a_peak_that_moves_along_one_axis_explains_that_axis():
    rng = np.random.default_rng(0)
    landmark = rng.uniform(0, 200, (4000, 2))
    rows_alone = np.stack([landmark[:, 0], np.full(4000, 1 / 3)], 1)
    assert one_unit(rows_alone, landmark)[2] == pytest.approx(0.5, abs=0.03)


def test_a_peak_that_moves_along_a_line_counts_once():
    rng = np.random.default_rng(0)
    landmark = rng.uniform(0, 200, (4000, 2))
    # The two coordinates say the same but for rounding, which must not be taken for a second regressor.
    line = landmark[:, :1] * [1, np.sqrt(2)] + 1 / 3
    assert one_unit(line, landmark)[2] == pytest.approx(0.5, abs=0.03)


def test_a_landmark_that_does_not_move_cannot_be_explained():
    deviation, _, explained = one_unit(np.random.default_rng(0).uniform(0, 224, (9, 2)), np.full((9, 2), 223.7))
    assert deviation > 0
    assert np.isnan(explained)


def test_units_without_enough_peaks_have_no_number():
    position, _, landmarks = peaks(3, units=2, parts=1)
    position, landmarks = np.nan_to_num(position, nan=1.0), np.nan_to_num(landmarks, nan=5.0)
    score = np.zeros((12, 2))
    score[4, 0], score[[1, 5], 1] = 1, 2
    found = instability(position, score, landmarks, diagonal=DIAGONAL)
    np.testing.assert_array_equal(np.isnan(found.deviation[:, 0]), [True, False])
    np.testing.assert_array_equal(np.isnan(found.spread), [True, False])
    assert np.isnan(found.explained).all()


def test_a_map_without_a_positive_peak_has_no_place():
    cells = cells_of(half_pixel((224, 224), (7, 7)), 7, 7)
    found = peak_positions(np.array([[0, 48], [8, 0]]), np.array([[0.0, 2.0], [1.0, -3.0]]), cells)
    np.testing.assert_array_equal(found, [[[np.nan] * 2, [207.5, 207.5]], [[47.5, 47.5], [np.nan] * 2]])


def test_the_baselines_agree_with_the_definition():
    _, _, landmarks = peaks(4, images=30, parts=2)
    landmarks = np.concatenate([landmarks, np.full((30, 1, 2), np.nan)], axis=1)
    cells = cells_of(half_pixel((224, 224), (3, 2)), 3, 2)
    found = baselines(landmarks, cells, diagonal=DIAGONAL, top=10, seed=5, draws=400)
    assert found.random.shape == (400, 3)
    for p in range(2):
        seen = [tuple(mark) for mark in landmarks[:, p].tolist() if not np.isnan(mark[0])]
        slow = [plain.deviation_of([tuple(cell)] * len(seen), seen) / DIAGONAL for cell in cells.tolist()]
        np.testing.assert_allclose(found.constant[:, p], slow, atol=1e-12)
        middle = plain.deviation_of([(111.5, 111.5)] * len(seen), seen) / DIAGONAL
        assert found.centre[p] == pytest.approx(middle, abs=1e-12)
        away = np.linalg.norm(np.array(seen)[:, None] - cells, axis=2).ravel()
        assert np.mean(found.random[:, p] ** 2) == pytest.approx(away.var() / DIAGONAL**2, rel=0.05)
    assert np.isnan(found.constant[:, 2]).all()
    assert np.isnan(found.centre[2])
    assert np.isnan(found.random[:, 2]).all()


def test_the_baselines_follow_the_seed(monkeypatch):
    _, _, landmarks = peaks(4)
    cells = cells_of(half_pixel((224, 224), (4, 4)), 4, 4)
    first, again, other = (baselines(landmarks, cells, diagonal=DIAGONAL, seed=s, draws=5) for s in (1, 1, 2))
    few = baselines(landmarks, cells, diagonal=DIAGONAL, seed=1, draws=5, top=3)
    np.testing.assert_array_equal(first.random, again.random)
    assert (first.random != other.random).all()
    assert (first.random != few.random).all()
    np.testing.assert_array_equal(first.constant, few.constant)
    monkeypatch.setattr(location, "_BLOCK", 20)
    np.testing.assert_array_equal(
        baselines(landmarks, cells, diagonal=DIAGONAL, seed=1, draws=5).constant, first.constant
    )


@pytest.mark.data
def test_chance_levels_on_photographs(shared_data):
    table = pd.read_csv(shared_data / "animal-parts" / "landmarks.csv")
    cells = cells_of(half_pixel((224, 224), (14, 14)), 14, 14)
    random, centre, best = [], [], []
    for _, rows in table.groupby("class"):
        marks = rows[["head_row", "head_col", "legs_row", "legs_col"]].to_numpy(float).reshape(-1, 2, 2)
        found = baselines(marks, cells, diagonal=DIAGONAL, seed=0)
        random.append(np.nanmean(found.random))
        centre.append(np.nanmean(found.centre))
        best.append(np.nanmean(found.constant, axis=1).min())
    assert np.mean(random) == pytest.approx(0.152, abs=0.012)
    assert np.mean(centre) == pytest.approx(0.069, abs=0.012)
    assert np.mean(best) < np.mean(centre)
