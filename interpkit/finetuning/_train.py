"""The epochs of a training: steps, schedule, early stopping, and a state that can be put back bit for bit."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from interpkit.errors import InterpkitError
from interpkit.finetuning._evaluate import Judged, Validation, judge, right
from interpkit.finetuning._network import Network
from interpkit.finetuning._objective import task_loss
from interpkit.finetuning._order import set_modes
from interpkit.finetuning._supply import Supply, draw, pieces_of
from interpkit.finetuning._together import shared
from interpkit.losses import Edit, InterpretableLoss, Pass, Step
from interpkit.processes import Group
from interpkit.running import Progress

Ints = npt.NDArray[np.int64]
_LOG = logging.getLogger(__name__)

# "steps": the rate falls to this share of itself at these shares of the epochs.
FALL, FALLS = 0.3, (0.6, 0.8)
# Words of a loss for what an epoch trains; after a gated one the network is not as inference uses it.
ORDINARY, GATED = "ordinary", "gated"


class DivergedError(InterpkitError):
    """A training whose numbers are no longer finite."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast a training goes; the words are those of ``finetune``."""

    epochs: int
    batch_size: int
    rate: float
    head_rate: float
    decay: float
    rate_schedule: str
    patience: int | None
    augment: str
    seed: int

    def rate_of(self, epoch: int) -> float:
        """The learning rate of an epoch, from 0.

        Examples
        --------
        >>> plan = Plan(10, 64, 0.1, 1, 0, "steps", None, "none", 0)
        >>> [round(plan.rate_of(epoch), 4) for epoch in (0, 5, 6, 8)]
        [0.1, 0.1, 0.03, 0.009]
        """
        done = epoch / self.epochs
        if self.rate_schedule == "cosine":
            return self.rate * (1 + math.cos(math.pi * done)) / 2
        if self.rate_schedule == "steps":
            return self.rate * FALL ** sum(done >= share for share in FALLS)
        return self.rate


@dataclass(frozen=True, eq=False)
class Images:
    """What is trained on.

    Attributes
    ----------
    train
        Rows of the label set to train on.
    member
        (rows, K) 1 where an image is of a class.
    validation
        The images kept apart.
    """

    train: Ints
    member: Tensor
    validation: Validation


@dataclass(eq=False)
class _Noted:
    """What a step did: the outputs of its ordinary path, if it went there, and its classification losses."""

    outputs: Tensor | None = None
    tasks: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Best:
    """The most accurate epoch so far.

    Attributes
    ----------
    epoch
        From 1.
    weights, loss
        Of the network, and the state of the loss, after it.
    """

    accuracy: float
    epoch: int
    weights: dict[str, Tensor]
    loss: dict[str, Any]


