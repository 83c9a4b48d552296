"""The cure for a torchvision whose operators do not belong to the torch beside it, and the path without it."""

import subprocess
import sys
from pathlib import Path

import pytest

# Each path runs in an interpreter of its own: operators can be declared once in a process.
FAKE = """
import torch
{guard}
OPERATORS = "healthy"
"""
# What the failed import left in sys.modules would still say that there is no operator.
GUARD = """
from torchvision.extension import WHOLE
if not WHOLE:
    raise RuntimeError("operator torchvision::nms does not exist")
"""
HEALTHY = """
LIBRARY = torch.library.Library("torchvision", "DEF")
LIBRARY.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import torch
from interpkit.models import _torchvision
declared = []
original = torch.library.Library.define
def watched(self, schema, *rest, **more):
    declared.append(schema)
    return original(self, schema, *rest, **more)
torch.library.Library.define = watched
found = _torchvision.import_torchvision()
again = _torchvision.import_torchvision()
assert found is again is sys.modules["torchvision"]
assert found.models is sys.modules["torchvision.models"]
print(len([schema for schema in declared if "iou_threshold" in schema and "nms(" in schema]), found.OPERATORS)
"""


def run(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Import a stand-in for torchvision whose ``__init__`` is ``source``."""
    package = folder / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(source)
    (package / "models.py").write_text("")
    (package / "extension.py").write_text("import torch\nWHOLE = hasattr(torch.ops.torchvision, 'nms')\n")
    script = SCRIPT.format(folder=str(folder))
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_broken_pair_is_cured(tmp_path):
    done = run(tmp_path, FAKE.format(guard=GUARD))
    assert done.stdout.split() == ["2", "healthy"], done.stderr


def test_nothing_is_declared_on_a_healthy_install(tmp_path):
    done = run(tmp_path, FAKE.format(guard=HEALTHY))
    # The one declaration is the install's own; a second one of the same operator would raise.
    assert done.stdout.split() == ["1", "healthy"], done.stderr


def test_other_failures_are_not_hidden(tmp_path):
    done = run(tmp_path, "raise RuntimeError('operator torchvision::other does not exist')")
    assert "torchvision::other does not exist" in done.stderr
    assert done.stdout == ""


def test_missing_torchvision_is_one_line(tmp_path):
    script = (
        "import sys; sys.modules['torchvision'] = None\n"
        "from interpkit.errors import InterpkitError\nfrom interpkit.models import load_model\n"
        "try:\n    load_model('torchvision:resnet18@random')\nexcept InterpkitError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "torchvision: models need the package torchvision: pip install torchvision\n", done.stderr


def test_real_install_gives_its_models():
    from interpkit.models import import_torchvision

    assert "resnet18" in import_torchvision().models.list_models()


@pytest.mark.parametrize("name", ["torchvision", "timm"])
def test_only_one_file_imports(name):
    package = Path(__file__).parents[1] / "interpkit"
    importing = [
        path.name
        for path in package.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip().startswith((f"import {name}", f"from {name}"))
    ]
    assert importing == []
