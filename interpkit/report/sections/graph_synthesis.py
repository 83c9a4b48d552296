"""What images look like that are made from the features that the strongest nodes hold."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import ExplanatoryGraph


def render(results: Sequence[ExplanatoryGraph], page: Page) -> Markup:
    """Image, what a decoder makes of all its features, and of those of the strongest tenth of the nodes."""
    shown = results[0].shown
    if not shown.synthesis:
        return Markup()
    triples = [[page.picture(name) for name in triple] for triple in shown.synthesis]
    error, floor = shown.synthesis_error
    values = {"triples": triples, "layer": shown.synthesis_layer, "error": error, "floor": floor}
    return page.render("graph_synthesis.html", values)


OFFER = Section(title="Images from patterns alone", needs=(ExplanatoryGraph,), order=580, render=render)
