"""The one place through which torchvision and timm are imported."""

import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from types import ModuleType

import torch

from interpkit.errors import ModelError

_BROKEN_PAIR = "operator torchvision::nms does not exist"
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision() -> ModuleType:
    """Import ``torchvision`` with ``torchvision.models``, also next to a CPU build of torch.

    torchvision's wheel fails to import when its compiled operators do not belong to the torch that is installed. The
    models need none of these operators: declaring the two schemas that the import asks for is enough.

    Raises
    ------
    ModelError
        If torchvision is not installed.
    """
    try:
        return _import_models()
    except RuntimeError as error:
        if _BROKEN_PAIR not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    declare_operators()
    return _import_models()


def import_timm() -> ModuleType:
    """Import ``timm``, after torchvision, which it imports.

    Raises
    ------
    ModelError
        If timm is not installed.
    """
    import_torchvision()
    try:
        return import_module("timm")
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        message = "timm: models need the package timm: pip install 'interpkit-cnn[zoo]'"
        raise ModelError(message) from error


def prepare_torchvision() -> None:
    """Make torchvision importable for code of the user's own; nothing where it is not installed."""
    with suppress(ModelError):
        import_torchvision()


@cache
def declare_operators() -> torch.library.Library:
    """Declare ``torchvision::nms`` and ``torchvision::qnms``, once; the cache keeps the declaration alive."""
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    library.define("nms" + _SCHEMA)  # type: ignore[no-untyped-call]
    library.define("qnms" + _SCHEMA)  # type: ignore[no-untyped-call]
    return library


def _import_models() -> ModuleType:
    try:
        package = import_module("torchvision")
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise
        raise ModelError("torchvision: models need the package torchvision: pip install torchvision") from error
    import_module("torchvision.models")
    return package
