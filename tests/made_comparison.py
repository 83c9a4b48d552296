"""Comparisons put together by hand: two trainings with their curves, and what was measured of both networks."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from made_entanglement import HOSTILE, LONG, entanglement, pictured
from made_parts import partscores
from made_results import provenance, small_dissection

from interpkit.comparison import Look, compare
from interpkit.results import Comparison, FineTuning, Gallery, Outputs, Provenance

CLASSES = ("albatross", "beaver", HOSTILE)
LAYER = "added.act"
UNITS = 12
COMMAND = "interpkit finetune lite:efficientnet-lite0 --labels 'my set' --loss icnn --before-after"


def trained_by(**changes: Any) -> Provenance:
    command = "interpkit finetune model.pt --labels 'my set' --loss icnn"
    return provenance(**{"verb": "finetune", "command": command, "options": {"layers": [LAYER]}, **changes})


def curves(epochs: int, *, seed: int) -> pd.DataFrame:
    """A history of so many epochs; the penalty is missing in every third, as of a loss that alternates."""
    rng = np.random.default_rng(seed)
    epoch = np.arange(1, epochs + 1)
    falling = np.exp(-epoch / (0.3 * epochs + 1)) + rng.normal(0, 0.01, epochs)
    penalty = np.where(epoch % 3 == 0, np.nan, 1.2 * falling)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "path": ["ordinary" if one % 3 else "gated" for one in epoch],
            "rate": 1e-3 * (1 + np.cos(np.pi * epoch / epochs)) / 2,
            "seconds": rng.uniform(0.5, 0.7, epochs),
            "loss": falling + np.nan_to_num(penalty) * 0.1,
            "task": falling,
            "penalty": penalty,
            "train_accuracy": 1 - 0.5 * falling,
            "validation_loss": falling + 0.2,
            "validation_accuracy": 0.85 - 0.5 * falling,
        }
    )


def small_finetuning(loss: str = "icnn", *, units: int = UNITS, epochs: int = 8, seed: int = 0) -> FineTuning:
    """A training of three classes on 60 images, of which 15 were kept apart."""
    gallery, pictures = pictured([0, 4], images=3, seed=seed)
    options = {} if loss == "none" else {"weight": 0.1, "tau": "calibrated"}
    recipe = {
        "format": 1,
        "kind": "finetuned",
        "base": {"spec": "lite:efficientnet-lite0", "form": "lite"},
        "surgery": {"layer": "_blocks.10", "add": True, "mask": None if loss == "none" else "argmax", "beta": 4.0},
        "sites": [{"act": LAYER, "mask": "added.mask"}],
        "classes": list(CLASSES),
        "multi": False,
        "loss": {"name": loss, "options": options},
        "training": {"epochs": epochs, "rate": 1e-3, "batch_size": 64},
        "split": {"validation": 0.25, "images": [f"{i:02d}.png" for i in range(15)]},
        "seed": 0,
    }
    return FineTuning(
        layer=LAYER,
        units=units,
        images=60,
        loss=loss,
        classes=CLASSES,
        multi=False,
        accuracy=0.8,
        start_accuracy=0.3,
        chance_accuracy=0.4,
        epochs=epochs,
        history=curves(epochs, seed=seed),
        confusion=np.array([[5, 0, 1], [1, 4, 0], [0, 1, 3]]),
        outputs=Outputs(top=0.7, entropy=0.6, margin=2.5),
        validation=tuple(f"{i:02d}.png" for i in range(15)),
        recipe=recipe,
        gallery=gallery,
        masked=gallery,
        learnt={},
        provenance=trained_by(),
        pictures=pictures,
    )


def results_of(loss: str, *, seed: int, units: int = UNITS) -> list[Any]:
    """One result of each kind, of the added layer."""
    tuned = small_finetuning(loss, units=units, seed=seed)
    outputs = Outputs(top=0.7 + 0.1 * seed, entropy=0.6 - 0.1 * seed, margin=2.5 + seed)
    found: list[Any] = [
        replace(tuned, accuracy=0.8 - 0.01 * seed, outputs=outputs),
        entanglement(units, layer=LAYER, classes=(*CLASSES, LONG), seed=seed),
        partscores(units, layer=LAYER, seed=seed),
        small_dissection(seed, layer=LAYER),
    ]
    sha = "ab"[seed] * 64
    return [replace(one, provenance=replace(one.provenance, model_sha=sha)) for one in found]


def side_by_side(units: int = UNITS, *, images: int = 3) -> Look:
    """Two units on the same images in either network; the second is on elsewhere."""
    first, pictures = pictured([1, 7][: max(units // 2, 1)], images=images, seed=3)
    moved = np.clip(first.position + 0.05, 0, 1)
    second = replace(first, peak=first.peak * 0.5, position=moved, outlines=tuple(reversed(first.outlines)))
    galleries: tuple[Gallery, Gallery] = (first, second)
    return Look(galleries=galleries, pictures=pictures, pages=("ordinary/index.html", "interpretable/index.html"))


def comparison(**changes: Any) -> Comparison:
    """The ordinary network beside the interpretable one, with everything that there can be."""
    made = compare(
        results_of("none", seed=0),
        results_of("icnn", seed=1),
        names=("ordinary", "interpretable"),
        command=COMMAND,
        look=side_by_side(),
        warnings=("15 validation images: one more or less is 6.7 points of accuracy",),
    )
    return replace(made, **changes)


def without_landmarks() -> Comparison:
    """A set without landmarks and without anything to dissect, as any folder of classes is."""
    sides = []
    for seed, loss in enumerate(("none", "icnn")):
        tuned, classes, parts, _ = results_of(loss, seed=seed)
        sides.append([tuned, classes, replace(parts, stability=None, association=None)])
    return compare(*sides, names=("ordinary", "interpretable"), command=COMMAND)
