"""A network trained as usual and to be interpretable, and both measured."""

import logging
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any, Literal

from interpkit.comparison import compare
from interpkit.dissection import dissect
from interpkit.entanglement import entangle
from interpkit.errors import ImageError, InterpkitError, ResultError
from interpkit.finetuning import finetune
from interpkit.finetuning._folder import look
from interpkit.labels import LabelSet
from interpkit.models import LoadedModel
from interpkit.parts import score_parts
from interpkit.probe import Probe
from interpkit.results import Comparison, FineTuning, load, result_folder_name, result_folders, save
from interpkit.running import Progress, silent
from interpkit.studies._folder import (
    INTERPRETABLE,
    NAMES,
    ORDINARY,
    PAGE,
    check_folder,
    earlier,
    finished,
    held,
    remove,
)
from interpkit.studies._look import look_at, of_names
from interpkit.studies._reopen import reopened

_LOG = logging.getLogger(__name__)

DISSECTED = "broden-mini"
# Among the options of the comparison.
_DISSECTED_ON = "dissected_on"
_TRAINING = tuple(name for name, one in signature(finetune).parameters.items() if one.kind is one.KEYWORD_ONLY)
# Of these, what the analyses share.
_SHARED = ("skip_bad", "device", "threads", "seed")


def before_after(
    model: LoadedModel,
    labels: LabelSet,
    out: str | Path,
    *,
    dissect_labels: LabelSet | str | None = DISSECTED,
    loss: str = "icnn",
    weight: float | None = None,
    options: Mapping[str, Any] | None = None,
    layer: str | None = None,
    add_layer: bool = True,
    filters: int | None = None,
    head: Literal["pooled", "classifier"] = "pooled",
    train_from: str | None = None,
    augment: Literal["none", "flip", "standard"] = "flip",
    epochs: int = 40,
    batch_size: int = 64,
    rate: float = 1e-3,
    head_rate: float = 10.0,
    decay: float = 0.0,
    rate_schedule: Literal["cosine", "steps", "constant"] = "constant",
    validation: float = 0.25,
    patience: int | None = None,
    precision: Literal["32", "bf16", "16"] = "32",
    skip_bad: bool = False,
    split: str | None = None,
    limit: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Comparison:
    """Train a network to be interpretable, train its control from the same start, and measure both on the same images.

    The control has the same surgery without masks, the same initial weights, images in the same order, and as many
    epochs. Both are measured at the topmost trained layer before its mask: how part-like units are and what they know
    of the classes on the validation images, and what they detect on ``dissect_labels``. An analysis that the images
    do not allow is left out, and the warnings say so.

    ``out`` then holds two model folders with their results, ``ordinary`` and ``interpretable``, and the comparison.

    Parameters
    ----------
    dissect_labels
        The label set, or its name, on which both networks are dissected; None for no dissection.
    loss, weight, options, layer, add_layer, filters, head, train_from, augment, epochs, batch_size
        As for `interpkit.finetuning.finetune`; the control shares all but the loss.
    rate, head_rate, decay, rate_schedule, validation, patience, precision, skip_bad, split, limit, device, threads
        As there, for both.
    seed
        Of both, so that they start and go alike.
    resume, overwrite
        As for `finetune`. The same call again goes on with what was cut off, and of a study that has ended gives its
        comparison, without either.
    progress
        Called as progress(stage, done, total).

    Returns
    -------
    The comparison, also saved in ``out``.

    Raises
    ------
    InterpkitError
        For whatever stops a training; if the loss is ``none``, which is the control itself; if ``out`` holds another
        study, anything else, or the network to start from.
    """
    training = {name: value for name, value in locals().items() if name in _TRAINING and name != "progress"}
    study = _Study(model, labels, Path(out), training=training, progress=progress or silent)
    study.check()
    if isinstance(dissect_labels, str):
        dissect_labels = LabelSet.open(dissect_labels)
    # Whoever has what it asked for disturbs nobody.
    found = study.found(dissect_labels) if finished(study.out) else None
    if found is not None:
        return found
    with held(study.out):
        return study.result(dissect_labels)


@dataclass(frozen=True, eq=False)
class _Study:
    """One call of `before_after`: what was asked for.

    Attributes
    ----------
    training
        Keyword arguments of finetune().
    """

    model: LoadedModel
    labels: LabelSet
    out: Path
    training: Mapping[str, Any]
    progress: Progress

    def check(self) -> bool:
        """Stop before anything is trained at what would stop the study later; whether it has begun before."""
        if self.training["loss"] == "none":
            raise InterpkitError(
                "before and after compares a network with its control, which loss none is itself; choose icnn or "
                "class-gate"
            )
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise InterpkitError(
                "before and after runs in one process; train the two networks with several by `interpkit finetune`"
            )
        return check_folder(self.out, self.model)

    def result(self, dissected: LabelSet | None) -> Comparison:
        """The comparison, found or made; the folder is held."""
        # Whoever held the folder until now may have begun the study, or ended it.
        found = self.found(dissected) if self.check() else None
        if found is not None:
            return found
        old = earlier(self.out) if self.training["overwrite"] else []
        # The interpretable network first: what does not suit its loss ends the study here.
        tuned = {INTERPRETABLE: self.train(INTERPRETABLE)}
        remove(self.out, old)
        tuned[ORDINARY] = self.train(ORDINARY)
        return self.compared(tuned, dissected)

    def found(self, dissected: LabelSet | None) -> Comparison | None:
        """The comparison that lies in ``out``, if it is of this very study; None where it is to be made.

        Raises
        ------
        ResultError
            If another study lies there, which is not to be replaced.
        """
        folder, resume = finished(self.out), self.training["resume"]
        if self.training["overwrite"]:
            return None
        if folder is None:
            _LOG.info("going on with the study in %s, which was cut off", self.out)
            # A network that is trained already is found to be the one asked for before the other is trained.
            for name in NAMES:
                if look(self.out / name, resume=True, overwrite=False) == "finished":
                    self.train(name)
            return None
        try:
            for name in NAMES:
                self.train(name, resume=True)
        except ResultError as error:
            if resume:
                raise
            raise ResultError(f"{self._other()}: {error}") from error
        kept: Comparison = load(folder)
        there, asked = kept.provenance.options.get(_DISSECTED_ON), _named(dissected)
        if there == asked:
            return kept
        if resume:
            return None
        raise ResultError(f"{self._other()}: dissected on {there or 'nothing'} there, on {asked or 'nothing'} now")

    def _other(self) -> str:
        return f"{self.out} already holds another study; choose another out, or overwrite this one"

    def train(self, name: str, *, resume: bool | None = None) -> FineTuning:
        """One of the two networks, in a folder of its own; found there, where it was trained and is gone on with."""
        control = {"loss": "none", "weight": None, "options": None} if name == ORDINARY else {}
        _LOG.info("training the %s network: loss %s", name, control.get("loss", self.training["loss"]))
        asked: dict[str, Any] = {**self.training, **control, "progress": self._staged(name)}
        if resume is not None:
            asked["resume"] = resume
        return finetune(self.model, self.labels, self.out / name, **asked)

    def _staged(self, words: str) -> Progress:
        """Progress that says of which network it speaks."""
        return lambda stage, done, total: self.progress(f"{words}: {stage}", done, total)

    def command(self, tuned: FineTuning, dissected: LabelSet | None) -> str:
        """What repeats the study, from the command that repeats its training."""
        repeats = tuned.provenance.command
        if not repeats.startswith("interpkit "):
            return repeats.replace("finetune(", "before_after(", 1)
        words = ["--before-after"]
        if dissected is None or dissected.name != DISSECTED:
            words += ["--dissect-labels", "none" if dissected is None else str(dissected.root)]
        return f"{repeats} {shlex.join(words)}"

    def compared(self, tuned: Mapping[str, FineTuning], dissected: LabelSet | None) -> Comparison:
        """Both networks measured, what was found saved beside them, and the comparison."""
        last = tuned[INTERPRETABLE]
        command, kept = self.command(last, dissected), of_names(self.labels, last.validation)
        # Looked at where units were trained, before any mask: no measure is flattered by the mask itself.
        probes = {name: self._probe(name, one.layer) for name, one in tuned.items()}
        sets = {"parts": kept, "entangle": kept, **({} if dissected is None else {"dissect": dissected})}
        pairs, left_out = self._measured(probes, sets)
        found = {
            name: [
                tuned[name],
                *(_by(pair[name], command if sets[verb] is kept else "") for verb, pair in pairs.items()),
            ]
            for name in NAMES
        }
        stale = [words for name, results in found.items() for words in self._stored(name, results)]
        look = look_at(
            (probes[ORDINARY], probes[INTERPRETABLE]),
            kept,
            threads=self.training["threads"],
            skip_bad=self.training["skip_bad"],
        )
        few = f"{len(kept):,} validation images of {kept.name}: parts and classes are measured on these alone"
        comparison = compare(
            found[ORDINARY],
            found[INTERPRETABLE],
            names=NAMES,
            command=command,
            look=replace(look, pages=tuple(f"{name}/{PAGE}" for name in NAMES)),
            warnings=tuple(dict.fromkeys([few, *left_out, *stale, *_limits(found)])),
        )
        made = comparison.provenance
        options = {**made.options, _DISSECTED_ON: _named(dissected)}
        comparison = replace(comparison, provenance=replace(made, options=options))
        save(comparison, self.out / result_folder_name(comparison), overwrite=True)
        return comparison

    def _stored(self, name: str, results: Sequence[Any]) -> list[str]:
        """Save the results of one network; what else lies there stays, and a sentence says so where it is of another.

        A network that was trained anew is not the one that was measured before.
        """
        run = self.out / name
        written = {save(one, run / result_folder_name(one), overwrite=True) for one in results}
        old = [folder.name for folder in result_folders(run) if folder not in written]
        if not (old and self.training["overwrite"]):
            return []
        return [f"{name} also holds {', '.join(old)}, measured on the network that was there before and left alone"]

    def _probe(self, name: str, layer: str) -> Probe:
        return Probe(reopened(self.out / name, self.model), layer, device=self.training["device"] or "auto")

    def _measured(
        self, probes: Mapping[str, Probe], sets: Mapping[str, LabelSet]
    ) -> tuple[dict[str, dict[str, Any]], list[str]]:
        """Verb -> the result of each network, all fed alike; and a sentence for what the images do not allow."""
        shared = {name: self.training[name] for name in _SHARED}
        pairs: dict[str, dict[str, Any]] = {}
        left_out = []
        for verb, labels in sets.items():
            pair: dict[str, Any] = {}
            try:
                for name in NAMES:
                    _LOG.info("measuring the %s network: %s on %s", name, verb, labels.name)
                    progress = self._staged(f"{name}, {verb}")
                    pair[name] = _ANALYSES[verb](probes[name], labels, **shared, progress=progress)
                    made = pair[name].provenance
                    shared |= {"batch_size": made.batch_size, "memory_format": made.memory_format}
            # What keeps results from being written or images from being read may pass: the study can then be resumed.
            except (ResultError, ImageError):
                raise
            except InterpkitError as error:
                left_out.append(f"{verb} is left out: {error}")
            else:
                pairs[verb] = pair
        return pairs, left_out


# Each called with one probe and a label set.
_ANALYSES: Mapping[str, Callable[..., Any]] = {"parts": score_parts, "entangle": entangle, "dissect": dissect}


def _by(result: Any, command: str) -> Any:  # noqa: ANN401 - a result of any kind
    """The result, repeated by the command of the study where that alone chooses its images; '' for its own."""
    made = result.provenance
    return replace(result, provenance=replace(made, command=command or made.command))


def _named(dissected: LabelSet | None) -> str | None:
    """Which label set both networks are dissected on."""
    return None if dissected is None else f"{dissected.name} (sha256 {dissected.sha[:16]})"


def _limits(found: Mapping[str, Sequence[Any]]) -> list[str]:
    """What limits the numbers, a sentence each; what limits those of one network alone with its name."""
    said = {
        name: [words for one in results for words in getattr(one, "warnings", ())] for name, results in found.items()
    }
    before, after = (said[name] for name in NAMES)
    shared = [words for words in after if words in before]
    alone = [f"{name}: {words}" for name, sentences in said.items() for words in sentences if words not in shared]
    return [*shared, *alone]
