"""The kinds of results that a page can hold, in their order on it, and what the page calls them."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any

from interpkit.results import (
    Comparison,
    Dissection,
    Entanglement,
    ExplanatoryGraph,
    FineTuning,
    PartScores,
    Rotation,
    Shuffles,
    SideBySide,
    Untrained,
)

# Letters up to which a heading names columns one by one.
LONGEST = 60
# What a section needs that speaks of whatever there is.
ANY = SideBySide | Comparison | FineTuning | Dissection | Entanglement | PartScores | ExplanatoryGraph


@dataclass(frozen=True)
class Kind:
    """One kind of result.

    Attributes
    ----------
    verb
        The command that makes it.
    result
        Its type.
    heading
        What stands over it where a page holds several kinds.
    """

    verb: str
    result: type | UnionType
    heading: str


KINDS = (
    Kind("side-by-side", SideBySide, "Side by side"),
    Kind("compare", Comparison, "Before and after"),
    Kind("finetune", FineTuning, "Training"),
    # What judges a dissection stands on its part of the page.
    Kind("dissect", Dissection | Rotation | Shuffles | Untrained, "Concepts"),
    Kind("entangle", Entanglement, "Classes"),
    Kind("parts", PartScores, "Parts"),
    Kind("graph", ExplanatoryGraph, "Part patterns"),
)


def by_kind(results: Sequence[Any]) -> list[tuple[Kind, list[Any]]]:
    """The results of each kind that there is, in the order of the kinds."""
    groups = [(kind, [result for result in results if isinstance(result, kind.result)]) for kind in KINDS]
    return [(kind, found) for kind, found in groups if found]


def question(results: Sequence[Any], whose: str) -> str:
    """What the page answers, as its heading says it: ``whose`` stands for the units' owner.

    Examples
    --------
    >>> question([], "its units")
    'what its units are'
    """
    groups = by_kind(results)
    verbs = {kind.verb for kind, _ in groups}
    if "side-by-side" in verbs:
        return f"how {_and(groups[0][1][0].names)} compare"
    if "compare" in verbs:
        before, after = groups[0][1][0].columns
        return f"what changed between {before} and {after}"
    they = whose
    parts = []
    if "finetune" in verbs:
        parts.append(f"how {they} were trained")
        they = "they"
    said = [words for verb, words in (("dissect", "detect"), ("entangle", "know of classes")) if verb in verbs]
    if said:
        parts.append(f"what {they} {' and '.join(said)}")
        they = "they"
    if "parts" in verbs:
        parts.append(f"where {they} fire")
        they = "they"
    if "graph" in verbs:
        of = next((f" of {name}" for _, found in groups for name in _classes(found) if name), "")
        parts.append(f"which parts{of} {they} stand for")
    return ", and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts) or f"what {whose} are"


def _and(names: Sequence[str]) -> str:
    said = f"{', '.join(names[:-1])} and {names[-1]}"
    return said if len(said) <= LONGEST else f"{len(names)} results"


def _classes(results: Sequence[Any]) -> list[str]:
    return [result.class_name for result in results if isinstance(result, ExplanatoryGraph)]
