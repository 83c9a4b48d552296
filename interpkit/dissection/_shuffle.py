"""shuffle(): the masks of a layer against the labels of other images, as often as asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from interpkit import running
from interpkit.counts import CategoryRule
from interpkit.dissection._checks import check_labelled, check_options, check_partners, check_repeats
from interpkit.dissection._passes import passes
from interpkit.dissection._significance import best_concepts, described, made
from interpkit.feeding import MemoryFormat
from interpkit.keeping import Work
from interpkit.labels import LabelSet
from interpkit.mapstore import Cache
from interpkit.probe import Probe
from interpkit.results import Shuffles
from interpkit.running import COMMON, Align, Progress, one_layer

# The arguments of shuffle() that decide its result.
DECIDING = ("shuffles", "align", "quantile", "iou", "category_rule", *COMMON)


def planned_shuffle(probe: Probe, labels: LabelSet, arguments: Mapping[str, Any]) -> str:
    """The fingerprint that ``shuffle`` with these keyword arguments will write, known before it runs.

    Raises
    ------
    InterpkitError
        For a mistake that would stop it.
    """
    check_repeats("shuffles", arguments["shuffles"])
    check_labelled("a shuffle of labels", labels)
    check_partners(labels, split=arguments["split"], limit=arguments["limit"])
    return running.planned_fingerprint("shuffle", probe, labels, deciding={name: arguments[name] for name in DECIDING})


def shuffle_layers(
    probe: Probe,
    labels: LabelSet,
    *,
    shuffles: int = 20,
    align: Align = "half-pixel",
    quantile: float = 0.005,
    iou: float = 0.04,
    category_rule: CategoryRule = "annotated",
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
) -> dict[str, Shuffles]:
    """Count how many detectors of every layer are luck: its masks against the labels of other images, many times.

    In each shuffle an image takes, category by category, the labels of another image in which the category is
    annotated, drawn from a pool of 128, so that every image's labels serve about once. The mean number of detectors
    over the shuffles, divided by the detectors found, is the false-detector rate.

    Memory and time of the counting grow with ``shuffles``.

    Parameters
    ----------
    probe, labels
        As for `dissect_layers`.
    shuffles
        How often the labels are shuffled, K, drawn from ``seed``.
    align, quantile, iou, category_rule, cache, scratch, skip_bad, split, limit, device, batch_size, memory_format
        As for `dissect_layers`.
    threads, seed, progress, work
        As for `dissect_layers`.

    Returns
    -------
    A result a layer, in the probe's order; on the first of several processes.

    Raises
    ------
    InterpkitError
        For a mistake in the arguments, or what `dissect_layers` raises.
    """
    arguments = locals()
    options = {name: arguments[name] for name in DECIDING}
    check_repeats("shuffles", shuffles)
    check_options(align=align, quantile=quantile, iou=iou, category_rule=category_rule, top=1, seed=seed)
    check_labelled("a shuffle of labels", labels)
    check_partners(labels, split=split, limit=limit)
    with passes(probe, labels, verb="shuffle", asked=arguments, deciding=options, reads=2) as run:
        layers = {layer: layer for layer in run.probe.layers}
        observed = run.first(layers, quantile=quantile, top=1)
        tallies = run.second(layers, observed, shuffles=shuffles, blocks=1)
        if not run.first_process:
            return {}
        provenance = made(run, "shuffle", options, function=shuffle_layers, asks="shuffles")
    results = {}
    for layer, tally in tallies.items():
        real = best_concepts(tally.counts().total(), tally, labels.categories, rule=category_rule)
        lucky = [best_concepts(tally.luck(k), tally, labels.categories, rule=category_rule) for k in range(shuffles)]
        results[layer] = Shuffles(
            concept=real.concept,
            iou=real.iou,
            luck_concept=np.stack([one.concept for one in lucky]),
            luck_iou=np.stack([one.iou for one in lucky]),
            provenance=provenance,
            **described(run, layer),
        )
    return results


shuffle = one_layer(shuffle_layers, name="shuffle")
