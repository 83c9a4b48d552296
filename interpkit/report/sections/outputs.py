"""How hard the outputs are: whether the network is sure of what it says."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import FineTuning


def render(results: Sequence[FineTuning], page: Page) -> Markup:
    """Three numbers, each beside what a network that knows nothing gives."""
    result = results[0]
    number = max(len(result.classes), 1)
    values = {
        "result": result,
        "top": 0.5 if result.multi else 1 / number,
        "entropy": math.log(2) if result.multi else math.log(number),
    }
    return page.render("outputs.html", values)


OFFER = Section(title="How hard the outputs are", needs=(FineTuning,), order=340, render=render)
