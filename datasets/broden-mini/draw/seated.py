"""Cat and dog, seated, facing the viewer."""

import cv2
import numpy as np

from draw import surfaces
from draw.canvas import Canvas, Pose, limb, oval, path, polygon, spline
from draw.hoofed import bands
from draw.surfaces import Array, rgb


def _tabby(c: Canvas, pose: Pose, colour: Array) -> Array:
    x, y = pose.coordinates()
    hair = surfaces.fur(colour, c.rng, contrast=0.5)
    dark = 1 - 0.4 * (1 - cv2.GaussianBlur(bands(y + 0.35 * x * x + 0.1 * np.abs(x), 11, c.rng, duty=0.25), (0, 0), 2))
    return np.asarray(hair * dark[..., None])


def _eyes(c: Canvas, pose: Pose, *, x: float, y: float, r: float, iris: Array, slit: bool) -> None:
    for side in (-1, 1):
        at = (side * x, y)
        c.over(pose, oval(*at, r * 1.15, r * 0.95, angle=side * 12), rgb("#1b1210"), part="eye")
        c.over(pose, oval(*at, r * 1.05, r * 0.88, angle=side * 12), iris, part="eye", round=r)
        c.over(pose, oval(*at, r * (0.3 if slit else 0.62), r * 0.75), rgb("#080606"), part="eye")
        c.over(pose, oval(at[0] - r * 0.3, at[1] - r * 0.35, r * 0.2, r * 0.2), rgb("#ffffff"), part="eye")


def _seated_body(c: Canvas, pose: Pose, *, name: str, hair: Array, chest: Array) -> None:
    bend = c.rng.uniform(0.5, 0.75)
    c.put(
        pose,
        limb([(0.25, 0.5), (bend, 0.52), (bend + 0.05, 0.25), (bend - 0.06, 0.05)], [0.1, 0.11, 0.1, 0.07]),
        hair,
        object=name,
        part="tail",
        round=0.06,
    )
    body = spline(path("-0.17 -0.3  0.17 -0.3  0.27 0  0.4 0.35  0.36 0.56  0 0.6  -0.36 0.56  -0.4 0.35  -0.27 0"))
    c.put(pose, body, hair, object=name, part="torso", round=0.25)
    bib = spline(path("-0.14 -0.25  0.14 -0.25  0.13 0.05  0 0.22  -0.13 0.05"))
    c.put(pose, bib, chest, part="torso", round=0.2)
    for side in (-1, 1):
        c.shadow(polygon(pose(limb([(side * 0.12, 0.1), (side * 0.12, 0.52)], [0.17, 0.14]))), blur=5, dark=0.4)
    for side in (-1, 1):
        c.put(
            pose,
            limb(path("0.17 -0.1  0.15 0.08  0.12 0.3  0.12 0.55") * (side, 1), [0.03, 0.17, 0.14, 0.13]),
            hair,
            object=name,
            part="leg",
            round=0.09,
        )
        c.put(pose, oval(side * 0.125, 0.575, 0.1, 0.06), chest, object=name, part="paw", round=0.06)
        for toe in (-0.03, 0.03):
            c.line(pose([(side * 0.125 + toe, 0.56), (side * 0.125 + toe, 0.62)]), chest.mean((0, 1)) * 0.35)


def _whiskers(c: Canvas, head: Pose) -> None:
    for side in (-1, 1):
        for rise in (-0.05, 0.0, 0.05):
            c.line(
                head(
                    spline(
                        [(side * 0.1, 0.11 + rise / 3), (side * 0.27, 0.09 + rise), (side * 0.42, 0.12 + rise * 1.7)],
                        closed=False,
                    )
                ),
                (0.93, 0.92, 0.9),
                width=1,
            )


