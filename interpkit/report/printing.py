"""A run's folder -> its PDF, from the same page that opens in a browser."""

import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

from PIL import ImageFile

from interpkit.errors import InterpkitError, UnknownNameError
from interpkit.report.building import blank, document
from interpkit.report.page import PAPERS, Page
from interpkit.report.vectors import SVG, cut_at_edges, faint_words, steady_strokes
from interpkit.results import Subset, load_run
from interpkit.writing import writing, written

if TYPE_CHECKING:
    from weasyprint.urls import URLFetcherResponse

PDF = "report.pdf"
# How the run's own files are named inside the document: an address that leads nowhere else.
OWN = "run:"
# What only works on a screen.
INTERACTIVE = {"button", "form", "input", "script", "template"}
# Numbers that begin with a point, with what has to stay beside them; and what holds none that a line could break.
NUMBER = re.compile("(?<![\\w.])([-\N{MINUS SIGN}\N{PLUS-MINUS SIGN}(]?\\.\\d+\\S{0,2})")
WHOLE = {"head", "pre", "code", f"{SVG}svg"}


def build_pdf(run: str | Path, *, paper: str = "a4", units: Sequence[int] = (), concepts: Sequence[str] = ()) -> Path:
    """Write ``<run>/report.pdf`` from the results in ``run``; without torch and without network access.

    What it says is what the page says. What can be moved on the page stands still, at most a hundred units are shown
    as pictures, and every heading is in the table of contents and in the outline.

    Parameters
    ----------
    run
        A folder with one folder per layer and kind of result, and ``images/``.
    paper
        ``a4`` or ``letter``.
    units, concepts
        Show only these units of dissections as pictures, as in `build`.

    Raises
    ------
    UnknownNameError
        For another paper; if no layer has such a unit, or the label set no such concept.
    InterpkitError
        If Pango, which sets the text, is not installed; if there is no dissection to choose units from.
    ResultError
        If there is no result, or a damaged one.
    """
    check_paper(paper)
    weasyprint = _weasyprint()
    folder = Path(run)
    results = load_run(folder)
    page = blank(folder, results, paper=paper, subset=Subset(units=tuple(units), concepts=tuple(concepts)))
    html = weasyprint.HTML(string=document(results, page), url_fetcher=_fetcher(page))
    _prepare(html.etree_element)
    with writing(folder), written(folder / PDF) as part:
        html.write_pdf(part)
    return folder / PDF


def check_paper(paper: str) -> None:
    """Stop where a PDF cannot be made: before a long run, not after it.

    Raises
    ------
    UnknownNameError
        If ``paper`` is no size of paper that is known.
    InterpkitError
        If Pango is not installed.
    """
    if paper not in PAPERS:
        raise UnknownNameError(f"no paper {paper!r}; there is {' and '.join(PAPERS)}")
    _weasyprint()


def _weasyprint() -> ModuleType:
    """WeasyPrint, which looks for Pango as it is imported.

    It also tells Pillow to make up what is missing of images that were cut off, for the whole process: elsewhere such
    an image is an error, so that is put back.
    """
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        import weasyprint
    except OSError as error:
        raise InterpkitError(
            "a PDF needs Pango, which is not installed: on Debian and Ubuntu, apt-get install libpangoft2-1.0-0"
        ) from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
    module: ModuleType = weasyprint
    return module


def _fetcher(page: Page) -> Any:  # noqa: ANN401 - WeasyPrint has no types
    """What the document may read: the run's own files, and what it holds itself."""
    from weasyprint.urls import URLFetcher, URLFetcherResponse

    class OwnFiles(URLFetcher):  # type: ignore[misc]
        def fetch(self, url: str, headers: dict[str, str] | None = None) -> "URLFetcherResponse":
            """A picture of the run, or a data URI."""
            if not url.startswith(OWN):
                return super().fetch(url, headers)
            path = (page.folder / url.removeprefix(OWN)).resolve()
            if not path.is_relative_to(page.results.resolve()):
                raise ValueError(f"not a file of the run: {url}")
            return URLFetcherResponse(url, path.read_bytes(), {"Content-Type": "image/jpeg"})

    return OwnFiles(allowed_protocols=("data",))


def _prepare(root: Element) -> None:
    """Make a page for screens one for paper: in place."""
    _still(root)
    _addressed(root)
    for numbers in root.iter("dl"):
        if numbers.get("class", "").startswith("numbers"):
            for one in numbers:
                one[:] = sorted(one, key=lambda part: (part.tag == "dt") + 2 * (part.get("class") == "chance"))
    _unbroken(root)
    cut_at_edges(root)
    steady_strokes(root)
    faint_words(root)


def _still(root: Element) -> None:
    """Leave out what only works on a screen, but not the text that follows it."""
    for parent in list(root.iter()):
        for place, child in reversed(list(enumerate(parent))):
            if child.tag in INTERACTIVE:
                if place:
                    parent[place - 1].tail = (parent[place - 1].tail or "") + (child.tail or "")
                else:
                    parent.text = (parent.text or "") + (child.tail or "")
                parent.remove(child)


def _addressed(root: Element) -> None:
    """Name the run's pictures as the fetcher knows them; a link to a unit that is not shown is none."""
    there = {one.get("id") for one in root.iter()}
    for one in [*root.iter("a"), *root.iter(f"{SVG}a")]:
        address = one.get("href", "")
        if address.startswith("#") and address[1:] not in there:
            del one.attrib["href"]
    for tag, name in (("img", "src"), (f"{SVG}image", "href")):
        for one in root.iter(tag):
            address = one.get(name, "")
            if address and not address.startswith("data:"):
                one.set(name, OWN + address)


def _unbroken(element: Element) -> None:
    """Keep numbers in one piece: Pango would break a line between a point and the digits after it."""
    for child in element:
        if isinstance(child.tag, str) and child.tag not in WHOLE and child.get("class") != "units":
            _unbroken(child)
    for place in range(len(element) - 1, -1, -1):
        element[place].tail, made = _in_pieces(element[place].tail or "")
        element[place + 1 : place + 1] = made
    element.text, made = _in_pieces(element.text or "")
    element[0:0] = made


def _in_pieces(text: str) -> tuple[str, list[Element]]:
    """What stands before the first number, and each number with what follows it."""
    before, *rest = NUMBER.split(text)
    made = []
    for number, after in zip(rest[::2], rest[1::2], strict=True):
        piece = Element("span", {"class": "number"})
        piece.text, piece.tail = number, after
        made.append(piece)
    return before, made
