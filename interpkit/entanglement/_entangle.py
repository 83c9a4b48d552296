"""entangle(): from a network and images with classes to what each unit knows of each class."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from inspect import signature
from itertools import zip_longest
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import nn

from interpkit import running
from interpkit.counts import block_of
from interpkit.entanglement._checks import DECIDING, check_options, in_order, warn
from interpkit.entanglement._gallery import exclusive_units
from interpkit.entanglement._information import Information, measure
from interpkit.entanglement._pool import Look, Passed, Pool, Pooled, Rectify, pool_images
from interpkit.entanglement._redundancy import class_means, correlation, mass, redundancy, weight_cosine
from interpkit.entanglement._requests import Known, Requested, answer, check_possible
from interpkit.entanglement._sample import Sample
from interpkit.entanglement._targets import Target, Wanted, wanted
from interpkit.errors import LabelSetError
from interpkit.feeding import Feeding, MemoryFormat
from interpkit.gallery import Outlining, make_gallery
from interpkit.geometry import half_pixel
from interpkit.keeping import Work
from interpkit.labels import LabelSet, Targets
from interpkit.mapstore import kept_arrays
from interpkit.probe import Probe
from interpkit.processes import process_group
from interpkit.results import Entanglement, Gallery, owners
from interpkit.running import (
    Fed,
    LabelSetPictures,
    Progress,
    Run,
    Stopwatch,
    announce,
    fed,
    label_grid,
    one_layer,
    silent,
)
from interpkit.running.beginning import begin, made_once

Floats = npt.NDArray[np.float32]


def entangle_layers(
    probe: Probe,
    labels: LabelSet,
    *,
    target: Target = "label",
    pool: Pool = "mean",
    rectify: Rectify = "auto",
    estimator: Literal["histogram", "knn"] = "histogram",
    analyses: Sequence[str] = (),
    class_limit: int = 50,
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
) -> dict[str, Entanglement]:
    """Measure what the units of every layer of the probe know about classes.

    Each unit's map is pooled to one number an image; its mutual information with *the image is of class k*, one class
    against the rest, is estimated by a histogram whose bins are refined where few images lie (Liang et al., ECCV 2020,
    section 4.1; the estimator is ours). Every score stands beside its value with permuted labels. The model is left as
    it was found, and need not have been trained on these classes.

    Parameters
    ----------
    probe
        A model and its layers, which share one forward pass.
    labels
        Images with classes, one or several an image.
    target
        ``label``: the label set's classes; ``prediction``: the network's own strongest output.
    pool
        ``mean`` or ``max`` over the cells of a map.
    rectify
        ``auto`` and ``no`` pool the map as it is, with bins refined at both ends where a layer gives negative values;
        ``yes`` pools max(a, 0). Analyses set units to zero: with ``auto`` they take max(a, 0) of such a layer.
    estimator
        ``histogram``: quantile bins, Miller-Madow correction; ``knn``: the nearest-neighbour estimator of the released
        code, slow, for comparison.
    analyses
        Any of ``ablation``, ``compression``, ``localisation``, ``adversarial``, made beside the matrix.
    class_limit
        Ablation takes at most so many classes, the largest first.
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
        For whatever is drawn at random.
    progress
        Called as progress(stage, done, total).
    work
        Where finished work is kept, for the same call to go on with; default: nowhere.

    Returns
    -------
    A result a layer, in the probe's order. Of several processes that ``torchrun`` has started, each looks at its share
    of the images, and the first one has the results; the others give none.

    Raises
    ------
    InterpkitError
        For a mistake in the arguments, a label set without two classes, an image that cannot be read, an analysis that
        the network or the label set does not allow, or activations that are not finite.
    """
    options = {name: value for name, value in locals().items() if name in DECIDING}
    check_options(options)
    options["analyses"] = analyses = in_order(analyses)
    with process_group(device) as (group, where), group.together():
        probe = probe if where is None else probe.on(where)
        chosen = images_of(labels, options)
        watch, show = Stopwatch(), (progress if group.first else None) or silent
        check_possible(probe, chosen, analyses, by_label=target == "label")
        known = _known(chosen, limit) if target == "label" else None
        begin(work, probe, chosen, verb="entangle", options=options, group=group)
        how = {name: options[name] for name in ("batch_size", "memory_format", "threads", "skip_bad")}
        with (
            fed(probe, chosen, **how, group=group, work=work) as ready,
            _arrays(probe, ready, images=len(chosen), twice=bool(analyses)) as arrays,
        ):
            watch.lap("tuning")
            if group.first:
                announce(len(chosen), ready.feeding)
            look = Look(pool, rectify, predict=target == "prediction")
            passed = pool_images(probe, chosen, ready, arrays=arrays, look=look, progress=show)
            watch.lap("activations")
            if passed is None:
                return {}
            run = _Layers(
                probe=probe,
                labels=labels,
                chosen=chosen,
                feeding=ready.feeding,
                passed=passed,
                classes=wanted(known, passed, probe),
                options=options,
                watch=watch,
                progress=show,
                work=work,
            )
            return run.results()


def _known(labels: LabelSet, limit: int | None) -> Targets:
    """The classes of the images; a set without two ends here, before the pass."""
    try:
        return labels.targets()
    except LabelSetError as error:
        if limit is None:
            raise
        first = f"of the first {len(labels):,} images alone: a limit may leave out whole classes"
        raise LabelSetError(f"{error} ({first})") from error


@contextmanager
def _arrays(probe: Probe, ready: Fed, *, images: int, twice: bool) -> Iterator[dict[str, tuple[Floats, Floats | None]]]:
    """Room for what each layer is pooled to, (n, U); ``twice``: also for what max(a, 0) is pooled to.

    The first process has room for all images, others for their own. Analyses set units to zero, which means nothing
    for a layer with negative values: they take max(a, 0).
    """
    rows = images if ready.group.first else max(len(ready.feeder.span), 1)
    shapes = [(rows, units) for units, _, _ in probe.shapes().values()]
    every = shapes * 2 if twice else shapes
    with kept_arrays(every, work=ready.work, name="pooled", group=ready.group) as (arrays, _):
        count = len(shapes)
        yield dict(zip(probe.layers, zip_longest(arrays[:count], arrays[count:]), strict=True))


def images_of(labels: LabelSet, options: Mapping[str, Any]) -> LabelSet:
    """The images that a run with these options looks at; where their labels are asked about, those with a class."""
    chosen = labels.select(split=options["split"])
    if options["target"] == "label" and chosen.classes is not None:
        chosen = chosen.classified()
    return chosen.select(limit=options["limit"])


@dataclass(frozen=True, eq=False)
class _Layers:
    """From the pooled activations of a run to its results."""

    probe: Probe
    labels: LabelSet
    chosen: LabelSet
    feeding: Feeding
    passed: Passed
    classes: Wanted
    options: Mapping[str, Any]
    watch: Stopwatch
    progress: Progress
    work: Work | None

    def results(self) -> dict[str, Entanglement]:
        """A result a layer."""
        parts = {layer: self._measured(layer, pooled) for layer, pooled in self.passed.layers.items()}
        run = Run(
            verb="entangle",
            functions=("entangle", "entangle_layers"),
            probe=self.probe,
            labels=self.labels,
            options=self.options,
            defaults={name: one.default for name, one in signature(entangle_layers).parameters.items()},
            feeding=self.feeding,
            watch=self.watch,
            content=self.passed.content,
        )
        return {layer: Entanglement(**part, provenance=run.provenance) for layer, part in parts.items()}

    def _measured(self, layer: str, pooled: Pooled) -> dict[str, Any]:
        """The fields of one layer's result."""
        values, member = pooled.values, self.classes.member
        found = self._information(layer, pooled)
        self.watch.lap(f"information of {layer}")
        means, mean = class_means(values, member), values.mean(0, dtype=np.float64)
        owner, positive = owners(found.information, means, mean)
        related = self._related(layer, values, owner=owner)
        self.watch.lap(f"redundancy of {layer}")
        requested = self._requested(layer, pooled, owner=owner, positive=positive)
        gallery = self._gallery(layer, pooled, exclusive_units(found.information, owner, positive))
        self.watch.lap(f"analyses of {layer}")
        return {
            **related,
            **{name: getattr(found, name) for name in ("information", "permuted", "without_block", "entropy", "bins")},
            **{field.name: getattr(requested, field.name) for field in fields(requested)},
            "layer": layer,
            "classes": self.classes.names,
            "class_images": member.sum(0).astype(np.int64),
            "images": len(values),
            "dead": values.min(0) == values.max(0),
            "mean": mean,
            "class_mean": means,
            "signed": pooled.signed,
            "multi_label": self.classes.multi,
            "gallery": gallery,
            "warnings": (*self._warnings(), *requested.warnings),
            "skipped": self._skipped(),
            "pictures": LabelSetPictures(self.labels, gallery.names),
        }

    def _kept_as(self, layer: str, what: str) -> str:
        """Under which name work on a layer is kept."""
        return f"{what}-{self.probe.layers.index(layer)}"

    def _information(self, layer: str, pooled: Pooled) -> Information:
        """What each unit tells of each class."""
        names = self.chosen.images["image"].to_numpy(str)[self.passed.rows]

        def made() -> list[Information]:
            found = measure(
                pooled.values,
                self.classes.member,
                blocks=np.array([block_of(name) for name in names]),
                signed=pooled.signed,
                estimator=self.options["estimator"],
                seed=self.options["seed"],
                progress=self.progress,
            )
            return [found]

        return made_once(self.work, self._kept_as(layer, "information"), kind=Information, make=made)[0]

    def _related(
        self,
        layer: str,
        values: npt.NDArray[np.float32],
        *,
        owner: npt.NDArray[np.int64],
    ) -> dict[str, Any]:
        """How units resemble each other, and where the activation of a class falls."""
        pairs, cosine = correlation(values), weight_cosine(self._weight(layer))
        return {
            "mass": mass(values, self.classes.member, owner),
            "correlation": pairs.astype(np.float16),
            "cosine": None if cosine is None else cosine.astype(np.float16),
            "redundancy": redundancy(pairs, cosine, owner),
        }

    def _weight(self, layer: str) -> npt.NDArray[np.float32] | None:
        """The layer's own weights (U, ...); None where its module has none, or makes several units of one weight."""
        module = self.probe.model.get_submodule(self.probe.address(layer).module)
        # Others order their weights otherwise (transposed convolutions), or have one for each cell (normalisations).
        if not isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear) or getattr(module, "groups", 1) != 1:
            return None
        array: npt.NDArray[np.float32] = module.weight.detach().float().cpu().numpy()
        return array if len(array) == self.passed.layers[layer].values.shape[1] else None

    def _gallery(self, layer: str, pooled: Pooled, units: Sequence[int]) -> Gallery:
        """The units on the images on which they fire most."""
        images = pooled.peaks.image
        entries = [(unit, int(row)) for unit in units for row in images[unit] if row >= 0]
        _, h, w = self.probe.shapes()[layer]
        outlining = Outlining(
            layer=layer,
            placement=half_pixel(self.probe.preprocessing.size, (h, w)),
            grid=label_grid(self.labels, self.probe),
            thresholds=pooled.thresholds,
            silent=pooled.silent,
        )
        return make_gallery(self.probe, self.chosen, entries, outlining=outlining, feeding=self.feeding)

    def _requested(
        self,
        layer: str,
        pooled: Pooled,
        *,
        owner: npt.NDArray[np.int64],
        positive: npt.NDArray[np.bool_],
    ) -> Requested:
        """The analyses asked for."""
        if pooled.positive is None:
            return Requested()
        rectify = self.options["rectify"] == "yes" or (self.options["rectify"] == "auto" and pooled.signed)
        values = pooled.positive if rectify else pooled.values
        sample = Sample(
            probe=self.probe,
            layer=layer,
            labels=self.chosen,
            rows=self.passed.rows,
            feeding=self.feeding,
            pooled=values,
            names=self.classes.names,
            member=self.classes.member,
            pool=self.options["pool"],
            rectify=rectify,
            # As it is where that was asked for: zero is then a value like any other.
            signed=pooled.signed and self.options["rectify"] != "no",
            progress=self.progress,
        )
        return answer(
            sample,
            Known(owner, positive),
            self.options["analyses"],
            outputs=self.classes.outputs or self.chosen.manifest.get("model_index"),
            class_limit=int(self.options["class_limit"]),
            seed=int(self.options["seed"]),
            work=self.work,
            name=self._kept_as(layer, "requested"),
        )

    def _warnings(self) -> tuple[str, ...]:
        """What limits the numbers, a sentence each."""
        classes = self.classes
        return (*warn(classes.member, classes.names), *classes.notes, *self._unclassified())

    def _unclassified(self) -> tuple[str, ...]:
        """What must be said of images that have no class."""
        lost = len(self.labels.select(split=self.options["split"])) - len(self.chosen)
        if self.options["target"] != "label" or self.options["limit"] is not None or lost == 0:
            return ()
        return (f"{lost:,} images of {self.labels.name} have no class and are left out",)

    def _skipped(self) -> tuple[str, ...]:
        """Names of the images that could not be read."""
        left = np.delete(np.arange(len(self.chosen)), self.passed.rows)
        return tuple(str(name) for name in self.chosen.images["image"].iloc[left])


entangle = one_layer(entangle_layers, name="entangle")


def planned_fingerprint(probe: Probe, labels: LabelSet, arguments: Mapping[str, Any]) -> str:
    """The fingerprint that ``entangle`` with these keyword arguments will write, known before it runs."""
    deciding = {name: arguments[name] for name in DECIDING}
    deciding["analyses"] = in_order(deciding["analyses"])
    return running.planned_fingerprint("entangle", probe, labels, deciding=deciding)
