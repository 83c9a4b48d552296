"""Material images: still lifes in which every region is made of a named material."""

import numpy as np

from draw import surfaces
from draw.canvas import Canvas, Pose, box, limb, oval, polygon, spline
from draw.places import ALL, below
from draw.surfaces import SIDE, Array, rgb


def surface(c: Canvas, material: str) -> Array:
    """A surface of the material, in one of its usual colours."""
    pick = c.rng.choice
    if material == "brick":
        return surfaces.bricks(
            c.rng, base=rgb(str(pick(["#94503c", "#a8624a", "#7d4636"]))), rows=int(c.rng.integers(12, 22))
        )
    if material == "stone":
        return surfaces.stones(
            c.rng, base=rgb(str(pick(["#9a958c", "#a89a84", "#85888c"]))), count=int(c.rng.integers(50, 130))
        )
    if material == "wood":
        return surfaces.wood(
            c.rng, base=rgb(str(pick(["#8f5f35", "#b58a57", "#6b4529"]))), planks=int(c.rng.integers(4, 9))
        )
    if material == "tile":
        return surfaces.tiles(
            c.rng, base=rgb(str(pick(["#7fa3b5", "#c9b58f", "#9fbfae", "#b56a52"]))), count=int(c.rng.integers(6, 11))
        )
    if material == "fabric":
        return surfaces.cloth(
            c.rng,
            base=rgb(str(pick(["#a83c45", "#3f5f8f", "#c9a24a", "#5f7f5a", "#8f7aa8"]))),
            folds=c.rng.uniform(3, 8),
        )
    if material == "leather":
        return leather(c)
    if material == "metal":
        return metal(c)
    if material == "foliage":
        return surfaces.leaves(
            c.rng, base=rgb(str(pick(["#4f8a35", "#5f9440", "#3f7040"]))), count=1800, size=c.rng.uniform(8, 16)
        )
    if material == "water":
        return surfaces.sea(c.rng, base=rgb(str(pick(["#2f6f8f", "#3c7f8a", "#456a7c"]))), horizon=-0.4)
    return surfaces.plain(rgb("#efece3"), c.rng, amount=0.05)


def metal(c: Canvas) -> Array:
    """Brushed steel or brass."""
    base = rgb(str(c.rng.choice(["#a8adb3", "#b59a5a", "#b0704a"])))
    brushed = surfaces.strands(c.rng, angle=0, length=81)
    _, cols = surfaces.grids()
    glare = 0.75 + 0.45 * np.exp(-(((cols - c.rng.uniform(0.3, 0.7)) / 0.16) ** 2))
    return np.clip(base * ((0.8 + 0.35 * brushed) * glare)[..., None], 0, 1).astype(np.float32)


def leather(c: Canvas) -> Array:
    """Grained leather."""
    near, second, _ = surfaces.cells(c.rng, 2500)
    base = surfaces.plain(rgb(str(c.rng.choice(["#5a3220", "#7a4527", "#2b211d"]))), c.rng, amount=0.2, cells=5)
    return surfaces.lit(base, np.clip((second - near) / 4, 0, 1) * 1.2, strength=0.22)


def vase(c: Canvas, pose: Pose, *, paint: Array, material: str, gloss: float) -> None:
    """A turned vase."""
    outline = [
        (-0.2, -0.9),
        (0.2, -0.9),
        (0.14, -0.62),
        (0.42, -0.1),
        (0.38, 0.5),
        (0.2, 0.8),
        (-0.2, 0.8),
        (-0.38, 0.5),
        (-0.42, -0.1),
        (-0.14, -0.62),
    ]
    c.fill(polygon(pose(spline(outline, steps=6))), paint, material=material, round=0.36 * pose.scale, gloss=gloss)
    c.fill(polygon(pose(oval(0, -0.9, 0.2, 0.045))), paint * 0.35, material=material)


def glassware(c: Canvas, pose: Pose) -> None:
    """A bottle of coloured glass: the ground shows through."""
    outline = spline(
        [
            (-0.1, -0.95),
            (0.1, -0.95),
            (0.1, -0.5),
            (0.3, -0.15),
            (0.3, 0.85),
            (-0.3, 0.85),
            (-0.3, -0.15),
            (-0.1, -0.5),
        ],
        steps=5,
    )
    tint = rgb(str(c.rng.choice(["#5f9a80", "#7fb0c0", "#a8762f"])))
    c.fill(
        polygon(pose(outline)),
        np.broadcast_to(tint, c.rgb.shape),
        material="glass",
        alpha=0.5,
        round=0.3 * pose.scale,
        gloss=0.9,
    )
    c.line(pose([(-0.19, -0.1), (-0.2, 0.7)]), (0.95, 0.97, 1.0), width=max(2, int(0.04 * pose.scale)))
    c.line(pose([(0.22, 0.0), (0.22, 0.6)]), (0.8, 0.85, 0.9), width=2)


