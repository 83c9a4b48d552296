"""Trainings and comparisons put together by hand, as full as a page of them can be."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from made_entanglement import CLASSES, HOSTILE, outline, pictured
from made_results import provenance

from interpkit.results import Comparison, FineTuning, Gallery, Measure, Outputs, Provenance

COLUMNS = ("ordinary", "interpretable")
NAN = float("nan")


def made(verb: str = "finetune", **changes: Any) -> Provenance:
    options = {"layers": ["added.act"], "loss": "icnn", "epochs": 30, "rate": 0.001, "train_from": None}
    command = "interpkit finetune torchvision:vgg16 --labels 'my set' --loss icnn"
    return provenance(**{"verb": verb, "command": command, "options": options, **changes})


def history(epochs: int = 30, *, loss: str = "icnn", seed: int = 0) -> pd.DataFrame:
    """Curves that fall and rise as curves do; every third epoch of a gate is gated."""
    rng = np.random.default_rng(seed)
    t = np.arange(1, epochs + 1)
    fall = np.exp(-t / max(epochs / 5, 1))
    gated = (t % 3 == 0) & (t > 3) if loss == "class-gate" else np.zeros(epochs, np.bool_)
    task = 0.08 + 2.0 * fall + 0.02 * rng.random(epochs) + 0.3 * gated * fall.mean() + 0.25 * gated
    penalty = -2.4 + 2.2 * fall + 0.03 * rng.random(epochs)
    columns: dict[str, Any] = {
        "epoch": t,
        "path": np.where(gated, "gated", "ordinary"),
        "rate": 1e-3 * (1 + np.cos(np.pi * (t - 1) / epochs)) / 2,
        "seconds": 2.0 + 0.1 * rng.random(epochs),
        "loss": task if loss == "none" else task + 0.1 * penalty,
        "task": task,
        "penalty": penalty if loss == "icnn" else np.zeros(epochs),
        "train_accuracy": 0.985 - 0.6 * fall - 0.1 * gated,
        "validation_loss": 0.34 + 1.6 * fall + 0.03 * rng.random(epochs),
        "validation_accuracy": 0.905 - 0.55 * fall + 0.012 * rng.normal(size=epochs),
    }
    if loss == "class-gate":
        columns["penalty"] = np.where(gated, 0.6 * fall, np.nan)
        columns["density"] = np.clip(1.02 - t / epochs, 0.15, 1)
    return pd.DataFrame(columns)


def confusion(classes: int, *, images: int = 25, seed: int = 0) -> np.ndarray[Any, Any]:
    """Mostly right; neighbours are taken for each other."""
    rng = np.random.default_rng(seed)
    table = np.zeros((classes, classes), np.int64)
    for k in range(classes):
        right = rng.uniform(0.7, 1.0)
        other = (k ^ 1) if (k ^ 1) < classes else 0
        chances = np.full(classes, (1 - right) * 0.3 / max(classes - 1, 1))
        chances[other] += (1 - right) * 0.7
        chances[k] = 0
        chances[k] = 1 - chances.sum()
        table[k] = rng.multinomial(images, chances)
    return table


@cache
def shown(seed: int) -> tuple[Gallery, dict[str, bytes]]:
    """Six units on three pictures each."""
    return pictured([4, 9, 17, 21, 30, 44], images=3, seed=seed)


def after_mask(gallery: Gallery) -> Gallery:
    """The same entries, where only the place around the peak is left."""
    return replace(gallery, outlines=tuple(outline((row, column), reach=3) for row, column in gallery.position))


def finetuned(
    loss: str = "icnn", *, classes: tuple[str, ...] = CLASSES, epochs: int = 30, seed: int = 0, **changes: Any
) -> FineTuning:
    rng = np.random.default_rng(seed)
    number, units = len(classes), 64
    gallery, pictures = shown(seed)
    table = confusion(number, seed=seed)
    learnt: dict[str, Any] = {}
    if loss == "class-gate":
        gate = np.where(rng.random((units, number)) < 0.05, rng.uniform(0.2, 1, (units, number)), 0.0)
        gate[np.arange(units), rng.integers(0, number - 1, units)] = rng.uniform(0.8, 1, units)
        gate[5] = 0
        gate[:, -1] = 0
        learnt["gate"] = gate.T.astype(np.float32)
    surgery = {"layer": "features.30", "classes": number, "add": True, "filters": 64, "mask_layer": False}
    surgery |= {"mask": "argmax" if loss == "icnn" else None, "head": "pooled", "beta": 4.0, "seed": 0}
    options = {} if loss == "none" else {"weight": 0.1}
    result = FineTuning(
        layer="added.act",
        units=units,
        images=4 * int(table.sum()),
        loss=loss,
        classes=classes,
        multi=False,
        accuracy=float(np.trace(table) / table.sum()),
        start_accuracy=0.104,
        chance_accuracy=float(table.sum(1).max() / table.sum()),
        epochs=epochs,
        history=history(epochs, loss=loss, seed=seed),
        confusion=table,
        outputs=Outputs(top=0.872, entropy=0.318, margin=4.21),
        validation=tuple(f"set/image{i:04}.png" for i in range(int(table.sum()))),
        recipe={
            "surgery": surgery,
            "loss": {"name": loss, "options": options},
            "training": {"epochs": epochs + 10, "train_from": None, "weights_of_epoch": max(epochs - 3, 1)},
        },
        gallery=gallery,
        masked=after_mask(gallery) if loss == "icnn" else gallery,
        learnt=learnt,
        provenance=made(),
        warnings=("48 validation images of 8 classes: one image more or less moves accuracy by .02",),
        pictures=pictures,
    )
    return replace(result, **changes)


def several_an_image(**changes: Any) -> FineTuning:
    """A set whose images may be of several classes."""
    result = finetuned()
    table = result.confusion
    hit, missed, false = np.diag(table), table.sum(1) - np.diag(table), table.sum(0) - np.diag(table)
    rest = table.sum() - hit - missed - false
    return replace(result, multi=True, confusion=np.stack([hit, false, missed, rest], 1), **changes)


def _measure(name: str, group: str, numbers: tuple[float, float, float, float], **about: Any) -> Measure:
    before, after, floor_before, floor_after = numbers
    words = {"floor": "permuted labels", "better": "higher", "unit": "share", "words": f"What {name} says, in words."}
    return Measure(
        **{**{"name": name, "title": name.replace("_", " ").capitalize(), "group": group}, **words, **about},
        before=before,
        after=after,
        floor_before=floor_before,
        floor_after=floor_after,
    )


def measures() -> tuple[Measure, ...]:
    """One of each kind: better, worse, the same, no merit, unknown, and no better than chance."""
    steady = "How much the distance from a unit's peak to the landmarks of its steadiest class varies."
    other = "other images' labels"
    return (
        _measure("accuracy", "Accuracy", (0.921, 0.904, 0.125, 0.125), floor="always the commonest class"),
        _measure("detectors", "Concepts", (12, 31, 1, 2), unit="count", floor=other),
        _measure("unique_detectors", "Concepts", (9, 9, 1, 1), unit="count", floor=other),
        _measure("iou", "Concepts", (0.031, 0.044, 0.019, 0.02), unit="number", title="Best overlap", floor=other),
        _measure("mis", "Classes", (0.112, 0.164, 0.012, 0.014), unit="nats", title="Mutual information score"),
        _measure("exclusive", "Classes", (0.31, 0.29, 0.3, 0.3)),
        _measure(
            "instability",
            "Parts",
            (0.131, 0.087, 0.071, 0.071),
            better="lower",
            unit="number",
            title="Location instability",
            floor="the image's centre",
            words=steady,
        ),
        _measure("explained", "Parts", (0.06, 0.21, 0.02, 0.02), floor="peaks that know nothing of it"),
        _measure("spread", "Parts", (0.11, 0.12, NAN, NAN), better="neither", unit="number", floor=""),
        _measure("template", "Parts", (NAN, 0.3, NAN, 0.03), unit="number", floor="shuffled maps"),
        _measure("dead", "Units", (2, 0, NAN, NAN), better="lower", unit="count", floor=""),
        _measure("entropy", "Outputs", (0.42, 0.318, NAN, NAN), better="neither", unit="nats", floor=""),
    )


def compared(units: int = 64, *, seed: int = 0, **changes: Any) -> Comparison:
    """Two networks, with everything that a comparison can hold."""
    rng = np.random.default_rng(seed)
    gallery, pictures = shown(seed)
    before = rng.normal(0.131, 0.02, units)
    nats = rng.exponential(0.11, units)
    lost = rng.normal(0.04, 0.03, units).clip(0)
    lost[3] = NAN
    loose = tuple(outline((row, column), reach=8) for row, column in gallery.position)
    curves = {str(name): list(values) for name, values in history(loss="none", seed=seed).items()}
    after = {str(name): list(values) for name, values in history(loss="icnn", seed=seed + 1).items()}
    result = Comparison(
        layer="added.act",
        units=units,
        columns=COLUMNS,
        measures=measures(),
        per_unit={
            "mis": np.stack([nats, nats * rng.uniform(0.8, 2.2, units)]),
            "instability": np.stack([before, before * rng.uniform(0.45, 0.95, units)]),
            "explained": np.stack([lost, lost + rng.uniform(-0.02, 0.3, units)]).clip(0),
        },
        histories=(curves, after),
        equal={"base.spec": "torchvision:vgg16", "training.epochs": "30", "training.batch_size": "64", "seed": "0"},
        differs=(("loss.name", "none", "icnn"), ("surgery.mask", "none", "argmax")),
        sets={
            "finetune": "my set, 200 validation images",
            "entangle": "my set, 200 images",
            "parts": "my set, 180 images",
            "dissect": "broden-mini, 416 images",
        },
        galleries=(replace(gallery, outlines=loose), gallery),
        pages=("ordinary/index.html", "interpretable/index.html"),
        provenance=made("compare"),
        warnings=("200 validation images: one more or less is .005 of accuracy",),
        images=200,
        pictures=pictures,
    )
    return replace(result, **changes)


__all__ = ["COLUMNS", "HOSTILE", "compared", "finetuned", "several_an_image"]
