"""How the run was made, how to repeat it, what lies beside the page, what to cite."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from interpkit.report.kinds import ANY, by_kind
from interpkit.report.page import Page, Section
from interpkit.results import FineTuning, result_folder_name

WHY = {
    "half-pixel": "each cell stands for its share of the image, which is where trained networks look on average, "
    "whatever their padding",
    "receptive-field": "each cell lies at the middle of its receptive field, as in the paper",
    "effective": "each cell lies where the layer's gradients show that it looks",
}
UNITS = {
    "dissect": "best concept of every unit, in the published tables' columns; its units are numbered from 1",
    "entangle": "every unit with the class it knows best; units are numbered from 0",
    "parts": "every unit with its measures; units are numbered from 0",
    "compare": "every unit with its measures in both networks; units are numbered from 0",
}
FILES = {
    "units.csv": "",
    "concepts.csv": "how many units of each column detect each concept, by both rules",
    "history.csv": "the training, one row an epoch",
    "measures.csv": "every measure of all networks with its chance levels",
    "information.csv": "what every unit knows about every class, in nats",
    "scores.npz": "every score and count, as NumPy arrays",
    "result.json": "how the run was made, in full",
    "nodes.csv": "every node with its place, its filter and its measures; nodes and filters are numbered from 0",
    "edges.csv": "every edge with how alike its ends move, best of a node first",
    "likelihood.csv": "the log-likelihood of each layer by iteration",
    "shown.json": "which nodes and images are shown here",
    "outlines.json": "where each unit fires on its top images, as SVG paths",
    "gallery.json": "where the units shown here fire, as SVG paths",
    "masked.json": "the same after their masks",
    "gallery-before.json": "where the units shown here fire before, as SVG paths",
    "gallery-after.json": "where they fire afterwards, as SVG paths",
    "gallery-1.json": "where the units shown here fire in the first column, as SVG paths",
    "gallery-2.json": "where they fire in the second, as SVG paths",
}
# What a training writes into its folder besides results.
NETWORK = {
    "weights.safetensors": "the weights of the trained network; the folder can be given wherever a network is",
    "recipe.json": "how that network is put together, and how it was trained",
}
# Whose method a loss is.
METHODS = {"icnn": "parts", "class-gate": "entangle"}


def render(results: Sequence[Any], page: Page) -> Markup:
    """The command, the settings, the files and the references."""
    groups = by_kind(results)
    files = [(path, FILES[path.name] or UNITS[kind.verb]) for kind, of in groups for path in _files(of, page)]
    files += [(page.results / name, words) for name, words in NETWORK.items() if (page.results / name).is_file()]
    values = {
        "groups": groups,
        "made": results[0].provenance,
        "why": {kind.verb: WHY.get(of[0].provenance.options.get("align", ""), "") for kind, of in groups},
        "files": [(page.address(path), words) for path, words in files],
        "verbs": _cited(results),
        "pictured": any(len(getattr(result, "pictures", ())) for result in results),
    }
    return page.render("repeat.html", values)


def _cited(results: Sequence[Any]) -> list[str]:
    """The verbs whose methods the results rest on: their own, those that a comparison measured with, the loss's."""
    found = [verb for result in results for verb in (result.provenance.verb, *getattr(result, "sets", ()))]
    losses = [str(result.provenance.options.get("loss", "")) for result in results]
    losses += [result.loss for result in results if isinstance(result, FineTuning)]
    losses += [loss for result in results for _, *both in getattr(result, "differs", ()) for loss in both]
    found += [METHODS[loss] for loss in losses if loss in METHODS]
    return [verb for verb in ("dissect", "entangle", "parts", "graph") if verb in found]


def _files(results: Sequence[Any], page: Page) -> list[Path]:
    folders = [page.results / result_folder_name(result) for result in results]
    return [folder / name for folder in folders for name in FILES if (folder / name).is_file()]


OFFER = Section(title="How to repeat it", needs=(ANY,), order=900, render=render, scope="run")
