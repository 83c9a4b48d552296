"""SVG as a printer without a browser draws it.

WeasyPrint knows no ``vector-effect``, so a curve on a stretched field would be drawn with a stretched pen. Here the
field of such a drawing is made as large as the drawing, to a few per cent, and the pen keeps its width.
"""

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement

SVG = "{http://www.w3.org/2000/svg}"
# Widths of drawings in pixels, by what stands around them, as paper.css lays them out.
WHOLE, HALF = 567.0, 332.0
INSIDE = {"with-scale": 32.0, "with-names": 152.0}
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
STEP = re.compile(r"([MLHVCSQTZmlhvcsqtz])([^MLHVCSQTZmlhvcsqtz]*)")


def steady_strokes(root: Element) -> None:
    """Give every stretched field under ``root`` whose strokes shall keep their width the size that it is drawn at."""
    for drawing, around in _drawings(root, ()):
        width, height = _drawn(drawing, around)
        for field in drawing.iter(f"{SVG}svg"):
            if any(one.get("vector-effect") for one in field.findall(f".//{SVG}path")):
                _resize(field, width, height)


def cut_at_edges(root: Element) -> None:
    """Keep what is drawn over a picture inside of it: only a field within another is cut off at its edges."""
    for crop in root.iter("span"):
        drawing = crop.find(f"{SVG}svg") if crop.get("class") == "c" else None
        box = drawing.get("viewBox", "").split() if drawing is not None else []
        if drawing is not None and box[:2] == ["0", "0"]:
            inside = list(drawing)
            drawing[:] = []
            SubElement(drawing, f"{SVG}svg", {"width": box[2], "height": box[3]}).extend(inside)


def faint_words(root: Element) -> None:
    """Make the ink of faint words faint instead of the words.

    WeasyPrint cuts what has an opacity at the box in which it would stand were it written from its place to the right:
    words that end there or are turned would be gone.
    """
    for words in root.iter(f"{SVG}text"):
        if "opacity" in words.attrib:
            words.set("fill-opacity", words.attrib.pop("opacity"))


def _drawings(element: Element, around: Sequence[str]) -> list[tuple[Element, Sequence[str]]]:
    """The outermost SVGs, each with the classes of what stands around it."""
    if element.tag == f"{SVG}svg":
        return [(element, around)]
    inside = (*around, *element.get("class", "").split())
    return [found for child in element for found in _drawings(child, inside)]


def _drawn(drawing: Element, around: Sequence[str]) -> tuple[float, float]:
    """(width, height) in pixels of a drawing on paper, about."""
    width = HALF if {"pair", "panels"} & set(around) else WHOLE
    width -= sum(less for name, less in INSIDE.items() if name in around)
    height = drawing.get("height", "")
    return width, float(height) if height.replace(".", "").isdigit() else width


def _resize(field: Element, width: float, height: float) -> None:
    box = field.get("viewBox", "").split()
    if len(box) != 4 or field.get("preserveAspectRatio") != "none":
        return
    left, top, across, down = map(float, box)
    by = (width / across, height / down)
    for path in field.iter(f"{SVG}path"):
        path.set("d", stretched(path.get("d", ""), by))
    field.set("viewBox", f"{left * by[0]:g} {top * by[1]:g} {width:g} {height:g}")


def stretched(path: str, by: tuple[float, float]) -> str:
    """An SVG path without arcs, as many times as wide and as high.

    Examples
    --------
    >>> stretched("M0 10H50V2.5z", (4, 2))
    'M0 20H200V5z'
    """
    made = []
    for step in STEP.finditer(path):
        letter, numbers = step[1], [float(one) for one in NUMBER.findall(step[2])]
        only = {"H": (by[0],), "V": (by[1],)}.get(letter.upper(), by)
        made.append(letter + " ".join(f"{one * only[i % len(only)]:.6g}" for i, one in enumerate(numbers)))
    return "".join(made)
