"""What the functions that judge a dissection have in common."""

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any

from interpkit import metrics
from interpkit.counts import CategoryRule, Counts
from interpkit.dissection._passes import Passes
from interpkit.dissection._tally import Tally
from interpkit.results import Chance, Provenance, best_of_each
from interpkit.running import Run


def best_concepts(counts: Counts, tally: Tally, categories: Sequence[str], *, rule: CategoryRule) -> Chance:
    """Each unit's best concept of each category by IoU."""
    return best_of_each(metrics.load("iou").score(counts.under(rule)), tally.category, categories)


def made(run: Passes, verb: str, options: Mapping[str, Any], *, function: Callable[..., Any], asks: str) -> Provenance:
    """How such a result was made: the command is ``dissect`` with the option that stands for the argument ``asks``."""
    defaults = {name: parameter.default for name, parameter in signature(function).parameters.items()}
    return Run(
        verb=verb,
        functions=(verb, f"{verb}_layers"),
        probe=run.probe,
        labels=run.labels,
        options=options,
        # Said in any case: without it nobody asks for such a result.
        defaults={**defaults, asks: None},
        feeding=run.fed.feeding,
        watch=run.watch,
        notes=(f"maps kept: {run.where}",),
        command="dissect",
        content=run.settled.content,
    ).provenance


def described(run: Passes, layer: str) -> dict[str, Any]:
    """The fields of a result that say what was looked at."""
    names, skipped = run.chosen.images["image"].to_numpy(str), run.settled.skipped
    return {
        "layer": layer,
        "concepts": run.labels.concepts[["number", "name", "category"]].reset_index(drop=True),
        "categories": run.labels.categories,
        "images": len(names) - len(skipped),
        "skipped": tuple(str(name) for name in names[list(skipped)]),
    }
