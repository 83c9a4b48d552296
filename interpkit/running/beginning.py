"""Under which key a run's finished work is kept, and results that are made once in it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import numpy.typing as npt

from interpkit.keeping import State, Work, work_key
from interpkit.labels import LabelSet, content_of
from interpkit.mapstore import Cache, kept_arrays
from interpkit.probe import Probe
from interpkit.processes import Group
from interpkit.running.asking import planned_fingerprint, versions

# What work calls the times of the images' files.
FILES = "files"
# What a state calls the plain values of its results, one by one.
_RESULTS = "results"


class Stored(Protocol):
    """A result that can be taken apart into arrays and plain values, and put together again."""

    def arrays(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Its arrays, by ``<prefix>.<name>``."""

    def about(self) -> dict[str, Any]:
        """Its plain values."""

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Mapping[str, Any], prefix: str) -> Self:
        """The inverse of both."""


S = TypeVar("S", bound=Stored)


def begin(
    work: Work | None,
    probe: Probe,
    labels: LabelSet,
    *,
    verb: str,
    options: Mapping[str, Any],
    group: Group,
    also: Sequence[Any] = (),
) -> None:
    """Go on with the work that an equal run has kept, or begin at the beginning.

    Parameters
    ----------
    labels
        The images that are looked at; one that has changed since makes it another run. Of files that were touched
        since, those that a pass had looked at are read to see whether they have; in several processes they count as
        changed.
    options
        The deciding arguments.
    also
        What else decides what is kept, as plain values.

    Raises
    ------
    ImageError
        If an image is missing, and images that cannot be read are not left out.
    """
    if work is None:
        return
    if not options.get("skip_bad"):
        _check_files(labels)
    planned = planned_fingerprint(verb, probe, labels, deciding=options)
    here = [str(probe.device), versions(), group.rank, group.world]
    work.begin(work_key(planned, *here, *also))
    files = {"stamp": labels.stamp}
    before = work.state(FILES)
    if group.world == 1 and before is not None and before.plain != files and _unchanged(work, labels):
        work.commit(FILES, {}, files)
    work.under(FILES, files)
    work.announce()


def _check_files(labels: LabelSet) -> None:
    """Stop at an image that is missing before the work of a run that had all of them is given up."""
    for row in range(len(labels)):
        if not labels.path(row).exists():
            labels.image(row)


def _unchanged(work: Work, labels: LabelSet) -> bool:
    """Whether the images that a pass has looked at hold what they held then; reads them."""
    passes = [one.plain for one in work.states() if {"span", "next", "content"} <= set(one.plain)]
    return bool(passes) and all(
        content_of(labels, range(one["span"][0], one["next"])) == int(one["content"], 16) for one in passes
    )


def check_room(cache: Cache, scratch: str | Path | None) -> None:
    """Stop, before anything is computed, where maps that have to be kept could not be.

    Raises
    ------
    InterpkitError
        As `kept_arrays`.
    """
    with kept_arrays([(1,)], cache=cache, scratch=scratch):
        pass


def made_once(work: Work | None, name: str, *, kind: type[S], make: Callable[[], Sequence[S]]) -> list[S]:
    """Results of one kind that take long: made, and kept under a name for a run that goes on."""
    if work is None:
        return list(make())
    before = work.state(name)
    if before is not None:
        found = _restored(before, kind)
        if found is not None:
            return found
    made = list(make())
    arrays = {key: value for number, one in enumerate(made) for key, value in one.arrays(str(number)).items()}
    work.commit(name, arrays, {_RESULTS: [one.about() for one in made]})
    return made


def _restored(state: State, kind: type[S]) -> list[S] | None:
    """The results in a state; None if it is of something else."""
    try:
        return [kind.restored(one, state.arrays, str(number)) for number, one in enumerate(state.plain[_RESULTS])]
    except (KeyError, TypeError, ValueError):
        return None
