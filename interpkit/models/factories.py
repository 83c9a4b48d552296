"""Networks that a function of the user's own builds: ``python:package.module:factory``."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from pathlib import Path

from torch import nn

from interpkit.errors import ModelError, UnknownNameError, nearest
from interpkit.models._torchvision import prepare_torchvision
from interpkit.models.loaded import Built, short_name, unwrapped
from interpkit.models.seeds import fixed_seed
from interpkit.models.zoo import own_record


@contextmanager
def users_code() -> Iterator[None]:
    """Keep the current directory importable, and torchvision whole, while code of the user's own runs."""
    here = str(Path.cwd())
    prepare_torchvision()
    invalidate_caches()
    before = list(sys.path)
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path[:] = before


def build_python(spec: str) -> Built:
    """Call ``factory()`` of ``python:package.module:factory``; an error inside it keeps its traceback.

    Raises
    ------
    ModelError
        If module or factory do not exist, or no network comes back.
    """
    place, _, name = spec.removeprefix("python:").partition(":")
    if not place or not name:
        raise ModelError(f"{spec}: write python:package.module:factory")
    with users_code(), fixed_seed():
        factory = _find(spec, place, name)
        module = factory() if callable(factory) else factory
    if not isinstance(module, nn.Module):
        raise ModelError(f"{spec} gives a {type(module).__name__}, not a torch.nn.Module")
    note = f"{spec} is code of yours and ran; what it draws at random starts from seed 0"
    module = unwrapped(module).eval()
    return Built(module, "python", short_name(name), own_record(module), notes=(note,))


def _find(spec: str, place: str, name: str) -> object:
    try:
        module = import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not (place + ".").startswith(error.name + "."):
            raise
        raise ModelError(f"{spec}: no module {error.name!r} in the current directory or the environment") from error
    if not hasattr(module, name):
        have = [item for item in vars(module) if not item.startswith("_")]
        close = ", ".join(nearest(name, have)) or "nothing like it"
        raise UnknownNameError(f"{spec}: {place} has no {name!r}; it has {close}")
    return getattr(module, name)
