"""From the results of two networks to one result."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, TypeVar

from interpkit.comparison._measures import MEASURERS, ORDER, Result
from interpkit.errors import ResultError
from interpkit.results import Comparison, FineTuning, Gallery, Provenance

Kind = TypeVar("Kind")

Differing = tuple[tuple[str, str, str], ...]

# How a pass is fed decides no more than the last bits of what it measures.
_FEEDING = {"device", "batch_size", "memory_format", "threads"}
# Of a recipe: what is no setting, or says no more to a reader than the name beside it.
_ASIDE = {"format", "kind", "classes", "sites"}
_UNREADABLE = {"sha", "record", "trained"}
# How long each was trained, which patience may have made differ.
_TRAINED = "training.epochs_trained"
# Values of a list that are still read one by one.
_SHOWN = 6


@dataclass(frozen=True, eq=False)
class Look:
    """What a page shows of two networks besides numbers.

    Attributes
    ----------
    galleries
        The same units on the same images in either network; None for none.
    pictures
        Image name -> JPEG bytes of the images in them.
    pages
        Addresses of the two networks' own pages, relative to the comparison's run.
    """

    galleries: tuple[Gallery, Gallery] | None = None
    pictures: Mapping[str, bytes] | None = None
    pages: tuple[str, ...] = ()


def compare(
    before: Sequence[Result],
    after: Sequence[Result],
    *,
    names: tuple[str, str] = ("before", "after"),
    command: str = "",
    look: Look | None = None,
    warnings: Sequence[str] = (),
) -> Comparison:
    """Set two networks side by side, by what was measured of both.

    Parameters
    ----------
    before, after
        Results of one layer of either network, at most one of each kind. What only one of the two has is left out and
        named in the warnings.
    names
        What the two are called.
    command
        The command line that repeats all of it.
    look
        Galleries, pictures and pages to go along.
    warnings
        What else limits the numbers, a sentence each.

    Returns
    -------
    Measures where both have what they need, each beside its floor; NaN for a number that cannot be given.

    Raises
    ------
    ResultError
        If a side has no result, results of several layers or two of one kind; if the layers differ in their number of
        units, or nothing was measured of both; if two results of a kind rest on different label sets.
    """
    sides = (_Side.of(before, names[0]), _Side.of(after, names[1]))
    _check_pair(*sides)
    pairs = [(one, sides[1].kind(type(one))) for one in sides[0].results if sides[1].kind(type(one)) is not None]
    found = [MEASURERS[type(first)](first, second) for first, second in pairs]
    # Of a measure that two kinds give, the first.
    measures = {one.name: one for one in reversed(list(chain.from_iterable(one for one, _ in found)))}
    per_unit = {name: value for _, units in found for name, value in units.items()}
    trained = (sides[0].kind(FineTuning), sides[1].kind(FineTuning))
    equal, differs = _settings(*trained)
    last = sides[1].results[-1]
    looked = look or Look()
    return Comparison(
        layer=last.layer,
        units=last.units,
        columns=names,
        measures=tuple(one for name in ORDER for one in [measures.get(name)] if one is not None),
        per_unit=per_unit,
        histories=(_history(trained[0]), _history(trained[1])),
        equal=equal,
        differs=differs,
        sets={second.provenance.verb: _set(second) for _, second in pairs if second is not None},
        galleries=looked.galleries,
        pages=looked.pages,
        provenance=_provenance(sides, command),
        warnings=(*warnings, *_unpaired(*sides), *_apart(*sides), *_unlike(pairs)),
        skipped=tuple(dict.fromkeys(name for side in sides for one in side.results for name in one.skipped)),
        images=_images(pairs),
        pictures=looked.pictures or {},
    )


@dataclass(frozen=True, eq=False)
class _Side:
    """The results of one network."""

    name: str
    results: tuple[Result, ...]

    @classmethod
    def of(cls, results: Sequence[Result], name: str) -> "_Side":
        """The results in the order in which they are read."""
        kinds = list(MEASURERS)
        strange = [type(one).__name__ for one in results if type(one) not in kinds]
        if strange:
            raise ResultError(f"{name}: a {strange[0]} cannot be compared; there is {_named(kinds)}")
        twice = [kind for kind in kinds if sum(type(one) is kind for one in results) > 1]
        if twice:
            raise ResultError(f"{name} holds several results of {twice[0].__name__}; give one of each kind")
        layers = list(dict.fromkeys(one.layer for one in results))
        if len(layers) != 1:
            raise ResultError(f"{name} holds results of {', '.join(layers) or 'no layer'}; give those of one layer")
        return cls(name, tuple(sorted(results, key=lambda one: kinds.index(type(one)))))

    def kind(self, kind: type[Kind]) -> Kind | None:
        """The result of this kind; None where there is none."""
        return next((one for one in self.results if isinstance(one, kind)), None)


def _named(kinds: Iterable[type]) -> str:
    return ", ".join(kind.__name__ for kind in kinds)


def _check_pair(before: _Side, after: _Side) -> None:
    """Stop at two sides that do not compare."""
    if before.results[0].units != after.results[0].units:
        raise ResultError(
            f"{before.name} has {before.results[0].units:,} units, {after.name} {after.results[0].units:,}: only "
            "layers of equally many units compare"
        )
    pairs = [(one, after.kind(type(one))) for one in before.results]
    if not any(other is not None for _, other in pairs):
        raise ResultError(
            f"nothing was measured of both: {before.name} has {_named(map(type, before.results))}, {after.name} "
            f"{_named(map(type, after.results))}"
        )
    for one, other in pairs:
        if other is not None and _looked_at(one) != _looked_at(other):
            raise ResultError(
                f"the two results of {one.provenance.verb} rest on different images ({_set(one)}; {_set(other)}), so "
                "they do not compare"
            )


def _looked_at(one: Result) -> tuple[str, tuple[str, ...]]:
    return one.provenance.labels_sha, one.validation if isinstance(one, FineTuning) else ()


def _set(one: Result) -> str:
    """The label set that a result rests on, in words."""
    if isinstance(one, FineTuning):
        return f"{one.provenance.labels}, {len(one.validation):,} validation images"
    return f"{one.provenance.labels}, {one.images:,} images"


def _images(pairs: Sequence[tuple[Result, Any]]) -> int:
    """On how many images the comparison rests: those kept apart from the training, where there was one."""
    first = pairs[0][0]
    return len(first.validation) if isinstance(first, FineTuning) else first.images


def _history(one: FineTuning | None) -> Mapping[str, list[Any]] | None:
    """A training's history, column by column; None for a network that was not trained."""
    if one is None:
        return None
    columns = one.history.astype(object).where(one.history.notna(), None)
    return {str(name): list(values) for name, values in columns.items()}


