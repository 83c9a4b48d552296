"""Explanatory graphs put together by hand: drawn animals whose parts move, nodes that lie on them, controls."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from made_results import provenance
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from interpkit.results import ExplanatoryGraph, GraphEvaluation, GraphLayer, GraphPictures, Provenance

Floats = NDArray[np.float64]

SIDE, PATCH, SHOWN, BEST = 224, 70, 6, 6
HOSTILE = "<script>alert('x')</script>\"'&"
LAYERS = ("features.21", f"features.{HOSTILE}", "features.28")
CELLS = (28, 14, 14)
LANDMARKS = ("head", "front legs")
POSITIONS = ("graph", "no edges", "shuffled", "raw", "centre")
# Where an animal has what, from its middle: row and column.
PARTS = np.array([(-34.0, 46.0), (44.0, 30.0), (44.0, -34.0), (-4.0, 0.0), (-22.0, -56.0), (-46.0, 30.0)])


def moved(images: int, *, seed: int = 0) -> Floats:
    """(I, 2) where the animals stand."""
    return np.clip(np.random.default_rng(seed).normal(112, 14, (images, 2)), 84, 140)


def animal(middle: Floats, *, scale: int = 1, hue: int = 0) -> Image.Image:
    """A drawn animal on grass."""
    image = Image.new("RGB", (SIDE * scale, SIDE * scale), (168 + hue % 40, 196, 150 + hue % 60))
    pen = ImageDraw.Draw(image)

    def blob(part: int, radii: tuple[int, int], colour: tuple[int, int, int]) -> None:
        row, column = (middle + PARTS[part]) * scale
        high, wide = radii[0] * scale, radii[1] * scale
        pen.ellipse([column - wide, row - high, column + wide, row + high], fill=colour)

    coat = (150 - hue % 50, 104, 70 + hue % 30)
    blob(3, (28, 54), coat)
    blob(1, (26, 8), coat)
    blob(2, (26, 8), coat)
    blob(4, (22, 6), coat)
    blob(0, (22, 22), (176, 132, 96))
    blob(5, (12, 8), (96, 64, 44))
    row, column = (middle + PARTS[0]) * scale
    pen.ellipse([column + 4 * scale, row - 6 * scale, column + 10 * scale, row], fill=(20, 20, 20))
    return image


def jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return stream.getvalue()


def strip(places: Floats, middles: Floats) -> bytes:
    """Patches around ``places`` (k, 2), side by side, at twice the input's resolution."""
    wide = np.zeros((2 * PATCH, 2 * PATCH * len(places), 3), np.uint8)
    for k, (place, middle) in enumerate(zip(places, middles, strict=True)):
        picture = np.asarray(animal(middle, scale=2, hue=17 * k))
        padded = np.pad(picture, ((PATCH, PATCH), (PATCH, PATCH), (0, 0)), mode="reflect")
        row, column = np.round(2 * place + 0.5).astype(int)
        wide[:, 2 * PATCH * k : 2 * PATCH * (k + 1)] = padded[row : row + 2 * PATCH, column : column + 2 * PATCH]
    return jpeg(Image.fromarray(wide))


