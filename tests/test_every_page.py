"""Every kind of page with ordinary names and with harmful ones: valid, whole, legible, and quiet in a browser."""

import contextlib
import html
import io
import re
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from browsing import faults
from made_every import BACKWARDS, BINDING, EVERY, page_of, strange
from pages import Element, read
from tinyhtml5.parser import HTMLParser

from interpkit.cli._shown import show
from interpkit.strangers import escape, visible

Pages = dict[str, Path]
# Parts that are named by what refers to them.
REFERENCES = ("for", "aria-labelledby", "aria-describedby", "aria-controls")
ORDERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066\u2067]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def pages(folder: Path) -> Pages:
    """Each kind under ordinary names."""
    return {kind: page_of(make(), folder / kind / "run") for kind, make in EVERY.items()}


@pytest.fixture(scope="module")
def strange_pages(folder: Path) -> Pages:
    """Each kind under names that do harm where they are not taken for text."""
    return {kind: page_of(strange(make()), folder / f"strange {kind}" / "run") for kind, make in EVERY.items()}


@pytest.fixture(params=["ordinary", "strange"])
def both(request: pytest.FixtureRequest) -> Pages:
    name = {"ordinary": "pages", "strange": "strange_pages"}[request.param]
    found: Pages = request.getfixturevalue(name)
    return found


@cache
def parsed(page: Path) -> list[Element]:
    return read(page.read_text(encoding="utf-8"))


def test_no_page_breaks_the_grammar_of_html(strange_pages: Pages) -> None:
    for kind, page in strange_pages.items():
        parser = HTMLParser()
        parser.parse(page.read_text(encoding="utf-8"))
        assert (kind, parser.errors) == (kind, [])


def test_identifiers_are_unique_and_references_lead_somewhere(both: Pages) -> None:
    for kind, page in both.items():
        elements = parsed(page)
        ids = Counter(one.attributes["id"] for one in elements if "id" in one.attributes)
        assert (kind, [name for name, n in ids.items() if n > 1]) == (kind, [])
        asked = {name for one in elements for key in REFERENCES for name in (one.attributes.get(key) or "").split()}
        links = [one.attributes.get("href") or "" for one in elements if one.tag in {"a", "use"}]
        asked |= {link[1:] for link in links if link.startswith("#")}
        assert (kind, asked - set(ids)) == (kind, set())


def test_headings_do_not_leave_a_step_out(both: Pages) -> None:
    for kind, page in both.items():
        steps = [int(one.tag[1]) for one in parsed(page) if re.fullmatch("h[1-6]", one.tag)]
        assert (kind, steps[0], steps.count(1)) == (kind, 1, 1)
        assert (kind, [pair for pair in pairwise(steps) if pair[1] > pair[0] + 1]) == (kind, [])


def test_pictures_and_controls_have_names(both: Pages) -> None:
    for kind, page in both.items():
        for one in parsed(page):
            said = one.attributes.get("aria-label") or one.attributes.get("title")
            if one.tag == "img":
                # What is laid over a picture says nothing of its own.
                assert one.attributes.get("alt") or one.attributes.get("class") == "over", (kind, one.attributes)
            elif one.tag in {"input", "select"}:
                assert said or "label" in one.inside, (kind, one.attributes)
            elif one.tag == "button":
                assert said or one.content.strip(), kind
            elif one.tag == "nav" or one.attributes.get("role") in {"img", "region", "group", "search"}:
                assert said, (kind, one.tag, one.attributes)


@pytest.mark.parametrize(("width", "dark"), [(420, False), (1400, True)])
def test_the_browser_finds_nothing_wrong(chromium: Path, both: Pages, width: int, *, dark: bool) -> None:
    """No error, nothing fetched, nothing cut or too wide, and every text stands out 4.5 : 1 from its ground."""
    found = faults(chromium, both, width=width, dark=dark)
    assert found == {kind: [] for kind in both}


@pytest.mark.parametrize("dark", [False, True])
def test_low_contrast_would_be_found(chromium: Path, folder: Path, pages: Pages, *, dark: bool) -> None:
    page = folder / "pale" / "run" / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    pale = f"<style>:root{{--ink:{'#555' if dark else '#aaa'}}}</style></head>"
    page.write_text(pages["parts"].read_text().replace("</head>", pale))
    wide = page.parent.parent / "wide" / "index.html"
    wide.parent.mkdir(exist_ok=True)
    loud = '<p style="width:900px">x</p><script>console.error("loud")</script></main>'
    wide.write_text(pages["parts"].read_text().replace("</main>", loud))
    found = faults(chromium, {"pale": page, "wide": wide}, width=420, dark=dark)
    assert any(" H1 " in one for one in found["pale"])
    assert "loud" in found["wide"]
    assert any("wide on" in one for one in found["wide"])


def test_harmful_names_are_text(strange_pages: Pages) -> None:
    for kind, page in strange_pages.items():
        content = page.read_text(encoding="utf-8")
        assert (kind, ORDERS.findall(content)) == (kind, [])
        assert "<script>alert" not in content
    for kind in ("dissection", "entanglement", "parts", "graph", "columns", "judged", "training", "comparison"):
        content = strange_pages[kind].read_text(encoding="utf-8")
        assert escape(BACKWARDS) in content, kind
        assert "\\x1b[31mred" in content, kind
    # What is read from right to left is set apart from what stands around it.
    assert escape(BACKWARDS)[0] == "\N{FIRST STRONG ISOLATE}"


@pytest.mark.parametrize("kind", EVERY)
def test_harmful_names_do_nothing_to_a_terminal_or_a_notebook(kind: str) -> None:
    for result in strange(EVERY[kind]()):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            show(result)
        assert ORDERS.findall(said.getvalue()) == []
        assert "\t" not in said.getvalue()
        assert repr(result).isprintable()
        shown = result._repr_html_()
        assert ORDERS.findall(shown) == []
        assert "<script" not in shown
        HTMLParser().parse(f"<!doctype html><title>x</title>{shown}")
        if result.layer == BINDING or result.provenance.labels == BACKWARDS:
            assert visible(BACKWARDS) in html.unescape(shown) or kind in {
                "comparison",
                "two columns",
                "columns",
                "pair",
            }
