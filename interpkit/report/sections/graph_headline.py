"""The answer about part patterns: how steady, how pure and how useful they are, each beside its controls."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from interpkit.report.graphnumbers import compared_layers, helped, judged_on, large, localised
from interpkit.report.page import Page, Section
from interpkit.results import ExplanatoryGraph


def render(results: Sequence[ExplanatoryGraph], page: Page) -> Markup:
    """Three large numbers, and where edges help; counts alone where the set has no landmarks."""
    result = results[0]
    found = result.evaluation
    values = {
        "result": result,
        "filters": sum(len(one.filters) for one in result.layers),
        "idle": sum(int(one.idle.sum()) for one in result.layers),
        "doubles": sum(int((one.representative != np.arange(len(one))).sum()) for one in result.layers),
        "moved": [float(one.agreement[one.best(), 0].mean()) for one in result.layers if one.edges.size],
        "steady": large(result, "instability") if found else None,
        "pure": large(result, "pure") if found else None,
        "localised": localised(found) if found else None,
        "helped": helped(result),
        "on": judged_on(result),
        "compared": compared_layers(result),
        "over": _over_centre(result) if found else [],
    }
    return page.render("graph_headline.html", values)


def _over_centre(result: ExplanatoryGraph) -> list[str]:
    """Layers whose nodes are less steady than the image's centre, which looks at nothing."""
    assert result.evaluation is not None
    images = judged_on(result)
    return [
        one.layer
        for one in reversed(result.layers)
        if result.evaluation.at(one.layer, "graph", images=images)
        > result.evaluation.at(one.layer, "centre", images=images)
    ]


OFFER = Section(title="", needs=(ExplanatoryGraph,), order=500, render=render)
