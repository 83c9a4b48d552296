"""How alike the units are, within and between the classes that own them."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from interpkit.plot import owner_blocks
from interpkit.report.matrices import draw, side
from interpkit.report.page import Page, Section
from interpkit.results import Entanglement

WORDS = {"correlation": "activations, |correlation|", "cosine": "weights, |cosine|"}


def render(results: Sequence[Entanglement], page: Page) -> Markup:
    """One or two matrices ordered by owner, and what they come to."""
    result = results[0]
    blocks = owner_blocks(result)
    units = side(blocks.units, [*(result.classes[k] for k in blocks.classes), "no class"], blocks.sizes.tolist())
    matrices = {"correlation": result.correlation, "cosine": result.cosine}
    values = {
        "result": result,
        "drawings": [
            (WORDS[name], draw(np.abs(matrix), units, units, top=1.0))
            for name, matrix in matrices.items()
            if matrix is not None
        ],
        "rows": [(WORDS[name], name) for name in matrices if f"{name}_within" in result.redundancy],
    }
    return page.render("similarity.html", values)


OFFER = Section(title="How alike the units are", needs=(Entanglement,), order=160, render=render)
