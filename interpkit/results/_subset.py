"""Some units of a dissection, chosen by number and by what they detect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from interpkit.errors import UnknownNameError, nearest
from interpkit.results.dissection import Dissection


@dataclass(frozen=True, kw_only=True)
class Subset:
    """Which units of a dissection are looked at; with neither units nor concepts, all.

    Attributes
    ----------
    units
        By number, 0-based.
    concepts
        By what they detect: a concept that is the unit's best of some category, above the run's threshold.
    """

    units: tuple[int, ...] = ()
    concepts: tuple[str, ...] = ()

    @property
    def wanted(self) -> bool:
        """Whether anything is chosen."""
        return bool(self.units or self.concepts)

    def of(self, result: Dissection) -> list[int]:
        """The chosen units of one layer, rising; one that another layer alone has is left out."""
        if not self.wanted:
            return list(range(result.units))
        found = result.by_concept("every-category") if self.concepts else None
        detecting = () if found is None else found[found["name"].isin(list(self.concepts))]["units"]
        numbered = [unit for unit in self.units if 0 <= unit < result.units]
        return sorted({*numbered, *(int(unit) for mine in detecting for unit in mine)})

    def check(self, layers: Mapping[str, int], concepts: Sequence[str], *, labels: str) -> None:
        """Stop at units that no layer has, and at concepts that are not in the label set.

        Parameters
        ----------
        layers
            The number of units of each layer.
        concepts
            The names that there are.
        labels
            The name of the label set, for the message.

        Raises
        ------
        UnknownNameError
            Naming the first, and what there is.
        """
        largest = max(layers, key=lambda name: layers[name])
        for unit in self.units:
            if not 0 <= unit < layers[largest]:
                last = layers[largest] - 1
                raise UnknownNameError(f"layer {largest!r} has no unit {unit}; there is 0 to {last}")
        for concept in self.concepts:
            if concept not in concepts:
                close = ", ".join(nearest(concept, concepts)) or (f"{len(concepts):,} others" if concepts else "none")
                raise UnknownNameError(f"label set {labels} has no concept {concept!r}; nearest: {close}")

    def words(self) -> str:
        """What was asked for.

        Examples
        --------
        >>> Subset(units=(3, 17), concepts=("wheel",)).words()
        'units 3, 17 and what detects wheel'
        """
        said = []
        if self.units:
            said.append(f"{'unit' if len(self.units) == 1 else 'units'} {', '.join(map(str, self.units))}")
        if self.concepts:
            said.append(f"what detects {' or '.join(self.concepts)}")
        return " and ".join(said)
