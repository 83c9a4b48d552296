"""Which units cover which part masks: the vector, the slow definition, and the edges of discs."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import location as plain

from interpkit.errors import InterpkitError
from interpkit.geometry import Field, Placement, half_pixel
from interpkit.parts import _association
from interpkit.parts._association import Association, Overlaps, default_radius

Masks = NDArray[np.bool_]
VECTORS = json.loads((Path(__file__).parent / "vectors" / "icnn_vectors.json").read_text(encoding="utf-8"))
Size = tuple[int, int]


def test_the_vector_is_met():
    case = VECTORS["part_interpretability_case"]
    maps, masks = np.array(case["activations"]), np.array(case["part_masks"], bool)
    counting = Association(
        np.array([case["threshold"]]),
        half_pixel((6, 6), (3, 3)),
        map_size=(3, 3),
        input_size=(6, 6),
        grid=(6, 6),
        radius=None,
        parts=2,
    )
    for image in range(4):
        counting.add(maps[image, None], masks[:, image])
    found = counting.result()
    np.testing.assert_allclose(found.strict, [case["P_per_part"]], rtol=1e-12)
    np.testing.assert_array_equal(found.images, [4, 3])
    assert found.strict.max() == pytest.approx(case["P_filter"])
    assert np.isnan(found.chance_strict).all()


def scene(seed: int, *, units: int, parts: int, sizes: tuple[Size, Size]) -> tuple[NDArray[np.float32], Masks]:
    """Maps of five images, and part masks that are rectangles or absent."""
    rng = np.random.default_rng(seed)
    maps = rng.integers(0, 6, (5, units, *sizes[0])).astype(np.float32)
    masks = np.zeros((5, parts, *sizes[1]), bool)
    for image in range(5):
        for p in range(parts):
            if rng.random() < 0.7:
                (top, left), (height, width) = rng.integers(0, sizes[1]), rng.integers(1, 5, 2)
                masks[image, p, top : top + height, left : left + width] = True
    return maps, masks


def counted(
    maps: NDArray[np.float32], masks: Masks, place: Placement, *, input_size: Size, radius: float | None
) -> Overlaps:
    counting = Association(
        np.full(maps.shape[1], 4.0),
        place,
        map_size=maps.shape[2:],
        input_size=input_size,
        grid=masks.shape[2:],
        radius=radius,
        parts=masks.shape[1],
    )
    for image in range(len(maps)):
        counting.add(maps[image], masks[image], masks[image - 1])
    return counting.result()


def pixels(mask: Masks) -> set[Size]:
    return {(int(i), int(j)) for i, j in np.argwhere(mask)}


@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.sampled_from([0.25, 1.0, 2.5, 7.3]),
    st.tuples(st.sampled_from([-4.0, 0.0, 1.5, 20.0]), st.sampled_from([-0.5, 3.0])),
)
def test_any_scene_agrees_with_the_definition(seed, map_size, grid, radius, start):
    maps, masks = scene(seed, units=3, parts=2, sizes=(map_size, grid))
    input_size = (2 * grid[0], 4 * grid[1])
    place = Placement(start, (4.0, 2.0))
    found = counted(maps, masks, place, input_size=input_size, radius=radius)
    hits = np.zeros((2, 2, 3, 2))
    for image in range(5):
        for u in range(3):
            seen = plain.sight(
                [(int(i), int(j)) for i, j in np.argwhere(maps[image, u] > 4)],
                start=place.start,
                stride=place.stride,
                input_size=input_size,
                grid=grid,
                radius=radius,
            )
            for p in range(2):
                for whose in (0, 1):
                    part = pixels(masks[image - whose, p])
                    both, either = plain.overlap(seen, part)
                    if part:
                        hits[whose, 0, u, p] += 5 * both > either
                        hits[whose, 1, u, p] += 25 * both > either
    images = masks.any((2, 3)).sum(0)
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_array_equal(found.chance_images, images)
    shares = hits / np.where(images > 0, images, np.nan)
    np.testing.assert_allclose([found.strict, found.loose], shares[0])
    np.testing.assert_allclose([found.chance_strict, found.chance_loose], shares[1])


@pytest.mark.parametrize("block", [1, 3, 7])
def test_how_the_units_are_cut_does_not_matter(monkeypatch, block):
    maps, masks = scene(2, units=40, parts=3, sizes=((5, 4), (9, 9)))
    where = {"input_size": (36, 36), "radius": 5.0}
    whole = counted(maps, masks, half_pixel((36, 36), (5, 4)), **where)
    monkeypatch.setattr(_association, "_BLOCK", block)
    parts = counted(maps, masks, half_pixel((36, 36), (5, 4)), **where)
    np.testing.assert_array_equal(whole.strict, parts.strict)
    np.testing.assert_array_equal(whole.chance_loose, parts.chance_loose)


def test_pieces_are_whole_units_of_bounded_size(monkeypatch):
    monkeypatch.setattr(_association, "_BLOCK", 10)
    counting = Association(
        np.zeros(9), half_pixel((4, 4), (2, 2)), map_size=(2, 2), input_size=(4, 4), grid=(4, 4), radius=1, parts=1
    )
    unit = np.repeat([0, 2, 3, 5, 8], [4, 1, 4, 4, 2])
    pieces = counting._pieces(unit, np.arange(15))
    np.testing.assert_array_equal(np.concatenate([u for u, _ in pieces]), unit)
    np.testing.assert_array_equal(np.concatenate([c for _, c in pieces]), np.arange(15))
    assert all(len(u) < 10 + 4 for u, _ in pieces)
    assert len(pieces) > 1
    assert not {int(u[-1]) for u, _ in pieces[:-1]} & {int(u[0]) for u, _ in pieces[1:]}


def test_a_unit_on_the_whole_part_is_found_and_one_elsewhere_is_not():
    maps = np.zeros((1, 3, 7, 7), np.float32)
    maps[0, 0, 1:3, 1:3], maps[0, 1, 5, 5] = 9, 9
    masks = np.zeros((1, 1, 56, 56), bool)
    masks[0, 0, 8:24, 8:24] = True
    found = counted(maps, masks, half_pixel((224, 224), (7, 7)), input_size=(224, 224), radius=16)
    np.testing.assert_array_equal(found.strict[:, 0], [1, 0, 0])


def test_a_cell_outside_of_the_image_sees_nothing_unless_its_disc_reaches_in():
    masks = np.ones((1, 1, 4, 4), bool)
    maps = np.full((1, 1, 1, 1), 9, np.float32)
    place = Placement((-10.0, 8.0), (16.0, 16.0))
    assert counted(maps, masks, place, input_size=(16, 16), radius=5).loose[0, 0] == 0
    assert counted(maps, masks, place, input_size=(16, 16), radius=13).loose[0, 0] == 1


def test_limits_are_exceeded_not_met():
    # One pixel of a part of five: IoU is 0.2 exactly.
    masks = np.zeros((1, 1, 1, 5), bool)
    masks[0, 0, 0] = True
    maps = np.array([9, 0, 0, 0, 0], np.float32).reshape(1, 1, 1, 5)
    place = half_pixel((1, 5), (1, 5))
    found = counted(maps, masks, place, input_size=(1, 5), radius=0.5)
    assert (found.strict[0, 0], found.loose[0, 0]) == (0, 1)


def seen_by(cell: Size, *, radius: float | None, grid: Size = (12, 12), input_size: Size = (12, 12)) -> Masks:
    """The pixels that one cell of 4 x 4 sees, read off one part a pixel: it overlaps what it sees."""
    maps = np.zeros((1, 1, 4, 4), np.float32)
    maps[0, 0][cell] = 9
    masks = np.eye(grid[0] * grid[1], dtype=bool).reshape(1, -1, *grid)
    found = counted(maps, masks, half_pixel(input_size, (4, 4)), input_size=input_size, radius=radius)
    return found.loose[0].reshape(grid) > 0


def test_a_disc_holds_its_edge():
    # The centre of cell (1, 2) lies at (4, 7).
    rows, columns = np.mgrid[:12, :12]
    np.testing.assert_array_equal(seen_by((1, 2), radius=2), (rows - 4) ** 2 + (columns - 7) ** 2 <= 4)


def test_without_a_radius_each_pixel_belongs_to_its_nearest_cell():
    expected = np.zeros((4, 4), bool)
    expected[1, 2] = True
    np.testing.assert_array_equal(seen_by((1, 2), radius=None), expected.repeat(3, 0).repeat(3, 1))


@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan")])
def test_a_radius_that_is_none_is_refused(radius):
    with pytest.raises(InterpkitError, match="radius"):
        Association(
            np.zeros(1),
            half_pixel((4, 4), (2, 2)),
            map_size=(2, 2),
            input_size=(4, 4),
            grid=(4, 4),
            radius=radius,
            parts=1,
        )


def test_the_default_radius_follows_the_field_up_to_a_cap():
    assert default_radius(Field(size=(20, 30), stride=(4, 4), centre=(0, 0)), (224, 300)) == 12.5
    assert default_radius(Field(size=(400, 400), stride=(32, 32), centre=(0, 0)), (224, 300)) == 28
