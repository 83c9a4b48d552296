"""Published per-unit tables: what the reference code of Network Dissection wrote, read as one more network."""

import hashlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from interpkit.errors import ResultError, UnknownNameError, one_line
from interpkit.results.dissection import UNIQUE_RULES

# The IoU above which the paper calls a unit a detector.
PAPERS_IOU = 0.04
_NEEDED = ("unit", "category", "label", "score")


@dataclass(frozen=True, eq=False)
class PublishedTable:
    """The units of one layer as a table that somebody published, without the counts they rest on.

    Attributes
    ----------
    name
        The file's name without its ending.
    categories
        G categories, in the order of the file's columns.
    sha
        SHA-256 of the file.
    rows
        One row per unit, 0-based, in index order: ``unit``, ``concept``, ``category``, ``iou``, and per category
        ``<category>_concept`` and ``<category>_iou``. A unit without a concept has '' and 0.
    """

    name: str
    categories: tuple[str, ...]
    sha: str
    rows: pd.DataFrame

    @property
    def units(self) -> int:
        """U, the number of units."""
        return len(self.rows)

    def table(self) -> pd.DataFrame:
        """One row per unit, 0-based, in index order, with the columns of a dissection's table that the file has."""
        return self.rows

    def detectors(self, threshold: float = PAPERS_IOU) -> npt.NDArray[np.bool_]:
        """(U,) True where the unit's best IoU is above the threshold."""
        found: npt.NDArray[np.bool_] = (self.rows["iou"] > threshold).to_numpy(np.bool_)
        return found

    def unique(self, rule: str = "top-label", *, threshold: float = PAPERS_IOU) -> dict[str, int]:
        """Distinct concepts with a detector, per category, by a rule of `Dissection.unique`.

        Raises
        ------
        UnknownNameError
            If there is no such rule.
        """
        found = units_by_concept(self.rows, self.categories, rule=rule, threshold=threshold)
        return {name: sum(category == name for category, _ in found) for name in self.categories}


def units_by_concept(
    rows: pd.DataFrame, categories: Sequence[str], *, rule: str, threshold: float
) -> dict[tuple[str, str], int]:
    """How many units detect which concept.

    Parameters
    ----------
    rows
        A table with a row per unit, of a dissection or of a published file.
    rule
        ``top-label``: a unit counts for its best concept alone. ``every-category``: in each category whose best
        concept is above the threshold.

    Returns
    -------
    (category, concept) -> units, for concepts with any.

    Raises
    ------
    UnknownNameError
        If there is no such rule.
    """
    if rule not in UNIQUE_RULES:
        raise UnknownNameError(f"no rule {rule!r}; there is {', '.join(UNIQUE_RULES)}")
    if rule == "top-label":
        over = rows[(rows["iou"] > threshold) & (rows["concept"] != "")]
        pairs = list(zip(over["category"], over["concept"], strict=True))
    else:
        pairs = []
        for name in categories:
            over = rows[(rows[f"{name}_iou"] > threshold) & (rows[f"{name}_concept"] != "")]
            pairs += [(name, concept) for concept in over[f"{name}_concept"]]
    found: dict[tuple[str, str], int] = {}
    for category, concept in pairs:
        found[str(category), str(concept)] = found.get((str(category), str(concept)), 0) + 1
    return found


def read_published(path: str | Path) -> PublishedTable:
    """Read a per-unit table with the reference code's columns, such as a run's ``units.csv`` or a published file.

    The categories may stand in any order; an empty label means that the unit overlaps nothing. Only the columns
    ``unit``, ``category``, ``label``, ``score``, ``<category>-label`` and ``<category>-iou`` are read.

    Raises
    ------
    ResultError
        If the file cannot be read, a column is missing, an IoU is not between 0 and 1, or the units are not 1 to U,
        once each.
    """
    path = Path(path)
    try:
        # A pipe would be waited for without end.
        if path.exists() and not path.is_file():
            raise ResultError(f"{path} is not a file, so no per-unit table")
        content = path.read_bytes()
        table = _parsed(content)
    except (OSError, ValueError, pd.errors.ParserWarning) as error:
        raise ResultError(f"{path} cannot be read as a per-unit table: {one_line(error)}") from error
    columns = [str(name) for name in table.columns]
    categories = tuple(name.removesuffix("-label") for name in columns if name.endswith("-label"))
    needed = (*_NEEDED, *(f"{one}-iou" for one in categories))
    twice = next((name for name in (*needed, *(f"{one}-label" for one in categories)) if f"{name}.1" in columns), None)
    if twice is not None:
        raise ResultError(f"{path} has two columns {twice}")
    missing = [name for name in needed if name not in columns]
    if missing or not categories:
        lacks = ", ".join(missing) or "<category>-label"
        raise ResultError(f"{path} is no per-unit table of Network Dissection: it has no column {lacks}")
    try:
        rows = _rows(table, categories)
    except ValueError as error:
        raise ResultError(f"{path} holds what is no number: {one_line(error)}") from error
    if not np.array_equal(rows["unit"].to_numpy(), np.arange(len(rows))) or not len(rows):
        raise ResultError(f"{path} does not hold every unit from 1 on, once each")
    scores = rows[["iou", *(f"{name}_iou" for name in categories)]].to_numpy()
    # What is no number compares as neither.
    beyond = np.flatnonzero(~((scores >= 0) & (scores <= 1)).all(1))
    if len(beyond):
        raise ResultError(f"{path} holds an IoU that is not between 0 and 1, of unit {beyond[0] + 1:,}")
    return PublishedTable(path.stem, categories, hashlib.sha256(content).hexdigest(), rows)


def _parsed(content: bytes) -> pd.DataFrame:
    with warnings.catch_warnings():
        # Values past the last column would be dropped with no more than a warning.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(io.BytesIO(content), keep_default_na=False, dtype=str, encoding="utf-8", index_col=False)


def _rows(table: pd.DataFrame, categories: Sequence[str]) -> pd.DataFrame:
    """The units in index order, counted from 0."""
    numbers = table["unit"].astype(float)
    if not (numbers == numbers.round()).all() or not (numbers.abs() < 2**31).all():
        raise ValueError("a unit is no whole number")
    columns = {
        "unit": numbers.astype(np.int64) - 1,
        "concept": table["label"],
        "category": table["category"].where(table["label"] != "", ""),
        "iou": _scores(table["score"], table["label"]),
    }
    for name in categories:
        labels = table[f"{name}-label"]
        columns |= {f"{name}_concept": labels, f"{name}_iou": _scores(table[f"{name}-iou"], labels)}
    return pd.DataFrame(columns).sort_values("unit", kind="stable", ignore_index=True)


def _scores(values: "pd.Series[str]", labels: "pd.Series[str]") -> "pd.Series[float]":
    """Numbers, 0 where there is none or no label."""
    return values.where((values != "") & (labels != ""), "0").astype(np.float64)
