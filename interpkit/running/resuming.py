"""A pass over the images that goes on where it was killed."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Protocol

import numpy.typing as npt

from interpkit.feeding import Batch, Feeder
from interpkit.keeping import LostError, Work

Arrays = Mapping[str, npt.NDArray[Any]]


class Stage(Protocol):
    """What a pass fills, batch by batch."""

    def state(self) -> Arrays:
        """All that it has taken in so far; what lies in files is on the disk when this returns."""

    def restore(self, arrays: Arrays) -> None:
        """Go on from such a state, as if everything had been taken in here.

        Raises
        ------
        LostError
            If what it speaks of is gone; nothing is changed then, and the pass begins again.
        """


def resumed(feeder: Feeder, stage: Stage, *, work: Work | None, name: str) -> Iterator[Batch]:
    """The batches that ``stage`` has not taken in yet; what it has is committed from time to time, and at the end.

    Parameters
    ----------
    feeder
        Its ``skipped`` is filled as if all batches had been read here.
    work
        Where earlier work on the same images lies; None to begin at the first image and keep nothing.
    name
        Of the pass.
    """
    span, first = feeder.span, feeder.span.start
    before = None if work is None else work.state(name)
    if before is not None and before.plain.get("span") == [span.start, span.stop]:
        with suppress(LostError):
            stage.restore(before.arrays)
            first = int(before.plain["next"])
            feeder.read_before(before.plain["skipped"], upto=first, content=int(before.plain["content"], 16))

    def commit(upto: int) -> None:
        if work is not None:
            plain = {"span": [span.start, span.stop], "next": upto, "skipped": list(feeder.skipped)}
            plain["content"] = f"{feeder.content:x}"
            work.commit(name, stage.state(), plain)

    for batch in feeder.batches(first=first):
        yield batch
        # Only now has the caller taken it in.
        if work is not None and work.due():
            commit(batch.stop)
    if first < span.stop:
        commit(span.stop)
