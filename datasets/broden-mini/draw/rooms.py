"""Furniture and small things of rooms and streets."""

import numpy as np

from draw import surfaces
from draw.canvas import Canvas, Pose, box, limb, oval, path, polygon, spline
from draw.surfaces import Array, rgb


def lamp(c: Canvas, pose: Pose) -> None:
    """A table or floor lamp."""
    c.put(pose, box(-0.03, -0.1, 0.03, 0.9), rgb("#8a7448"), object="lamp", part="stand", round=0.03, gloss=0.3)
    c.put(pose, oval(0, 0.92, 0.25, 0.07), rgb("#7a6540"), object="lamp", part="base", round=0.06)
    _, y = pose.coordinates()
    glow = np.clip(1.15 - 0.4 * np.abs(y + 0.35), 0.6, 1.2)[..., None]
    shade = surfaces.cloth(c.rng, base=rgb("#f2dca6"), folds=0.5) * glow
    c.put(pose, path("-0.22 -0.7  0.22 -0.7  0.42 -0.08  -0.42 -0.08"), shade, object="lamp", part="shade", round=0.3)


def chair(c: Canvas, pose: Pose) -> None:
    """A wooden chair seen from the front and above."""
    timber = surfaces.wood(c.rng, base=rgb("#8b5a30"), planks=12, across=False)
    for x in (-0.28, 0.28):
        c.put(pose, box(x - 0.035, -0.75, x + 0.035, 0.6), timber * 0.7, object="chair", part="leg", round=0.03)
    for k in range(3):
        c.put(
            pose, box(-0.28, -0.72 + 0.18 * k, 0.28, -0.62 + 0.18 * k), timber, object="chair", part="back", round=0.03
        )
    c.put(
        pose,
        path("-0.3 -0.08  0.3 -0.08  0.42 0.12  -0.42 0.12"),
        timber * 1.1,
        object="chair",
        part="seat",
        round=0.04,
    )
    c.put(pose, box(-0.42, 0.12, 0.42, 0.18), timber * 0.6, object="chair", part="seat")
    for x in (-0.37, 0.37):
        c.put(pose, box(x - 0.04, 0.16, x + 0.04, 0.92), timber, object="chair", part="leg", round=0.04)


def table(c: Canvas, pose: Pose) -> None:
    """A table with four legs."""
    timber = surfaces.wood(c.rng, base=rgb("#96622f"), planks=9)
    for x in (-0.6, 0.6):
        c.put(pose, box(x - 0.04, -0.1, x + 0.04, 0.4), timber * 0.6, object="table", part="leg", round=0.04)
    for x in (-0.85, 0.85):
        c.put(pose, box(x - 0.05, 0.0, x + 0.05, 0.6), timber * 0.85, object="table", part="leg", round=0.04)
    c.put(pose, path("-0.75 -0.22  0.75 -0.22  1 0  -1 0"), timber * 1.1, object="table", part="top")
    c.put(pose, box(-1, 0, 1, 0.08), timber * 0.65, object="table", part="top")


def sofa(c: Canvas, pose: Pose) -> None:
    """A two-seat sofa with cushions."""
    cover = surfaces.cloth(
        c.rng, base=rgb(str(c.rng.choice(["#7a3b36", "#3d5a6e", "#8a7f6a", "#55653f", "#b0662f"]))), folds=2
    )
    c.put(
        pose,
        spline(path("-0.95 -0.5  0 -0.56  0.95 -0.5  0.95 0.2  -0.95 0.2"), steps=5),
        cover * 0.9,
        object="sofa",
        part="back",
        round=0.15,
    )
    for x in (-0.45, 0.45):
        seat = spline([(x - 0.42, -0.02), (x + 0.42, -0.02), (x + 0.43, 0.2), (x - 0.43, 0.2)], steps=5)
        c.put(pose, seat, cover * 1.1, object="sofa", part="seat", round=0.1)
    c.put(pose, box(-0.92, 0.18, 0.92, 0.46), cover * 0.8, object="sofa", part="body", round=0.06)
    for side in (-1, 1):
        arm = spline(path("0.82 -0.22  1.08 -0.22  1.1 0.48  0.84 0.48") * (side, 1), steps=5)
        c.put(pose, arm, cover, object="sofa", part="arm", round=0.12)
    pillow = spline(path("-0.75 -0.36  -0.35 -0.3  -0.4 0.05  -0.72 0"), steps=5)
    c.put(pose, pillow, surfaces.cloth(c.rng, base=rgb("#d9b24a"), folds=1), object="cushion", round=0.14)


