"""What a run was asked for: its fingerprint, the command that repeats it, its provenance."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from interpkit.errors import InterpkitError
from interpkit.feeding import Feeding
from interpkit.labels import LabelSet, locate
from interpkit.probe import Probe
from interpkit.results import Provenance, fingerprint
from interpkit.running.stopwatch import Stopwatch

PACKAGES = ("torch", "torchvision", "numpy", "pandas", "pillow", "opencv-python-headless", "scikit-learn")
# Arguments of every verb that decide its result.
COMMON = ("skip_bad", "split", "limit", "device", "batch_size", "memory_format", "threads", "seed")
# Options of the command line that are called otherwise than the argument they stand for.
FLAGS = {"analyses": "with", "class_name": "class", "alphas": "rotate", "shuffles": "shuffle-labels"}


def planned_fingerprint(verb: str, probe: Probe, labels: LabelSet, *, deciding: Mapping[str, Any]) -> str:
    """The fingerprint that a run with these deciding arguments will write, known before it runs."""
    return fingerprint(
        verb,
        options=_options(probe, deciding),
        model_sha=probe.loaded.sha,
        labels_sha=labels.sha,
        preprocessing=_preprocessing(probe),
        version=_version("interpkit-cnn"),
    )


def _options(probe: Probe, deciding: Mapping[str, Any]) -> dict[str, Any]:
    reshaped = {} if probe.reshape is None else {"reshape": getattr(probe.reshape, "__qualname__", "reshape")}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in deciding.items()}
    return {"layers": list(probe.layers), **plain, **reshaped}


def _preprocessing(probe: Probe) -> dict[str, Any]:
    values = asdict(probe.preprocessing)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def versions() -> dict[str, str]:
    """Of this package and of those that it computes with."""
    return {"interpkit": _version("interpkit-cnn"), **{name: _version(name) for name in PACKAGES}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@dataclass(frozen=True, eq=False)
class Run:
    """A run of one verb: what was asked for, and how it went.

    Attributes
    ----------
    verb
        The command: ``dissect``.
    functions
        The functions of Python for one layer and for several: ``("dissect", "dissect_layers")``.
    labels
        The whole label set.
    options, defaults
        The deciding arguments as asked for, and what they are when nobody asks.
    notes
        What the reader must be told.
    command
        What is typed to make it, where that is not the verb.
    content
        Of the files looked at, as `Fed.settle` gives it.
    """

    verb: str
    functions: tuple[str, str]
    probe: Probe
    labels: LabelSet
    options: Mapping[str, Any]
    defaults: Mapping[str, Any]
    feeding: Feeding
    watch: Stopwatch
    notes: tuple[str, ...] = ()
    command: str = ""
    content: str = ""

    @cached_property
    def provenance(self) -> Provenance:
        """How the run was made."""
        probe, feeding, seconds = self.probe, self.feeding, self.watch.seconds
        return Provenance(
            verb=self.verb,
            command=command_line(self),
            options=_options(probe, self.options),
            model=probe.loaded.name,
            model_sha=probe.loaded.sha,
            labels=self.labels.name,
            labels_sha=self.labels.sha,
            preprocessing=_preprocessing(probe),
            versions=versions(),
            seed=int(self.options["seed"]),
            device=str(probe.device),
            batch_size=feeding.batch_size,
            memory_format=feeding.memory_format,
            threads=feeding.threads,
            when=self.watch.when.isoformat(timespec="seconds"),
            seconds=round(sum(seconds.values()), 3),
            stages={stage: round(value, 3) for stage, value in seconds.items()},
            notes=(*probe.loaded.notes, *self.notes),
            labels_content=self.content,
        )


def command_line(run: Run) -> str:
    """The command that repeats a run, bit for bit: what was asked for, with the feeding that was found.

    For a network, preprocessing, reshape or selection of images that exists in Python alone, the call in Python.
    """
    probe, feeding = run.probe, run.feeding
    found = {"batch_size": feeding.batch_size, "memory_format": feeding.memory_format, "threads": feeding.threads}
    asked = {name: value for name, value in {**run.options, **found}.items() if value != run.defaults[name]}
    if probe.scripted or not run.labels.whole:
        keywords = "".join(f", {name}={value!r}" for name, value in asked.items())
        function = run.functions[len(probe.layers) > 1]
        return f"{function}(Probe(model, {list(probe.layers)}), LabelSet.open({_asked(run.labels)!r}){keywords})"
    words = ["interpkit", run.command or run.verb, probe.loaded.spec, *probe.loaded.flags]
    words += ["--labels", _asked(run.labels), "--layer", ",".join(probe.layers)]
    for name, value in asked.items():
        if value is not None:
            words += _flag(FLAGS.get(name, name.replace("_", "-")), value)
    return shlex.join(words)


def _flag(name: str, value: object) -> list[str]:
    """A value as the command line takes it."""
    if value is True:
        return [f"--{name}"]
    if value is False:
        return [f"--no-{name}"]
    return [f"--{name}", ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)]


def _asked(labels: LabelSet) -> str:
    """How to ask for the label set again: its name where that leads to it, else its folder."""
    try:
        return labels.name if locate(labels.name).root.resolve() == labels.root.resolve() else str(labels.root)
    except InterpkitError:
        return str(labels.root)
