"""Whether a result that was read holds what its attributes say: a file may have been edited into anything."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd

# What an array's elements may be, by what is promised; a file may keep them narrower.
_KINDS: dict[type, str] = {np.floating: "fiu", np.unsignedinteger: "u", np.integer: "iu", np.bool_: "b"}
_PLAIN = "biufU"


def check_types(result: Any) -> None:  # noqa: ANN401 - any result type
    """Hold every attribute of a dataclass against its annotation, and so what lies in it.

    Raises
    ------
    ValueError
        Naming the first that is something else.
    """
    for name, kind in _hints(result.__class__).items():
        fault = _fault(getattr(result, name), kind)
        if fault is not None:
            raise ValueError(f"{name} {fault}")


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _fault(value: Any, kind: Any) -> str | None:  # noqa: ANN401 - any value, any annotation
    """What is wrong with a value; None if it is of the kind, as far as the annotation tells."""
    if kind is Any:
        return None
    origin = get_origin(kind)
    if origin in {Union, UnionType}:
        return None if any(_fault(value, one) is None for one in get_args(kind)) else _other(value)
    if origin is np.ndarray:
        return _array_fault(value, get_args(kind))
    if origin is tuple:
        return _tuple_fault(value, get_args(kind))
    if not isinstance(origin or kind, type):
        # A choice of words, say, which says itself what fits.
        return None if value in get_args(kind) else _other(value)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping_fault(value, get_args(kind))
    if origin is not None and issubclass(origin, Sequence):
        fits = isinstance(value, Sequence) and not isinstance(value, str)
        return _first(value, get_args(kind)[0]) if fits else _other(value)
    return _single_fault(value, kind)


def _single_fault(value: Any, kind: type) -> str | None:  # noqa: ANN401
    if kind is float:
        fits = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    elif kind is int:
        fits = isinstance(value, int | np.integer) and not isinstance(value, bool)
    elif kind is NoneType:
        fits = value is None
    else:
        fits = isinstance(value, kind)
    if not fits:
        return _other(value)
    if is_dataclass(kind):
        check_types(value)
    return None


def _array_fault(value: Any, kinds: Sequence[Any]) -> str | None:  # noqa: ANN401
    if not isinstance(value, np.ndarray):
        return _other(value)
    element = get_args(kinds[-1])[0]
    known = _KINDS if isinstance(element, type) else {}
    wanted = next((letters for kind, letters in known.items() if issubclass(element, kind)), _PLAIN)
    if value.dtype.kind in wanted:
        return None
    return f"is an array of {value.dtype}"


def _tuple_fault(value: Any, kinds: Sequence[Any]) -> str | None:  # noqa: ANN401
    if not isinstance(value, tuple):
        return _other(value)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return _first(value, kinds[0])
    if len(value) != len(kinds):
        return f"has {len(value)} values, not {len(kinds)}"
    return next((fault for one, kind in zip(value, kinds, strict=True) if (fault := _fault(one, kind))), None)


def _mapping_fault(value: Any, kinds: Sequence[Any]) -> str | None:  # noqa: ANN401
    if not isinstance(value, Mapping):
        return _other(value)
    # Pictures are files, read when they are asked for.
    return _first(list(value), kinds[0]) or (None if kinds[1] is bytes else _first(list(value.values()), kinds[1]))


def _first(values: Sequence[Any], kind: Any) -> str | None:  # noqa: ANN401
    return next((f"holds what {fault}" for one in values if (fault := _fault(one, kind))), None)


def _other(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, pd.DataFrame | np.ndarray):
        return f"is a {type(value).__name__}"
    return f"is {repr(value)[:60]}"
