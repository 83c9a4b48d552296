"""Measures over layers, checkpoints or widths, where the columns stand in such an order."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from interpkit.report.curves import Panel, Series, draw_panel
from interpkit.report.page import Page, Section
from interpkit.report.sides import colour
from interpkit.results import SideBySide, SideMeasure


def render(results: Sequence[SideBySide], page: Page) -> Markup:
    """A panel a measure with its chance level; none for what is 0 everywhere."""
    result = results[0]
    if len(result.columns) < 3 or not result.axis:
        return Markup()
    drawn = [(_panel(result, one), colour(one.group)) for one in result.measures]
    panels = [(panel, ink) for panel, ink in drawn if panel is not None]
    return page.render("compare_curves.html", {"result": result, "panels": panels}) if panels else Markup()


def _panel(result: SideBySide, one: SideMeasure) -> Panel | None:
    order = np.argsort(np.array(result.axis), kind="stable")
    at = np.array(result.axis)[order]

    def line(name: str, values: Sequence[float], *, main: bool) -> Series:
        return Series(name, at, np.array(values, np.float64)[order], "main" if main else "quiet")

    if int(np.isfinite(one.values).sum()) < 3 or not np.nan_to_num(one.values).any():
        return None
    chance = [line("chance", one.floors, main=False)] if np.isfinite(one.floors).any() else []
    series = [line("value", one.values, main=True), *chance]
    return draw_panel(one.title, series, by=result.axis_name, marks=at.tolist())


OFFER = Section(title="Over the columns", needs=(SideBySide,), order=660, render=render)
