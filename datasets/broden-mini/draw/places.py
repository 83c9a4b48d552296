"""Backdrops: each paints sky to ground with its labels and returns the scene's name and the ground's row (0..1)."""

from collections.abc import Callable

import numpy as np

from draw import rooms, surfaces, things
from draw.canvas import Canvas, Pose, box, limb, oval, polygon, spline
from draw.surfaces import SIDE, Array, rgb

Place = Callable[[Canvas], tuple[str, float]]
ALL = np.ones((SIDE, SIDE), bool)


def below(line: Array) -> Array:
    """Mask under a skyline given as a row per column."""
    return np.arange(SIDE)[:, None] >= line[None, :]


def ridge(c: Canvas, *, level: float, rough: float, cells: float = 3) -> Array:
    """A skyline: row per column."""
    return np.asarray((level + rough * (surfaces.fractal(c.rng, (2, cells), octaves=6)[SIDE // 2] - 0.5)) * SIDE)


def sky(c: Canvas) -> tuple[str, float]:
    """Open sky with clouds."""
    zenith, low = [("#3f78c0", "#b9d3ea"), ("#5a93d2", "#dbe6ee"), ("#2f5fa8", "#f0c9a0"), ("#7fa3c4", "#d5dde2")][
        c.rng.integers(4)
    ]
    paint = surfaces.clouds(c.rng, zenith=rgb(zenith), low=rgb(low), cover=c.rng.uniform(0.3, 0.65))
    c.fill(ALL, paint, object="sky")
    return "sky-s", 1.0


def pasture(c: Canvas) -> tuple[str, float]:
    """Meadow with a tree line."""
    sky(c)
    level = c.rng.uniform(0.34, 0.48)
    line = ridge(c, level=level - 0.05, rough=0.1, cells=14)
    c.fill(below(line), surfaces.leaves(c.rng, base=rgb("#42632f"), count=1600, size=6), object="tree")
    base = rgb(str(c.rng.choice(["#5f8a34", "#6f9440", "#87934a"])))
    c.fill(below(np.full(SIDE, level * SIDE)), surfaces.grass(c.rng, base=base, horizon=level), object="grass")
    if c.rng.random() < 0.4:
        rooms.fence(c, y=(level + 0.06) * SIDE, height=40, white=False)
    return "pasture-s", level


def savanna(c: Canvas) -> tuple[str, float]:
    """Dry yellow grass with umbrella trees."""
    sky(c)
    level = c.rng.uniform(0.36, 0.5)
    c.fill(below(ridge(c, level=level - 0.03, rough=0.05)), surfaces.plain(rgb("#8a8f78"), c.rng), object="hill")
    c.fill(
        below(np.full(SIDE, level * SIDE)),
        surfaces.grass(c.rng, base=rgb("#b59a54"), horizon=level, blades=2600),
        object="grass",
    )
    for _ in range(int(c.rng.integers(1, 4))):
        pose = Pose(c.rng.uniform(20, 428), level * SIDE - 22, c.rng.uniform(45, 80))
        c.fill(
            polygon(pose(limb([(0, 0.4), (0.03, 0.0), (0.1, -0.4)], [0.1, 0.07, 0.05]))), rgb("#4a3a2c"), object="tree"
        )
        c.fill(
            polygon(pose(spline([(-0.9, -0.4), (-0.4, -0.66), (0.4, -0.7), (1, -0.42), (0.3, -0.36)]))),
            surfaces.leaves(c.rng, base=rgb("#5c6b35"), size=5),
            object="tree",
            round=10,
        )
    return "savanna-s", level


def coast(c: Canvas) -> tuple[str, float]:
    """Sea with a beach in front."""
    sky(c)
    level = c.rng.uniform(0.36, 0.5)
    tone = rgb(str(c.rng.choice(["#2f6f8f", "#2a5d86", "#3c8a93", "#456a7c"])))
    c.fill(below(np.full(SIDE, level * SIDE)), surfaces.sea(c.rng, base=tone, horizon=level), object="water")
    if c.rng.random() < 0.55:
        shore = ridge(c, level=0.84, rough=0.08, cells=2)
        c.fill(below(shore - 9), surfaces.plain(rgb("#eef2f0"), c.rng), object="water", alpha=0.8)
        c.fill(below(shore), surfaces.ground(c.rng, base=rgb("#d3b98a"), grain=0.35), object="sand")
    return "coast-s", level


def mountain(c: Canvas) -> tuple[str, float]:
    """Snowy ridges over a lake or meadow."""
    sky(c)
    rows, _ = surfaces.grids()
    for k, (level, code) in enumerate(((0.3, "#7c8796"), (0.42, "#5a6069"))):
        height = surfaces.fractal(c.rng, (7, 5), octaves=7, gain=0.62)
        rock = surfaces.lit(surfaces.plain(rgb(code), c.rng, amount=0.2), height, strength=9)
        line = ridge(c, level=level, rough=0.36 - 0.1 * k, cells=4)
        snow = np.clip((0.12 + level - rows + 0.25 * (height - 0.5)) * 14, 0, 1)[..., None]
        c.fill(
            below(line),
            rock * (1 - snow) + snow * surfaces.lit(np.full_like(rock, 0.9), height, strength=6),
            object="mountain",
        )
    c.fill(
        below(ridge(c, level=0.66, rough=0.04, cells=20)),
        surfaces.leaves(c.rng, base=rgb("#2f4a2e"), size=5),
        object="tree",
    )
    c.fill(below(np.full(SIDE, 0.72 * SIDE)), surfaces.sea(c.rng, base=rgb("#3f6577"), horizon=0.7), object="water")
    return "mountain_snowy-s", 0.72


def forest(c: Canvas) -> tuple[str, float]:
    """Trunks before a wall of leaves, litter on the ground."""
    c.fill(
        ALL,
        surfaces.leaves(c.rng, base=rgb(str(c.rng.choice(["#5f8a3a", "#7a9a3c", "#4a7a3a"]))), count=2600, size=8),
        object="tree",
    )
    level = c.rng.uniform(0.66, 0.76)
    floor = surfaces.leaves(c.rng, base=rgb("#8a6a40"), count=2600, size=6)
    c.fill(below(ridge(c, level=level, rough=0.06)), floor, object="earth")
    for near in np.sort(c.rng.uniform(0, 1, int(c.rng.integers(5, 10)))):
        x, w = c.rng.uniform(0, SIDE), 8 + 30 * near
        foot = (level + 0.02 + 0.2 * near) * SIDE
        bark = surfaces.ramp(
            surfaces.strands(c.rng, angle=88, length=51), [rgb("#241c16"), rgb("#5a4735"), rgb("#82705a")]
        )
        lean = c.rng.uniform(-25, 25)
        c.fill(
            polygon(limb([(x + lean, -20), (x, foot * 0.6), (x - lean * 0.2, foot)], [w * 0.8, w, w * 1.5])),
            bark * (0.5 + 0.5 * near),
            object="tree",
            part="trunk",
            round=w * 0.6,
        )
    return "forest-s", level


def garden(c: Canvas) -> tuple[str, float]:
    """Foliage with flowers."""
    c.fill(
        ALL,
        surfaces.leaves(c.rng, base=rgb(str(c.rng.choice(["#4f8a35", "#3f7a3f", "#6a9440"]))), count=1500, size=16),
        object="plant",
    )
    for near in np.sort(c.rng.uniform(0, 1, int(c.rng.integers(3, 8)))):
        pose = Pose(
            c.rng.uniform(20, 428),
            c.rng.uniform(60, 420),
            18 + 28 * near,
            angle=c.rng.uniform(-25, 25),
            shear=c.rng.uniform(-0.3, 0.3),
        )
        things.flower(c, pose)
    return "garden-s", 0.9


def reef(c: Canvas) -> tuple[str, float]:
    """Under water: blue light from above, corals, sand."""
    rows, _ = surfaces.grids()
    rays = surfaces.fractal(c.rng, (1.5, 9), octaves=3)
    water = surfaces.ramp(
        np.clip(1 - rows + 0.3 * (rays - 0.5), 0, 1), [rgb("#0b3550"), rgb("#1a6f96"), rgb("#5ab4cc")]
    )
    c.fill(ALL, water, object="water")
    level = c.rng.uniform(0.72, 0.82)
    floor = surfaces.ground(c.rng, base=rgb("#9fae9a"), grain=0.4)
    c.fill(below(ridge(c, level=level, rough=0.08)), floor, object="sand")
    for _ in range(int(c.rng.integers(5, 9))):
        x, y, r = c.rng.uniform(0, SIDE), c.rng.uniform(level, 0.98) * SIDE, c.rng.uniform(30, 75)
        colour = rgb(str(c.rng.choice(["#c4576b", "#d98a45", "#8a5aa0", "#c9b27a", "#5d8a6a"])))
        if c.rng.random() < 0.5:
            near, second, _ = surfaces.cells(c.rng, 900)
            bumps = surfaces.lit(surfaces.plain(colour, c.rng), np.clip((second - near) / 6, 0, 1) * 3, strength=0.6)
            c.fill(polygon(oval(x, y, r, r * 0.75)), bumps, object="coral", round=r * 0.7)
            continue
        for a in np.linspace(-60, 60, 9) + c.rng.normal(0, 6, 9):
            tip = (x + 1.3 * r * np.sin(np.radians(a)), y - 1.5 * r * np.cos(np.radians(a)))
            mid = ((x + tip[0]) / 2 + c.rng.normal(0, 6), (y + tip[1]) / 2)
            c.fill(
                polygon(limb([(x, y), mid, tip], [0.22 * r, 0.15 * r, 0.12 * r])),
                surfaces.plain(colour, c.rng),
                object="coral",
                round=0.08 * r,
            )
    return "coral_reef-s", level


def street(c: Canvas) -> tuple[str, float]:
    """Road before a row of buildings."""
    sky(c)
    level = c.rng.uniform(0.56, 0.64)
    x = -c.rng.uniform(0, 60)
    while x < SIDE:
        wide, top = c.rng.uniform(90, 150), c.rng.uniform(0.02, 0.22) * SIDE
        _facade(c, (x, top, x + wide, level * SIDE))
        x += wide
    c.fill(below(np.full(SIDE, level * SIDE)), surfaces.tiles(c.rng, base=rgb("#a8a49c"), count=16), object="sidewalk")
    c.fill(
        below(np.full(SIDE, (level + 0.06) * SIDE)),
        surfaces.ground(c.rng, base=rgb("#55565a"), grain=0.35),
        object="road",
    )
    for k in range(-1, 5):
        at = 110 * k + c.rng.uniform(0, 20)
        y = (level + 0.26) * SIDE
        c.fill(polygon([(at, y), (at + 60, y), (at + 56, y + 9), (at - 6, y + 9)]), rgb("#d8d6ca"), object="road")
    if c.rng.random() < 0.7:
        rooms.street_lamp(c, Pose(c.rng.uniform(30, 400), level * SIDE - 90, 115))
    if c.rng.random() < 0.6:
        things.tree(c, Pose(c.rng.uniform(30, 420), level * SIDE - 42, 80))
    if c.rng.random() < 0.5:
        rooms.person(c, Pose(c.rng.uniform(20, 430), level * SIDE - 22, 50))
    if c.rng.random() < 0.4:
        rooms.traffic_light(c, Pose(c.rng.uniform(40, 410), level * SIDE - 80, 70))
    return "street-s", level + 0.1


def residential(c: Canvas) -> tuple[str, float]:
    """A house with trees and a white fence, a lane in front."""
    _, level = pasture(c)
    for x in c.rng.uniform(20, 430, 2):
        things.tree(c, Pose(x, level * SIDE - 60, c.rng.uniform(110, 150)))
    scale = c.rng.uniform(125, 175)
    things.house(c, Pose(c.rng.uniform(130, 320), level * SIDE + 5, scale, shear=c.rng.uniform(-0.05, 0.05)))
    things.tree(c, Pose(c.rng.choice([40, 410]), level * SIDE + 10, 150), pine=bool(c.rng.random() < 0.5))
    rooms.fence(c, y=(level + 0.33) * SIDE, height=52, white=True)
    for x in c.rng.uniform(10, 440, 4):
        things.flower(c, Pose(x, (level + 0.32) * SIDE, c.rng.uniform(12, 18)))
    lane = level + 0.4
    c.fill(below(np.full(SIDE, lane * SIDE)), surfaces.ground(c.rng, base=rgb("#8d857a"), grain=0.4), object="road")
    return "residential-s", lane - 0.04


def _facade(c: Canvas, corners: tuple[float, float, float, float]) -> None:
    x0, y0, x1, y1 = corners
    wall = [
        surfaces.bricks(c.rng, base=rgb("#8f4836"), rows=38),
        surfaces.plain(rgb("#cdbb98"), c.rng),
        surfaces.plain(rgb("#9aa3a8"), c.rng),
        surfaces.bricks(c.rng, base=rgb("#b5855a"), rows=38),
    ][c.rng.integers(4)]
    c.fill(polygon(box(x0, y0, x1, y1)), wall * c.rng.uniform(0.75, 1.1), object="building")
    pane = surfaces.glass(c.rng)
    columns = 3
    for row in np.arange(y0 + 18, y1 - 62, 46):
        for k in range(columns):
            left = x0 + (k + 0.5) * (x1 - x0) / columns - 9
            c.fill(polygon(box(left - 3, row - 3, left + 21, row + 31)), rgb("#d8d2c4"), part="window", layer=1)
            c.fill(polygon(box(left, row, left + 18, row + 28)), pane, part="window", layer=1)
    c.fill(polygon(box(x0 + 4, y1 - 46, x1 - 4, y1)), pane * 0.9, part="window", layer=1)
    c.fill(
        polygon(box(x0 + 8, y1 - 42, x0 + 34, y1)),
        rgb(str(c.rng.choice(["#4a2c1c", "#1f4a38", "#701c1c"]))),
        part="door",
        layer=2,
    )
    awning = np.where((np.arange(SIDE) // 9 % 2 == 0)[None, :, None], rgb("#b8322c"), rgb("#eeeae0")) * np.ones(
        (SIDE, 1, 1), np.float32
    )
    if c.rng.random() < 0.5:
        c.fill(polygon([(x0 + 4, y1 - 58), (x1 - 4, y1 - 58), (x1, y1 - 42), (x0, y1 - 42)]), awning, object="awning")


def living_room(c: Canvas) -> tuple[str, float]:
    """Wall, wooden floor, window, pictures."""
    level = c.rng.uniform(0.62, 0.72)
    wall = rgb(str(c.rng.choice(["#c9bfa5", "#a9b8b4", "#d6c9bb", "#8f9fae", "#b7a08a"])))
    c.fill(ALL, surfaces.plain(wall, c.rng, amount=0.08), object="wall")
    c.fill(below(np.full(SIDE, level * SIDE)), surfaces.wood(c.rng, base=rgb("#96683c"), planks=14), object="floor")
    c.fill(polygon(box(0, level * SIDE - 9, SIDE, level * SIDE + 2)), rgb("#e4dfd4"), object="wall", round=4)
    if c.rng.random() < 0.6:
        view = surfaces.leaves(c.rng, base=rgb("#7fa05a"), size=8) * 0.4 + 0.55
        rooms.window(c, Pose(c.rng.uniform(70, 370), 140, 100), view=view)
    if c.rng.random() < 0.6:
        rooms.painting(c, Pose(c.rng.uniform(70, 380), c.rng.uniform(90, 150), 62))
    rug = oval(SIDE / 2, 0.885 * SIDE, 190, 42)
    c.fill(
        polygon(rug),
        surfaces.cloth(c.rng, base=rgb(str(c.rng.choice(["#8a2f35", "#3f5a7a", "#a88a55"]))), folds=0.6),
        object="rug",
    )
    c.line(oval(SIDE / 2, 0.885 * SIDE, 172, 36), rgb("#e0d6b8"), width=3)
    return "living_room-s", level


def kitchen(c: Canvas) -> tuple[str, float]:
    """Tiled wall over a wooden counter with cupboards."""
    level = c.rng.uniform(0.58, 0.66)
    c.fill(
        ALL,
        surfaces.tiles(c.rng, base=rgb(str(c.rng.choice(["#b9cdd2", "#d9d4c4", "#9fbfae"]))), count=9),
        object="wall",
    )
    c.fill(
        below(np.full(SIDE, (level + 0.08) * SIDE)),
        surfaces.plain(rgb("#d8cfbd"), c.rng, amount=0.06),
        object="cabinet",
    )
    for x in (8, 120, 232, 344):
        front = box(x, (level + 0.12) * SIDE, x + 98, 0.99 * SIDE)
        c.fill(
            polygon(front), surfaces.wood(c.rng, base=rgb("#c29a63"), planks=4, across=False), object="cabinet", round=6
        )
        c.fill(polygon(oval(x + 86, (level + 0.2) * SIDE, 5, 5)), rgb("#b9bcc0"), part="knob", round=4, gloss=0.5)
    c.fill(
        polygon(box(0, level * SIDE, SIDE, (level + 0.09) * SIDE)),
        surfaces.wood(c.rng, base=rgb("#7c4f2c"), planks=26),
        object="counter",
    )
    return "kitchen-s", level


def plain_wall(c: Canvas) -> tuple[str, float]:
    """A bare wall: brick, plaster, boards, wallpaper; no scene."""
    paints = [
        lambda: surfaces.bricks(c.rng, base=rgb("#94503c")),
        lambda: surfaces.plain(rgb("#c8c0b0"), c.rng),
        lambda: surfaces.wood(c.rng, base=rgb("#8f6a45"), planks=7),
        lambda: surfaces.plain(rgb("#7f97a8"), c.rng),
        lambda: surfaces.plain(rgb("#b58a6a"), c.rng),
    ]
    c.fill(ALL, paints[c.rng.integers(5)](), object="wall")
    return "", 1.0


def open_sea(c: Canvas) -> tuple[str, float]:
    """Sea to the horizon."""
    sky(c)
    level = c.rng.uniform(0.5, 0.62)
    tone = rgb(str(c.rng.choice(["#2f6f8f", "#2a5d86", "#3c8a93", "#456a7c"])))
    c.fill(below(np.full(SIDE, level * SIDE)), surfaces.sea(c.rng, base=tone, horizon=level), object="water")
    return "ocean-s", level


def desk(c: Canvas) -> tuple[str, float]:
    """A bare wall behind a wooden table top; no scene."""
    plain_wall(c)
    level = c.rng.uniform(0.68, 0.78)
    c.fill(below(np.full(SIDE, level * SIDE)), surfaces.wood(c.rng, base=rgb("#8a5a32"), planks=9), object="table")
    c.shadow(polygon(box(0, level * SIDE - 4, SIDE, level * SIDE + 8)), blur=8, dark=0.4)
    return "", level
