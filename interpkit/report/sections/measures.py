"""Every measure of both networks, grouped, with its chance level and what its change means."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.report.sides import VERBS, at_chance, colour, groups, track
from interpkit.results import Comparison, Measure

VERDICTS = {"better": "better", "worse": "worse", "same": "the same", "neither": "no merit"}


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
    words = "not known" if unknown else VERDICTS[one.verdict]
    return {"one": one, "track": track(one), "verdict": words, "lucky": at_chance(one)}


OFFER = Section(title="Measure by measure", needs=(Comparison,), order=420, render=render)
