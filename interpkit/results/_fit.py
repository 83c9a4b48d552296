"""Whether the stored parts of a result belong together."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interpkit.results.dissection import Dissection


def check_fit(result: "Dissection") -> None:
    """Stop at parts of different results, or at arrays that were cut.

    Raises
    ------
    ValueError
        Naming the first part that does not fit the others.
    """
    _check_concepts(result)
    blocks, units, concepts = result.blocks.shape[0], result.units, len(result.concepts)
    columns, k = len(result.categories) + 1, result.top.image.shape[1:]
    shapes = {
        "silent": (result.silent, (units,)),
        "dead": (result.dead, (units,)),
        "counts.active": (result.blocks.active, (blocks, units, columns)),
        "counts.pixels": (result.blocks.pixels, (blocks, columns)),
        "counts.truth": (result.blocks.truth, (blocks, concepts)),
        "counts.category": (result.blocks.category, (concepts,)),
        "counts.value": (result.blocks.value, result.blocks.index.shape),
        "top.image": (result.top.image, (units, *k)),
        "top.peak": (result.top.peak, (units, *k)),
        "top.maps": (result.top.maps, (units, *k, *result.map_size)),
        **{f"score.{name}": (score, (units, concepts)) for name, score in {"iou": result.iou, **result.scores}.items()},
    }
    if result.chance is not None:
        shapes["chance.concept"] = (result.chance.concept, (units, columns - 1))
        shapes["chance.iou"] = (result.chance.iou, (units, columns - 1))
    for name, (array, shape) in shapes.items():
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, not {shape}")
    if [len(row) for row in result.top.outlines] != [*k] * units:
        raise ValueError("the outlines are not those of these units")
    if result.top.image.max(initial=-1) >= len(result.top.names):
        raise ValueError(f"{len(result.top.names)} pictures are listed, more are shown")


def _check_concepts(result: "Dissection") -> None:
    for name, kind in (("number", int), ("name", str), ("category", str)):
        if not all(isinstance(value, kind) for value in result.concepts[name].tolist()):
            raise ValueError(f"the concepts' column {name} holds what is no {'number' if kind is int else 'text'}")
    strange = set(result.concepts["category"]) - set(result.categories)
    if strange:
        raise ValueError(f"a concept is of category {min(strange)!r}, which is not listed")


def check_shape(name: str, shape: Sequence[int], wanted: Sequence[int]) -> None:
    """Stop at an array that belongs to another result.

    Raises
    ------
    ValueError
        Naming it.
    """
    if tuple(shape) != tuple(wanted):
        raise ValueError(f"{name} has shape {tuple(shape)}, not {tuple(wanted)}")
