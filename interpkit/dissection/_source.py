"""The maps of all images of a process, read as often as wanted, by passes that go on where they were killed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from interpkit.errors import ImageError
from interpkit.feeding import Batch
from interpkit.keeping import LostError
from interpkit.labels import LabelSet
from interpkit.mapstore import MapStore
from interpkit.probe import Probe
from interpkit.running import Fed, Settled, Stage, forward

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Maps = Mapping[str, Floats]
# What is to be seen in a batch's maps (n, U, h, w): those of the layers, or turned ones.
Look = Callable[[Maps], Maps]

# What work calls the batches that are known, and the maps that are kept of them.
BATCHES = "batches"
STORE = "store-"


class Source:
    """The maps of all readable images: from where they are kept, else from the network.

    Parameters
    ----------
    store
        Takes the maps; None for another forward pass each time.
    """

    def __init__(self, probe: Probe, labels: LabelSet, fed: Fed, *, store: MapStore | None) -> None:
        self._probe, self._labels, self._fed, self._store = probe, labels, fed, store
        self._rows: list[Rows] = []
        # The row from which on each batch looks, and the one from which on nothing was looked at yet.
        self._starts: list[int] = []
        self._next = fed.feeder.span.start
        self._skipped: list[int] = []
        self._settled: Settled | None = None
        self._committed = self._next
        self._restore()

    @property
    def rows(self) -> Rows:
        """(n,) the readable images of this process, rising, once a pass is through."""
        return np.concatenate([np.empty(0, np.int64), *self._rows])

    @property
    def span(self) -> range:
        """The rows that this process looks at."""
        return self._fed.feeder.span

    def settled(self) -> Settled:
        """What all processes know together once their first pass is through; they all have to ask."""
        if self._settled is None:
            self._fed.feeder.skipped[:] = self._skipped
            self._settled = self._fed.settle()
        return self._settled

    def batches(self, first: int = 0) -> Iterator[tuple[Rows, Maps]]:
        """The rows (n,) of each batch, rising, and the maps (n, U, h, w) of each layer, from one batch on."""
        number, feed = first, None
        while number < len(self._rows) or self._next < self.span.stop:
            self._fed.group.check()
            known = number < len(self._rows)
            kept = self._store.get(number) if known and self._store is not None else None
            if kept is not None:
                yield self._rows[number], kept
                number, feed = number + 1, None
                continue
            if feed is None:
                feed = self._fed.feeder.batches(first=self._starts[number] if known else self._next)
            batch = next(feed, None)
            self._expect(number, batch)
            if batch is None:
                break
            maps = forward(self._probe, batch)
            if self._store is not None:
                self._store.put(number, maps)
            yield batch.rows, maps
            number += 1

    def _expect(self, number: int, batch: Batch | None) -> None:
        """Take note of a new batch, or that there is none; one that was seen before has to be the same."""
        rows: Rows = np.empty(0, np.int64) if batch is None else batch.rows
        if number == len(self._rows):
            if batch is not None:
                self._rows.append(rows)
                self._starts.append(self._next)
            self._next = self.span.stop if batch is None else batch.stop
            # A feed that began at a batch whose maps were damaged says nothing of those that were not read again.
            self._skipped = sorted({*self._skipped, *self._fed.feeder.skipped})
            return
        differing = np.setxor1d(self._rows[number], rows)
        if len(differing):
            name = self._labels.images["image"].iloc[int(differing[0])]
            raise ImageError(f"{self._labels.name}: image {name} changed during the run: one pass could read it")

    def images(self, first: int, *, look: Look) -> Iterator[Maps]:
        """What ``look`` makes of the maps, (U, h, w) image by image, from the readable image number ``first`` on."""
        ends = np.cumsum([len(rows) for rows in self._rows])
        batch = int(np.searchsorted(ends, first, side="right"))
        skip = first - (int(ends[batch - 1]) if batch else 0)
        for rows, own in self.batches(batch):
            # All of a batch, as ever: a part of it may come out otherwise in the last bit.
            maps = look(own)
            for i in range(skip, len(rows)):
                yield {layer: array[i] for layer, array in maps.items()}
            skip = 0

    def resumed(self, stage: Stage, *, name: str) -> Iterator[tuple[Rows, Maps]]:
        """The batches that ``stage`` has not taken in yet; what it has is committed from time to time, and at the end.

        What reads them may not run ahead.
        """
        number = before = self.begun(stage, name=name, most=len(self._rows))
        for rows, maps in self.batches(number):
            yield rows, maps
            number += 1
            self.keep(stage, name=name, done=number)
        if number > before:
            self.keep(stage, name=name, done=number, last=True)

    def begun(self, stage: Stage, *, name: str, most: int) -> int:
        """How much ``stage`` has taken in, after it was brought back to what a run that was killed had committed."""
        before = None if self._fed.work is None else self._fed.work.state(name)
        if before is not None and 0 <= before.plain.get("done", -1) <= most:
            with suppress(LostError):
                stage.restore(before.arrays)
                return int(before.plain["done"])
        return 0

    def keep(self, stage: Stage, *, name: str, done: int, last: bool = False) -> None:
        """Commit ``stage``, which has taken in so much, if it is time to, or the ``last`` time."""
        work = self._fed.work
        if work is None or not (last or work.due()):
            return
        # The batches first: a stage may not be further than they are.
        if self._committed < self._next:
            plain = {"span": [self.span.start, self.span.stop], "next": self._next, "skipped": self._skipped}
            work.commit(BATCHES, self._state(), {**plain, "content": f"{self._fed.feeder.content:x}"})
            self._committed = self._next
        work.commit(name, stage.state(), {"done": done})

    def _state(self) -> dict[str, npt.NDArray[Any]]:
        kept = {} if self._store is None else self._store.state()
        sizes = np.array([len(rows) for rows in self._rows], np.int64)
        return {
            "rows": self.rows,
            "sizes": sizes,
            "starts": np.array(self._starts, np.int64),
            **{f"{STORE}{name}": array for name, array in kept.items()},
        }

    def _restore(self) -> None:
        before = None if self._fed.work is None else self._fed.work.state(BATCHES)
        if before is None:
            return
        arrays, plain = before.arrays, before.plain
        self._rows = np.split(arrays["rows"], np.cumsum(arrays["sizes"]))[:-1]
        self._starts = arrays["starts"].tolist()
        self._next = self._committed = int(plain["next"])
        self._skipped = list(plain["skipped"])
        self._fed.feeder.read_before(self._skipped, upto=self._next, content=int(plain["content"], 16))
        if self._store is not None:
            self._store.restore({k.removeprefix(STORE): v for k, v in arrays.items() if k.startswith(STORE)})