def bottle(c: Canvas, pose: Pose, *, tint: Array | None = None) -> None:
    """A bottle with neck, cap and label."""
    r = pose.scale
    colour = tint if tint is not None else rgb(str(c.rng.choice(["#1f4a2a", "#5a2f12", "#274a66", "#3a1018"])))
    body = spline(
        path(
            "-0.1 -0.95  0.1 -0.95  0.1 -0.5  0.27 -0.2  0.28 0.85  "
            "0.2 0.95  -0.2 0.95  -0.28 0.85  -0.27 -0.2  -0.1 -0.5"
        ),
        steps=4,
    )
    c.put(pose, body, surfaces.plain(colour, c.rng, amount=0.15), object="bottle", part="body", round=0.25, gloss=0.6)
    _, y = pose.coordinates()
    c.fill(polygon(pose(body)) & (y < -0.45), surfaces.plain(colour, c.rng), part="neck", round=0.1 * r, gloss=0.6)
    c.put(
        pose,
        box(-0.115, -1.02, 0.115, -0.78),
        rgb(str(c.rng.choice(["#8c1d22", "#b9963f", "#2a2a2c"]))),
        part="cap",
        round=0.08,
    )
    c.over(pose, box(-0.275, 0.05, 0.275, 0.6), surfaces.plain(rgb("#e9e1cb"), c.rng), part="label", round=0.24)
    for k in range(3):
        c.line(pose([(-0.15, 0.18 + 0.12 * k), (0.15, 0.18 + 0.12 * k)]), (0.35, 0.2, 0.15), width=2)
    c.line(pose([(-0.17, -0.1), (-0.18, 0.75)]), np.minimum(colour + 0.45, 1), width=max(2, int(0.05 * r)))


def cup(c: Canvas, pose: Pose) -> None:
    """A coffee cup with handle."""
    r, glaze = (
        pose.scale,
        surfaces.plain(rgb(str(c.rng.choice(["#e9e6df", "#b8372e", "#2f5f8a", "#d8a83a"]))), c.rng, amount=0.05),
    )
    c.fill(
        polygon(pose(oval(0.5, 0.05, 0.3, 0.3))) & ~polygon(pose(oval(0.5, 0.05, 0.18, 0.18))),
        glaze * 0.9,
        object="cup",
        part="handle",
        round=0.06 * r,
    )
    c.put(
        pose,
        spline(path("-0.5 -0.45  0.5 -0.45  0.47 0.3  0.3 0.55  -0.3 0.55  -0.47 0.3"), steps=5),
        glaze,
        object="cup",
        part="body",
        round=0.35,
        gloss=0.4,
    )
    c.put(pose, oval(0, -0.45, 0.5, 0.12), glaze * 0.8, part="rim", round=0.05)
    c.put(pose, oval(0, -0.44, 0.43, 0.085), rgb("#3a2015"), part="rim")


def painting(c: Canvas, pose: Pose) -> None:
    """A framed landscape on the wall."""
    c.shadow(polygon(pose(box(-0.7, -0.5, 0.7, 0.5))), shift=(5, 7), blur=5)
    c.put(
        pose,
        box(-0.7, -0.5, 0.7, 0.5),
        surfaces.wood(c.rng, base=rgb("#8a6a2c"), planks=14),
        object="painting",
        part="frame",
        round=0.08,
        gloss=0.2,
    )
    hue = [rgb("#33506e"), rgb("#b9a678"), rgb("#5f7a45"), rgb("#c97b4a")]
    c.rng.shuffle(hue)
    c.put(pose, box(-0.58, -0.38, 0.58, 0.38), surfaces.ramp(surfaces.fractal(c.rng, (9, 4)), hue), object="painting")


def window(c: Canvas, pose: Pose, *, view: Array) -> None:
    """A window with a bright view, white bars and curtains."""
    c.put(
        pose,
        box(-0.55, -0.75, 0.55, 0.75),
        surfaces.plain(rgb("#efece4"), c.rng, amount=0.05),
        object="window",
        round=0.05,
    )
    for x in (-0.25, 0.25):
        for y in (-0.35, 0.35):
            c.put(pose, box(x - 0.21, y - 0.31, x + 0.21, y + 0.31), view * 1.1, object="window")
    drape = surfaces.cloth(c.rng, base=rgb(str(c.rng.choice(["#a83c3c", "#6d7f9e", "#c9b27c", "#5d7f63"]))), folds=9)
    for side in (-1, 1):
        shape = path("0.95 -0.9  0.35 -0.9  0.42 0.1  0.58 1  0.95 1") * (side, 1)
        c.put(pose, shape, drape, object="curtain", round=0.08)


