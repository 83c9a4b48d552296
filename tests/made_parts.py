"""Part scores put together by hand: steady units, one that always fires at one place, and pictures with landmarks."""

from dataclasses import replace
from typing import Any

import numpy as np
from made_entanglement import HOSTILE, LONG, pictured
from made_results import provenance

from interpkit.results import Association, PartScores, Provenance, Stability, TemplateScores

CLASSES = ("albatross", "beaver", HOSTILE)
PARTS = ("head", "front legs", LONG)
SETTINGS = ("c = 1", "c = 2", "c = 4", "paper")


def made(layer: str = "layer", **changes: Any) -> Provenance:
    options = {"layers": [layer], "align": "half-pixel", "top": 100}
    command = "interpkit parts model.pt --labels 'my set'"
    return provenance(**{"verb": "parts", "command": command, "options": options, **changes})


def stability(units: int = 64, *, classes: tuple[str, ...] = CLASSES, seed: int = 0) -> Stability:
    """Most units near chance, a few steady; the last landmark is annotated in no image of the last class."""
    rng = np.random.default_rng(seed)
    shape = (units, len(PARTS), len(classes))
    deviation = np.clip(rng.normal(0.13, 0.018, shape), 0.02, None)
    deviation[: units // 6] *= rng.uniform(0.35, 0.7, (units // 6, 1, 1))
    explained = np.clip(rng.normal(0.04, 0.03, shape), 0, 1)
    explained[: units // 8] = rng.uniform(0.2, 0.8, (units // 8, len(PARTS), len(classes)))
    used = np.full((len(PARTS), len(classes)), 180)
    deviation[:, -1, -1], explained[:, -1, -1], used[-1, -1] = np.nan, np.nan, 0
    deviation[5], explained[5] = np.nan, np.nan
    centre = rng.uniform(0.066, 0.074, shape[1:])
    random = rng.normal(0.152, 0.006, (50, *shape[1:]))
    constant = centre + rng.uniform(-0.006, 0.05, (49, *shape[1:]))
    for one in (centre, random, constant):
        one[..., -1, -1] = np.nan
    return Stability(
        classes=classes,
        parts=PARTS,
        deviation=deviation,
        explained=explained,
        spread=np.clip(rng.normal(0.1, 0.03, (units, len(classes))), 0, None),
        judged=np.where(np.isnan(deviation), 0, np.minimum(used, 100)),
        used=used,
        random=random,
        centre=centre,
        constant=constant,
        top=100,
    )


def association(units: int = 64, *, seed: int = 0) -> Association:
    rng = np.random.default_rng(seed)
    strict = np.clip(rng.beta(1.2, 9, (units, 4)), 0, 1)
    chance = np.clip(rng.beta(1, 30, (units, 4)), 0, 1)
    return Association(
        parts=("head", "leg", HOSTILE, "tail"),
        strict=strict,
        loose=np.clip(strict * 2.2, 0, 1),
        chance_strict=chance,
        chance_loose=np.clip(chance * 3, 0, 1),
        images=np.array([220, 180, 90, 12]),
        radius=28.0,
        why="an eighth of the input, since the layer sees more than a part can cover",
    )


def templates(units: int = 64, *, classes: tuple[str, ...] = CLASSES, seed: int = 0) -> TemplateScores:
    rng = np.random.default_rng(seed)
    scales = np.array([0.6, 1.0, 0.8, 0.3])[:, None]
    ratio = np.clip(rng.beta(2, 6, units) * scales, 0, 1)
    flagged = np.zeros(units, np.bool_)
    flagged[[3, 4]] = True
    return TemplateScores(
        classes=classes,
        settings=SETTINGS,
        chosen=1,
        tau=rng.uniform(1, 4, (4, units)),
        information=ratio * 5.3,
        ratio=ratio,
        inter=np.clip(rng.beta(3, 4, (4, units)), 0, 1),
        spatial=np.clip(rng.beta(4, 3, (4, units)), 0, 1),
        auc=rng.uniform(0.45, 0.9, (units, len(classes))),
        flagged=flagged,
        chance=np.clip(rng.normal(0.03, 0.006, units), 0, None),
        beta=4.0,
        images=540,
    )


def partscores(units: int = 64, *, layer: str = "layer", seed: int = 0, **changes: Any) -> PartScores:
    """Everything that a set with landmarks and part masks gives."""
    rng = np.random.default_rng(seed)
    steady = stability(units, seed=seed)
    shown = [u for u in np.argsort(np.nan_to_num(steady.multi(steady.deviation), nan=9))[:8].tolist() if u != 5]
    gallery, pictures = pictured(shown, seed=seed)
    landmark = np.clip(gallery.position + rng.normal(0, 0.05, gallery.position.shape), 0, 1)
    landmark[1] = np.nan
    result = PartScores(
        layer=layer,
        units=units,
        images=540,
        map_size=(7, 7),
        input_size=(224, 224),
        placement=((15.5, 15.5), (32.0, 32.0)),
        stability=steady,
        association=association(units, seed=seed),
        templates=templates(units, seed=seed),
        gallery=gallery,
        shown=landmark,
        provenance=made(layer),
        warnings=("front legs of beaver are annotated in 12 images: fewer than 50 make a deviation small by luck",),
        pictures=pictures,
    )
    return replace(result, **changes)


def without_landmarks(units: int = 64, **changes: Any) -> PartScores:
    result = partscores(units, stability=None, **changes)
    return replace(result, shown=np.full(result.shown.shape, np.nan))
