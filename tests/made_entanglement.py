"""Entanglements put together by hand: units with owners, exclusive ones among them, and pictures to show them on."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from made_results import provenance
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from interpkit.results import (
    Ablation,
    Adversarial,
    Compression,
    Entanglement,
    Gallery,
    Localisation,
    Provenance,
    result_folder_name,
    save,
)

Floats = NDArray[np.float64]

HOSTILE = "<script>alert('x')</script>\"'&"
LONG = "long " * 59 + "tail!"
CLASSES = ("albatross", "beaver", "church", "dalmatian", "espresso", HOSTILE, LONG, "never known")
COLOURS = ("#4878a8", "#b8605a", "#6f9e6a", "#c49a4a", "#7e6aa8", "#50949c", "#a8708c", "#8a8a62")
GRID = (28, 28)


def drawn(number: int, *, size: tuple[int, int] = (224, 224), spot: tuple[float, float] = (0.5, 0.5)) -> bytes:
    """A JPEG of a coloured field with a shape around ``spot`` (row, column as shares)."""
    width, height = size
    colour = COLOURS[number % len(COLOURS)]
    image = Image.new("RGB", size, colour)
    pen = ImageDraw.Draw(image)
    for i in range(0, width + height, 24):
        pen.line([(i, 0), (i - height, height)], fill="#ffffff22" if number % 2 else "#00000022", width=3)
    row, column, r = spot[0] * height, spot[1] * width, 0.16 * min(width, height)
    box = [column - r, row - r, column + r, row + r]
    (pen.ellipse, pen.rectangle)[number % 2](box, fill="#f4efe2", outline="#222222", width=3)
    pen.ellipse([column - r / 3, row - r / 3, column + r / 3, row + r / 3], fill="#222222")
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return stream.getvalue()


def outline(spot: tuple[float, float], *, reach: int = 5) -> str:
    """A stepped blob around ``spot`` on the grid."""
    row, column = round(spot[0] * GRID[0]), round(spot[1] * GRID[1])
    return f"M{column - reach} {row - 2}h2v-3h{2 * reach - 4}v3h2v5h-3v2h-{2 * reach - 6}v-2h-3z"


def pictured(units: list[int], *, images: int = 6, seed: int = 0) -> tuple[Gallery, dict[str, bytes]]:
    """A gallery of ``units`` on ``images`` pictures each, of three shapes."""
    rng = np.random.default_rng(seed)
    names = [f"set/{HOSTILE}{i}.png" if i == 0 else f"set/image{i:02}.png" for i in range(3 * images)]
    spots = [tuple(spot) for spot in rng.uniform(0.3, 0.7, (len(names), 2))]
    shapes = [(224, 224), (224, 160), (150, 224)]
    pictures = {
        name: drawn(i, size=shapes[i % 3], spot=spot) for i, (name, spot) in enumerate(zip(names, spots, strict=True))
    }
    image = np.array([(7 * n + k) % len(names) for n in range(len(units)) for k in range(images)], np.int64)
    at = np.array([spots[i] for i in image]).reshape(-1, 2)
    return (
        Gallery(
            names=tuple(names),
            unit=np.repeat(np.array(units, np.int64), images),
            image=image,
            peak=np.tile(np.linspace(9, 5, images), len(units)).astype(np.float32),
            position=np.clip(at + rng.normal(0, 0.02, at.shape), 0, 1),
            outlines=tuple(outline(spots[i]) for i in image),
            grid=GRID,
        ),
        pictures,
    )


def made(layer: str = "layer", **changes: Any) -> Provenance:
    options = {"layers": [layer], "target": "label", "pool": "mean", "estimator": "histogram", "analyses": []}
    command = "interpkit entangle model.pt --labels 'my set'"
    return provenance(**{"verb": "entangle", "command": command, "options": options, **changes})


def information(units: int, classes: int, *, seed: int = 0) -> tuple[Floats, Floats]:
    """(U, K) what the units know, and with permuted labels; the last class is no unit's own; unit 3 is dead."""
    rng = np.random.default_rng(seed)
    ceiling = entropy(classes)[0]
    known = np.clip(rng.exponential(0.03 * ceiling, (units, classes)), 0, ceiling)
    weights = np.linspace(2, 0.8, classes - 1)
    owner = rng.choice(classes - 1, units, p=weights / weights.sum())
    strong = rng.random(units) < 0.7
    known[np.arange(units), owner] = np.where(strong, rng.uniform(0.2, 0.85, units), 0.02) * ceiling
    known[:, -1] *= 0.2
    permuted = np.clip(rng.exponential(0.006 * ceiling, (units, classes)), 0, ceiling)
    known[3], permuted[3] = 0, 0
    return known, permuted


def entropy(classes: int) -> Floats:
    p = 1 / classes
    return np.full(classes, -p * np.log(p) - (1 - p) * np.log(1 - p))


