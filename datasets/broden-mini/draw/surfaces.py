"""Procedural surfaces: noise, fur, grass, bricks, planks, clouds, water, ...; every array is float32 in 0..1."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 448  # pixels of the supersampled canvas

Array = NDArray[Any]
Colour = Sequence[float] | Array


def rgb(code: str) -> Array:
    """'#a0b0c0' as three floats."""
    return np.array([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)], np.float32)


def white(rng: np.random.Generator, shape: tuple[int, int] = (SIDE, SIDE)) -> Array:
    """Uncorrelated noise, 0..1."""
    return rng.random(shape, dtype=np.float32)


def smooth(rng: np.random.Generator, cells: tuple[float, float], shape: tuple[int, int] = (SIDE, SIDE)) -> Array:
    """Smooth noise with about `cells` (down, across) bumps, 0..1."""
    coarse = white(rng, (max(2, round(cells[0])) + 3, max(2, round(cells[1])) + 3))
    return np.clip(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), 0, 1)


def fractal(
    rng: np.random.Generator, cells: tuple[float, float] = (4, 4), *, octaves: int = 5, gain: float = 0.55
) -> Array:
    """Sum of smooth noises, each twice as fine and `gain` as strong; stretched to 0..1."""
    total = np.zeros((SIDE, SIDE), np.float32)
    weight = 1.0
    for octave in range(octaves):
        fine = (min(cells[0] * 2**octave, SIDE), min(cells[1] * 2**octave, SIDE))
        total += weight * smooth(rng, fine)
        weight *= gain
    low, high = np.percentile(total[::4, ::4], (1, 99))
    return np.asarray(np.clip((total - np.float32(low)) / np.float32(high - low + 1e-6), 0, 1))


def ramp(value: Array, stops: Sequence[Colour]) -> Array:
    """Colours of a value map: piecewise linear through equally spaced stops."""
    stops_ = np.asarray(stops, np.float32)
    at = np.linspace(0, 1, len(stops_))
    flat = np.stack([np.interp(value, at, stops_[:, i]) for i in range(3)], axis=-1)
    return flat.astype(np.float32)


def plain(colour: Colour, rng: np.random.Generator, *, amount: float = 0.12, cells: float = 30) -> Array:
    """One colour with mottling."""
    tone = 1 + amount * (2 * fractal(rng, (cells, cells), octaves=4) - 1)
    return np.clip(np.asarray(colour, np.float32) * tone[..., None], 0, 1)


def grids() -> tuple[Array, Array]:
    """Row and column of each canvas pixel, on 0..1."""
    line = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
    rows, cols = np.meshgrid(line, line, indexing="ij")
    return rows, cols


def strands(rng: np.random.Generator, *, angle: float, length: int = 21, cells: int = SIDE) -> Array:
    """Noise smeared along a direction (degrees, 0 = to the right): hair, fibres, brushed metal."""
    grain = cv2.resize(white(rng, (cells, cells)), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    kernel = np.zeros((length, length), np.float32)
    mid = length // 2
    reach = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))]) * mid
    ends = [tuple(round(float(mid + sign * r)) for r in reach) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1)
    smeared = cv2.filter2D(grain, -1, kernel / kernel.sum())
    low, high = np.percentile(smeared[::4, ::4], (2, 98))
    return np.asarray(np.clip((smeared - np.float32(low)) / np.float32(high - low + 1e-6), 0, 1))


def fur(colour: Colour, rng: np.random.Generator, *, angle: float = 80, contrast: float = 0.45) -> Array:
    """Hair of one colour: two directions of strands, patches of light and dark."""
    hair = 0.5 * strands(rng, angle=angle, length=19) + 0.5 * strands(rng, angle=angle + 25, length=13)
    patch = fractal(rng, (6, 6), octaves=3)
    tone = 1 - contrast / 2 + contrast * hair + 0.25 * (patch - 0.5)
    return np.clip(np.asarray(colour, np.float32) * tone[..., None], 0, 1)


def relief(height: Array, *, strength: float = 2.0, light: tuple[float, float] = (-0.6, -0.7)) -> Array:
    """Lambert shading of a height map seen from above: factors around 1."""
    height = np.asarray(height, np.float32)
    across = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3) * strength
    down = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3) * strength
    lift = 0.7
    lambert = (-across * light[0] - down * light[1] + lift) / np.sqrt(across**2 + down**2 + 1)
    return np.asarray(np.clip(lambert / lift, 0.25, 1.7).astype(np.float32))


def lit(albedo: Array, height: Array, *, strength: float = 2.0) -> Array:
    """Albedo under the relief's shading."""
    return np.asarray(np.clip(albedo * relief(height, strength=strength)[..., None], 0, 1))


