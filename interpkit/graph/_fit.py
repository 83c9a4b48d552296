"""fit_graph(): from a network and images of one class to part patterns and how they hang together."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from interpkit import running
from interpkit.em import Settings
from interpkit.em.fitting import FIRST
from interpkit.errors import InterpkitError, ModelError
from interpkit.feeding import MemoryFormat
from interpkit.graph._asked import Asked, settle
from interpkit.graph._checks import DECIDING, check_layers, check_options
from interpkit.graph._chosen import Parted, part
from interpkit.graph._decoder import Source, decoder_layer
from interpkit.graph._decoderfolder import check_folder
from interpkit.graph._evaluate import evaluate, judge
from interpkit.graph._fitting import Fitting, Result
from interpkit.graph._found import Patterns
from interpkit.graph._landmarks import Landmarks, landmarks_of
from interpkit.graph._layers import Layer
from interpkit.graph._shown import draw
from interpkit.graph._store import Maps, Precision, Store, fill, room_for
from interpkit.graph._synthesis import Decoding
from interpkit.keeping import Work
from interpkit.labels import LabelSet
from interpkit.mapstore import Cache
from interpkit.probe import Probe
from interpkit.processes import ALONE
from interpkit.results import ExplanatoryGraph, GraphEvaluation, GraphPictures
from interpkit.running import Align, Fed, Progress, Run, Stopwatch, announce, fed, silent
from interpkit.running.beginning import begin, check_room

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

# Below as many images, what moves alike by chance passes for a relation.
FEW = 50


def fit_graph(
    probe: Probe,
    labels: LabelSet,
    *,
    class_name: str | None = None,
    train: int | None = None,
    nodes: Sequence[int] | None = None,
    edges: int = 15,
    noise: float = 0.01,
    iterations: int = 20,
    rule: Literal["repick", "frozen"] = "repick",
    sigma: Literal["fitted", "fused"] = "fitted",
    candidates: int = 600,
    filters: int | None = None,
    align: Align = "receptive-field",
    flips: bool = False,
    precision: Precision = "auto",
    cache: Cache = "auto",
    scratch: str | Path | None = None,
    controls: bool = True,
    shots: Sequence[int] = (1, 3, 5, 10),
    decoder: str | Path | None = None,
    decoder_epochs: int = 30,
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
) -> ExplanatoryGraph:
    """Fit the part patterns of a network's layers on images of one class, and the relations between them.

    Each filter is a mixture of parts: N Gaussians and a constant explain its maps. A part moves with the M parts of the
    layer above that move most like it. Layers are fitted from the topmost down (Zhang et al., AAAI 2018). The model is
    left as it was found.

    Parameters
    ----------
    probe
        A model and two layers of it or more, which share one forward pass.
    labels
        Images; with classes and landmarks if it has them. Nodes are judged on the landmarks.
    class_name
        Of which images; may be left out where there are no classes, or one.
    train
        How many of them, drawn by the seed, the graph is fitted to; default: three quarters, at most 1,000. The rest
        is held out.
    nodes
        N for each layer from low to high; default: by the map, 40 for 28 x 28 cells, 20 for 14 x 14, 10 for 7 x 7.
    edges
        M.
    noise
        Of the component that is no part, in units of one over a cell; the paper's 0.1.
    iterations
        At most, a layer.
    rule
        ``repick``: edges are chosen anew every few iterations, ``frozen``: once.
    sigma
        Whether a node's deviation is ``fitted``, or ``fused`` from the nodes above, as in the paper.
    candidates
        Nodes above that edges are chosen from.
    filters
        Only so many of each layer, those of the highest mean activation; default: all that are not dead.
    align
        Where cells lie on the input: ``receptive-field``, ``half-pixel`` or ``effective``.
    flips
        Whether images may be seen mirrored, if that makes the topmost layer's parts likelier.
    precision
        What maps are kept in, ``float16`` or ``uint8``; ``auto``: the first where memory holds it.
    cache, scratch
        Where they are kept, ``ram``, ``disk`` or ``auto``, and in which folder.
    controls
        Whether the layers are also fitted without edges, and with edges to nodes of other images, to judge what edges
        are good for; only where there are landmarks.
    shots
        Numbers of annotated images that landmarks are localised from.
    decoder
        Folder of a network that makes images from features, trained there unless it is; default: none are made.
    decoder_epochs
        How long it is trained.
    skip_bad
        Leave out images that cannot be read, and count them, instead of stopping at the first.
    split, limit
        Only images of this split; of those of the class only the first so many.
    device
        ``cpu``, ``cuda``, ``cuda:1``, ``auto``; default: where the probe is.
    batch_size, memory_format
        ``auto`` times a few combinations on the first images and keeps the fastest; the result says which.
    threads
        Torch's threads; default: as they are set.
    seed
        For which images are held out, the nodes' first places, the controls, and the shots.
    progress
        Called as progress(stage, done, total).
    work
        Where finished work is kept, for the same call to go on with: the pass, and every fitted layer; default:
        nowhere. With ``cache="ram"`` the maps are not kept, and their pass begins again.

    Raises
    ------
    InterpkitError
        For a mistake in the arguments, several processes, an image that cannot be read, landmarks outside their image,
        a layer whose filters are all silent, or activations that are not finite.
    """
    asked_for = {name: value for name, value in locals().items() if name in DECIDING}
    check_options(asked_for)
    options = _plain(asked_for)
    _check_alone()
    check_room(cache, scratch)
    probe = probe if device is None else probe.on(device)
    check_layers(probe)
    asked = settle(probe, labels, options)
    watch = Stopwatch()
    begin(work, probe, asked.chosen, verb="graph", options=options, group=ALONE, also=[cache, precision])
    shapes = {layer: probe.shapes()[layer] for layer in asked.order}
    keep: dict[str, Any] = {"precision": precision, "cache": cache, "scratch": scratch, "work": work}
    how = {name: options[name] for name in ("batch_size", "memory_format", "threads", "skip_bad")}
    with (
        fed(probe, asked.chosen, **how, work=work) as ready,
        room_for(shapes, len(asked.chosen), flips=flips, **keep) as store,
    ):
        watch.lap("tuning")
        announce(len(asked.chosen), ready.feeding, passes=1 + flips, kept=store.where)
        rows = fill(probe, asked.chosen, ready, store=store, progress=progress or silent)
        watch.lap("activations")
        where = (cache, scratch)
        run = _Layers(probe, labels, asked, options, store, rows, ready, watch, where, progress or silent)
        return run.graph()


def _check_alone() -> None:
    """Stop where several processes were started for what one does."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InterpkitError("an explanatory graph is fitted in one process; start it without torchrun")


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """The options as they can be written down."""
    numbers = {name: tuple(map(int, options[name])) for name in ("nodes", "shots") if options[name] is not None}
    return options | numbers | {"decoder": None if options["decoder"] is None else str(options["decoder"])}


