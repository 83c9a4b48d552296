"""What notebooks show: results, probes and label sets by themselves, and progress under a cell."""

import io
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from class_sets import listed_set
from labels_on_disk import photograph, write_csv
from made_comparison import comparison, small_finetuning
from made_entanglement import entanglement
from made_graph import graph
from made_pages import EVIL, detecting
from made_parts import partscores
from pages import having, read
from rich.console import Console
from small_networks import probe, small_network
from torch import Tensor, nn

import interpkit
from interpkit import LabelSet, Probe, _plugins, load_model
from interpkit.running import bars

MAKERS: dict[str, Callable[[], Any]] = {
    "dissection": detecting,
    "entanglement": entanglement,
    "partscores": partscores,
    "explanatorygraph": graph,
    "finetuning": small_finetuning,
    "comparison": comparison,
}


def shown(thing: Any) -> str:
    """The HTML of a thing: well-formed, still, and in the colours of whatever is around it."""
    html = thing._repr_html_()
    for element in read(html):
        assert element.tag not in {"script", "style", "link", "img", "iframe", "object"}
        assert not {"bgcolor", "color", "src", "href", "id"} & set(element.attributes)
        assert element.attributes.get("style", "text-align: right;") == "text-align: right;"
        assert not [name for name in element.attributes if name.startswith("on")]
    return html


@pytest.mark.parametrize("name", _plugins.names("interpkit.results"))
def test_every_kind_of_result_shows_itself(name: str) -> None:
    assert callable(_plugins.load("interpkit.results", name)._repr_html_)


@pytest.mark.parametrize("name", list(MAKERS))
def test_names_are_shown_as_text_whatever_they_hold(name: str) -> None:
    result = MAKERS[name]()
    made = replace(result.provenance, model=f"m{EVIL}", labels=f"l{EVIL}")
    html = shown(replace(result, provenance=made))
    assert "m&lt;script&gt;" in html
    assert name == "explanatorygraph" or "l&lt;script&gt;" in html


@pytest.mark.parametrize("name", list(MAKERS))
def test_in_text_a_result_is_one_line(name: str) -> None:
    result = MAKERS[name]()
    made = replace(result.provenance, model="net", labels="set")
    said = f"<{type(result).__name__} of net, {result.layer}, on set>"
    assert repr(replace(result, provenance=made)) == said


def test_a_hostile_layer_class_and_concept_are_text_too() -> None:
    assert "&lt;script&gt;" in shown(detecting())
    assert "c&lt;script&gt;" in shown(replace(graph(), class_name=f"c{EVIL}"))
    assert "o&lt;script&gt;" in shown(replace(comparison(), columns=("a", f"o{EVIL}")))
    for make in (detecting, entanglement, partscores):
        assert "y&lt;script&gt;" in shown(replace(make(), layer=f"y{EVIL}"))


def test_a_probe_shows_its_network_and_the_shapes_of_its_layers() -> None:
    looking = probe(("early", "norm"))
    rows = [one.content for one in having(read(shown(looking)), "tr")]
    assert rows == ["layerunitsmap", "early616 x 16", "norm88 x 8"]
    assert "on cpu, input 32 x 32, " in shown(looking)
    assert repr(looking) == f"Probe({looking.loaded.name!r}, ['early', 'norm'])"


class Picky(nn.Module):
    """Refuses images that are blank."""

    def __init__(self) -> None:
        super().__init__()
        self.net = small_network()

    def forward(self, images: Tensor) -> Tensor:
        if not images.any():
            raise ValueError("nothing to see")
        return self.net(images)


def test_a_probe_whose_shapes_are_not_known_yet_shows_its_layers() -> None:
    html = shown(Probe(load_model(Picky(), size=32), "net.late"))
    assert "<p>net.late</p>" in html
    assert "<table" not in html


def test_looking_at_a_probe_leaves_the_network_as_it_was() -> None:
    net = small_network().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    shown(Probe(load_model(net, size=32), "norm"))
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_label_set_shows_what_it_holds(tmp_path: Path) -> None:
    labels = listed_set(tmp_path / "set", images=6)
    (tmp_path / "set" / "manifest.toml").write_text(f'layout = "broden"\nlicence = "CC <b>"\nname = "{EVIL[:8]}"\n')
    write_csv(tmp_path / "set" / "landmarks.csv", ["image", "eye_row", "eye_col"], [["00.png", 1, 2]])
    labels = LabelSet.open(tmp_path / "set")
    html = shown(labels)
    assert html.startswith("<p><b>&lt;script&gt;</b> (broden): 6 images, 4 concepts labelled on 16 x 16 pixels, ")
    assert "3 classes, 1 landmarks. Licence: CC &lt;b&gt;." in html
    rows = [one.content.split() for one in having(read(html), "tr")]
    part = ["part", "3", "name3,", "name4,", "name9"]
    assert rows == [["category", "concepts", "examples"], ["object", "1", "name1"], part]
    assert "2 of 6 images, " in shown(labels.select(limit=2))


def test_images_alone_are_shown_without_being_read(tmp_path: Path) -> None:
    photograph(tmp_path / "bare" / "a.png")
    (tmp_path / "bare" / "b.png").write_bytes(b"no image")
    assert shown(LabelSet.open(tmp_path / "bare")) == "<p><b>bare</b> (images): 2 images.</p>"


class Notebook(ModuleType):
    """Stands for IPython.display: keeps each picture that is drawn."""

    def __init__(self) -> None:
        super().__init__("IPython.display")
        self.drawn: list[str] = []

    def HTML(self, html: str) -> str:  # noqa: N802 - IPython's name
        return html

    def display(self, html: str, *, display_id: bool) -> "Notebook":
        assert display_id
        self.update(html)
        return self

    def update(self, html: str) -> None:
        self.drawn.append(html)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    display = Notebook()
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(bars, "Console", lambda **options: Console(force_jupyter=True, **options))
    return display


def test_progress_is_a_line_a_stage_under_a_cell(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 0.1, 10.0, 10.1, 12.1])
    monkeypatch.setattr(bars.time, "monotonic", lambda: next(now))
    with interpkit.progress() as show:
        for stage, done in (("first", 0), ("first", 1), ("first", 40), ("<i>", 0), ("<i>", 60)):
            show(stage, done, 60)
    for html in notebook.drawn[1:]:
        read(html)
    assert len(notebook.drawn) == 1 + 3 + 1, "drawn at the first call, after 10 s, after 2 s more, and at the end"
    assert re.findall(r'value="(\d+)"', notebook.drawn[2]) == ["40"]
    assert "<td>40 of 60</td><td>10.0 s, 5 s left</td>" in notebook.drawn[2]
    assert "<td>&lt;i&gt;</td>" in notebook.drawn[-1]
    assert "<td>60 of 60</td><td>2.0 s</td>" in notebook.drawn[-1]


def test_the_last_picture_is_drawn_also_when_a_run_fails(notebook: Notebook) -> None:
    def run() -> None:
        with interpkit.progress() as show:
            show("one", 1, 3)
            show("one", 2, 3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert "<td>2 of 3</td>" in notebook.drawn[-1]


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_on_a_terminal_and_in_a_log(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(bars, "Console", lambda stderr: Console(file=stream, force_terminal=terminal, width=100))
    with interpkit.progress() as show:
        show("counting", 3, 7)
        show("counting", 7, 7)
    said = stream.getvalue()
    assert ("counting" in said and "7/7" in said) if terminal else said.strip() == ""
