"""The folder of a study: what in it is the study's own, and what is refused before anything is written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from interpkit.errors import ResultError
from interpkit.finetuning._folder import Found, look, make, unmake
from interpkit.holding import Held, InUseError
from interpkit.models import LoadedModel
from interpkit.results import PICTURES, clear_left, read_about, result_folders, safe_name
from interpkit.writing import remove_folder

ORDINARY, INTERPRETABLE = NAMES = ("ordinary", "interpretable")
PAGE, PDF = "index.html", "report.pdf"
# What the study measures of each network; the training replaces its own result.
_MEASURED = {"dissect": "", "entangle": "-entangle", "parts": "-parts"}


def check_folder(out: Path, base: LoadedModel) -> bool:
    """Whether a study, or a part of one, lies in ``out``.

    Raises
    ------
    ResultError
        If ``out`` or one of the networks' folders holds anything that no study wrote, or the network to start from.
    """
    if out.is_file():
        raise ResultError(f"{out} is a file; out names the folder of a study")
    _check_base(out, base)
    mine = comparisons(out)
    begun = bool(mine) or any(found != "nothing" for found in _trainings(out))
    ours = {*NAMES, *(folder.name for folder in mine), *((PICTURES, PAGE, PDF) if begun else ())}
    inside = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    strange = [name for name in inside if name not in ours and not name.startswith(".")]
    if result_folders(out) == [out] or (strange and not begun):
        held = "a single result" if result_folders(out) == [out] else strange[0]
        raise ResultError(f"{out} holds no study, but {held}, so it is left alone; choose another out")
    if strange:
        raise ResultError(f"{out} holds {strange[0]}, which is no part of its study; move it, or choose another out")
    return begun


def _check_base(out: Path, base: LoadedModel) -> None:
    """Stop where the study would be written over the network that it starts from."""
    if base.form == "module" or not base.spec:
        return
    path = Path(base.spec)
    if path.exists() and path.resolve().is_relative_to(out.resolve()):
        raise ResultError(f"{base.spec}, the network that training starts from, lies in {out}; choose another out")


def _trainings(out: Path) -> list[Found]:
    """What a training has left of either network; an error where it is none of a training's."""
    return [look(out / name, resume=True, overwrite=False) for name in NAMES]


def comparisons(out: Path) -> list[Path]:
    """The results in ``out`` that compare the two networks of a study."""
    folders = [folder for folder in result_folders(out) if folder != out]
    return [folder for folder in folders if _compares(read_about(folder))]


def _compares(about: dict[str, Any]) -> bool:
    return about["kind"] == "comparison" and about.get("columns") == list(NAMES)


def finished(out: Path) -> Path | None:
    """The comparison of a study that has ended; None for any other."""
    found = comparisons(out)
    whole = all(training == "finished" for training in _trainings(out))
    return found[0] if whole and len(found) == 1 else None


def earlier(out: Path) -> list[Path]:
    """What a study in ``out`` measured and compared: of each network the results of the layer compared, or trained."""
    mine = comparisons(out)
    compared = {str(read_about(folder)["layer"]) for folder in mine}
    found = list(mine)
    for run in (out / name for name in NAMES):
        every = result_folders(run)
        layers = compared | {str(read_about(one)["layer"]) for one in every if one.name.endswith("-finetune")}
        names = {f"{safe_name(layer)}{end}" for layer in layers for end in _MEASURED.values()}
        found += [folder for folder in every if folder.name in names]
    return found


def remove(out: Path, old: Sequence[Path]) -> None:
    """Remove the results of an earlier study, and the page of its comparison."""
    for name in (PAGE, PDF) if old else ():
        (out / name).unlink(missing_ok=True)
    for folder in old:
        remove_folder(folder)


@contextmanager
def held(out: Path) -> Iterator[None]:
    """The folder of a study, made and this process's alone, without what was killed there; gone if nothing came of it.

    Raises
    ------
    ResultError
        If another process holds it, or it cannot be written.
    """
    new = make(out)
    try:
        with Held(out):
            clear_left(out)
            for run in (out / name for name in NAMES if (out / name).is_dir()):
                # A training there by itself, or an analysis, sees to its own.
                with suppress(InUseError), Held(run):
                    clear_left(run)
            yield
    except BaseException:
        unmake(new)
        raise
