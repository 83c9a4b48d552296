"""Bird, fish and butterfly."""

import numpy as np

from draw import surfaces
from draw.canvas import Canvas, Pose, limb, oval, path, polygon, spline
from draw.surfaces import SIDE, Array, rgb

PLUMAGES = (  # back, belly, wing
    ("#6d5540", "#c8602a", "#5a4636"),
    ("#3f6fb5", "#dfe2e6", "#274d8f"),
    ("#e2bb27", "#efd35a", "#1d1b1a"),
    ("#b3282a", "#cf4a3c", "#7a1f1f"),
    ("#4f8f3a", "#a5b84a", "#2f6a52"),
    ("#2b5fae", "#3f7cc8", "#1d3f7a"),
)


def _feathers(c: Canvas, colour: Array, size: float, *, edge: float = 0.14) -> Array:
    rows, cols = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    rows, cols = rows + 1.6 * size * surfaces.smooth(c.rng, (5, 5)), cols + 1.6 * size * surfaces.smooth(c.rng, (5, 5))
    v = rows / size
    u = cols / size + 0.5 * (v.astype(int) % 2)
    scallop = np.hypot(u % 1 - 0.5, v % 1 - 0.1)
    tone = 1.06 - edge * np.clip((scallop - 0.35) * 4, 0, 1)
    return np.asarray(surfaces.fur(colour, c.rng, angle=35, contrast=0.5) * tone[..., None])


def _folded_wing(c: Canvas, pose: Pose, wing: Array) -> None:
    r = pose.scale
    wing_shape = spline(path("0.18 -0.18  0.2 0.02  0 0.14  -0.35 0.22  -0.68 0.26  -0.35 0.02  -0.1 -0.17"))
    c.shadow(polygon(pose(wing_shape)), shift=(0, 0.04 * r), blur=4, dark=0.35)
    c.put(pose, wing_shape, _feathers(c, wing, 14), object="bird", part="wing", round=0.12)
    for k in range(4):
        c.line(
            pose(
                spline(
                    [(0.1 - 0.1 * k, 0.0 + 0.03 * k), (-0.2 - 0.05 * k, 0.07 + 0.04 * k), (-0.55, 0.2 + 0.015 * k)],
                    closed=False,
                )
            ),
            wing * 0.35,
            width=2,
        )


def bird(c: Canvas, pose: Pose) -> None:
    """A small bird in profile, perched."""
    rng, _r = c.rng, pose.scale
    back, belly, wing = (rgb(code) for code in PLUMAGES[rng.integers(len(PLUMAGES))])
    for x in (0.02, 0.12):
        c.put(
            pose,
            limb([(x, 0.22), (x + 0.02, 0.36), (x + 0.01, 0.47)], [0.05, 0.03, 0.03]),
            rgb("#4f3a30"),
            object="bird",
            part="leg",
        )
    tail = path("-0.38 0.1  -0.95 0.36  -0.9 0.46  -0.72 0.44  -0.3 0.26")
    c.put(
        pose,
        tail,
        surfaces.strands(rng, angle=25, length=41)[..., None] * wing * 0.8 + wing * 0.45,
        object="bird",
        part="tail",
        round=0.08,
    )
    body = spline(
        path("0.42 -0.28  0.46 -0.02  0.32 0.22  0.05 0.31  -0.25 0.26  -0.5 0.14  -0.3 -0.08  0.05 -0.28  0.22 -0.4")
    )
    across, down = pose.coordinates()
    mix = np.clip((down + 0.35 * across - 0.06) * 5 + 0.5, 0, 1)[..., None]
    plumage = _feathers(c, back, 11) * (1 - mix) + _feathers(c, belly, 9) * mix
    c.put(pose, body, plumage, object="bird", part="torso", round=0.25)
    c.put(
        pose,
        [(0.5, -0.45), (0.74, -0.36), (0.5, -0.31)],
        rgb("#3d3530") if rng.random() < 0.6 else rgb("#d98f22"),
        object="bird",
        part="beak",
        round=0.05,
    )
    head = oval(0.34, -0.4, 0.2, 0.18)
    c.put(pose, head, _feathers(c, back, 7), object="bird", part="head", round=0.16)
    c.over(pose, oval(0.41, -0.43, 0.04, 0.04), rgb("#0e0b0b"), part="eye")
    c.over(pose, oval(0.42, -0.445, 0.013, 0.013), rgb("#f4f4f4"), part="eye")
    _folded_wing(c, pose, wing)


