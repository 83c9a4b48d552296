"""Curves by epoch, or by any other count: what a chart of them needs, each line with its name at its end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from interpkit.report.charts import Axis, even_axis, span_axis
from interpkit.report.formats import number

Floats = npt.NDArray[np.float64]
Style = Literal["main", "quiet", "thin"]

# Share of a chart's height that a name at its side takes, in per cent.
NAME = 8.5
# Share of a chart's width that a number under it takes, and from where on numbers are written in powers of ten.
ROOM, FAR = 12.0, 1e9
# Columns of a history that every training has; what else there is, the loss says of itself.
USUAL = frozenset(
    [
        *("epoch", "path", "rate", "seconds", "loss", "task", "penalty"),
        *("train_accuracy", "validation_loss", "validation_accuracy"),
    ]
)
ORDINARY = "ordinary"


@dataclass(frozen=True, eq=False)
class Series:
    """One line to be: its name, its values at epochs, NaN for none, and how it is drawn.

    Attributes
    ----------
    style
        ``main``: in the colour of the panel; ``quiet``: grey; ``thin``: the colour, thinner.
    """

    name: str
    epochs: Floats
    values: Floats
    style: Style


@dataclass(frozen=True)
class Line:
    """One line as it is drawn: an SVG path on a 100 x 100 field, its lone points, and where its name stands."""

    name: str
    style: Style
    path: str
    dots: tuple[tuple[float, float], ...]
    end: float | None
    at: float


@dataclass(frozen=True)
class Panel:
    """One chart of curves.

    Attributes
    ----------
    title
        What stands on its upward axis.
    levels
        (height, words) of chance levels, dashed.
    shaded
        (start, width, words) of epochs that were trained otherwise.
    told
        (start, width, words) of each epoch, shown under the pointer.
    by
        What is counted across.
    marks
        What is named on its axis; empty for round numbers.
    """

    title: str
    across: Axis
    up: Axis
    lines: tuple[Line, ...]
    levels: tuple[tuple[float, str], ...]
    shaded: tuple[tuple[float, float, str], ...]
    told: tuple[tuple[float, float, str], ...]
    by: str = "epoch"
    marks: tuple[float, ...] = ()

    @property
    def epochs(self) -> list[tuple[float, str]]:
        """Where epochs are named on the axis, in per cent, and their numbers: whole ones unless they were chosen."""
        ticks = self.marks or [tick for tick in self.across.ticks if tick == int(tick)]
        return [(self.across.at(tick), _plain(tick)) for tick in ticks]

    @property
    def words(self) -> str:
        """The chart for those who do not see it."""
        ends = ", ".join(f"{line.name} {number(line.end)}" for line in self.lines)
        return f"{self.title} by {self.by}; at the end: {ends}"


def column(history: Mapping[str, Sequence[Any]], name: str) -> Floats:
    """A column of a history as numbers, NaN for none; all NaN for a column that is not there."""
    values = history.get(name)
    if values is None:
        return np.full(len(next(iter(history.values()), ())), np.nan)
    return np.array([_float(value) for value in values], np.float64)


def own_columns(history: Mapping[str, Sequence[Any]]) -> list[str]:
    """What the loss says of itself: the names of further columns that hold anything but 0."""
    return [name for name in history if name not in USUAL and np.nan_to_num(column(history, name)).any()]


def draw_panel(
    title: str,
    series: Sequence[Series],
    *,
    history: Mapping[str, Sequence[Any]] | None = None,
    levels: Sequence[tuple[float, str]] = (),
    zero: bool = True,
    by: str = "epoch",
    marks: Sequence[float] = (),
) -> Panel | None:
    """The series in one chart; None where they hold nothing.

    Parameters
    ----------
    history
        Whose epochs are shaded where their path is not the ordinary one; None where nothing was trained.
    levels
        (value, words) of chance levels.
    zero
        The upward axis begins at 0 where no value lies below.
    by
        What the series call epochs.
    marks
        Where there are few epochs: all of them, in rising order. The axis begins at the first, names those that have
        room, and every value has a dot.
    """
    known = [one for one in series if np.isfinite(one.values).any()]
    if not known:
        return None
    across = Axis(marks[0], marks[-1]) if marks else Axis(0.0, max(1.0, *(float(one.epochs.max()) for one in known)))
    heights = [*(one.values for one in known), np.array([value for value, _ in levels], np.float64)]
    low = min(float(np.nanmin(one)) for one in heights if len(one))
    up = (even_axis(heights) if zero and low >= 0 else span_axis(heights)) or Axis(0.0, 1.0)
    lines = [_line(one, across, up, dotted=bool(marks)) for one in known]
    return Panel(
        title=title,
        across=across,
        up=up,
        lines=tuple(_apart(lines)),
        levels=tuple((round(100 - up.at(value), 3), f"{words} {number(value)}") for value, words in levels),
        shaded=tuple(_shaded(history or {"epoch": ()}, across)),
        told=tuple(_told(known, across, by=by)),
        by=by,
        marks=tuple(_with_room(marks, across)),
    )


def _with_room(marks: Sequence[float], across: Axis) -> list[float]:
    """Those of the places whose names do not run into each other; the first and the last always."""
    kept: list[float] = []
    for mark in marks:
        at, last = across.at(mark), mark == marks[-1]
        while last and len(kept) > 1 and at - across.at(kept[-1]) < ROOM:
            kept.pop()
        if not kept or last or at - across.at(kept[-1]) >= ROOM:
            kept.append(mark)
    return kept


def _plain(value: float) -> str:
    """A place on the axis as people write it.

    Examples
    --------
    >>> _plain(20000.0), _plain(0.25), _plain(0.0001)
    ('20,000', '0.25', '0.0001')
    """
    return f"{int(value):,}" if value == int(value) and value < FAR else f"{value:.6g}"


def _line(series: Series, across: Axis, up: Axis, *, dotted: bool = False) -> Line:
    pen, path, dots = False, "", []
    there = np.isfinite(series.values)
    for i, (epoch, value) in enumerate(zip(series.epochs.tolist(), series.values.tolist(), strict=True)):
        if there[i]:
            x, y = across.at(epoch), round(100 - up.at(value), 3)
            path += f"{'L' if pen else 'M'}{x} {y}"
            if (dotted and series.style == "main") or not there[max(i - 1, 0) : i + 2].sum() > 1:
                dots.append((x, y))
        pen = bool(there[i])
    final = float(series.values[there][-1])
    return Line(series.name, series.style, path, tuple(dots), final, round(100 - up.at(final), 3))


def _apart(lines: Sequence[Line]) -> list[Line]:
    """The lines with their names moved so far up or down that none covers another."""
    order = sorted(range(len(lines)), key=lambda i: lines[i].at)
    places = [min(max(lines[i].at, NAME / 2), 100 - NAME / 2) for i in order]
    for _ in range(200):
        for n in range(len(places) - 1):
            short = NAME - (places[n + 1] - places[n])
            if short > 1e-6:
                places[n], places[n + 1] = places[n] - short / 2, places[n + 1] + short / 2
        if places:
            over, under = max(0.0, places[-1] - (100 - NAME / 2)), max(0.0, NAME / 2 - places[0])
            places[0], places[-1] = places[0] + under, places[-1] - over
    moved = dict(zip(order, places, strict=True))
    return [Line(one.name, one.style, one.path, one.dots, one.end, round(moved[i], 2)) for i, one in enumerate(lines)]


def _stretch(across: Axis, epoch: float) -> tuple[float, float]:
    start, end = across.at(epoch - 0.5), across.at(epoch + 0.5)
    return start, round(end - start, 3)


def _shaded(history: Mapping[str, Sequence[Any]], across: Axis) -> list[tuple[float, float, str]]:
    epochs = column(history, "epoch").tolist()
    paths = [str(path) for path in history.get("path", ())]
    return [(*_stretch(across, epoch), path) for epoch, path in zip(epochs, paths, strict=False) if path != ORDINARY]


def _told(series: Sequence[Series], across: Axis, *, by: str) -> list[tuple[float, float, str]]:
    epochs = sorted({epoch for one in series for epoch in one.epochs.tolist()})
    found = []
    for epoch in epochs:
        parts = [
            f"{one.name} {number(float(value))}"
            for one in series
            for value in one.values[one.epochs == epoch]
            if np.isfinite(value)
        ]
        start = {"epoch": "before training", "iteration": "before the first iteration"}
        when = f"{by} {_plain(epoch)}" if epoch else start.get(by, f"{by} 0")
        found.append((*_stretch(across, epoch), f"{when}: {', '.join(parts)}"))
    return found


def _float(value: Any) -> float:  # noqa: ANN401 - a cell of a table
    return float(value) if isinstance(value, (int, float, np.number)) and value is not None else float("nan")
