"""The two trainings, epoch by epoch, in the same charts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from interpkit.plot import COLOURS
from interpkit.report.curves import Panel, Series, column, draw_panel
from interpkit.report.page import Page, Section
from interpkit.results import Comparison

History = Mapping[str, Sequence[Any]]

CHARTS = {
    "validation_accuracy": "accuracy on validation images",
    "train_accuracy": "accuracy on training images",
    "validation_loss": "classification loss on validation images, nats",
    "penalty": "penalty",
}


def render(results: Sequence[Comparison], page: Page) -> Markup:
    """Accuracy, loss and penalty of both."""
    result = results[0]
    trained = [
        (name, history, style)
        for name, history, style in zip(result.columns, result.histories, ("quiet", "main"), strict=True)
        if history
    ]
    panels = [_panel(result, key, trained) for key in CHARTS]
    shown = [panel for panel in panels if panel]
    shaded = any(panel.shaded for panel in shown)
    values = {"result": result, "panels": shown, "shaded": shaded, "colour": COLOURS["object"]}
    return page.render("both_trainings.html", values) if shown else Markup()


def _panel(result: Comparison, key: str, trained: Sequence[tuple[str, History, Any]]) -> Panel | None:
    series = [Series(name, column(history, "epoch"), column(history, key), style) for name, history, style in trained]
    if key == "penalty":
        series = [one for one in series if np.nan_to_num(one.values).any()]
    accuracy = next((one for one in result.measures if one.name == "accuracy"), None)
    known = accuracy is not None and key.endswith("accuracy") and np.isfinite(accuracy.floor_after)
    levels = [(accuracy.floor_after, accuracy.floor or "chance")] if accuracy is not None and known else []
    return (
        draw_panel(CHARTS[key], series, history=trained[-1][1], levels=levels, zero=key != "penalty")
        if series
        else None
    )


OFFER = Section(title="Both trainings", needs=(Comparison,), order=440, render=render)
