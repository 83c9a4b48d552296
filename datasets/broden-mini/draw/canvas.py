"""The canvas: colour and label buffers painted together, so that labels are exact."""

from collections.abc import Sequence

import cv2
import numpy as np

from draw.surfaces import SIDE, Array, smooth, white

Points = Array | Sequence[Sequence[float]]
LAYERS = ("object", "part_1", "part_2", "material")


class Pose:
    """Places a drawing: local coordinates (about -1..1, y down) to canvas pixels."""

    def __init__(
        self, x: float, y: float, scale: float, *, angle: float = 0, flip: bool = False, shear: float = 0
    ) -> None:
        turn = np.radians(angle)
        spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        self.matrix = spin @ np.array([[-1 if flip else 1, shear], [0, 1]]) * scale
        self.origin = np.array([x, y])
        self.scale = float(scale)

    def __call__(self, points: Points) -> Array:
        """Local points (n, 2) as canvas points (n, 2)."""
        return np.asarray(np.asarray(points, float) @ self.matrix.T + self.origin)

    def coordinates(self) -> tuple[Array, Array]:
        """Local x and y of every canvas pixel."""
        rows, cols = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) + 0.5
        inverse = np.linalg.inv(self.matrix).astype(np.float32)
        dx, dy = cols - np.float32(self.origin[0]), rows - np.float32(self.origin[1])
        return inverse[0, 0] * dx + inverse[0, 1] * dy, inverse[1, 0] * dx + inverse[1, 1] * dy


