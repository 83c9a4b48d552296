"""The kinds of results that a page can hold, in their order on it, and what the page calls them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from interpkit.results import Dissection, Entanglement, PartScores

# What a section needs that speaks of whatever there is.
ANY = Dissection | Entanglement | PartScores


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
    result: type
    heading: str


KINDS = (
    Kind("dissect", Dissection, "Concepts"),
    Kind("entangle", Entanglement, "Classes"),
    Kind("parts", PartScores, "Parts"),
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
    verbs = {kind.verb for kind, _ in by_kind(results)}
    said = [words for verb, words in (("dissect", "detect"), ("entangle", "know of classes")) if verb in verbs]
    told = f"what {whose} {' and '.join(said)}" if said else ""
    where = f"where {whose if not said else 'they'} fire" if "parts" in verbs else ""
    return ", and ".join(part for part in (told, where) if part) or f"what {whose} are"
