"""The analyses made on request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpkit.entanglement._ablation import ablate
from interpkit.entanglement._adversarial import ATTACKS, detect
from interpkit.entanglement._compression import compress
from interpkit.entanglement._finding import check_index, find_head
from interpkit.entanglement._head import Head
from interpkit.entanglement._localisation import localise
from interpkit.entanglement._redundancy import correlation
from interpkit.entanglement._sample import Sample
from interpkit.errors import InterpkitError, LabelSetError, ModelError
from interpkit.labels import LabelSet
from interpkit.probe import Probe
from interpkit.results import Ablation, Adversarial, Compression, Localisation


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of a layer's units when the analyses begin.

    Attributes
    ----------
    owner, positive
        (U,) the class that owns each unit, -1 for none, and whether the unit is higher on it than elsewhere.
    """

    owner: npt.NDArray[np.int64]
    positive: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Requested:
    """The answers; None and empty where nothing was asked. ``warnings`` say what could not be answered, and why."""

    head: str = ""
    ablation: Ablation | None = None
    compression: Compression | None = None
    localisation: tuple[Localisation, ...] = ()
    adversarial: tuple[Adversarial, ...] = ()
    warnings: tuple[str, ...] = ()


def check_possible(probe: Probe, labels: LabelSet, analyses: Sequence[str], *, by_label: bool) -> None:
    """Stop before the pass at what the network or the label set does not allow.

    Raises
    ------
    InterpkitError
        If localisation is asked of a set without masks of its classes, attacks of images of several classes, either of
        a layer that is read through ``reshape``, or a manifest's ``model_index`` does not fit classes and network.
    """
    if probe.reshape is not None and {"localisation", "adversarial"} & set(analyses):
        raise ModelError(
            "localisation and adversarial detection send gradients through the layer, which reshape= does not allow"
        )
    classes = set(() if labels.classes is None else labels.classes["class"]) if by_label else set(probe.loaded.classes)
    if "localisation" in analyses and not (labels.grid and classes & set(labels.concepts["name"])):
        shown = ", ".join(repr(name) for name in sorted(classes)[:2])
        raise LabelSetError(
            f"localisation needs masks of the classes, and {labels.name} has no label map with a concept called "
            f"{shown} or as another class; leave it out of --with"
        )
    several = labels.classes is not None and bool(labels.classes["image"].duplicated().any())
    if "adversarial" in analyses and by_label and several:
        raise LabelSetError(
            f"adversarial detection needs one class an image, and images of {labels.name} have several; "
            "leave it out of --with"
        )
    index = labels.manifest.get("model_index")
    if analyses and by_label and index:
        check_index(index, sorted(classes), width=probe.outputs())


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
    localised, unlocalised = _localised(sample, head, seed=seed) if "localisation" in analyses else ((), ())
    attacked, unattacked = _attacked(sample, head, seed=seed) if "adversarial" in analyses else ((), ())
    return Requested(
        head=head.words,
        ablation=ablate(head, known.owner, known.positive, at_most=class_limit, seed=seed)
        if "ablation" in analyses
        else None,
        compression=compress(head, correlation(sample.pooled), seed=seed) if "compression" in analyses else None,
        localisation=localised,
        adversarial=attacked,
        warnings=(*unlocalised, *unattacked),
    )


# What comes to light after the pass is a warning: the rest of the run is worth keeping.
def _localised(sample: Sample, head: Head, *, seed: int) -> tuple[tuple[Localisation, ...], tuple[str, ...]]:
    """Localisation, or why there is none."""
    try:
        return localise(sample, head, seed=seed), ()
    except InterpkitError as error:
        return (), (f"no localisation: {error}",)


def _attacked(sample: Sample, head: Head, *, seed: int) -> tuple[tuple[Adversarial, ...], tuple[str, ...]]:
    """Each attack that turned enough images; of the others, why not."""
    found, warnings = [], []
    for attack in ATTACKS:
        try:
            found.append(detect(sample, head, attack=attack, seed=seed))
        except InterpkitError as error:
            warnings.append(f"no adversarial detection: {error}")
    return tuple(found), tuple(warnings)
