"""Layers of a graph whose nodes lie where a test puts them, and images whose colours say where one is."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interpkit.graph._found import Found, Patterns
from interpkit.labels import LabelSet
from interpkit.results import GraphLayer

SIZE = 32


def map_set(root: Path, *, images: int = 12, size: tuple[int, int] = (64, 128)) -> LabelSet:
    """Images of (H, W) that are their own map: red rises down the rows, green along the columns, blue from image to
    image."""
    height, width = size
    for i in range(images):
        pixels = np.empty((height, width, 3))
        pixels[..., 0] = 255 * (np.arange(height)[:, None] + 0.5) / height
        pixels[..., 1] = 255 * (np.arange(width) + 0.5) / width
        pixels[..., 2] = 20 * i
        save(root / f"{i:02d}.png", pixels)
    return LabelSet.open(root)


def blob_set(root: Path, *, images: int = 24, seed: int = 0) -> LabelSet:
    """Images of 32 x 32 with a bright square somewhere on a dark ground, of a colour of its own."""
    rng = np.random.default_rng(seed)
    for i in range(images):
        pixels = np.full((SIZE, SIZE, 3), rng.uniform(20, 60))
        top, left = rng.integers(0, 20, 2)
        pixels[top : top + 12, left : left + 12] = rng.uniform(80, 255, 3)
        save(root / f"{i:02d}.png", pixels)
    return LabelSet.open(root)


def save(path: Path, pixels: NDArray[np.float64]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)).save(path)


def layer(
    name: str = "norm",
    *,
    units: int = 8,
    map_size: tuple[int, int] = (8, 8),
    nodes: int = 3,
    edges: NDArray[np.int64] | None = None,
    mean: NDArray[np.float64] | None = None,
    score: NDArray[np.float64] | None = None,
    agreement: NDArray[np.float64] | None = None,
    seed: int = 0,
) -> GraphLayer:
    """``nodes`` nodes for each of the units but the first, scattered over the input; edges as given, or none."""
    rng = np.random.default_rng(seed)
    filters = np.arange(1, units)
    v = nodes * len(filters)
    stride = (SIZE / map_size[0], SIZE / map_size[1])
    edges = np.zeros((v, 0), np.int64) if edges is None else edges
    nan = np.full(v, np.nan)
    return GraphLayer(
        layer=name,
        units=units,
        map_size=map_size,
        placement=((stride[0] / 2 - 0.5, stride[1] / 2 - 0.5), stride),
        nodes=nodes,
        filters=filters,
        scale=np.ones(len(filters)),
        place=rng.uniform(0, SIZE, (v, 2)),
        sigma=np.full(v, 3.0),
        used=np.full(v, 3.0),
        mean=rng.uniform(0, SIZE, (v, 2)) if mean is None else mean,
        edges=edges,
        agreement=rng.uniform(0.1, 1, edges.shape) if agreement is None else agreement,
        score=rng.uniform(0.1, 1, v) if score is None else score,
        representative=np.arange(v),
        idle=np.zeros(v, np.bool_),
        purity=nan,
        part=np.full(v, -1),
        instability=nan,
        likelihood=np.array([-2.0, -1.0]),
    )


def found(of: GraphLayer, images: int, *, seed: int = 0, silent: float = 0.2) -> Found:
    """Nodes at random cells of the layer's map, a share of them without a place."""
    rng = np.random.default_rng(seed)
    start, stride = (np.asarray(one) for one in of.placement)
    cells = rng.integers(0, of.map_size, (images, len(of), 2))
    score = rng.uniform(0.1, 1, (images, len(of))) * (rng.random((images, len(of))) >= silent)
    return Found((start + cells * stride).astype(np.float32), score.astype(np.float32))


def patterns(of: GraphLayer, training: int, held_out: int, *, seed: int = 0, silent: float = 0.2) -> Patterns:
    """Of a layer, on that many images."""
    return Patterns(
        of.layer, found(of, training, seed=seed, silent=silent), found(of, held_out, seed=seed + 1, silent=silent)
    )
