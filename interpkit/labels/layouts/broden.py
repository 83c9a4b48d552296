"""Broden's layout: index.csv, category.csv, label.csv, c_<category>.csv and images/ (Bau et al., CVPR 2017)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpkit.errors import LabelSetError
from interpkit.labels.contents import Cell, Contents, Layout, Source, numbering_of
from interpkit.labels.decoding import decode_unified
from interpkit.labels.findings import Complain, Finding
from interpkit.labels.tables import numbers, read_table, report_repeats, whole_numbers, without_escapes

_INDEX = "index.csv"
_LABELS = "label.csv"
_DIGITS = 10
_FIRST = ("image", "split", "ih", "iw", "sh", "sw")


def _recognises(root: Path, manifest: Mapping[str, Any]) -> bool:
    return (root / _INDEX).is_file() and ((root / _LABELS).is_file() or (root / "category.csv").is_file())


def _read(root: Path, manifest: Mapping[str, Any], complain: Complain) -> Contents:
    categories = tuple(read_table(root / "category.csv", ["name"])["name"])
    if not categories:
        raise LabelSetError("category.csv lists no category")
    concepts = _concepts(root, categories, complain)
    index = read_table(root / _INDEX, [*_FIRST, *categories])
    for column in ("image", *categories):
        index = without_escapes(index, column, file=_INDEX, complain=complain)
    index = _with_image(index, complain)
    for column in _FIRST[2:]:
        index[column] = whole_numbers(index, column, file=_INDEX, complain=complain)
    grid = _grid(index, complain)
    folder = root / manifest.get("images", "images")
    cells = {category: index[category].tolist() for category in categories}
    _whole_image_numbers(index, categories, known=set(concepts["number"]), complain=complain)
    source = Source(
        cells=_cells(list(cells.values())),
        decode=_decoder(folder, grid),
        numbering=numbering_of(concepts, categories),
        grid=grid,
        folder=folder,
        table=_LABELS,
    )
    tables = [root / name for name in (_INDEX, _LABELS, "category.csv", *(f"c_{name}.csv" for name in categories))]
    return Contents(index.drop(columns=list(categories)), folder, _INDEX, tuple(tables), concepts, categories, source)


def _concepts(root: Path, categories: Sequence[str], complain: Complain) -> pd.DataFrame:
    """Concepts by rising number, each with its primary category: where c_<category>.csv gives it the most coverage."""
    table = read_table(root / _LABELS, ["number", "name", "frequency", "coverage"])
    report_repeats(table, "number", file=_LABELS, complain=complain)
    table["number"] = whole_numbers(table, "number", file=_LABELS, complain=complain)
    for row in np.flatnonzero(table["number"] == 0):
        complain(Finding("number 0 means 'no label' and cannot be listed", _LABELS, int(table["line"].iloc[row])))
    frequency = whole_numbers(table, "frequency", file=_LABELS, complain=complain)
    coverage = numbers(table, "coverage", file=_LABELS, complain=complain)
    table = table[["number", "name", "line"]].assign(frequency=frequency, coverage=coverage)
    table = table[table["number"] > 0].drop_duplicates("number").sort_values("number", ignore_index=True)
    if table.empty:
        raise LabelSetError(f"{_LABELS} lists no label: the set promises labels and holds none")
    primary = _primary_categories(root, categories, complain)
    table["category"] = [primary.get(number, "") for number in table["number"]]
    for row in np.flatnonzero(table["category"] == ""):
        what = f"label {table['number'].iloc[row]} ({table['name'].iloc[row]}) stands in no c_<category>.csv"
        complain(Finding(what, _LABELS, int(table["line"].iloc[row])))
    return table.loc[table["category"] != "", ["number", "name", "category", "frequency", "coverage"]].reset_index(
        drop=True
    )


def _primary_categories(root: Path, categories: Sequence[str], complain: Complain) -> dict[int, str]:
    most: dict[int, tuple[float, str]] = {}
    for category in categories:
        file = f"c_{category}.csv"
        table = read_table(root / file, ["number", "coverage"])
        listed = whole_numbers(table, "number", file=file, complain=complain)
        coverage = numbers(table, "coverage", file=file, complain=complain)
        for number, share in zip(listed.tolist(), coverage.tolist(), strict=True):
            # >= : of two categories with the same coverage the later one in category.csv.
            if share >= most.get(number, (-1.0, ""))[0]:
                most[number] = (share, category)
    return {number: category for number, (_, category) in most.items()}


def _with_image(index: pd.DataFrame, complain: Complain) -> pd.DataFrame:
    for line in index.loc[index["image"] == "", "line"]:
        complain(Finding("names no image", _INDEX, int(line)))
    index = index[index["image"] != ""].reset_index(drop=True)
    if index.empty:
        raise LabelSetError(f"{_INDEX} lists no image")
    return index


def _grid(index: pd.DataFrame, complain: Complain) -> tuple[int, int]:
    sizes = list(zip(index["sh"].tolist(), index["sw"].tolist(), strict=True))
    counts = Counter(sizes)
    sh, sw = max(counts, key=lambda size: (counts[size], size))
    if sh < 1 or sw < 1:
        raise LabelSetError(f"{_INDEX} gives sh x sw = {sh} x {sw} as the size of its label maps")
    for row in np.flatnonzero((index["sh"] != sh) | (index["sw"] != sw)):
        here = f"{index['sh'].iloc[row]} x {index['sw'].iloc[row]}"
        what = f"sh x sw is {here} where the other rows have {sh} x {sw}; a set has one label grid"
        complain(Finding(what, _INDEX, int(index["line"].iloc[row])))
    return sh, sw


def _whole_image_numbers(
    index: pd.DataFrame, categories: Sequence[str], *, known: set[int], complain: Complain
) -> None:
    """Complain of whole-image numbers that label.csv does not list, and of a set without any label."""
    labelled = False
    for category in categories:
        first = dict(zip(index[category][::-1], index["line"][::-1], strict=True))
        for cell in index[category].unique():
            if not cell[:1].isdecimal() and ";" not in cell:  # one file or nothing, as most cells are
                labelled = labelled or bool(cell)
                continue
            whole, files = _parsed(cell)
            labelled = labelled or bool(files or whole)
            for number in whole:
                if number not in known:
                    what = f"{category} is number {number}, which {_LABELS} does not list"
                    complain(Finding(what, _INDEX, int(first[cell])))
    if not labelled:
        raise LabelSetError(f"the set promises labels and holds none: {_INDEX} has only empty cells in its categories")


def _parsed(cell: str) -> tuple[list[int], list[str]]:
    """Split a cell of index.csv: numbers are whole-image labels (0 is none), anything else is a file."""
    items = [item for item in cell.split(";") if item]
    # Of so many digits no number is listed, and Python takes none of some thousands.
    whole = [int(item[:_DIGITS]) for item in items if item.isdecimal()]
    return [number for number in whole if number], [item for item in items if not item.isdecimal()]


def _cells(columns: Sequence[Sequence[str]]) -> Callable[[int], list[Cell]]:
    def cells(row: int) -> list[Cell]:
        return [Cell(g, *_parsed(column[row])) for g, column in enumerate(columns) if column[row]]

    return cells


def _decoder(folder: Path, grid: tuple[int, int]) -> Callable[[str, str], NDArray[Any]]:
    def decode(file: str, image: str) -> NDArray[Any]:
        found = decode_unified(folder / file)
        if found.shape != grid:
            size = f"{found.shape[0]} x {found.shape[1]}"
            raise LabelSetError(f"is {size} pixels where {_INDEX} says {grid[0]} x {grid[1]}")
        return found

    return decode


OFFER = Layout("broden", 10, "index.csv, category.csv, label.csv, c_<category>.csv and images/", _recognises, _read)
