"""Whether two results hold the same numbers."""

from collections.abc import Collection
from dataclasses import fields
from typing import Any

import numpy as np

# Where the pictures lie, and how and when a run went, are no part of its numbers.
ASIDE = ("provenance", "pictures")


def assert_same(one: Any, other: Any, *, name: str = "result", but: Collection[str] = ()) -> None:
    """Equal in every field, arrays bit for bit; those named in ``but`` are left out."""
    if isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape), name
        assert one.tobytes() == other.tobytes(), name
    elif hasattr(one, "__dataclass_fields__"):
        assert type(one) is type(other), name
        for field in fields(one):
            if field.name not in but:
                assert_same(getattr(one, field.name), getattr(other, field.name), name=f"{name}.{field.name}")
    elif isinstance(one, tuple):
        assert type(one) is type(other), name
        assert len(one) == len(other), name
        for first, second in zip(one, other, strict=True):
            assert_same(first, second, name=name)
    else:
        np.testing.assert_equal(other, one, name)


def same_numbers(one: Any, other: Any, *, but: Collection[str] = ()) -> None:
    """Two results that differ in how and when they were made, and in nothing else."""
    assert_same(one, other, but=(*ASIDE, *but))
