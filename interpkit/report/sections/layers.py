"""All layers of the run beside each other."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from interpkit.report.kinds import ANY, by_kind
from interpkit.report.page import Page, Section


def render(results: Sequence[Any], page: Page) -> Markup:
    """The headline numbers of each layer, a table for each kind; nothing for a single layer."""
    groups = [
        (kind, [(page.place(result.layer), result.summary()) for result in found], found[0])
        for kind, found in by_kind(results)
        if len(found) > 1 and kind.verb not in ("compare", "graph")
    ]
    several = len(by_kind(results)) > 1
    return page.render("layers.html", {"groups": groups, "several": several}) if groups else Markup()


OFFER = Section(title="Layers", needs=(ANY,), order=20, render=render, scope="run")
