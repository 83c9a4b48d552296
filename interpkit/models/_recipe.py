"""What the recipe of a fine-tuned network may say, checked before anything is built or allocated."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from interpkit.errors import ModelError
from interpkit.models.preprocessing import Preprocessing
from interpkit.surgery import Surgery

KIND = "finetuned"
# So many fine-tunings on top of each other, and so many numbers an image, are read and no more.
DEEPEST = 32
LARGEST = 2**26

_NEEDED = ("base", "preprocessing", "surgery", "sites", "classes")
_LISTS = ("size", "mean", "std")
_BASE: dict[str, tuple[type, ...]] = {
    "form": (str,),
    "spec": (str,),
    "arch": (str, type(None)),
    "transform_input": (bool, type(None)),
}


@dataclass(frozen=True)
class Level:
    """One fine-tuning, as its recipe tells it.

    Attributes
    ----------
    preprocessing, surgery
        What its images went through, and what was done to its base.
    sites
        Names of the modules (act, mask) of each site, from the lowest to the topmost.
    classes
        K names.
    base
        What it started from: ``form``, ``spec``, ``arch``, ``transform_input``, ``sha``.
    """

    preprocessing: Preprocessing
    surgery: Surgery
    sites: tuple[tuple[str, str], ...]
    classes: tuple[str, ...]
    base: Mapping[str, Any]


def read_levels(recipe: Mapping[str, Any]) -> list[Level]:
    """Every fine-tuning that a recipe tells of, the last first.

    Raises
    ------
    InterpkitError, KeyError, TypeError, ValueError, AttributeError
        If it is damaged.
    """
    levels = [_level(recipe)]
    while levels[-1].base["form"] == KIND:
        if len(levels) == DEEPEST:
            raise ModelError(f"more than {DEEPEST} fine-tunings lie on top of each other")
        levels.append(_level(levels[-1].base["recipe"]))
    return levels


def check_needed(recipe: Mapping[str, Any]) -> None:
    """Every part of a recipe must be there.

    Raises
    ------
    ModelError
        Naming those that are not.
    """
    missing = [name for name in _NEEDED if name not in recipe]
    if missing:
        raise ModelError(f"it says nothing of {', '.join(missing)}")


def _level(recipe: Mapping[str, Any]) -> Level:
    check_needed(recipe)
    surgery, classes, base = Surgery.from_dict(recipe["surgery"]), recipe["classes"], recipe["base"]
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ModelError(f"classes are a list of names, not {_shown(classes)}")
    if len(classes) != surgery.classes:
        raise ModelError(f"it names {len(classes)} classes, and its surgery makes {surgery.classes} outputs")
    for name, kinds in _BASE.items():
        if not isinstance(base[name], kinds):
            raise ModelError(f"base.{name} is {_shown(base[name])}")
    sites = tuple((site["act"], site["mask"]) for site in recipe["sites"])
    return Level(_preprocessing(recipe["preprocessing"]), surgery, sites, tuple(classes), base)


def _preprocessing(values: Mapping[str, Any]) -> Preprocessing:
    for name, value in values.items():
        if name not in _LISTS:
            fits = isinstance(value, str)
        else:
            kinds = (int,) if name == "size" else (int, float)
            fits = isinstance(value, list) and all(type(number) in kinds for number in value)
        if not fits:
            raise ModelError(f"preprocessing.{name} is {_shown(value)}")
    plain: dict[str, Any] = {name: tuple(value) if name in _LISTS else value for name, value in values.items()}
    found = Preprocessing(**plain)
    shape = (found.channels, *found.size)
    if prod(shape) > LARGEST:
        raise ModelError(f"images of {' x '.join(map(str, shape))} are more than {LARGEST:,} numbers each")
    return found


def held(levels: Sequence[Level], shapes: Mapping[str, tuple[int, ...]]) -> Iterator[Surgery]:
    """What was done each time, the last first, held against the shapes of the weights that came of it.

    Of an added layer that a later fine-tuning cut away no weights are left to tell its size: it gets as many filters as
    the layer below has units, whatever the recipe says, and is cut away again.

    Raises
    ------
    ModelError
        If the recipe wants more filters or classes, or less, than there are weights for.
    """
    last = levels[0].surgery
    heads = [shapes.get("head.weight", ())] if last.head == "pooled" else list(shapes.values())
    if not any(shape[:1] == (last.classes,) for shape in heads):
        raise ModelError(f"they are not of {last.classes} classes")
    for depth, surgery in enumerate(level.surgery for level in levels):
        if surgery.filters is None:
            yield surgery
            continue
        name = "added.conv.weight" if surgery.head == "pooled" else f"{surgery.layer}.added.conv.weight"
        for later in reversed(levels[:depth]):
            name = later.surgery.renamed(name)
        if depth and name not in shapes:
            yield replace(surgery, filters=None)
        elif shapes.get(name, ())[:1] != (surgery.filters,):
            raise ModelError(f"{name} is {shapes.get(name, 'missing')}, not of {surgery.filters} filters")
        else:
            yield surgery


def _shown(value: object) -> str:
    return repr(value)[:60]