def fish(c: Canvas, pose: Pose) -> None:
    """A fish in profile, facing right: goldfish, clownfish, blue or yellow."""
    rng, r = c.rng, pose.scale
    kind = rng.integers(4)
    base = rgb(["#e8791c", "#e8661a", "#2b62b8", "#e6c52a"][kind])
    x, _ = pose.coordinates()
    skin = _feathers(c, base, max(7, 0.055 * r), edge=0.35)
    if kind == 1:
        band = np.zeros((SIDE, SIDE), np.float32)
        for at in (-0.36, -0.02, 0.3):
            band = np.maximum(band, np.clip((0.055 - np.abs(x - at)) * 60, 0, 1))
        skin = skin * (1 - band[..., None]) + np.float32(0.93) * band[..., None]
    fin = np.clip(surfaces.strands(rng, angle=20, length=31)[..., None] * 0.5 + 0.65, 0, 1.2) * base
    top = spline(path("0.2 -0.22  0.05 -0.42  -0.25 -0.4  -0.35 -0.2  0 -0.1"))
    low = spline(path("0.05 0.22  -0.1 0.4  -0.25 0.36  -0.2 0.15"))
    flap = rng.uniform(-0.06, 0.06)
    tail = spline(
        [
            (-0.45, 0),
            (-0.7, -0.28 + flap),
            (-0.86, -0.3 + flap),
            (-0.78, 0.02),
            (-0.86, 0.32 + flap),
            (-0.7, 0.28 + flap),
        ]
    )
    for shape, part in ((top, "fin"), (low, "fin"), (tail, "tail")):
        c.put(pose, shape, fin, object="fish", part=part, round=0.05)
    body = spline(
        path("0.6 0.02  0.45 -0.16  0.15 -0.27  -0.2 -0.2  -0.5 -0.06  -0.5 0.07  -0.2 0.2  0.15 0.26  0.45 0.17")
    )
    c.put(pose, body, skin, object="fish", part="torso", round=0.24, gloss=0.25)
    head = polygon(pose(body)) & (x > 0.3)
    c.fill(head, surfaces.plain(base * 0.97, rng), part="head", round=0.2 * r, gloss=0.2)
    c.line(pose(spline([(0.32, -0.18), (0.25, 0.0), (0.32, 0.17)], closed=False)), base * 0.4, width=2)
    c.line(pose([(0.59, 0.05), (0.5, 0.075)]), base * 0.3, width=2)
    c.over(pose, oval(0.43, -0.05, 0.062, 0.062), rgb("#f1ead0"), part="eye", round=0.05)
    c.over(pose, oval(0.44, -0.05, 0.034, 0.034), rgb("#0a0a0c"), part="eye")
    side_fin = spline(path("0.2 0.03  0 0.06  -0.1 0.18  0.08 0.17"))
    c.put(pose, side_fin, fin * 0.9, object="fish", part="fin", round=0.04)


def _wing_paint(c: Canvas, pose: Pose, base: Array) -> Array:
    """Ground colour, dark veins that fan out from the body, dark rim."""
    x, y = pose.coordinates()
    angle, far = np.arctan2(y, np.abs(x) + 0.001), np.hypot(x, y)
    vein = np.abs((angle * 4.2 + 0.15 * np.sin(9 * far)) % 1 - 0.5) * far
    ink = np.clip((0.055 - vein) * 40, 0, 1)
    tone = 0.8 + 0.4 * surfaces.fractal(c.rng, (9, 9), octaves=4)
    ground = base * tone[..., None]
    return np.asarray((ground * (1 - ink[..., None]) + rgb("#14100f") * ink[..., None]).astype(np.float32))


def butterfly(c: Canvas, pose: Pose) -> None:
    """A butterfly from above: monarch, blue, yellow, white."""
    rng = c.rng
    base = rgb(["#e07818", "#e07818", "#3f7fd6", "#ecd046", "#ece8df"][rng.integers(5)])
    paint, rim = _wing_paint(c, pose, base), surfaces.plain(rgb("#17110f"), rng)
    spread = rng.uniform(0.85, 1.05)
    hind = path("0.04 0.05  0.4 0.08  0.62 0.3  0.52 0.6  0.26 0.66  0.08 0.4")
    fore = path("0.03 -0.05  0.3 -0.42  0.72 -0.66  0.95 -0.62  0.86 -0.25  0.55 0.08  0.2 0.12")
    for shape in (hind, fore):
        for side in (-1, 1):
            outline = spline(shape * [side * spread, 1])
            middle = outline.mean(0)
            c.shadow(polygon(pose(outline)), shift=(5, 8), blur=6, dark=0.3)
            c.put(pose, outline, rim, object="butterfly", part="wing")
            c.put(pose, middle + (outline - middle) * 0.84, paint, part="wing", round=0.5)
            for t in range(0, len(outline), 4):
                spot = middle + (outline[t] - middle) * 0.92
                if abs(spot[0]) > 0.35 * spread:
                    c.put(pose, oval(spot[0], spot[1], 0.017, 0.017), rgb("#f5f0e6"), part="wing")
    c.put(
        pose,
        spline(path("0 -0.22  0.055 -0.1  0.05 0.15  0 0.5  -0.05 0.15  -0.055 -0.1")),
        surfaces.fur(rgb("#2a211d"), rng),
        object="butterfly",
        part="torso",
        round=0.05,
    )
    c.put(pose, oval(0, -0.25, 0.05, 0.05), rgb("#1c1614"), object="butterfly", part="head", round=0.04)
    for side in (-1, 1):
        feeler = limb([(side * 0.02, -0.28), (side * 0.1, -0.5), (side * 0.22, -0.66)], [0.014, 0.014, 0.03])
        c.put(pose, feeler, rgb("#1a1312"), object="butterfly", part="antenna")