def door(c: Canvas, pose: Pose) -> None:
    """A panelled door of a room."""
    timber = surfaces.wood(
        c.rng, base=rgb(str(c.rng.choice(["#7d4f2a", "#d8d0c0", "#5b3a22"]))), planks=4, across=False
    )
    c.put(pose, box(-0.5, -1.05, 0.5, 1), timber * 0.7, object="door", round=0.04)
    c.put(pose, box(-0.43, -0.98, 0.43, 1), timber, object="door")
    for x in (-0.2, 0.2):
        for y0, y1 in ((-0.85, -0.1), (0.08, 0.85)):
            c.put(pose, box(x - 0.16, y0, x + 0.16, y1), timber * 0.85, object="door", round=0.06)
    c.put(pose, oval(0.37, 0.03, 0.04, 0.04), rgb("#caa64f"), part="knob", round=0.04, gloss=0.6)


def street_lamp(c: Canvas, pose: Pose) -> None:
    """A street lamp."""
    c.put(
        pose,
        limb(path("0 1  0 -0.6  0.12 -0.85  0.35 -0.88"), [0.07, 0.05, 0.04, 0.03]),
        rgb("#33383c"),
        object="streetlight",
        part="pole",
        round=0.03,
    )
    c.put(pose, oval(0.36, -0.85, 0.12, 0.05), rgb("#e9e6c8"), object="streetlight", part="lantern", round=0.03)


def traffic_light(c: Canvas, pose: Pose) -> None:
    """A traffic light on a pole."""
    c.put(pose, box(-0.05, 0.1, 0.05, 1.3), rgb("#50555a"), object="traffic light", part="pole", round=0.04)
    c.put(
        pose,
        spline(path("-0.22 -0.62  0.22 -0.62  0.22 0.22  -0.22 0.22"), steps=3),
        rgb("#1c1d1f"),
        object="traffic light",
        part="box",
        round=0.05,
    )
    on = int(c.rng.integers(3))
    for k, code in enumerate(("#e8261c", "#f0b21a", "#2fbf4f")):
        bright = 1.0 if k == on else 0.3
        c.over(
            pose, oval(0, -0.45 + 0.25 * k, 0.1, 0.1), rgb(code) * bright, part="light", round=0.08, gloss=0.5 * bright
        )


def fence(c: Canvas, *, y: float, height: float, white: bool) -> None:
    """A picket fence or field fence across the picture; pixels."""
    timber = surfaces.plain(rgb("#e9e6df"), c.rng) if white else surfaces.wood(c.rng, base=rgb("#7a6248"), planks=30)
    for rail in (0.3, 0.7):
        c.fill(
            polygon(box(0, y - height * rail - 3, 448, y - height * rail + 3)), timber * 0.85, object="fence", round=3
        )
    step = 17 if white else 62
    for x in np.arange(c.rng.uniform(0, step), 448, step):
        w = 5 if white else 4
        c.fill(
            polygon([(x - w, y), (x - w, y - height + 6), (x, y - height), (x + w, y - height + 6), (x + w, y)]),
            timber,
            object="fence",
            round=4,
        )


def person(c: Canvas, pose: Pose) -> None:
    """A standing person: head, hair, torso, arms, legs."""
    rng = c.rng
    skin = surfaces.plain(rgb(str(rng.choice(["#d8a888", "#a87450", "#6e4630", "#e3bc9e"]))), rng)
    shirt = surfaces.cloth(
        rng, base=rgb(str(rng.choice(["#b02a2a", "#2f5590", "#d8d4ca", "#2f6b45", "#6f3f7e"]))), folds=3
    )
    trousers = surfaces.cloth(rng, base=rgb(str(rng.choice(["#2a3350", "#4b4438", "#202124"]))), folds=4)
    for x, stride in ((-0.07, rng.uniform(-0.1, 0)), (0.07, rng.uniform(0, 0.1))):
        c.put(
            pose,
            limb([(x, 0.08), (x + stride / 2, 0.5), (x + stride, 0.95)], [0.17, 0.13, 0.1]),
            trousers,
            object="person",
            part="leg",
            round=0.07,
        )
        c.put(pose, oval(x + stride + 0.03, 0.98, 0.08, 0.04), rgb("#1c1815"), object="person", part="foot")
    for side in (-1, 1):
        swing = rng.uniform(0.0, 0.15)
        c.put(
            pose,
            limb(
                [(side * 0.17, -0.42), (side * (0.22 + swing / 2), -0.1), (side * (0.2 + swing), 0.12)],
                [0.12, 0.09, 0.07],
            ),
            shirt * 0.85,
            object="person",
            part="arm",
            round=0.05,
        )
    c.put(
        pose,
        spline(path("-0.1 -0.52  0.1 -0.52  0.21 -0.42  0.16 0.15  -0.16 0.15  -0.21 -0.42"), steps=5),
        shirt,
        object="person",
        part="torso",
        round=0.14,
    )
    c.put(pose, oval(0, -0.72, 0.115, 0.14), surfaces.fur(rgb("#2c1d14"), rng), object="person", part="hair", round=0.1)
    c.put(pose, oval(0.01, -0.68, 0.09, 0.115), skin, object="person", part="head", round=0.08)
