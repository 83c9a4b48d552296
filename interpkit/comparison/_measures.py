"""What is measured of both networks: each number in plain words, and where it comes from."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from interpkit.results import Dissection, Entanglement, FineTuning, Measure, PartScores, Stability

Floats = npt.NDArray[np.float64]
Result = Dissection | Entanglement | FineTuning | PartScores
Found = tuple[list[Measure], dict[str, Floats]]
Pair = tuple[float | None, float | None]

_NAN = float("nan")

Better = Literal["higher", "lower", "neither"]
Unit = Literal["share", "nats", "count", "number"]


def _about(name: str, title: str, group: str, *, better: Better, unit: Unit, floor: str, words: str) -> Measure:
    return Measure(name, title, group, _NAN, _NAN, _NAN, _NAN, floor=floor, better=better, unit=unit, words=words)


_ABOUT = {
    one.name: one
    for one in (
        _about(
            "accuracy",
            "Accuracy",
            "Accuracy",
            better="higher",
            unit="share",
            floor="always the commonest class",
            words="Share of the validation images whose class the network names, by its ordinary path.",
        ),
        _about(
            "detectors",
            "Detectors",
            "Concepts",
            better="higher",
            unit="count",
            floor="other images' labels",
            words="Units that overlap one concept by more than the threshold.",
        ),
        _about(
            "unique_detectors",
            "Unique detectors",
            "Concepts",
            better="higher",
            unit="count",
            floor="other images' labels",
            words="Different concepts that are the best one of some detector.",
        ),
        _about(
            "iou",
            "Best overlap",
            "Concepts",
            better="higher",
            unit="number",
            floor="other images' labels",
            words="Mean over the units of the overlap (IoU) with the concept that fits best.",
        ),
        _about(
            "mis",
            "Mutual information score",
            "Classes",
            better="higher",
            unit="nats",
            floor="permuted labels",
            words="Mean over the units of what each tells about the class it knows best.",
        ),
        _about(
            "exclusive",
            "Exclusiveness",
            "Classes",
            better="higher",
            unit="share",
            floor="permuted labels",
            words="Mean over the units of the share of what each knows that is about its best class.",
        ),
        _about(
            "instability",
            "Location instability",
            "Parts",
            better="lower",
            unit="number",
            floor="the image's centre",
            words="How much the distance from a unit's peak to the landmarks of its steadiest class varies, as a share "
            "of the image's diagonal.",
        ),
        _about(
            "explained",
            "Landmark movement explained",
            "Parts",
            better="higher",
            unit="share",
            floor="a unit that always fires in one place",
            words="Share of a landmark's own movement that the peak's place explains: what a unit knows of a part "
            "beyond where parts usually lie.",
        ),
        _about(
            "spread",
            "Movement of the peaks",
            "Parts",
            better="neither",
            unit="number",
            floor="",
            words="How far a unit's peak moves from image to image, as a share of the diagonal: 0 for a unit that "
            "always fires in one place.",
        ),
        _about(
            "template",
            "Template information",
            "Parts",
            better="higher",
            unit="number",
            floor="shuffled maps",
            words="How much a map tells of where its part is, as a share of what there is to tell: high for one peak "
            "that moves.",
        ),
        _about(
            "dead",
            "Dead units",
            "Units",
            better="lower",
            unit="count",
            floor="",
            words="Units that give the same on every image.",
        ),
        _about(
            "top_probability",
            "Largest probability",
            "Outputs",
            better="neither",
            unit="share",
            floor="",
            words="Mean of the probability that the network gives its answer.",
        ),
        _about(
            "entropy",
            "Entropy of the outputs",
            "Outputs",
            better="neither",
            unit="nats",
            floor="",
            words="Mean entropy of the probabilities: 0 for a network that is always certain.",
        ),
        _about(
            "margin",
            "Margin",
            "Outputs",
            better="neither",
            unit="number",
            floor="",
            words="Mean distance of the largest output from the second, before probabilities are made of them.",
        ),
    )
}


def _filled(name: str, values: Pair, floors: Pair = (None, None), *, more: str = "") -> Measure:
    """The measure called ``name`` with both networks' numbers; ``more`` is said after its words."""
    before, after, floor_before, floor_after = (_NAN if one is None else float(one) for one in (*values, *floors))
    about = _ABOUT[name]
    return replace(
        about,
        before=before,
        after=after,
        floor_before=floor_before,
        floor_after=floor_after,
        words=f"{about.words} {more}".strip(),
    )


