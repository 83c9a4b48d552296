"""What travels in the wheel, and what does not."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="the extra `dev` is not installed")

CHECKOUT = Path(__file__).resolve().parents[1]
MINI = CHECKOUT / "datasets" / "broden-mini"


@pytest.fixture(scope="module")
def names(tmp_path_factory) -> set[str]:
    """The names of the files in the wheel, built from this checkout without network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    assert wheel.name.startswith("interpkit_cnn-")
    assert wheel.stat().st_size < 16e6
    return set(zipfile.ZipFile(wheel).namelist())


def test_carries_the_embedded_label_set(names):
    programs = {".py", ".pyc"}
    data = {path for path in MINI.rglob("*") if path.is_file() and path.suffix not in programs}
    assert {"index.csv", "label.csv", "category.csv", "manifest.toml"} <= {path.name for path in data}
    assert {f"interpkit/datasets/broden-mini/{path.relative_to(MINI).as_posix()}" for path in data} <= names


def test_carries_what_says_where_the_others_are_to_be_had(names):
    for name in ("broden", "ade20k", "dtd", "cub-200-2011", "pascal-part"):
        assert f"interpkit/datasets/{name}/manifest.toml" in names
    assert "interpkit/datasets/ade20k/labels.csv" in names


def test_leaves_the_programs_that_drew_it_at_home(names):
    assert not [name for name in names if name.startswith("interpkit/datasets/") and name.endswith((".py", ".pyc"))]


def test_carries_the_package_whole(names):
    package = CHECKOUT / "interpkit"
    files = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {f"interpkit/{path.relative_to(package).as_posix()}" for path in files} <= names
    assert [name for name in names if name.startswith("interpkit/report/templates/")], "no report templates"
    assert "interpkit/py.typed" in names


def test_carries_nothing_else(names):
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"interpkit"}
    assert [name for name in names if name.endswith("/licenses/LICENSE")]
    assert not [name for name in names if "__pycache__" in name]
