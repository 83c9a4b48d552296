"""What a layout's reader hands over, and the label maps of one image."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpkit.errors import LabelSetError
from interpkit.labels.findings import Complain, Finding
from interpkit.labels.inside import check_inside

NO_LABEL = -1
_UNKNOWN = -2


@dataclass(frozen=True, eq=False)
class ImageLabels:
    """The labels of one image on the label grid of sh x sw pixels.

    Attributes
    ----------
    layers
        (L, sh, sw) int32, L >= 0: the row of ``LabelSet.concepts`` that holds at a pixel, -1 where none does. No
        concept stands in two layers at one pixel, and none that is in ``whole`` stands in a layer: who counts every
        layer counts each pixel of a concept once.
    whole
        (K,) int32, distinct rows of ``LabelSet.concepts`` that hold for the whole image, in the order written.
    annotated
        (G,) bool: the image holds a label of category g, written as one of g's or having g as its primary category.
    """

    layers: NDArray[np.int32]
    whole: NDArray[np.int32]
    annotated: NDArray[np.bool_]


@dataclass(frozen=True)
class Cell:
    """Labels of one image: numbers that hold for all of it, and files with one label layer each.

    ``category`` is the category they were written under, an index; None where one file holds several categories.
    """

    category: int | None
    whole: Sequence[int] = ()
    files: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Numbering:
    """From label numbers, as written in label maps, to rows of the concepts table.

    Attributes
    ----------
    number
        (C,) the number of each concept, rising, > 0.
    category
        (C,) the primary category of each concept, an index into the G categories.
    categories
        G.
    """

    number: NDArray[np.int64]
    category: NDArray[np.intp]
    categories: int
    _table: NDArray[np.int32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Spread the numbers over a table: every pixel of every label map is looked up in it."""
        table = np.full(int(self.number.max(initial=0)) + 2, _UNKNOWN, np.int32)
        table[self.number] = np.arange(len(self.number))
        table[0] = NO_LABEL
        object.__setattr__(self, "_table", table)

    def rows(self, numbers: NDArray[Any]) -> NDArray[np.int32]:
        """Rows of the concepts table, in the shape of ``numbers``: -1 for 0, -2 for a number that is not listed."""
        # "clip" sends what lies above the largest number to the last entry, which is the one for unknown.
        return self._table.take(numbers, mode="clip")


@dataclass(frozen=True, eq=False)
class Source:
    """Where the labels of each image stand, and how a label file is read.

    Attributes
    ----------
    cells
        Image i -> its cells, by rising category.
    decode
        (label file, image) -> label numbers, (sh, sw) for one layer or (L, sh, sw) for several. Raises
        ``LabelSetError`` with what is wrong with the file.
    folder
        Label files are relative to it.
    table
        The file that lists the label numbers, for messages.
    """

    cells: Callable[[int], Iterable[Cell]]
    decode: Callable[[str, str], NDArray[Any]]
    numbering: Numbering
    grid: tuple[int, int]
    folder: Path
    table: str

    def files(self, row: int) -> list[Path]:
        """Every label file of image ``row``."""
        return [self.folder / file for cell in self.cells(row) for file in cell.files]

    def labels(self, row: int, *, image: str, complain: Complain, root: str) -> ImageLabels:
        """Read the labels of image ``row``, whose path is ``image``, without the label files that are complained of.

        No link may lead out of ``root``, the set's folder.
        """
        annotated = np.zeros(self.numbering.categories, np.bool_)
        whole: list[int] = []
        layers: list[NDArray[np.int32]] = []
        for cell in self.cells(row):
            # Numbers that are not listed were complained of when the table was read.
            concepts = [concept for concept in self.numbering.rows(np.array(cell.whole, np.int64)) if concept >= 0]
            read = [layer for file in cell.files for layer in self._layers(file, image, complain, root=root)]
            labelled = [layer for layer in read if layer.max() != NO_LABEL]
            if cell.category is not None and (concepts or labelled):
                annotated[cell.category] = True
            whole += concepts
            layers += labelled
        return self._united(layers, whole, annotated)

    def _layers(self, file: str, image: str, complain: Complain, *, root: str) -> NDArray[np.int32]:
        """(L, sh, sw) rows of the concepts table; L = 0 for a file that is complained of."""
        try:
            check_inside(self.folder / file, root)
            numbers = self.decode(file, image)
        except LabelSetError as error:
            complain(Finding(f"label map {file} {error}", error=type(error)))
            return np.empty((0, *self.grid), np.int32)
        rows = self.numbering.rows(numbers)
        if rows.min() == _UNKNOWN:
            unknown = some(np.unique(numbers[rows == _UNKNOWN]))
            complain(Finding(f"label map {file} holds number {unknown}, which {self.table} does not list"))
            rows[rows == _UNKNOWN] = NO_LABEL
        return rows.reshape(-1, *self.grid)

    def _united(self, layers: list[NDArray[np.int32]], whole: list[int], annotated: NDArray[np.bool_]) -> ImageLabels:
        """Keep each concept once a pixel: a whole-image label before a layer, an earlier layer before a later one."""
        concepts = len(self.numbering.number)
        stack = np.stack(layers) if layers else np.empty((0, *self.grid), np.int32)
        # One entry more than there are concepts, so that -1 looks up the last one: "no label".
        present = np.bincount(stack.ravel() + 1, minlength=concepts + 1)[1:] > 0
        covers = np.zeros(concepts + 1, np.bool_)
        covers[whole] = True
        annotated[self.numbering.category[present | covers[:-1]]] = True
        if (present & covers[:-1]).any():
            stack[covers[stack]] = NO_LABEL
        for layer in range(1, len(stack)):
            stack[layer][(stack[:layer] == stack[layer]).any(axis=0)] = NO_LABEL
        kept = [layer for layer in stack if layer.max() != NO_LABEL]
        distinct = np.array(list(dict.fromkeys(whole)), np.int32)
        return ImageLabels(stack if len(kept) == len(stack) else _stacked(kept, self.grid), distinct, annotated)


