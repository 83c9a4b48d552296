"""One training, from what was asked to what is kept."""

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from interpkit.errors import InterpkitError, ModelError, ResultError
from interpkit.feeding import Feeding
from interpkit.finetuning import _checkpoint as checkpoint
from interpkit.finetuning._evaluate import Judged, Validation
from interpkit.finetuning._folder import Found, check_base, clear, look, make, tidy, trainings, unmake
from interpkit.finetuning._gallery import galleries
from interpkit.finetuning._network import Network
from interpkit.finetuning._objective import Objective
from interpkit.finetuning._prepare import Data, Theatre, prepare_data, prepare_network, prepare_surgery
from interpkit.finetuning._record import Made, same_of
from interpkit.finetuning._supply import Fed, Source, Supply, decide, follow, supplied
from interpkit.finetuning._together import together
from interpkit.finetuning._train import DivergedError, Images, Plan, Trainer
from interpkit.holding import Held
from interpkit.labels import LabelSet, changed_since, content
from interpkit.losses import Layer
from interpkit.models import LoadedModel
from interpkit.models.finetuned import write_folder
from interpkit.processes import Group
from interpkit.results import FineTuning, Gallery, load, result_folder_name, save
from interpkit.running import LabelSetPictures, Progress, Stopwatch
from interpkit.writing import writing

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Job:
    """One training.

    Attributes
    ----------
    asked, defaults
        The deciding arguments, and what all arguments are when nobody asks.
    group, device, threads
        The processes, and where this one computes.
    """

    model: LoadedModel
    labels: LabelSet
    out: Path
    asked: Mapping[str, Any]
    defaults: Mapping[str, Any]
    objective: Objective
    group: Group
    device: str | None
    threads: int
    progress: Progress
    watch: Stopwatch

    def result(self, *, resume: bool, overwrite: bool) -> FineTuning:
        """The result, found or made.

        Raises
        ------
        InterpkitError
            Before anything is written or cleared, for what was asked wrongly.
        """
        self.group.agreed(lambda: check_base(self.model, self.out))

        def there() -> Found:
            return self.group.agreed(lambda: look(self.out, resume=resume, overwrite=overwrite))

        if there() == "finished" and not overwrite:
            return self.group.agreed(lambda: self._finished(resume=resume))
        new = self.group.agreed(lambda: make(self.out))
        try:
            with self._held():
                # Whoever held the folder until now may have ended it.
                found = there()
                if found == "finished" and not overwrite:
                    return self.group.agreed(lambda: self._finished(resume=resume))
                goes_on = found == "interrupted" and not overwrite
                state = self.group.agreed(lambda: self._interrupted(resume=resume)) if goes_on else None
                # What all refuse alike, until here, leaves them free to ask for something else.
                with together(self.group):
                    return self._trained(state)
        except BaseException:
            if self.group.first:
                unmake(new)
            raise

    @contextmanager
    def _held(self) -> Iterator[None]:
        """The folder is this training's alone: the first process holds it for all."""
        mine: list[Held] = []
        self.group.agreed(lambda: mine.append(Held(self.out)))
        try:
            yield
        finally:
            for one in mine:
                one.release()

    def _trained(self, state: Mapping[str, Any] | None) -> FineTuning:
        """The training from a state on, or from the beginning."""
        self._attach()
        if self.group.first:
            _LOG.info("%s", self._theatre.place.words)
        fed = self._fed(None if state is None else state["fed"])
        self.watch.lap("surgery")
        return self._made(state, fed)

    def _finished(self, *, resume: bool) -> FineTuning:
        """The result of a training that has ended, if it is this one."""
        folders = trainings(self.out)
        if len(folders) != 1:
            raise ResultError(f"{self.out} holds a trained network without its result; train it again with --overwrite")
        result = load(folders[0])
        assert isinstance(result, FineTuning)
        same, kept = self._parts.same(), same_of(result)
        kept = {name: kept.get(name) for name in same}
        if resume:
            checkpoint.check_same(same, kept, where=self.out)
        elif kept != same:
            raise ResultError(
                f"{self.out} already holds a trained network; choose another folder, or clear it (--overwrite); it "
                f"differs: {checkpoint.differing(same, kept)}"
            )
        made = result.provenance
        if made.labels_content and changed_since(self._data.labels, datetime.fromisoformat(made.when)):
            self._check_images(made.labels_content)
        _LOG.info("already done: %s holds this training", self.out)
        return result

    def _interrupted(self, *, resume: bool) -> dict[str, Any]:
        """The state of a training that was cut off, if it is this one."""
        state = checkpoint.read_checkpoint(self.out)
        checkpoint.check_same(self._parts.same(), state["asked"], where=self.out, resume=resume)
        self._check_images(state.get("content", ""))
        _LOG.info("going on with the training in %s, which was cut off after epoch %d", self.out, len(state["history"]))
        return state

    def _check_images(self, before: str) -> None:
        """Stop where files hold other images than ``before``, a digest; '' where that is unknown."""
        if before and before != self._content:
            raise ResultError(
                f"{self.out} holds a training on other images: files of {self.labels.name} have changed since; choose "
                "another folder, or clear it (--overwrite)"
            )

    @cached_property
    def _content(self) -> str:
        """A digest of all files, which are read for it; for the first process."""
        return content(self._data.labels)

    @cached_property
    def _data(self) -> Data:
        return prepare_data(self.labels, self.asked)

    @cached_property
    def _theatre(self) -> Theatre:
        classes = len(self._data.targets.names)
        return prepare_surgery(self.model, self.asked, classes=classes, objective=self.objective)

    @cached_property
    def _network(self) -> Network:
        return prepare_network(self.model, self._theatre, self._data, asked=self.asked, device=self.device)

    @cached_property
    def _source(self) -> Source:
        data, device = self._data, self._network.device
        return Source(data.labels, self.model.preprocessing, data.split.train, self.asked["augment"], device=device)

    def _fed(self, before: Mapping[str, Any] | None) -> Fed:
        """How the network is fed, as the first process finds room; or as it was ``before``, on each the same."""
        source, cut = self._source, self._network.cut
        if before is None:
            return self.group.agreed(lambda: decide(source, cut, group=self.group))
        return self.group.agreed(lambda: follow(before, source, cut, group=self.group))

    @cached_property
    def _layers(self) -> dict[str, Layer]:
        return self._network.layers()

    @cached_property
    def _parts(self) -> Made:
        return Made(
            model=self.model,
            labels=self.labels,
            asked=self.asked,
            objective=self.objective,
            theatre=self._theatre,
            targets=self._data.targets,
            split=self._data.split,
        )

    @property
    def _top(self) -> tuple[str, int]:
        """The topmost site's maps and their U."""
        name, layer = list(self._layers.items())[-1]
        return name, layer.units

    @cached_property
    def _images(self) -> Images:
        data = self._data
        rows = data.split.validation
        kept = Validation(rows, data.member[rows], data.targets.multi, self._top[1])
        return Images(data.split.train, data.member, kept)

    def _attach(self) -> None:
        """The loss gets to know the network."""
        targets, loss = self._data.targets, self.objective.loss
        loss.attach(self._layers, classes=len(targets.names), multi=targets.multi, epochs=self.asked["epochs"])
        loss.to(self._network.device)

    def _made(self, state: Mapping[str, Any] | None, fed: Fed) -> FineTuning:
        """Train what is left, and keep the network and the result."""
        whole = self._network
        network = replace(whole, cut=fed.at(whole.cut))
        with (
            supplied(self._source, network.module, network.cut, fed=fed, progress=self._looking) as supply,
            network.cut.idle(network.module),
        ):
            trainer = self._trainer(network, supply)
            start = trainer.judged()
            self._check_start(start)
            self.watch.lap("features")
            self._begin(trainer, state, fed)
            self._train(trainer, fed)
            judged = trainer.judged()
        for module in network.module.modules():
            module.training = False
        self.watch.lap("training")
        return self._kept(trainer, start=start, judged=judged, words=supply.words)

    def _looking(self, stage: str, done: int, total: int) -> None:
        """Progress of a long pass, which ends early where another process has stopped."""
        self.group.check()
        self.progress(stage, done, total)

    def _begin(self, trainer: Trainer, state: Mapping[str, Any] | None, fed: Fed) -> None:
        """Put the state back, or keep the first; what earlier trainings left goes once that stands.

        A training that was cut off in between has no epoch yet.
        """
        if state is None:
            self._keep(trainer.state(), fed)
        else:
            trainer.restore(state)
        if not trainer.done:
            self.group.agreed(lambda: clear(self.out))

    def _check_start(self, start: Judged) -> None:
        """Stop at a network that gives no numbers even before it is trained."""
        if math.isfinite(start.loss) and bool(torch.isfinite(start.peaks).all()):
            return
        state = self.model.module.state_dict().items()
        bad = [name for name, one in state if isinstance(one, Tensor) and not torch.isfinite(one).all()]
        why = f"its weights {bad[0]} are not finite" if bad else "look at its weights, its preprocessing, the precision"
        raise ModelError(f"{self.model.name} gives numbers that are not finite before it is trained: {why}")

    def _trainer(self, network: Network, supply: Supply) -> Trainer:
        names = ("epochs", "batch_size", "rate", "head_rate", "decay", "rate_schedule", "patience", "augment", "seed")
        return Trainer(
            network,
            self.objective.loss,
            Plan(**{name: self.asked[name] for name in names}),
            images=self._images,
            supply=supply,
            group=self.group,
            progress=self.progress,
        )

    def _keep(self, state: Mapping[str, Any], fed: Fed) -> None:
        """The state on disk, for a training that is cut off later."""

        def write() -> None:
            kept = {"asked": self._parts.same(), "fed": fed.state(), "content": self._content}
            with writing(self.out):
                checkpoint.write_checkpoint(self.out, {**kept, **state})

        self.group.agreed(write)

    def _train(self, trainer: Trainer, fed: Fed) -> None:
        """All epochs; then the best weights, where patience asks for them."""
        try:
            trainer.train(lambda state: self._keep(state, fed))
        except DivergedError as error:
            raise self._stopped(error, trainer) from error
        trainer.put_best()

    def _stopped(self, error: DivergedError, trainer: Trainer) -> InterpkitError:
        """What to say of a training that diverged; the network of its last good epoch is written."""
        epochs, kept = trainer.done, f"no epoch was finished, so {self.out} holds no network"

        def write() -> None:
            with writing(self.out):
                trainer.put(checkpoint.read_checkpoint(self.out)["weights"])
                write_folder(self.out, self._network.module, self._parts.recipe(epochs=epochs, best=None))

        if epochs:
            kept = f"{self.out} keeps the network as it was after epoch {epochs}"
            self.group.agreed(write)
        weight, rate = self.objective.loss.weight, f"rate (now {self.asked['rate']:g})"
        less = f"weight of {self.objective.name} (now {weight:g}) or a smaller {rate}" if weight else rate
        return DivergedError(f"{error}; take a smaller {less}; {kept}")

    def _kept(self, trainer: Trainer, *, start: Judged, judged: Judged, words: str) -> FineTuning:
        """The model folder and the result, written by the first process; then the checkpoint goes."""
        best = None if trainer.best is None else trainer.best.epoch
        recipe = self._parts.recipe(epochs=trainer.done, best=best)
        result = self._result(trainer, recipe, start=start, judged=judged, words=words)

        def write() -> None:
            with writing(self.out):
                write_folder(self.out, self._network.module, recipe)
                save(result, self.out / result_folder_name(result), overwrite=True)
                (self.out / checkpoint.FILE).unlink(missing_ok=True)
                tidy(self.out, result_folder_name(result))

        self.group.agreed(write)
        return result

    def _galleries(self, judged: Judged, feeding: Feeding) -> tuple[Gallery, Gallery]:
        """Units on images kept apart, before their masks and after."""
        return galleries(
            replace(self.model, module=self._network.module, layer=None),
            self._data.labels,
            judged,
            rows=self._data.split.validation,
            site=self._network.sites[-1],
            feeding=feeding,
            device=str(self._network.device),
        )

    def _result(
        self, trainer: Trainer, recipe: Mapping[str, Any], *, start: Judged, judged: Judged, words: str
    ) -> FineTuning:
        data, feeding = self._data, Feeding(self.asked["batch_size"], "contiguous", self.threads)
        before, after = self._galleries(judged, feeding)
        self.watch.lap("result")
        layer, units = self._top
        return FineTuning(
            layer=layer,
            units=units,
            images=len(data.split.train) + len(data.split.validation),
            loss=self.objective.name,
            classes=data.targets.names,
            multi=data.targets.multi,
            accuracy=judged.accuracy,
            start_accuracy=start.accuracy,
            chance_accuracy=judged.chance,
            epochs=trainer.done,
            history=pd.DataFrame(trainer.history),
            confusion=judged.confusion(),
            outputs=judged.hardness(),
            validation=tuple(str(name) for name in data.labels.images["image"].iloc[data.split.validation]),
            recipe=recipe,
            gallery=before,
            masked=after,
            learnt={name: value.cpu().numpy() for name, value in self.objective.loss.learnt().items()},
            provenance=self._parts.provenance(
                feeding=feeding,
                device=str(self._network.device),
                watch=self.watch,
                content=self._content if self.group.first else "",
                notes=(*self._theatre.words, f"split: {data.split.words}", words),
                defaults=self.defaults,
            ),
            warnings=(*data.warnings, *self.objective.loss.warnings(), *_early(trainer)),
            skipped=data.skipped,
            pictures=LabelSetPictures(self.labels, before.names),
        )


def _early(trainer: Trainer) -> tuple[str, ...]:
    """What patience has done."""
    if trainer.best is None:
        return ()
    found, choices = [], trainer.choices()
    if trainer.best.epoch != trainer.done:
        stopped = "" if trainer.done == trainer.plan.epochs else f"training stopped after epoch {trainer.done}; "
        found.append(
            f"{stopped}the weights are those of epoch {trainer.best.epoch}, the most accurate on the validation images"
        )
    if choices > 1:
        found.append(
            f"the accuracy is the best of {choices} epochs on the validation images themselves, so it flatters: new "
            "images would tell"
        )
    return tuple(found)
