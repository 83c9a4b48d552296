"""What judges a dissection, put together by hand: four units, two categories, three concepts."""

from typing import Any

import numpy as np
import pandas as pd
from made_pages import EVIL
from made_results import OPTIONS, provenance
from numpy.typing import ArrayLike, NDArray

from interpkit.results import Provenance, Rotation, Shuffles, Untrained

CONCEPTS = pd.DataFrame({"number": [1, 2, 3], "name": ["car", EVIL, "sky"], "category": ["object", "object", "part"]})


def about(verb: str, *, iou: float = 0.04, **options: Any) -> dict[str, Any]:
    made: Provenance = provenance(verb=verb, options={**OPTIONS, "iou": iou, **options})
    return {"layer": "layer", "concepts": CONCEPTS, "categories": ("object", "part"), "images": 5, "provenance": made}


def best(iou: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Concepts and IoU (..., U, 2): every other unit's best object is the second one."""
    values = np.asarray(iou, np.float64)
    concept = np.full(values.shape, 2, np.int64)
    concept[..., 0] = np.arange(values.shape[-2]) % 2
    return np.where(values > 0, concept, -1), values


def _pairs(objects: ArrayLike) -> NDArray[np.float64]:
    """(..., U, 2) from the IoU of objects (..., U): parts fit half as well."""
    first = np.asarray(objects, np.float64)
    return np.stack([first, first / 2], -1)


def rotation(unturned: ArrayLike = (0.2, 0.1, 0.05, 0.0), turned: ArrayLike | None = None) -> Rotation:
    """As the units are, and two rotations (R, U) half and all of the way."""
    whole = _pairs([[0.2, 0.01, 0.05, 0.0], [0.01, 0.0, 0.06, 0.0]] if turned is None else turned)
    first = _pairs([unturned] * len(whole))
    concept, iou = best(np.stack([first, (first + whole) / 2, whole]))
    luck_concept, luck = best(np.where(iou > 0.15, 0.05, 0.01))
    return Rotation(
        alphas=np.array([0.0, 0.5, 1.0]),
        concept=concept,
        iou=iou,
        luck_concept=luck_concept,
        luck_iou=luck,
        **about("rotate", rotations=len(whole), alphas=[0.0, 0.5, 1.0]),
    )


def shuffles(
    objects: ArrayLike = (0.2, 0.05, 0.05, 0.01),
    luck: ArrayLike = ((0.1, 0.01, 0.06, 0.0), (0.0, 0.0, 0.05, 0.01)),
    *,
    iou: float = 0.04,
) -> Shuffles:
    """IoU with objects (U,), and of each shuffle (K, U)."""
    (concept, own), (luck_concept, by_chance) = best(_pairs(objects)), best(_pairs(luck))
    made = about("shuffle", iou=iou, shuffles=len(by_chance))
    return Shuffles(concept=concept, iou=own, luck_concept=luck_concept, luck_iou=by_chance, **made)


def untrained(objects: ArrayLike = (0.2, 0.05, 0.05, 0.01)) -> Untrained:
    (concept, iou), (luck_concept, luck) = best(_pairs(objects)), best(_pairs([0.0, 0.05, 0.01, 0.0]))
    return Untrained(concept=concept, iou=iou, luck_concept=luck_concept, luck_iou=luck, **about("untrained"))
