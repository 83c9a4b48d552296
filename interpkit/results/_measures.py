"""The three measures of how part-like a unit is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from interpkit.results._analyses import Stored, check_shapes, plain

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

# Images under which a deviation is too easily small by luck to praise a unit for it.
ENOUGH = 10


@dataclass(frozen=True, eq=False)
class Stability(Stored):
    """Location instability: how much the distance from a unit's peak to a landmark varies (Zhang et al. 2018, 5.2.2).

    Attributes
    ----------
    classes, parts
        K class names, P landmark names. A set without classes has one class, ''.
    deviation
        (U, P, K) standard deviation of the distance as a share of the input's diagonal, over the images of class k in
        which landmark p is annotated, of them the ``top`` with the unit's highest peaks. NaN where fewer than 2.
    explained
        (U, P, K) share of the landmark's own variance that the peak's position explains there, 0..1.
    spread
        (U, K) standard deviation of the peak's own position as a share of the diagonal.
    judged
        (U, P, K) on how many images each deviation rests.
    used
        (P, K) images of class k in which landmark p is annotated.
    random, centre, constant
        (D, P, K), (P, K), (L, P, K): the deviation of D units that fire anywhere at random, of the image's centre, and
        of each of L cells taken as a unit that always fires there.
    top
        Images a unit is judged on, at most.
    """

    classes: tuple[str, ...]
    parts: tuple[str, ...]
    deviation: Floats
    explained: Floats
    spread: Floats
    judged: Ints
    used: Ints
    random: Floats
    centre: Floats
    constant: Floats
    top: int

    @staticmethod
    def single(deviation: Floats) -> Floats:
        """Mean over classes and landmarks, the rule for networks of one category: (..., P, K) -> (...)."""
        return _mean(deviation, (-2, -1))

    @staticmethod
    def multi(deviation: Floats) -> Floats:
        """Lowest mean over a class's landmarks, the rule for networks of several: (..., P, K) -> (...)."""
        per_class = _mean(deviation, (-2,))
        known = ~np.isnan(per_class)
        lowest = np.where(known, per_class, np.inf).min(-1)
        return np.where(known.any(-1), lowest, np.nan)

    def sound(self) -> Floats:
        """(U, P, K) the deviations that rest on at least ten images, or on all that were asked for; NaN elsewhere.

        Fewer make a deviation small by luck.
        """
        return np.where(self.judged >= min(ENOUGH, self.top), self.deviation, np.nan)

    def steadiest_to(self) -> tuple[Ints, Ints]:
        """(U,) the landmark and (U,) the class that each unit is steadiest to, by `sound`; -1 where there is none."""
        sound = self.sound()
        flat = np.where(np.isnan(sound), np.inf, sound).reshape(len(sound), -1)
        known = np.isfinite(flat.min(1, initial=np.inf))
        part, name = np.divmod(flat.argmin(1), len(self.classes))
        return np.where(known, part, -1), np.where(known, name, -1)

    def best_class(self) -> Ints:
        """(U,) the class on which each unit is steadiest; -1 for a unit without any position."""
        per_class = _mean(self.deviation, (1,))
        known = ~np.isnan(per_class)
        return np.where(known.any(1), np.where(known, per_class, np.inf).argmin(1), -1)

    def at_best(self, values: Floats) -> Floats:
        """(U,) values (U, P, K) or (U, K) on each unit's steadiest class, mean over landmarks."""
        per_class = _mean(values, (1,)) if values.ndim == 3 else values
        best = self.best_class()
        return np.where(best >= 0, per_class[np.arange(len(best)), best], np.nan)

    def summary(self) -> dict[str, Any]:
        """Instability by both rules beside its baselines, the peak's spread, and what it explains."""
        rules = {"single": self.single, "multi": self.multi}
        values: dict[str, Any] = {
            name: {
                "instability": plain(_mean(rule(self.deviation), (0,))),
                "random": plain(_mean(rule(self.random), (0,))),
                "centre": plain(rule(self.centre)),
                "best_constant": plain(_lowest(rule(self.constant))),
            }
            for name, rule in rules.items()
        }
        values["spread"] = plain(_mean(self.at_best(self.spread), (0,)))
        values["explained"] = plain(_mean(self.at_best(self.explained), (0,)))
        values["units"] = int((self.best_class() >= 0).sum())
        return values

    def columns(self) -> dict[str, Any]:
        """Columns of the units' table."""
        names, parts = (np.array([*values, ""], dtype=object) for values in (self.classes, self.parts))
        part, name = self.steadiest_to()
        sound = self.sound()[np.arange(len(part)), part, name]
        return {
            "steadiest_landmark": parts[part],
            "of_class": names[name],
            "deviation": np.where(part >= 0, sound, np.nan),
            "instability": self.multi(self.deviation),
            "instability_all_classes": self.single(self.deviation),
            "steadiest_class": names[self.best_class()],
            "spread": self.at_best(self.spread),
            "explained": self.at_best(self.explained),
        }

    def words(self) -> str:
        """The answer in a sentence."""
        one = self.summary()["multi"]
        texts = {name: "none" if value is None else f"{value:.3f}" for name, value in one.items()}
        return (
            f"location instability {texts['instability']} (random {texts['random']}, image centre {texts['centre']}, "
            f"best constant place {texts['best_constant']})"
        )

    def check_fit(self, units: int) -> None:
        """Stop at arrays that do not belong together.

        Raises
        ------
        ValueError
            Naming the first.
        """
        parts, classes = len(self.parts), len(self.classes)
        shapes = {
            "deviation": (units, parts, classes),
            "explained": (units, parts, classes),
            "spread": (units, classes),
            "judged": (units, parts, classes),
            "used": (parts, classes),
            "random": (len(self.random), parts, classes),
            "centre": (parts, classes),
            "constant": (len(self.constant), parts, classes),
        }
        check_shapes(self, shapes)


