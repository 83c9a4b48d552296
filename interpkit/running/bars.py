"""Progress of a run: bars on a terminal, a line a stage in a notebook."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from interpkit.strangers import escape, visible

# Seconds between two pictures of a notebook's progress: each one is a message to the browser.
EVERY = 0.2


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """What ``progress=`` of every verb takes, shown where somebody can see it.

    On a terminal, bars with rate and time left on standard error; in a notebook, a line and a bar for each stage under
    the cell, without a widget and without network; elsewhere, such as in a log, nothing.

    Yields
    ------
    Callable[[str, int, int], None]
        Called as (stage, done, total).

    Examples
    --------
    >>> with progress() as show:
    ...     show("thresholds", 10, 60)
    """
    console = Console(stderr=True)
    with _in_notebook() if console.is_jupyter else _on_terminal(console) as show:
        yield show


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Images a second."""
        return Text(f"{task.speed or 0:5.1f} images/s")


@contextmanager
def _on_terminal(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    stage = TextColumn("{task.description:<11}", markup=False)
    columns = [stage, BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn()]
    tasks: dict[str, Any] = {}
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(visible(stage), total=total)
            bars.update(tasks[stage], completed=done)

        yield show


@dataclass
class _Stage:
    """How far one stage is, and when it began and was last heard of."""

    began: float
    heard: float
    done: int = 0
    total: int = 0

    def row(self, name: str) -> str:
        """HTML, without a colour of its own."""
        seconds = self.heard - self.began
        rate = self.done / seconds if seconds > 0 else 0.0
        left = f", {(self.total - self.done) / rate:,.0f} s left" if rate and self.done < self.total else ""
        bar = f'<progress max="{max(self.total, 1)}" value="{self.done}"></progress>'
        return (
            f"<tr><td>{escape(name)}</td><td>{bar}</td><td>{self.done:,} of {self.total:,}</td>"
            f"<td>{seconds:,.1f} s{left}</td></tr>"
        )


@dataclass
class _Lines:
    """The stages under a notebook's cell; ``draw`` puts HTML there."""

    draw: Callable[[str], None]
    stages: dict[str, _Stage] = field(default_factory=dict)
    drawn: float = float("-inf")

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Take note, and draw unless that was just done."""
        now = time.monotonic()
        mine = self.stages.setdefault(stage, _Stage(began=now, heard=now))
        mine.done, mine.total, mine.heard = done, total, now
        if now - self.drawn >= EVERY:
            self.show()
            self.drawn = now

    def show(self) -> None:
        """Draw all stages."""
        rows = "".join(one.row(name) for name, one in self.stages.items())
        self.draw(f"<table>{rows}</table>")


@contextmanager
def _in_notebook() -> Iterator[Callable[[str, int, int], None]]:
    # A notebook's kernel has IPython; nothing else needs it.
    shown = import_module("IPython.display")
    handle = shown.display(shown.HTML(""), display_id=True)
    lines = _Lines(lambda html: handle.update(shown.HTML(html)))
    try:
        yield lines
    finally:
        if lines.stages:
            lines.show()
