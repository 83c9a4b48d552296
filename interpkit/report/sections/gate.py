"""What a gate has learnt: which units serve which classes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from interpkit.plot import OwnerBlocks
from interpkit.report.matrices import draw, side, singles
from interpkit.report.page import Page, Section
from interpkit.results import FineTuning

Floats = npt.NDArray[np.float64]

ROW, LEAST, MOST = 20, 120, 600


def render(results: Sequence[FineTuning], page: Page) -> Markup:
    """Classes as rows, units as columns by the class to which they are open widest."""
    result = results[0]
    found = []
    for name, gate in _gates(result).items():
        blocks = _blocks(gate)
        names = [*(result.classes[k] for k in blocks.classes), "no class"]
        units = side(blocks.units, names, blocks.sizes.tolist())
        open_to = (gate > 0).sum(1)
        found.append(
            {
                "name": name.removeprefix("gate").strip(". "),
                "drawing": draw(gate.T, singles(blocks.classes, result.classes), units, top=1.0),
                "units": len(gate),
                "density": float(gate.mean()),
                "one": int((open_to == 1).sum()),
                "none": int((open_to == 0).sum()),
                "mean": float(open_to.mean()),
                "empty": int((np.max(gate, axis=0) <= 0).sum()),
            }
        )
    height = min(max(ROW * len(result.classes), LEAST), MOST)
    return page.render("gate.html", {"result": result, "gates": found, "height": height}) if found else Markup()


def _gates(result: FineTuning) -> dict[str, Floats]:
    """What the training has learnt as gates: name -> (U, K), 0 closed to 1 open; empty without."""
    shape = (len(result.classes), result.units)
    found = {name: np.asarray(value, np.float64) for name, value in result.learnt.items() if name.startswith("gate")}
    turned = {name: gate.T if gate.shape == shape else gate for name, gate in found.items()}
    return {name: gate for name, gate in turned.items() if gate.shape == shape[::-1]}


def _blocks(gate: Floats) -> OwnerBlocks:
    """The order of the units of a gate (U, K) by the class to which they are open widest; those open to none last."""
    units, number = gate.shape
    owner = np.where(gate.max(1, initial=0) > 0, gate.argmax(1), number)
    counts = np.bincount(owner, minlength=number + 1)[:number]
    classes = np.argsort(-counts, kind="stable")
    rank = np.empty(number + 1, np.int64)
    rank[classes] = np.arange(number)
    rank[-1] = number
    order = np.lexsort((gate.sum(1), -gate.max(1, initial=0), rank[owner]))
    return OwnerBlocks(classes, order, np.append(counts[classes], units - counts.sum()))


OFFER = Section(title="What the gate has learnt", needs=(FineTuning,), order=350, render=render)