def grass(rng: np.random.Generator, *, base: Colour, blades: int = 2200, horizon: float = 0.0) -> Array:
    """Meadow: blades that grow longer and thicker towards the viewer; rows above `horizon` are left smooth."""
    tone = fractal(rng, (14, 5), octaves=5)
    colour = np.asarray(base, np.float32)
    field = ramp(tone, [colour * 0.55, colour, colour * [1.25, 1.15, 0.9]])
    top = horizon * SIDE
    depth = np.sort(rng.random(blades)) ** 0.8
    for near in depth:
        x, y = rng.random() * SIDE, top + near * (SIDE - top)
        reach = 4 + 26 * near * rng.uniform(0.6, 1.4)
        tip = (int((x + rng.normal(0, 0.35) * reach) * 4), int((y - reach) * 4))
        shade = np.clip(colour * rng.uniform(0.45, 1.5) * [1, 1, rng.uniform(0.5, 1.0)], 0, 1)
        cv2.line(field, (int(x * 4), int(y * 4)), tip, shade.tolist(), 1 + int(near > 0.7), cv2.LINE_AA, 2)
    return field


def leaves(rng: np.random.Generator, *, base: Colour, count: int = 1500, size: float = 9) -> Array:
    """A wall of foliage: many small leaves, each lit by chance, darker ones behind."""
    colour = np.asarray(base, np.float32)
    wall = plain(colour * 0.3, rng, amount=0.5, cells=12)
    light = fractal(rng, (4, 4), octaves=3)
    spots = rng.random((count, 6), dtype=np.float32)
    for i, (a, b, c, d, e, f) in enumerate(spots):
        x, y = int(a * SIDE), int(b * SIDE)
        depth = 0.4 + 0.9 * (i / count) * (0.4 + light[min(y, SIDE - 1), min(x, SIDE - 1)])
        shade = np.clip(colour * depth * (0.75 + 0.5 * c) * [0.8 + 0.5 * f, 1, 0.8], 0, 1)
        axes = (max(2, int(size * (0.6 + e))), max(1, int(size * (0.25 + 0.3 * c))))
        cv2.ellipse(wall, (x, y), axes, 360 * d, 0, 360, shade.tolist(), -1, cv2.LINE_AA)
    return wall


def clouds(rng: np.random.Generator, *, zenith: Colour, low: Colour, cover: float = 0.5) -> Array:
    """Sky: gradient from zenith to horizon with fractal clouds shaded from below."""
    rows, _ = grids()
    blue = ramp(np.clip(rows * 1.3, 0, 1), [zenith, low])
    puff = fractal(rng, (5, 3), octaves=6, gain=0.55)
    dense = np.clip((puff - (1 - cover)) / 0.28, 0, 1)
    under = cv2.GaussianBlur(dense, (0, 0), 9)
    under = np.clip(np.roll(under, -10, axis=0) - 0.35, 0, 1)
    body = 0.98 - 0.22 * under[..., None] * np.array([1, 0.95, 0.8], np.float32)
    return np.asarray(blue * (1 - dense[..., None]) + body * dense[..., None])


