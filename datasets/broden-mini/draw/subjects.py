"""The jobs: which picture each file holds, and how it is composed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from draw import hoofed, places, rooms, seated, small, stills, textures, things, vehicles
from draw.canvas import Canvas, Pose, limb, polygon
from draw.surfaces import SIDE, Array, ramp, rgb, strands

MATERIALS = ("brick", "wood", "stone", "tile", "fabric", "leather", "metal", "foliage", "water")


@dataclass
class Picture:
    """A finished canvas and what holds for it as a whole (names; "0" = said to have none)."""

    canvas: Canvas
    scene: str = ""
    texture: str = ""
    subject: str = ""


@dataclass(frozen=True)
class Subject:
    """How one class of object-centred pictures is composed."""

    draw: Callable[[Canvas, Pose], None]
    places: tuple[places.Place, ...]
    size: tuple[float, float]
    foot: float = 0  # local y that stands on the ground; 0 = floats in the middle
    top: float = 0.6  # how far the drawing reaches above its origin
    lead: float = 0  # local x of its middle
    tilt: float = 6
    width: float = 0.5
    blur: tuple[float, float] = (1.5, 5)
    shear: float = 0.08
    perch: bool = False


SUBJECTS: dict[str, tuple[Subject, ...]] = {
    "airplane": (
        Subject(vehicles.airplane, (places.sky, places.sky, places.mountain), (150, 215), tilt=16, blur=(0, 1)),
    ),
    "bird": (
        Subject(small.bird, (places.forest, places.garden, places.sky), (130, 230), tilt=10, blur=(4, 8), perch=True),
    ),
    "boat": (
        Subject(
            vehicles.sailboat,
            (places.open_sea, places.open_sea, places.mountain),
            (120, 200),
            0.47,
            top=1.0,
            tilt=7,
            blur=(0, 1),
        ),
    ),
    "butterfly": (
        Subject(
            small.butterfly,
            (places.garden, places.garden, places.pasture),
            (120, 205),
            tilt=45,
            blur=(2, 5),
            shear=0.25,
        ),
    ),
    "car": (
        Subject(
            vehicles.car,
            (places.street, places.residential, places.pasture),
            (130, 205),
            0.36,
            tilt=2,
            width=1.0,
            blur=(0.5, 2),
        ),
    ),
    "cat": (
        Subject(
            seated.cat,
            (places.living_room, places.living_room, places.garden, places.plain_wall),
            (180, 310),
            0.6,
            top=0.86,
            width=0.55,
        ),
    ),
    "clock": (
        Subject(things.clock, (places.plain_wall, places.plain_wall, places.kitchen), (95, 185), tilt=6, blur=(0.5, 2)),
        Subject(
            things.alarm_clock, (places.desk,), (90, 150), 1.1, top=1.2, width=0.8, tilt=3, blur=(1, 3), shear=0.02
        ),
    ),
    "dog": (
        Subject(
            seated.dog,
            (places.pasture, places.residential, places.living_room, places.garden, places.plain_wall),
            (180, 310),
            0.6,
            top=0.78,
            width=0.55,
        ),
    ),
    "fish": (Subject(small.fish, (places.reef,), (130, 250), tilt=18, blur=(1, 4)),),
    "zebra": (
        Subject(
            hoofed.zebra,
            (places.savanna, places.savanna, places.pasture),
            (160, 265),
            0.62,
            top=0.78,
            lead=0.2,
            tilt=3,
            blur=(1, 4),
        ),
    ),
}


def subject_picture(c: Canvas, name: str) -> Picture:
    """One object in its surroundings."""
    rng = c.rng
    plan = SUBJECTS[name][rng.integers(len(SUBJECTS[name]))]
    scene, level = plan.places[rng.integers(len(plan.places))](c)
    blur = rng.uniform(*plan.blur)
    c.soften(blur)
    pose = _pose(c, plan, level)
    if plan.perch:
        _branch(c, pose)
    elif plan.foot and name != "boat":
        hoofed.shade_under(c, pose, width=plan.width, foot=plan.foot)
    c.subject = True
    plan.draw(c, pose)
    c.subject = False
    if name == "boat":
        _waterline(c, pose)
    if name in ("zebra", "dog", "cat") and scene in ("savanna-s", "pasture-s") and rng.random() < 0.6:
        _tufts(c, pose.origin[1] + plan.foot * pose.scale)
    known = scene and (blur < 4.5 or scene == "coral_reef-s")
    return Picture(c, scene=scene if known else "0", subject=name)


def _pose(c: Canvas, plan: Subject, level: float) -> Pose:
    rng = c.rng
    size = rng.uniform(*plan.size)
    x = SIDE / 2 + rng.normal(0, 0.06) * SIDE
    y = SIDE * rng.uniform(0.44, 0.56)
    if plan.foot:
        ground = rng.uniform(min(max(level + 0.08, 0.74), 0.9), 0.95) * SIDE
        y = ground - plan.foot * size
        y = max(y, plan.top * size + rng.uniform(-0.03, 0.04) * SIDE)
    flip = bool(rng.random() < 0.5) and plan.draw not in (things.clock, things.alarm_clock)
    x -= plan.lead * size * (-1 if flip else 1)
    shear = rng.uniform(-plan.shear, plan.shear)
    return Pose(x, y, size, angle=rng.normal(0, plan.tilt / 2), flip=flip, shear=shear)


def _branch(c: Canvas, pose: Pose) -> None:
    bark = ramp(strands(c.rng, angle=5, length=41), [rgb("#2f241c"), rgb("#6c543f"), rgb("#94795c")])
    y = float(pose([(0.05, 0.5)])[0][1])
    slope = c.rng.uniform(-20, 20)
    c.fill(
        polygon(limb([(-20, y + slope), (SIDE / 2, y + 8), (SIDE + 20, y - slope)], [26, 20, 14])),
        bark,
        object="tree",
        part="branch",
        round=10,
    )


def _waterline(c: Canvas, pose: Pose) -> None:
    """Waves over the foot of the hull, and its mirror image."""
    y = float(pose([(0, 0.45)])[0][1])
    line = y + 1.5 * np.sin(np.arange(SIDE) / 9.0 + c.rng.uniform(0, 6))
    hull = places.below(line) & (c.ids["object"] == c.number("boat"))
    rows, cols = np.nonzero(hull)
    source = np.minimum(rows + 40, SIDE - 1)
    paint = c.rgb.copy()
    paint[rows, cols] = c.rgb[source, cols]
    c.fill(hull, paint, object="water")
    mirror = np.zeros((SIDE, SIDE), bool)
    span = np.abs(np.arange(SIDE) - pose.origin[0]) < 0.55 * pose.scale
    mirror[int(y) : int(y + 0.35 * pose.scale), span] = True
    c.shadow(mirror & places.below(line), blur=7, dark=0.4)


def _tufts(c: Canvas, foot: float) -> None:
    """Blades of grass before the feet."""
    blades = np.zeros((SIDE, SIDE), bool)
    for x in c.rng.uniform(0, SIDE, 160):
        y, reach = foot + c.rng.uniform(0, 26), c.rng.uniform(12, 30)
        tip = (x + c.rng.normal(0, 7), y - reach)
        blades |= polygon([(x - 2, y), tip, (x + 2, y)])
    ground = np.roll(c.rgb, int(-0.02 * SIDE), axis=0)
    tone = c.rgb[min(SIDE - 4, int(foot) + 12) :].mean((0, 1))
    c.fill(blades, ground * 0.3 + tone * 0.8, object="grass")


def _street(c: Canvas) -> str:
    scene, level = places.street(c)
    for k, y in enumerate(np.sort(c.rng.uniform(level + 0.06, 0.86, 3))):
        pose = Pose(c.rng.uniform(60, 390), y * SIDE, 70 + 130 * (y - level), flip=bool(c.rng.random() < 0.5))
        hoofed.shade_under(c, pose, width=1.0, foot=0.38)
        if k == 0 and c.rng.random() < 0.9:
            vehicles.bus(c, Pose(pose.origin[0], pose.origin[1] - 25, pose.scale * 1.6))
        else:
            vehicles.car(c, pose)
    for _ in range(int(c.rng.integers(1, 4))):
        rooms.person(c, Pose(c.rng.uniform(20, 430), (level - 0.02) * SIDE - 20 + c.rng.uniform(0, 20), 52))
    rooms.traffic_light(c, Pose(c.rng.uniform(40, 410), (level - 0.06) * SIDE - 60, 70))
    return scene


def _residential(c: Canvas) -> str:
    return places.residential(c)[0]


def _living_room(c: Canvas) -> str:
    scene, level = places.living_room(c)
    order = c.rng.permutation([90, 225, 360])
    rooms.lamp(c, Pose(order[0], level * SIDE - 80, 95))
    rooms.sofa(c, Pose(order[1], level * SIDE + 5, 105))
    if c.rng.random() < 0.5:
        rooms.door(c, Pose(order[2], level * SIDE - 105, 105))
    rooms.chair(c, Pose(order[2], level * SIDE + 15, 85, flip=bool(c.rng.random() < 0.5)))
    if c.rng.random() < 0.7:
        things.clock(c, Pose(order[2] - 20, 80, 38))
    pose = Pose(c.rng.uniform(160, 290), 0.84 * SIDE, 100)
    rooms.table(c, pose)
    rooms.cup(c, Pose(pose.origin[0] - 30, pose.origin[1] - 24, 18))
    rooms.bottle(c, Pose(pose.origin[0] + 35, pose.origin[1] - 45, 40))
    return scene


def _kitchen(c: Canvas) -> str:
    scene, level = places.kitchen(c)
    for x in c.rng.permutation([50, 120, 190, 260, 330, 400])[:5]:
        scale = c.rng.uniform(55, 80)
        draw, foot = (rooms.bottle, 0.95) if c.rng.random() < 0.6 else (rooms.cup, 0.55)
        scale = scale if draw is rooms.bottle else scale * 0.6
        pose = Pose(x, (level + 0.04) * SIDE - foot * scale, scale, flip=bool(c.rng.random() < 0.5))
        hoofed.shade_under(c, pose, width=0.4, foot=foot)
        draw(c, pose)
    if c.rng.random() < 0.6:
        things.clock(c, Pose(c.rng.uniform(80, 370), 75, 48))
    return scene


def _farm(c: Canvas) -> str:
    scene, level = places.pasture(c)
    hoofed.herd(c, hoofed.horse, count=2, ground=level)
    hoofed.herd(c, hoofed.cow, count=2, ground=level + 0.1)
    return scene


def _savanna(c: Canvas) -> str:
    scene, level = places.savanna(c)
    hoofed.herd(c, hoofed.zebra, count=4, ground=level)
    return scene


def _coast(c: Canvas) -> str:
    scene, level = places.coast(c)
    for x in c.rng.uniform(40, 410, 2):
        vehicles.sailboat(c, Pose(x, level * SIDE - 5, c.rng.uniform(38, 70)))
    return scene


def _forest(c: Canvas) -> str:
    return places.forest(c)[0]


def _mountain(c: Canvas) -> str:
    return places.mountain(c)[0]


def _garden(c: Canvas) -> str:
    scene, _ = places.garden(c)
    for x, y in c.rng.uniform(60, 390, (3, 2)):
        things.flower(
            c, Pose(x, y, c.rng.uniform(45, 85), angle=c.rng.uniform(-30, 30), shear=c.rng.uniform(-0.3, 0.3))
        )
    return scene


SCENES: dict[str, tuple[Callable[[Canvas], str], int]] = {
    "street": (_street, 8),
    "residential": (_residential, 6),
    "living_room": (_living_room, 8),
    "kitchen": (_kitchen, 8),
    "farm": (_farm, 6),
    "savanna": (_savanna, 3),
    "coast": (_coast, 8),
    "forest": (_forest, 7),
    "mountain": (_mountain, 2),
    "garden": (_garden, 3),
}


def picture(source: str, name: str, *, number: int, seed: int) -> Picture:
    """Draw one job."""
    c = Canvas(np.random.default_rng(seed))
    if source == "textures":
        textures.paint(c, name)
        return Picture(c, texture=name)
    if source == "materials":
        first = MATERIALS[number % len(MATERIALS)]
        second = str(c.rng.choice([m for m in ("wood", "stone", "tile", "fabric", "metal", "brick") if m != first]))
        stills.still(c, first, second)
        return Picture(c)
    if source == "scenes":
        return Picture(c, scene=SCENES[name][0](c))
    return subject_picture(c, name)


def jobs() -> list[tuple[str, str, int]]:
    """(source, name, number within it) of every picture."""
    plan = [("objects", name, k) for name in SUBJECTS for k in range(24)]
    plan += [("scenes", name, k) for name, (_, count) in SCENES.items() for k in range(count)]
    plan += [("materials", "still", k) for k in range(45)]
    plan += [("textures", name, k) for name in textures.TEXTURES for k in range(6)]
    return plan


def part_masks(c: Canvas) -> dict[str, Array]:
    """The subject's visible parts as masks on the stored image's pixels (224 x 224)."""
    masks: dict[str, Array] = {}
    for layer in ("part_1", "part_2"):
        ids = np.where(c.mine, c.ids[layer], 0)[1::2, 1::2]
        for number in np.unique(ids[ids > 0]):
            name = c.names[number]
            masks[name] = masks.get(name, False) | (ids == number)
    return masks
