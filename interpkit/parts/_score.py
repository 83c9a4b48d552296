"""score_parts(): from a network and images with landmarks or part masks to how part-like each unit is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from interpkit import running
from interpkit.feeding import Feeding, MemoryFormat
from interpkit.gallery import Outlining, make_gallery
from interpkit.geometry import Placement
from interpkit.keeping import Work
from interpkit.labels import LabelSet
from interpkit.mapstore import Cache, kept_arrays
from interpkit.parts._checks import DECIDING, Classes, check_maps, check_options, classes_of
from interpkit.parts._gallery import most_part_like, steadiest
from interpkit.parts._measures import (
    Landmarks,
    cell_centres,
    few_annotated,
    landmarks_of,
    masked_parts,
    measure_association,
    measure_stability,
    measure_templates,
)
from interpkit.parts._observe import Observed, Seen, observe
from interpkit.probe import Probe
from interpkit.processes import process_group
from interpkit.results import Association, Gallery, PartScores, Stability, TemplateScores
from interpkit.running import (
    Align,
    LabelSetPictures,
    Progress,
    Run,
    Stopwatch,
    announce,
    fed,
    label_grid,
    one_layer,
    place,
    silent,
)
from interpkit.running.beginning import begin, check_room, made_once

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Fewer images than this times the cells and the mutual information is bounded by their number, not by the templates'.
TIMES_CELLS = 5


def score_parts_layers(
    probe: Probe,
    labels: LabelSet,
    *,
    align: Align = "half-pixel",
    top: int = 100,
    radius: float | None = None,
    cache: Cache = "auto",
    scratch: str | Path | None = None,
    skip_bad: bool = False,
    split: str | None = None,
    limit: int | None = None,
    device: str | None = None,
    batch_size: int | Literal["auto"] = "auto",
    memory_format: MemoryFormat = "auto",
    threads: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    work: Work | None = None,
) -> dict[str, PartScores]:
    """Measure how part-like the units of every layer of the probe are, and how steadily they fire.

    Three measures, each where the label set has what it needs, each beside its chance level (Zhang et al., CVPR 2018):
    location instability against landmarks, overlap with part masks, and the information between a unit's maps and the
    templates of a part. The model is left as it was found.

    Parameters
    ----------
    probe
        A model and its layers, which share one forward pass.
    labels
        Images; with landmarks, part masks and classes if it has them.
    align
        Where cells lie on the input: ``half-pixel``, ``receptive-field`` (as the published numbers) or ``effective``.
    top
        A unit's steadiness is judged on the images with its highest peaks, so many at most; the paper's 100.
    radius
        Of the disc that stands for an active cell on part masks, input pixels; default: half the measured receptive
        field, at most an eighth of the image.
    cache, scratch
        Where the maps are kept, ``ram``, ``disk`` or ``auto``, and in which folder.
    skip_bad
        Leave out images that cannot be read, and count them, instead of stopping at the first.
    split, limit
        Only images of this split; of those only the first so many.
    device
        ``cpu``, ``cuda``, ``cuda:1``, ``auto``; default: where the probe is.
    batch_size, memory_format
        ``auto`` times a few combinations on the first images and keeps the fastest; the result says which.
    threads
        Torch's threads; default: as they are set.
    seed
        For the baselines that are drawn at random.
    progress
        Called as progress(stage, done, total).
    work
        Where finished work is kept, for the same call to go on with; default: nowhere. With ``cache="ram"`` the maps
        are not kept, and their pass begins again.

    Returns
    -------
    A result a layer, in the probe's order. Of several processes that ``torchrun`` has started, each looks at its share
    of the images, and the first one has the results; the others give none.

    Raises
    ------
    InterpkitError
        For a mistake in the arguments, an image that cannot be read, landmarks outside their image, or activations
        that are not finite.
    """
    options = {name: value for name, value in locals().items() if name in DECIDING}
    check_options(options)
    with process_group(device) as (group, on), group.together():
        probe = probe if on is None else probe.on(on)
        chosen = labels.select(split=split, limit=limit)
        watch, show = Stopwatch(), (progress if group.first else None) or silent
        # Before the pass: landmarks that are wrong end the run here.
        landmarks = landmarks_of(chosen, probe.preprocessing.size, skip_bad=skip_bad)
        check_maps(probe.shapes())
        check_room(cache, scratch)
        begin(work, probe, chosen, verb="parts", options=options, group=group, also=[cache])
        how = {name: options[name] for name in ("batch_size", "memory_format", "threads", "skip_bad")}
        with fed(probe, chosen, **how, group=group, work=work) as ready:
            # The first process has room for all images, others for their own.
            rows = len(chosen) if group.first else max(len(ready.feeder.span), 1)
            shapes = [(rows, *shape) for shape in probe.shapes().values()]
            with kept_arrays(shapes, cache=cache, scratch=scratch, work=work, group=group) as (arrays, where):
                watch.lap("tuning")
                placements = place(probe, chosen, align=align, seed=seed, skip_bad=skip_bad)
                if group.first:
                    announce(len(chosen), ready.feeding, kept=where)
                kept = dict(zip(probe.layers, arrays, strict=True))
                seen = observe(probe, chosen, ready, arrays=kept, progress=show)
                watch.lap("activations")
                if seen is None:
                    return {}
                run = _Layers(
                    probe=probe,
                    labels=labels,
                    chosen=chosen,
                    feeding=ready.feeding,
                    rows=seen.rows,
                    landmarks=landmarks,
                    options=options,
                    watch=watch,
                    where=where,
                    progress=show,
                    work=work,
                )
                return run.results(seen, placements)


@dataclass(frozen=True, eq=False)
class _Layers:
    """From the kept maps of a run to its results.

    Attributes
    ----------
    rows
        (N,) rows of ``chosen`` that could be read.
    landmarks
        Of all images of ``chosen``.
    """

    probe: Probe
    labels: LabelSet
    chosen: LabelSet
    feeding: Feeding
    rows: Ints
    landmarks: Landmarks | None
    options: Mapping[str, Any]
    watch: Stopwatch
    where: str
    progress: Progress
    work: Work | None

    def results(self, seen: Seen, placements: Mapping[str, Placement]) -> dict[str, PartScores]:
        """A result a layer."""
        found = {layer: self._measured(layer, one, placements[layer]) for layer, one in seen.layers.items()}
        run = Run(
            verb="parts",
            functions=("score_parts", "score_parts_layers"),
            probe=self.probe,
            labels=self.labels,
            options=self.options,
            defaults={name: one.default for name, one in signature(score_parts_layers).parameters.items()},
            feeding=self.feeding,
            watch=self.watch,
            notes=(f"maps kept: {self.where}",),
            content=seen.content,
        )
        return {layer: PartScores(**fields, provenance=run.provenance) for layer, fields in found.items()}

    def _measured(self, layer: str, seen: Observed, placement: Placement) -> dict[str, Any]:
        """The fields of one layer's result."""
        map_size = (seen.maps.shape[2], seen.maps.shape[3])
        classes = self._classes
        stability = self._stability(seen, classes, cell_centres(placement, map_size))
        self.watch.lap(f"stability of {layer}")
        templates = self._templates(layer, seen, classes)
        self.watch.lap(f"templates of {layer}")
        overlaps = self._association(layer, seen, placement)
        self.watch.lap(f"part masks of {layer}")
        entries, marks = self._shown(seen, classes, stability=stability, templates=templates)
        gallery = self._gallery(layer, seen, placement, entries=entries)
        return {
            "layer": layer,
            "units": seen.maps.shape[1],
            "images": len(self.rows),
            "map_size": map_size,
            "input_size": self.probe.preprocessing.size,
            "placement": (placement.start, placement.stride),
            "stability": stability,
            "association": overlaps,
            "templates": templates,
            "gallery": gallery,
            "shown": marks,
            "warnings": self._warnings(cells=map_size[0] * map_size[1], parts=overlaps is not None),
            "skipped": self._skipped(),
            "pictures": LabelSetPictures(self.labels, gallery.names),
        }

    @property
    def _seed(self) -> int:
        return int(self.options["seed"])

    @property
    def _classes(self) -> Classes:
        """The classes of the images that could be read."""
        everywhere = classes_of(self.chosen)
        return Classes(everywhere.names, everywhere.member[self.rows])

    @property
    def _marks(self) -> Landmarks | None:
        """The landmarks of the images that could be read."""
        return self.landmarks and Landmarks(self.landmarks.names, self.landmarks.places[self.rows])

    def _stability(self, seen: Observed, classes: Classes, cells: Floats) -> Stability | None:
        """Location instability; None without landmarks."""
        if self._marks is None:
            return None
        return measure_stability(
            seen,
            self._marks,
            classes,
            cells=cells,
            input_size=self.probe.preprocessing.size,
            top=int(self.options["top"]),
            seed=self._seed,
        )

    def _templates(self, layer: str, seen: Observed, classes: Classes) -> TemplateScores:
        """How much maps tell of templates; made once, since it takes long."""

        def made() -> list[TemplateScores]:
            return [measure_templates(seen, classes, seed=self._seed, progress=self.progress)]

        return made_once(self.work, self._kept_as(layer, "templates"), kind=TemplateScores, make=made)[0]

    def _association(self, layer: str, seen: Observed, placement: Placement) -> Association | None:
        """Overlap with part masks, made once; None without any."""
        if not len(masked_parts(self.chosen)):
            return None

        def made() -> list[Association]:
            found = measure_association(
                seen,
                self.chosen,
                self.rows,
                placement=placement,
                probe=self.probe,
                layer=layer,
                radius=self.options["radius"],
                seed=self._seed,
                progress=self.progress,
            )
            return [] if found is None else [found]

        found = made_once(self.work, self._kept_as(layer, "association"), kind=Association, make=made)
        return found[0] if found else None

    def _kept_as(self, layer: str, what: str) -> str:
        """Under which name work on a layer is kept."""
        return f"{what}-{self.probe.layers.index(layer)}"

    def _shown(
        self, seen: Observed, classes: Classes, *, stability: Stability | None, templates: TemplateScores
    ) -> tuple[list[tuple[int, int]], Floats]:
        """Pairs (unit, image) for the gallery, and the landmark to mark in each, as shares of the image."""
        if stability is None or self._marks is None:
            entries = most_part_like(seen, templates)
            return entries, np.full((len(entries), 2), np.nan)
        entries, marks = steadiest(seen, stability, landmarks=self._marks, classes=classes)
        size = np.array(self.probe.preprocessing.size, np.float64)
        places = np.array([self._marks.places[row, p] for row, p in marks], np.float64).reshape(-1, 2)
        return entries, (places + 0.5) / size

    def _gallery(
        self, layer: str, seen: Observed, placement: Placement, *, entries: Sequence[tuple[int, int]]
    ) -> Gallery:
        outlining = Outlining(
            layer=layer,
            placement=placement,
            grid=label_grid(self.labels, self.probe),
            thresholds=seen.thresholds,
            silent=seen.silent,
        )
        of_set = [(unit, int(self.rows[image])) for unit, image in entries]
        return make_gallery(self.probe, self.chosen, of_set, outlining=outlining, feeding=self.feeding)

    def _warnings(self, *, cells: int, parts: bool) -> tuple[str, ...]:
        """What limits the numbers, a sentence each."""
        images = len(self.rows)
        found = [] if self._marks is None else list(few_annotated(self._marks, self._classes))
        if images < TIMES_CELLS * cells:
            found.append(
                f"{images:,} images for maps of {cells:,} cells: template information is bounded by log({images:,}); "
                f"compare it at equal numbers of images only, at best above {TIMES_CELLS * cells:,}"
            )
        if self.landmarks is None:
            found.append("the label set has no landmarks, so nothing is said of how steadily units fire")
        if not parts:
            found.append("the label set has no part masks, so nothing is said of which parts units cover")
        return tuple(found)

    def _skipped(self) -> tuple[str, ...]:
        """Names of the images that could not be read."""
        left = np.delete(np.arange(len(self.chosen)), self.rows)
        return tuple(str(name) for name in self.chosen.images["image"].iloc[left])


score_parts = one_layer(score_parts_layers, name="score_parts")


def planned_fingerprint(probe: Probe, labels: LabelSet, arguments: Mapping[str, Any]) -> str:
    """The fingerprint that ``score_parts`` with these keyword arguments will write, known before it runs."""
    return running.planned_fingerprint("parts", probe, labels, deciding={name: arguments[name] for name in DECIDING})
