"""``--export-masks``, ``--units`` and ``--concepts`` of ``interpkit dissect``: a closer look at some units."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interpkit.cli._screen import line, progress_shown
from interpkit.cli._shown import show_units

if TYPE_CHECKING:
    from interpkit.results import Subset

FOLDER = "masks"


@dataclass(frozen=True)
class Closer:
    """What of a dissection is to be looked at closer.

    Attributes
    ----------
    form
        How masks are written; None for not at all.
    subset
        Which units. Where it is all of them, all are exported and none is listed.
    """

    form: Any
    subset: "Subset"

    def check(self, probe: Any, labels: Any, *, split: str | None, limit: int | None) -> None:  # noqa: ANN401 - types that need torch
        """Stop at what does not exist, and at far too many pictures, before anything runs.

        Raises
        ------
        InterpkitError
            Naming it.
        """
        if self.form is None and not self.subset.wanted:
            return
        layers = {layer: units for layer, (units, _, _) in probe.shapes().items()}
        self.subset.check(layers, labels.concepts["name"].tolist(), labels=labels.name)
        if self.form is not None:
            from interpkit.dissection import check_form

            # What the concepts choose is known afterwards.
            most = len(self.subset.units) if self.subset.wanted else max(layers.values())
            check_form(self.form, units=most, images=len(labels.select(split=split, limit=limit)))

    def masks(self, results: Sequence[Any], folder: Path, *, looked: tuple[Any, Any], quiet: bool) -> list[Path]:
        """Write masks into ``<run>/<layer>/masks``, and say where they are; ``looked``: the probe and the label set."""
        from interpkit.results import result_folder_name

        written = []
        for result in results if self.form is not None else ():
            units = self.subset.of(result)
            if units:
                from interpkit.dissection import export_masks

                into = folder / result_folder_name(result) / FOLDER
                with progress_shown(quiet=quiet) as progress:
                    written.append(
                        export_masks(result, *looked, folder=into, form=self.form, units=units, progress=progress)
                    )
        return written

    def show(self, results: Sequence[Any]) -> None:
        """List the chosen units."""
        for result in results if self.subset.wanted else ():
            line(f"{result.layer}: {self.subset.words()}")
            show_units(result, self.subset.of(result))

    def told(self, results: Sequence[Any], masks: Sequence[Path]) -> dict[str, Any]:
        """The same as plain values: for each layer the table's rows of its chosen units, and where masks are."""
        columns = ["unit", "concept", "category", "iou", "detector", "top_image"]
        rows = [one.table().loc[self.subset.of(one), columns].to_dict(orient="records") for one in results]
        units = {one.layer: found for one, found in zip(results, rows, strict=True)} if self.subset.wanted else None
        return {
            **({} if units is None else {"units": units}),
            **({"masks": [str(path) for path in masks]} if self.form is not None else {}),
        }
