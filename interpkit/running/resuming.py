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

    It is committed as well where the next batch cannot be read.

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

    taken: dict[str, Any] = {}

    def commit() -> None:
        if work is not None and taken:
            work.commit(name, stage.state(), taken)

    batches = feeder.batches(first=first)
    while True:
        try:
            batch = next(batches, None)
        except BaseException:
            # An image that cannot be read, or an interruption: neither undoes what came before.
            with suppress(Exception):
                commit()
            raise
        if batch is None:
            break
        yield batch
        # Only now has the caller taken it in.
        taken = _taken(feeder, upto=batch.stop)
        if work is not None and work.due():
            commit()
    if first < span.stop:
        taken = _taken(feeder, upto=span.stop)
        commit()


def _taken(feeder: Feeder, *, upto: int) -> dict[str, Any]:
    """What a feeder had found when it gave its last batch; it finds more while it makes the next one."""
    span = [feeder.span.start, feeder.span.stop]
    return {"span": span, "next": upto, "skipped": list(feeder.skipped), "content": f"{feeder.content:x}"}