def layer(number: int, *, name: str, last: bool, seed: int = 0, filters: int = 8, nodes: int = 4) -> GraphLayer:
    """V nodes around the parts in turn; a node is tied to the nodes of its part first."""
    rng = np.random.default_rng(seed + number)
    v, cells, m = filters * nodes, CELLS[number % len(CELLS)], 0 if last else 5
    part = np.arange(v) % len(PARTS)
    mean = 112 + PARTS[part] + rng.normal(0, 3, (v, 2))
    edges = np.stack([(part[n] + len(PARTS) * np.arange(m) + n // 9) % v for n in range(v)]).reshape(v, m)
    score = np.sort(rng.uniform(1, 9, v))[::-1].copy()
    score[-1] = 0
    representative = np.arange(v)
    representative[nodes - 1 :: nodes] -= 1
    named = np.array([0, 1, -1, -1, -1, 0])[part]
    return GraphLayer(
        layer=name,
        units=filters + 3,
        map_size=(cells, cells),
        placement=((SIDE / cells / 2 - 0.5,) * 2, (SIDE / cells,) * 2),
        nodes=nodes,
        filters=np.arange(filters) + 2,
        scale=rng.uniform(1, 3, filters),
        place=mean + rng.normal(0, 2, (v, 2)),
        sigma=rng.uniform(6, 20, v),
        used=rng.uniform(6, 20, v),
        mean=mean,
        edges=edges,
        agreement=np.sort(rng.uniform(0.2, 0.95, (v, m)), 1)[:, ::-1].copy(),
        score=score,
        representative=representative,
        idle=score == 0,
        purity=np.where(named < 0, 0.0, rng.uniform(0.5, 1, v)),
        part=named,
        instability=rng.uniform(0.03, 0.08, v),
        likelihood=-900 - 300 * np.exp(-np.arange(13) / (2.0 + number)),
    )


def evaluation(
    layers: tuple[str, ...] = LAYERS, *, landmarks: tuple[str, ...] = LANDMARKS, seed: int = 0, **changes: Any
) -> GraphEvaluation:
    """Edges help in every layer but the lowest; the topmost has no controls of its own."""
    rng = np.random.default_rng(seed)
    base = {"graph": 0.041, "no edges": 0.05, "shuffled": 0.052, "raw": 0.121, "centre": 0.049}
    rows = []
    for number, name in enumerate(layers):
        for positions in POSITIONS:
            if positions in ("no edges", "shuffled") and number == len(layers) - 1:
                continue
            worse = 0.012 if positions == "graph" and number == 0 else 0.0
            for images in ("training", "held out"):
                for top in (20, 100):
                    some = base[positions] + worse + rng.normal(0, 0.002, len(landmarks))
                    near = np.clip(1.05 - 9 * some, 0, 1)
                    about = {"layer": name, "positions": positions, "images": images, "top": top, "nodes": top}
                    means = zip((*landmarks, "all"), (*some, some.mean()), (*near, near.mean()), strict=True)
                    pure = float("nan") if positions == "centre" else 1 - 8 * base[positions]
                    rows += [{**about, "landmark": k, "instability": s, "pck": n, "pure": pure} for k, s, n in means]
    localised = [
        {
            "landmark": landmark,
            "shots": shots,
            "positions": positions,
            "error": error / (1 + 0.3 * np.log(shots)) if positions in ("graph", "raw") else error,
            "spread": 0.01,
            "within": max(0.0, 1 - 6 * error),
            "draws": 10,
        }
        for landmark in landmarks
        for shots in (1, 3, 5, 10)
        for positions, error in (("graph", 0.09), ("raw", 0.15), ("mean place", 0.12), ("centre", 0.16))
    ]
    values = {"landmarks": landmarks, "table": pd.DataFrame(rows), "localisation": pd.DataFrame(localised)}
    return GraphEvaluation(**{**values, "notes": ("25 held-out images have landmarks",), **changes})


def pictured(layers: tuple[GraphLayer, ...], *, held_out: tuple[str, ...]) -> tuple[GraphPictures, dict[str, bytes]]:
    """Six nodes a layer with their patches, the mean image, and heat maps on four images."""
    middles = moved(BEST)
    pictures = {"pictures/mean": jpeg(Image.fromarray(mean_animal()))}
    cards: list[tuple[int, int]] = []
    where = []
    for number, one in enumerate(layers):
        for node in one.best(SHOWN).tolist():
            places = np.clip(one.mean[node] - 112 + middles, 0, SIDE - 1)
            pictures[f"patches/{one.layer}/{node}"] = strip(places, middles)
            cards.append((number, node))
            where.append(places)
    shown = held_out[:4]
    heat = np.zeros((len(shown), len(layers), 56, 56), np.uint8)
    cells = 4 * np.arange(56) + 1.5
    for f, (name, middle) in enumerate(zip(shown, moved(4, seed=3), strict=False)):
        pictures[name] = jpeg(animal(middle))
        for number in range(len(layers)):
            away = [
                (cells[:, None] - row) ** 2 + (cells[None] - column) ** 2
                for row, column in middle + PARTS[: 3 + number]
            ]
            sums = np.exp(-np.array(away) / 450).sum(0)
            heat[f, number] = (255 * sums / sums.max()).round()
    names = tuple(f"patches/{layers[number].layer}/{node}" for number, node in cards)
    result = GraphPictures(
        mean="pictures/mean",
        layer=np.array([number for number, _ in cards], np.int64),
        node=np.array([node for _, node in cards], np.int64),
        strips=names,
        images=tuple(tuple(f"set/image{k:02}.png" for k in range(BEST)) for _ in cards),
        where=np.array(where, np.float64),
        patch=PATCH,
        heat_images=shown,
        heat=heat,
    )
    return result, pictures


def mean_animal() -> NDArray[np.uint8]:
    return np.mean([np.asarray(animal(middle)) for middle in moved(24, seed=9)], 0).astype(np.uint8)


def made(**changes: Any) -> Provenance:
    options = {"layers": list(LAYERS), "class_name": "beast", "edges": 5, "noise": 0.01, "seed": 0}
    command = "interpkit graph model.pt --labels 'my set' --class beast"
    stages = {"features": 1.0, "fit": 0.5}
    return provenance(**{"verb": "graph", "command": command, "options": options, "stages": stages, **changes})


def graph(names: tuple[str, ...] = LAYERS, **changes: Any) -> ExplanatoryGraph:
    """A graph with everything but pictures that a decoder made."""
    layers = tuple(layer(i, name=name, last=i == len(names) - 1) for i, name in enumerate(names))
    held_out = tuple(f"held/{HOSTILE if i == 0 else i}.png" for i in range(25))
    shown, pictures = pictured(layers, held_out=held_out)
    result = ExplanatoryGraph(
        class_name="beast",
        layers=layers,
        input_size=(SIDE, SIDE),
        images=tuple(f"set/image{i:02}.png" for i in range(40)),
        held_out=held_out,
        turned=np.zeros(40, np.bool_),
        evaluation=evaluation(names),
        shown=shown,
        provenance=made(),
        warnings=("2 filters of features.21 are silent on every image and have no nodes",),
        pictures=pictures,
    )
    return replace(result, **changes)


def without_landmarks(**changes: Any) -> ExplanatoryGraph:
    """Of a set that annotates no parts."""
    bare = graph()
    layers = tuple(
        replace(
            one,
            purity=np.full(len(one), np.nan),
            part=np.full(len(one), -1),
            instability=np.full(len(one), np.nan),
        )
        for one in bare.layers
    )
    return replace(bare, layers=layers, evaluation=None, **changes)


def synthesised(**changes: Any) -> ExplanatoryGraph:
    """With a decoder's pictures."""
    bare = graph()
    names = [(f"synthesis/{i}", f"synthesis/{i}/all", f"synthesis/{i}/kept") for i in range(4)]
    pictures = dict(bare.pictures)
    for i, triple in enumerate(names):
        for k, name in enumerate(triple):
            pictures[name] = jpeg(animal(moved(4, seed=5)[i], hue=10 * k))
    shown = replace(bare.shown, synthesis=tuple(names), synthesis_layer=LAYERS[-1], synthesis_error=(0.41, 0.93))
    return replace(bare, shown=shown, pictures=pictures, **changes)
