"""Texture images: one whole-image label each; height and albedo, lit from the side, then tilted."""

from collections.abc import Callable

import cv2
import numpy as np

from draw import surfaces
from draw.canvas import Canvas
from draw.surfaces import SIDE, Array, rgb

PAIRS = (
    ("#1d1b1c", "#eee9df"),
    ("#8e1f25", "#efe6d2"),
    ("#1f3f7a", "#e8e4d8"),
    ("#27613c", "#d9d08a"),
    ("#d99a1f", "#4b2413"),
    ("#5b2f70", "#d8b8d8"),
    ("#c2551f", "#f0dfc0"),
    ("#6a4a30", "#cdb28a"),
    ("#3c7f8c", "#f1efe8"),
    ("#d1487a", "#f6e3ea"),
)
Texture = Callable[[Canvas], Array]


def _pair(c: Canvas) -> tuple[Array, Array]:
    dark, light = PAIRS[c.rng.integers(len(PAIRS))]
    return surfaces.plain(rgb(dark), c.rng), surfaces.plain(rgb(light), c.rng)


def _mix(a: Array, b: Array, t: Array) -> Array:
    return np.asarray((a * (1 - t[..., None]) + b * t[..., None]).astype(np.float32))


def _bent(c: Canvas, *, amount: float = 0.03) -> tuple[Array, Array]:
    """Rows and columns, turned and gently warped, in 0..1 units."""
    rows, cols = surfaces.grids()
    a = np.radians(c.rng.uniform(-35, 35))
    r = rows - 0.5 + amount * (surfaces.fractal(c.rng, (2, 2), octaves=3) - 0.5)
    q = cols - 0.5 + amount * (surfaces.fractal(c.rng, (2, 2), octaves=3) - 0.5)
    return (r * np.cos(a) + q * np.sin(a)).astype(np.float32), (q * np.cos(a) - r * np.sin(a)).astype(np.float32)


def _step(value: Array, *, sharp: float = 6) -> Array:
    return np.clip(value * sharp + 0.5, 0, 1)


def striped(c: Canvas) -> Array:
    """Even stripes, as on cloth."""
    r, _ = _bent(c, amount=0.12)
    dark, light = _pair(c)
    count = c.rng.uniform(6, 13)
    return (
        _mix(dark, light, _step(np.sin(2 * np.pi * r * count)))
        * (0.85 + 0.3 * surfaces.strands(c.rng, angle=c.rng.uniform(0, 180)))[..., None]
    )


def dotted(c: Canvas) -> Array:
    """Polka dots."""
    r, q = _bent(c, amount=0.05)
    count = c.rng.uniform(6, 11)
    v = r * count + 20
    u = q * count + 20 + 0.5 * (np.floor(v) % 2)
    far = np.hypot(u % 1 - 0.5, v % 1 - 0.5)
    dark, light = _pair(c)
    first, second = (dark, light) if c.rng.random() < 0.5 else (light, dark)
    return (
        _mix(first, second, _step(c.rng.uniform(0.24, 0.34) - far, sharp=14))
        * (0.88 + 0.2 * surfaces.fractal(c.rng, (3, 3), octaves=2))[..., None]
    )


def chequered(c: Canvas) -> Array:
    """Two-tone squares."""
    r, q = _bent(c)
    count = c.rng.uniform(4, 8)
    dark, light = _pair(c)
    return _mix(dark, light, _step(np.sin(2 * np.pi * r * count / 1.4) * np.sin(2 * np.pi * q * count / 1.4), sharp=20))


def grid(c: Canvas) -> Array:
    """Thin bars crossing at right angles before a dim ground, as a grate."""
    r, q = _bent(c, amount=0.02)
    count, width = c.rng.uniform(7, 12), c.rng.uniform(0.07, 0.13)
    far = np.minimum(np.abs(r * count % 1 - 0.5), np.abs(q * count % 1 - 0.5))
    bar = _step(width - far, sharp=20)
    dark, light = _pair(c)
    height = np.sqrt(np.clip(1 - (far / width) ** 2, 0, 1))
    return surfaces.lit(_mix(dark * 0.7, light, bar), cv2.GaussianBlur(height, (0, 0), 1.0) * 2, strength=0.7)


def zigzagged(c: Canvas) -> Array:
    """Chevrons."""
    r, q = _bent(c)
    count = c.rng.uniform(6, 10)
    wave = np.abs((q * count * 0.6) % 1 - 0.5) * c.rng.uniform(1.2, 2.2)
    dark, light = _pair(c)
    return (
        _mix(dark, light, _step(np.sin(2 * np.pi * (r * count + wave)), sharp=5))
        * (0.85 + 0.3 * surfaces.strands(c.rng, angle=40))[..., None]
    )


