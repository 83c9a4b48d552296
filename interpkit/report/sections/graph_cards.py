"""The nodes that are drawn, one card each: the patches of the images on which they are strongest."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from interpkit.plot import COLOURS
from interpkit.report.graphs import Bonds, Knot, bonds, part_of
from interpkit.report.page import Page, Section
from interpkit.results import ExplanatoryGraph


def render(results: Sequence[ExplanatoryGraph], page: Page) -> Markup:
    """Six patches in a row before any number, layer by layer from the topmost down."""
    result = results[0]
    made = bonds(result)
    if not made.longest:
        return Markup()
    rows = [(result.layers[row[0].layer].layer, [_card(result, made, knot) for knot in row]) for row in made.rows]
    values = {
        "result": result,
        "rows": rows,
        "floors": _floors(result),
        "strips": [page.picture(name) for name in result.shown.strips],
        "place": page.place(result.layer),
        "colour": COLOURS["part"],
    }
    return page.render("graph_cards.html", values)


def _floors(result: ExplanatoryGraph) -> list[float]:
    """The instability of the image's centre on the training images, rising; empty where it was not measured."""
    if result.evaluation is None:
        return []
    values = [result.evaluation.at(one.layer, "centre", images="training") for one in result.layers]
    return sorted({value for value in values if np.isfinite(value)})


def _card(result: ExplanatoryGraph, made: Bonds, knot: Knot) -> dict[str, Any]:
    one, node = result.layers[knot.layer], knot.node
    return {
        "knot": knot,
        "ties": made.above(knot),
        "hangers": [tie for tie in made.ties if tie.above == knot],
        "unit": int(one.filter[node]),
        "near": part_of(result, knot.layer, node, least=0.5),
        "purity": float(one.purity[node]),
        "instability": float(one.instability[node]),
        "sigma": float(one.sigma[node]),
        "names": result.shown.images[knot.card],
    }


OFFER = Section(title="The patterns to look at", needs=(ExplanatoryGraph,), order=530, render=render)
