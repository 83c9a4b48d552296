"""The result of entangle(): what the units of a layer know about classes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interpkit.counts import BLOCKS
from interpkit.errors import UnknownNameError
from interpkit.results._analyses import Ablation, Adversarial, Compression, Localisation, check_shapes, plain
from interpkit.results._brief import OfLayer
from interpkit.results._gallery import Gallery
from interpkit.results._owners import owners
from interpkit.results._parts import Parts
from interpkit.results._provenance import Provenance
from interpkit.strangers import escape, html_table

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_ARRAYS = (
    "class_images",
    "information",
    "permuted",
    "without_block",
    "entropy",
    "bins",
    "dead",
    "mean",
    "class_mean",
    "mass",
    "correlation",
)
_VALUES = ("layer", "images", "signed", "multi_label", "head")


@dataclass(frozen=True, eq=False, repr=False)
class Entanglement(OfLayer):
    """How much each unit tells about each class, and how the units of a class relate (Liang et al., ECCV 2020).

    Attributes
    ----------
    layer
        Name of the layer.
    classes
        K class names.
    class_images
        (K,) images of each class.
    images, skipped
        N, and the names of the images that could not be read.
    information
        (U, K) mutual information in nats of the unit's pooled activation with *the image is of class k*, one class
        against the rest. At most ``entropy``.
    permuted
        (U, K) the same with the labels permuted once: the chance level.
    without_block
        (B, U) each unit's largest information with one block of images left out, for intervals.
    entropy
        (K,) nats, of *the image is of class k*.
    bins
        (U,) bins of the histogram estimator; 0 with the nearest-neighbour estimator.
    dead
        (U,) bool, units whose pooled activation never varies.
    mean, class_mean
        (U,) and (K, U) mean pooled activation over all images, and over those of each class.
    mass
        (K, K) share of an image's activation (units scaled by their root mean square) that falls to the units owned by
        class j, mean over the images of class k.
    correlation
        (U, U) float16, Pearson correlation of pooled activations; 0 for constant units.
    cosine
        (U, U) float16, cosine of the units' weights; None where the layer has none of its own.
    redundancy
        Mean absolute value and share above 0.5 of both, within and between owners, in full precision.
    signed
        Whether the layer gives negative values, so that the bins are refined at both ends.
    multi_label
        Whether an image may be of several classes.
    head
        Which head stands for the network's knowledge of these classes, in words; '' where none was asked for.
    ablation, compression, localisation, adversarial
        Analyses made on request.
    gallery
        Each class's most exclusive units on the images on which they fire most.
    warnings
        What limits the numbers, a sentence each.
    """

    layer: str
    classes: tuple[str, ...]
    class_images: Ints
    images: int
    information: Floats
    permuted: Floats
    without_block: Floats
    entropy: Floats
    bins: Ints
    dead: npt.NDArray[np.bool_]
    mean: Floats
    class_mean: Floats
    mass: Floats
    correlation: npt.NDArray[np.float16]
    cosine: npt.NDArray[np.float16] | None
    redundancy: Mapping[str, float]
    signed: bool
    multi_label: bool
    gallery: Gallery
    provenance: Provenance
    head: str = ""
    ablation: Ablation | None = None
    compression: Compression | None = None
    localisation: tuple[Localisation, ...] = ()
    adversarial: tuple[Adversarial, ...] = ()
    warnings: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def units(self) -> int:
        """U, the number of units."""
        return len(self.information)

    @property
    def best(self) -> Floats:
        """(U,) each unit's information about the class it knows best, nats."""
        best: Floats = self.information.max(1)
        return best

    @property
    def owner(self) -> Ints:
        """(U,) the class each unit knows best, of equals the one on which it is highest; -1 if it knows nothing."""
        return owners(self.information, self.class_mean, self.mean)[0]

    @property
    def positive(self) -> npt.NDArray[np.bool_]:
        """(U,) whether the unit is higher on its owner's images than on the others."""
        return owners(self.information, self.class_mean, self.mean)[1]

    @property
    def mis(self) -> float:
        """Mutual information score: mean over units of the largest information, nats."""
        return float(self.best.mean())

    @property
    def mis_floor(self) -> float:
        """The score with permuted labels: its chance level."""
        return float(self.permuted.max(1).mean())

    @property
    def normalised_mis(self) -> float:
        """Mean over units of the largest share of a class's entropy, in 0..1: comparable between class sets."""
        return self._normalised(self.information)

    @property
    def normalised_mis_floor(self) -> float:
        """The normalised score with permuted labels."""
        return self._normalised(self.permuted)

    def _normalised(self, information: Floats) -> float:
        seen = self.entropy > 0
        return float((information[:, seen] / self.entropy[seen]).max(1).mean()) if seen.any() else float("nan")

    @property
    def mis_l1(self) -> float:
        """Mean over units of the share of a unit's information that belongs to its best class; in 1/K..1."""
        return self._exclusive(self.information)

    @property
    def mis_l1_floor(self) -> float:
        """The same with permuted labels."""
        return self._exclusive(self.permuted)

    @staticmethod
    def _exclusive(information: Floats) -> float:
        alive = information[information.sum(1) > 0]
        return float((alive.max(1) / alive.sum(1)).mean()) if len(alive) else float("nan")

    @property
    def density(self) -> float:
        """Mean of information / the unit's largest, in 1/K..1: 1/K if every unit knows one class alone."""
        return self._dense(self.information)

    @property
    def density_floor(self) -> float:
        """The same with permuted labels."""
        return self._dense(self.permuted)

    @staticmethod
    def _dense(information: Floats) -> float:
        alive = information[information.max(1) > 0]
        return float((alive / alive.max(1, keepdims=True)).mean()) if len(alive) else float("nan")

    @property
    def purity(self) -> Floats:
        """(U,) largest information / second largest: infinite where that is 0, NaN for a unit that knows nothing."""
        ordered = np.sort(self.information, axis=1)
        first, second = ordered[:, -1], ordered[:, -2] if ordered.shape[1] > 1 else np.zeros(self.units)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio: Floats = np.where(first > 0, first / second, np.nan)
        return ratio

    @property
    def units_per_class(self) -> Ints:
        """(K,) units that each class owns."""
        return np.bincount(self.owner[self.owner >= 0], minlength=len(self.classes))

    def profile_correlation(self) -> Floats:
        """(K, K) Pearson correlation between the classes' mean activations; 0 for a class without variance."""
        centred = self.class_mean - self.class_mean.mean(1, keepdims=True)
        norm = np.sqrt((centred**2).sum(1, keepdims=True))
        unit = np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 0)
        product: Floats = unit @ unit.T
        return product

    @property
    def dominance(self) -> float:
        """Mean over classes of mass on the class's own units minus the largest on another's.

        Below 0 by luck, since the largest of several is taken off.
        """
        own = np.diag(self.mass)
        rest = self.mass - np.diag(np.full(len(own), np.inf))
        return float(np.mean(own - rest.max(1))) if len(own) > 1 else float("nan")

    def summary(self) -> dict[str, Any]:
        """The headline, with what chance gives of each."""
        counts = self.units_per_class
        values: dict[str, Any] = {
            "verb": "entangle",
            "layer": self.layer,
            "units": self.units,
            "images": self.images,
            "skipped": len(self.skipped),
            "classes": len(self.classes),
            "mis": self.mis,
            "normalised_mis": plain(self.normalised_mis),
            "mis_l1": plain(self.mis_l1),
            "density": plain(self.density),
            "dead": int(self.dead.sum()),
            "classes_without_units": int((counts == 0).sum()),
            "redundancy": {name: plain(value) for name, value in self.redundancy.items()},
            "chance": {
                "mis": self.mis_floor,
                "normalised_mis": plain(self.normalised_mis_floor),
                "mis_l1": plain(self.mis_l1_floor),
                "density": plain(self.density_floor),
            },
        }
        if self.ablation is not None:
            one = self.ablation
            values["ablation"] = {
                "drop_own": plain(one.drop_own),
                "drop_other": plain(one.drop_other),
                "drop_random": plain(one.drop_random),
            }
        return values

    def table(self) -> pd.DataFrame:
        """One row per unit, 0-based, in index order."""
        owner = self.owner
        names = np.array([*self.classes, ""], dtype=object)
        return pd.DataFrame(
            {
                "unit": np.arange(self.units),
                "owner": names[owner],
                "information": self.best,
                "normalised": np.where(owner >= 0, self.best / np.maximum(self.entropy[owner], 1e-12), 0.0),
                "permuted": self.permuted.max(1),
                "purity": self.purity,
                "positive": self.positive,
                "dead": self.dead,
            }
        )

    def units_of(self, name: str) -> Ints:
        """The units that class ``name`` owns, by falling information.

        Raises
        ------
        UnknownNameError
            If there is no such class.
        """
        if name not in self.classes:
            raise UnknownNameError(f"no class {name!r}; there is {', '.join(self.classes[:20])}")
        mine = np.flatnonzero(self.owner == self.classes.index(name))
        return mine[np.argsort(-self.best[mine], kind="stable")]

    def to_parts(self) -> Parts:
        """Everything, as plain values and arrays for storage."""
        single = {"ablation": self.ablation, "compression": self.compression}
        several = {"localisation": self.localisation, "adversarial": self.adversarial}
        about = {
            **{name: getattr(self, name) for name in _VALUES},
            "summary": self.summary(),
            "classes": list(self.classes),
            "redundancy": {name: plain(value) for name, value in self.redundancy.items()},
            "warnings": list(self.warnings),
            "skipped": list(self.skipped),
            **{name: None if one is None else one.about() for name, one in single.items()},
            **{name: [one.about() for one in ones] for name, ones in several.items()},
            "pictures": list(self.gallery.names),
            "provenance": self.provenance.to_dict(),
        }
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS} | self.gallery.arrays()
        if self.cosine is not None:
            arrays["cosine"] = self.cosine
        for name, one in single.items():
            arrays |= {} if one is None else one.arrays(name)
        return Parts(
            about=about,
            arrays=arrays,
            tables={"units": self.table(), "information": self._matrix()},
            documents={"gallery": self.gallery.document()},
            pictures=self.pictures,
        )

    def _matrix(self) -> pd.DataFrame:
        """(U rows) unit and the information about each class."""
        columns = pd.DataFrame(self.information, columns=list(self.classes))
        columns.insert(0, "unit", np.arange(self.units), allow_duplicates=True)
        return columns

    @classmethod
    def from_parts(cls, parts: Parts) -> "Entanglement":
        """The inverse of ``to_parts``."""
        about, arrays = parts.about, parts.arrays
        result = cls(
            **{name: about[name] for name in _VALUES},
            **{name: arrays[name] for name in _ARRAYS},
            classes=tuple(about["classes"]),
            cosine=arrays.get("cosine"),
            redundancy={name: _number(value) for name, value in about["redundancy"].items()},
            gallery=Gallery.restored(parts.documents["gallery"], arrays),
            provenance=Provenance.from_dict(about["provenance"]),
            ablation=_restored(Ablation, parts, "ablation"),
            compression=_restored(Compression, parts, "compression"),
            localisation=tuple(Localisation.restored(one, {}, "") for one in about["localisation"]),
            adversarial=tuple(Adversarial.restored(one, {}, "") for one in about["adversarial"]),
            warnings=tuple(about["warnings"]),
            skipped=tuple(about["skipped"]),
            pictures=parts.pictures,
        )
        result._check_fit()
        return result

    def _check_fit(self) -> None:
        """Stop at arrays of different results, or at arrays that were cut."""
        units, classes = self.units, len(self.classes)
        shapes = {
            "class_images": (classes,),
            "information": (units, classes),
            "permuted": (units, classes),
            "without_block": (BLOCKS, units),
            "entropy": (classes,),
            "bins": (units,),
            "dead": (units,),
            "mean": (units,),
            "class_mean": (classes, units),
            "mass": (classes, classes),
            "correlation": (units, units),
        }
        shapes |= {} if self.cosine is None else {"cosine": (units, units)}
        check_shapes(self, shapes)
        if self.ablation is not None:
            self.ablation.check_fit(classes)
        if self.compression is not None:
            self.compression.check_fit()
        if self.gallery.unit.max(initial=-1) >= units:
            raise ValueError(f"the gallery shows unit {self.gallery.unit.max()} of {units}")

    def _repr_html_(self) -> str:
        """The headline and the ten units that know most, for notebooks: static, no network."""
        head = (
            f"<p><b>{escape(self.provenance.model)}</b> {escape(self.layer)} on {escape(self.provenance.labels)}: "
            f"mutual information score {self.mis:.3f} nats, {self.normalised_mis:.3f} of what is there to know; "
            f"permuted labels give {self.mis_floor:.3f} and {self.normalised_mis_floor:.3f}.</p>"
        )
        best = self.table()[["unit", "owner", "information", "purity"]].nlargest(10, "information")
        return head + html_table(best)


def _restored(kind: type[Any], parts: Parts, name: str) -> Any:  # noqa: ANN401 - one of the analyses
    about = parts.about[name]
    return None if about is None else kind.restored(about, parts.arrays, name)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


OFFER = Entanglement
