"""A few of a graph's images, spread over those it was judged on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interpkit.graph._found import Found, Patterns


@dataclass(frozen=True)
class Some:
    """F images: their rows in the label set, and which of a graph's images they are.

    Attributes
    ----------
    held_out
        Whether they are among the held-out images, or among those that were fitted.
    """

    rows: tuple[int, ...]
    positions: tuple[int, ...]
    held_out: bool

    def of(self, patterns: Patterns) -> Found:
        """What was found on them."""
        found = patterns.held_out if self.held_out else patterns.training
        return Found(found.place[list(self.positions)], found.score[list(self.positions)])


def spread(training: Sequence[int], held_out: Sequence[int], count: int) -> Some:
    """At most ``count`` of the held-out rows, evenly spaced; of the training rows where none are held out."""
    rows = held_out if len(held_out) else training
    positions = np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)).tolist()
    return Some(tuple(int(rows[at]) for at in positions), tuple(positions), bool(len(held_out)))
