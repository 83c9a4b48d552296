"""What a recipe says was done to a network, in sentences."""

from collections.abc import Mapping
from typing import Any

from interpkit.report.formats import limit

TIMES = "\N{MULTIPLICATION SIGN}"
PEAKS = {"argmax": "at the peak of its map", "centre": "at the centre of mass of its map"}
LOSSES = {
    "icnn": "the filter loss of interpretable CNNs: a filter is to fire once, at one part of the objects of one class",
    "class-gate": "the class-specific gate: a filter is to serve few classes",
}


def surgery_words(recipe: Mapping[str, Any]) -> str:
    """What was put into the network: one sentence, empty where the recipe does not say."""
    done = recipe.get("surgery") or {}
    if not done:
        return ""
    mask = PEAKS.get(str(done.get("mask")), "")
    parts = []
    if done.get("mask_layer"):
        parts.append("a rectifier" + (f" and part masks ({mask})" if mask else ""))
    if done.get("add"):
        filters = done.get("filters")
        many = f"{filters:,} filters" if filters else "as many filters as the layer has units"
        parts.append(
            f"a new 3 {TIMES} 3 convolution of {many} with a rectifier"
            + (f", each filter with a part mask {mask}" if mask else ", without masks")
        )
    classes = int(done.get("classes", 0))
    outputs = f"{classes:,} {'class' if classes == 1 else 'classes'}"
    head = (
        f"average pooling and a new linear layer for {outputs} in place of the rest"
        if done.get("head") == "pooled"
        else f"the rest of the network with a new last layer for {outputs}"
    )
    above = " and ".join(parts) or "no new layer"
    return f"{above}, then {head}"


def trained_words(recipe: Mapping[str, Any]) -> str:
    """Which parts of the network were trained: one clause, empty where the recipe does not say."""
    done, training = recipe.get("surgery") or {}, recipe.get("training") or {}
    start = training.get("train_from")
    if start:
        return f"everything from {start} on was trained, what lies below stayed as it was"
    if not done:
        return ""
    if done.get("add"):
        return "only the new parts were trained, the network below stayed as it was"
    return "the layer and what follows were trained, the network below stayed as it was"


def loss_words(name: str, recipe: Mapping[str, Any]) -> str:
    """What was minimised, with the weight of the interpretable part."""
    if name == "none":
        return "Minimised: the classification loss alone, the control of an interpretable training"
    options = (recipe.get("loss") or {}).get("options") or {}
    weight = options.get("weight")
    times = f"{limit(float(weight))} {TIMES} " if isinstance(weight, (int, float)) else ""
    said = f"Minimised: the classification loss + {times}{name}"
    return f"{said}, {LOSSES[name]}" if name in LOSSES else said