def cat(c: Canvas, pose: Pose) -> None:
    """A cat that sits and looks at the viewer."""
    rng, r = c.rng, pose.scale
    colour = rgb(str(rng.choice(["#9c7a55", "#b87a3c", "#8d8579", "#a58f76", "#c9b9a0"])))
    hair = cv2.GaussianBlur(_tabby(c, pose, colour), (0, 0), 0.7)
    chest = surfaces.fur(np.minimum(colour * 0.4 + 0.55, 1), rng, contrast=0.3)
    _seated_body(c, pose, name="cat", hair=hair, chest=chest)
    x, y = pose([(rng.uniform(-0.03, 0.03), -0.45)])[0]
    head = Pose(x, y, r, angle=rng.uniform(-12, 12))
    c.shadow(polygon(head(oval(0, 0.12, 0.3, 0.25))), blur=10, dark=0.4)
    for side in (-1, 1):
        ear = spline(path("0.29 -0.02  0.32 -0.2  0.285 -0.37  0.19 -0.31  0.06 -0.2") * (side, 1))
        c.put(head, ear, hair * 0.9, object="cat", part="ear", round=0.06)
        inner = [(side * 0.26, -0.1), (side * 0.275, -0.31), (side * 0.13, -0.2)]
        c.put(head, inner, surfaces.fur(rgb("#c99486"), rng), part="ear", round=0.05)
    face = spline(
        path(
            "0 -0.26  0.19 -0.22  0.3 -0.03  0.29 0.1  0.16 0.22  "
            "0 0.25  -0.16 0.22  -0.29 0.1  -0.3 -0.03  -0.19 -0.22"
        )
    )
    c.put(head, face, hair, object="cat", part="head", round=0.2)
    for dx in (-0.07, -0.025, 0.025, 0.07):
        c.line(head([(dx, -0.23), (dx * 0.8, -0.13)]), colour * 0.3, width=max(2, int(0.02 * r)))
    for side in (-1, 1):
        c.over(head, oval(side * 0.065, 0.115, 0.085, 0.065), chest, part="muzzle", round=0.06)
    c.over(head, oval(0, 0.19, 0.07, 0.04), chest, part="muzzle", round=0.05)
    iris = rgb(str(rng.choice(["#a8b63a", "#d2a52c", "#6fae62", "#6c9ec9"])))
    _eyes(c, head, x=0.125, y=-0.03, r=0.055, iris=iris, slit=True)
    nose = spline([(-0.04, 0.045), (0.04, 0.045), (0, 0.09)])
    c.over(head, nose, rgb("#b5706a"), part="nose", round=0.02)
    c.line(head([(0, 0.085), (0, 0.13), (0.05, 0.16)]), colour * 0.25)
    c.line(head([(0, 0.13), (-0.05, 0.16)]), colour * 0.25)
    _whiskers(c, head)


def dog(c: Canvas, pose: Pose) -> None:
    """A dog that sits and looks at the viewer: long muzzle, hanging ears, tongue."""
    rng, r = c.rng, pose.scale
    colour = rgb(str(rng.choice(["#b98a52", "#6e4a2f", "#2b2524", "#d0b48a", "#a06a38"])))
    hair = surfaces.fur(colour, rng, contrast=0.55)
    chest = surfaces.fur(np.minimum(colour * 0.5 + 0.42, 1), rng, contrast=0.4)
    _seated_body(c, pose, name="dog", hair=hair, chest=chest)
    x, y = pose([(rng.uniform(-0.03, 0.03), -0.45)])[0]
    head = Pose(x, y, r, angle=rng.uniform(-14, 14))
    c.shadow(polygon(head(oval(0, 0.12, 0.28, 0.28))), blur=10, dark=0.4)
    face = spline(
        path(
            "0 -0.29  0.17 -0.25  0.25 -0.08  0.2 0.1  0.15 0.25  "
            "0 0.31  -0.15 0.25  -0.2 0.1  -0.25 -0.08  -0.17 -0.25"
        )
    )
    c.put(head, face, hair, object="dog", part="head", round=0.18)
    blaze = spline(path("-0.03 -0.26  0.03 -0.26  0.06 -0.05  -0.06 -0.05"))
    c.put(head, blaze, chest, part="head", round=0.1)
    if rng.random() < 0.6:
        tongue = spline(path("-0.05 0.24  0.05 0.24  0.055 0.36  0 0.41  -0.055 0.36"))
        c.put(head, tongue, surfaces.plain(rgb("#d4717c"), rng), object="dog", part="tongue", round=0.05)
    snout = spline(path("-0.1 -0.02  0.1 -0.02  0.15 0.12  0.13 0.24  0 0.29  -0.13 0.24  -0.15 0.12"))
    c.over(head, snout, chest, part="muzzle", round=0.11)
    c.line(head(path("0 0.13  0 0.22  0.06 0.235  0.115 0.19")), (0.08, 0.05, 0.05), width=2)
    c.line(head([(0, 0.22), (-0.06, 0.235), (-0.115, 0.19)]), (0.08, 0.05, 0.05), width=2)
    c.over(
        head,
        spline(path("-0.07 0.05  0 0.03  0.07 0.05  0.05 0.11  0 0.135  -0.05 0.11")),
        rgb("#191414"),
        part="nose",
        round=0.04,
        gloss=0.5,
    )
    _eyes(c, head, x=0.105, y=-0.07, r=0.042, iris=rgb("#5a3416"), slit=False)
    for side in (-1, 1):
        ear = spline(path("0.12 -0.27  0.24 -0.26  0.35 -0.1  0.36 0.14  0.28 0.2  0.21 0.02  0.19 -0.14") * (side, 1))
        c.put(head, ear, hair * 0.72, object="dog", part="ear", round=0.06)