def sea(rng: np.random.Generator, *, base: Colour, horizon: float) -> Array:
    """Water to a horizon: waves that flatten and shrink with distance."""
    rows, cols = grids()
    depth = np.clip((rows - horizon) / (1 - horizon), 0.004, 1)
    noise = fractal(rng, (6, 6), octaves=6, gain=0.7)
    far = 1 / (depth + 0.08)
    u, v = (cols - 0.5) * far * 60 + SIDE / 2, far * 300
    warped = cv2.remap(noise, u.astype(np.float32) % SIDE, v.astype(np.float32) % SIDE, cv2.INTER_LINEAR)
    ripple = 0.5 + 0.5 * np.sin(far * 30 + 9 * warped)
    tone = 0.55 * warped + 0.45 * ripple * (0.4 + 0.6 * depth)
    colour = np.asarray(base, np.float32)
    water = ramp(tone, [colour * 0.5, colour * 0.8, colour * 1.1, np.minimum(colour * 1.4 + 0.12, 1)])
    glint = (warped > 0.86) * rng.uniform(0.1, 0.5)
    return np.asarray(np.clip(water + glint[..., None].astype(np.float32), 0, 1))


def bricks(rng: np.random.Generator, *, base: Colour, rows: int = 18, mortar: Colour = (0.72, 0.69, 0.64)) -> Array:
    """Brick wall in running bond, every brick of its own tone, mortar set back."""
    tall = SIDE / rows
    wide = tall * 2.6
    y = np.arange(SIDE)
    course = (y / tall).astype(int)
    x = np.arange(SIDE)[None, :] + (course % 2)[:, None] * wide / 2
    column = (x / wide).astype(int)
    tones = rng.uniform(0.65, 1.2, (rows + 2, int(SIDE / wide) + 4)).astype(np.float32)
    tone = tones[course[:, None], column]
    gap = (((y % tall) < tall * 0.13)[:, None]) | ((x % wide) < tall * 0.13)
    grain = 0.8 + 0.4 * fractal(rng, (40, 40), octaves=4)
    faces = np.asarray(base, np.float32) * (tone * grain)[..., None]
    wall = np.where(gap[..., None], np.asarray(mortar, np.float32) * grain[..., None], faces)
    height = cv2.GaussianBlur((~gap).astype(np.float32), (0, 0), 1.2) + 0.15 * grain
    return lit(wall.astype(np.float32), height, strength=0.7)


def wood(rng: np.random.Generator, *, base: Colour, planks: int = 6, across: bool = True) -> Array:
    """Planks with grain: stretched noise bent into rings, a dark gap between boards."""
    rows, _ = grids()
    board = np.minimum((rows * planks).astype(int), planks - 1)
    warp = fractal(rng, (9, 2), octaves=4)
    shift = rng.uniform(0, 5, planks)[board].astype(np.float32)
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (rows * planks * 2.2 + 3.2 * warp + shift))
    grain = 0.55 * rings + 0.45 * strands(rng, angle=0, length=61)
    colour = np.asarray(base, np.float32)
    tone = rng.uniform(0.8, 1.15, planks)[board].astype(np.float32)
    face = ramp(grain, [colour * 0.62, colour, np.minimum(colour * 1.22, 1)]) * tone[..., None]
    gap = (rows * planks % 1) < 0.035
    face = np.where(gap[..., None], face * 0.3, face)
    return np.asarray(np.clip(face if across else face.transpose(1, 0, 2), 0, 1).astype(np.float32))


def cells(rng: np.random.Generator, count: int, *, jitter: float = 0.9) -> tuple[Array, Array, Array]:
    """Voronoi cells of a jittered grid: distance to the nearest point, to the second, and the cell's number."""
    side = int(np.ceil(np.sqrt(count))) + 2
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2)
    points = (grid - 1 + 0.5 + jitter * (rng.random((side * side, 2)) - 0.5)) / (side - 2) * SIDE
    best = np.full((SIDE, SIDE), 1e9, np.float32)
    second, owner = best.copy(), np.zeros((SIDE, SIDE), np.int32)
    reach = int(SIDE / (side - 2) * 2.2)
    for i, (py, px) in enumerate(points):
        top, left = max(0, int(py) - reach), max(0, int(px) - reach)
        bottom, right = min(SIDE, int(py) + reach), min(SIDE, int(px) + reach)
        if top >= bottom or left >= right:
            continue
        far = np.hypot(*np.ogrid[top - py : bottom - py : 1.0, left - px : right - px : 1.0])
        far = far[: bottom - top, : right - left].astype(np.float32)
        window = np.s_[top:bottom, left:right]
        closer = far < best[window]
        second[window] = np.where(closer, best[window], np.minimum(second[window], far))
        owner[window] = np.where(closer, i, owner[window])
        best[window] = np.minimum(best[window], far)
    return best, second, owner


