"""Animals on four long legs: zebra, horse, cow; and herds of them."""

from collections.abc import Callable

import cv2
import numpy as np

from draw import surfaces
from draw.canvas import Canvas, Pose, limb, oval, path, spline
from draw.surfaces import SIDE, Array, rgb

Coat = Callable[[str], Array]


def bands(along: Array, count: float, rng: np.random.Generator, *, duty: float = 0.0) -> Array:
    """Wavy stripes along a coordinate, 0 (dark) to 1 (light), anti-aliased."""
    warp = surfaces.fractal(rng, (5, 5), octaves=3) - 0.5
    wave = np.sin(2 * np.pi * (along * count + 0.55 * warp)) + duty
    return np.clip(wave * 3.5 + 0.5, 0, 1)


def zebra_coat(c: Canvas, pose: Pose) -> Coat:
    """White hair with dark stripes that run across each limb."""
    x, y = pose.coordinates()
    dark, light = surfaces.fur(rgb("#2a2320"), c.rng), surfaces.fur(rgb("#efe6d8"), c.rng, contrast=0.25)
    along = {
        "torso": (x + 0.45 * np.clip(-x - 0.2, 0, 1) * (y + 0.2) * 3, 8.5),
        "neck": (0.5 * x - 0.86 * y, 11.0),
        "head": (0.8 * x + 0.6 * y, 17.0),
        "leg": (y + 0.15 * x, 17.0),
    }

    def coat(part: str) -> Array:
        axis, count = along.get(part, along["leg"])
        mix = bands(axis, count, c.rng)[..., None]
        return np.asarray(light * mix + dark * (1 - mix))

    return coat


def plain_coat(c: Canvas, colour: Array, *, patches: Array | None = None) -> Coat:
    """Short hair of one colour, with patches of a second one if given."""
    hair = surfaces.fur(colour, c.rng, contrast=0.3)
    if patches is not None:
        spot = np.clip((surfaces.fractal(c.rng, (7, 7), octaves=3) - 0.5) * 14, 0, 1)[..., None]
        hair = hair * (1 - spot) + surfaces.fur(patches, c.rng, contrast=0.3) * spot
    return lambda part: hair


def _leg(
    c: Canvas, pose: Pose, *, hip: tuple[float, float], swing: float, name: str, paint: Array, hoof: Array
) -> None:
    x, y = hip
    knee, foot = (x + 0.5 * swing + 0.02, y + 0.27), (x + swing, y + 0.55)
    outline = limb(
        [(x, y - 0.06), (x + 0.01, y + 0.08), knee, (foot[0], foot[1] - 0.08), foot], [0.2, 0.13, 0.075, 0.06, 0.07]
    )
    c.put(pose, outline, paint, object=name, part="leg", round=0.07)
    tip = [
        (foot[0] - 0.045, foot[1] - 0.035),
        (foot[0] + 0.04, foot[1] - 0.035),
        (foot[0] + 0.06, foot[1] + 0.045),
        (foot[0] - 0.05, foot[1] + 0.045),
    ]
    c.over(pose, tip, hoof, part="hoof", round=0.03)


def _horse_head(c: Canvas, pose: Pose, *, name: str, coat: Coat, muzzle: Array, horns: bool) -> None:
    far_ear = oval(0.575, -0.66, 0.035, 0.085, angle=-12)
    c.put(pose, far_ear, coat("head") * 0.6, object=name, part="ear", round=0.03)
    head = spline(
        path("0.57 -0.55  0.66 -0.59  0.76 -0.54  0.96 -0.3  0.985 -0.22  0.93 -0.17  0.85 -0.19  0.72 -0.3  0.6 -0.38")
    )
    c.put(pose, head, coat("head"), object=name, part="head", round=0.1)
    c.over(pose, oval(0.93, -0.24, 0.075, 0.062, angle=35), muzzle, part="muzzle", round=0.05)
    c.over(pose, oval(0.955, -0.27, 0.014, 0.009, angle=40), rgb("#0c0808"), part="muzzle")
    c.over(pose, oval(0.745, -0.462, 0.026, 0.02, angle=30), rgb("#120c0a"), part="eye")
    c.over(pose, oval(0.74, -0.469, 0.007, 0.006), rgb("#e8e8f0"), part="eye")
    c.put(pose, oval(0.625, -0.655, 0.04, 0.1, angle=10), coat("head"), object=name, part="ear", round=0.035)
    c.put(pose, oval(0.63, -0.645, 0.018, 0.065, angle=10), rgb("#4a3a34"), part="ear")
    if horns:
        horn = limb([(0.65, -0.57), (0.68, -0.67), (0.76, -0.73)], [0.05, 0.035, 0.01])
        c.put(pose, horn, rgb("#d9cdb4"), object=name, part="horn", round=0.03)


