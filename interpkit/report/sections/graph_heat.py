"""Where the stronger half of each layer's nodes lie on single images."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.report.matrices import overlay
from interpkit.report.page import Page, Section
from interpkit.results import ExplanatoryGraph


def render(results: Sequence[ExplanatoryGraph], page: Page) -> Markup:
    """An image a row: as it is, then with the patterns of each layer over it, topmost first."""
    result = results[0]
    shown = result.shown
    order = list(range(len(result.layers) - 1, -1, -1))
    rows = [
        (page.picture(name), [(result.layers[number].layer, overlay(heat[number])) for number in order])
        for name, heat in zip(shown.heat_images, shown.heat, strict=True)
    ]
    if not rows:
        return Markup()
    layers = [result.layers[number].layer for number in order]
    held_out = set(shown.heat_images) <= set(result.held_out)
    return page.render("graph_heat.html", {"rows": rows, "layers": layers, "held_out": held_out})


OFFER = Section(title="Where the patterns lie", needs=(ExplanatoryGraph,), order=540, render=render)
