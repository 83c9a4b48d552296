"""What the ICNN loss does to a network on photographs with landmarks: the table of docs/method/finetuning.md.

    python tests/bench/photographs.py [--seeds 0,1,2] [--weights 0.3,1,3] [--labels FOLDER]

The weight is chosen first, among --weights, on a part of the training images alone: the largest whose accuracy there,
mean over seeds, lies within one point of the ordinary network's. Only then is anything measured on the test images,
which nothing was chosen by. A quarter of an hour on two cores.
"""

import argparse
import os
import tempfile
from pathlib import Path
from statistics import mean, stdev
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from interpkit import LabelSet, Probe, finetune, load_model, score_parts
from interpkit.results import FineTuning

PHOTOGRAPHS = Path(__file__).resolve().parents[3] / "shared" / "data" / "animal-parts"
LAYER, UNITS = "_blocks.10", "added.act"
COLUMNS = ("accuracy", "instability", "explained", "spread", "template", "scattered", "centre", "random")


def trained(labels: LabelSet, folder: Path, *, seed: int, weight: float | None) -> FineTuning:
    """A network with the loss at ``weight``; the ordinary one for None."""
    asked: dict[str, Any] = {"loss": "none"} if weight is None else {"loss": "icnn", "weight": weight}
    return finetune(load_model("lite:efficientnet-lite0"), labels, folder, layer=LAYER, seed=seed, **asked)


def without(labels: LabelSet, names: set[str]) -> LabelSet:
    """The label set without images of these names."""
    return labels.without([row for row, name in enumerate(labels.images["image"]) if name in names])


def measured(labels: LabelSet, result: FineTuning, folder: Path) -> dict[str, float]:
    """The columns of the table, on the images that ``result`` kept apart."""
    kept = without(labels, set(labels.images["image"]) - set(result.validation))
    scores = score_parts(Probe(load_model(folder), [UNITS]), kept).summary()
    steady, maps = scores["stability"], scores["templates"]
    several = steady["multi"]
    found = {"accuracy": result.accuracy, "template": maps["ratio"], "scattered": maps["chance"]}
    found |= {name: several[name] for name in ("instability", "centre", "random")}
    return found | {"explained": steady["explained"], "spread": steady["spread"]}


def chosen(labels: LabelSet, seeds: list[int], weights: list[float], *, scratch: Path) -> float:
    """The weight, by the rule above."""
    accuracy: dict[float | None, list[float]] = {weight: [] for weight in (None, *weights)}
    for seed in seeds:
        test = trained(labels, scratch / f"split-{seed}", seed=seed, weight=None)
        rest = without(labels, set(test.validation))
        for weight, found in accuracy.items():
            found.append(trained(rest, scratch / f"choice-{seed}-{weight}", seed=seed, weight=weight).accuracy)
    for weight, found in accuracy.items():
        print(f"validation, weight {weight}: accuracy {mean(found):.3f} ({', '.join(f'{one:.3f}' for one in found)})")
    near = [weight for weight in weights if mean(accuracy[weight]) >= mean(accuracy[None]) - 0.01]
    return max(near, default=min(weights))


def main() -> None:
    """Choose, train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--weights", default="0.3,1,3")
    parser.add_argument("--labels", type=Path, default=PHOTOGRAPHS)
    asked = parser.parse_args()
    seeds, weights = [int(one) for one in asked.seeds.split(",")], [float(one) for one in asked.weights.split(",")]
    labels = LabelSet.open(asked.labels)
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        weight = chosen(labels, seeds, weights, scratch=scratch)
        print(f"weight {weight:g} is taken\n{'':12s}" + "".join(f"{name:>17s}" for name in COLUMNS))
        for name, one in (("ordinary", None), ("masks only", 0.0), ("icnn", weight)):
            rows = []
            for seed in seeds:
                folder = scratch / f"{name}-{seed}"
                rows.append(measured(labels, trained(labels, folder, seed=seed, weight=one), folder))
            cells = [[row[column] for row in rows] for column in COLUMNS]
            spreads = [stdev(cell) if len(cell) > 1 else 0.0 for cell in cells]
            words = [f"{mean(cell):.4f} ({spread:.4f})" for cell, spread in zip(cells, spreads, strict=True)]
            print(f"{name:12s}" + "".join(f"{word:>17s}" for word in words))


if __name__ == "__main__":
    main()
