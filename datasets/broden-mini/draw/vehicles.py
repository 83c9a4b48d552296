"""Car, bus, airplane, sailing boat."""

import numpy as np

from draw import surfaces
from draw.canvas import Canvas, Pose, box, oval, path, spline
from draw.surfaces import Array, rgb


def _wheel(c: Canvas, pose: Pose, *, x: float, y: float, r: float, name: str) -> None:
    c.put(
        pose, oval(x, y, r, r), surfaces.plain(rgb("#1d1c1e"), c.rng, amount=0.3), object=name, part="wheel", round=0.05
    )
    c.put(pose, oval(x, y, r * 0.62, r * 0.62), rgb("#9a9ea4"), part="wheel", round=0.05, gloss=0.3)
    spokes = 5
    for k in range(spokes):
        a = 2 * np.pi * k / spokes + 0.3
        c.put(
            pose,
            oval(x + r * 0.36 * np.cos(a), y + r * 0.36 * np.sin(a), r * 0.17, r * 0.12, angle=np.degrees(a)),
            rgb("#2a2b2e"),
            part="wheel",
        )
    c.put(pose, oval(x, y, r * 0.14, r * 0.14), rgb("#c9ccd1"), part="wheel", round=0.02)


def _paintwork(c: Canvas, pose: Pose, colour: Array) -> Array:
    """Car lacquer: sky mirrored on the shoulder, dark ground below."""
    _, y = pose.coordinates()
    sheen = np.interp(y, [-0.45, -0.2, -0.08, -0.02, 0.05, 0.25], [1.25, 0.95, 1.3, 0.8, 1.05, 0.55]).astype(np.float32)
    return np.clip(
        surfaces.plain(colour, c.rng, amount=0.05) * sheen[..., None] + 0.06 * (sheen[..., None] > 1.2), 0, 1
    )


CAR_COLOURS = ("#c1201f", "#e8b71a", "#1f4fa3", "#d9dadb", "#26282b", "#2f6b3c", "#8f9499")


def car(c: Canvas, pose: Pose, *, colour: str | None = None) -> None:
    """A car: from the side, or from the front one time in three."""
    shade = rgb(colour or str(c.rng.choice(CAR_COLOURS)))
    if c.rng.random() < 0.33:
        _car_front(c, pose, shade)
        return
    lacquer, pane = _paintwork(c, pose, shade), surfaces.glass(c.rng)
    sedan = c.rng.random() < 0.6
    tail = 0.42 if sedan else 0.8
    cabin = spline([(-tail - 0.05, -0.08), (-tail * 0.8, -0.36), (-0.2, -0.43), (0.2, -0.4), (0.5, -0.1)], steps=6)
    c.put(pose, cabin, lacquer, object="car", part="roof", round=0.08)
    body = spline(
        path(
            "-0.98 0.05  -0.93 -0.1  -0.5 -0.15  0.45 -0.14  0.85 -0.06  "
            "0.98 0.06  0.98 0.18  0.6 0.22  -0.6 0.22  -0.97 0.19"
        )
    )
    c.put(pose, body, lacquer, object="car", part="body", round=0.1, gloss=0.2)
    back = spline([(-tail + 0.02, -0.14), (-tail * 0.72, -0.33), (-0.14, -0.38), (-0.1, -0.14)], steps=3)
    front = spline(path("-0.04 -0.14  -0.06 -0.38  0.16 -0.35  0.39 -0.14"), steps=3)
    for window in (back, front):
        c.over(pose, window, pane, part="window")
    door = (box(-0.52, -0.12, -0.08, 0.16), box(-0.06, -0.12, 0.38, 0.16))
    for panel in door:
        c.put(pose, panel, lacquer * 0.98, part="door")
        c.line(pose(np.vstack([panel, panel[:1]])), shade * 0.35, width=2)
        c.line(pose([(panel[0, 0] + 0.05, -0.06), (panel[0, 0] + 0.13, -0.06)]), shade * 0.3, width=3)
    c.over(pose, oval(0.91, 0.02, 0.07, 0.04, angle=25), rgb("#f4f1df"), part="headlight", round=0.03, gloss=0.4)
    c.over(pose, oval(-0.94, 0.0, 0.04, 0.06), rgb("#b01515"), part="taillight", round=0.03)
    c.put(pose, box(-0.98, 0.15, 0.98, 0.21), rgb("#2c2d30"), part="bumper", round=0.03)
    for x in (-0.58, 0.6):
        c.put(pose, oval(x, 0.19, 0.205, 0.2), rgb("#0d0d0f"), part="body")
        _wheel(c, pose, x=x, y=0.2, r=0.165, name="car")


