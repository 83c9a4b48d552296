"""``--export-masks``, ``--units`` and ``--concepts`` of ``interpkit dissect``: a closer look at some units."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interpkit.cli._screen import line, progress_shown
from interpkit.cli._shown import show_units
from interpkit.errors import InterpkitError

FORMS = ("png", "rle")
FOLDER = "masks"


@dataclass(frozen=True)
class Closer:
    """What of a dissection is to be looked at closer.

    Attributes
    ----------
    form
        How masks are written, one of ``FORMS``; None for not at all.
    units, concepts
        Which units: by number, and by what they detect. With neither, all are exported and none is listed.
    """

    form: Any
    units: Sequence[int]
    concepts: Sequence[str]

    @property
    def wanted(self) -> bool:
        """Whether anything was asked for."""
        return bool(self.form or self.units or self.concepts)

    def check(self, probe: Any, labels: Any) -> None:  # noqa: ANN401 - types that need torch
        """Stop at what does not exist, before anything runs.

        Raises
        ------
        InterpkitError
            Naming it.
        """
        from interpkit.dissection import check_choice

        if self.form is not None and self.form not in FORMS:
            raise InterpkitError(f"--export-masks takes {' or '.join(FORMS)}, not {self.form!r}")
        check_choice(probe, labels, units=self.units, concepts=self.concepts)

    def take(self, results: Sequence[Any], folder: Path, *, looked: tuple[Any, Any], quiet: bool, told: bool) -> None:
        """List the units and write their masks, into ``<run>/<layer>/masks``.

        ``looked`` are the probe and the label set; ``told`` says whether lines may be printed.
        """
        from interpkit.dissection import chosen_units, export_masks
        from interpkit.results import result_folder_name

        for result in results:
            units = chosen_units(result, units=self.units, concepts=self.concepts)
            every = not (self.units or self.concepts)
            if told and not every:
                show_units(result, units)
            if self.form is not None and (every or units):
                into = folder / result_folder_name(result) / FOLDER
                with progress_shown(quiet=quiet) as progress:
                    where = export_masks(
                        result,
                        *looked,
                        folder=into,
                        form=self.form,
                        units=None if every else units,
                        progress=progress,
                    )
                if told:
                    line(str(where))
