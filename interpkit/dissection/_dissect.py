"""dissect(): the two passes put together."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Literal

import numpy as np

from interpkit.counts import CategoryRule
from interpkit.dissection._checks import check_options
from interpkit.dissection._observe import Observed, maps_again, observe
from interpkit.dissection._record import DECIDING, Record
from interpkit.dissection._tally import Tally, tally
from interpkit.errors import InterpkitError, LabelSetError
from interpkit.feeding import Feeder, MemoryFormat
from interpkit.geometry import Placement, Resampler
from interpkit.labels import LabelSet
from interpkit.mapstore import Cache, DiskStore, MapStore, RamStore, choose, store_size
from interpkit.probe import Probe
from interpkit.results import Dissection
from interpkit.running import Align, Progress, Stopwatch, announce, fed, label_grid, one_layer, place, silent

# Beside this one, a thread reads the label maps, which is half of the work, and the main thread adds up. A second one
# gained nothing (502 images of 1,280 units on 2 cores: 1.8 seconds at best with 1 and with 2).
COUNTING_THREADS = 1


def dissect_layers(
    probe: Probe,
    labels: LabelSet,
    *,
    align: Align = "half-pixel",
    quantile: float = 0.005,
    iou: float = 0.04,
    category_rule: CategoryRule = "annotated",
    top: int = 10,
    cache: Cache = "auto",
    scratch: str | Path | None = None,
    skip_bad: bool = False,
    split: str | None = None,
    limit: int | None = None,
    device: str | None = None,
    batch_size: int | Literal["auto"] = "auto",
    memory_format: MemoryFormat = "auto",
    threads: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Dissection]:
    """Name the units of every layer of the probe by the concepts their masks overlap.

    Network Dissection, exactly (Bau et al., CVPR 2017): the threshold of a unit is the 1 - ``quantile`` quantile of
    all its activations; its mask is its map, read bilinearly on the label grid, where it reaches the threshold; its
    IoU with a concept is a ratio of pixel counts over all images. The model is left as it was found.

    Parameters
    ----------
    probe
        A model and its layers, which share one forward pass.
    labels
        Images with label maps. A set without labels gives top images without names.
    align
        Where the cells of a map lie on the input: ``half-pixel`` (spread evenly), ``receptive-field`` (the paper:
        mid-points of the measured fields) or ``effective`` (fitted to where the gradient says the layer looks).
    quantile
        Share of positions above the threshold; the paper's 0.005.
    iou
        A unit detects a concept where its IoU is above this; the paper's 0.04.
    category_rule
        ``annotated``: a unit's pixels count only in images that hold a label of the concept's category (the paper);
        ``all``: in every image.
    top
        How many top images to keep a unit.
    cache
        Where maps are kept between the two passes: ``ram``, ``disk``, ``none`` (a second forward pass), or ``auto``:
        the first that fits. The results are identical.
    scratch
        Folder for ``cache="disk"``; default: the system's temporary folder.
    skip_bad
        Leave out images that cannot be read, and count them, instead of stopping at the first.
    split, limit
        Only images of this split; of those only the first so many.
    device
        ``cpu``, ``cuda``, ``cuda:1``, ``auto``; default: where the probe is.
    batch_size, memory_format
        ``auto`` times a few combinations on the first images and keeps the fastest; the result says which.
    threads
        Torch's threads; default: as they are set.
    seed
        For what is drawn at random: the pairs behind the chance level, and the photographs ``effective`` looks at.
    progress
        Called as progress(stage, done, total).

    Returns
    -------
    A result a layer, in the probe's order.

    Raises
    ------
    InterpkitError
        For a mistake in the arguments, an image that cannot be read, or activations that are not finite.
    """
    options = {name: value for name, value in locals().items() if name in DECIDING}
    check_options(align=align, quantile=quantile, iou=iou, category_rule=category_rule, top=top, seed=seed)
    probe = probe if device is None else probe.on(device)
    chosen = labels.select(split=split, limit=limit)
    watch = Stopwatch()
    with fed(
        probe, chosen, batch_size=batch_size, memory_format=memory_format, threads=threads, skip_bad=skip_bad
    ) as ready:
        watch.lap("tuning")
        placements = place(probe, chosen, align=align, seed=seed, skip_bad=skip_bad)
        watch.lap("alignment")
        passes = _Passes(probe, chosen, ready.feeder, placements, seed=seed, progress=progress or silent)
        with _kept_maps(cache, probe, images=len(chosen), scratch=scratch) as (store, where):
            announce(len(chosen), ready.feeding, passes=2 if store is None else 1, kept=where)
            observed = passes.first(store, quantile=quantile, top=top)
            watch.lap("thresholds")
            tallies = passes.second(store, observed)
            watch.lap("counting")
    record = Record(
        probe=probe,
        labels=labels,
        chosen=chosen,
        skipped=tuple(ready.feeder.skipped),
        feeding=ready.feeding,
        watch=watch,
        options=options,
        defaults={name: parameter.default for name, parameter in signature(dissect_layers).parameters.items()},
        where=where,
    )
    return {
        layer: record.result(layer, observed[layer], tallies[layer], placement=placements[layer])
        for layer in probe.layers
    }


dissect = one_layer(dissect_layers, name="dissect")


@contextmanager
def _kept_maps(
    cache: Cache, probe: Probe, *, images: int, scratch: str | Path | None
) -> Iterator[tuple[MapStore | None, str]]:
    """The store for the maps, None for a second forward pass, and one phrase that says which and why."""
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


@dataclass(frozen=True, eq=False)
class _Passes:
    """The two passes over the images."""

    probe: Probe
    labels: LabelSet
    feeder: Feeder
    placements: Mapping[str, Placement]
    seed: int
    progress: Progress

    def first(self, store: MapStore | None, *, quantile: float, top: int) -> dict[str, Observed]:
        """Thresholds and top images; the maps go into ``store``."""
        return observe(
            self.probe, self.feeder, self.labels, quantile=quantile, top=top, store=store, progress=self.progress
        )

    def second(self, store: MapStore | None, observed: Mapping[str, Observed]) -> dict[str, Tally]:
        """The counts, from the kept maps or from a second forward pass."""
        labels = self.labels
        grid = label_grid(labels, self.probe)
        names = {category: g for g, category in enumerate(labels.categories)}
        category = np.array([names[c] for c in labels.concepts["category"]], np.int64)
        tallies = {}
        for layer, (_, *map_size) in self.probe.shapes().items():
            size = (map_size[0], map_size[1])
            resampler = Resampler(
                self.placements[layer], map_size=size, input_size=self.probe.preprocessing.size, grid=grid
            )
            tallies[layer] = Tally(
                observed[layer],
                resampler,
                category=category,
                categories=len(names),
                map_size=size,
                images=len(labels),
            )
        rows = np.delete(np.arange(len(labels)), self.feeder.skipped)
        batches = maps_again(self.probe, self.feeder) if store is None else store
        tally(
            tallies,
            batches,
            labels,
            rows=rows,
            grid=grid,
            category=category,
            seed=self.seed,
            workers=COUNTING_THREADS,
            progress=self.progress,
        )
        if len(category) and not any(one.saw_labels for one in tallies.values()):
            raise LabelSetError(f"label set {labels.name} lists {len(category)} concepts, but no image holds any label")
        return tallies
