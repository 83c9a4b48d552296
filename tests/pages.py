"""Reading a built page without a browser: its elements, how they nest, and what they refer to."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta"}


@dataclass(eq=False)
class Element:
    tag: str
    attributes: dict[str, str | None]
    text: list[str] = field(default_factory=list)
    inside: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        return "".join(self.text)


class Reader(HTMLParser):
    """Collects all elements; an end tag that closes another element than the innermost one is an error."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.stack: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> repeats an attribute: {names}"
        element = Element(tag, dict(attrs), inside=tuple(one.tag for one in self.stack))
        self.elements.append(element)
        if tag not in VOID:
            self.stack.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> at {self.getpos()} closes nothing"
        assert self.stack[-1].tag == tag, f"</{tag}> at {self.getpos()} closes <{self.stack[-1].tag}>"
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        for element in self.stack:
            element.text.append(data)


def read(html: str) -> list[Element]:
    """All elements of a well-formed page, in order."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.stack, f"never closed: {[one.tag for one in reader.stack]}"
    return reader.elements


def having(elements: list[Element], tag: str, *, kind: str = "") -> list[Element]:
    """The elements of a tag, or those of them that have a class."""
    found = [one for one in elements if one.tag == tag]
    return [one for one in found if kind in (one.attributes.get("class") or "").split()] if kind else found
