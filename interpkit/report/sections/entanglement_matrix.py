"""The matrix that carries the answer: what each unit knows about each class."""

from collections.abc import Sequence

from markupsafe import Markup

from interpkit.plot import owner_blocks
from interpkit.report.matrices import draw, side, singles
from interpkit.report.page import Page, Section
from interpkit.results import Entanglement

# Pixels of a row where there is room, and of the whole matrix.
ROW, LEAST, MOST = 20, 120, 600


def render(results: Sequence[Entanglement], page: Page) -> Markup:
    """Classes as rows, units as columns by the class that owns them."""
    result = results[0]
    blocks = owner_blocks(result)
    names = [*(result.classes[k] for k in blocks.classes), "no class"]
    units = side(blocks.units, names, blocks.sizes.tolist())
    values = {
        "result": result,
        "drawing": draw(result.information.T, singles(blocks.classes, result.classes), units),
        "height": min(max(ROW * len(result.classes), LEAST), MOST),
        "summary": result.summary(),
    }
    return page.render("entanglement_matrix.html", values)


OFFER = Section(title="What each unit knows about each class", needs=(Entanglement,), order=120, render=render)
