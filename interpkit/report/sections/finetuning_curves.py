"""How the training went, epoch by epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from interpkit.report.curves import ORDINARY, Floats, Panel, Series, column, draw_panel, own_columns
from interpkit.report.page import Page, Section
from interpkit.results import FineTuning

# What the losses of the project say of themselves, in words; other columns are called by their names.
WORDS = {
    "density": "share of the gate that is open",
    "gated_task": "classification loss through the gate, nats",
    "silent": "units left out as silent",
}
CHANCE = {"single": "the commonest class", "multi": "the commoner answer"}


def render(results: Sequence[FineTuning], page: Page) -> Markup:
    """Accuracy, the loss and its parts, and what the loss says of itself."""
    result = results[0]
    history = {str(name): list(values) for name, values in result.history.items()}
    panels = [_accuracy(result, history), *_losses(result, history), *_own(history)]
    shown = [panel for panel in panels if panel]
    paths = [str(path) for path in history.get("path", ()) if str(path) != ORDINARY]
    values = {"result": result, "panels": shown, "paths": list(dict.fromkeys(paths)), "otherwise": len(paths)}
    return page.render("finetuning_curves.html", values) if shown else Markup()


def _accuracy(result: FineTuning, history: Mapping[str, Sequence[Any]]) -> Panel | None:
    epochs = column(history, "epoch")
    from_start = np.append(0.0, epochs), np.append(result.start_accuracy, column(history, "validation_accuracy"))
    series = [
        Series("training", epochs, column(history, "train_accuracy"), "quiet"),
        Series("validation", *from_start, "main"),
    ]
    levels = [(result.chance_accuracy, CHANCE["multi" if result.multi else "single"])]
    title = "share of classes told rightly" if result.multi else "accuracy"
    return draw_panel(title, series, history=history, levels=levels)


def _losses(result: FineTuning, history: Mapping[str, Sequence[Any]]) -> list[Panel | None]:
    epochs = column(history, "epoch")
    task, whole, penalty = (column(history, name) for name in ("task", "loss", "penalty"))
    series = [Series("training", epochs, task, "quiet")]
    if not _same(whole, task):
        series.append(Series("with penalty", epochs, whole, "thin"))
    series.append(Series("validation", epochs, column(history, "validation_loss"), "main"))
    panels = [draw_panel("classification loss, nats", series, history=history)]
    if np.nan_to_num(penalty).any():
        own = [Series("penalty", epochs, penalty, "main")]
        panels.append(draw_panel(f"penalty of {result.loss}", own, history=history, zero=False))
    return panels


def _own(history: Mapping[str, Sequence[Any]]) -> list[Panel | None]:
    epochs = column(history, "epoch")
    return [
        draw_panel(
            WORDS.get(name, name.replace("_", " ")),
            [Series("", epochs, column(history, name), "main")],
            history=history,
        )
        for name in own_columns(history)
    ]


def _same(a: Floats, b: Floats) -> bool:
    return bool(np.allclose(a, b, rtol=1e-4, atol=1e-7, equal_nan=True))


OFFER = Section(title="How the training went", needs=(FineTuning,), order=320, render=render)
