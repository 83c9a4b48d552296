"""Which concepts the columns detect: of two gained, lost and kept, of more how many units of each column."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from interpkit.plot import category_colours
from interpkit.report.page import Page, Section
from interpkit.results import SideBySide

# Concepts shown of several columns, and rows of a table; the rest stands in concepts.csv.
MOST, EACH = 60, 20
# Up to so many columns two tables stand beside each other.
FEW = 6


def render(results: Sequence[SideBySide], page: Page) -> Markup:
    """Lists for two columns, a table for more."""
    result = results[0]
    table = result.by_concept()
    if not len(table):
        return Markup()
    numbers = [str(n) for n in range(len(result.columns))]
    rows = table.head(MOST)[["name", "category", *numbers]].to_numpy(object).tolist()
    values = {
        "result": result,
        "colours": category_colours(result.categories),
        "lists": _lists(table, result.categories) if "status" in table else [],
        "tables": [rows[start : start + EACH] for start in range(0, len(rows), EACH)],
        "shown": len(rows),
        "total": len(table),
        "few": len(numbers) <= FEW,
    }
    return page.render("compare_concepts.html", values)


def _lists(table: pd.DataFrame, categories: Sequence[str]) -> list[dict[str, Any]]:
    """Gained, lost and kept, each by category; last what only one of the two could have detected."""
    found = []
    for status in ("gained", "lost", "kept", ""):
        mine = table[table["status"] == status]
        if not (status or len(mine)):
            continue
        groups = [
            (name, mine.loc[mine["category"] == name, ["name", "0", "1"]].to_numpy(object).tolist())
            for name in categories
            if (mine["category"] == name).any()
        ]
        found.append({"status": status, "count": len(mine), "groups": groups})
    return found


OFFER = Section(title="Which concepts", needs=(SideBySide,), order=630, render=render)
