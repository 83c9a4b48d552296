"""Whether a file of a label set lies in its folder, wherever links lead."""

import os
from pathlib import Path

from interpkit.errors import ImageError, LabelSetError

VARIABLE = "INTERPKIT_FOLLOW_LINKS"


def check_inside(path: Path, root: str) -> None:
    """Refuse a file that a link leads to from a label set's folder: a page would show what lies elsewhere.

    Parameters
    ----------
    path : Path
    root : str
        The set's folder, without links in it.

    Raises
    ------
    ImageError
        If the file lies outside, and INTERPKIT_FOLLOW_LINKS=1 does not say that this is meant.
    """
    said = leads_out(path, root)
    if said:
        raise ImageError(said)


def check_folder(path: Path, root: Path) -> None:
    """Refuse a folder within a label set's that a link leads to elsewhere, once and not file by file.

    Raises
    ------
    LabelSetError
        As `check_inside`.
    """
    said = leads_out(path, os.path.realpath(root))
    if said and path.is_dir():
        raise LabelSetError(f"{path} {said}")


def leads_out(path: str | Path, root: str) -> str | None:
    """What to say of a path that leads out of a folder, which is named without links in it; None if it does not."""
    real = os.path.realpath(path)
    if real == root or real.startswith(root.rstrip(os.sep) + os.sep) or os.environ.get(VARIABLE) == "1":
        return None
    return f"is a link out of the label set's folder, to {real}; {VARIABLE}=1 if that is meant, or copy what is there"
