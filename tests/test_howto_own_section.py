"""The section that docs/howto/own_section.md shows: once its file is there, pages have it, escaped and in its place."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from howto import code_of, offered
from made_pages import EVIL, detecting
from made_parts import partscores
from pages import having, read

from interpkit import _plugins, build_report, save
from interpkit.report import sections

NAME, TITLE = "favourites", "Favourite images"
PAGE = "own_section.md"


@pytest.fixture
def favourites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The page's code as a file of the folder of sections; its name."""
    with offered(sections, NAME, code_of(PAGE)[0], folder=tmp_path / "more", monkeypatch=monkeypatch):
        yield NAME


@pytest.mark.usefixtures("favourites")
@pytest.mark.parametrize("single_file", [False, True])
def test_a_page_shows_it_between_its_neighbours(tmp_path: Path, *, single_file: bool) -> None:
    save(detecting(), tmp_path / "run" / "layer")
    page = build_report(tmp_path / "run", single_file=single_file)
    elements = read(page.read_text())
    titles = [one.content.strip() for one in having(elements, "h2")]
    assert titles[titles.index("By concept") : titles.index("Units") + 1] == ["By concept", TITLE, "Units"]
    items = [one.content for one in having(elements, "li") if "the top image of" in one.content]
    counts = detecting().table()["top_image"].value_counts()
    assert items == [f" {name}: the top image of {n} units" for name, n in counts.items()]
    assert any(EVIL in item for item in items), "somebody else's text is text"
    shown = [one for one in having(elements, "img") if one.attributes.get("width") == "96"]
    for image in shown:
        address = image.attributes["src"] or ""
        assert address.startswith("data:image/jpeg") if single_file else (page.parent / address).is_file()
    assert len(shown) == len(items)


@pytest.mark.usefixtures("favourites")
def test_a_page_without_what_it_needs_does_not_have_it(tmp_path: Path) -> None:
    save(partscores(), tmp_path / "run" / "layer-parts")
    assert TITLE not in build_report(tmp_path / "run").read_text()


def test_the_page_tells_the_orders_that_there_are() -> None:
    said = code_of(PAGE, whole=True)
    assert f"`{NAME}.py`" in said
    orders = [int(number) for number in "30 70 110 210 310 410 500 900".split()]
    assert all(str(number) in said for number in orders)
    have = {_plugins.load(sections.__name__, name).order for name in _plugins.names(sections.__name__)}
    assert have >= set(orders)
