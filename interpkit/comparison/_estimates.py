"""What is measured of one network: numbers with their chance levels, and the same without each block of images."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from interpkit import metrics
from interpkit.comparison._measures import ABOUT
from interpkit.counts import Counts
from interpkit.results import (
    Dissection,
    Entanglement,
    ExplanatoryGraph,
    FineTuning,
    Measure,
    PartScores,
    PublishedTable,
)

Floats = npt.NDArray[np.float64]
_NAN = float("nan")
_OF_A_GRAPH = (
    "Mean over landmarks and the 100 strongest nodes of the lowest layer: how much the distance from a node's "
)


@dataclass(frozen=True, eq=False)
class Estimate:
    """One number of one network.

    Attributes
    ----------
    name
        A key of `KNOWN`.
    value, floor
        The number and what chance gives; NaN for none.
    without
        (B,) the number with one block of images left out, NaN for a block without images; None where no blocks are
        kept.
    """

    name: str
    value: float
    floor: float = _NAN
    without: Floats | None = None


def _known() -> dict[str, Measure]:
    unique, instability = ABOUT["unique_detectors"], ABOUT["instability"]
    return {
        "accuracy": ABOUT["accuracy"],
        "detectors": ABOUT["detectors"],
        "detector_share": replace(
            ABOUT["detectors"],
            name="detector_share",
            title="Share of units that detect",
            unit="share",
            words="Detectors as a share of all units, for layers of different widths.",
        ),
        "unique_top_label": replace(unique, name="unique_top_label", title="Unique detectors, top label"),
        "unique_every_category": replace(
            unique,
            name="unique_every_category",
            title="Unique detectors, every category",
            words="Different concepts that are the best one of their category for some unit, above the threshold: the "
            "rule of the published tables.",
        ),
        "iou": ABOUT["iou"],
        "mis": ABOUT["mis"],
        "exclusive": ABOUT["exclusive"],
        "instability": instability,
        "explained": ABOUT["explained"],
        "template": ABOUT["template"],
        "graph_instability": replace(
            instability,
            name="graph_instability",
            title="Instability of the graph's nodes",
            group="Part patterns",
            floor="no edges",
            words=f"{_OF_A_GRAPH}place to a landmark varies, as a share of the diagonal; beside nodes without edges.",
        ),
        "dead": ABOUT["dead"],
    }


KNOWN: Mapping[str, Measure] = _known()


def estimates(one: object) -> list[Estimate]:
    """All that is measured of a result; empty for a kind of which nothing is."""
    measure = _MEASURED.get(type(one))
    return measure(one) if measure else []


def _dissected(one: Dissection) -> list[Estimate]:
    dead = Estimate("dead", float(one.dead.sum()))
    if not one.categories:
        return [dead]
    found = _counted(one)
    lucky = one.summary()["chance"]
    floors = {
        "detectors": lucky.get("detectors"),
        "unique_top_label": lucky.get("unique_detectors_top_label"),
        "unique_every_category": lucky.get("unique_detectors_every_category"),
        "iou": None if one.chance is None else one.chance.best().mean(),
        "detector_share": lucky["detectors"] / max(one.units, 1) if lucky else None,
    }
    without = [_counted(other) if other is not None else None for other in _without_a_block(one)]
    return [
        Estimate(
            name,
            value,
            _number(floors[name]),
            np.array([_NAN if other is None else other[name] for other in without]),
        )
        for name, value in found.items()
    ] + [dead]


def _counted(one: Dissection) -> dict[str, float]:
    detectors = float(one.detectors().sum())
    return {
        "detectors": detectors,
        "detector_share": detectors / max(one.units, 1),
        "unique_top_label": float(sum(one.unique("top-label").values())),
        "unique_every_category": float(sum(one.unique("every-category").values())),
        "iou": float(one.best()[1].mean()),
    }


def _without_a_block(one: Dissection) -> Iterator[Dissection | None]:
    """The dissection with each block of images left out of its counts; None for a block that holds no image.

    Thresholds stay those of all images: they are quantiles of very many positions and hardly move.
    """
    rule = one.provenance.options.get("category_rule", "annotated")
    total, score = one.counts, metrics.load("iou").score
    for b in range(one.blocks.shape[0]):
        if not one.blocks.pixels[b].any():
            yield None
            continue
        block = one.blocks.block(b)
        rest = Counts(total.joint - block.joint, total.state - block.state, total.category)
        yield replace(one, scores={"iou": score(rest.under(rule))})


def published(one: PublishedTable, threshold: float) -> list[Estimate]:
    """What a published table gives, without chance levels or intervals."""
    detectors = float(one.detectors(threshold).sum())
    return [
        Estimate("detectors", detectors),
        Estimate("detector_share", detectors / one.units),
        Estimate("unique_top_label", float(sum(one.unique("top-label", threshold=threshold).values()))),
        Estimate("unique_every_category", float(sum(one.unique("every-category", threshold=threshold).values()))),
        Estimate("iou", float(one.table()["iou"].mean())),
    ]


def _entangled(one: Entanglement) -> list[Estimate]:
    without = one.without_block.mean(1)
    # Leaving out a block that holds no image changes nothing at all.
    held = (one.without_block != one.best).any(1)
    return [
        Estimate("mis", one.mis, one.mis_floor, np.where(held, without, _NAN)),
        Estimate("exclusive", one.mis_l1, one.mis_l1_floor),
        Estimate("dead", float(one.dead.sum())),
    ]


def _scored(one: PartScores) -> list[Estimate]:
    template = one.templates.summary()
    found = [Estimate("template", _number(template["ratio"]), _number(template["chance"]))]
    if one.stability is None:
        return found
    steady = one.stability.summary()
    multi = steady["multi"]
    return [
        Estimate("instability", _number(multi["instability"]), _number(multi["centre"])),
        Estimate("explained", _number(steady["explained"])),
        *found,
    ]


def _trained(one: FineTuning) -> list[Estimate]:
    return [Estimate("accuracy", one.accuracy, one.chance_accuracy)]


def _explained(one: ExplanatoryGraph) -> list[Estimate]:
    if one.evaluation is None:
        return []
    low = one.layers[0].layer
    images = "held out" if one.held_out else "training"
    at = [one.evaluation.at(low, who, images=images) for who in ("graph", "no edges")]
    return [Estimate("graph_instability", at[0], at[1])]


def _number(value: float | None) -> float:
    return _NAN if value is None else float(value)


_MEASURED: Mapping[type, Callable[[Any], list[Estimate]]] = {
    FineTuning: _trained,
    Dissection: _dissected,
    Entanglement: _entangled,
    PartScores: _scored,
    ExplanatoryGraph: _explained,
}
