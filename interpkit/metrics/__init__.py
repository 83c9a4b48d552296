"""Scores of units against concepts: each file offers one pure function of Counts. numpy only."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpkit import _plugins
from interpkit.counts import Counts


@dataclass(frozen=True)
class Metric:
    """What one file of this folder offers.

    Attributes
    ----------
    score
        Counts -> (U, C) float64 in [low, high]; NaN where nothing was seen.
    title, reference
        For pages: the metric's name, and the paper that defines it.
    low, high
        The range of the score.
    """

    score: Callable[[Counts], npt.NDArray[np.float64]]
    title: str
    low: float
    high: float
    reference: str


def names() -> list[str]:
    """The metrics on offer, by file name."""
    return _plugins.names(__name__)


def load(name: str) -> Metric:
    """The metric of the file ``name``."""
    metric: Metric = _plugins.load(__name__, name)
    return metric
