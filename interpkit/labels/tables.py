"""CSV tables of a label set, every value read as text, with the line each row stands on."""

import io
import re
import stat
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpkit.errors import LabelSetError, nearest, one_line
from interpkit.labels.findings import Complain, Finding

# index.csv of a million images has about 200 MB.
LARGEST = 2**31
_LEAVES = re.compile(r"(?:^|[;/\\])\.\.(?:[;/\\]|$)|(?:^|;)(?:[/\\]|[A-Za-z]:[/\\])", re.MULTILINE)


def read_table(path: Path, needs: Sequence[str]) -> pd.DataFrame:
    """Read a CSV file as text; column ``line`` holds the line of each row, counted from 1 with the header.

    Raises
    ------
    LabelSetError
        If the file is missing, is no CSV table, or lacks one of the columns ``needs`` or has it twice.
    """
    table = _parsed(path, _content(path))
    names = [str(name).strip() for name in table.columns]
    # pandas calls the second column of a name `name.1`.
    twice = next((name for name in needs if f"{name}.1" in names or names.count(name) > 1), None)
    if twice is not None:
        raise LabelSetError(f"{path.name} has two columns {twice!r}")
    table.columns = names
    if len(set(names)) < len(names):
        table = table.loc[:, ~table.columns.duplicated()].copy()
    lacking = [column for column in needs if column not in names]
    if lacking:
        have = ", ".join(names)
        close = nearest(lacking[0], names, count=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise LabelSetError(f"{path.name} has no column {', '.join(map(repr, lacking))}; it has {have}{hint}")
    table["line"] = np.arange(2, len(table) + 2)
    return _without_blank_lines(table)


def _content(path: Path) -> bytes:
    """The bytes of a table, as far as they can be text."""
    try:
        about = path.stat()
        # A pipe would be waited for without end.
        if not stat.S_ISREG(about.st_mode):
            raise LabelSetError(f"{path.name} is not a file")
        if about.st_size > LARGEST:
            raise LabelSetError(f"{path.name} is a file of {about.st_size / 1e9:,.0f} GB, too large for a table")
        data = path.read_bytes()
    except FileNotFoundError:
        raise LabelSetError(f"{path.name} is missing") from None
    except (OSError, ValueError) as error:
        raise LabelSetError(f"{path.name} cannot be read: {one_line(error)}") from error
    if b"\0" in data:
        raise LabelSetError(f"{path.name} holds NUL bytes, as no text in UTF-8 does; save it as CSV in UTF-8")
    return data


def _parsed(path: Path, data: bytes) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            # Values past the last column would be dropped with no more than a warning.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                io.BytesIO(data),
                dtype=str,
                keep_default_na=False,
                na_filter=False,
                skip_blank_lines=False,
                index_col=False,
            )
    except UnicodeDecodeError as error:
        raise LabelSetError(f"{path.name} row {_undecodable(data)}: is no text in UTF-8; save it so") from error
    except pd.errors.ParserWarning as error:
        raise LabelSetError(f"{path.name} has rows with more values than there are columns") from error
    except (OSError, ValueError) as error:
        raise LabelSetError(f"{path.name} cannot be read as a CSV table: {one_line(error)}") from error


def _undecodable(data: bytes) -> int:
    """The line, counted from 1, that is no text in UTF-8."""
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            return number
    return 1


def _without_blank_lines(table: pd.DataFrame) -> pd.DataFrame:
    first = table.iloc[:, 0]
    suspects = np.flatnonzero((first == "") | first.isna())
    # Only a row that is too short lacks a value, and that of its last column first.
    if not suspects.size and not table.iloc[:, -2].hasnans:
        return table
    cells = table.iloc[suspects].drop(columns="line").fillna("")
    filled = (cells != "").any(axis=1).to_numpy()
    return table.fillna("").drop(index=table.index[suspects[~filled]]).reset_index(drop=True)


def numbers(table: pd.DataFrame, column: str, *, file: str, complain: Complain) -> NDArray[np.float64]:
    """Column ``column`` as numbers; what is none becomes NaN and is complained of."""
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64)
    for row in np.flatnonzero(~np.isfinite(values)):
        text = str(table[column].iloc[row])
        complain(Finding(f"{column} is {text!r}, which is no number", file, int(table["line"].iloc[row])))
    return values


def whole_numbers(table: pd.DataFrame, column: str, *, file: str, complain: Complain) -> NDArray[np.int64]:
    """Column ``column`` as whole numbers >= 0; anything else becomes -1 and is complained of."""
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64)
    good = np.isfinite(values) & (values >= 0) & (values == np.floor(values)) & (values < 2**31)
    for row in np.flatnonzero(~good):
        text = str(table[column].iloc[row])
        complain(Finding(f"{column} is {text!r}, which is no whole number", file, int(table["line"].iloc[row])))
    return np.where(good, values, -1).astype(np.int64)


def without_escapes(table: pd.DataFrame, column: str, *, file: str, complain: Complain) -> pd.DataFrame:
    """Leave out rows whose ``column`` (paths, ``;`` between them) points outside the folder; each is complained of."""
    cells = table[column].tolist()
    together = "\n" + "\n".join(cells)
    # Without one of these no cell can match; the pattern takes half a second for an index of Broden's size.
    if not any(sign in together for sign in ("..", "\n/", ";/", "\\", ":")):
        return table
    leaving = np.array([bool(_LEAVES.search(cell)) for cell in cells])
    for row in np.flatnonzero(leaving):
        what = f"{column} {cells[row]!r} points outside the label set's folder"
        complain(Finding(what, file, int(table["line"].iloc[row])))
    return table.loc[~leaving].reset_index(drop=True)


def report_repeats(table: pd.DataFrame, column: str, *, file: str, complain: Complain) -> None:
    """Complain of every row whose ``column`` repeats an earlier row's."""
    repeated = table[column].duplicated().to_numpy()
    if not repeated.any():
        return
    first = dict(zip(table[column][::-1], table["line"][::-1], strict=True))
    for row in np.flatnonzero(repeated):
        value = table[column].iloc[row]
        what = f"{column} {value} is listed twice, first in row {first[value]}"
        complain(Finding(what, file, int(table["line"].iloc[row])))
