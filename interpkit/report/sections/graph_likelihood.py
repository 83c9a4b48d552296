"""How well each layer's nodes explain its maps, iteration by iteration."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from interpkit.plot import COLOURS
from interpkit.report.curves import Panel, Series, draw_panel
from interpkit.report.page import Page, Section
from interpkit.results import ExplanatoryGraph, GraphLayer


def render(results: Sequence[ExplanatoryGraph], page: Page) -> Markup:
    """A chart a layer, topmost first: their likelihoods have scales of their own."""
    result = results[0]
    shown = [panel for one in reversed(result.layers) if (panel := _panel(one))]
    values = {"panels": shown, "colour": COLOURS["part"], "several": len(result.layers) > 1}
    return page.render("graph_likelihood.html", values) if shown else Markup()


def _panel(layer: GraphLayer) -> Panel | None:
    # Four digits before the point would not fit beside a chart.
    many = np.abs(layer.likelihood).max(initial=0) >= 1000
    iterations = np.arange(len(layer.likelihood), dtype=np.float64)
    title = f"{layer.layer}: log-likelihood of an image, {'thousand ' if many else ''}nats"
    series = Series("", iterations, layer.likelihood / (1000 if many else 1), "main")
    return draw_panel(title, [series], zero=False, by="iteration")


OFFER = Section(title="How the fit went", needs=(ExplanatoryGraph,), order=570, render=render)
