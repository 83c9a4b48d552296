"""How the run was made, how to repeat it, what lies beside the page, what to cite."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import Dissection, safe_name

WHY = {
    "half-pixel": "each cell stands for its share of the image, which is where trained networks look on average, "
    "whatever their padding",
    "receptive-field": "each cell lies at the middle of its receptive field, as in the paper",
    "effective": "each cell lies where the layer's gradients show that it looks",
}
FILES = {
    "units.csv": "best concept of every unit, in the published tables' columns; its units are numbered from 1",
    "scores.npz": "every score and count, as NumPy arrays",
    "result.json": "how the run was made, in full",
    "outlines.json": "where each unit fires on its top images, as SVG paths",
}


def render(results: Sequence[Dissection], page: Page) -> Markup:
    """The command, the settings, the files and the references."""
    first = results[0]
    files = [(path, FILES[path.name]) for result in results for path in _files(result, page)]
    values = {
        "results": results,
        "made": first.provenance,
        "why": WHY.get(first.provenance.options.get("align", ""), ""),
        "files": [(page.address(path), words) for path, words in files],
    }
    return page.render("repeat.html", values)


def _files(result: Dissection, page: Page) -> list[Path]:
    folder = page.results / safe_name(result.layer)
    return [folder / name for name in FILES if (folder / name).is_file()]


OFFER = Section(title="How to repeat it", needs=(Dissection,), order=90, render=render, scope="run")
