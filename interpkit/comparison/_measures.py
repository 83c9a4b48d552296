"""What is measured of both networks: each number in plain words, and where it comes from."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from interpkit.comparison._luck import explained_by_luck, least_of_counts, least_of_means
from interpkit.results import Dissection, Entanglement, FineTuning, Measure, PartScores, Stability

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Result = Dissection | Entanglement | FineTuning | PartScores
Found = tuple[list[Measure], dict[str, Floats]]
Pair = tuple[float | None, float | None]

_NAN = float("nan")
# What chance is where an image may be of several classes.
COMMONER = "always the commoner answer"

Better = Literal["higher", "lower", "neither"]
Unit = Literal["share", "nats", "count", "number"]


def _about(name: str, title: str, group: str, *, better: Better, unit: Unit, floor: str, words: str) -> Measure:
    return Measure(name, title, group, _NAN, _NAN, _NAN, _NAN, floor=floor, better=better, unit=unit, words=words)


ABOUT = {
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
            floor="peaks that know nothing of it",
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


def _filled(name: str, values: Pair, floors: Pair = (None, None), *, least: float = 0.0, more: str = "") -> Measure:
    """The measure called ``name`` with both networks' numbers; ``more`` is said after its words."""
    before, after, floor_before, floor_after = (_NAN if one is None else float(one) for one in (*values, *floors))
    about = ABOUT[name]
    return replace(
        about,
        before=before,
        after=after,
        floor_before=floor_before,
        floor_after=floor_after,
        least=least,
        words=f"{about.words} {more}".strip(),
    )


def _trained(before: FineTuning, after: FineTuning) -> Found:
    """Accuracy, and how hard the outputs are."""
    first, last = before.outputs, after.outputs
    return [
        _accuracy(before, after),
        _filled("top_probability", (first.top, last.top)),
        _filled("entropy", (first.entropy, last.entropy)),
        _filled("margin", (first.margin, last.margin)),
    ], {}


def _accuracy(before: FineTuning, after: FineTuning) -> Measure:
    """The share of right answers; a validation image more or less is no difference."""
    images = len(after.validation)
    one = f"On {images:,} images a single one is {1 / images:.1%}." if images else ""
    found = _filled(
        "accuracy",
        (before.accuracy, after.accuracy),
        (before.chance_accuracy, after.chance_accuracy),
        least=1 / images if images else 0.0,
        more=one,
    )
    if not after.multi:
        return found
    words = "Mean over the classes of the share of the validation images of which the network tells rightly whether "
    return replace(found, floor=COMMONER, words=f"{words}they are of that class, by its ordinary path. {one}".strip())


def _entangled(before: Entanglement, after: Entanglement) -> Found:
    """What units know of classes."""
    alone = (_exclusive(before.information), _exclusive(after.information))
    return [
        _filled(
            "mis",
            (before.mis, after.mis),
            (before.mis_floor, after.mis_floor),
            least=least_of_means(before.best, after.best),
        ),
        _filled(
            "exclusive",
            (before.mis_l1, after.mis_l1),
            (before.mis_l1_floor, after.mis_l1_floor),
            least=least_of_means(*alone),
        ),
        _dead(before.dead, after.dead),
    ], {"mis": _both(before.best, after.best)}


def _exclusive(information: Floats) -> Floats:
    """(U,) share of what each unit knows that is about its best class, of (U, K); NaN for one that knows nothing."""
    known = information.sum(1)
    share: Floats = np.divide(information.max(1), known, out=np.full(len(known), np.nan), where=known > 0)
    return share


def _dead(before: Bools, after: Bools) -> Measure:
    return _filled("dead", (int(before.sum()), int(after.sum())), least=least_of_counts(before, after))


def _dissected(before: Dissection, after: Dissection) -> Found:
    """What units detect; nothing for a set without labels."""
    if not before.categories:
        return [], {}
    first, last = before.summary(), after.summary()
    counted = {
        "detectors": ("detectors", least_of_counts(before.detectors(), after.detectors())),
        "unique_detectors": ("unique_detectors_top_label", least_of_counts(*_detected(before, after))),
    }
    found = [
        _filled(name, (first[key], last[key]), (first["chance"].get(key), last["chance"].get(key)), least=least)
        for name, (key, least) in counted.items()
    ]
    best = _both(before.best()[1], after.best()[1])
    lucky = [None if one.chance is None else float(one.chance.best().mean()) for one in (before, after)]
    means = (best[0].mean(), best[1].mean())
    found.append(_filled("iou", means, (lucky[0], lucky[1]), least=least_of_means(best[0], best[1])))
    found.append(_dead(before.dead, after.dead))
    return found, {"iou": best}


def _detected(before: Dissection, after: Dissection) -> tuple[Bools, Bools]:
    """Of every concept that is the best one of some detector, before or after: whether it is before, and after."""
    was, now = (_concepts(one) for one in (before, after))
    names = sorted(was | now)
    first, last = (np.array([name in have for name in names], np.bool_) for have in (was, now))
    return first, last


def _concepts(one: Dissection) -> set[tuple[str, str]]:
    """(category, name) of the concepts that are the best one of some detector."""
    rows = one.best()[0][one.detectors()]
    return set(one.concepts.iloc[rows][["category", "name"]].itertuples(index=False, name=None))


def _scored(before: PartScores, after: PartScores) -> Found:
    """How steadily and how part-like units fire."""
    first, last = before.templates, after.templates
    was, now = first.summary(), last.summary()
    ratios = [np.where(one.flagged, np.nan, one.ratio[one.chosen]) for one in (first, last)]
    template = _filled(
        "template",
        (was["ratio"], now["ratio"]),
        (was["chance"], now["chance"]),
        least=least_of_means(ratios[0], ratios[1]),
    )
    found, units = _steady(before.stability, after.stability)
    return [*found, template], {**units, "template": _both(*ratios)}


def _steady(before: Stability | None, after: Stability | None) -> Found:
    """How steadily units fire at landmarks; nothing for a set without any."""
    if before is None or after is None:
        return [], {}
    was, now = before.summary(), after.summary()
    first, last = was["multi"], now["multi"]
    by_luck = [_said(one["random"]) for one in (first, last)]
    units = {
        "instability": _both(before.multi(before.deviation), after.multi(after.deviation)),
        "explained": _both(before.at_best(before.explained), after.at_best(after.explained)),
        "spread": _both(before.at_best(before.spread), after.at_best(after.spread)),
    }
    least = {name: least_of_means(values[0], values[1]) for name, values in units.items()}
    steady = _filled(
        "instability",
        (first["instability"], last["instability"]),
        (first["centre"], last["centre"]),
        least=least["instability"],
        more=f"Peaks anywhere at random give {by_luck[0]} before and {by_luck[1]} after.",
    )
    floors = (_nothing_known(before), _nothing_known(after))
    explained = _filled("explained", (was["explained"], now["explained"]), floors, least=least["explained"])
    spread = _filled("spread", (was["spread"], now["spread"]), least=least["spread"])
    return [steady, explained, spread], units


def _nothing_known(one: Stability) -> float | None:
    """The mean share explained by peaks that know nothing of the landmarks, each on as many images as the unit's."""
    by_luck = np.where(np.isnan(one.explained), np.nan, explained_by_luck(one.judged))
    of_unit = one.at_best(by_luck)
    known = of_unit[np.isfinite(of_unit)]
    return float(known.mean()) if len(known) else None


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
ORDER = tuple(ABOUT)
