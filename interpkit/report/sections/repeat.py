"""How the run was made, how to repeat it, what lies beside the page, what to cite."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from interpkit.report.kinds import ANY, by_kind
from interpkit.report.page import Page, Section
from interpkit.results import result_folder_name

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
}
FILES = {
    "units.csv": "",
    "information.csv": "what every unit knows about every class, in nats",
    "scores.npz": "every score and count, as NumPy arrays",
    "result.json": "how the run was made, in full",
    "outlines.json": "where each unit fires on its top images, as SVG paths",
    "gallery.json": "where the units shown here fire, as SVG paths",
}


def render(results: Sequence[Any], page: Page) -> Markup:
    """The command, the settings, the files and the references."""
    groups = by_kind(results)
    files = [(path, FILES[path.name] or UNITS[kind.verb]) for kind, of in groups for path in _files(of, page)]
    values = {
        "groups": groups,
        "made": results[0].provenance,
        "why": {kind.verb: WHY.get(of[0].provenance.options.get("align", ""), "") for kind, of in groups},
        "files": [(page.address(path), words) for path, words in files],
        "verbs": [kind.verb for kind, _ in groups],
    }
    return page.render("repeat.html", values)


def _files(results: Sequence[Any], page: Page) -> list[Path]:
    folders = [page.results / result_folder_name(result) for result in results]
    return [folder / name for folder in folders for name in FILES if (folder / name).is_file()]


OFFER = Section(title="How to repeat it", needs=(ANY,), order=900, render=render, scope="run")
