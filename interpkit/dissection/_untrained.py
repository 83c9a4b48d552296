"""untrained(): the same network with random weights, dissected."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from interpkit import models, running
from interpkit.counts import CategoryRule
from interpkit.dissection._checks import check_labelled, check_options
from interpkit.dissection._passes import passes
from interpkit.dissection._significance import best_concepts, described, made
from interpkit.feeding import MemoryFormat
from interpkit.keeping import Work
from interpkit.labels import LabelSet
from interpkit.mapstore import Cache
from interpkit.probe import Probe
from interpkit.results import Untrained
from interpkit.running import COMMON, Align, Progress, one_layer

# The arguments of untrained() that decide its result.
DECIDING = ("align", "quantile", "iou", "category_rule", *COMMON)
# The option of the command that asks for it.
FLAG = "random_weights"


def planned_untrained(probe: Probe, labels: LabelSet, arguments: Mapping[str, Any]) -> str:
    """The fingerprint that ``untrained`` with these keyword arguments will write, known before it runs.

    Raises
    ------
    InterpkitError
        For a mistake that would stop it.
    """
    check_labelled("an untrained network", labels)
    models.untrained(probe.loaded, seed=arguments["seed"])
    return running.planned_fingerprint("untrained", probe, labels, deciding=_options(probe, arguments))


def _options(probe: Probe, arguments: Mapping[str, Any]) -> dict[str, Any]:
    flag = {} if probe.scripted else {FLAG: True}
    return {**flag, **{name: arguments[name] for name in DECIDING}}


def untrained_layers(
    probe: Probe,
    labels: LabelSet,
    *,
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
) -> dict[str, Untrained]:
    """Dissect the same layers of the same network before any training: what its structure alone detects.

    Every module draws its weights anew by its own ``reset_parameters``, from ``seed``; the network given stays as it
    is. Thresholds, masks and counts are those of any dissection, and so is the chance level.

    Parameters
    ----------
    probe, labels
        As for `dissect_layers`.
    align, quantile, iou, category_rule, cache, scratch, skip_bad, split, limit, device, batch_size, memory_format
        As for `dissect_layers`.
    threads, seed, progress, work
        As for `dissect_layers`.

    Returns
    -------
    A result a layer, in the probe's order; on the first of several processes.

    Raises
    ------
    ModelError
        If a module of the network does not say how its parameters begin.
    InterpkitError
        For a mistake in the arguments, or what `dissect_layers` raises.
    """
    arguments = locals()
    check_options(align=align, quantile=quantile, iou=iou, category_rule=category_rule, top=1, seed=seed)
    check_labelled("an untrained network", labels)
    probe = probe if device is None else probe.on(device)
    blank = probe.of(models.untrained(probe.loaded, seed=seed))
    deciding = _options(probe, arguments)
    with passes(blank, labels, verb="untrained", asked=arguments, deciding=deciding, reads=2) as run:
        layers = {layer: layer for layer in probe.layers}
        observed = run.first(layers, quantile=quantile, top=1)
        tallies = run.second(layers, observed, blocks=1)
        if not run.first_process:
            return {}
        # Of the trained network: that is what was asked about, and what repeats it.
        trained = replace(run, probe=probe)
        provenance = made(trained, "untrained", deciding, function=untrained_layers, asks=FLAG)
    results = {}
    for layer, tally in tallies.items():
        counts = (tally.counts().total(), tally.luck())
        real, luck = (best_concepts(one, tally, labels.categories, rule=category_rule) for one in counts)
        results[layer] = Untrained(
            concept=real.concept,
            iou=real.iou,
            luck_concept=luck.concept,
            luck_iou=luck.iou,
            provenance=provenance,
            **described(run, layer),
        )
    return results


untrained = one_layer(untrained_layers, name="untrained")
