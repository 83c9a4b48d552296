"""Dissections put together by hand, without a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpkit import metrics
from interpkit.counts import BLOCKS, BlockCounts
from interpkit.results import Chance, Dissection, Provenance, TopImages

OPTIONS = {"layers": ["layer"], "iou": 0.04, "quantile": 0.005, "category_rule": "annotated", "limit": None}


def provenance(**changes: Any) -> Provenance:
    values = {
        "verb": "dissect",
        "command": "interpkit dissect model.pt --labels 'my set'",
        "options": OPTIONS,
        "model": "model",
        "model_sha": "a" * 64,
        "labels": "my set",
        "labels_sha": "b" * 64,
        "preprocessing": {"size": [32, 32], "mean": [0.5], "std": [0.25], "interpolation": "bilinear", "record": ""},
        "versions": {"interpkit": "0.1.0", "torch": "2.13.0"},
        "seed": 0,
        "device": "cpu",
        "batch_size": 4,
        "memory_format": "channels_last",
        "threads": 2,
        "when": "2026-01-02T03:04:05+00:00",
        "seconds": 1.5,
        "stages": {"thresholds": 1.0, "counting": 0.5},
        "notes": ("no weights given: random initialisation",),
    }
    return Provenance(**{**values, **changes})


@dataclass(frozen=True)
class Cells:
    """Counts of all images: joint (U, C), truth (C,), active (U, G + 1), pixels (G + 1,)."""

    joint: NDArray[np.int64]
    truth: NDArray[np.int64]
    active: NDArray[np.int64]
    pixels: NDArray[np.int64]


def in_blocks(cells: Cells, category: NDArray[np.int64]) -> BlockCounts:
    """All of it in the last block but one, so that a block is never taken for the total."""
    joint = np.zeros((BLOCKS, *cells.joint.shape), np.int64)
    joint[-2] = cells.joint
    index = np.flatnonzero(joint)

    def placed(values: NDArray[np.int64]) -> NDArray[np.int64]:
        blocks = np.zeros((BLOCKS, *values.shape), np.int64)
        blocks[-2] = values
        return blocks

    return BlockCounts(
        index=index,
        value=joint.ravel()[index],
        truth=placed(cells.truth),
        active=placed(cells.active),
        pixels=placed(cells.pixels),
        category=category,
    )


@dataclass(frozen=True)
class Names:
    """Concepts (name, category) and categories in their order."""

    concepts: Sequence[tuple[str, str]]
    categories: Sequence[str]

    @property
    def category(self) -> NDArray[np.int64]:
        return np.array([list(self.categories).index(category) for _, category in self.concepts], np.int64)

    def table(self) -> pd.DataFrame:
        rows = [(number, *concept) for number, concept in enumerate(self.concepts, 1)]
        return pd.DataFrame(rows, columns=["number", "name", "category"])


@dataclass
class Shown:
    """Top images: their names, and each unit's list of positions among them, -1 for none."""

    names: Sequence[str] = ("a.png",)
    image: Sequence[Sequence[int]] = ()
    jpeg: Mapping[str, bytes] = field(default_factory=dict)


def dissection(
    cells: Cells, names: Names, *, layer: str = "layer", shown: Shown | None = None, made: Provenance | None = None
) -> Dissection:
    """A result that rests on ``cells``; whatever does not follow from them is random but the same every time."""
    made, shown = made or provenance(), shown or Shown()
    units = len(cells.joint)
    rng = np.random.default_rng(units)
    image = np.array(shown.image or [[0]] * units, np.int32)
    there = image >= 0
    blocks = in_blocks(cells, names.category)
    return Dissection(
        layer=layer,
        concepts=names.table(),
        categories=tuple(names.categories),
        thresholds=rng.normal(size=units).astype(np.float32),
        silent=rng.random(units) < 0.3,
        dead=cells.active[:, -1] == 0,
        blocks=blocks,
        scores={"iou": metrics.load("iou").score(blocks.total().under(made.options["category_rule"]))},
        top=TopImages(
            names=tuple(shown.names),
            image=image,
            peak=np.where(there, rng.normal(size=image.shape), np.nan).astype(np.float32),
            maps=rng.normal(size=(*image.shape, 3, 4)).astype(np.float32),
            outlines=tuple(tuple("M0 0v1h2v-1z" if one else "" for one in row) for row in there),
        ),
        images=17,
        map_size=(3, 4),
        grid=(16, 16),
        input_size=(32, 32),
        placement=((5.5, 3.5), (32 / 3, 8.0)),
        provenance=made,
        skipped=("bad one.jpg",),
        chance=Chance(
            rng.integers(-1, len(names.concepts), (units, len(names.categories))),
            rng.random((units, len(names.categories))),
        ),
        pictures={name: shown.jpeg.get(name, b"\xff\xd8" + name.encode()) for name in shown.names},
    )


NAMES = Names(
    [("cat", "object"), ("dog", "object"), ("leg", "part"), ("red-c", "color"), ("blue-c", "color"), ("toe", "part")],
    ["color", "object", "part", "scene"],
)


def random_cells(seed: int = 0, *, units: int = 12) -> Cells:
    """Counts over ``NAMES``; unit 3 is dead, the concept `toe` never occurs."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(50, 400, 6)
    truth[5] = 0
    active = rng.integers(100, 500, (units, 5))
    active[:, -1] = 600
    joint = (np.minimum(truth, active[:, NAMES.category]) * rng.random((units, 6)) ** 8).astype(np.int64)
    active[3], joint[3] = 0, 0
    return Cells(joint, truth, active, np.full(5, 2000))


def small_dissection(seed: int = 0, **about: Any) -> Dissection:
    return dissection(random_cells(seed), NAMES, **about)