class Trainer:
    """A network, its loss and optimisers, and what has been recorded so far.

    Parameters
    ----------
    network, loss
        The loss is attached.
    plan, images, supply
        How it is trained, on what, and what feeds it.
    """

    def __init__(
        self,
        network: Network,
        loss: InterpretableLoss,
        plan: Plan,
        *,
        images: Images,
        supply: Supply,
        group: Group,
        progress: Progress,
    ) -> None:
        self.network, self.loss, self.plan = network, loss, plan
        self._images, self._supply, self._group, self._progress = images, supply, group, progress
        self._member = images.member.to(network.device)
        self._parameters = set_modes(network.module, network.trained)
        kind = torch.optim.AdamW if plan.decay else torch.optim.Adam
        self._optimizer = kind(self._groups(), plan.rate, weight_decay=plan.decay)
        self._own = loss.own_optimizer()
        # From torch's own start of 65536 a short training would lose its first steps to overflow.
        self._scaler = torch.amp.GradScaler(network.device.type, init_scale=1024.0, enabled=network.precision == "16")
        self.history: list[dict[str, Any]] = []
        self.best: Best | None = None

    def _groups(self) -> list[dict[str, Any]]:
        """The trained parameters by how fast they learn: a new last layer starts from nothing, the rest does not."""
        head = {id(one) for one in self.network.module.get_submodule(self.network.head).parameters()}
        of_head = [one for one in self._parameters if id(one) in head]
        rest = [one for one in self._parameters if id(one) not in head]
        groups = [{"params": rest, "times": 1.0}, {"params": of_head, "times": self.plan.head_rate}]
        return [group for group in groups if group["params"]]

    @property
    def done(self) -> int:
        """Epochs trained."""
        return len(self.history)

    @property
    def finished(self) -> bool:
        """Whether all epochs are trained, or patience has run out."""
        patience = self.plan.patience
        tired = patience is not None and self.best is not None and self.choices(self.best.epoch) >= patience
        return self.done >= self.plan.epochs or tired

    def choices(self, start: int = 0) -> int:
        """How many of the epochs trained, from ``start`` on, could be the best."""
        return sum(map(self._choosable, range(start, self.done)))

    def _choosable(self, epoch: int) -> bool:
        """Whether an epoch from 0 may be the best: the loss has begun its work, and inference goes the trained way."""
        path = self.loss.path
        first = next((one for one in range(self.plan.epochs) if path(one) != ORDINARY), 0)
        return epoch >= first and path(epoch) != GATED

    def weights(self) -> dict[str, Tensor]:
        """Copies of everything in the network that training changes: trained parameters, and buffers."""
        module = self.network.module
        kept = {name: one for name, one in module.named_parameters() if one.requires_grad}
        return {name: one.detach().cpu().clone() for name, one in {**kept, **dict(module.named_buffers())}.items()}

    def put(self, weights: Mapping[str, Tensor]) -> None:
        """The inverse of ``weights``."""
        module = self.network.module
        have = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        with torch.no_grad():
            for name, value in weights.items():
                have[name].copy_(value)

    def put_best(self) -> None:
        """The network and the loss as they were after the best epoch, where patience looks for one."""
        if self.best is not None:
            self.put(self.best.weights)
            self.loss.load_state_dict(self.best.loss)

    def state(self) -> dict[str, Any]:
        """Everything that the next epoch depends on, as plain values and tensors."""
        return {
            "weights": self.weights(),
            "optimizer": self._optimizer.state_dict(),
            "own": self._own.state_dict() if self._own else None,
            "scaler": self._scaler.state_dict(),
            "loss": self.loss.state_dict(),
            "history": self.history,
            "best": dict(vars(self.best)) if self.best else None,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """The inverse of ``state``."""
        self.put(state["weights"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._own:
            self._own.load_state_dict(state["own"])
        self._scaler.load_state_dict(state["scaler"])
        self.loss.load_state_dict(state["loss"])
        self.history = [dict(row) for row in state["history"]]
        self.best = Best(**state["best"]) if state["best"] else None

    def train(self, keep: Callable[[dict[str, Any]], None]) -> None:
        """All epochs that are left; ``keep`` gets the state after each.

        Raises
        ------
        DivergedError
            If a number is no longer finite.
        """
        while not self.finished:
            self._epoch(self.done)
            keep(self.state())

    def _epoch(self, epoch: int) -> None:
        """One epoch and its row of the history."""
        started, plan, images = perf_counter(), self.plan, self._images
        draws = draw(len(images.train), len(images.member), augment=plan.augment, seed=plan.seed, epoch=epoch)
        for group in self._optimizer.param_groups:
            group["lr"] = plan.rate_of(epoch) * group["times"]
        self.loss.train()
        self.loss.begin(epoch)
        pieces = [images.train[piece] for piece in pieces_of(draws.order, batch_size=plan.batch_size)]
        mine = [piece[self._group.rank :: self._group.world] for piece in pieces]
        sums, done = torch.zeros(4, dtype=torch.float64), epoch * len(images.train)
        with self._drawing(epoch):
            inputs = self._supply.training(mine, draws)
            for number, rows in enumerate(mine):
                share = len(rows) / len(pieces[number])
                sums += self._step(inputs, rows, epoch=epoch, share=share, number=number)
                done += len(pieces[number])
                self._progress("training", done, plan.epochs * len(images.train))
        self._record(epoch, sums, seconds=perf_counter() - started, images=len(images.train))

    @contextmanager
    def _drawing(self, epoch: int) -> Iterator[None]:
        """Whatever the network draws comes from seed and epoch; the caller's random state is as before afterwards."""
        device = self.network.device
        source = np.random.default_rng([self.plan.seed, epoch, 3, self._group.rank])
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            seed = int(source.integers(2**62))
            torch.default_generator.manual_seed(seed)
            if device.type == "cuda":
                torch.cuda.manual_seed(seed)
            yield

    def _step(self, inputs: Iterator[Tensor], rows: Ints, *, epoch: int, share: float, number: int) -> Tensor:
        """One step, on the next of the inputs.

        Returns
        -------
        (4,) sums over the batch's images: loss, classification loss, images called right, and of how many that is
        known.
        """
        self._optimizer.zero_grad(set_to_none=True)
        if self._own:
            self._own.zero_grad(set_to_none=True)
        own = partial(self._ahead, inputs, rows, epoch=epoch)
        total, sums = shared(self._group, own, sums=4, device=self.network.device)
        if not torch.isfinite(sums).all():
            what = "loss" if math.isnan(sums[0]) else "loss is infinite, not a number: it"
            raise DivergedError(f"epoch {epoch + 1}, step {number + 1}: the {what} is no longer finite")
        # A process without an image in this step scales as well: a scaler that never did cannot step.
        scaled = self._scaler.scale(torch.zeros((), device=self.network.device) if total is None else total)
        if total is not None:
            scaled.backward()  # type: ignore[no-untyped-call]
        self._move(epoch, share=share)
        return sums

    def _ahead(self, inputs: Iterator[Tensor], rows: Ints, *, epoch: int) -> tuple[Tensor | None, Tensor]:
        """The loss of this process's part of a batch, None without images, and its (4,) sums."""
        batch = next(inputs)
        if not len(rows):
            return None, torch.zeros(4, dtype=torch.float64)
        noted = _Noted()
        step = self._as_step(batch, self._member[torch.from_numpy(rows)], epoch=epoch, noted=noted)
        total = self.loss(step)
        return total, self._sums(total.detach(), noted, step.member)

    def _as_step(self, inputs: Tensor, member: Tensor, *, epoch: int, noted: _Noted) -> Step:
        """The step as a loss sees it; what it does is noted."""

        def run(edit: Edit | None) -> Pass:
            seen = self.network.run(inputs, edit)
            if edit is None:
                noted.outputs = seen.outputs.detach()
            return seen

        def task(outputs: Tensor) -> Tensor:
            value = task_loss(outputs, member, multi=self._images.validation.multi)
            noted.tasks.append(value.detach())
            return value

        return Step(member, epoch, run, task)

    def _sums(self, total: Tensor, noted: _Noted, member: Tensor) -> Tensor:
        images, known = len(member), noted.outputs is not None
        hits = torch.zeros(())
        if noted.outputs is not None:
            multi = self._images.validation.multi
            hits = right(noted.outputs, member, multi=multi).double().reshape(images, -1).mean(1).sum()
        task = noted.tasks[0] if noted.tasks else total
        values = [float(total) * images, float(task) * images, float(hits), float(images * known)]
        return torch.tensor(values, dtype=torch.float64)

    def _move(self, epoch: int, *, share: float) -> None:
        """Both optimisers step on the gradients of the whole batch."""
        self._group.average_gradients([*self._parameters, *self.loss.parameters()], share=share)
        # A scaler cannot step where nothing has a gradient, nor be updated where nothing stepped.
        moving = [
            optimizer
            for optimizer in filter(None, (self._optimizer, self._own))
            if any(p.grad is not None for group in optimizer.param_groups for p in group["params"])
        ]
        for optimizer in moving:
            self._scaler.step(optimizer)
        if moving:
            self._scaler.update()
        self.loss.after_step(epoch)
        self._group.same_buffers([self.network.module, self.loss])

    def _record(self, epoch: int, sums: Tensor, *, seconds: float, images: int) -> None:
        """The epoch's row of the history, from sums over its images."""
        self._check_finite(epoch)
        judged = self.judged()
        loss, task, hits, known = sums.tolist()
        row = {
            "epoch": epoch + 1,
            "path": self.loss.path(epoch),
            "rate": self.plan.rate_of(epoch),
            "loss": loss / images,
            "task": task / images,
            "penalty": (loss - task) / images,
            "train_accuracy": hits / known if known else math.nan,
            "validation_loss": judged.loss,
            "validation_accuracy": judged.accuracy,
        }
        # What a loss says of its last step; means over the epoch come first.
        row |= {name: float(value) for name, value in self.loss.said().items() if name not in row}
        if not math.isfinite(row["validation_loss"]):
            raise DivergedError(f"epoch {epoch + 1}: the loss on the validation images is no longer finite")
        self.history.append(row)
        better = self.best is None or judged.accuracy > self.best.accuracy
        if self.plan.patience is not None and better and self._choosable(epoch):
            # A copy: what the loss remembers goes on changing.
            self.best = Best(judged.accuracy, epoch + 1, self.weights(), deepcopy(self.loss.state_dict()))
        self._say(row, seconds)

    def _check_finite(self, epoch: int) -> None:
        module = self.network.module
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if value.is_floating_point() and not torch.isfinite(value).all():
                raise DivergedError(f"epoch {epoch + 1}: the weights of {name} are no longer finite")
        # Adam divides by the root of squares: where these overflow, nothing moves any more, and no weight tells.
        for moments in self._optimizer.state.values():
            if not all(torch.isfinite(value).all() for value in moments.values()):
                raise DivergedError(f"epoch {epoch + 1}: the gradients are no longer finite when squared")

    def _say(self, row: Mapping[str, Any], seconds: float) -> None:
        if self._group.first:
            _LOG.info(
                "epoch %d of %d: loss %.4f (classification %.4f, penalty %.4f), validation accuracy %.1f %%, %.1f s",
                *(row["epoch"], self.plan.epochs, row["loss"], row["task"], row["penalty"]),
                *(100 * row["validation_accuracy"], seconds),
            )

    def judged(self) -> Judged:
        """The ordinary path on the images kept apart."""
        return judge(self.network, self._supply, self._images.validation, group=self._group)