def _trained(before: FineTuning, after: FineTuning) -> Found:
    """Accuracy, and how hard the outputs are."""
    pair = (before, after)
    images = len(after.validation)
    one = f"On {images:,} images a single one is {1 / images:.1%}." if images else ""
    first, last = (result.outputs for result in pair)
    return [
        _filled(
            "accuracy",
            (before.accuracy, after.accuracy),
            (before.chance_accuracy, after.chance_accuracy),
            more=one,
        ),
        _filled("top_probability", (first.top, last.top)),
        _filled("entropy", (first.entropy, last.entropy)),
        _filled("margin", (first.margin, last.margin)),
    ], {}


def _entangled(before: Entanglement, after: Entanglement) -> Found:
    """What units know of classes."""
    return [
        _filled("mis", (before.mis, after.mis), (before.mis_floor, after.mis_floor)),
        _filled("exclusive", (before.mis_l1, after.mis_l1), (before.mis_l1_floor, after.mis_l1_floor)),
        _filled("dead", (int(before.dead.sum()), int(after.dead.sum()))),
    ], {"mis": _both(before.best, after.best)}


def _dissected(before: Dissection, after: Dissection) -> Found:
    """What units detect; nothing for a set without labels."""
    if not before.categories:
        return [], {}
    first, last = before.summary(), after.summary()
    counted = {"detectors": "detectors", "unique_detectors": "unique_detectors_top_label"}
    found = [
        _filled(name, (first[key], last[key]), (first["chance"].get(key), last["chance"].get(key)))
        for name, key in counted.items()
    ]
    best = _both(before.best()[1], after.best()[1])
    lucky = [None if one.chance is None else float(one.chance.best().mean()) for one in (before, after)]
    found.append(_filled("iou", (best[0].mean(), best[1].mean()), (lucky[0], lucky[1])))
    found.append(_filled("dead", (first["dead"], last["dead"])))
    return found, {"iou": best}


def _scored(before: PartScores, after: PartScores) -> Found:
    """How steadily and how part-like units fire."""
    first, last = before.templates, after.templates
    was, now = first.summary(), last.summary()
    template = _filled("template", (was["ratio"], now["ratio"]), (was["chance"], now["chance"]))
    ratios = [np.where(one.flagged, np.nan, one.ratio[one.chosen]) for one in (first, last)]
    found, units = _steady(before.stability, after.stability)
    return [*found, template], {**units, "template": _both(*ratios)}


def _steady(before: Stability | None, after: Stability | None) -> Found:
    """How steadily units fire at landmarks; nothing for a set without any."""
    if before is None or after is None:
        return [], {}
    was, now = before.summary(), after.summary()
    first, last = was["multi"], now["multi"]
    by_luck = [_said(one["random"]) for one in (first, last)]
    steady = _filled(
        "instability",
        (first["instability"], last["instability"]),
        (first["centre"], last["centre"]),
        more=f"Peaks anywhere at random give {by_luck[0]} before and {by_luck[1]} after.",
    )
    explained = _filled("explained", (was["explained"], now["explained"]), (0.0, 0.0))
    spread = _filled("spread", (was["spread"], now["spread"]))
    return [steady, explained, spread], {
        "instability": _both(before.multi(before.deviation), after.multi(after.deviation)),
        "explained": _both(before.at_best(before.explained), after.at_best(after.explained)),
        "spread": _both(before.at_best(before.spread), after.at_best(after.spread)),
    }


def _said(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _both(before: Floats, after: Floats) -> Floats:
    """(2, U) before and after."""
    return np.stack([before, after]).astype(np.float64)


# The kinds that compare, in the order in which they are read: what two of them measure is taken from the first.
MEASURERS: Mapping[type[Any], Callable[[Any, Any], Found]] = {
    FineTuning: _trained,
    Entanglement: _entangled,
    PartScores: _scored,
    Dissection: _dissected,
}
ORDER = tuple(_ABOUT)
