"""Explanatory graphs of six animals on photographs, as Markdown: how steady nodes are, and where edges help.

    python tests/bench/animal_graphs.py [--classes cat,dog] [--seed 0] [--control]

EfficientNet-lite0's blocks 4, 10 and 15, 100 images of each class, the other 30 held out. ``--control`` fits the first
class with a VGG-16 of random weights instead, 64 filters a layer. The folder with the photographs is
``$INTERPKIT_SHARED``, else ``../shared/data`` beside the checkout.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd

from interpkit import Probe, fit_graph, load, load_model, save
from interpkit.labels import LabelSet
from interpkit.results import ExplanatoryGraph, GraphEvaluation

LAYERS = ("_blocks.4", "_blocks.10", "_blocks.15")
VGG, SMALL = ("features.20", "features.22", "features.27", "features.29"), {"nodes": (12, 12, 8, 8), "edges": 5}
POSITIONS = ("graph", "no edges", "shuffled", "raw", "centre")
METHODS = ("graph", "raw", "mean place", "centre")
TOP, HELD_OUT = 100, "held out"
# Which measure, what it is called here, and whether more of it is better.
MEASURES = (
    ("instability", "Instability of the top 100 nodes, share of the diagonal (lower is steadier)", False),
    ("explained", "Share of the landmarks' variance that the places of these nodes explain", True),
    ("pck", "Share of images on which the best node for a landmark lies within a tenth of the side", True),
    ("purity", "Mean purity of these nodes", True),
    ("pure", "Share of these nodes of purity at least 0.8", True),
)


def photographs() -> LabelSet:
    """The label set."""
    root = os.environ.get("INTERPKIT_SHARED") or Path(__file__).resolve().parents[3] / "shared" / "data"
    return LabelSet.open(Path(root) / "animal-parts")


def fit(labels: LabelSet, name: str, asked: argparse.Namespace) -> ExplanatoryGraph:
    """The graph of one class."""
    more: dict[str, Any] = {"filters": 64, **SMALL} if asked.control else {}
    return fit_graph(asked.probe, labels, class_name=name, train=100, seed=asked.seed, **more)


def fitted(labels: LabelSet, classes: Sequence[str], asked: argparse.Namespace) -> dict[str, GraphEvaluation]:
    """The evaluation of each class; progress on stderr."""
    found = {}
    for name in classes:
        start = time.perf_counter()
        kept = None if asked.out is None else asked.out / name
        graph = fit(labels, name, asked) if kept is None or not (kept / "result.json").is_file() else load(kept)
        if kept is not None and not kept.exists():
            save(graph, kept)
        assert isinstance(graph, ExplanatoryGraph)
        assert graph.evaluation is not None
        found[name] = graph.evaluation
        print(f"{name}: {graph.nodes:,} nodes, {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return found


def long_table(found: dict[str, GraphEvaluation]) -> pd.DataFrame:
    """The tables of all classes in one."""
    return pd.concat([one.table.assign(of=name) for name, one in found.items()], ignore_index=True)


def of_measure(table: pd.DataFrame, measure: str, images: str) -> pd.DataFrame:
    """One row a class and layer, one column a control; last rows the mean over the classes."""
    rows = table[(table["images"] == images) & (table["top"] == TOP) & (table["landmark"] == "all")]
    wide = rows.pivot_table(index=["of", "layer"], columns="positions", values=measure, sort=False, dropna=False)
    mean = wide.groupby(level="layer", sort=False).mean()
    mean.index = pd.MultiIndex.from_product([["mean"], mean.index], names=["of", "layer"])
    return pd.concat([wide, mean]).reindex(columns=[one for one in POSITIONS if one in wide])


def localised(found: dict[str, GraphEvaluation]) -> pd.DataFrame:
    """Mean error over the landmarks, one row a class and number of shots."""
    rows = pd.concat([one.localisation.assign(of=name) for name, one in found.items()], ignore_index=True)
    wide = rows.pivot_table(index=["of", "shots"], columns="positions", values="error", sort=False)
    mean = wide.groupby(level="shots", sort=False).mean()
    mean.index = pd.MultiIndex.from_product([["mean"], mean.index], names=["of", "shots"])
    return pd.concat([wide, mean]).reindex(columns=list(METHODS))


def markdown(table: pd.DataFrame) -> str:
    """A table with three decimals; a dash where nothing was measured."""
    head = [*map(str, table.index.names), *map(str, table.columns)]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for index, row in table.iterrows():
        values = ["-" if np.isnan(value) else f"{value:.3f}" for value in row]
        lines.append(" | ".join([*map(str, index if isinstance(index, tuple) else (index,)), *values]))
    return "\n".join(f"| {line} |" for line in lines)


def verdict(wide: pd.DataFrame, better: Callable[[pd.Series, pd.Series], pd.Series]) -> list[str]:
    """In how many classes the graph is better than each control, by layer, and by how much on average."""
    lines = []
    classes = wide.drop(index="mean", level="of")
    for layer, rows in classes.groupby(level="layer", sort=False):
        for other in [one for one in wide.columns if one != "graph"]:
            both = rows[["graph", other]].dropna()
            if len(both):
                won, gain = int(better(both["graph"], both[other]).sum()), (both["graph"] - both[other]).mean()
                lines.append(f"* {layer} against {other}: better in {won} of {len(both)} classes, by {gain:+.3f}.")
    return lines


def report(found: dict[str, GraphEvaluation]) -> None:
    """Print everything."""
    table = long_table(found)
    for measure, words, more in MEASURES:
        for images in (HELD_OUT, "training"):
            wide = of_measure(table, measure, images)
            print(f"\n### {words}: {images} images\n\n{markdown(wide)}\n")
            print("\n".join(verdict(wide, pd.Series.gt if more else pd.Series.lt)))
    print(f"\n### Error of localised landmarks, share of the diagonal, by shots\n\n{markdown(localised(found))}")
    for note in dict.fromkeys(note for one in found.values() for note in one.notes):
        print(f"\n* {note}")


def main() -> None:
    """Fit, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", default="", help="comma-separated; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--control", action="store_true", help="a VGG-16 of random weights, the first class")
    parser.add_argument("--out", type=Path, help="keep the graphs in this folder, and take those that are there")
    asked = parser.parse_args()
    labels = photographs()
    assert labels.classes is not None
    classes = asked.classes.split(",") if asked.classes else sorted(labels.classes["class"].unique())
    model = load_model("torchvision:vgg16@random" if asked.control else "lite:efficientnet-lite0")
    asked.probe = Probe(model, list(VGG if asked.control else LAYERS))
    report(fitted(labels, classes[:1] if asked.control else classes, asked))


if __name__ == "__main__":
    main()
