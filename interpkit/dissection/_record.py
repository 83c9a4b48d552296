"""From what the passes found to a result with its provenance."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from interpkit import metrics
from interpkit.dissection._observe import Observed
from interpkit.dissection._tally import Tally
from interpkit.errors import InterpkitError
from interpkit.feeding import Feeding
from interpkit.geometry import Placement
from interpkit.labels import LabelSet, locate
from interpkit.probe import Probe
from interpkit.results import Chance, Dissection, Provenance, TopImages, best_of_each, fingerprint

# The arguments of dissect() that decide its result; the others say where it runs and what it tells.
DECIDING = (
    "align",
    "quantile",
    "iou",
    "category_rule",
    "top",
    "skip_bad",
    "split",
    "limit",
    "device",
    "batch_size",
    "memory_format",
    "threads",
    "seed",
)
PACKAGES = ("torch", "torchvision", "numpy", "pandas", "pillow", "opencv-python-headless")


class Stopwatch:
    """How long each stage took."""

    def __init__(self) -> None:
        self.when = datetime.now(UTC)
        self.seconds: dict[str, float] = {}
        self._last = perf_counter()

    def lap(self, stage: str) -> None:
        """End the stage that has run since the last lap."""
        now = perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now


class LabelSetPictures(Mapping[str, bytes]):
    """JPEG bytes of a label set's images, read when asked for."""

    def __init__(self, labels: LabelSet, names: tuple[str, ...]) -> None:
        self._labels = labels
        self._names = names

    def __getitem__(self, name: str) -> bytes:
        if name not in self._names:
            raise KeyError(name)
        return self._labels.picture(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def label_grid(labels: LabelSet, probe: Probe) -> tuple[int, int]:
    """(sh, sw) of the label maps; for a set without any, half the input, as in Broden."""
    height, width = probe.preprocessing.size
    return labels.grid or (max(height // 2, 1), max(width // 2, 1))


def planned_fingerprint(probe: Probe, labels: LabelSet, arguments: Mapping[str, Any]) -> str:
    """The fingerprint that ``dissect`` with these keyword arguments will write, known before it runs."""
    return fingerprint(
        "dissect",
        options=_options(probe, {name: arguments[name] for name in DECIDING}),
        model_sha=probe.loaded.sha,
        labels_sha=labels.sha,
        preprocessing=_preprocessing(probe),
        version=_version("interpkit-cnn"),
    )


def _options(probe: Probe, deciding: Mapping[str, Any]) -> dict[str, Any]:
    reshaped = {} if probe.reshape is None else {"reshape": getattr(probe.reshape, "__qualname__", "reshape")}
    return {"layers": list(probe.layers), **deciding, **reshaped}


def _preprocessing(probe: Probe) -> dict[str, Any]:
    values = asdict(probe.preprocessing)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def command_line(
    probe: Probe,
    labels: LabelSet,
    options: Mapping[str, Any],
    *,
    feeding: Feeding,
    defaults: Mapping[str, Any],
) -> str:
    """The command that repeats a run, bit for bit: what was asked for, with the feeding that was found.

    For a network, preprocessing, reshape or selection of images that exists in Python alone, the call in Python.
    """
    found = {"batch_size": feeding.batch_size, "memory_format": feeding.memory_format, "threads": feeding.threads}
    if probe.scripted or not labels.whole:
        asked = {name: value for name, value in {**options, **found}.items() if value != defaults[name]}
        keywords = "".join(f", {name}={value!r}" for name, value in asked.items())
        verb = "dissect" if len(probe.layers) == 1 else "dissect_layers"
        return f"{verb}(Probe(model, {list(probe.layers)}), LabelSet.open({_asked(labels)!r}){keywords})"
    words = ["interpkit", "dissect", probe.loaded.spec, *probe.loaded.flags]
    words += ["--labels", _asked(labels), "--layer", ",".join(probe.layers)]
    for name, value in {**options, **found}.items():
        if value is not None and value != defaults[name]:
            flag = f"--{name.replace('_', '-')}"
            words += [flag] if value is True else [flag, str(value)]
    return shlex.join(words)


def _asked(labels: LabelSet) -> str:
    """How to ask for the label set again: its name where that leads to it, else its folder."""
    try:
        return labels.name if locate(labels.name).root.resolve() == labels.root.resolve() else str(labels.root)
    except InterpkitError:
        return str(labels.root)


@dataclass(frozen=True, eq=False)
class Record:
    """What all layers of a run have in common.

    Attributes
    ----------
    labels, chosen
        The label set, and its images after ``split`` and ``limit``.
    skipped
        Rows of ``chosen`` that could not be read.
    options, defaults
        The deciding arguments as asked for, and what they are when nobody asks.
    where
        Where the maps were kept, and why.
    """

    probe: Probe
    labels: LabelSet
    chosen: LabelSet
    skipped: Sequence[int]
    feeding: Feeding
    watch: Stopwatch
    options: Mapping[str, Any]
    defaults: Mapping[str, Any]
    where: str

    @cached_property
    def provenance(self) -> Provenance:
        """How the run was made."""
        probe, feeding, seconds = self.probe, self.feeding, self.watch.seconds
        return Provenance(
            verb="dissect",
            command=command_line(probe, self.labels, self.options, feeding=feeding, defaults=self.defaults),
            options=_options(probe, self.options),
            model=probe.loaded.name,
            model_sha=probe.loaded.sha,
            labels=self.labels.name,
            labels_sha=self.labels.sha,
            preprocessing=_preprocessing(probe),
            versions={"interpkit": _version("interpkit-cnn"), **{name: _version(name) for name in PACKAGES}},
            seed=int(self.options["seed"]),
            device=str(probe.device),
            batch_size=feeding.batch_size,
            memory_format=feeding.memory_format,
            threads=feeding.threads,
            when=self.watch.when.isoformat(timespec="seconds"),
            seconds=round(sum(seconds.values()), 3),
            stages={stage: round(value, 3) for stage, value in seconds.items()},
            notes=(*probe.loaded.notes, f"maps kept: {self.where}"),
        )

    def result(self, layer: str, observed: Observed, tally: Tally, *, placement: Placement) -> Dissection:
        """The result of one layer."""
        blocks = tally.counts()
        counts = blocks.total().under(self.options["category_rule"])
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
            scores={name: metrics.load(name).score(counts) for name in metrics.names()},
            chance=self._chance(tally) if self.labels.categories else None,
            top=top,
            images=len(names) - len(self.skipped),
            skipped=tuple(str(name) for name in names[list(self.skipped)]),
            map_size=(h, w),
            grid=label_grid(self.labels, self.probe),
            input_size=self.probe.preprocessing.size,
            placement=(placement.start, placement.stride),
            provenance=self.provenance,
            pictures=LabelSetPictures(self.labels, top.names),
        )

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
