"""docs/howto/compare.md: its Python runs, and what it says of the command is so."""

import re
from pathlib import Path

import pytest
from commands import runner
from howto import code_of
from made_beside import blocked, optioned

from interpkit.results import SideBySide, save

PAGE = "compare.md"


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the runs that the page names."""
    for seed, name in enumerate(("first", "second", "runs/e1", "runs/e5", "runs/e20")):
        save(blocked(seed), tmp_path / name / "layer")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_its_python_runs(there):
    (code,) = code_of(PAGE)
    found: dict[str, object] = {}
    exec(compile(code, PAGE, "exec"), found)
    assert isinstance(found["side"], SideBySide)
    assert found["side"].names == ("first", "second")


def test_the_command_over_checkpoints_gives_curves(there, capsys):
    text = code_of(PAGE, whole=True)
    names = re.search(r'interpkit compare (runs/e1 runs/e5 runs/e20) --names "([^"]+)"', text)
    assert names is not None
    status, _, _ = runner(capsys)("compare", *names[1].split(), "--names", names[2], "--out", "out")
    assert status == 0
    assert "Over the columns" in (there / "out" / "index.html").read_text(encoding="utf-8")


def test_the_refusal_is_the_one_shown(there, capsys):
    save(blocked(7, options=optioned(quantile=0.01)), there / "b" / "layer")
    save(blocked(8), there / "a" / "layer")
    shown = re.search(r"^interpkit: (a and b do not compare.*)$", code_of(PAGE, whole=True), re.MULTILINE)
    assert shown is not None
    status, _, err = runner(capsys)("compare", "a", "b", "--names", "a,b")
    assert (status, err.strip()) == (2, f"interpkit: {shown[1]}")
