"""Unique detectors of each category, the columns side by side: the papers' bar figure."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from interpkit.plot import category_colours
from interpkit.report.besides import shades
from interpkit.report.page import Page, Section
from interpkit.results import SideBySide


def render(results: Sequence[SideBySide], page: Page) -> Markup:
    """Bars a category, a bar a column; all numbers by both rules in a table."""
    result = results[0]
    table = result.by_category()
    shown = table[table["rule"] == result.rule]
    if not shown["unique"].any():
        return Markup()
    most = int(shown["unique"].max())
    colours = category_colours(result.categories)
    groups = [_group(result, shown[shown["category"] == name], name=name, colour=colours[name]) for name in colours]
    totals = [(name, int(mine["unique"].sum())) for name, mine in shown.groupby("category")]
    order = {name: -total for name, total in totals}
    values = {
        "result": result,
        "groups": sorted((one for one in groups if one["any"]), key=lambda one: order[one["name"]]),
        "most": most,
        "longest": max(map(len, result.names)),
        "rows": _rows(result, table),
        "colours": colours,
        # Forced together, runs may have been made with different thresholds.
        "own": any(reason.startswith("dissect: iou ") for reason in result.forced),
    }
    return page.render("compare_categories.html", values)


def _group(result: SideBySide, rows: pd.DataFrame, *, name: str, colour: str) -> dict[str, Any]:
    fills = shades(result, colour)
    cells = rows[["column", "unique", "detectors"]].to_numpy(int).tolist()
    bars = [(result.names[n], fills[n], unique, detectors) for n, unique, detectors in cells]
    return {"name": name, "colour": colour, "bars": bars, "any": bool(rows["unique"].any())}


def _rows(result: SideBySide, table: pd.DataFrame) -> list[tuple[str, str, list[int]]]:
    """(category, column, detectors and unique by top label, and over every category) of all that detect anything."""
    found = []
    for name in result.categories:
        for n, column in enumerate(result.names):
            mine = table[(table["category"] == name) & (table["column"] == n)]
            numbers = mine[["detectors", "unique"]].to_numpy(int).ravel().tolist()
            if any(numbers):
                found.append((name, column, numbers))
    return found


OFFER = Section(title="Concepts by category", needs=(SideBySide,), order=620, render=render)
