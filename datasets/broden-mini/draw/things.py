"""Clocks, houses, trees, flowers."""

import cv2
import numpy as np

from draw import surfaces
from draw.canvas import Canvas, Pose, box, limb, oval, path, polygon, spline
from draw.surfaces import SIDE, Array, rgb


def alarm_clock(c: Canvas, pose: Pose) -> None:
    """An alarm clock on two legs, with bells."""
    clock(c, pose, bells=True)


def clock(c: Canvas, pose: Pose, *, bells: bool = False) -> None:
    """A clock with hands and numerals."""
    rng, r = c.rng, pose.scale
    frame = [
        surfaces.wood(rng, base=rgb("#7b4a26")),
        surfaces.plain(rgb("#24262a"), rng),
        surfaces.plain(rgb("#b58a35"), rng),
        surfaces.plain(rgb("#a8332c"), rng),
    ][rng.integers(4)]
    if bells:
        for side in (-1, 1):
            c.put(
                pose,
                limb([(side * 0.5, 0.75), (side * 0.68, 1.1)], [0.12, 0.08]),
                frame * 0.8,
                object="clock",
                part="leg",
                round=0.05,
            )
            c.put(
                pose,
                oval(side * 0.55, -0.95, 0.34, 0.26, angle=side * 35),
                frame,
                object="clock",
                part="bell",
                round=0.2,
                gloss=0.5,
            )
    c.shadow(
        polygon(pose(oval(0, 0, 1, 1))), shift=(-0.12 * r * np.sign(c.light[0]), 0.14 * r), blur=0.08 * r, dark=0.5
    )
    c.put(pose, oval(0, 0, 1, 1), frame, object="clock", part="frame", round=0.13, gloss=0.3)
    face = rgb(str(rng.choice(["#f4f0e2", "#fafaf7", "#ece2c6"])))
    c.put(pose, oval(0, 0, 0.84, 0.84), surfaces.plain(face, rng, amount=0.06), part="dial")
    _numerals(c, pose, roman=bool(rng.random() < 0.35))
    _hands(c, pose)


def _hands(c: Canvas, pose: Pose) -> None:
    rng = c.rng
    hour, minute = rng.uniform(0, 12), rng.uniform(0, 60)
    for turn, reach, width in ((hour / 12, 0.45, 0.09), (minute / 60, 0.68, 0.06)):
        a = 2 * np.pi * turn
        tip = (reach * np.sin(a), -reach * np.cos(a))
        root = (-0.12 * np.sin(a), 0.12 * np.cos(a))
        hand = polygon(pose(limb([root, (tip[0] * 0.6, tip[1] * 0.6), tip], [width, width * 0.9, 0.02])))
        c.shadow(hand, shift=(3, 4), blur=2, dark=0.35)
        c.fill(hand, rgb("#17161a"), part="hand", layer=2)
    c.over(pose, oval(0, 0, 0.06, 0.06), rgb("#17161a"), part="hand", round=0.05)


def _numerals(c: Canvas, pose: Pose, *, roman: bool) -> None:
    names = "I II III IV V VI VII VIII IX X XI XII".split() if roman else [str(n) for n in range(1, 13)]
    size = 0.0072 * pose.scale * (0.7 if roman else 1.0)
    thick = max(1, round(0.03 * pose.scale))
    for k in range(60):
        a = 2 * np.pi * k / 60
        inner = 0.74 if k % 5 == 0 else 0.78
        c.line(
            pose([(inner * np.sin(a), -inner * np.cos(a)), (0.81 * np.sin(a), -0.81 * np.cos(a))]),
            (0.1, 0.1, 0.12),
            width=2 if k % 5 == 0 else 1,
        )
    for k, name in enumerate(names, start=1):
        a = 2 * np.pi * k / 12
        (wide, tall), _ = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, size, thick)
        x, y = pose([(0.6 * np.sin(a), -0.6 * np.cos(a))])[0]
        ink = np.zeros((SIDE, SIDE), np.uint8)
        cv2.putText(ink, name, (round(x - wide / 2), round(y + tall / 2)), cv2.FONT_HERSHEY_SIMPLEX, size, 1, thick)
        c.fill(ink.astype(bool), rgb("#1a1a1f"))


