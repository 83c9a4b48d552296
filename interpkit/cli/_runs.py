"""The folder of a run: what it holds, whether it may be written, and its page."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interpkit.errors import ResultError

REPORTS = Path("reports")
# Results that judge another verb's result and mean nothing once that is gone.
JUDGES = {"rotate": "dissect", "shuffle": "dissect", "untrained": "dissect"}


@dataclass(frozen=True)
class Planned:
    """A run that is asked for: its verb and layers, what it looks at, and the fingerprint its results would carry."""

    verb: str
    layers: Sequence[str]
    model_sha: str
    labels_sha: str
    fingerprint: str


def safe(name: str) -> str:
    """``name`` as a folder name."""
    from interpkit.results import safe_name

    return safe_name(name)


def already_done(folder: Path, planned: Planned, *, overwrite: bool) -> list[Any]:
    """The results of the same run, if ``folder`` holds all of them; empty if they have to be computed.

    Results of other verbs may lie in the same folder: one page then shows them together.

    Raises
    ------
    ResultError
        If the folder holds another run and ``overwrite`` is not set, or if it is no place for a run.
    """
    from interpkit.results import load, result_folders

    try:
        there = result_folders(folder)
    except OSError as error:
        raise ResultError(f"cannot look into {folder}: {error.strerror}") from error
    _check_place(folder, there)
    found = [] if overwrite else [load(one) for one in there]
    results = [one for one in found if one.provenance.verb == planned.verb]
    other = [one for one in results if not one.provenance.is_of(planned.fingerprint)]
    looked = (planned.model_sha, planned.labels_sha)
    other += [one for one in found if (one.provenance.model_sha, one.provenance.labels_sha) != looked]
    if other:
        raise ResultError(
            f"{folder} holds another run ({other[0].provenance.command}); choose another --out, or --overwrite it"
        )
    if {one.layer for one in results} >= set(planned.layers):
        return sorted(results, key=lambda one: one.order)
    return []


def _check_place(folder: Path, there: Sequence[Path]) -> None:
    """Stop at a folder that is no run and holds something: a run clears away what earlier runs left in its folder."""
    from interpkit.results import PICTURES

    if folder.is_file():
        raise ResultError(f"{folder} is a file; --out names a folder")
    if folder in there:
        raise ResultError(f"{folder} is the result of one layer; --out names the folder of a run: {folder.parent}")
    inside = [] if there or not folder.is_dir() else [path.name for path in sorted(folder.iterdir())]
    strange = [
        name for name in inside if not name.startswith(".") and name not in {PICTURES, "index.html", "report.pdf"}
    ]
    if strange:
        raise ResultError(f"{folder} holds no run, but {strange[0]}, so it is left alone; choose another --out")


def check_folders(layers: Sequence[str]) -> None:
    """Stop at layers whose names give the same folder name.

    Raises
    ------
    ResultError
        Naming the two.
    """
    seen: dict[str, str] = {}
    for layer in layers:
        other = seen.setdefault(safe(layer), layer)
        if other != layer:
            raise ResultError(
                f"layers {other!r} and {layer!r} would share the folder {safe(layer)}; ask for one at a time"
            )


@contextmanager
def folder_made(folder: Path) -> Iterator[None]:
    """The folder of a run, found to be writable before the long run and not after it; gone again if nothing came of it.

    Raises
    ------
    ResultError
        If it cannot be written.
    """
    new = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ResultError(f"cannot write into {folder}: {error.strerror}") from error
    try:
        yield
    except BaseException:
        for made in new:
            with suppress(OSError):
                made.rmdir()
        raise


def store(results: Sequence[Any], folder: Path) -> None:
    """Save every layer of a run; what an earlier run left there goes when all of the new one is written.

    Results of other verbs on the same network and images stay: one page shows them together; but not those that judge
    what is replaced.
    """
    from interpkit.results import PICTURES, picture_file, read_about, result_folder_name, result_folders, save

    made = results[0].provenance
    listed: dict[Path, set[str]] = {}
    earlier = []
    for old in result_folders(folder):
        about: dict[str, Any] = {}
        with suppress(ResultError):
            about = read_about(old)
        listed[old] = set(map(picture_file, about.get("pictures", ())))
        was = about.get("provenance", {})
        verb = was.get("verb")
        beside = made.verb not in {verb, JUDGES.get(verb)} and was.get("model_sha") == made.model_sha
        if not (beside and was.get("labels_sha") == made.labels_sha):
            earlier.append(old)
    again = bool(earlier)
    written = {save(result, folder / result_folder_name(result), overwrite=again) for result in results}
    for old in earlier:
        if old not in written:
            shutil.rmtree(old)
    # Only pictures that such a result lists are removed: other files there belong to somebody else.
    kept = {picture_file(name) for result in results for name in result.pictures}
    kept |= {name for old, names in listed.items() if old not in earlier for name in names}
    for name in {name for old in earlier for name in listed[old]} - kept:
        (folder / PICTURES / name).unlink(missing_ok=True)
    if earlier:
        (folder / "report.pdf").unlink(missing_ok=True)


def build_page(folder: Path, *, single_file: bool, units: Sequence[int] = (), concepts: Sequence[str] = ()) -> Path:
    """The page of the run, with the pictures of some units or of all."""
    from interpkit.report import build

    page: Path = build(folder, single_file=single_file, units=units, concepts=concepts)
    return page


def print_page(folder: Path, *, paper: str, units: Sequence[int] = (), concepts: Sequence[str] = ()) -> Path:
    """The page of the run as a PDF."""
    from interpkit.report import build_pdf

    printed: Path = build_pdf(folder, paper=paper, units=units, concepts=concepts)
    return printed