def _car_front(c: Canvas, pose: Pose, shade: Array) -> None:
    lacquer = _paintwork(c, pose, shade)
    for side in (-1, 1):
        c.put(
            pose,
            box(side * 0.5 - 0.09, 0.1, side * 0.5 + 0.09, 0.4),
            surfaces.plain(rgb("#18181a"), c.rng),
            object="car",
            part="wheel",
            round=0.06,
        )
        c.put(pose, oval(side * 0.66, -0.18, 0.08, 0.055), lacquer, object="car", part="mirror", round=0.04)
    cabin = spline(path("-0.56 -0.12  -0.42 -0.46  0 -0.52  0.42 -0.46  0.56 -0.12"), steps=6)
    c.put(pose, cabin, lacquer, object="car", part="roof", round=0.09)
    screen = spline(path("-0.48 -0.14  -0.37 -0.42  0 -0.46  0.37 -0.42  0.48 -0.14  0 -0.12"), steps=4)
    c.over(pose, screen, surfaces.glass(c.rng), part="window")
    body = spline(path("-0.62 -0.08  -0.3 -0.17  0.3 -0.17  0.62 -0.08  0.67 0.1  0.62 0.28  -0.62 0.28  -0.67 0.1"))
    c.put(pose, body, lacquer, object="car", part="body", round=0.13, gloss=0.2)
    grille = spline(path("-0.3 0.03  0.3 0.03  0.25 0.16  -0.25 0.16"), steps=3)
    c.over(pose, grille, rgb("#121316"), part="grille")
    for y in (0.05, 0.08, 0.11, 0.14):
        c.line(pose([(-0.27, y), (0.27, y)]), (0.65, 0.66, 0.68), width=2)
    for side in (-1, 1):
        lamp = spline(path("0.34 0.02  0.58 -0.03  0.61 0.07  0.4 0.12") * (side, 1), steps=4)
        c.over(pose, lamp, rgb("#f2efe2"), part="headlight", round=0.04, gloss=0.5)
    c.put(pose, box(-0.64, 0.2, 0.64, 0.29), lacquer * 0.6, part="bumper", round=0.04)
    c.over(pose, box(-0.15, 0.2, 0.15, 0.27), rgb("#e9e7da"), part="license plate")
    for k in range(6):
        c.line(pose([(-0.12 + 0.045 * k, 0.22), (-0.1 + 0.045 * k, 0.255)]), (0.1, 0.1, 0.15), width=2)


def bus(c: Canvas, pose: Pose, *, colour: str = "#e9a915") -> None:
    """A bus from the side."""
    paint = surfaces.plain(rgb(colour), c.rng, amount=0.08)
    c.put(
        pose,
        spline(path("-1 -0.5  0.95 -0.5  1 -0.42  1 0.22  -1 0.22  -1 -0.42"), steps=2),
        paint,
        object="bus",
        part="body",
        round=0.09,
    )
    pane = surfaces.glass(c.rng)
    for k in range(6):
        c.over(pose, box(-0.92 + 0.28 * k, -0.38, -0.68 + 0.28 * k, -0.14), pane, part="window")
    c.over(pose, box(0.74, -0.38, 0.94, 0.2), pane * 0.8, part="door")
    c.put(pose, box(-1, -0.02, 0.72, 0.02), rgb("#1b1a1a"), part="body")
    c.over(pose, oval(0.97, 0.1, 0.03, 0.05), rgb("#f5f2e0"), part="headlight")
    for x in (-0.6, 0.5):
        _wheel(c, pose, x=x, y=0.22, r=0.15, name="bus")


