"""The answer about a training: how well the network does on images kept apart, and what was put into it."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from interpkit.report.curves import column
from interpkit.report.page import Page, Section
from interpkit.report.recipes import loss_words, surgery_words, trained_words
from interpkit.results import FineTuning


def render(results: Sequence[FineTuning], page: Page) -> Markup:
    """Large numbers with their chance levels, what was done in words, and what limits it."""
    result = results[0]
    history = {str(name): list(values) for name, values in result.history.items()}
    losses, kept = column(history, "validation_loss"), _kept(result)
    training = result.recipe.get("training") or {}
    values = {
        "result": result,
        "final": float(losses[kept]) if len(losses) else math.nan,
        "kept": int(result.history["epoch"].iloc[kept]) if kept + 1 < len(losses) else None,
        # What a network that gives every class the same probability would lose.
        "blind": math.log(2) if result.multi else math.log(max(len(result.classes), 1)),
        "asked": training.get("epochs"),
        "surgery": surgery_words(result.recipe),
        "layer": (result.recipe.get("surgery") or {}).get("layer", ""),
        "trained": trained_words(result.recipe),
        "loss": loss_words(result.loss, result.recipe),
    }
    return page.render("finetuning_headline.html", values)


def _kept(result: FineTuning) -> int:
    """The place in the history of the epoch whose weights were kept: the last one unless the recipe says otherwise."""
    epochs = result.history["epoch"].tolist()
    kept = (result.recipe.get("training") or {}).get("weights_of_epoch")
    return epochs.index(kept) if kept in epochs else len(epochs) - 1


OFFER = Section(title="", needs=(FineTuning,), order=310, render=render)
