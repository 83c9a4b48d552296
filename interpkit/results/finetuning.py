"""The result of finetune(): how a training went, and how well the network does on images kept apart."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interpkit.results._brief import Brief
from interpkit.results._gallery import Gallery
from interpkit.results._parts import Parts
from interpkit.results._provenance import Provenance
from interpkit.strangers import escape

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_VALUES = ("layer", "units", "images", "loss", "multi", "accuracy", "start_accuracy", "chance_accuracy", "epochs")


@dataclass(frozen=True, eq=False)
class Outputs:
    """How hard a network's outputs are, mean over the validation images.

    Attributes
    ----------
    top
        Mean of the largest softmax probability; for multi-label sets of the largest sigmoid.
    entropy
        Mean entropy of the softmax, nats; for multi-label sets mean binary entropy a class.
    margin
        Mean distance of the largest output from the second.
    """

    top: float
    entropy: float
    margin: float


@dataclass(frozen=True, eq=False, repr=False)
class FineTuning(Brief):
    """A training with an interpretable loss, or its control.

    Attributes
    ----------
    layer, units, images, skipped
        The topmost layer whose units were trained to be interpretable (before its mask), U, N images trained and
        validated on, and the names of those that could not be read.
    loss
        ``icnn``, ``class-gate``, ``none``, ...
    classes, multi
        K names; whether an image may be of several.
    accuracy, start_accuracy, chance_accuracy
        On the validation images, by the ordinary path: at the end, before training, and of always naming the commonest
        class (multi-label: mean over classes of the share told rightly).
    epochs
        Trained; fewer than asked for where training was stopped early.
    history
        One row an epoch: ``epoch`` (from 1), ``path``, ``rate``, ``loss``, ``task``, ``penalty``,
        ``train_accuracy``, ``validation_loss``, ``validation_accuracy``, and what the loss says of itself.
    confusion
        (K, K) validation images of the class of the row that were called the class of the column; (K, 4) true
        positives, false positives, false negatives, true negatives for a multi-label set.
    outputs
        How hard the outputs are at the end.
    validation
        Names of the validation images.
    recipe
        What the model folder's recipe.json says.
    gallery, masked
        Units on validation images: where their map is on before the mask, and the same entries after it. Equal for
        a network without masks.
    learnt
        What the loss has learnt: name -> array.
    """

    layer: str
    units: int
    images: int
    loss: str
    classes: tuple[str, ...]
    multi: bool
    accuracy: float
    start_accuracy: float
    chance_accuracy: float
    epochs: int
    history: pd.DataFrame
    confusion: Ints
    outputs: Outputs
    validation: tuple[str, ...]
    recipe: Mapping[str, Any]
    gallery: Gallery
    masked: Gallery
    learnt: Mapping[str, npt.NDArray[Any]]
    provenance: Provenance
    warnings: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def order(self) -> int:
        """Place among the layers of the same run."""
        return 0

    def summary(self) -> dict[str, Any]:
        """The headline, with what chance gives."""
        return {
            "verb": "finetune",
            "layer": self.layer,
            "loss": self.loss,
            "units": self.units,
            "images": self.images,
            "validation_images": len(self.validation),
            "epochs": self.epochs,
            "accuracy": self.accuracy,
            "start_accuracy": self.start_accuracy,
            "chance_accuracy": self.chance_accuracy,
            "mean_top_probability": self.outputs.top,
            "mean_entropy_nats": self.outputs.entropy,
            "mean_margin": self.outputs.margin,
        }

    def table(self) -> pd.DataFrame:
        """The history, one row an epoch."""
        return self.history.copy()

    def to_parts(self) -> Parts:
        """Everything, as plain values and arrays for storage."""
        about = {
            **{name: getattr(self, name) for name in _VALUES},
            "classes": list(self.classes),
            "summary": self.summary(),
            "outputs": vars(self.outputs),
            "validation": list(self.validation),
            "recipe": dict(self.recipe),
            "warnings": list(self.warnings),
            "skipped": list(self.skipped),
            "learnt": list(self.learnt),
            "pictures": list(dict.fromkeys((*self.gallery.names, *self.masked.names))),
            "provenance": self.provenance.to_dict(),
        }
        arrays = {"confusion": self.confusion, **self.gallery.arrays()}
        arrays |= {f"masked.{name}": value for name, value in self.masked.arrays().items()}
        arrays |= {f"learnt.{name}": value for name, value in self.learnt.items()}
        history = self.history.astype(object).where(self.history.notna(), None)
        return Parts(
            about=about,
            arrays=arrays,
            tables={"history": self.history},
            documents={
                "gallery": self.gallery.document(),
                "masked": self.masked.document(),
                "curves": {str(name): list(values) for name, values in history.items()},
            },
            pictures=self.pictures,
        )

    @classmethod
    def from_parts(cls, parts: Parts) -> "FineTuning":
        """The inverse of ``to_parts``."""
        about, arrays = parts.about, parts.arrays
        of_masked = {
            name.removeprefix("masked."): value for name, value in arrays.items() if name.startswith("masked.")
        }
        result = cls(
            **{name: about[name] for name in _VALUES},
            classes=tuple(about["classes"]),
            history=pd.DataFrame(parts.documents["curves"]),
            confusion=arrays["confusion"],
            outputs=Outputs(**about["outputs"]),
            validation=tuple(about["validation"]),
            recipe=about["recipe"],
            gallery=Gallery.restored(parts.documents["gallery"], arrays),
            masked=Gallery.restored(parts.documents["masked"], of_masked),
            learnt={name: arrays[f"learnt.{name}"] for name in about["learnt"]},
            provenance=Provenance.from_dict(about["provenance"]),
            warnings=tuple(about["warnings"]),
            skipped=tuple(about["skipped"]),
            pictures=parts.pictures,
        )
        if len(result.confusion) != len(result.classes):
            raise ValueError(f"{len(result.classes)} classes, but {len(result.confusion)} rows of confusion")
        return result

    def _repr_html_(self) -> str:
        """The headline, for notebooks: static, no network."""
        made = self.provenance
        text = (
            f"accuracy {self.accuracy:.1%} on {len(self.validation):,} validation images after {self.epochs} epochs "
            f"(before {self.start_accuracy:.1%}, chance {self.chance_accuracy:.1%})"
        )
        return f"<p><b>{escape(made.model)}</b> with {escape(self.loss)} on {escape(made.labels)}: {escape(text)}</p>"


OFFER = FineTuning
