"""The answer of a comparison: what got better, what worse, and what it cost in accuracy."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from interpkit.report.formats import measured, number
from interpkit.report.page import Page, Section
from interpkit.report.sides import ASIDE, alike, at_chance, groups, judged
from interpkit.results import Comparison, Measure

# Large numbers, at most.
MOST = 4


def render(results: Sequence[Comparison], page: Page) -> Markup:
    """The answer in a sentence, large numbers beside before and chance, and what each measure did."""
    result = results[0]
    found = judged(result)
    large = [mine[0] for group, mine in groups(result.measures).items() if group not in ASIDE]
    accuracy = [one for one in result.measures if one.group == "Accuracy"][:1]
    values = {
        "result": result,
        "answer": _answer(found),
        "cost": _cost(accuracy[0], result.columns) if accuracy else "",
        "large": [*accuracy, *large][:MOST],
        "found": {verdict: mine for verdict, mine in found.items() if mine},
        "words": {"better": "Better", "worse": "Worse", "same": alike(found["same"]).capitalize()},
        "lucky": [one for mine in found.values() for one in mine if at_chance(one)],
        "pages": _pages(result, page),
    }
    return page.render("comparison_headline.html", values)


def _answer(found: dict[str, list[Measure]]) -> str:
    better, worse, same = (len(found[verdict]) for verdict in ("better", "worse", "same"))
    total = better + worse + same
    if not total:
        return "No measure of the units is known for both networks."
    many = f"{total} measures" if total > 1 else "the one measure"
    rest = [f"{worse} worse"] * bool(worse) + [f"{same} stayed {alike(found['same'])}"] * bool(same)
    first = f"Of {many} of the units, {better or 'none'} got better"
    return f"{first}{', ' if rest else ''}{' and '.join(rest)}."


def _cost(one: Measure, columns: tuple[str, str]) -> str:
    """What accuracy did, in a sentence."""
    before, after = measured(one.before, one.unit), measured(one.after, one.unit)
    if before == after:
        return f"Accuracy is the same, {after}."
    if one.verdict == "same":
        return f"Accuracy is about the same: {before} ({columns[0]}) and {after} ({columns[1]})."
    way = "fell" if one.after < one.before else "rose"
    said = "that is what it cost" if way == "fell" else "so nothing was paid for it"
    return f"Accuracy {way} by {number(abs(one.change))}, from {before} ({columns[0]}) to {after}: {said}."


def _pages(result: Comparison, page: Page) -> list[tuple[str, str]]:
    """(name, address) of the two networks' own pages that are there."""
    inside = [(name, Path(address)) for name, address in zip(result.columns, result.pages, strict=False)]
    paths = [(name, page.results / path) for name, path in inside if not path.is_absolute() and ".." not in path.parts]
    return [(name, quote(page.address(path))) for name, path in paths if path.is_file()]


OFFER = Section(title="", needs=(Comparison,), order=410, render=render)