def plant(c: Canvas, pose: Pose) -> None:
    """A leafy plant in a clay pot."""
    leaf = surfaces.leaves(c.rng, base=rgb("#5a9440"), size=max(5, 0.07 * pose.scale))
    for _ in range(26):
        a, reach = c.rng.uniform(-1.9, 1.9), c.rng.uniform(0.5, 1.0)
        tip = (reach * np.sin(a) * 0.8, -0.1 - reach * np.cos(a) * 0.9)
        c.fill(
            polygon(pose(limb([(0, 0.1), (tip[0] * 0.6, tip[1] * 0.7), tip], [0.04, 0.2, 0.02]))),
            leaf * c.rng.uniform(0.7, 1.5),
            material="foliage",
            round=0.08 * pose.scale,
        )
    c.fill(
        polygon(pose([(-0.36, 0.05), (0.36, 0.05), (0.26, 0.75), (-0.26, 0.75)])),
        surfaces.plain(rgb("#b0623f"), c.rng),
        material="ceramic",
        round=0.25 * pose.scale,
    )
    c.fill(
        polygon(pose(box(-0.4, 0.0, 0.4, 0.14))),
        surfaces.plain(rgb("#b86a46"), c.rng),
        material="ceramic",
        round=0.1 * pose.scale,
    )


def papers(c: Canvas, pose: Pose) -> None:
    """Written sheets on top of each other."""
    for angle in c.rng.uniform(-0.4, 0.4, 3):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        sheet = box(-0.55, -0.4, 0.55, 0.4) @ turn
        c.shadow(polygon(pose(sheet)), shift=(4, 5), blur=4, dark=0.35)
        c.fill(polygon(pose(sheet)), surfaces.plain(rgb("#f1ede0"), c.rng, amount=0.05), material="paper")
        for k in range(8):
            c.line(
                pose(np.array([(-0.45, -0.3 + 0.08 * k), (0.45 - 0.3 * (k % 3 == 2), -0.3 + 0.08 * k)]) @ turn),
                (0.3, 0.3, 0.38),
                width=1,
            )


def still(c: Canvas, first: str, second: str) -> None:
    """A wall of one material, a table top of another, some objects on it; or one material all over."""
    c.fill(ALL, surface(c, first), material=first)
    if first in ("water", "foliage") or c.rng.random() < 0.2:
        return
    level = c.rng.uniform(0.55, 0.72)
    top = below(np.full(SIDE, level * SIDE))
    c.soften(1.0)
    c.fill(top, surface(c, second) * 1.05, material=second)
    c.shadow(polygon(box(0, level * SIDE - 4, SIDE, level * SIDE + 8)), blur=8, dark=0.4)
    for x in c.rng.permutation([95, 225, 350])[: int(c.rng.integers(2, 4))]:
        pose = Pose(x + c.rng.normal(0, 12), (level + c.rng.uniform(-0.12, 0.02)) * SIDE, c.rng.uniform(85, 125))
        c.shadow(polygon(pose(oval(0.15 * -np.sign(c.light[0]), 0.78, 0.5, 0.12))), blur=7, dark=0.55)
        _item(c, pose)


def _item(c: Canvas, pose: Pose) -> None:
    kind = c.rng.integers(6)
    if kind == 0:
        vase(c, pose, paint=metal(c), material="metal", gloss=0.7)
    elif kind == 1:
        vase(
            c,
            pose,
            paint=surfaces.plain(
                rgb(str(c.rng.choice(["#c9d3d8", "#7fa3b5", "#d8c9a8", "#4a6a8a"]))), c.rng, amount=0.03
            ),
            material="ceramic",
            gloss=0.4,
        )
    elif kind == 2:
        glassware(c, pose)
    elif kind == 3:
        plant(c, pose)
    elif kind == 4:
        papers(c, Pose(pose.origin[0], pose.origin[1] + 0.7 * pose.scale, pose.scale * 0.8))
    else:
        pillow = spline(
            [(-0.6, 0.0), (0, -0.08), (0.6, 0.0), (0.66, 0.4), (0.6, 0.78), (0, 0.84), (-0.6, 0.78), (-0.66, 0.4)]
        )
        name = str(c.rng.choice(["fabric", "leather"]))
        c.fill(polygon(pose(pillow)), surface(c, name), material=name, round=0.35 * pose.scale)