def _unpaired(before: _Side, after: _Side) -> list[str]:
    """What only one of the two has, a sentence each."""
    sides = ((before, after), (after, before))
    return [
        f"{mine.name} alone has a result of {one.provenance.verb}, which is left out"
        for mine, other in sides
        for one in mine.results
        if other.kind(type(one)) is None
    ]


def _apart(before: _Side, after: _Side) -> list[str]:
    """That one was trained for longer, where patience stopped them at different epochs."""
    first, last = before.kind(FineTuning), after.kind(FineTuning)
    if first is None or last is None or first.epochs == last.epochs:
        return []
    return [f"{before.name} was trained for {first.epochs:,} epochs, {after.name} for {last.epochs:,}"]


def _unlike(pairs: Sequence[tuple[Result, Any]]) -> list[str]:
    """Settings of the analyses that differ, a sentence each: numbers then differ for that too."""
    found = []
    for first, second in pairs:
        if isinstance(first, FineTuning):  # whose settings stand in a table of their own
            continue
        was, now = ({**one.provenance.options, **one.provenance.preprocessing} for one in (first, second))
        apart = [name for name in was if name not in _FEEDING and was[name] != now.get(name)]
        found += [
            f"{first.provenance.verb} was made with {name} {said(was[name])} before and {said(now.get(name))} after"
            for name in apart
        ]
    return found


def _settings(before: FineTuning | None, after: FineTuning | None) -> tuple[dict[str, str], Differing]:
    """Settings of both trainings' recipes that are equal, and those that differ."""
    if before is None or after is None:
        return {}, ()
    was, now = ({**_flat(one.recipe), _TRAINED: one.epochs} for one in (before, after))
    names = list(dict.fromkeys([*was, *now]))
    equal = {name: said(was[name]) for name in names if name in was and name in now and was[name] == now[name]}
    return equal, tuple((name, said(was.get(name)), said(now.get(name))) for name in names if name not in equal)


def _flat(recipe: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    """The leaves of nested settings, by dotted names."""
    leaves: dict[str, Any] = {}
    for name, value in recipe.items():
        if name in (_UNREADABLE if start else _ASIDE):
            continue
        leaves |= _flat(value, f"{start}{name}.") if isinstance(value, Mapping) else {f"{start}{name}": value}
    return leaves


def said(value: object) -> str:
    """A setting in words.

    Examples
    --------
    >>> said(None), said(True), said([224, 224]), said(0.1), said(list(range(40)))
    ('none', 'yes', '224, 224', '0.1', '40 entries')
    """
    if isinstance(value, list | tuple):
        return ", ".join(map(said, value)) if len(value) <= _SHOWN else f"{len(value):,} entries"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _provenance(sides: tuple[_Side, _Side], command: str) -> Provenance:
    """How the comparison was made: as the later of the two, of both networks."""
    first, last = (side.results[0].provenance for side in sides)
    shas = [one.provenance.model_sha for side in sides for one in side.results[-1:]]
    every = [one.provenance for side in sides for one in side.results]
    name = first.model if first.model == last.model else f"{first.model} and {last.model}"
    return replace(
        last,
        verb="compare",
        command=command,
        options={"layers": [sides[1].results[0].layer], "names": [side.name for side in sides]},
        model=name,
        model_sha=hashlib.sha256("".join(shas).encode()).hexdigest(),
        when=min(one.when for one in every),
        seconds=round(sum(one.seconds for one in every), 3),
        stages={
            f"{side.name}: {one.provenance.verb}": one.provenance.seconds for side in sides for one in side.results
        },
        notes=tuple(dict.fromkeys(note for one in every for note in one.notes)),
    )
