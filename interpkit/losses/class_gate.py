"""Class-specific gates: in some epochs an image reaches the classifier only through the units of its class.

Source: Liang et al., "Training Interpretable Convolutional Neural Networks by Differentiating Class-specific Filters",
ECCV 2020, arXiv 2007.08194; the projection, the defaults and the rule for several classes an image are ours.
"""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from interpkit.errors import InterpkitError
from interpkit.losses import Edit, InterpretableLoss, Layer, Step, check_choice, check_flag, check_number, check_whole

MODES = ("alternate", "joint")
# The bound where none is asked for, as far as the classes allow it.
DENSITY = 0.1
# The gate's learning rate, and what it comes to over all gated steps, unless asked otherwise.
RATE, TRAVEL, FASTEST = 2e-2, 6.0, 0.2
# A gate this far above its bound did not get there.
MISSED = 1.2
# An entry above it lets a class's images through.
OPEN = 0.5
# Columns that are lower were closed altogether.
_TINY = 1e-12


class ClassGate(InterpretableLoss):
    """A gate G from 0 to 1 for every class and unit of the topmost layer, learnt while the network is.

    In gated epochs the maps of an image are multiplied by the gate of its class, of an image of several classes by the
    largest of theirs, of an image of none by 1. Inference knows no gate. Each unit's largest gate is 1, and the mean
    gate is pressed under a bound, so that units come to serve few classes. In joint mode every step runs both paths.

    Parameters
    ----------
    weight
        Of the classification loss of the gated path. At 0 every epoch is an ordinary one.
    density
        Bound on the mean gate, from 1 / K classes to 1; None for 0.1, or 1 / K where that is more.
    hinge
        Weight of the sum of the gates as far as it exceeds the bound.
    rate
        Learning rate of the gate's own Adam; None for 0.02, or what makes gated steps times rate 6 where that is more:
        below about 5 the bound is not reached. At most 0.2.
    period, gated_per_period
        Of so many epochs so many, the last ones, are gated; but never the last epoch of all.
    warmup
        Epochs without gates at the start; None for 5 % of all, at least 3, but in a short training at most a quarter.
    mode
        ``alternate`` or ``joint``.
    start
        All gates at first. The first projection makes 1 of any constant.
    train_network
        Whether the network learns from the gated path, and not the gate alone.
    """

    steps: Tensor

    def __init__(
        self,
        weight: float = 1.0,
        *,
        density: float | None = None,
        hinge: float = 1e-2,
        rate: float | None = None,
        period: int = 3,
        gated_per_period: int = 1,
        warmup: int | None = None,
        mode: Literal["alternate", "joint"] = "alternate",
        start: float = 1.0,
        train_network: bool = True,
    ) -> None:
        check_number("weight", weight, least=0)
        check_number("hinge", hinge, least=0)
        if rate is not None:
            check_number("rate", rate, above=0)
        check_number("start", start, above=0)
        check_whole("period", period, least=2)
        check_whole("gated_per_period", gated_per_period, least=1)
        check_choice("mode", mode, MODES)
        check_flag("train_network", train_network)
        if density is not None:
            check_number("density", density, above=0)
        if warmup is not None:
            check_whole("warmup", warmup, least=0)
        if max(start, density or 0) > 1:
            raise InterpkitError(f"gates lie between 0 and 1: start {start:g} and density {density or 0:g} do not")
        if gated_per_period >= period:
            raise InterpkitError(
                f"of {period} epochs at most {period - 1} can be gated, not {gated_per_period}: inference has no gate"
            )
        super().__init__(weight)
        self.density, self.hinge, self.rate, self.start = density, hinge, rate, start
        self.period, self.gated_per_period, self.warmup = period, gated_per_period, warmup
        self.mode, self.train_network = mode, train_network
        self.gate = nn.Parameter(torch.empty(0, 0))
        # Steps of the first epoch, which all others have too.
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self._said: dict[str, Tensor] = {}

    def attach(self, layers: Mapping[str, Layer], *, classes: int, multi: bool, epochs: int) -> None:
        """Get ready for a network; its docstring is `InterpretableLoss.attach`."""
        if classes < 2:
            raise InterpkitError("class-gate tells classes apart, and the label set has one; there is icnn")
        if self.density is not None and self.density < 1 / classes:
            raise InterpkitError(
                f"a density of {self.density:g} cannot be reached: every unit serves one of the {classes} classes at "
                f"least; from 1/{classes} on, say {math.ceil(10_000 / classes) / 10_000:g}, it can"
            )
        # The topmost of them is what the classifier reads.
        self.layer, top = list(layers.items())[-1]
        self.epochs = epochs
        self.first = max(min(3, epochs // 4), round(0.05 * epochs)) if self.warmup is None else self.warmup
        share = DENSITY if self.density is None else self.density
        self.bound = max(1 / classes, share) * classes * top.units
        self.gate = nn.Parameter(torch.full((classes, top.units), self.start))
        self._optimizer = torch.optim.Adam([self.gate], lr=RATE if self.rate is None else self.rate)

    def begin(self, epoch: int) -> None:
        """Set the gate's rate, once it is known how many steps there will be."""
        if epoch == 0:
            self.steps.zero_()
        elif self.rate is None:
            gated = int(self.steps) * sum(self.path(one) != "ordinary" for one in range(self.epochs))
            for group in self._optimizer.param_groups:
                group["lr"] = min(max(RATE, TRAVEL / max(gated, 1)), FASTEST)

    def path(self, epoch: int) -> str:
        """``ordinary``, ``gated``, or ``joint`` where both are trained in every step."""
        if self.weight == 0 or epoch < self.first:
            return "ordinary"
        if self.mode == "joint":
            return "joint"
        ordinary = self.period - self.gated_per_period
        # Training ends as the network will be used.
        if epoch == self.epochs - 1:
            return "ordinary"
        return "gated" if is_gated(epoch, period=self.period, ordinary=ordinary, warmup=self.first) else "ordinary"

    def forward(self, step: Step) -> Tensor:
        """The classification loss of the epoch's path, and what the gate's sum costs."""
        path = self.path(step.epoch)
        losses: list[Tensor] = []
        self._said = {}
        if path != "gated":
            task = step.task(step.run(None).outputs)
            self._said["task"] = task.detach()
            losses.append(task)
        if path != "ordinary":
            losses.append(self._gated(step))
        return torch.stack(losses).sum() if len(losses) > 1 else losses[0]

    def own_optimizer(self) -> torch.optim.Optimizer:
        """Adam of the gate alone; it rests in ordinary epochs, when the gate has no gradient."""
        return self._optimizer

    def after_step(self, epoch: int) -> None:
        """Bring the gate back to where it is one."""
        if epoch == 0:
            self.steps += 1
        if self.path(epoch) != "ordinary":
            with torch.no_grad():
                self.gate.copy_(project(self.gate))

    def said(self) -> dict[str, float]:
        """The classification losses of the paths, the price of the gate, and the gate's mean."""
        numbers = {name: float(value) for name, value in self._said.items()}
        return numbers | ({"density": float(self.gate.detach().mean())} if self.weight > 0 else {})

    def learnt(self) -> dict[str, Tensor]:
        """``gate`` (K, U), whether each class's images went through each unit."""
        return {"gate": self.gate.detach().clone()} if self.weight > 0 else {}

    def warnings(self) -> tuple[str, ...]:
        """A gate that was never used or did not reach its bound; classes that no unit is open to."""
        if self.weight == 0:
            return ()
        gated = sum(self.path(epoch) != "ordinary" for epoch in range(self.epochs))
        if not gated:
            return (f"no epoch was gated: {self.epochs} epochs end before the first that would be",)
        found = []
        density, bound = float(self.gate.detach().mean()), self.bound / self.gate.numel()
        if density > MISSED * bound:
            found.append(
                f"the gate's density ended at {density:.3f}, its bound is {bound:.3f}: train longer, or raise rate"
            )
        idle = (self.gate.detach().amax(1) <= OPEN).nonzero().flatten().tolist()
        if idle:
            found.append(
                f"{len(idle)} of {len(self.gate)} classes have no unit of their own: "
                f"{', '.join(map(str, idle))} (counted from 0)"
            )
        return tuple(found)

    def _gated(self, step: Step) -> Tensor:
        """The loss of the gated path with the price of the gate; the network's part is cut off where it is to rest."""
        task = step.task(step.run(self._edit(step.member)).outputs)
        price = self.hinge * excess(self.gate, self.bound)
        self._said |= {"gated_task": task.detach(), "penalty": price.detach()}
        loss = self.weight * task + price
        if self.train_network or not loss.requires_grad:
            return loss
        (slope,) = torch.autograd.grad(loss, self.gate)
        # The value of the loss, the slope of it at the gate, and none at the network.
        return loss.detach() + ((self.gate - self.gate.detach()) * slope).sum()

    def _edit(self, member: Tensor) -> Edit:
        rows = gates_of(member, self.gate)

        def edit(layer: str, maps: Tensor) -> Tensor:
            return maps * rows.to(maps.dtype)[..., None, None] if layer == self.layer else maps

        return edit


def is_gated(epoch: int, *, period: int, ordinary: int, warmup: int) -> bool:
    """Whether an epoch, from 0, is gated: of each period the epochs after the first ``ordinary``, after the warm-up."""
    return epoch >= warmup and epoch % period >= ordinary


def project(gate: Tensor) -> Tensor:
    """The gates (K, U) with none below 0, divided by each unit's largest, so that it is 1.

    A unit without a gate above 0 serves the class where it was largest, the first of equal ones.

    Examples
    --------
    >>> project(torch.tensor([[0.5, -0.1], [0.25, -0.3]]))
    tensor([[1.0000, 1.0000],
            [0.5000, 0.0000]])
    """
    kept = gate.clamp(min=0)
    top = kept.amax(0)
    owner = torch.zeros_like(gate).scatter_(0, gate.argmax(0, keepdim=True), 1.0)
    return torch.where(top <= _TINY, owner, kept / top.clamp(min=_TINY))


def excess(gate: Tensor, bound: float) -> Tensor:
    """How much the sum of the gates (K, U) exceeds its bound; 0 below it."""
    return (gate.abs().sum() - bound).relu()


def gates_of(member: Tensor, gate: Tensor) -> Tensor:
    """(n, U) each image's gates: of its class, the largest of its classes, 1 for an image of none.

    Parameters
    ----------
    member
        (n, K) 1 where an image is of a class, else 0.
    gate
        (K, U).
    """
    # By image its few classes alone: all of them would be (n, K, U) gates.
    few = max(1, int((member > 0).sum(1).max()))
    of_class, classes = member.topk(few, 1)
    allowed = gate[classes].masked_fill(of_class[..., None] <= 0, -torch.inf).amax(1)
    return torch.where((member > 0).any(1, keepdim=True), allowed, 1.0)


OFFER = ClassGate