def tree(c: Canvas, pose: Pose, *, foliage: Array | None = None, pine: bool = False) -> None:
    """A tree: trunk and leafy crown (or a fir)."""
    rng, r = c.rng, pose.scale
    green = rgb(str(rng.choice(["#4f7a2c", "#5c8a35", "#3d6a33", "#79903a"])))
    leaf = surfaces.leaves(rng, base=green, count=1400, size=max(4, 0.05 * r)) if foliage is None else foliage
    bark = surfaces.ramp(surfaces.strands(rng, angle=88, length=41), [rgb("#2f241c"), rgb("#6c543f"), rgb("#8f7458")])
    lean = rng.uniform(-0.05, 0.05)
    c.put(
        pose,
        limb([(lean, -0.3), (0, 0.2), (-0.02, 0.62)], [0.08, 0.12, 0.2]),
        bark,
        object="tree",
        part="trunk",
        round=0.08,
    )
    if pine:
        for k in range(5):
            y, w = 0.32 - 0.24 * k, 0.44 - 0.075 * k
            c.put(
                pose,
                [(0, y - 0.5), (w, y), (w * 0.4, y - 0.02), (0, y + 0.04), (-w * 0.4, y - 0.02), (-w, y)],
                leaf * 0.8,
                object="tree",
                part="crown",
                round=0.1,
            )
        return
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    wide = rng.uniform(0.42, 0.58)
    for _ in range(3):
        reach = rng.uniform(0.8, 1.12, 14)
        crown = np.stack([lean + wide * reach * np.cos(angles), -0.45 + 0.46 * reach * np.sin(angles)], 1)
        c.put(pose, spline(crown, steps=4), leaf, object="tree", part="crown", round=0.3)


def house(c: Canvas, pose: Pose) -> None:
    """A house front: walls, roof, chimney, door, windows."""
    rng = c.rng
    wall = [
        surfaces.bricks(rng, base=rgb("#9a4a35"), rows=40),
        surfaces.plain(rgb("#e3d8c0"), rng),
        surfaces.plain(rgb("#c7d2d8"), rng),
        surfaces.wood(rng, base=rgb("#c9b08a"), planks=30),
    ][rng.integers(4)]
    roof_tiles = surfaces.bricks(
        rng, base=rgb(str(rng.choice(["#8d3f2c", "#4a4a50", "#6b4a3a"]))), rows=44, mortar=(0.15, 0.12, 0.11)
    )
    c.put(
        pose,
        box(0.32, -0.95, 0.48, -0.5),
        surfaces.bricks(rng, base=rgb("#8d4a38"), rows=40),
        object="house",
        part="chimney",
    )
    c.put(pose, box(-0.75, -0.25, 0.75, 0.6), wall, object="house", part="wall")
    c.shadow(polygon(pose(box(-0.75, -0.25, 0.75, -0.15))), blur=5, dark=0.4)
    c.put(
        pose, path("-0.9 -0.22  -0.5 -0.78  0.5 -0.78  0.9 -0.22"), roof_tiles, object="house", part="roof", round=0.03
    )
    door_colour = rgb(str(rng.choice(["#5a2f1c", "#24563a", "#8a1d1d", "#1f3e6e"])))
    c.over(pose, box(-0.14, 0.1, 0.14, 0.6), surfaces.wood(rng, base=door_colour, across=False), part="door")
    c.over(pose, oval(0.1, 0.36, 0.018, 0.018), rgb("#d9b65a"), part="door")
    pane = surfaces.glass(c.rng)
    for x in (-0.48, 0.48):
        for y in (-0.02, 0.32):
            if abs(y) > 1:
                continue
            c.over(pose, box(x - 0.15, y - 0.09, x + 0.15, y + 0.13), rgb("#f2efe6"), part="window")
            for dx in (-0.068, 0.068):
                c.over(pose, box(x + dx - 0.055, y - 0.065, x + dx + 0.055, y + 0.105), pane, part="window")


def flower(c: Canvas, pose: Pose, *, colour: str | None = None) -> None:
    """A flower on its stem: petals round a disc; daisy, sunflower or poppy-like."""
    rng = c.rng
    code = colour or str(rng.choice(["#f4f1ea", "#f0c419", "#d9307a", "#8a4fc0", "#d8352a", "#e88bb0"]))
    bend = rng.uniform(-0.3, 0.3)
    c.put(
        pose,
        limb([(0, 0), (bend * 0.5, 0.8), (bend, 2.2)], [0.09, 0.09, 0.1]),
        surfaces.plain(rgb("#4d7a2c"), rng),
        object="flower",
        part="stem",
        round=0.04,
    )
    leaf = spline([(bend * 0.6, 1.2), (bend * 0.6 + 0.35, 0.95), (bend * 0.6 + 0.75, 0.9), (bend * 0.6 + 0.4, 1.2)])
    c.put(pose, leaf, surfaces.plain(rgb("#4f8030"), rng), object="flower", part="leaf", round=0.1)
    count = int(rng.integers(8, 17))
    tone = surfaces.plain(rgb(code), rng, amount=0.1)
    for ring, reach in ((0.0, 1.0), (0.5, 0.86)):
        for k in range(count):
            a = 360 * (k + ring) / count + rng.uniform(-4, 4)
            middle = 0.55 * reach
            petal = oval(
                middle * np.cos(np.radians(a)), middle * np.sin(np.radians(a)), 0.45 * reach, 1.5 / count, angle=a
            )
            c.put(pose, petal, tone * (0.88 + 0.12 * ring * 2), object="flower", part="petal", round=0.14)
    speck = surfaces.ground(rng, base=rgb("#d39a1e" if code != "#f0c419" else "#5a3517"), grain=0.9)
    c.put(pose, oval(0, 0, 0.28, 0.28), speck, object="flower", part="disk", round=0.2)
