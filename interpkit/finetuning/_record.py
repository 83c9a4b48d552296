"""What is written of a training: the recipe that rebuilds its network, and how it was made."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from inspect import Parameter
from typing import Any

from interpkit.errors import InterpkitError
from interpkit.feeding import Feeding
from interpkit.finetuning._objective import Objective
from interpkit.finetuning._prepare import Theatre
from interpkit.finetuning._split import Split
from interpkit.labels import LabelSet, Targets, locate
from interpkit.models import LoadedModel
from interpkit.models.finetuned import started
from interpkit.probe import Probe
from interpkit.results import FineTuning, Provenance
from interpkit.running import Run, Stopwatch

# What one machine can be asked for and another not, without another result being meant.
ELSEWHERE = ("device", "threads")


@dataclass(frozen=True, eq=False)
class Made:
    """What decides a trained network.

    Attributes
    ----------
    model, labels
        The network given, and the whole label set.
    asked
        The deciding arguments.
    objective, theatre, targets, split
        What followed from them.
    """

    model: LoadedModel
    labels: LabelSet
    asked: Mapping[str, Any]
    objective: Objective
    theatre: Theatre
    targets: Targets
    split: Split

    def recipe(self, *, epochs: int, best: int | None) -> dict[str, Any]:
        """What recipe.json holds: plain values.

        Parameters
        ----------
        epochs, best
            Epochs trained, and after which of them the weights were taken; None for the last.
        """
        training = {name: value for name, value in self.asked.items() if name not in {"loss", "weight", "options"}}
        values = {
            **started(self.model),
            "surgery": self.theatre.surgery.to_dict(),
            "sites": [{"act": site.act, "mask": site.mask} for site in self.theatre.operated.sites],
            "classes": list(self.targets.names),
            "multi": self.targets.multi,
            "loss": {"name": self.objective.name, "options": dict(self.objective.options)},
            "training": {**training, "trained": epochs, "weights_of_epoch": epochs if best is None else best},
            "labels": {"name": self.labels.name, "sha": self.labels.sha},
            "split": {
                "words": self.split.words,
                "train": len(self.split.train),
                "validation": len(self.split.validation),
            },
            "seed": self.asked["seed"],
        }
        return plain(values)

    def same(self) -> dict[str, Any]:
        """What a training that goes on must share with the one that began: what the arguments came to."""
        surgery, place = self.theatre.surgery, self.theatre.place
        options = {name: value for name, value in self.asked.items() if name not in {*ELSEWHERE, "weight"}}
        found = {
            "options": dict(self.objective.options),
            "layer": surgery.layer,
            "filters": (surgery.filters or place.units) if surgery.add else None,
            **_input(asdict(self.model.preprocessing)),
            "model": self.model.sha,
            "labels": self.labels.sha,
        }
        return plain({**options, **found})

    def provenance(
        self,
        *,
        feeding: Feeding,
        device: str,
        watch: Stopwatch,
        content: str,
        notes: tuple[str, ...],
        defaults: Mapping[str, Any],
    ) -> Provenance:
        """How the network was made."""
        probe = Probe(
            replace(self.model, module=self.theatre.operated.module), self.theatre.operated.sites[-1].act, device=device
        )
        run = Run(
            verb="finetune",
            functions=("finetune", "finetune"),
            probe=probe,
            labels=self.labels,
            options=plain(self.asked),
            defaults={**plain(self.asked), **feeding_options(feeding)},
            feeding=feeding,
            watch=watch,
            notes=notes,
            content=content,
        )
        return replace(run.provenance, command=self._command(defaults))

    def _command(self, defaults: Mapping[str, Any]) -> str:
        """The command that repeats the training; the call in Python for what exists in Python alone."""
        asked = {name: value for name, value in self.asked.items() if value != defaults[name]}
        if self.model.form == "module" or not self.labels.whole:
            keywords = "".join(f", {name}={value!r}" for name, value in asked.items())
            return f"finetune(load_model(model), LabelSet.open({_asked(self.labels)!r}), out{keywords})"
        words = ["interpkit", "finetune", self.model.spec, *self.model.flags, "--labels", _asked(self.labels)]
        for name, value in asked.items():
            words += _flag(name, value)
        return shlex.join(words)


def same_of(result: FineTuning) -> dict[str, Any]:
    """What `Made.same` was of a training that has ended."""
    recipe, made = result.recipe, result.provenance
    surgery, loss = recipe["surgery"], recipe["loss"]
    return {
        **recipe["training"],
        "loss": loss["name"],
        "options": loss["options"],
        "layer": surgery["layer"],
        "filters": result.units if surgery["add"] else None,
        **_input(recipe["preprocessing"]),
        "model": made.model_sha,
        "labels": made.labels_sha,
    }


def _input(preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    """What an image goes through, without where the values come from."""
    return {name: preprocessing[name] for name in ("size", "mean", "std", "interpolation")}


def feeding_options(feeding: Feeding) -> dict[str, Any]:
    """How the network was fed, by the names of options."""
    return {
        "batch_size": feeding.batch_size,
        "memory_format": feeding.memory_format,
        "threads": feeding.threads,
    }


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same as JSON gives it back."""
    found: dict[str, Any] = json.loads(json.dumps(values))
    return found


def defaults_of(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """The default of every argument that has one."""
    return {name: one.default for name, one in parameters.items() if one.default is not Parameter.empty}


def _flag(name: str, value: object) -> list[str]:
    """A value as the command line takes it."""
    if isinstance(value, Mapping):
        return [word for option, one in value.items() for word in ("--set", f"{option}={one}")]
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [] if value is None else [f"--{flag}", str(value)]


def _asked(labels: LabelSet) -> str:
    """How to ask for the label set again: its name where that leads to it, else its folder."""
    try:
        return labels.name if locate(labels.name).root.resolve() == labels.root.resolve() else str(labels.root)
    except InterpkitError:
        return str(labels.root)
