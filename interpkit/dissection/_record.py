"""From what the passes found to a result with its provenance."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from interpkit import metrics, running
from interpkit.counts import BlockCounts
from interpkit.dissection._observe import Observed
from interpkit.dissection._tally import Tally
from interpkit.feeding import Feeding
from interpkit.geometry import Placement
from interpkit.labels import LabelSet
from interpkit.probe import Probe
from interpkit.results import Chance, Dissection, Provenance, TopImages, best_of_each
from interpkit.running import COMMON, LabelSetPictures, Run, Settled, Stopwatch, label_grid

# The arguments of dissect() that decide its result; the others say where it runs and what it tells.
DECIDING = (
    "align",
    "quantile",
    "iou",
    "category_rule",
    "top",
    *COMMON,
)


def planned_fingerprint(probe: Probe, labels: LabelSet, arguments: Mapping[str, Any]) -> str:
    """The fingerprint that ``dissect`` with these keyword arguments will write, known before it runs."""
    return running.planned_fingerprint("dissect", probe, labels, deciding={name: arguments[name] for name in DECIDING})


@dataclass(frozen=True, eq=False)
class Record:
    """What all layers of a run have in common.

    Attributes
    ----------
    labels, chosen
        The label set, and its images after ``split`` and ``limit``.
    settled
        Rows of ``chosen`` that could not be read, and what the files of all hold.
    options, defaults
        The deciding arguments as asked for, and what they are when nobody asks.
    where
        Where the maps were kept, and why.
    """

    probe: Probe
    labels: LabelSet
    chosen: LabelSet
    settled: Settled
    feeding: Feeding
    watch: Stopwatch
    options: Mapping[str, Any]
    defaults: Mapping[str, Any]
    where: str

    @cached_property
    def provenance(self) -> Provenance:
        """How the run was made."""
        run = Run(
            verb="dissect",
            functions=("dissect", "dissect_layers"),
            probe=self.probe,
            labels=self.labels,
            options=self.options,
            defaults=self.defaults,
            feeding=self.feeding,
            watch=self.watch,
            notes=(f"maps kept: {self.where}",),
            content=self.settled.content,
        )
        return run.provenance

    def result(self, layer: str, observed: Observed, tally: Tally, *, placement: Placement) -> Dissection:
        """The result of one layer."""
        blocks = tally.finished()
        names = self.chosen.images["image"].to_numpy(str)
        top = _top_images(names, observed, tally)
        _, h, w = self.probe.shapes()[layer]
        return Dissection(
            layer=layer,
            concepts=self.labels.concepts[["number", "name", "category"]].reset_index(drop=True),
            categories=self.labels.categories,
            thresholds=observed.thresholds,
            silent=observed.silent,
            dead=observed.dead,
            blocks=blocks,
            scores=self._scores(blocks),
            chance=self._chance(tally) if self.labels.categories else None,
            top=top,
            images=len(names) - len(self.settled.skipped),
            skipped=tuple(str(name) for name in names[list(self.settled.skipped)]),
            map_size=(h, w),
            grid=label_grid(self.labels, self.probe),
            input_size=self.probe.preprocessing.size,
            placement=(placement.start, placement.stride),
            provenance=self.provenance,
            pictures=LabelSetPictures(self.labels, top.names),
        )

    def _scores(self, blocks: BlockCounts) -> dict[str, npt.NDArray[np.float64]]:
        counts = blocks.total().under(self.options["category_rule"])
        return {name: metrics.load(name).score(counts) for name in metrics.names()}

    def _chance(self, tally: Tally) -> Chance:
        luck = tally.luck().under(self.options["category_rule"])
        return best_of_each(metrics.load("iou").score(luck), tally.category, self.labels.categories)


def _top_images(names: npt.NDArray[np.str_], observed: Observed, tally: Tally) -> TopImages:
    """The top images, with positions among the names that occur."""
    rows = observed.peaks.image
    there = rows >= 0
    used, position = np.unique(rows[there], return_inverse=True)
    image = np.full(rows.shape, -1, np.int32)
    image[there] = position
    return TopImages(
        names=tuple(names[used].tolist()),
        image=image,
        peak=np.where(there, observed.peaks.peak, np.nan).astype(np.float32),
        maps=tally.maps,
        outlines=tuple(tuple(row) for row in tally.outlines),
    )
