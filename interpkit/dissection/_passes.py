"""The two passes over the images, for a layer's maps as they are or turned, and what all their runs have in common."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from interpkit.counts import BLOCKS
from interpkit.dissection._counting import Counted, tally
from interpkit.dissection._observe import Observed, Seeing, observe
from interpkit.dissection._source import Look, Source
from interpkit.dissection._tally import Tally
from interpkit.errors import LabelSetError
from interpkit.geometry import Placement, Resampler
from interpkit.labels import LabelSet
from interpkit.mapstore import DiskStore, MapStore, RamStore, scratch_folder, settled, store_size
from interpkit.probe import Probe
from interpkit.processes import process_group
from interpkit.running import Fed, Progress, Settled, Stopwatch, announce, fed, label_grid, place, silent
from interpkit.running.beginning import begin

Floats = npt.NDArray[np.float32]

# Beside this one, a thread reads the label maps, which is half of the work, and the main thread adds up. A second one
# gained nothing (502 images of 1,280 units on 2 cores: 1.8 seconds at best with 1 and with 2).
COUNTING_THREADS = 1


def as_they_are(maps: Mapping[str, Floats]) -> Mapping[str, Floats]:
    """The maps of the layers themselves."""
    return maps


@dataclass(frozen=True, eq=False)
class Passes:
    """A network and its images, ready for the two passes.

    Attributes
    ----------
    labels, chosen
        The label set, and its images after ``split`` and ``limit``.
    placements
        Where the cells of each layer lie.
    source
        The maps of the layers.
    where
        Where the maps are kept, and why.
    """

    probe: Probe
    labels: LabelSet
    chosen: LabelSet
    fed: Fed
    placements: Mapping[str, Placement]
    source: Source
    where: str
    watch: Stopwatch
    seed: int
    progress: Progress

    @property
    def first_process(self) -> bool:
        """Whether this is the process that has the results."""
        return self.fed.group.first

    @property
    def settled(self) -> Settled:
        """What all processes know once the first pass is through."""
        return self.source.settled()

    def first(
        self, of: Mapping[str, str], *, quantile: float, top: int, look: Look = as_they_are, part: str = ""
    ) -> dict[str, Observed]:
        """Thresholds and top images of what ``look`` makes of the maps, with the shapes of the layers ``of``.

        ``part`` tells passes of one run apart.
        """
        shapes = self.probe.shapes()
        every = {key: shapes[layer] for key, layer in of.items()}
        seeing = Seeing(self.chosen, self.fed.group, quantile, top, self.progress)
        found = observe(self.source, every, look=look, name=f"thresholds{part}", seeing=seeing)
        self.watch.lap("thresholds")
        return found

    def second(
        self,
        of: Mapping[str, str],
        observed: Mapping[str, Observed],
        *,
        shuffles: int = 1,
        blocks: int = BLOCKS,
        look: Look = as_they_are,
        part: str = "",
    ) -> dict[str, Tally]:
        """The counts of the same maps, once more from the first image to the last; whole on the first process alone."""
        labels, probe, grid = self.chosen, self.probe, label_grid(self.chosen, self.probe)
        names = {category: g for g, category in enumerate(labels.categories)}
        category = np.array([names[c] for c in labels.concepts["category"]], np.int64)
        shapes, size = probe.shapes(), probe.preprocessing.size
        tallies = {}
        for key, layer in of.items():
            h, w = shapes[layer][1:]
            tallies[key] = Tally(
                observed[key],
                Resampler(self.placements[layer], map_size=(h, w), input_size=size, grid=grid),
                category=category,
                categories=len(names),
                map_size=(h, w),
                images=len(labels),
                shuffles=shuffles,
                blocks=blocks,
            )
        counted, name = self._counted(grid, category), f"counting{part}"
        tally(tallies, self.source, counted, look=look, name=name, workers=COUNTING_THREADS)
        seen = any(one.saw_labels for one in tallies.values())
        if not self.fed.group.agreed(lambda: seen or not len(category)):
            raise LabelSetError(f"label set {labels.name} lists {len(category)} concepts, but no image holds any label")
        self.watch.lap("counting")
        return tallies

    def _counted(self, grid: tuple[int, int], category: npt.NDArray[np.int64]) -> Counted:
        return Counted(
            labels=self.chosen,
            group=self.fed.group,
            rows=self.source.rows,
            every=np.delete(np.arange(len(self.chosen)), self.settled.skipped),
            grid=grid,
            category=category,
            seed=self.seed,
            progress=self.progress,
        )


@contextmanager
def passes(
    probe: Probe, labels: LabelSet, *, verb: str, asked: Mapping[str, Any], deciding: Mapping[str, Any], reads: int
) -> Iterator[Passes]:
    """Tune, feed and place the network; ``asked`` are the arguments of `dissect_layers`.

    Parameters
    ----------
    deciding
        The arguments of ``verb`` that decide its result.
    reads
        How often the maps will be read.
    """
    with process_group(asked["device"]) as (group, device), group.together():
        probe = probe if device is None else probe.on(device)
        chosen = labels.select(split=asked["split"], limit=asked["limit"])
        watch, seed, skip_bad, work = Stopwatch(), asked["seed"], asked["skip_bad"], asked["work"]
        begin(work, probe, chosen, verb=verb, options=deciding, group=group, also=[asked["cache"]])
        feeding = {name: asked[name] for name in ("batch_size", "memory_format", "threads", "skip_bad")}
        with fed(probe, chosen, **feeding, group=group, work=work) as ready:
            watch.lap("tuning")
            align = asked["align"]
            placements = group.agreed(lambda: place(probe, chosen, align=align, seed=seed, skip_bad=skip_bad))
            watch.lap("alignment")
            with _kept_maps(ready, probe, images=len(chosen), asked=asked) as (store, where):
                if group.first:
                    announce(len(chosen), ready.feeding, passes=reads if store is None else 1, kept=where)
                source = Source(probe, chosen, ready, store=store)
                progress = asked["progress"] or silent
                yield Passes(probe, labels, chosen, ready, placements, source, where, watch, seed, progress)


@contextmanager
def _kept_maps(
    ready: Fed, probe: Probe, *, images: int, asked: Mapping[str, Any]
) -> Iterator[tuple[MapStore | None, str]]:
    """The store for the maps, None for forward passes instead, and one phrase that says which and why."""
    cache, scratch, work = asked["cache"], asked["scratch"], ready.work
    folder = scratch_folder(scratch)
    size = store_size(list(probe.shapes().values()), images)
    kind, why = ready.group.agreed(lambda: settled(cache, size, scratch=scratch, work=work, name="maps"))
    store: MapStore | None = None
    if kind == "ram":
        store = RamStore()
    elif kind == "disk":
        store = DiskStore(folder) if work is None else DiskStore(work.folder, file=work.file("maps"))
    try:
        yield store, f"{kind} ({why})"
    finally:
        if store is not None:
            store.close()
