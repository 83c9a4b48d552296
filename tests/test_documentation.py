"""What the pages say of the command line and of Python is there."""

import re
from pathlib import Path

import pytest
import torch
from small_networks import probe, small_set
from typer.main import get_command

from interpkit import LabelSet, dissect
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
