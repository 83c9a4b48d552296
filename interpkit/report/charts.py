"""What a chart needs besides its values: bars, and round numbers for its axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BARS = 40
# Share of a chart's height that its tallest bar takes; the words on lines stand above.
TALL = 0.74


@dataclass(frozen=True)
class Axis:
    """From ``low`` to ``high``, evenly or by ratios.

    Examples
    --------
    >>> Axis(0, 2).at(0.5)
    25.0
    >>> Axis(0.01, 1, "log").at(0.1)
    50.0
    """

    low: float
    high: float
    kind: Literal["even", "log"] = "even"

    def at(self, value: float) -> float:
        """Where a value lies, in per cent of the axis; what lies outside, at its end."""
        if self.kind == "log":
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(100 * min(max(share, 0.0), 1.0), 3)

    @property
    def ticks(self) -> list[float]:
        """Round numbers on the axis: about five of them."""
        if self.kind == "log":
            found = [_times(one, 10.0**power) for power in range(-12, 13) for one in (1, 2, 5)]
            found = [one for one in found if self.low * 0.999 <= one <= self.high * 1.001]
            # Past a few decades every number between would stand too close to the next.
            return found if len(found) <= 8 else [one for one in found if f"{one:e}".startswith("1")]
        step = _step(self.high - self.low)
        first = math.ceil(self.low / step - 1e-9)
        return [round(i * step, 12) for i in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def edges(self, bars: int = BARS) -> Floats:
        """Edges of bars that look equally wide."""
        even = np.linspace(0, 1, bars + 1)
        edges: Floats = (
            self.low * (self.high / self.low) ** even
            if self.kind == "log"
            else self.low + even * (self.high - self.low)
        )
        return edges


def even_axis(values: Sequence[Floats]) -> Axis | None:
    """An axis from 0 that holds all values; None where there is none above 0."""
    known = _known(values)
    return Axis(0.0, _up(float(known.max()))) if len(known) and known.max() > 0 else None


def span_axis(values: Sequence[Floats]) -> Axis | None:
    """An axis that holds all values, also negative ones, and 0 where they lie near it; None where there are none.

    Examples
    --------
    >>> span_axis([np.array([-0.4, -0.1])]), span_axis([np.array([10.2, 10.7])])
    (Axis(low=-0.4, high=0.0, kind='even'), Axis(low=10.2, high=10.7, kind='even'))
    """
    known = _known(values)
    if not len(known):
        return None
    low, high = float(known.min()), float(known.max())
    span = high - low or max(abs(low), 1e-9)
    if low <= 2 * span:
        low = min(low, 0.0)
    if high >= -2 * span:
        high = max(high, 0.0)
    step = _step(high - low) / 2 if high > low else span
    low, high = (_times(rounded(end / step), step) for rounded, end in ((_floor, low), (_ceil, high)))
    return Axis(low, high if high > low else low + step)


def _floor(value: float) -> int:
    return math.floor(value + 1e-9)


def _ceil(value: float) -> int:
    return math.ceil(value - 1e-9)


def log_axis(values: Sequence[Floats]) -> Axis | None:
    """An axis by ratios that holds all but the smallest per cent of the values above 0; None where there are none."""
    known = _known(values)
    known = known[known > 0]
    if not len(known):
        return None
    high = _up(float(known.max()))
    low = max(float(np.quantile(known, 0.01)), high / 1e4)
    power = math.floor(math.log10(low) + 1e-9)
    low = max(_times(one, 10.0**power) for one in (1, 2, 5) if one * 10.0**power <= low * (1 + 1e-9))
    return Axis(low, high, "log") if low < high else Axis(high / 10, high, "log")


def bars(values: Floats, axis: Axis, *, count: int = BARS) -> npt.NDArray[np.int64]:
    """How many values each bar holds; values outside the axis in its last bars."""
    edges = axis.edges(count)
    known = values[~np.isnan(values)]
    place = np.clip(np.searchsorted(edges, known, side="right") - 1, 0, count - 1)
    held: npt.NDArray[np.int64] = np.bincount(place, minlength=count)
    return held


def _known(values: Sequence[Floats]) -> Floats:
    flat: Floats = np.concatenate([np.ravel(one) for one in values]) if values else np.zeros(0)
    known: Floats = flat[np.isfinite(flat)]
    return known


def _step(span: float) -> float:
    """A round number of which about five make ``span``."""
    power = 10.0 ** math.floor(math.log10(span / 5))
    return next(_times(one, power) for one in (1, 2, 5, 10) if one * power >= span / 5 * 0.999)


def _up(value: float) -> float:
    """The next number that is a few round steps: an axis ends there."""
    step = _step(value) / 2
    return _times(math.ceil(value / step - 1e-9), step)


def _times(number: float, step: float) -> float:
    return round(number * step, 12)
