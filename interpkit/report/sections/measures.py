"""Every measure of both networks, grouped, with its chance level and what its change means."""

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from interpkit.report.formats import measured
from interpkit.report.page import Page, Section
from interpkit.report.sides import VERBS, at_chance, colour, groups, track
from interpkit.results import Comparison, Measure


def render(results: Sequence[Comparison], page: Page) -> Markup:
    """One table; a line in each row shows before, after and chance."""
    result = results[0]
    if not result.measures:
        return Markup()
    parts = [
        {
            "name": group,
            "set": next((result.sets[verb] for verb in VERBS.get(group, ()) if verb in result.sets), ""),
            "colour": colour(group),
            "rows": [_row(one) for one in mine],
        }
        for group, mine in groups(result.measures).items()
    ]
    return page.render("measures.html", {"result": result, "parts": parts})


def _row(one: Measure) -> dict[str, Any]:
    unknown = one.before != one.before or one.after != one.after
    words = "not known" if unknown else one.said_verdict() or "no merit"
    return {"one": one, "track": track(one), "verdict": words, "lucky": at_chance(one), "least": _least(one)}


def _least(one: Measure) -> str:
    """Up to which change the verdict is that nothing changed; '' where every change counts, or none."""
    if one.better == "neither" or not one.least:
        return ""
    # Of whole numbers the largest that is not above it.
    return measured(math.floor(one.least) if one.unit == "count" else one.least, one.unit)


OFFER = Section(title="Measure by measure", needs=(Comparison,), order=420, render=render)
