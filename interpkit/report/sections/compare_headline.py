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
        return f"{title[0].upper()}{title[1:]}: {', '.join(said)}, a change of {_change(one)}.{_lucky(result, one)}"
    known = [n for n in range(len(values)) if np.isfinite(values[n])]
    most, least = (measured(float(end), one.unit) for end in (np.nanmax(values), np.nanmin(values)))
    above, below = (
        [result.names[n] for n in known if measured(one.values[n], one.unit) == end] for end in (most, least)
    )
    if most == least:
        return f"Of {len(known)} columns, all have the same number of {title}, {most}."
    return (
        f"Of {len(known)} columns, {_together(above)} the highest number, {most} {title}, and {_together(below)} the "
        f"lowest, {least}.{_clear(result, one)}{_lucky(result, one)}"
    )


def _together(names: Sequence[str]) -> str:
    return f"{names[0]} has" if len(names) == 1 else f"{_listed(names)} have"


def _listed(names: Sequence[str]) -> str:
    """The first three names, and how many more there are."""
    more = len(names) - 3
    shown = [*names[:3], f"{more:,} more"] if more > 0 else list(names)
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _clear(result: SideBySide, one: SideMeasure) -> str:
    """Which columns differ from the first by more than the images explain; '' where that is not known."""
    judged = [n for n in range(1, len(result.columns)) if np.isfinite(one.changes_low[n])]
    if not judged:
        return ""
    clear = [result.names[n] for n in judged if not one.changes_low[n] <= 0 <= one.changes_high[n]]
    verb = "differs" if len(clear) < 2 else "differ"
    return (
        f" {_listed(clear) if clear else 'None'} {verb} from {result.names[0]} by more than other images would explain."
    )


def _lucky(result: SideBySide, one: SideMeasure) -> str:
    """Which columns are no better than chance; '' for none."""
    names = [name for n, name in enumerate(result.names) if one.at_chance(n)]
    return f" {_listed(names)} {'is' if len(names) == 1 else 'are'} no better than chance." if names else ""


def _change(one: SideMeasure) -> str:
    said = changed(one.changes[1], one.unit)
    low, high = one.changes_low[1], one.changes_high[1]
    if not np.isfinite(low):
        return f"{said}; no interval is known"
    where = "which may be the images' doing" if low <= 0 <= high else "more than other images would explain"
    return f"{said} (95% interval {changed(low, one.unit)} to {changed(high, one.unit)}), {where}"


OFFER = Section(title="", needs=(SideBySide,), order=610, render=render)
