"""Every unit: a table to look things up in, and a card each to look at."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from markupsafe import Markup

from interpkit.plot import NONE, category_colours
from interpkit.report.page import Page, Section
from interpkit.results import Dissection

# Crops that stand in a row on every card; further ones open on demand.
ROW = 6
# Cards that are laid out together when they come near the screen.
SHEET = 24


def render(results: Sequence[Dissection], page: Page) -> Markup:
    """The finder, the table and the cards, by falling IoU, dead units last."""
    result = results[0]
    table = result.table().sort_values(["dead", "iou", "unit"], ascending=[True, False, True], kind="stable")
    units = table.to_dict(orient="records")
    chosen = [unit for unit in units if page.shows(result.layer, int(unit["unit"]))]
    shown = chosen[: page.cards(result.provenance.verb)]
    colours = {**category_colours(result.categories), "": NONE}
    found = result.by_concept()
    values = {
        "result": result,
        "units": units,
        "cards": (_card(result, unit, page=page, colours=colours) for unit in shown),
        "shown": len(shown),
        "chosen": len(chosen),
        "concepts": {c: found[found["category"] == c].to_dict(orient="records") for c in result.categories},
        "row": ROW,
        "sheet": SHEET,
    }
    return page.render("units.html", values)


def _card(result: Dissection, unit: dict[Hashable, Any], *, page: Page, colours: dict[str, str]) -> dict[str, Any]:
    top, number = result.top, unit["unit"]
    crops: Iterator[tuple[int, str]] = zip(top.image[number].tolist(), top.outlines[number], strict=True)
    shown = [] if unit["dead"] else [(page.picture(top.names[i]), path) for i, path in crops if i >= 0]
    best = [(c, unit[f"{c}_concept"], unit[f"{c}_iou"]) for c in result.categories]
    colour = colours[unit["category"]]
    return {"unit": unit, "crops": shown, "best": sorted(best, key=lambda entry: -entry[2]), "colour": colour}


OFFER = Section(title="Units", needs=(Dissection,), order=70, render=render)