@dataclass(frozen=True, eq=False)
class _Layers:
    """From the kept maps of a run to its result.

    Attributes
    ----------
    rows
        (N,) rows of the chosen images that could be read; those whose maps are kept, in that order.
    where
        Cache and scratch folder, for the decoder.
    """

    probe: Probe
    labels: LabelSet
    asked: Asked
    options: Mapping[str, Any]
    store: Store
    rows: Ints
    ready: Fed
    watch: Stopwatch
    where: tuple[Cache, str | Path | None]
    progress: Progress

    def graph(self) -> ExplanatoryGraph:
        """The result."""
        options, asked, size = self.options, self.asked, self.probe.preprocessing.size
        parted = part(self.rows, of=len(asked.chosen), train=options["train"], seed=options["seed"])
        self._check_decoder(parted)
        turned = np.zeros(len(self.rows), np.bool_)
        landmarks = landmarks_of(asked.chosen, parted.training.tolist(), parted.held_out.tolist(), input_size=size)
        fitting = Fitting(
            settings=tuple(self._settings(layer) for layer in asked.order),
            seed=options["seed"],
            controls=options["controls"] and landmarks is not None,
            judging=None if landmarks is None else lambda one: judge(one, landmarks, input_size=size),
            watch=self.watch,
            progress=self.progress,
            work=self.ready.work,
        )
        result = fitting.fitted([self._layer(name, parted, turned) for name in asked.order])
        evaluation = self._evaluated(result.found, landmarks)
        of_training, of_held_out = (
            turned[np.searchsorted(self.rows, rows)] for rows in (parted.training, parted.held_out)
        )
        shown, pictures = self._drawn(result, parted, (of_training, of_held_out))
        names = asked.chosen.images["image"].to_numpy(str)
        return ExplanatoryGraph(
            class_name=asked.class_name,
            layers=result.layers,
            input_size=size,
            images=tuple(names[parted.training].tolist()),
            held_out=tuple(names[parted.held_out].tolist()),
            turned=of_training,
            evaluation=evaluation,
            shown=shown,
            provenance=self._run().provenance,
            warnings=self._warnings(parted, landmarks),
            skipped=tuple(np.delete(names, self.rows).tolist()),
            pictures=pictures,
        )

    def _drawn(
        self, result: Result, parted: Parted, turned: tuple[Bools, Bools]
    ) -> tuple[GraphPictures, Mapping[str, bytes]]:
        drawn = draw(
            result.layers,
            result.found["graph"],
            self.asked.chosen,
            training=parted.training.tolist(),
            held_out=parted.held_out.tolist(),
            probe=self.probe,
            feeding=self.ready.feeding,
            turned=turned,
            decoding=self._decoding,
            seed=self.options["seed"],
            progress=self.progress,
        )
        self.watch.lap("pictures")
        return drawn

    def _check_decoder(self, parted: Parted) -> None:
        """Stop, before the fit, at a folder whose decoder was trained on other images."""
        folder, asked = self.options["decoder"], self.asked
        if folder is not None:
            layer = decoder_layer({name: self.probe.shapes()[name] for name in asked.order})
            source = Source(self.probe, asked.chosen, tuple(parted.training.tolist()), layer, self.ready.feeding)
            check_folder(Path(folder), source.recipe(self.options["seed"]).plain())

    def _settings(self, layer: str) -> Settings:
        options = self.options
        return Settings(
            nodes=self.asked.nodes[layer],
            edges=options["edges"],
            noise=options["noise"],
            iterations=options["iterations"],
            rule=options["rule"],
            fused=options["sigma"] == "fused",
            candidates=options["candidates"],
            input_size=self.probe.preprocessing.size,
        )

    def _layer(self, name: str, parted: Parted, turned: Bools) -> Layer:
        """A layer with its living filters, or the strongest of them, and their scales from the training images.

        Raises
        ------
        ModelError
            If all are dead.
        """
        kept = self.store.kept[name]
        training, held_out = (np.searchsorted(self.rows, rows) for rows in (parted.training, parted.held_out))
        scale = kept.highest[training].mean(0, dtype=np.float64)
        alive = np.flatnonzero(scale > np.finfo(np.float32).tiny)
        if not len(alive):
            raise ModelError(
                f"layer {name!r}: all {len(scale)} filters are silent on the {len(training)} training images; "
                "choose another layer"
            )
        number = self.options["filters"]
        if number is not None and number < len(alive):
            strongest = np.argsort(-kept.means(training)[alive], kind="stable")[:number]
            alive = np.sort(alive[strongest])
        seen = Maps(
            kept=kept,
            rows=training,
            filters=alive,
            scale=scale[alive].astype(np.float32),
            device=self.probe.device,
            turned=turned,
            mirrored=self.store.mirrored.get(name),
        )
        _, h, w = self.probe.shapes()[name]
        return Layer(
            name=name,
            units=len(scale),
            map_size=(h, w),
            placement=self.asked.placements[name],
            training=seen,
            held_out=replace(seen, rows=held_out),
            decides=bool(self.store.mirrored) and name == self.asked.order[-1],
        )

    def _evaluated(
        self, found: Mapping[str, Sequence[Patterns]], landmarks: Landmarks | None
    ) -> GraphEvaluation | None:
        if landmarks is None:
            return None
        size, options = self.probe.preprocessing.size, self.options
        evaluation = evaluate(found, landmarks, input_size=size, shots=options["shots"], seed=options["seed"])
        self.watch.lap("evaluation")
        return evaluation

    @property
    def _decoding(self) -> Decoding | None:
        folder, (cache, scratch) = self.options["decoder"], self.where
        if folder is None:
            return None
        return Decoding(Path(folder), epochs=self.options["decoder_epochs"], cache=cache, scratch=scratch)

    def _run(self) -> Run:
        return Run(
            verb="graph",
            functions=("fit_graph", "fit_graph"),
            probe=self.probe,
            labels=self.labels,
            options=self.options,
            defaults={name: one.default for name, one in signature(fit_graph).parameters.items()},
            feeding=self.ready.feeding,
            watch=self.watch,
            content=self.ready.settle().content,
            notes=(*self.asked.notes, f"maps kept: {self.store.where}"),
        )

    def _warnings(self, parted: Parted, landmarks: Landmarks | None) -> tuple[str, ...]:
        """What limits the numbers, a sentence each."""
        found = []
        if len(parted.training) < FEW:
            found.append(
                f"{len(parted.training)} images were fitted: with fewer than {FEW}, nodes that move alike by chance "
                "pass for tied"
            )
        if self.options["iterations"] <= FIRST:
            found.append("edges are picked at the second iteration; with one there are none")
        if landmarks is None:
            found.append("the images have no landmarks, so nothing is said of how steadily nodes lie on parts")
        return tuple(found)


def planned_fingerprint(probe: Probe, labels: LabelSet, arguments: Mapping[str, Any]) -> str:
    """The fingerprint that ``fit_graph`` with these keyword arguments will write, known before it runs."""
    deciding = _plain({name: arguments[name] for name in DECIDING})
    return running.planned_fingerprint("graph", probe, labels, deciding=deciding)
