"""dissect(): the two passes put together."""

from inspect import signature
from pathlib import Path
from typing import Literal

from interpkit.counts import CategoryRule
from interpkit.dissection._checks import check_options
from interpkit.dissection._passes import passes
from interpkit.dissection._record import DECIDING, Record
from interpkit.feeding import MemoryFormat
from interpkit.keeping import Work
from interpkit.labels import LabelSet
from interpkit.mapstore import Cache
from interpkit.probe import Probe
from interpkit.results import Dissection
from interpkit.running import Align, Progress, one_layer


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
    work: Work | None = None,
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
    work
        Where finished work is kept, for the same call to go on with; default: nowhere. With ``cache="ram"`` the maps
        are not kept, and are made once more.

    Returns
    -------
    A result a layer, in the probe's order. Of several processes that ``torchrun`` has started, each looks at its share
    of the images, and the first one has the results; the others give none.

    Raises
    ------
    InterpkitError
        For a mistake in the arguments, an image that cannot be read, or activations that are not finite.
    """
    options = {name: value for name, value in locals().items() if name in DECIDING}
    check_options(align=align, quantile=quantile, iou=iou, category_rule=category_rule, top=top, seed=seed)
    with passes(probe, labels, verb="dissect", asked=locals(), deciding=options, reads=2) as run:
        layers = {layer: layer for layer in probe.layers}
        observed = run.first(layers, quantile=quantile, top=top)
        tallies = run.second(layers, observed)
        if not run.first_process:
            return {}
    record = Record(
        probe=run.probe,
        labels=labels,
        chosen=run.chosen,
        settled=run.settled,
        feeding=run.fed.feeding,
        watch=run.watch,
        options=options,
        defaults={name: parameter.default for name, parameter in signature(dissect_layers).parameters.items()},
        where=run.where,
    )
    return {
        layer: record.result(layer, observed[layer], tallies[layer], placement=run.placements[layer])
        for layer in probe.layers
    }


dissect = one_layer(dissect_layers, name="dissect")
