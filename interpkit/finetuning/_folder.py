"""The folder of a trained network: whether it may be written to, and what of it a training wrote."""

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from interpkit.errors import ResultError
from interpkit.finetuning._checkpoint import FILE, is_checkpoint
from interpkit.holding import FILE as HELD
from interpkit.models import LoadedModel
from interpkit.models.finetuned import RECIPE, WEIGHTS
from interpkit.results import PICTURES, picture_file, read_about, result_folders
from interpkit.writing import remove_folder, writing

# What a recipe of ours says it is.
KIND = "finetuned"
PAGE, PDF = "index.html", "report.pdf"
# How every page of a report begins, so that another page of that name is told from it.
_OURS = b'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:'
# Files that were being written when a process was killed.
_PART = re.compile(
    rf"\.{re.escape(FILE)}\.\d+|\.({re.escape(PAGE)}|{re.escape(PDF)})\.\d+|\.({re.escape(WEIGHTS)}|{re.escape(RECIPE)})\b.*\.part"
)
_PICTURE = re.compile(r".*-[0-9a-f]{8}\.jpg|\..*-[0-9a-f]{8}\.jpg\.\d+")
# Folders of results that were being written, replaced or removed then.
_RESULT = re.compile(r"\..+-finetune\.(old\.)?[a-z0-9_]{8}")

Found = Literal["nothing", "interrupted", "finished"]


def check_base(model: LoadedModel, folder: Path) -> None:
    """Stop where the network that a training starts from lies in the folder that it writes.

    Raises
    ------
    ResultError
        Naming both.
    """
    if model.form == "module":
        return
    with suppress(OSError, ValueError):
        base = Path(model.spec)
        if base.exists() and base.resolve().is_relative_to(folder.resolve()):
            where = "is" if base.resolve() == folder.resolve() else f"holds {model.spec},"
            raise ResultError(f"{folder} {where} the network that training starts from; choose another folder")


def look(folder: Path, *, resume: bool, overwrite: bool) -> Found:
    """What is in the folder, where that is a training's or nothing.

    Parts of files, pages and pictures that a killed process left count as nothing.

    Raises
    ------
    ResultError
        If it holds what this training must leave alone.
    """
    if resume and overwrite:
        raise ResultError("resume goes on with a training, overwrite clears it: one of the two")
    with writing(folder):
        if folder.exists() and not folder.is_dir():
            raise ResultError(f"{folder} is a file; choose another folder")
        found = _kept(folder)
        if found == "nothing" and folder.exists() and not all(map(_left_over, folder.iterdir())):
            raise ResultError(f"{folder} exists and holds no training, so it is left alone; choose another folder")
    return found


def _kept(folder: Path) -> Found:
    """What a training has left, by what the files say themselves: their names alone could be anybody's."""
    there = [name for name in (FILE, RECIPE, WEIGHTS) if (folder / name).exists()]
    ours = {FILE: FILE in there and is_checkpoint(folder / FILE), RECIPE: _is_recipe(folder / RECIPE)}
    ours[WEIGHTS] = ours[FILE] or ours[RECIPE]
    foreign = [name for name in there if not ours[name]]
    if foreign:
        raise ResultError(
            f"{folder} holds a {foreign[0]} that no training wrote, or that is damaged, so it is left alone; remove "
            "it, or choose another folder"
        )
    if not there:
        return "nothing"
    return "interrupted" if FILE in there else "finished"


def _is_recipe(path: Path) -> bool:
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(recipe, dict) and recipe.get("kind") == KIND


def _left_over(path: Path) -> bool:
    if path.name == HELD:
        return True
    if path.name == PICTURES and path.is_dir():
        return all(_PICTURE.fullmatch(one.name) for one in path.iterdir())
    known = _RESULT if path.is_dir() and not path.is_symlink() else _PART
    return _is_page(path) or bool(known.fullmatch(path.name))


def _is_page(path: Path) -> bool:
    if path.name != PAGE or not path.is_file():
        return False
    with path.open("rb") as stream:
        return _OURS in stream.read(2000)


def trainings(folder: Path) -> list[Path]:
    """The result folders that a training left."""
    return [one for one in result_folders(folder) if one.name.endswith("-finetune") and _about(one)[0] == "finetune"]


def _about(result: Path) -> tuple[str, set[str]]:
    """The verb of a result, and the files of its pictures; nothing of a damaged one."""
    about: dict[str, Any] = {}
    with suppress(ResultError):
        about = read_about(result)
    return about.get("provenance", {}).get("verb", ""), set(map(picture_file, about.get("pictures", ())))


def clear(folder: Path) -> None:
    """Remove what earlier trainings wrote, and nothing else; the state of this one stays.

    The recipe goes first, since without it a folder is no network; pictures go that no other result lists.
    """
    with writing(folder):
        for name in (RECIPE, WEIGHTS):
            (folder / name).unlink(missing_ok=True)
        mine = trainings(folder)
        pictures = {one for result in mine for one in _about(result)[1]}
        pictures -= {one for result in result_folders(folder) if result not in mine for one in _about(result)[1]}
        for name in pictures:
            (folder / PICTURES / name).unlink(missing_ok=True)
        with suppress(OSError):
            (folder / PICTURES).rmdir()
        if mine:
            (folder / PDF).unlink(missing_ok=True)
        # Last: they alone tell, after a kill, what else is theirs.
        for result in mine:
            remove_folder(result)
        for path in list(folder.iterdir()):
            # Whoever clears a folder holds it by that file.
            if path.name not in {PICTURES, HELD} and _left_over(path):
                _drop(path)


def _drop(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def tidy(folder: Path, result: str) -> None:
    """Remove what killed processes were about to write when they died; ``result`` is the folder of the result."""
    mine = re.compile(rf"\.{re.escape(result)}\.(old\.)?\w+|{_RESULT.pattern}")
    for path in list(folder.iterdir()):
        if (mine if path.is_dir() and not path.is_symlink() else _PART).fullmatch(path.name):
            _drop(path)
    for path in (folder / PICTURES).glob(".*"):
        if _PICTURE.fullmatch(path.name):
            path.unlink(missing_ok=True)


def make(folder: Path) -> list[Path]:
    """Make the folder and see that it can be written to; what was made, innermost first."""
    with writing(folder):
        new = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    return new


def unmake(made: Sequence[Path]) -> None:
    """Remove folders that were made, where nothing came of them."""
    for folder in made:
        with suppress(OSError):
            folder.rmdir()