@dataclass(frozen=True, eq=False)
class Association(Stored):
    """Part interpretability: how often a unit's fields overlap the mask of a part (Zhang et al. 2018, 5.2.1).

    Attributes
    ----------
    parts
        Q part names.
    strict, loose
        (U, Q) share of the images that hold part q in which the overlap is above 0.2, and above 0.04.
    chance_strict, chance_loose
        (U, Q) the same against the part's mask in another image.
    images
        (Q,) images that hold the part.
    radius
        Of the disc that stands for an active cell, in input pixels.
    why
        Where the radius comes from, in words.
    """

    parts: tuple[str, ...]
    strict: Floats
    loose: Floats
    chance_strict: Floats
    chance_loose: Floats
    images: Ints
    radius: float
    why: str

    def summary(self) -> dict[str, Any]:
        """Mean over units of the share of the best part, at both thresholds, beside chance."""
        return {
            "part_interpretability": plain(_mean(_highest(self.strict), (0,))),
            "chance": plain(_mean(_highest(self.chance_strict), (0,))),
            "part_interpretability_0.04": plain(_mean(_highest(self.loose), (0,))),
            "chance_0.04": plain(_mean(_highest(self.chance_loose), (0,))),
        }

    def columns(self) -> dict[str, Any]:
        """Columns of the units' table."""
        known = np.nan_to_num(self.strict, nan=-1.0)
        names = np.array([*self.parts, ""], dtype=object)
        return {
            "part": names[np.where(known.max(1) > 0, known.argmax(1), -1)],
            "part_interpretability": _highest(self.strict),
            "part_interpretability_chance": _highest(self.chance_strict),
        }

    def words(self) -> str:
        """The answer in a sentence."""
        one = {name: "none" if value is None else f"{value:.3f}" for name, value in self.summary().items()}
        return f"part interpretability {one['part_interpretability']} (chance {one['chance']})"

    def check_fit(self, units: int) -> None:
        """Stop at arrays that do not belong together.

        Raises
        ------
        ValueError
            Naming the first.
        """
        shape = (units, len(self.parts))
        names = ("strict", "loose", "chance_strict", "chance_loose")
        check_shapes(self, {**dict.fromkeys(names, shape), "images": (len(self.parts),)})


