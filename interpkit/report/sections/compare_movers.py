"""The matched units that changed most, with the pictures of both columns."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.plot import COLOURS
from interpkit.report.cards import SHEET, unit_crops
from interpkit.report.formats import score
from interpkit.report.page import Page, Section
from interpkit.results import Movers, SideBySide


def render(results: Sequence[SideBySide], page: Page) -> Markup:
    """A card a unit, a row of pictures for each column."""
    result = results[0]
    if result.movers is None:
        return Markup()
    moved = result.movers
    cards = []
    for m, unit in enumerate(moved.units.tolist()):
        crops = [unit_crops(gallery, unit, page) for gallery in moved.galleries]
        rows = [(_words(result, moved, n=n, m=m), crops[n]) for n in range(2)]
        cards.append({"unit": unit, "rows": rows})
    values = {
        "result": result,
        "cards": cards,
        "sheet": SHEET,
        "colour": COLOURS["object"],
        "most": max((len(crops) for card in cards for _, crops in card["rows"]), default=0),
        "grid": moved.galleries[0].grid,
    }
    return page.render("compare_movers.html", values)


def _words(result: SideBySide, moved: Movers, *, n: int, m: int) -> str:
    concept, iou = moved.concepts[n][m], float(moved.iou[n, m])
    says = f"{concept or 'no concept'}, IoU {score(iou)}"
    return f"{result.names[n]}: {says}{'' if iou > result.iou_threshold else ', no detector'}"


OFFER = Section(title="The units that changed most", needs=(SideBySide,), order=650, render=render)
