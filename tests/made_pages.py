"""Results that make a full page: detectors, a stranger's names, pictures of several shapes."""

import io
from dataclasses import replace
from typing import Any

from made_results import NAMES, Names, Shown, dissection, provenance, random_cells
from PIL import Image

from interpkit.results import Dissection

EVIL = "<script>alert('x')</script>\"'&"
PICTURES = ["street/one.png", f"b/{EVIL}.png", "c.jpg"]


def jpeg(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(stream, "JPEG")
    return stream.getvalue()


def shown(units: int = 12, *, top: int = 8) -> Shown:
    """Lists of top images that end early for every third unit."""
    rows = [[-1 if unit % 3 == 0 and k >= 5 else (unit + k) % 3 for k in range(top)] for unit in range(units)]
    return Shown(PICTURES, rows, {name: jpeg(64, 64 - 16 * i) for i, name in enumerate(PICTURES)})


def detecting(seed: int = 0, **about: Any) -> Dissection:
    """Units that detect something; unit 3 is dead, and a stranger named a concept."""
    names = Names([(EVIL if name == "cat" else name, category) for name, category in NAMES.concepts], NAMES.categories)
    cells = random_cells(seed)
    cells.joint[4:, 0] = cells.truth[0] // 2
    return dissection(cells, names, shown=shown(), **about)


def many_units(units: int = 40) -> Dissection:
    """More units than one sheet of cards holds."""
    return dissection(random_cells(units=units), NAMES, shown=shown(units))


def unlabelled() -> Dissection:
    cells = random_cells()
    bare = replace(cells, joint=cells.joint[:, :0], truth=cells.truth[:0])
    bare = replace(bare, active=cells.active[:, -1:], pixels=cells.pixels[-1:])
    return replace(dissection(bare, Names([], []), shown=shown()), chance=None)


def three_layers() -> list[Dissection]:
    layers = ["features.3", EVIL, "head"]
    made = provenance(options={**provenance().options, "layers": layers})
    return [replace(detecting(i, made=made), layer=layer) for i, layer in enumerate(layers)]


def with_threshold(result: Dissection, iou: float) -> Dissection:
    made = result.provenance
    return replace(result, provenance=replace(made, options={**made.options, "iou": iou}))
