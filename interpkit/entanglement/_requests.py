"""The analyses made on request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpkit.entanglement._ablation import ablate
from interpkit.entanglement._adversarial import ATTACKS, TooFewPairsError, detect
from interpkit.entanglement._compression import compress
from interpkit.entanglement._finding import find_head
from interpkit.entanglement._head import Head
from interpkit.entanglement._localisation import localise
from interpkit.entanglement._sample import Sample
from interpkit.errors import LabelSetError
from interpkit.labels import LabelSet
from interpkit.results import Ablation, Adversarial, Compression, Localisation


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of a layer's units when the analyses begin.

    Attributes
    ----------
    owner, positive
        (U,) the class that owns each unit, -1 for none, and whether the unit is higher on it than elsewhere.
    pairs
        (U, U) correlation of pooled activations.
    """

    owner: npt.NDArray[np.int64]
    positive: npt.NDArray[np.bool_]
    pairs: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Requested:
    """The answers; None and empty where nothing was asked. ``warnings`` say what could not be answered, and why."""

    head: str = ""
    ablation: Ablation | None = None
    compression: Compression | None = None
    localisation: tuple[Localisation, ...] = ()
    adversarial: tuple[Adversarial, ...] = ()
    warnings: tuple[str, ...] = ()


def check_possible(labels: LabelSet, classes: Sequence[str], analyses: Sequence[str], *, multi: bool) -> None:
    """Stop before the pass at what the label set does not allow.

    Raises
    ------
    InterpkitError
        If localisation is asked of a set without masks of its classes, or attacks of images of several classes.
    """
    if "localisation" in analyses and not (labels.grid and set(classes) & set(labels.concepts["name"])):
        raise LabelSetError(
            f"localisation needs masks of the classes, and {labels.name} has no label map with a concept called "
            f"{classes[0]!r}, {classes[1]!r} or as another class; leave it out of --with"
        )
    if "adversarial" in analyses and multi:
        raise LabelSetError(
            f"adversarial detection needs one class an image, and images of {labels.name} have several; "
            "leave it out of --with"
        )


def answer(
    sample: Sample,
    known: Known,
    analyses: Sequence[str],
    *,
    outputs: Mapping[str, int] | None,
    class_limit: int,
    seed: int,
) -> Requested:
    """Make the analyses asked for, all of them with the same head; ``outputs`` are the network's own for the classes.

    Raises
    ------
    InterpkitError
        If the label set or the network does not allow one of them.
    """
    if not analyses:
        return Requested()
    head = find_head(sample, index=outputs, seed=seed)
    attacked, warnings = _attacked(sample, head, seed=seed) if "adversarial" in analyses else ((), ())
    return Requested(
        head=head.words,
        ablation=ablate(head, known.owner, known.positive, at_most=class_limit, seed=seed)
        if "ablation" in analyses
        else None,
        compression=compress(head, known.pairs, seed=seed) if "compression" in analyses else None,
        localisation=localise(sample, head, seed=seed) if "localisation" in analyses else (),
        adversarial=attacked,
        warnings=warnings,
    )


def _attacked(sample: Sample, head: Head, *, seed: int) -> tuple[tuple[Adversarial, ...], tuple[str, ...]]:
    """Each attack that turned enough images; of the others, why not: the rest of the run is worth keeping."""
    found, warnings = [], []
    for attack in ATTACKS:
        try:
            found.append(detect(sample, head, attack=attack, seed=seed))
        except TooFewPairsError as error:
            warnings.append(str(error))
    return tuple(found), tuple(warnings)