def _stacked(layers: list[NDArray[np.int32]], grid: tuple[int, int]) -> NDArray[np.int32]:
    return np.stack(layers) if layers else np.empty((0, *grid), np.int32)


@dataclass(frozen=True, eq=False)
class Contents:
    """What a reader found in a folder.

    Attributes
    ----------
    images
        One row an image: ``image`` (path relative to ``folder``), ``split`` ('' where there is none), ``line``.
    folder
        Where the images lie.
    table
        The file whose lines ``line`` counts; '' where the folder itself is the list.
    tables
        The files that define the set, for its sha.
    source
        None for a set without labels; then there are no concepts either.
    classes, landmarks
        Tables that the layout itself gives; ``classes.csv`` and ``landmarks.csv`` are read for every layout, and come
        before these.
    landmarks_table
        The file that ``landmarks`` comes from.
    """

    images: pd.DataFrame
    folder: Path
    table: str = ""
    tables: tuple[Path, ...] = ()
    concepts: pd.DataFrame = field(default_factory=lambda: no_concepts())
    categories: tuple[str, ...] = ()
    source: Source | None = None
    classes: pd.DataFrame | None = None
    landmarks: pd.DataFrame | None = None
    landmarks_table: str = ""


@dataclass(frozen=True)
class Layout:
    """What one file in ``layouts`` offers: a way in which label sets lie on disk.

    Attributes
    ----------
    order
        Layouts are tried in rising order; the first that recognises a folder reads it.
    holds
        What such a folder holds, in a few words, for the message that lists the layouts.
    recognises
        Looks at the names in a folder, reads nothing.
    read
        (folder, manifest, complain) -> contents.
    """

    name: str
    order: int
    holds: str
    recognises: Callable[[Path, Mapping[str, Any]], bool]
    read: Callable[[Path, Mapping[str, Any], Complain], Contents]


def some(values: NDArray[Any]) -> str:
    """Write out the first few values, and how many more there are."""
    more = f" and {len(values) - 5} more" if len(values) > 5 else ""
    return ", ".join(map(str, values[:5])) + more


def no_concepts() -> pd.DataFrame:
    """Make a concepts table without rows."""
    columns = {"number": np.int64, "name": str, "category": str, "frequency": np.float64, "coverage": np.float64}
    return pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in columns.items()})


def numbering_of(concepts: pd.DataFrame, categories: Sequence[str]) -> Numbering:
    """Make the numbering of a concepts table whose rows rise by number."""
    category = np.array([categories.index(name) for name in concepts["category"]], np.intp)
    return Numbering(concepts["number"].to_numpy(np.int64), category, len(categories))
