"""Dissections that one and several processes make alike; run as a program, it is one of those processes."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from small_networks import probe
from stopping import saved

from interpkit.dissection import _partners as partners
from interpkit.dissection import dissect_layers, rotate_layers, shuffle_layers, untrained_layers
from interpkit.errors import InterpkitError
from interpkit.keeping import Work
from interpkit.labels import LabelSet

FED: dict[str, Any] = {"batch_size": 4, "memory_format": "contiguous", "threads": 1}
VERBS: dict[str, Callable[..., Mapping[str, Any]]] = {
    "dissect": dissect_layers,
    "rotate": rotate_layers,
    "shuffle": shuffle_layers,
    "untrained": untrained_layers,
}
SEGMENT = 50


@dataclass(frozen=True)
class Case:
    """One run."""

    verb: str
    labels: str
    options: Mapping[str, Any] = field(default_factory=dict)


CASES = {
    "maps kept": Case("dissect", "whole", {"cache": "disk"}),
    "fewer blocks than processes": Case("dissect", "few", {"cache": "disk"}),
    "images left out": Case("dissect", "spoilt", {"skip_bad": True, "cache": "none"}),
    "turned": Case("rotate", "whole", {"cache": "disk", "alphas": (0.0, 1.0), "rotations": 2}),
    "shuffled": Case("shuffle", "spoilt", {"skip_bad": True, "shuffles": 2, "cache": "ram"}),
    "untrained": Case("untrained", "few", {"cache": "none"}),
}


def compute(name: str, sets: Path, work: Work | None) -> Mapping[str, Any]:
    """The results of a case."""
    case, before = CASES[name], partners.SEGMENT
    labels = LabelSet.open(sets / case.labels)
    partners.SEGMENT = SEGMENT
    try:
        return VERBS[case.verb](probe(["early", "norm"]), labels, **FED, **case.options, work=work)
    finally:
        partners.SEGMENT = before


def main() -> None:
    """Every case; then one that fails."""
    rank = os.environ["RANK"]
    sets, out = map(Path, sys.argv[1:])
    for name in CASES:
        with Work(out / "work" / name / rank, title=name, every=0) as work:
            results = compute(name, sets, work)
        if results:
            saved(results, out / name)
            sys.stdout.write("results\n")
    try:
        dissect_layers(probe(["norm"]), LabelSet.open(sets / "broken"), **FED)
    except InterpkitError as error:
        sys.stdout.write(f"{type(error).__name__} {error}\n")


if __name__ == "__main__":
    main()