def woven(c: Canvas) -> Array:
    """Basket work: strips over and under."""
    r, q = _bent(c, amount=0.03)
    count = c.rng.uniform(9, 15)
    v, u = r * count + 40, q * count + 40
    over = (np.floor(v) + np.floor(u)) % 2 < 1
    along, side = np.where(over, u % 1, v % 1), np.where(over, v % 1, u % 1)
    height = np.sin(np.pi * along) * 0.8 + np.sqrt(np.clip(1 - (2 * side - 1) ** 2, 0, 1))
    strip = np.where(over, surfaces.strands(c.rng, angle=0, length=31), surfaces.strands(c.rng, angle=90, length=31))
    colour = rgb(str(c.rng.choice(["#b58a50", "#8a5a30", "#cdb07a", "#6b4a35"])))
    tone = (0.5 + 0.5 * strip) * (0.35 + 0.65 * np.clip(height, 0, 1.2))
    return surfaces.lit(
        np.clip(colour * tone[..., None] * 1.15, 0, 1).astype(np.float32),
        (height * 4).astype(np.float32),
        strength=0.35,
    )


def honeycombed(c: Canvas) -> Array:
    """Hexagonal wax cells."""
    r, q = _bent(c, amount=0.04)
    size = c.rng.uniform(8, 14)
    v, u = r * size * 1.1547, q * size
    best = np.full((SIDE, SIDE), 9.0, np.float32)
    second = best.copy()
    for k in range(2):
        row = np.round((v - k) / 2) * 2 + k
        for col in (np.floor(u - k / 2), np.floor(u - k / 2) + 1):
            far = np.hypot(u - (col + k / 2), (v - row) * 0.866)
            second = np.where(far < best, best, np.minimum(second, far))
            best = np.minimum(best, far)
    wall = np.clip(1 - (second - best) / 0.3, 0, 1)
    wax = surfaces.ramp(
        np.clip(wall * 0.8 + 0.25 * surfaces.fractal(c.rng, (5, 5)), 0, 1),
        [rgb("#3a1d08"), rgb("#9a5a14"), rgb("#e0a83a"), rgb("#f7dc8a")],
    )
    return surfaces.lit(wax, cv2.GaussianBlur(wall, (0, 0), 1.5) * 4, strength=0.6)


def cracked(c: Canvas) -> Array:
    """Dried mud or old paint."""
    near, second, owner = surfaces.cells(c.rng, int(c.rng.integers(30, 70)))
    rough = surfaces.fractal(c.rng, (12, 12), octaves=6)
    gap = second - near + 9 * (rough - 0.5)
    plate = np.clip((gap - 1.5) / 3.5, 0, 1)
    base = rgb(str(c.rng.choice(["#b59a78", "#a88a70", "#c9bda6", "#8f7a66"])))
    tone = c.rng.uniform(0.85, 1.1, owner.max() + 1).astype(np.float32)[owner] * (0.75 + 0.4 * rough)
    face = np.clip(base * tone[..., None], 0, 1) * (0.12 + 0.88 * plate[..., None])
    return surfaces.lit(face.astype(np.float32), (3 * np.sqrt(plate) + rough).astype(np.float32), strength=0.5)


def cobwebbed(c: Canvas) -> Array:
    """A spider's web before a blurred dark ground."""
    ground = cv2.GaussianBlur(surfaces.leaves(c.rng, base=rgb("#3f5a34"), size=18), (0, 0), 12) * 0.6
    middle = c.rng.uniform(0.35, 0.65, 2) * SIDE
    spokes = np.sort(np.linspace(0, 2 * np.pi, 18, endpoint=False) + c.rng.normal(0, 0.06, 18))
    silk = np.zeros((SIDE, SIDE), np.float32)
    reach = c.rng.uniform(0.9, 1.1, 18)
    for a in spokes:
        tip = middle + 500 * np.array([np.cos(a), np.sin(a)])
        cv2.line(silk, tuple(int(v) for v in middle), tuple(int(v) for v in tip), 0.9, 2, cv2.LINE_AA)
    for turn in np.arange(14, 330, c.rng.uniform(11, 15)):
        ring = middle + (turn * reach[:, None]) * np.stack([np.cos(spokes), np.sin(spokes)], 1)
        between = np.roll(ring, -1, 0)
        sag = (ring + between) / 2 * 0.94 + middle * 0.06
        path = np.stack([ring, sag], 1).reshape(-1, 2)
        knots = np.round(path * 16).astype(np.int32)
        cv2.polylines(silk, [knots], isClosed=True, color=0.8, thickness=1, shift=4)
    return np.clip(ground + silk[..., None] * (0.6 + 0.4 * surfaces.fractal(c.rng)[..., None]), 0, 1)


