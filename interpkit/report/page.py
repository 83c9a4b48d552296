"""What a section of a page is, and what it is given."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Literal

from jinja2 import Environment
from markupsafe import Markup

from interpkit.results import PICTURES, Subset, picture_file

# Sheets of paper: what CSS calls them, and the margins at their sides that leave both the same width to print on.
PAPERS = {"a4": ("A4", "12mm"), "letter": ("letter", "14.95mm")}
# Units that are shown as cards on paper; the table holds the others too.
MOST_CARDS = 100


@dataclass(frozen=True)
class Picture:
    """A source image as the page shows it.

    Attributes
    ----------
    name
        The image's path in the label set.
    href
        Where the page finds it: a relative address, or a data URI.
    size
        (width, height) in pixels.
    key
        Identifier in the page of a picture that is embedded once and shown often.
    """

    name: str
    href: str
    size: tuple[int, int]
    key: str


@dataclass(frozen=True)
class Page:
    """The page under construction: its templates and its pictures.

    Attributes
    ----------
    folder
        Where the page is written.
    results
        The folder that holds the results' folders and their pictures: ``folder``, or its parent for the page of one
        result alone.
    layers
        The layers of the run in their order; a layer's place in it is part of its units' anchors.
    verbs
        Which layer has a result of which verb, as pairs.
    single_file
        Pictures are embedded instead of referenced.
    paper
        The size of the sheets that it is printed on, a key of ``PAPERS``; empty for a page on a screen.
    subset
        Which units of dissections are shown as cards.
    chosen
        Layer -> those of its units; empty where all are.
    """

    folder: Path
    results: Path
    layers: tuple[str, ...]
    verbs: frozenset[tuple[str, str]]
    single_file: bool
    environment: Environment
    paper: str = ""
    subset: Subset = field(default_factory=Subset)
    chosen: Mapping[str, frozenset[int]] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)

    def render(self, template: str, values: Mapping[str, Any]) -> Markup:
        """The template ``templates/<template>`` filled with ``values``, escaped; ``page`` is this page."""
        return Markup(self.environment.get_template(template).render({"page": self, **values}))

    def picture(self, name: str) -> Picture:
        """The stored picture of the label set's image ``name``."""
        if name not in self.pictures:
            self.pictures[name] = self._read(name)
        return self.pictures[name]

    def cards(self, verb: str) -> int | None:
        """How many units of a layer's result of ``verb`` are shown as cards; None for all of them.

        On a screen all are there; on paper at most ``MOST_CARDS`` in all layers together.
        """
        return MOST_CARDS // max(sum(of == verb for _, of in self.verbs), 1) if self.paper else None

    def shows(self, layer: str, unit: int) -> bool:
        """Whether a unit of a dissected layer is among those chosen to be cards."""
        return not self.subset.wanted or unit in self.chosen[layer]

    def place(self, layer: str) -> int:
        """Place of a layer among those of the run."""
        return self.layers.index(layer)

    def address(self, path: Path) -> str:
        """``path``, a file of the run, relative to the page."""
        inside = path.relative_to(self.results).as_posix()
        return inside if self.folder == self.results else f"../{inside}"

    def _read(self, name: str) -> Picture:
        path = self.results / PICTURES / picture_file(name)
        content = path.read_bytes() if path.is_file() else b""
        href = f"data:image/jpeg;base64,{b64encode(content).decode()}" if self.single_file else self.address(path)
        return Picture(name=name, href=href, size=jpeg_size(content), key=f"p{len(self.pictures)}")


@dataclass(frozen=True)
class Section:
    """What one file of ``sections/`` offers. It formats what results say and computes nothing.

    Attributes
    ----------
    title
        Heading; empty for a section that needs none.
    needs
        Result types without which the section does not appear; of a union, one suffices.
    order
        Sections stand in rising order.
    render
        (results of the needed types, page) -> HTML; empty where there is nothing to say.
    scope
        ``layer``: rendered for each layer's results; ``run``: once for all results, before or after the layers.
    """

    title: str
    needs: tuple[type | UnionType, ...]
    order: int
    render: Callable[[Sequence[Any], Page], Markup]
    scope: Literal["run", "layer"] = "layer"

    def __call__(self, results: Sequence[Any], page: Page) -> Markup:
        """The section's HTML for those of ``results`` that it needs; empty where one type is missing."""
        fitting = [result for result in results if isinstance(result, self.needs)]
        if not all(any(isinstance(result, kind) for result in fitting) for kind in self.needs):
            return Markup()
        return self.render(fitting, page)


# JPEG start-of-frame markers (ITU-T T.81, table B.1): C0 to CF without C4 (tables), C8 (reserved), CC (arithmetic).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def jpeg_size(content: bytes) -> tuple[int, int]:
    """(width, height) from a JPEG's header; (1, 1) where there is none, so that a damaged picture is shown square."""
    place = 2
    while place + 9 <= len(content) and content[place] == 0xFF:
        if content[place + 1] in _FRAMES:
            height, width = (int.from_bytes(content[place + i : place + i + 2], "big") for i in (5, 7))
            return (width, height) if width and height else (1, 1)
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return 1, 1