def stones(rng: np.random.Generator, *, base: Colour, count: int = 80) -> Array:
    """Rubble wall: rounded stones of many greys in mortar."""
    near, second, owner = cells(rng, count)
    edge = np.clip((second - near) / 9, 0, 1)
    tone = rng.uniform(0.6, 1.3, owner.max() + 1).astype(np.float32)[owner]
    tint = rng.uniform(0.93, 1.07, (owner.max() + 1, 3)).astype(np.float32)[owner]
    rough = fractal(rng, (24, 24), octaves=5)
    face = np.asarray(base, np.float32) * tint * (tone * (0.7 + 0.5 * rough))[..., None]
    wall = face * (0.25 + 0.75 * edge[..., None])
    return lit(np.clip(wall, 0, 1), 4 * np.sqrt(edge) + 0.8 * rough, strength=0.5)


def cloth(rng: np.random.Generator, *, base: Colour, folds: float = 4) -> Array:
    """Woven cloth with soft folds."""
    rows, cols = grids()
    weave = np.sin(rows * SIDE * 1.4) * np.sin(cols * SIDE * 1.4)
    tilt = rng.uniform(-0.6, 0.6)
    wave = fractal(rng, (3, 3), octaves=3)
    drape = np.sin(2 * np.pi * (folds * (cols + tilt * rows) + 1.6 * wave))
    tone = 0.85 + 0.09 * weave + 0.28 * drape
    return np.clip(np.asarray(base, np.float32) * tone[..., None], 0, 1).astype(np.float32)


def ground(rng: np.random.Generator, *, base: Colour, grain: float = 0.5) -> Array:
    """Sand, soil or asphalt: grain over slow patches."""
    fine = cv2.GaussianBlur(white(rng), (0, 0), 0.9)
    fine = np.clip((fine - 0.5) * 3 + 0.5, 0, 1)
    tone = 0.8 + 0.3 * fractal(rng, (10, 4), octaves=5) + grain * (fine - 0.5)
    return np.asarray(np.clip(np.asarray(base, np.float32) * tone[..., None], 0, 1).astype(np.float32))


def tiles(rng: np.random.Generator, *, base: Colour, count: int = 8) -> Array:
    """Glazed tiles with light grout and a soft reflection."""
    rows, cols = grids()
    r, c = rows * count, cols * count
    tone = rng.uniform(0.88, 1.08, (count + 1, count + 1)).astype(np.float32)[r.astype(int), c.astype(int)]
    gap = ((r % 1) < 0.06) | ((c % 1) < 0.06)
    shine = 0.9 + 0.25 * smooth(rng, (2, 2))
    face = np.asarray(base, np.float32) * (tone * shine)[..., None]
    wall = np.where(gap[..., None], np.float32(0.82), face).astype(np.float32)
    return lit(wall, cv2.GaussianBlur((~gap).astype(np.float32), (0, 0), 1.3), strength=0.8)


def glass(rng: np.random.Generator) -> Array:
    """A pane that mirrors pale sky and dark things."""
    rows, cols = grids()
    streak = np.clip(np.sin((rows + cols) * 40) * 4 - 3, 0, 1) * 0.25
    tone = 0.25 + 0.4 * fractal(rng, (4, 3), octaves=3) + streak
    return np.asarray(np.clip(tone[..., None] * np.array([0.75, 0.88, 1.0], np.float32), 0, 1).astype(np.float32))
