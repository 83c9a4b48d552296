"""What the same network detects before its training, beside what it detects now."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.report.page import Page, Section
from interpkit.results import Dissection, Untrained

ROWS = (
    ("detectors", "units that detect a concept"),
    ("unique_detectors_top_label", "unique detectors, top label"),
    ("unique_detectors_every_category", "unique detectors, every category"),
)


def render(results: Sequence[Dissection | Untrained], page: Page) -> Markup:
    """A row for each count: trained and untrained, each with its chance level."""
    trained = next(one for one in results if isinstance(one, Dissection))
    blank = next(one for one in results if isinstance(one, Untrained))
    pair = (trained.summary(), blank.summary())
    rows = [(words, [(found[key], found["chance"].get(key)) for found in pair]) for key, words in ROWS]
    return page.render("untrained.html", {"result": blank, "rows": rows, "pair": pair})


OFFER = Section(title="The same network, untrained", needs=(Dissection, Untrained), order=56, render=render)
