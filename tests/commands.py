"""Running the command line in a test, and what it must look like when it says no."""

from collections.abc import Callable
from pathlib import Path

import pytest

from interpkit.cli import main

Run = Callable[..., tuple[int, str, str]]


def runner(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line: (exit status, standard output, standard error)."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


def refused(run: Run, *arguments: str | Path) -> str:
    """The one line with which a command refuses; nothing may be on standard output and nothing written."""
    before = sorted(Path.cwd().rglob("*"))
    status, out, err = run(*arguments)
    assert (status, out) == (2, ""), err
    said = [line for line in err.splitlines() if line.startswith("interpkit: ")]
    assert len(said) == 1
    assert err.splitlines()[-1] == said[0]
    left = [path for path in sorted(Path.cwd().rglob("*")) if path not in before and "__pycache__" not in path.parts]
    assert [path for path in left if path.name not in {"reports"} and path.is_file()] == []
    return said[0]
