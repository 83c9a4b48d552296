"""What pyproject.toml, constraints.txt and the other files at the top level promise each other."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINS = [
    line
    for line in (CHECKOUT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
# What runs a notebook: imported there alone, where it is.
HOSTS = {"ipython"}


def normal(requirement: str) -> str:
    """The distribution's name in the form in which all spellings of it are equal."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement)[0]).lower()


def imported_distributions() -> set[str]:
    """Distributions that the package imports, also where it does so inside functions."""
    found = set()
    for path in (CHECKOUT / "interpkit").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").partition(".")[0])
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "import_module":
                # torchvision and timm come in by name, through the one place that mends a broken install.
                found |= {str(name.value).partition(".")[0] for name in node.args if isinstance(name, ast.Constant)}
    owners = packages_distributions()
    outside = found - set(sys.stdlib_module_names) - {"interpkit"}
    return {normal(owner) for name in outside for owner in owners.get(name, [name])[:1]}


@pytest.mark.parametrize(
    "requirement", [*PROJECT["dependencies"], *(name for extra in EXTRAS.values() for name in extra)]
)
def test_every_direct_dependency_is_pinned(requirement):
    assert [pin for pin in PINS if normal(pin) == normal(requirement)], f"{requirement} has no line in constraints.txt"


@pytest.mark.parametrize("pin", PINS)
def test_a_pin_is_exact_and_names_a_dependency(pin):
    assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", pin), "one version, without a local part or an index"
    wanted = [*PROJECT["dependencies"], *(name for extra in EXTRAS.values() for name in extra)]
    assert normal(pin) in {normal(requirement) for requirement in wanted}


def test_what_is_imported_is_declared():
    declared = {normal(name) for name in [*PROJECT["dependencies"], *EXTRAS["zoo"]]}
    assert imported_distributions() <= declared | HOSTS


def test_what_is_declared_is_imported():
    assert {normal(name) for name in PROJECT["dependencies"]} <= imported_distributions()


def test_torch_is_held_at_the_tested_version():
    assert {"torch==2.13.0", "torchvision==0.28.0"} <= set(PINS)


@pytest.mark.parametrize("file", ["Makefile", ".ci/run"])
def test_every_install_is_constrained(file):
    installs = [line for line in (CHECKOUT / file).read_text(encoding="utf-8").splitlines() if "pip install" in line]
    assert all("-c constraints.txt" in line for line in installs)


def test_the_version_is_said_once_everywhere():
    version = PROJECT["version"]
    assert f"\nversion: {version}\n" in (CHECKOUT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{version}]" in (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
