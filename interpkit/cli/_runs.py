"""The folder of a run: what it holds, whether it may be written, and its page."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from interpkit.cli._screen import remark
from interpkit.errors import InterpkitError, ResultError
from interpkit.holding import Held, InUseError
from interpkit.writing import remove_folder

if TYPE_CHECKING:
    from interpkit.keeping import Work

REPORTS = Path("reports")
# Results that judge another verb's result and mean nothing once that is gone.
JUDGES = {"rotate": "dissect", "shuffle": "dissect", "untrained": "dissect"}
PICTURES = "images"


@dataclass(frozen=True)
class Planned:
    """A run that is asked for: its verb and layers, what it looks at, and the fingerprint its results would carry.

    ``same_files`` says of a provenance whether the files it was made of still hold the same.
    """

    verb: str
    layers: Sequence[str]
    model_sha: str
    labels_sha: str
    fingerprint: str
    same_files: Callable[[Any], bool] = lambda _: True


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
    if {one.layer for one in results} >= set(planned.layers) and all(
        planned.same_files(one.provenance) for one in results
    ):
        return sorted(results, key=lambda one: one.order)
    return []


def drop_stale(place: "RunFolder", results: Sequence[Any]) -> None:
    """Remove what judges results that these have replaced: a process was killed before it could.

    Raises
    ------
    InUseError
        If there is such, and a process at the folder, which may be about to remove it.
    """
    if not _stale(place.folder, results):
        return
    place.take()
    for folder in _stale(place.folder, results):
        remove_folder(folder)


def _stale(folder: Path, results: Sequence[Any]) -> list[Path]:
    """The folders of results that judge one of an earlier time than there is now; copies of them are the user's."""
    from interpkit.results import read_about, result_folders

    now = {(one.provenance.verb, one.layer): one.provenance.when for one in results}
    found = []
    for one in result_folders(folder) if now else ():
        about = read_about(one)
        made = about["provenance"]
        layer = about.get("layer", "")
        earlier = made["when"] < now.get((JUDGES.get(made["verb"]), layer), "")
        if earlier and one.name == f"{safe(layer)}-{made['verb']}":
            found.append(one)
    return found


def _check_place(folder: Path, there: Sequence[Path]) -> None:
    """Stop at a folder that is no run and holds something: a run clears away what earlier runs left in its folder."""
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


class RunFolder:
    """The folder of a run, which this process takes before it writes there: no other one does so meanwhile.

    Gone again if nothing came of it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._new: list[Path] = []
        self._held: Held | None = None

    def take(self) -> bool:
        """Make the folder and hold it, found to be writable before the long run and not after it.

        Gives whether it was not held before: what lies there may then be other than it was a moment ago.

        Raises
        ------
        ResultError
            If it cannot be written, or another process holds it.
        """
        from interpkit.results import clear_left

        if self._held is not None:
            return False
        self._new = [parent for parent in (self.folder, *self.folder.parents) if not parent.exists()]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise ResultError(f"cannot write into {self.folder}: {error.strerror}") from error
        self._held = Held(self.folder)
        for place in (self.folder, self.folder / PICTURES):
            clear_left(place)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        if self._held is not None:
            self._held.release()
        for made in self._new if failed else ():
            with suppress(OSError):
                made.rmdir()


@contextmanager
def folder_made(folder: Path) -> Iterator[None]:
    """The folder of a run, taken at once."""
    with RunFolder(folder) as place:
        place.take()
        yield


@contextmanager
def work_of(fingerprint: str, *, title: str, scratch: Path | None, share: tuple[int, int]) -> Iterator["Work | None"]:
    """Where finished work of a run is kept until its results are saved, and may then be dropped.

    Parameters
    ----------
    scratch
        Where maps are to lie, if that was asked for: the work lies there too.
    share
        Which process this is, and of how many.
    """
    from interpkit.keeping import Work

    folder = _work_folder(fingerprint, scratch=scratch, share=share)
    try:
        work = Work(folder, title=title, every=_commit_seconds())
    except InUseError:
        raise
    except ResultError as error:
        remark(f"{error}; without it, a run that is killed begins again: $INTERPKIT_WORK names another folder")
        yield None
        return
    with work:
        yield work


def drop_work(fingerprint: str, *, scratch: Path | None, share: tuple[int, int]) -> None:
    """Remove what a run has left that was killed once its results were saved."""
    from interpkit.keeping import Work

    folder = _work_folder(fingerprint, scratch=scratch, share=share)
    if folder.is_dir():
        with suppress(ResultError):
            Work(folder, title="done").drop()


def _work_folder(fingerprint: str, *, scratch: Path | None, share: tuple[int, int]) -> Path:
    rank, world = share
    return work_root(scratch) / fingerprint[:24] / f"{rank}-of-{world}"


def work_root(scratch: Path | None = None) -> Path:
    """The folder of unfinished work: $INTERPKIT_WORK, by default beside downloaded label sets."""
    from interpkit.labels.places import data_folder

    if scratch is not None and scratch.is_dir():
        return scratch / "interpkit-work"
    chosen = os.environ.get("INTERPKIT_WORK")
    return Path(chosen) if chosen else data_folder() / "_work"


def _commit_seconds() -> float:
    """Seconds between two commits: $INTERPKIT_COMMIT_SECONDS, by default as `interpkit.keeping` has it."""
    from interpkit.keeping import EVERY

    text = os.environ.get("INTERPKIT_COMMIT_SECONDS", "")
    try:
        return float(text) if text else EVERY
    except ValueError:
        raise InterpkitError(f"INTERPKIT_COMMIT_SECONDS is {text!r}; it takes seconds, such as 20") from None


def store(results: Sequence[Any], folder: Path) -> None:
    """Save every layer of a run; what an earlier run left there goes when all of the new one is written.

    Results of other verbs on the same network and images stay: one page shows them together; but not those that judge
    what is replaced.
    """
    from interpkit.results import picture_file, read_about, result_folder_name, result_folders, save

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
            remove_folder(old)
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
