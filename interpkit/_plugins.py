"""A folder is a list: what stands in a package's folder is what is on offer."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from interpkit.errors import UnknownNameError, nearest


def names(package: str) -> list[str]:
    """Names on offer in ``package``, sorted, found by listing its folder without importing the files."""
    path = import_module(package).__path__
    return sorted(module.name for module in iter_modules(path) if not module.name.startswith("_"))


def load(package: str, name: str) -> Any:  # noqa: ANN401 - each folder offers its own type
    """The ``OFFER`` of the file ``name`` in ``package``.

    Raises
    ------
    UnknownNameError
        If the folder holds no such file; the message lists the nearest names.
    """
    have = names(package)
    if name not in have:
        close = ", ".join(nearest(name, have) or have)
        raise UnknownNameError(f"no {name!r} in {package}; there is {close}")
    return import_module(f"{package}.{name}").OFFER