def airplane(c: Canvas, pose: Pose) -> None:
    """An airliner from the side and a little above, nose to the right."""
    rng = c.rng
    stripe = rgb(str(rng.choice(["#1c3f8f", "#b3202a", "#1f7a66", "#d77a1d"])))
    metal = surfaces.plain(rgb("#b9bfc8"), rng, amount=0.06)
    far = path("0.12 -0.04  0.3 -0.04  0.02 -0.36  -0.08 -0.36")
    c.put(pose, far, metal * 0.75, object="airplane", part="wing", round=0.03)
    fin = path("-0.95 -0.5  -0.8 -0.5  -0.56 -0.08  -0.9 -0.06")
    c.put(pose, fin, surfaces.plain(stripe, rng), object="airplane", part="tail", round=0.05)
    body = spline(
        path("-0.98 -0.09  -0.6 -0.115  0.6 -0.12  0.85 -0.08  0.98 0.02  0.85 0.08  0.5 0.11  -0.5 0.1  -0.8 0.02")
    )
    _, y = pose.coordinates()
    band = np.clip((0.025 - np.abs(y - 0.035)) * 80, 0, 1)[..., None]
    skin = surfaces.plain(rgb("#eceef1"), rng, amount=0.05) * (1 - band) + stripe * band
    c.put(pose, body, skin, object="airplane", part="body", round=0.13)
    for k in range(22):
        c.over(pose, oval(-0.55 + 0.055 * k, -0.035, 0.011, 0.016), rgb("#22303f"), part="window")
    c.over(pose, path("0.83 -0.075  0.91 -0.035  0.85 -0.02  0.78 -0.045"), rgb("#18232f"), part="window")
    c.put(
        pose,
        path("-0.95 -0.05  -0.78 -0.03  -0.9 0.12  -1.02 0.12"),
        metal * 0.9,
        object="airplane",
        part="tail",
        round=0.03,
    )
    engine = spline(path("0.16 0.16  0.3 0.155  0.33 0.2  0.3 0.25  0.16 0.245  0.09 0.2"))
    c.put(pose, engine, metal, object="airplane", part="engine", round=0.05, gloss=0.3)
    c.put(pose, oval(0.315, 0.2, 0.015, 0.042), rgb("#16181b"), part="engine")
    near = path("0.28 0.05  0.02 0.06  -0.52 0.44  -0.4 0.45  -0.3 0.42")
    c.put(pose, near, metal * 1.05, object="airplane", part="wing", round=0.04)
    c.line(pose([(0.0, 0.09), (-0.45, 0.41)]), (0.4, 0.42, 0.46), width=2)


def sailboat(c: Canvas, pose: Pose) -> None:
    """A sailing boat with mainsail and jib."""
    rng = c.rng
    hull_colour = rgb(str(rng.choice(["#f0eee8", "#22375f", "#8a1f23", "#6d4528"])))
    cloth = surfaces.plain(
        rgb(str(rng.choice(["#f3efe4", "#f5f3ee", "#efe4cc", "#c9442f"]))), rng, amount=0.05, cells=5
    )
    belly = rng.uniform(0.04, 0.12)
    c.put(pose, box(-0.012, -1.05, 0.016, 0.3), rgb("#5d4a38"), object="boat", part="mast", round=0.012)
    main = spline([(-0.03, -1.0), (-0.2 - belly, -0.45), (-0.55, 0.12), (-0.3, 0.17), (-0.03, 0.16)], steps=6)
    jib = spline([(0.04, -0.92), (0.24 + belly, -0.4), (0.58, 0.2), (0.3, 0.17), (0.06, 0.12)], steps=6)
    for sail in (main, jib):
        c.put(pose, sail, cloth, object="boat", part="sail", round=0.14)
    for k in range(1, 5):
        c.line(pose([(-0.035, -0.9 + 0.22 * k), (-0.14 - 0.1 * k, -0.92 + 0.24 * k)]), (0.6, 0.58, 0.52), width=1)
    c.put(
        pose,
        box(-0.3, 0.2, 0.15, 0.32),
        surfaces.wood(rng, base=rgb("#a9763f")),
        object="boat",
        part="cabin",
        round=0.03,
    )
    for x in (-0.2, -0.05):
        c.over(pose, oval(x, 0.26, 0.03, 0.02), rgb("#15202b"), part="window")
    hull = path("-0.62 0.27  -0.3 0.31  0.2 0.31  0.72 0.23  0.6 0.38  0.45 0.52  -0.5 0.52  -0.58 0.42")
    c.put(pose, hull, surfaces.plain(hull_colour, rng), object="boat", part="hull", round=0.12)
    c.line(pose(path("-0.6 0.33  -0.3 0.365  0.2 0.365  0.66 0.3")), hull_colour * 0.45, width=2)
