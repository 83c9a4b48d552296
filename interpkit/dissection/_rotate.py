"""rotate(): the same layer dissected with its units turned, step by step, towards a random basis."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from interpkit import running
from interpkit.counts import CategoryRule
from interpkit.dissection._checks import check_alphas, check_labelled, check_options, check_repeats
from interpkit.dissection._passes import Passes, passes
from interpkit.dissection._significance import best_concepts, described, made
from interpkit.dissection._tally import Tally
from interpkit.dissection._turning import Turn, Turned, random_rotation
from interpkit.feeding import MemoryFormat
from interpkit.keeping import Work
from interpkit.labels import LabelSet
from interpkit.mapstore import Cache
from interpkit.probe import Probe
from interpkit.results import Chance, Provenance, Rotation
from interpkit.running import COMMON, Align, Progress, one_layer

Floats = npt.NDArray[np.float32]

ALPHAS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
# The arguments of rotate() that decide its result.
DECIDING = ("alphas", "rotations", "align", "quantile", "iou", "category_rule", *COMMON)

# A layer, how far it is turned, and by which rotation.
Key = tuple[str, float, int]
# The best concepts against the labels themselves, and against those of other images.
Pair = tuple[Chance, Chance]


def planned_rotation(probe: Probe, labels: LabelSet, arguments: Mapping[str, Any]) -> str:
    """The fingerprint that ``rotate`` with these keyword arguments will write, known before it runs.

    Raises
    ------
    InterpkitError
        For a mistake that would stop it.
    """
    deciding = {name: arguments[name] for name in DECIDING} | {"alphas": check_alphas(arguments["alphas"])}
    check_repeats("rotations", arguments["rotations"])
    check_labelled("a rotation", labels)
    return running.planned_fingerprint("rotate", probe, labels, deciding=deciding)


def rotate_layers(
    probe: Probe,
    labels: LabelSet,
    *,
    alphas: Sequence[float] = ALPHAS,
    rotations: int = 3,
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
) -> dict[str, Rotation]:
    """Dissect every layer with its units turned towards random bases: are single units special directions or not.

    The maps a (U, h, w) of a layer are replaced by Q^alpha a, Q a random rotation of its U units, and dissected like
    any others: thresholds, masks and counts anew (Bau et al., CVPR 2017, section 3.2). Whatever a layer tells in all,
    it tells turned too; if fewer concepts are detected then, the units' own directions are special. Each turned layer
    is also counted against the labels of other images, its chance level.

    One pass through the network where maps can be kept. Memory: all alphas of one rotation at a time.

    Parameters
    ----------
    probe, labels
        As for `dissect_layers`.
    alphas
        How far to turn, 0 (as they are) to 1 (the whole rotation); each once, in rising order.
    rotations
        How many random rotations, drawn from ``seed``.
    align, quantile, iou, category_rule, cache, scratch, skip_bad, split, limit, device, batch_size, memory_format
        As for `dissect_layers`.
    threads, seed, progress, work
        As for `dissect_layers`.

    Returns
    -------
    A result a layer, in the probe's order; on the first of several processes. At alpha 0 it is the dissection's, bit
    for bit.

    Raises
    ------
    InterpkitError
        For a mistake in the arguments, or what `dissect_layers` raises.
    """
    arguments = locals()
    options = {name: arguments[name] for name in DECIDING} | {"alphas": check_alphas(alphas)}
    check_repeats("rotations", rotations)
    check_options(align=align, quantile=quantile, iou=iou, category_rule=category_rule, top=1, seed=seed)
    check_labelled("a rotation", labels)
    found: dict[Key, Pair] = {}
    with passes(probe, labels, verb="rotate", asked=arguments, deciding=options, reads=2 * rotations) as run:
        for number in range(rotations):
            turns = _turns(run.probe, options["alphas"], number=number, seed=seed)
            tallies = _dissected(run, turns, quantile=quantile, number=number)
            for key, tally in tallies.items() if run.first_process else ():
                counts = (tally.counts().total(), tally.luck())
                real, luck = (best_concepts(one, tally, labels.categories, rule=category_rule) for one in counts)
                found[key] = (real, luck)
        if not run.first_process:
            return {}
        provenance = made(run, "rotate", options, function=rotate_layers, asks="alphas")
    return {layer: _result(layer, run, options, found=found, provenance=provenance) for layer in run.probe.layers}


rotate = one_layer(rotate_layers, name="rotate")


def _turns(probe: Probe, alphas: Sequence[float], *, number: int, seed: int) -> dict[Key, Turned]:
    """The turns of every layer by one rotation; the units as they are come with the first alone."""
    turns = {}
    for layer, (units, _, _) in probe.shapes().items():
        turn = Turn.of(random_rotation(units, seed=(seed, number)))
        for alpha in alphas:
            if alpha == 0 and number:
                continue
            matrix = torch.from_numpy(turn.power(alpha).astype(np.float32)).to(probe.device) if alpha else None
            turns[layer, alpha, number] = Turned(layer, matrix)
    return turns


def _dissected(run: Passes, turns: Mapping[Key, Turned], *, quantile: float, number: int) -> dict[Key, Tally]:
    """Both passes over the turned maps."""
    named = {_name(*key): turn for key, turn in turns.items()}
    of = {name: turn.layer for name, turn in named.items()}
    if not named:
        return {}

    def look(maps: Mapping[str, Floats]) -> Mapping[str, Floats]:
        return {name: turn(maps) for name, turn in named.items()}

    part = f"-{number}"
    observed = run.first(of, quantile=quantile, top=1, look=look, part=part)
    tallies = run.second(of, observed, blocks=1, look=look, part=part)
    return {key: tallies[_name(*key)] for key in turns}


def _name(layer: str, alpha: float, number: int) -> str:
    """What messages call a turned layer."""
    return f"{layer} turned by {alpha:g} of rotation {number}" if alpha else layer


def _result(
    layer: str,
    run: Passes,
    options: Mapping[str, Any],
    *,
    found: Mapping[Key, Pair],
    provenance: Provenance,
) -> Rotation:
    alphas, rotations = options["alphas"], options["rotations"]
    # Unturned, all rotations are the first.
    pairs = [[found[layer, alpha, number if alpha else 0] for number in range(rotations)] for alpha in alphas]

    def stacked(which: int, name: str) -> Any:  # noqa: ANN401 - whole numbers or scores
        return np.stack([[getattr(pair[which], name) for pair in row] for row in pairs])

    return Rotation(
        alphas=np.array(alphas, np.float64),
        concept=stacked(0, "concept"),
        iou=stacked(0, "iou"),
        luck_concept=stacked(1, "concept"),
        luck_iou=stacked(1, "iou"),
        provenance=provenance,
        **described(run, layer),
    )