def scaly(c: Canvas) -> Array:
    """Overlapping scales, as of a reptile."""
    r, q = _bent(c, amount=0.05)
    count = c.rng.uniform(9, 16)
    v, u = r * count * 1.7 + 60, q * count + 60
    height, tone = np.zeros((SIDE, SIDE), np.float32), np.zeros((SIDE, SIDE), np.float32)
    shades = c.rng.uniform(0.75, 1.15, (64, 64)).astype(np.float32)
    for lag in (0, 1):
        row = np.floor(v) - lag
        offset = 0.5 * (row % 2)
        du, dv = (u + offset) % 1 - 0.5, v - row
        inside = (np.hypot(du / 0.53, dv / 1.75) < 1) | (lag == 0)
        dome = np.sqrt(np.clip(1 - (du / 0.56) ** 2, 0, 1))
        shade = shades[row.astype(int) % 64, np.floor(u + offset).astype(int) % 64]
        height = np.where(inside, 0.6 * dome + 0.55 * dv, height)
        tone = np.where(inside, shade * (0.55 + 0.45 * dome) * (0.3 + 0.5 * dv), tone)
    base = rgb(str(c.rng.choice(["#5f7a3a", "#8a7a4a", "#4a6a6a", "#7a5a3a", "#3f4a4a"])))
    return surfaces.lit(
        np.clip(base * tone[..., None], 0, 1).astype(np.float32), (height * 5).astype(np.float32), strength=0.4
    )


def spiralled(c: Canvas) -> Array:
    """One big spiral."""
    rows, cols = surfaces.grids()
    cy, cx = c.rng.uniform(0.4, 0.6, 2)
    far, angle = np.hypot(rows - cy, cols - cx), np.arctan2(rows - cy, cols - cx)
    dark, light = _pair(c)
    turns = c.rng.uniform(6, 10)
    wave = np.sin(2 * np.pi * (far * turns) + c.rng.choice([-1, 1]) * angle + 0.6 * surfaces.fractal(c.rng, (4, 4)))
    return surfaces.lit(_mix(dark, light, _step(wave, sharp=2)), wave.astype(np.float32) * 3, strength=0.4)


def knitted(c: Canvas) -> Array:
    """Stockinette stitches."""
    r, q = _bent(c, amount=0.05)
    count = c.rng.uniform(12, 18)
    u, v = q * count + 40, r * count * 1.3 + 40
    fold = np.abs(u % 1 - 0.5)
    stitch = (v + 1.3 * fold) % 1
    height = np.sqrt(np.clip(1 - (2 * stitch - 1) ** 2, 0, 1)) * np.sqrt(
        np.clip(1 - (4 * np.abs(fold - 0.25)) ** 2, 0.02, 1)
    )
    yarn = rgb(str(c.rng.choice(["#8a2f3a", "#c9bda0", "#3f5f8a", "#5a7a4a", "#c98a2f", "#8f8f94"])))
    fuzz = 0.7 + 0.5 * surfaces.strands(c.rng, angle=70, length=9)
    return surfaces.lit(
        np.clip(yarn * (fuzz * (0.35 + 0.8 * height))[..., None], 0, 1).astype(np.float32),
        (height * 4).astype(np.float32),
        strength=0.35,
    )


TEXTURES: dict[str, Texture] = {
    "striped": striped,
    "polka-dotted": dotted,
    "chequered": chequered,
    "grid": grid,
    "zigzagged": zigzagged,
    "woven": woven,
    "honeycombed": honeycombed,
    "cracked": cracked,
    "cobwebbed": cobwebbed,
    "scaly": scaly,
    "spiralled": spiralled,
    "knitted": knitted,
}


def paint(c: Canvas, name: str) -> None:
    """Fill the canvas with a texture, seen a little from the side."""
    picture = TEXTURES[name](c)
    tilt = c.rng.uniform(-0.16, 0.16, (4, 2)).astype(np.float32)
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)
    outside = corners + tilt.clip(0, None) * (0.5 - corners) * 2 * 0.9
    matrix = cv2.getPerspectiveTransform((outside * SIDE).astype(np.float32), corners * SIDE)
    c.rgb = np.clip(cv2.warpPerspective(np.ascontiguousarray(picture, np.float32), matrix, (SIDE, SIDE)), 0, 1)