def alike(owner: NDArray[np.int64], *, seed: int = 0) -> NDArray[np.float16]:
    """(U, U) similarity that is higher between units of one owner."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.12, (len(owner), len(owner)))
    same = (owner[:, None] == owner[None]) & (owner[:, None] >= 0)
    matrix = np.where(same, 0.45, 0.05) + (noise + noise.T) / 2
    np.fill_diagonal(matrix, 1)
    return np.clip(matrix, -1, 1).astype(np.float16)


def entanglement(
    units: int = 64, *, classes: tuple[str, ...] = CLASSES, layer: str = "layer", seed: int = 0, **changes: Any
) -> Entanglement:
    """An entanglement with owners, a dead unit and a class that no unit knows, and without analyses."""
    rng = np.random.default_rng(seed)
    number = len(classes)
    known, permuted = information(units, number, seed=seed)
    owner = np.where(known.max(1) > 0, known.argmax(1), -1)
    mean = rng.uniform(0.5, 1, units)
    class_mean = np.clip(mean + rng.normal(0, 0.1, (number, units)), 0, None)
    class_mean[np.maximum(owner, 0), np.arange(units)] += 0.8
    share = np.full((number, number), 0.4 / number) + 0.35 * np.eye(number)
    share[-1, -1] = 0
    lead = [
        u for k in range(number) for u in np.flatnonzero(owner == k)[np.argsort(-known[owner == k, k])][:3].tolist()
    ]
    gallery, pictures = pictured(lead[:120], seed=seed)
    high = {"correlation_within": 0.45, "correlation_between": 0.09}
    result = Entanglement(
        layer=layer,
        classes=classes,
        class_images=np.full(number, 250),
        images=250 * number,
        information=known,
        permuted=permuted,
        without_block=np.tile(known.max(1), (16, 1)),
        entropy=entropy(number),
        bins=np.full(units, 24),
        dead=np.arange(units) == 3,
        mean=mean,
        class_mean=class_mean,
        mass=share,
        correlation=alike(owner, seed=seed),
        cosine=alike(owner, seed=seed + 1),
        redundancy={**high, "correlation_within_high": 0.37, "correlation_between_high": 0.01}
        | {"cosine_within": 0.31, "cosine_between": 0.06, "cosine_within_high": 0.12, "cosine_between_high": 0.0},
        signed=False,
        multi_label=False,
        gallery=gallery,
        provenance=made(layer),
        warnings=(
            "800 images: below 1,000 the scores flatter units that know little",
            f"class {HOSTILE} has 12 images",
        ),
        skipped=(),
        pictures=pictures,
    )
    return replace(result, **changes)


def analysed(units: int = 64, *, layer: str = "layer", seed: int = 0, **changes: Any) -> Entanglement:
    """An entanglement with everything that can be asked for."""
    rng = np.random.default_rng(seed)
    result = entanglement(units, layer=layer, seed=seed)
    number = len(result.classes)
    ablated = np.flatnonzero(result.units_per_class)
    base = rng.uniform(0.8, 0.95, number)
    drop = rng.normal(0.01, 0.02, (len(ablated), number))
    drop[np.arange(len(ablated)), ablated] = rng.uniform(0.2, 0.6, len(ablated))
    head = "logistic head fitted on the layer's pooled activations, 5-fold"
    removed = np.linspace(0, units, 11).astype(np.int64)
    left = 1 - removed / units
    method = {"mean_iou": 0.41, "ap20": 0.82, "ap30": 0.64, "chance_iou": 0.22, "chance_ap20": 0.5, "chance_ap30": 0.3}
    attacked = {"epsilon": 0.03, "pairs": 400, "error": 0.21, "error_sd": 0.01, "auroc": 0.86, "auroc_sd": 0.012}
    everything: dict[str, Any] = {
        "head": head,
        "ablation": Ablation(
            base=base,
            recall=base - drop,
            ablated=ablated,
            removed=result.units_per_class[ablated],
            control=base - rng.uniform(0, 0.05, (len(ablated), number)),
            draws=10,
            accuracy=0.87,
            head=head,
        ),
        "compression": Compression(
            removed=removed,
            accuracy=0.87 - 0.75 * (1 - left) ** 4,
            random=0.87 - 0.75 * (1 - left) ** 2,
            spread=np.full(11, 0.02),
            draws=5,
            head=head,
        ),
        "localisation": (
            Localisation(method="CAM", words="The head's weights, rectified.", images=320, **method),
            Localisation(method="gradient map", words="The 30 strongest units of a class.", images=320, **method),
        ),
        "adversarial": (
            Adversarial(attack="FGSM", seeds=3, fooled=0.71, **attacked),
            Adversarial(attack="PGD", seeds=3, fooled=0.99, **attacked),
        ),
    }
    return replace(result, **{**everything, **changes})


def saved(result: Any, run: Path) -> Path:
    """The result in its usual place in ``run``."""
    return save(result, run / result_folder_name(result))