def spline(points: Points, *, closed: bool = True, steps: int = 8) -> Array:
    """Catmull-Rom curve through the points."""
    knots = np.asarray(points, float)
    ends = (knots[-1:], knots[:2]) if closed else (knots[:1], knots[-1:])
    padded = np.concatenate([ends[0], knots, ends[1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    curve = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        curve.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    if not closed:
        curve.append(knots[-1:])
    return np.concatenate(curve)


def oval(x: float, y: float, rx: float, ry: float, *, angle: float = 0) -> Array:
    """Ellipse as 40 points, local coordinates."""
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    turn = np.radians(angle)
    px, py = rx * np.cos(t), ry * np.sin(t)
    return np.stack([x + px * np.cos(turn) - py * np.sin(turn), y + px * np.sin(turn) + py * np.cos(turn)], 1)


def path(numbers: str) -> Array:
    """Points from text: "x y  x y  ..." as (n, 2)."""
    return np.array(numbers.split(), float).reshape(-1, 2)


def box(x0: float, y0: float, x1: float, y1: float, /) -> Array:
    """Rectangle corners."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def limb(points: Points, widths: Sequence[float]) -> Array:
    """Outline of a tapering limb along a curve; widths at the given points."""
    middle = spline(points, closed=False, steps=6)
    along = np.linspace(0, 1, len(middle))
    width = np.interp(along, np.linspace(0, 1, len(widths)), widths)
    step = np.gradient(middle, axis=0)
    normal = np.stack([-step[:, 1], step[:, 0]], 1) / (np.linalg.norm(step, axis=1, keepdims=True) + 1e-9)
    left, right = middle + normal * width[:, None] / 2, middle - normal * width[:, None] / 2
    cap = oval(middle[-1, 0], middle[-1, 1], width[-1] / 2, width[-1] / 2)
    heading = np.arctan2(step[-1, 1], step[-1, 0])
    ahead = np.cos(np.linspace(0, 2 * np.pi, 40, endpoint=False) - heading) > 0.1
    turn = np.argsort((np.linspace(0, 2 * np.pi, 40, endpoint=False) - heading + np.pi) % (2 * np.pi))
    front = cap[turn][ahead[turn]]
    return np.concatenate([right, front, left[::-1]])


def polygon(points: Points) -> Array:
    """Boolean mask (SIDE, SIDE) of a polygon in canvas coordinates."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(mask, [np.round(np.asarray(points) * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    return mask.astype(bool)


def volume(mask: Array, radius: float, light: tuple[float, float]) -> tuple[Array, Array]:
    """Shading factor and facing-the-light (for gloss) of a cut-out blown up like a cushion of edge radius `radius`."""
    padded = np.pad(mask.astype(np.uint8), 2)
    far = cv2.distanceTransform(padded, cv2.DIST_L2, 5)
    t = np.minimum(far / radius, 1)
    height = cv2.GaussianBlur(radius * np.sqrt(t * (2 - t)), (0, 0), max(1.0, radius * 0.22))
    across = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    down = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    lambert = (-across * light[0] - down * light[1] + 0.62) / np.sqrt(across**2 + down**2 + 1)
    return (0.38 + 0.95 * np.clip(lambert, 0, 1))[2:-2, 2:-2], lambert[2:-2, 2:-2]


class Canvas:
    """Colours and label buffers of one image at twice its size."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.rgb: Array = np.zeros((SIDE, SIDE, 3), np.float32)
        self.ids = {layer: np.zeros((SIDE, SIDE), np.int32) for layer in LAYERS}
        self.names: list[str] = [""]
        self.mine = np.zeros((SIDE, SIDE), bool)
        self.subject = False
        self.light = (float(rng.choice([-0.62, 0.62]) * rng.uniform(0.6, 1.1)), -0.65)

    def number(self, name: str | None) -> int:
        """The canvas' own number of a label name (0 = none)."""
        if not name:
            return 0
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def fill(
        self,
        mask: Array,
        paint: Array,
        *,
        object: str | None = None,
        part: str | None = None,
        layer: int = 1,
        material: str | None = None,
        round: float = 0,
        gloss: float = 0,
        alpha: float = 1,
    ) -> None:
        """Paint colours and labels under a mask.

        paint: (3,) colour or (SIDE, SIDE, 3) texture. A new object hides every label under it; a part of layer 1 hides
        parts of layer 2; a part of layer 2 lies on the one below. round: radius in pixels of the cushion shading.
        """
        rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            return
        box = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
        inside = mask[box]
        colour: Array = np.broadcast_to(paint, self.rgb.shape)[box].astype(np.float32)
        if round:
            shade, facing = volume(inside, float(round), self.light)
            colour = colour * shade[..., None]
            if gloss:
                colour = colour + gloss * (np.clip((facing - 0.8) / 0.25, 0, 1) ** 2)[..., None]
        mixed = alpha * np.clip(colour, 0, 1) + (1 - alpha) * self.rgb[box]
        self.rgb[box] = np.where(inside[..., None], mixed, self.rgb[box])
        self._label(box, inside, object=object, part=part, layer=layer, material=material)

    def put(
        self,
        pose: Pose,
        outline: Points,
        paint: Array,
        *,
        object: str | None = None,
        part: str | None = None,
        layer: int = 1,
        material: str | None = None,
        round: float = 0,
        gloss: float = 0,
    ) -> None:
        """Fill an outline given in local coordinates; `round` is in local units too."""
        self.fill(
            polygon(pose(outline)),
            paint,
            object=object,
            part=part,
            layer=layer,
            material=material,
            round=round * pose.scale,
            gloss=gloss,
        )

    def over(self, pose: Pose, outline: Points, paint: Array, *, part: str, round: float = 0, gloss: float = 0) -> None:
        """A part that lies on another part (layer 2): an eye on a head."""
        self.put(pose, outline, paint, part=part, layer=2, round=round, gloss=gloss)

    def _label(
        self,
        box: tuple[slice, slice],
        inside: Array,
        *,
        object: str | None,
        part: str | None,
        layer: int,
        material: str | None,
    ) -> None:
        if object is not None:
            self.ids["object"][box][inside] = self.number(object)
            self.ids["part_1"][box][inside] = self.ids["part_2"][box][inside] = 0
            self.ids["material"][box][inside] = 0
        if part is not None:
            self.ids[f"part_{layer}"][box][inside] = self.number(part)
            if layer == 1:
                self.ids["part_2"][box][inside] = 0
        if material is not None:
            self.ids["material"][box][inside] = self.number(material)
        if object is not None or part is not None:
            self.mine[box][inside] = self.subject

    def shadow(self, mask: Array, *, shift: tuple[float, float] = (0, 0), blur: float = 8, dark: float = 0.45) -> None:
        """Darken the picture under a shifted, blurred mask (no labels change)."""
        move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
        soft = cv2.GaussianBlur(cv2.warpAffine(mask.astype(np.float32), move, (SIDE, SIDE)), (0, 0), blur)
        self.rgb *= (1 - dark * soft)[..., None]

    def line(self, points: Points, colour: Array | Sequence[float], *, width: int = 2) -> None:
        """A thin line of colour only (whisker, rope, seam)."""
        curve = [np.round(np.asarray(points) * 16).astype(np.int32)]
        ink = [float(v) for v in colour]
        cv2.polylines(self.rgb, curve, isClosed=False, color=ink, thickness=width, shift=4)

    def soften(self, sigma: float) -> None:
        """Blur what is painted so far: background out of focus."""
        if sigma > 0:
            self.rgb = cv2.GaussianBlur(self.rgb, (0, 0), sigma)

    def photograph(self) -> Array:
        """The image (224, 224, 3) uint8 RGB: downsampled, uneven light, vignette, sensor noise."""
        rng = self.rng
        small = cv2.resize(self.rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        half = SIDE // 2
        light = 0.9 + 0.2 * smooth(rng, (1, 1), (half, half))
        line = np.linspace(-1, 1, half, dtype=np.float32)
        vignette = 1 - 0.16 * (line[:, None] ** 2 + line[None, :] ** 2) / 2
        tint = 1 + rng.uniform(-0.04, 0.04, 3).astype(np.float32)
        grain = white(rng, (half, half * 3)) + white(rng, (half, half * 3)) + white(rng, (half, half * 3)) - 1.5
        noisy = small * (light * vignette)[..., None] * tint + 0.022 * grain.reshape(half, half, 3)
        return np.clip(noisy * 255 + 0.5, 0, 255).astype(np.uint8)

    def labels(self, layer: str) -> Array:
        """One label buffer (112, 112), canvas numbers, nearest sample of the drawing's own buffer."""
        return self.ids[layer][2::4, 2::4]
