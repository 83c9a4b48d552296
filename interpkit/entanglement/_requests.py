"""The analyses made on request."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

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
from interpkit.errors import ImageError, InterpkitError, LabelSetError, ModelError
from interpkit.keeping import Work
from interpkit.labels import LabelSet
from interpkit.probe import Probe
from interpkit.results import Ablation, Adversarial, Compression, Localisation
from interpkit.running.beginning import made_once


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
    work: Work | None = None,
    name: str = "",
) -> Requested:
    """Make the analyses asked for, all of them with the same head; ``outputs`` are the network's own for the classes.

    Each is kept in ``work`` as soon as it is made, under ``name`` and its own name.

    Raises
    ------
    InterpkitError
        If the label set or the network does not allow one of them.
    """
    if not analyses:
        return Requested()
    asked = _Asked(sample, known, outputs, class_limit, seed)
    made: dict[str, _Answer] = {"head": _once(work, f"{name}-head", asked.words)}
    for analysis in analyses:
        made[analysis] = _once(work, f"{name}-{analysis}", getattr(asked, analysis))

    def of(analysis: str) -> tuple[Any, ...]:
        return made[analysis].found if analysis in made else ()

    return Requested(
        head=made["head"].words[0],
        ablation=next(iter(of("ablation")), None),
        compression=next(iter(of("compression")), None),
        localisation=of("localisation"),
        adversarial=of("adversarial"),
        warnings=tuple(words for one in ("localisation", "adversarial") if one in made for words in made[one].words),
    )


@dataclass(frozen=True, eq=False)
class _Answer:
    """What an analysis found, and what it has to say."""

    found: tuple[Any, ...] = ()
    words: tuple[str, ...] = ()

    def arrays(self, prefix: str) -> dict[str, Any]:
        """Of all that was found."""
        return {k: v for i, one in enumerate(self.found) for k, v in one.arrays(f"{prefix}.{i}").items()}

    def about(self) -> dict[str, Any]:
        """The rest, as plain values."""
        return {"found": [[type(one).__name__, one.about()] for one in self.found], "words": list(self.words)}

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Mapping[str, Any], prefix: str) -> "_Answer":
        """The inverse of both."""
        kinds = {kind.__name__: kind for kind in (Ablation, Compression, Localisation, Adversarial)}
        found = (kinds[k].restored(a, arrays, f"{prefix}.{i}") for i, (k, a) in enumerate(about["found"]))
        return cls(tuple(found), tuple(about["words"]))


def _once(work: Work | None, name: str, make: Callable[[], _Answer]) -> _Answer:
    return made_once(work, name, kind=_Answer, make=lambda: [make()])[0]


@dataclass(frozen=True, eq=False)
class _Asked:
    """A method an analysis."""

    sample: Sample
    known: Known
    outputs: Mapping[str, int] | None
    class_limit: int
    seed: int

    @cached_property
    def head(self) -> Head:
        """The head they all look at; it takes long where it has to be trained."""
        return find_head(self.sample, index=self.outputs, seed=self.seed)

    def words(self) -> _Answer:
        """Which head that is."""
        return _Answer(words=(self.head.words,))

    def ablation(self) -> _Answer:
        known, most = self.known, self.class_limit
        return _Answer((ablate(self.head, known.owner, known.positive, at_most=most, seed=self.seed),))

    def compression(self) -> _Answer:
        return _Answer((compress(self.head, correlation(self.sample.pooled), seed=self.seed),))

    # What comes to light after the pass is a warning: the rest of the run is worth keeping. But an image that is gone
    # may be back when the run goes on.
    def localisation(self) -> _Answer:
        """Localisation, or why there is none."""
        try:
            return _Answer(localise(self.sample, self.head, seed=self.seed))
        except ImageError:
            raise
        except InterpkitError as error:
            return _Answer(words=(f"no localisation: {error}",))

    def adversarial(self) -> _Answer:
        """Each attack that turned enough images; of the others, why not."""
        found, warnings = [], []
        for attack in ATTACKS:
            try:
                found.append(detect(self.sample, self.head, attack=attack, seed=self.seed))
            except ImageError:
                raise
            except InterpkitError as error:
                warnings.append(f"no adversarial detection: {error}")
        return _Answer(tuple(found), tuple(warnings))
