"""What a result is on disk: plain values, arrays, tables and pictures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Parts:
    """A result taken apart for storage.

    Attributes
    ----------
    about
        Values for result.json.
    arrays
        For scores.npz; no objects, so no pickle.
    tables
        Name -> table, written as CSV for people; not read back.
    documents
        Name -> JSON document in a file of its own.
    pictures
        Image name -> JPEG bytes.
    """

    about: Mapping[str, Any]
    arrays: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    documents: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)
