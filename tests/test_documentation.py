"""What the pages say of the command line and of Python is there."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch
from small_networks import probe, small_set
from typer.main import get_command

import interpkit
from interpkit import LabelSet, dissect, plot
from interpkit.cli import app

CHECKOUT = Path(__file__).resolve().parents[1]
DOCS = CHECKOUT / "docs"
PAGES = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for path in (CHECKOUT / "README.md", *DOCS.rglob("*.md"))
    if "_build" not in path.parts and "jupyter_execute" not in path.parts
)
# Of other programs that the pages call.
ELSEWHERE = {"--nproc-per-node", "--seeds"}


def commands() -> dict[str, object]:
    """Every command by the words after ``interpkit``."""
    left, found = {"": get_command(app)}, {}
    while left:
        words, command = left.popitem()
        inside = getattr(command, "commands", None)
        if inside is None:
            found[words] = command
        else:
            left |= {f"{words} {name}".strip(): one for name, one in inside.items()}
    return found


def documented() -> set[str]:
    """What the reference of Python has an entry for, with its module."""
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\.\. auto(?:function|class|module):: interpkit\.([\w.]+)$", page, flags=re.MULTILINE))


def options() -> set[str]:
    """Every long option of every command."""
    commands, found = [get_command(app)], set()
    while commands:
        command = commands.pop()
        found |= {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        commands += getattr(command, "commands", {}).values()
    return {name for name in found if name.startswith("--")}


@pytest.mark.parametrize("page", PAGES)
def test_every_option_that_a_page_names_exists(page: str) -> None:
    said = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", (CHECKOUT / page).read_text(encoding="utf-8")))
    assert said - ELSEWHERE - {"--help"} <= options()


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_shows_exists(page: str) -> None:
    commands = set(getattr(get_command(app), "commands", {}))
    said = re.findall(r"^\$ interpkit ([a-z]+)", (CHECKOUT / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(said) <= commands


def test_every_command_has_its_options_in_the_reference() -> None:
    page = (DOCS / "reference" / "options.md").read_text(encoding="utf-8")
    shown = re.findall(r"^## `interpkit ([a-z ]+)`\n\n```\{command\} ([a-z ]+)\n```$", page, flags=re.MULTILINE)
    assert [heading for heading, _ in shown] == [directive for _, directive in shown]
    assert sorted(heading for heading, _ in shown) == sorted(commands())


@pytest.fixture
def directive(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """What fills that page when the documentation is built."""
    pytest.importorskip("sphinx", reason="the extra `docs` is not installed")
    monkeypatch.syspath_prepend(DOCS / "_extensions")
    return import_module("command_tables")


@pytest.mark.parametrize("words", sorted(commands()))
def test_the_reference_says_of_a_command_what_its_help_says(directive: ModuleType, words: str) -> None:
    command = directive.found(words.split())
    rows = {name: (meaning, default) for name, meaning, default in directive.rows(command)}
    assert len(rows) == len(command.params)
    assert all(meaning for meaning, _ in rows.values())
    told = {name for row in rows for name in re.findall(r"--[a-z-]+", row)}
    assert told == {name for one in command.params for name in (*one.opts, *one.secondary_opts) if name[:2] == "--"}


def test_the_reference_has_the_defaults(directive: ModuleType) -> None:
    rows = {name: default for name, _, default in directive.rows(directive.found(["dissect"]))}
    said = [rows[name] for name in ("--iou IOU", "--labels PATH|NAME", "--pdf", "--limit LIMIT", "--seed SEED")]
    assert said == ["0.04", "broden-mini", "", "", "0"]
    assert rows["--report / --no-report"] == "--report"


@pytest.mark.parametrize("name", interpkit.__all__)
def test_every_public_name_is_in_the_reference(name: str) -> None:
    value = getattr(interpkit, name)
    entries = {value.__name__, "errors"} if name == "InterpkitError" else {value.__name__}
    assert {entry.rpartition(".")[2] for entry in documented()} & entries


def test_every_figure_is_in_the_reference_and_on_the_page_for_notebooks() -> None:
    functions = [name for name in plot.__all__ if inspect.isfunction(getattr(plot, name))]
    figures = [name for name in functions if "ax" in inspect.signature(getattr(plot, name)).parameters]
    assert len(figures) > 10
    assert {f"plot.{name}" for name in figures} <= documented()
    page = (DOCS / "howto" / "notebooks.md").read_text(encoding="utf-8")
    table = "".join(line for line in page.splitlines() if line.startswith("|"))
    assert [name for name in figures if f"`{name}`" not in table] == []


def test_every_page_can_be_reached() -> None:
    listed = set(re.findall(r"^(?:[a-z]+/)?[a-z_]+$", (DOCS / "index.md").read_text(encoding="utf-8"), re.MULTILINE))
    there = {page.removeprefix("docs/").removesuffix(".md") for page in PAGES if page.startswith("docs/")}
    assert there - {"index"} == listed


def test_the_masks_of_the_questions_page_are_those_that_were_counted(tmp_path: Path) -> None:
    text = (DOCS / "faq.md").read_text(encoding="utf-8")
    (code,) = [one for one in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL) if "masks =" in one]
    looking, labels = probe(["norm"]), LabelSet.open(small_set(tmp_path / "set").root)
    result = dissect(looking, labels, batch_size=2, memory_format="contiguous", threads=1)
    images = torch.stack([torch.from_numpy(looking.preprocessing(labels.image(i))) for i in range(len(labels))])
    told = {"probe": looking, "images": images, "result": result}
    exec(code.replace('"layer4"', '"norm"'), told)
    on = told["masks"].sum((0, 2, 3)).numpy()
    live = ~result.silent & ~result.dead
    assert live.sum() > 4
    assert (on[live] == result.counts.state[1][live, -1]).all()
