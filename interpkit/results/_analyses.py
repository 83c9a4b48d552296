"""What an entanglement may hold beyond its matrix: analyses that are made on request."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def plain(value: float | Floats) -> float | None:
    """A number for JSON, which has no NaN."""
    return float(value) if np.isfinite(value) else None


class Stored:
    """Arrays, numbers and words of a dataclass, taken apart for storage and put together again."""

    def arrays(self, prefix: str) -> dict[str, Any]:
        """The fields that are arrays, by ``<prefix>.<name>``."""
        return {f"{prefix}.{name}": value for name, value in self._values().items() if isinstance(value, np.ndarray)}

    def about(self) -> dict[str, Any]:
        """The other fields, as plain values."""
        return {name: value for name, value in self._values().items() if not isinstance(value, np.ndarray)}

    def _values(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Mapping[str, Any], prefix: str) -> Self:
        """The inverse of ``about`` and ``arrays``."""
        start = f"{prefix}."
        stored = {name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)}
        plain = {name: tuple(value) if isinstance(value, list) else value for name, value in about.items()}
        return cls(**plain, **stored)


def check_shapes(measure: object, shapes: dict[str, tuple[int, ...]]) -> None:
    """Stop at the first array of ``measure`` that has another shape.

    Raises
    ------
    ValueError
        Naming it.
    """
    for name, shape in shapes.items():
        if getattr(measure, name).shape != shape:
            raise ValueError(f"{name} has shape {getattr(measure, name).shape}, not {shape}")


@dataclass(frozen=True, eq=False)
class Ablation(Stored):
    """What the head loses without the units that a class owns.

    Attributes
    ----------
    base
        (K,) recall of each class with all units.
    recall
        (A, K) recall of each class after the units of class ``ablated[a]`` were set to zero.
    ablated
        (A,) the classes whose units were set to zero.
    removed
        (A,) how many units that were: owned by the class, and higher on it than elsewhere.
    control
        (A, K) the same with as many units drawn at random, mean over ``draws``.
    draws
        How many draws the control is a mean of.
    accuracy
        Share of images the head gets right with all units; balanced over the classes for several labels an image.
    head
        Which head that is, in words.
    """

    base: Floats
    recall: Floats
    ablated: npt.NDArray[np.int64]
    removed: npt.NDArray[np.int64]
    control: Floats
    draws: int
    accuracy: float
    head: str

    @property
    def drop(self) -> Floats:
        """(A, K) recall lost: base - recall."""
        return self.base - self.recall

    @property
    def drop_own(self) -> float:
        """Mean recall that a class loses without its own units."""
        return float(np.mean(self.drop[np.arange(len(self.ablated)), self.ablated]))

    @property
    def drop_other(self) -> float:
        """Mean recall that the other classes lose; NaN for a single class."""
        others = np.ones(self.recall.shape, np.bool_)
        others[np.arange(len(self.ablated)), self.ablated] = False
        return float(np.mean(self.drop[others])) if others.any() else float("nan")

    @property
    def drop_random(self) -> float:
        """Mean recall that a class loses without as many random units: the chance level of ``drop_own``."""
        places = np.arange(len(self.ablated))
        return float(np.mean(self.base[self.ablated] - self.control[places, self.ablated]))

    def check_fit(self, classes: int) -> None:
        """Stop at arrays that do not belong together.

        Raises
        ------
        ValueError
            Naming the first.
        """
        rows = len(self.ablated)
        shapes = {"base": (classes,), "ablated": (rows,), "removed": (rows,)}
        check_shapes(self, {**shapes, "recall": (rows, classes), "control": (rows, classes)})


@dataclass(frozen=True, eq=False)
class Compression(Stored):
    """Accuracy of the head as units are removed.

    Attributes
    ----------
    removed
        (T,) how many units were set to zero, rising from 0.
    accuracy
        (T,) removed most redundant first: always one of the pair that correlates most.
    random
        (T,) the same in random order, mean over ``draws``.
    spread
        (T,) standard deviation over the draws.
    draws
        How many random orders.
    head
        Which head that is, in words.
    """

    removed: npt.NDArray[np.int64]
    accuracy: Floats
    random: Floats
    spread: Floats
    draws: int
    head: str

    def check_fit(self) -> None:
        """Stop at arrays that do not belong together.

        Raises
        ------
        ValueError
            Naming the first.
        """
        check_shapes(self, dict.fromkeys(("removed", "accuracy", "random", "spread"), self.removed.shape))


@dataclass(frozen=True, eq=False)
class Localisation(Stored):
    """How well a map of the network finds the object of the image's class.

    Attributes
    ----------
    method
        ``CAM``, ``Grad-CAM``, ``activation map`` or ``gradient map``.
    words
        What was done, in one sentence: which head, which units.
    mean_iou, ap20, ap30
        Mean IoU with the object's mask, and the share of images that reach 0.2 and 0.3; for activation maps the mean
        over units of the share of their class's images.
    chance_iou, chance_ap20, chance_ap30
        The same maps against the masks of other images.
    images
        On how many images.
    """

    method: str
    words: str
    mean_iou: float
    ap20: float
    ap30: float
    chance_iou: float
    chance_ap20: float
    chance_ap30: float
    images: int


@dataclass(frozen=True, eq=False)
class Adversarial(Stored):
    """How well pooled activations tell adversarial images from clean ones.

    Attributes
    ----------
    attack
        ``FGSM`` or ``PGD``.
    epsilon
        Size of the attack on the 0..1 scale of the image.
    pairs
        Pairs of a clean image classified correctly and its attacked copy classified wrongly.
    error, error_sd
        Share of images a random forest gets wrong (chance 0.5), cross-validated by pairs, mean and standard deviation
        over seeds.
    auroc, auroc_sd
        Area under its ROC curve (chance 0.5).
    seeds
        How many.
    fooled
        Share of correctly classified images that the attack turned.
    """

    attack: str
    epsilon: float
    pairs: int
    error: float
    error_sd: float
    auroc: float
    auroc_sd: float
    seeds: int
    fooled: float
