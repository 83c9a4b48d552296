"""The two passes over the images, for a layer's maps as they are or turned, and what all their runs have in common."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from interpkit.counts import BLOCKS
from interpkit.dissection._observe import Observed, Rows, Source, observe
from interpkit.dissection._tally import Tally, tally
from interpkit.errors import InterpkitError, LabelSetError
from interpkit.geometry import Placement, Resampler
from interpkit.labels import LabelSet
from interpkit.mapstore import Cache, DiskStore, MapStore, RamStore, choose, store_size
from interpkit.probe import Probe
from interpkit.running import Fed, Progress, Stopwatch, announce, fed, label_grid, place, silent

Floats = npt.NDArray[np.float32]
Batches = Iterable[tuple[Rows, Mapping[str, Floats]]]

# Beside this one, a thread reads the label maps, which is half of the work, and the main thread adds up. A second one
# gained nothing (502 images of 1,280 units on 2 cores: 1.8 seconds at best with 1 and with 2).
COUNTING_THREADS = 1


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

    def first(self, of: Mapping[str, str], batches: Batches, *, quantile: float, top: int) -> dict[str, Observed]:
        """Thresholds and top images of maps that have the shapes of the layers ``of`` (key -> layer)."""
        shapes = self.probe.shapes()
        every = {key: shapes[layer] for key, layer in of.items()}
        found = observe(every, batches, self.chosen, quantile=quantile, top=top, progress=self.progress)
        self.watch.lap("thresholds")
        return found

    def second(
        self,
        of: Mapping[str, str],
        batches: Iterable[Mapping[str, Floats]],
        observed: Mapping[str, Observed],
        *,
        shuffles: int = 1,
        blocks: int = BLOCKS,
    ) -> dict[str, Tally]:
        """The counts of the same maps, once more from the first image to the last."""
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
        tally(
            tallies,
            batches,
            labels,
            rows=np.delete(np.arange(len(labels)), self.fed.feeder.skipped),
            grid=grid,
            category=category,
            seed=self.seed,
            workers=COUNTING_THREADS,
            progress=self.progress,
        )
        if len(category) and not any(one.saw_labels for one in tallies.values()):
            raise LabelSetError(f"label set {labels.name} lists {len(category)} concepts, but no image holds any label")
        self.watch.lap("counting")
        return tallies


@contextmanager
def passes(probe: Probe, labels: LabelSet, *, asked: Mapping[str, Any], reads: int) -> Iterator[Passes]:
    """Tune, feed and place the network; ``asked`` are the arguments of `dissect_layers`.

    ``reads`` is how often the maps will be read.
    """
    probe = probe if asked["device"] is None else probe.on(asked["device"])
    chosen = labels.select(split=asked["split"], limit=asked["limit"])
    watch, seed, skip_bad = Stopwatch(), asked["seed"], asked["skip_bad"]
    feeding = {name: asked[name] for name in ("batch_size", "memory_format", "threads", "skip_bad")}
    with fed(probe, chosen, **feeding) as ready:
        watch.lap("tuning")
        placements = place(probe, chosen, align=asked["align"], seed=seed, skip_bad=skip_bad)
        watch.lap("alignment")
        with _kept_maps(asked["cache"], probe, images=len(chosen), scratch=asked["scratch"]) as (store, where):
            announce(len(chosen), ready.feeding, passes=reads if store is None else 1, kept=where)
            source = Source(probe, ready.feeder, store)
            progress = asked["progress"] or silent
            yield Passes(probe, labels, chosen, ready, placements, source, where, watch, seed, progress)


@contextmanager
def _kept_maps(
    cache: Cache, probe: Probe, *, images: int, scratch: str | Path | None
) -> Iterator[tuple[MapStore | None, str]]:
    """The store for the maps, None for forward passes instead, and one phrase that says which and why."""
    folder = Path(scratch) if scratch is not None else Path(tempfile.gettempdir())
    if not folder.is_dir():
        raise InterpkitError(f"the scratch folder {folder} does not exist")
    kind, why = choose(cache, store_size(list(probe.shapes().values()), images), scratch=folder)
    store: MapStore | None = RamStore() if kind == "ram" else DiskStore(folder) if kind == "disk" else None
    try:
        yield store, f"{kind} ({why})"
    finally:
        if store is not None:
            store.close()
