"""Masks on the label grid against torch and the slow formula; outlines against their fill."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import dissection as plain
from torch.nn import functional

from interpkit.geometry import Placement, Resampler, half_pixel, outline
from interpkit.geometry.placement import grid_positions
from interpkit.geometry.resampling import cut_axis

Floats = NDArray[np.float32]
Masks = NDArray[np.uint8]
Size = tuple[int, int]

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))
GRIDS = st.tuples(st.integers(1, 12), st.integers(1, 12))


def level_maps(seed: int, units: int, size: Size) -> Floats:
    """(U, h, w) small whole numbers: with dyadic positions every reading is exact in float32."""
    return np.random.default_rng(seed).integers(-3, 4, (units, *size)).astype(np.float32)


def masks(maps: Floats, thresholds: Floats, strict: NDArray[np.bool_], where: plain.Geometry) -> list[Masks]:
    resampler = Resampler(
        Placement(where.start, where.stride), map_size=maps.shape[1:], input_size=where.input_size, grid=where.grid
    )
    squares = resampler.squares(maps, thresholds, strict=strict)
    assert (np.diff(squares.unit) >= 0).all()
    return [resampler.mask(squares, unit) for unit in range(len(maps))]


def slow_masks(maps: Floats, thresholds: Floats, strict: NDArray[np.bool_], where: plain.Geometry) -> list[Masks]:
    surfaces = [plain.resampled(cells, where) for cells in maps]
    return [
        plain.mask_of(surface, float(t), strict=bool(s)).astype(np.uint8)
        for surface, t, s in zip(surfaces, thresholds, strict, strict=True)
    ]


def geometry(input_size: Size, grid: Size, place: Placement) -> plain.Geometry:
    return plain.Geometry(input_size, grid, place.start, place.stride)


@st.composite
def placements(draw: st.DrawFn) -> tuple[Size, plain.Geometry]:
    """A map size and a geometry with dyadic positions: cells that start anywhere, also far outside of the image."""
    size, grid = draw(SIZES), draw(GRIDS)
    factor = draw(st.sampled_from([1, 2, 4]))
    halves = st.integers(-120, 120).map(lambda x: x / 2)
    start = (draw(halves), draw(halves))
    stride = tuple(draw(st.sampled_from([1.0, 2.0, 4.0, 8.0, 0.5])) for _ in range(2))
    return size, plain.Geometry((grid[0] * factor, grid[1] * factor), grid, start, (stride[0], stride[1]))


@given(placements(), st.integers(0, 9999), st.sampled_from([-3, -1, 0, 0.5, 1.75, 2, 3, 4]))
def test_any_placement_gives_the_masks_of_the_definition(placed, seed, threshold):
    size, where = placed
    maps = level_maps(seed, 4, size)
    thresholds = np.full(4, threshold, np.float32)
    strict = np.array([False, True, False, True])
    for fast, slow in zip(
        masks(maps, thresholds, strict, where), slow_masks(maps, thresholds, strict, where), strict=True
    ):
        np.testing.assert_array_equal(fast, slow)


@given(
    SIZES, GRIDS, st.tuples(st.integers(1, 40), st.integers(1, 40)), st.floats(-60, 60), st.floats(0.3, 40), st.data()
)
def test_any_real_placement_agrees_off_the_threshold(size, grid, input_size, start, stride, data):
    where = plain.Geometry(input_size, grid, (start, -start / 3), (stride, stride / 2))
    maps = np.random.default_rng(data.draw(st.integers(0, 999))).normal(size=(2, *size)).astype(np.float32)
    thresholds = np.array([0.2, 0.8], np.float32)
    strict = np.array([False, True])
    surfaces = [plain.resampled(cells, where) for cells in maps]
    for unit, fast in enumerate(masks(maps, thresholds, strict, where)):
        sure = np.abs(surfaces[unit] - thresholds[unit]) > 1e-5
        np.testing.assert_array_equal(fast[sure], (surfaces[unit] >= thresholds[unit])[sure])


@pytest.mark.parametrize(
    ("input_size", "size", "grid"),
    [
        ((224, 224), (7, 7), (112, 112)),
        ((224, 224), (28, 28), (112, 112)),
        ((227, 227), (13, 13), (113, 113)),
        ((224, 224), (56, 56), (16, 16)),  # the map is finer than the grid
        ((240, 320), (8, 10), (60, 90)),
        ((32, 48), (1, 1), (16, 24)),
        ((32, 48), (1, 6), (16, 24)),
        ((32, 48), (16, 24), (16, 24)),
        ((64, 64), (3, 5), (1, 1)),
    ],
)
def test_half_pixel_is_torchs_interpolation(input_size, size, grid):
    maps = np.random.default_rng(0).normal(size=(5, *size)).astype(np.float32)
    surface = functional.interpolate(torch.from_numpy(maps)[None], size=grid, mode="bilinear", align_corners=False)
    surface = surface[0].numpy()
    thresholds = np.full(5, np.quantile(maps, 0.7) + 0.01, np.float32)
    where = geometry(input_size, grid, half_pixel(input_size, size))
    found = np.stack(masks(maps, thresholds, np.zeros(5, bool), where))
    sure = np.abs(surface - thresholds[:, None, None]) > 1e-5
    np.testing.assert_array_equal(found[sure], (surface >= thresholds[:, None, None])[sure])
    assert sure.mean() > 0.7
    assert found.any()
    assert (found == 0).any()


def test_pixels_that_lie_on_cells_have_the_cells_values():
    # Map and grid coincide, so the mask is the comparison of the map itself, >= and > at equality.
    maps = level_maps(0, 3, (6, 8))
    thresholds = np.array([0, 1, 1], np.float32)
    where = geometry((12, 16), (6, 8), half_pixel((12, 16), (6, 8)))
    first, second, strict = masks(maps, thresholds, np.array([False, False, True]), where)
    np.testing.assert_array_equal(first, maps[0] >= 0)
    np.testing.assert_array_equal(second, maps[1] >= 1)
    np.testing.assert_array_equal(strict, maps[2] > 1)
    assert (maps[2] == 1).any()


@pytest.mark.parametrize("start", [(-1e4, -1e4), (1e4, 1e4), (-1e4, 1e4)])
def test_a_map_far_outside_shows_its_nearest_corner(start):
    maps = level_maps(1, 1, (4, 5))
    where = geometry((20, 20), (6, 7), Placement(start, (4.0, 4.0)))
    # A start far below zero puts the last cell before the image: all pixels are read at the last cell.
    corner = maps[0, -1 if start[0] < 0 else 0, -1 if start[1] < 0 else 0]
    for threshold in (corner, np.nextafter(corner, np.float32(9))):
        (mask,) = masks(maps, np.array([threshold], np.float32), np.array([False]), where)
        assert (mask == (corner >= threshold)).all()


def test_a_unit_at_its_floor_is_on_nowhere_if_strict_and_everywhere_if_not():
    maps = np.full((2, 3, 3), -0.25, np.float32)
    where = geometry((24, 24), (12, 12), half_pixel((24, 24), (3, 3)))
    loose, strict = masks(maps, np.full(2, -0.25, np.float32), np.array([False, True]), where)
    assert loose.all()
    assert not strict.any()


def test_a_strict_unit_shows_all_that_rises_from_its_floor():
    maps = np.zeros((1, 3, 3), np.float32)
    maps[0, 1, 1] = 5
    where = geometry((30, 30), (30, 30), half_pixel((30, 30), (3, 3)))
    threshold, strict = np.zeros(1, np.float32), np.array([True])
    (mask,) = masks(maps, threshold, strict, where)
    np.testing.assert_array_equal(mask, slow_masks(maps, threshold, strict, where)[0])
    assert mask.sum() == 20 * 20


def test_units_do_not_touch_each_other():
    maps = level_maps(2, 7, (5, 5))
    thresholds = np.linspace(-1, 3, 7).astype(np.float32)
    strict = np.arange(7) % 2 == 0
    where = geometry((40, 40), (20, 20), half_pixel((40, 40), (5, 5)))
    together = masks(maps, thresholds, strict, where)
    for unit in range(7):
        (alone,) = masks(maps[[unit]], thresholds[[unit]], strict[[unit]], where)
        np.testing.assert_array_equal(alone, together[unit])


def test_no_unit_fires():
    where = geometry((16, 16), (8, 8), half_pixel((16, 16), (2, 2)))
    resampler = Resampler(Placement(where.start, where.stride), map_size=(2, 2), input_size=(16, 16), grid=(8, 8))
    squares = resampler.squares(np.zeros((3, 2, 2), np.float32), np.ones(3, np.float32), strict=np.zeros(3, bool))
    assert len(squares.unit) == 0
    assert resampler.outline(squares, 1) == ""
    assert not resampler.mask(squares, 1).any()


@given(st.integers(1, 12), st.integers(1, 30), st.floats(-50, 50), st.floats(0.2, 30), st.integers(1, 100))
def test_every_label_pixel_lies_in_one_stretch(cells, pixels, start, stride, size):
    place = Placement((start, 0.0), (stride, 1.0))
    positions, _ = grid_positions(place, input_size=(size, 1), grid=(pixels, 1))
    axis = cut_axis(positions, cells)
    held = axis.pixel[axis.pixel >= 0]
    assert sorted(held.tolist()) == list(range(pixels))
    there = axis.pixel >= 0
    np.testing.assert_array_equal(np.isnan(axis.weight), ~there)
    clamped = np.clip(positions, 0, cells - 1)[axis.pixel[there]]
    stretch = np.nonzero(there)[0]
    read = axis.before[stretch] + (axis.after - axis.before)[stretch] * axis.weight[there]
    np.testing.assert_allclose(read, clamped, rtol=1e-5, atol=1e-4)


def test_half_pixel_spreads_the_map_evenly():
    place = half_pixel((240, 96), (10, 3))
    assert place.stride == (24.0, 32.0)
    assert place.start == (11.5, 15.5)
    # The map's centre is the input's centre.
    assert place.start[0] + place.stride[0] * 4.5 == 239 / 2
    assert half_pixel((7, 7), (7, 7)) == Placement((0.0, 0.0), (1.0, 1.0))


def filled(path: str, size: Size) -> Masks:
    """(sh, sw) the pixels inside a path by the even-odd rule: each vertical edge turns over all to its right."""
    assert re.fullmatch(r"(M\d+ \d+(?:[hv]-?\d+)+z)*", path), path
    inside = np.zeros(size, np.uint8)
    for subpath in filter(None, path.split("z")):
        x, y = start = tuple(int(number) for number in re.match(r"M(\d+) (\d+)", subpath).groups())
        for axis, length in re.findall(r"([hv])(-?\d+)", subpath):
            if axis == "v":
                inside[slice(*sorted((y, y + int(length)))), x:] ^= 1
            x, y = (x + int(length), y) if axis == "h" else (x, y + int(length))
            assert 0 <= x <= size[1]
            assert 0 <= y <= size[0]
        assert x == start[0] or y == start[1], "the closing line is slanted"
        if x == start[0]:
            inside[slice(*sorted((y, start[1]))), x:] ^= 1
    return inside


@st.composite
def random_masks(draw: st.DrawFn) -> Masks:
    size = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    share = draw(st.sampled_from([0.05, 0.3, 0.5, 0.7, 0.95]))
    return (np.random.default_rng(draw(st.integers(0, 99999))).random(size) < share).astype(np.uint8)


@settings(max_examples=300)
@given(random_masks())
def test_the_outlines_fill_is_the_mask(mask):
    np.testing.assert_array_equal(filled(outline(mask), mask.shape), mask)


@given(random_masks(), st.integers(0, 9), st.integers(0, 9))
def test_an_outline_of_a_cutting_is_moved_to_its_place(mask, left, top):
    whole = np.zeros((mask.shape[0] + top, mask.shape[1] + left), np.uint8)
    whole[top:, left:] = mask
    np.testing.assert_array_equal(filled(outline(mask, offset=(left, top)), whole.shape), whole)


SHAPES = {
    "empty": ["...", "..."],
    "full": ["####", "####"],
    "one pixel": ["..", ".#"],
    "only pixel": ["#"],
    "row": ["#####"],
    "column": ["#", "#", "#"],
    "diagonal": ["#..", ".#.", "..#"],
    "other diagonal": ["..#", ".#.", "#.."],
    "chequers": ["#.#.", ".#.#", "#.#.", ".#.#"],
    "ring": ["###", "#.#", "###"],
    "hole at an edge": ["###", "#..", "###"],
    "holes that touch": ["#####", "#.###", "##.##", "#####"],
    "island in a hole": ["#######", "#.....#", "#.###.#", "#.#.#.#", "#.###.#", "#.....#", "#######"],
    "island that touches": ["#####", "#...#", "#..##", "#.#.#", "#####"],
    "corners": ["#..#", "....", "#..#"],
    "hole of two that meet at a corner": ["####", "#.##", "##.#", "####"],
}


@pytest.mark.parametrize("name", SHAPES)
def test_outlines_of_shapes(name):
    mask = np.array([[character == "#" for character in row] for row in SHAPES[name]], np.uint8)
    path = outline(mask)
    np.testing.assert_array_equal(filled(path, mask.shape), mask)
    assert (path == "") == (not mask.any())


def test_outlines_are_short():
    # Straight runs are one step: a rectangle takes three steps however long its sides.
    assert outline(np.ones((112, 112), np.uint8)) == "M0 0v112h112v-112z"


def test_the_largest_mask_is_drawn():
    mask = np.zeros((192, 192), np.uint8)
    mask[::2, ::2] = 1
    np.testing.assert_array_equal(filled(outline(mask), mask.shape), mask)


@given(placements(), st.integers(0, 9999), st.sampled_from([-1, 0, 1, 2.5]))
def test_outlines_of_units_fill_their_masks(placed, seed, threshold):
    size, where = placed
    maps = level_maps(seed, 3, size)
    resampler = Resampler(
        Placement(where.start, where.stride), map_size=size, input_size=where.input_size, grid=where.grid
    )
    squares = resampler.squares(maps, np.full(3, threshold, np.float32), strict=np.array([False, True, False]))
    together = resampler.outlines(squares, 3)
    for unit in range(3):
        np.testing.assert_array_equal(filled(together[unit], where.grid), resampler.mask(squares, unit))
        assert resampler.outline(squares, unit) == together[unit]
