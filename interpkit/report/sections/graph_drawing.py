"""The graph itself: which part each node stands for, and how the parts of one layer hang on those above."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.plot import COLOURS
from interpkit.report.graphs import bonds, in_columns, in_rows
from interpkit.report.page import Page, Section
from interpkit.results import ExplanatoryGraph


def render(results: Sequence[ExplanatoryGraph], page: Page) -> Markup:
    """Layers as rows, nodes where their parts lie on the mean image with their best patches, the strongest edges."""
    result = results[0]
    made = bonds(result)
    if not made.longest:
        return Markup()
    values = {
        "result": result,
        "bonds": made,
        "sketches": (in_rows(result, made), in_columns(result, made)),
        "mean": page.picture(result.shown.mean),
        "strips": [page.picture(name) for name in result.shown.strips],
        "place": page.place(result.layer),
        "colour": COLOURS["part"],
    }
    return page.render("graph_drawing.html", values)


OFFER = Section(title="The graph", needs=(ExplanatoryGraph,), order=510, render=render)
