"""What the images of a class look like in the units."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from interpkit.plot import owner_blocks
from interpkit.report.matrices import draw, singles
from interpkit.report.page import Page, Section
from interpkit.results import Entanglement


def render(results: Sequence[Entanglement], page: Page) -> Markup:
    """Where a class's activation falls, and how alike the classes' mean activations are."""
    result = results[0]
    # Two classes are one number, which the headline tells as well.
    if len(result.classes) < 3:
        return Markup()
    classes = singles(owner_blocks(result).classes, result.classes)
    values = {
        "result": result,
        "mass": draw(result.mass, classes, classes),
        "profiles": draw(np.maximum(result.profile_correlation(), 0), classes, classes, top=1.0),
        "own": float(np.mean(np.diag(result.mass))),
    }
    return page.render("class_profiles.html", values)


OFFER = Section(title="What a class looks like in the units", needs=(Entanglement,), order=165, render=render)
