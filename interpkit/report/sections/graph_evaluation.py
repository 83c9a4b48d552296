"""Every measure of the nodes beside every control, layer by layer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from interpkit.report.formats import number
from interpkit.report.graphnumbers import POSITIONS, judged_on
from interpkit.report.page import Page, Section
from interpkit.results import ExplanatoryGraph

# The measure of which less is better; of the others more is.
LESS = "instability"


def render(results: Sequence[ExplanatoryGraph], page: Page) -> Markup:
    """A row for each kind of places, a group of rows for each layer, topmost first."""
    result = results[0]
    found = result.evaluation
    if found is None or found.table.empty:
        return Markup()
    images = judged_on(result)
    tops = sorted(set(found.table["top"]))
    table = found.table[(found.table["images"] == images) & (found.table["top"] == tops[-1])]
    known = _measured(table, found.landmarks)
    columns = [(top, landmark, LESS) for top in tops[-1:] for landmark in (*known, "all")]
    columns += [(top, "all", LESS) for top in tops[:-1]]
    columns += [(tops[-1], "all", name) for name in ("pck", "pure")]
    groups = [
        (one.layer, _rows(found.table[found.table["layer"] == one.layer], columns, images=images))
        for one in reversed(result.layers)
    ]
    values = {
        "groups": [(layer, rows) for layer, rows in groups if rows],
        "landmarks": known,
        "unmeasured": [name for name in found.landmarks if name not in known],
        "tops": tops,
        "on": images,
        "images": len(result.held_out if images == "held out" else result.images),
        "notes": found.notes,
    }
    return page.render("graph_evaluation.html", values)


def _measured(table: pd.DataFrame, landmarks: Sequence[str]) -> list[str]:
    """The landmarks that any places were judged by: too few images may show one."""
    named = set(table.loc[table[LESS].notna(), "landmark"])
    return [name for name in landmarks if name in named]


def _rows(table: pd.DataFrame, columns: Sequence[tuple[int, str, str]], *, images: str) -> list[dict[str, Any]]:
    """Each kind of places with its numbers as they are written, and whether they are the best of their column."""
    mine = table[table["images"] == images]
    names = [name for name in POSITIONS if (mine["positions"] == name).any()]
    values = [[_value(mine[mine["positions"] == name], column) for column in columns] for name in names]
    best = [_best([of[place] for of in values], measure) for place, (_, _, measure) in enumerate(columns)]
    return [
        {
            "name": POSITIONS[name],
            "nodes": int(mine[mine["positions"] == name]["nodes"].max()),
            "cells": [(number(value), number(value) == most) for value, most in zip(of, best, strict=True)],
        }
        for name, of in zip(names, values, strict=True)
    ]


def _value(table: pd.DataFrame, column: tuple[int, str, str]) -> float:
    top, landmark, measure = column
    rows = table[(table["top"] == top) & (table["landmark"] == landmark)]
    return float(rows[measure].iloc[0]) if len(rows) else float("nan")


def _best(values: Sequence[float], measure: str) -> str:
    """The best of a column as it is written; empty where there is nothing to compare."""
    known = [value for value in values if np.isfinite(value)]
    if len({number(value) for value in known}) < 2:
        return ""
    return number(min(known) if measure == LESS else max(known))


OFFER = Section(title="Beside every control", needs=(ExplanatoryGraph,), order=550, render=render)