@dataclass(frozen=True, eq=False)
class TemplateScores(Stored):
    """How the unit's maps resemble the templates of a part at one place (Zhang et al. 2018, equations 1 and 5).

    Attributes
    ----------
    classes
        K class names; none for a set without classes.
    settings
        T settings of the templates' height tau: ``c = 1``, ..., calibrated to the unit's peaks, and ``paper``, fixed.
    chosen
        Which of them the headline is read at.
    tau
        (T, U) height of the templates.
    information
        (T, U) mutual information of map and template, nats.
    ratio
        (T, U) as a share of the templates' entropy, 0..1: high for one peak that moves.
    inter
        (T, U) uncertainty of whether the part is there, 0..1.
    spatial
        (T, U) uncertainty of where it is, 0..1: high for textures.
    auc
        (U, K) how well *the part is there* tells class k from the rest (chance 0.5), at ``chosen``.
    flagged
        (U,) bool: nearly dead, so that calibration magnifies noise; left out of means.
    chance
        (U,) the ratio when the unit's values are shuffled over images and cells, at ``chosen``.
    beta
        Slope of the templates.
    images
        N, which bounds the information by log N.
    """

    classes: tuple[str, ...]
    settings: tuple[str, ...]
    chosen: int
    tau: Floats
    information: Floats
    ratio: Floats
    inter: Floats
    spatial: Floats
    auc: Floats
    flagged: Bools
    chance: Floats
    beta: float
    images: int

    def summary(self) -> dict[str, Any]:
        """Means over units that are not flagged, at the chosen setting and over the sweep."""
        alive = ~self.flagged
        return {
            "ratio": plain(_mean(self.ratio[self.chosen][alive], (0,))),
            "chance": plain(_mean(self.chance[alive], (0,))),
            "inter": plain(_mean(self.inter[self.chosen][alive], (0,))),
            "spatial": plain(_mean(self.spatial[self.chosen][alive], (0,))),
            "auc": plain(_mean(_highest(self.auc)[alive], (0,))) if self.classes else None,
            "flagged": int(self.flagged.sum()),
            "sweep": {
                name: plain(_mean(row[alive], (0,))) for name, row in zip(self.settings, self.ratio, strict=True)
            },
        }

    def columns(self) -> dict[str, Any]:
        """Columns of the units' table."""
        columns: dict[str, Any] = {
            "template_information": self.information[self.chosen],
            "template_ratio": self.ratio[self.chosen],
            "inter_category": self.inter[self.chosen],
            "spatial": self.spatial[self.chosen],
            "nearly_dead": self.flagged,
        }
        if self.classes:
            names = np.array([*self.classes, ""], dtype=object)
            known = np.nan_to_num(self.auc, nan=-1.0)
            columns |= {
                "auc": _highest(self.auc),
                "auc_class": names[np.where(known.max(1) >= 0, known.argmax(1), -1)],
            }
        return columns

    def words(self) -> str:
        """The answer in a sentence."""
        one = {name: "none" if value is None else value for name, value in self.summary().items()}
        ratio, chance = (v if isinstance(v, str) else f"{v:.3f}" for v in (one["ratio"], one["chance"]))
        return f"template information {ratio} of its bound (shuffled values {chance})"

    def check_fit(self, units: int) -> None:
        """Stop at arrays that do not belong together.

        Raises
        ------
        ValueError
            Naming the first.
        """
        settings = (len(self.settings), units)
        names = ("tau", "information", "ratio", "inter", "spatial")
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(names, settings)
        shapes |= {"auc": (units, len(self.classes)), "flagged": (units,), "chance": (units,)}
        check_shapes(self, shapes)


def _mean(values: Floats, axes: tuple[int, ...]) -> Floats:
    """Mean over ``axes`` of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axes)
    total = np.where(known, values, 0.0).sum(axes)
    means: Floats = np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
    return means


def _lowest(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.min()) if len(known) else float("nan")


def _highest(values: Floats) -> Floats:
    """(U,) largest of (U, Q) that is not NaN; NaN where none is."""
    known = ~np.isnan(values)
    highest = np.where(known, values, -np.inf).max(1, initial=-np.inf)
    return np.where(known.any(1), highest, np.nan)
