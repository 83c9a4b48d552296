"""How well a part is found from a few annotated examples."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from interpkit.plot import COLOURS
from interpkit.report.curves import Panel, Series, draw_panel
from interpkit.report.graphnumbers import FLOORS
from interpkit.report.page import Page, Section
from interpkit.results import ExplanatoryGraph


def render(results: Sequence[ExplanatoryGraph], page: Page) -> Markup:
    """The error by the number of examples, a chart a landmark, and the numbers below."""
    found = results[0].evaluation
    if found is None or found.localisation.empty:
        return Markup()
    panels = [_panel(found.localisation, landmark) for landmark in found.landmarks]
    kinds = [("graph", "the graph"), *FLOORS.items()]
    rows = [
        (landmark, shots, [_cell(mine, name) for name, _ in kinds], int(mine["draws"].max()))
        for (landmark, shots), mine in found.localisation.groupby(["landmark", "shots"], sort=False)
        if landmark in found.landmarks
    ]
    values = {
        "panels": [panel for panel in panels if panel],
        "kinds": [words for _, words in kinds],
        "rows": rows,
        "colour": COLOURS["part"],
        "draws": max((row[-1] for row in rows), default=0),
        "better": sum(1 for _, _, cells, _ in rows if _wins(cells)),
    }
    return page.render("graph_localisation.html", values)


def _panel(table: pd.DataFrame, landmark: str) -> Panel | None:
    mine = table[table["landmark"] == landmark]
    styles = {"graph": "main", "raw": "quiet", "mean place": "thin"}
    names = {"graph": "the graph", "raw": "arg-max", "mean place": "mean place"}
    series = []
    for name, style in styles.items():
        of = mine[mine["positions"] == name].sort_values("shots")
        values = of["error"].to_numpy(np.float64)
        series.append(Series(names[name], of["shots"].to_numpy(np.float64), values, style))  # type: ignore[arg-type]
    centre = mine[mine["positions"] == "centre"]["error"].dropna()
    levels = [(float(centre.iloc[0]), "image centre")] if len(centre) else []
    title = f"{landmark}: error, share of the diagonal"
    return draw_panel(title, series, levels=levels, by="annotated examples")


def _cell(table: pd.DataFrame, name: str) -> tuple[float, float]:
    """Error, and its deviation over the draws; NaN where it was not measured."""
    mine = table[table["positions"] == name]
    return (float(mine["error"].iloc[0]), float(mine["spread"].iloc[0])) if len(mine) else (np.nan, np.nan)


def _wins(cells: Sequence[tuple[float, float]]) -> bool:
    values = [value for value, _ in cells if np.isfinite(value)]
    return len(values) > 1 and cells[0][0] == min(values)


OFFER = Section(title="Finding a part from a few examples", needs=(ExplanatoryGraph,), order=560, render=render)
