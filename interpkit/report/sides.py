"""Two networks beside each other: what a page says of a measure's change, and in which colour."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interpkit.plot import COLOURS
from interpkit.report.charts import Axis, span_axis
from interpkit.results import Comparison, Measure

# Colour of the network afterwards, by what is measured; what belongs to no category is drawn in ink.
INK = "currentColor"
BY_GROUP = {"Concepts": COLOURS["object"], "Classes": COLOURS["object"], "Parts": COLOURS["part"]}
# Which run a group's numbers come from; the first that there is.
VERBS = {
    "Accuracy": ("finetune",),
    "Concepts": ("dissect",),
    "Classes": ("entangle",),
    "Parts": ("parts",),
    "Units": ("entangle", "dissect"),
    "Outputs": ("finetune",),
}
# Groups that say nothing of how interpretable a network is.
ASIDE = frozenset(("Accuracy", "Outputs"))


@dataclass(frozen=True)
class Track:
    """A measure's two numbers on a line, with its chance levels.

    Attributes
    ----------
    before, after
        Where they lie, in per cent.
    floors
        Where chance lies, for either network; one place where it is the same.
    """

    before: float
    after: float
    floors: tuple[float, ...]


def colour(group: str) -> str:
    """The colour of a group's measures."""
    return BY_GROUP.get(group, INK)


def groups(measures: Sequence[Measure]) -> dict[str, list[Measure]]:
    """The measures under their headings, in the order of reading."""
    found: dict[str, list[Measure]] = {}
    for one in measures:
        found.setdefault(one.group, []).append(one)
    return found


def judged(result: Comparison) -> dict[str, list[Measure]]:
    """The measures of interpretability by what became of them: ``better``, ``worse``, ``same``."""
    found: dict[str, list[Measure]] = {"better": [], "worse": [], "same": []}
    for one in result.measures:
        if one.group not in ASIDE and one.verdict in found:
            found[one.verdict].append(one)
    return found


def alike(measures: Sequence[Measure]) -> str:
    """What to call measures whose changes, if any, are too small to count."""
    return "about the same" if any(one.change for one in measures) else "the same"


def at_chance(one: Measure) -> bool:
    """Whether the number afterwards is no better than what chance gives."""
    if one.better == "neither" or not (np.isfinite(one.after) and np.isfinite(one.floor_after)):
        return False
    return one.after <= one.floor_after if one.better == "higher" else one.after >= one.floor_after


def track(one: Measure) -> Track | None:
    """Where a measure's numbers lie between 0 and the largest of them; None where a number is missing."""
    if not (np.isfinite(one.before) and np.isfinite(one.after)):
        return None
    floors = [value for value in (one.floor_before, one.floor_after) if np.isfinite(value)]
    values = np.array([0.0, one.before, one.after, *floors])
    low, high = float(values.min()), float(values.max())
    axis = Axis(low, high if high > low else low + 1.0)
    return Track(axis.at(one.before), axis.at(one.after), tuple(dict.fromkeys(axis.at(value) for value in floors)))


def shared_axis(result: Comparison, name: str) -> Axis | None:
    """An axis that holds a measure of every unit in both networks, and its chance levels."""
    floors = [(one.floor_before, one.floor_after) for one in result.measures if one.name == name]
    return span_axis([result.per_unit[name], *(np.array(pair) for pair in floors)])
