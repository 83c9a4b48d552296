"""One training, from what was asked to what is kept."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from interpkit.errors import InterpkitError, ResultError
from interpkit.feeding import Feeding
from interpkit.finetuning import _checkpoint as checkpoint
from interpkit.finetuning._evaluate import Judged, Validation
from interpkit.finetuning._folder import clear, look, writing
from interpkit.finetuning._gallery import galleries
from interpkit.finetuning._network import Network
from interpkit.finetuning._objective import Objective
from interpkit.finetuning._prepare import Data, Theatre, prepare_data, prepare_network, prepare_surgery
from interpkit.finetuning._processes import Group
from interpkit.finetuning._record import Made
from interpkit.finetuning._supply import Source, Supply, fed_at, supplied
from interpkit.finetuning._train import DivergedError, Images, Plan, Trainer
from interpkit.labels import LabelSet
from interpkit.losses import Layer
from interpkit.models import LoadedModel
from interpkit.models.finetuned import write_folder
from interpkit.results import FineTuning, Gallery, load, result_folder_name, result_folders, save
from interpkit.running import LabelSetPictures, Progress, Stopwatch


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
        if self.model.form == "finetuned" and Path(self.model.spec).resolve() == self.out.resolve():
            raise ResultError(f"{self.out} is the network that training starts from; choose another folder")
        found = self.group.agreed(lambda: look(self.out, resume=resume, overwrite=overwrite))
        if resume and found == "finished":
            return self.group.agreed(self._finished)
        state = self.group.agreed(self._interrupted) if resume and found == "interrupted" else None
        self._attach()
        self.group.agreed(lambda: self._make_room(fresh=state is None))
        self.watch.lap("surgery")
        return self._made(state)

    def _make_room(self, *, fresh: bool) -> None:
        """The folder, without what an earlier training left."""
        with writing(self.out):
            self.out.mkdir(parents=True, exist_ok=True)
            if fresh:
                clear(self.out)

    def _finished(self) -> FineTuning:
        """The result of a training that has ended, if it is this one."""
        folders = [one for one in result_folders(self.out) if one.name.endswith("-finetune")]
        if len(folders) != 1:
            raise ResultError(f"{self.out} holds a trained network without its result; train it again with --overwrite")
        result = load(folders[0])
        assert isinstance(result, FineTuning)
        made = result.provenance
        kept = {**made.options, "model": made.model_sha, "labels": made.labels_sha}
        kept.pop("layers", None)
        same = self._parts.same()
        checkpoint.check_same(same, {name: kept.get(name) for name in same}, where=self.out)
        return result

    def _interrupted(self) -> dict[str, Any]:
        """The state of a training that was cut off, if it is this one."""
        state = checkpoint.read_checkpoint(self.out)
        checkpoint.check_same(self._parts.same(), state["asked"], where=self.out)
        return state

    @cached_property
    def _data(self) -> Data:
        return prepare_data(self.labels, self.asked)

    @cached_property
    def _theatre(self) -> Theatre:
        classes = len(self._data.targets.names)
        return prepare_surgery(self.model, self.asked, classes=classes, objective=self.objective)

    @cached_property
    def _network(self) -> Network:
        network = prepare_network(self.model, self._theatre, self._data, asked=self.asked, device=self.device)
        return replace(network, cut=fed_at(self._source(network), network.cut, group=self.group))

    def _source(self, network: Network) -> Source:
        data = self._data
        return Source(
            data.labels, self.model.preprocessing, data.split.train, self.asked["augment"], device=network.device
        )

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
            surgery=self._theatre.surgery,
            operated=self._theatre.operated,
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

    def _made(self, state: Mapping[str, Any] | None) -> FineTuning:
        """Train what is left, and keep the network and the result."""
        network = self._network
        with (
            supplied(
                self._source(network), network.module, network.cut, group=self.group, progress=self.progress
            ) as supply,
            network.cut.idle(network.module),
        ):
            trainer = self._trainer(supply)
            start = trainer.judged()
            self.watch.lap("features")
            if state is None:
                self._keep(trainer.state())
            else:
                trainer.restore(state)
            self._train(trainer)
            judged = trainer.judged()
        for module in network.module.modules():
            module.training = False
        self.watch.lap("training")
        return self._kept(trainer, start=start, judged=judged, words=supply.words)

    def _trainer(self, supply: Supply) -> Trainer:
        names = ("epochs", "batch_size", "rate", "head_rate", "decay", "rate_schedule", "patience", "augment", "seed")
        return Trainer(
            self._network,
            self.objective.loss,
            Plan(**{name: self.asked[name] for name in names}),
            images=self._images,
            supply=supply,
            group=self.group,
            progress=self.progress,
        )

    def _keep(self, state: Mapping[str, Any]) -> None:
        """The state on disk, for a training that is cut off later."""

        def write() -> None:
            with writing(self.out):
                checkpoint.write_checkpoint(self.out, {"asked": self._parts.same(), **state})

        self.group.agreed(write)

    def _train(self, trainer: Trainer) -> None:
        """All epochs; then the best weights, where patience asks for them."""
        try:
            trainer.train(self._keep)
        except DivergedError as error:
            raise self._stopped(error, trainer) from error
        if trainer.best is not None:
            trainer.put(trainer.best[2])

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
        best = None if trainer.best is None else trainer.best[1]
        recipe = self._parts.recipe(epochs=trainer.done, best=best)
        result = self._result(trainer, recipe, start=start, judged=judged, words=words)

        def write() -> None:
            with writing(self.out):
                write_folder(self.out, self._network.module, recipe)
                save(result, self.out / result_folder_name(result), overwrite=True)
                (self.out / checkpoint.FILE).unlink(missing_ok=True)

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
            images=len(data.labels),
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
                notes=(self._theatre.place.words, f"split: {data.split.words}", words),
                defaults=self.defaults,
            ),
            warnings=(*data.warnings, *self.objective.loss.warnings(), *_early(trainer)),
            skipped=data.skipped,
            pictures=LabelSetPictures(self.labels, before.names),
        )


def _early(trainer: Trainer) -> tuple[str, ...]:
    """What patience has done."""
    if trainer.best is None or trainer.best[1] == trainer.done:
        return ()
    stopped = "" if trainer.done == trainer.plan.epochs else f"training stopped after epoch {trainer.done}; "
    return (f"{stopped}the weights are those of epoch {trainer.best[1]}, the most accurate on the validation images",)
