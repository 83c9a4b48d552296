"""The answer of columns side by side, and every measure with its change and intervals."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from interpkit.report.besides import besides, leading
from interpkit.report.formats import changed, measured
from interpkit.report.page import Page, Section
from interpkit.report.sides import colour
from interpkit.results import SideBySide, SideMeasure

# Columns with a large number of their own.
MOST = 6
RULES = {"top-label": "by top label", "every-category": "over every category"}


def render(results: Sequence[SideBySide], page: Page) -> Markup:
    """A sentence, a large number a column, and a table of measures."""
    result = results[0]
    first = leading(result)
    values = {
        "result": result,
        "first": first,
        "answer": _answer(result, first) if first else "",
        "large": besides(result, first)[:MOST] if first else [],
        "rows": [(one, besides(result, one), colour(one.group)) for one in result.measures],
    }
    return page.render("compare_headline.html", values)


def _answer(result: SideBySide, one: SideMeasure) -> str:
    """Who has most and who least; of two, whether the difference is more than the images explain."""
    values = np.array(one.values)
    title = one.title.lower() if not one.name.startswith("unique") else f"unique detectors {RULES[result.rule]}"
    if not np.isfinite(values).any():
        return ""
    if len(values) == 2 and np.isfinite(values).all():
        said = [f"{name} {measured(value, one.unit)}" for name, value in zip(result.names, one.values, strict=True)]
        return f"{title[0].upper()}{title[1:]}: {', '.join(said)}, a change of {_change(one)}."
    order = [int(n) for n in np.argsort(-values, kind="stable") if np.isfinite(values[n])]
    most, least = order[0], order[-1]
    return (
        f"Of {len(order)} columns, {result.names[most]} has the highest number, {measured(one.values[most], one.unit)} "
        f"{title}, and {result.names[least]} the lowest, {measured(one.values[least], one.unit)}."
    )


def _change(one: SideMeasure) -> str:
    said = changed(one.changes[1], one.unit)
    low, high = one.changes_low[1], one.changes_high[1]
    if not np.isfinite(low):
        return f"{said}; no interval is known"
    where = "which may be the images' doing" if low <= 0 <= high else "more than other images would explain"
    return f"{said} (95% interval {changed(low, one.unit)} to {changed(high, one.unit)}), {where}"


OFFER = Section(title="", needs=(SideBySide,), order=610, render=render)
