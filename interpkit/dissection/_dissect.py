"""dissect(): the two passes put together."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from inspect import cleandoc, signature
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec

import numpy as np

from interpkit.counts import CategoryRule
from interpkit.dissection._checks import Align, check_options, place
from interpkit.dissection._observe import Observed, Progress, maps_again, observe
from interpkit.dissection._record import DECIDING, Record, Stopwatch, label_grid
from interpkit.dissection._tally import Tally, tally
from interpkit.errors import ImageError, InterpkitError, LabelSetError
from interpkit.feeding import Feeder, Feeding, MemoryFormat, read_image, threads_set, tune, weights_in
from interpkit.geometry import Placement, Resampler
from interpkit.labels import LabelSet
from interpkit.mapstore import Cache, DiskStore, MapStore, RamStore, choose, store_size
from interpkit.probe import Probe
from interpkit.results import Dissection

# Beside this one, a thread reads the label maps, which is half of the work, and the main thread adds up. A second one
# gained nothing (502 images of 1,280 units on 2 cores: 1.8 seconds at best with 1 and with 2).
COUNTING_THREADS = 1
_LOG = logging.getLogger(__name__)

# The first images, on which the feeding is tuned: as many as the largest batch that a CPU tries.
TUNING_IMAGES = 8


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
    with threads_set(threads):
        feeding = tune(probe, _first_images(chosen, probe), batch_size=batch_size, memory_format=memory_format)
        watch.lap("tuning")
        placements = place(probe, chosen, align=align, seed=seed, skip_bad=skip_bad)
        watch.lap("alignment")
        feeder = Feeder(chosen, probe, feeding=feeding, skip_bad=skip_bad)
        passes = _Passes(probe, chosen, feeder, placements, seed=seed, progress=progress or _silent)
        with (
            weights_in(probe.model, feeding.memory_format),
            _kept_maps(cache, probe, images=len(chosen), scratch=scratch) as (store, where),
        ):
            _announce(chosen, feeding, where, passes=2 if store is None else 1)
            observed = passes.first(store, quantile=quantile, top=top)
            watch.lap("thresholds")
            tallies = passes.second(store, observed)
            watch.lap("counting")
    record = Record(
        probe=probe,
        labels=labels,
        chosen=chosen,
        skipped=tuple(feeder.skipped),
        feeding=feeding,
        watch=watch,
        options=options,
        defaults={name: parameter.default for name, parameter in signature(dissect_layers).parameters.items()},
        where=where,
    )
    return {
        layer: record.result(layer, observed[layer], tallies[layer], placement=placements[layer])
        for layer in probe.layers
    }


P = ParamSpec("P")


def _one_layer(
    function: Callable[Concatenate[Probe, P], dict[str, Dissection]],
) -> Callable[Concatenate[Probe, P], Dissection]:
    """``function`` for a probe of one layer, giving that layer's result."""

    @wraps(function)
    def dissect(probe: Probe, /, *args: P.args, **kwargs: P.kwargs) -> Dissection:
        if len(probe.layers) != 1:
            raise InterpkitError(
                f"dissect() takes one layer, the probe has {len(probe.layers)}: {', '.join(probe.layers)}; "
                "dissect_layers() gives one result a layer"
            )
        return function(probe, *args, **kwargs)[probe.layers[0]]

    dissect.__name__ = dissect.__qualname__ = "dissect"
    dissect.__doc__ = (
        f"`dissect_layers` for a probe of one layer, giving that layer's result.\n\n{cleandoc(function.__doc__ or '')}"
    )
    return dissect


dissect = _one_layer(dissect_layers)


def _announce(labels: LabelSet, feeding: Feeding, where: str, *, passes: int) -> None:
    """One line before a long run: how it is fed, how long it will take, where the maps go."""
    seconds = passes * len(labels) * feeding.milliseconds / 1e3
    _LOG.info(
        "%s, about %s: batch %d %s, %.1f ms an image, threads: %d; maps kept: %s",
        f"{len(labels):,} image{'' if len(labels) == 1 else 's'}",
        f"{seconds / 60:.0f} min" if seconds > 120 else f"{seconds:.0f} s",
        feeding.batch_size,
        feeding.memory_format,
        feeding.milliseconds,
        feeding.threads,
        where,
    )


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


def _silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def _first_images(labels: LabelSet, probe: Probe) -> list[Any]:
    """The first readable images, as inputs."""
    images: list[Any] = []
    for row in range(len(labels)):
        try:
            images.append(read_image(labels, row, probe.preprocessing))
        except ImageError:
            continue
        if len(images) == TUNING_IMAGES:
            break
    if not images:
        raise LabelSetError(f"label set {labels.name}: none of its {len(labels)} images can be read")
    return images