def hoofed(
    c: Canvas, pose: Pose, *, name: str, coat: Coat, mane: Array | None, muzzle: str, horns: bool = False
) -> None:
    """Zebra, horse or cow seen from the side, facing right before the pose's flip."""
    rng = c.rng
    swings = rng.uniform(-0.14, 0.14, 4)
    hoof = rgb("#241d1a")
    c.put(
        pose,
        limb([(-0.5, -0.12), (-0.58, 0.02), (-0.57, 0.26)], [0.06, 0.045, 0.03]),
        coat("leg") * 0.85,
        object=name,
        part="tail",
        round=0.03,
    )
    tuft = limb([(-0.575, 0.18), (-0.58, 0.3), (-0.56, 0.42)], [0.03, 0.08, 0.02])
    c.put(pose, tuft, surfaces.fur(rgb("#2b2421"), rng), object=name, part="tail", round=0.03)
    for x, swing in ((-0.32, swings[0]), (0.36, swings[1])):
        _leg(c, pose, hip=(x, 0.06), swing=swing, name=name, paint=coat("leg") * 0.55, hoof=hoof * 0.7)
    if mane is not None:
        crest = spline(path("0.22 -0.17  0.33 -0.38  0.52 -0.63  0.65 -0.65  0.58 -0.42  0.42 -0.12"))
        c.put(pose, crest, mane, object=name, part="mane", round=0.04)
    torso = spline(
        path(
            "-0.53 -0.08  -0.44 -0.2  -0.15 -0.17  0.2 -0.19  0.42 -0.17  "
            "0.5 -0.02  0.42 0.15  0.1 0.2  -0.2 0.17  -0.45 0.13"
        )
    )
    c.put(pose, torso, coat("torso"), object=name, part="torso", round=0.2)
    for x, swing in ((-0.41, swings[2]), (0.32, swings[3])):
        _leg(c, pose, hip=(x, 0.08), swing=swing, name=name, paint=coat("leg"), hoof=hoof)
    neck = spline(path("0.25 -0.15  0.38 -0.34  0.55 -0.55  0.68 -0.46  0.64 -0.3  0.55 -0.02  0.43 0.09  0.33 0.05"))
    c.put(pose, neck, coat("neck"), object=name, part="neck", round=0.12)
    _horse_head(c, pose, name=name, coat=coat, muzzle=surfaces.plain(rgb(muzzle), rng), horns=horns)


def zebra(c: Canvas, pose: Pose) -> None:
    """A striped zebra."""
    hoofed(c, pose, name="zebra", coat=zebra_coat(c, pose), mane=zebra_coat(c, pose)("neck") * 0.8, muzzle="#2c2623")


def horse(c: Canvas, pose: Pose) -> None:
    """A horse, bay, chestnut or grey."""
    colour = rgb(str(c.rng.choice(["#6b3f22", "#8a5227", "#3b2a22", "#a39a90"])))
    hoofed(
        c, pose, name="horse", coat=plain_coat(c, colour), mane=surfaces.fur(rgb("#221a17"), c.rng), muzzle="#33271f"
    )


def cow(c: Canvas, pose: Pose) -> None:
    """A cow, pied or brown."""
    base, spots = (rgb("#e9e2d6"), rgb("#221d1b")) if c.rng.random() < 0.7 else (rgb("#7c4a2a"), None)
    hoofed(c, pose, name="cow", coat=plain_coat(c, base, patches=spots), mane=None, muzzle="#c29a8c", horns=True)


def herd(c: Canvas, draw: Callable[[Canvas, Pose], None], *, count: int, ground: float) -> None:
    """Several animals on a meadow, far ones first."""
    columns = c.rng.permutation(count)
    for k, y in enumerate(np.sort(c.rng.uniform(ground + 0.04, 0.8, count)) * SIDE):
        scale = 45 + 190 * (y / SIDE - ground)
        x = (columns[k] + 0.5 + c.rng.uniform(-0.2, 0.2)) * SIDE / count
        pose = Pose(x, y, scale, flip=bool(c.rng.random() < 0.5))
        shade_under(c, pose, width=0.5, foot=0.62)
        draw(c, pose)


def shade_under(c: Canvas, pose: Pose, *, width: float, foot: float) -> None:
    """The contact shadow on the ground."""
    centre = pose([(0, foot)])[0]
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(
        mask, tuple(int(v) for v in centre), (int(width * pose.scale), max(2, int(0.09 * pose.scale))), 0, 0, 360, 1, -1
    )
    c.shadow(mask.astype(bool), blur=max(2.0, 0.05 * pose.scale), dark=0.6)
