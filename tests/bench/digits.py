"""What class gates do to a network on the digits of scikit-learn: three seeds of 60 epochs.

    PYTHONPATH=tests python tests/bench/digits.py [--seeds 0,1,2] [--epochs 60]

Half a minute a seed on two cores.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import mean, stdev

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from made_finetuning import digits, digits_net
from test_finetuning_digits import judged

from interpkit import finetune, load_model
from interpkit.labels import LabelSet


def rows(labels: LabelSet, folder: Path, *, seed: int, epochs: int) -> dict[str, float]:
    """The numbers of one seed."""
    model = load_model(digits_net(), size=8, mean=0.0, std=1.0)
    found = {}
    for loss in ("none", "class-gate"):
        where = folder / f"{loss}-{seed}"
        result = finetune(
            model,
            labels,
            where,
            loss=loss,
            layer="third",
            add_layer=False,
            head="classifier",
            train_from="all",
            augment="none",
            epochs=epochs,
            rate=2e-3,
            head_rate=1.0,
            rate_schedule="steps",
            validation=0.4,
            seed=seed,
        )
        found[loss] = result, judged(labels, where, result)
    (before, without), (after, gated) = found["none"], found["class-gate"]
    gate = after.learnt["gate"]
    return {
        "accuracy none": before.accuracy,
        "accuracy gate": after.accuracy,
        "MIS none": without.mis,
        "MIS gate": gated.mis,
        "MIS ratio": gated.mis / without.mis,
        "density": float(gate.mean()),
        "owners agree": float(np.mean(gate.argmax(0) == gated.information.argmax(1))),
        "drop_own ratio": gated.ablation.drop_own / without.ablation.drop_own,
    }


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=60)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        labels = digits(Path(place) / "set")
        found = [rows(labels, Path(place), seed=int(seed), epochs=asked.epochs) for seed in asked.seeds.split(",")]
    for name in found[0]:
        values = [one[name] for one in found]
        spread = stdev(values) if len(values) > 1 else 0.0
        print(f"{name:16s}{mean(values):8.4f} ({spread:.4f})   " + "  ".join(f"{value:.4f}" for value in values))


if __name__ == "__main__":
    main()
