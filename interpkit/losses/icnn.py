"""Interpretable CNNs: part masks, and a filter loss that asks each unit for one place on some of the images.

Source: Zhang, Wu and Zhu, "Interpretable Convolutional Neural Networks", CVPR 2018, arXiv 1710.00935; the calibrated
scale and the exact gradient are additions, the gradient ``release`` follows the authors' code.
"""

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from interpkit.errors import InterpkitError
from interpkit.losses import InterpretableLoss, Layer, Step, check_choice, check_flag, check_number, check_whole
from interpkit.losses import _release as release
from interpkit.templates import (
    BETA,
    Position,
    check_cells,
    fitted,
    kappa,
    mutual_information,
    paper_tau,
    place,
    pulled,
    single_template_gradient,
)
from interpkit.templates.masks import POSITIONS
from interpkit.templates.statistics import DEAD_SHARE

Gradient = Literal["exact", "single-template", "release"]
Schedule = Literal["constant", "inverse", "paper"]

GRADIENTS = ("exact", "single-template", "release")
SCHEDULES = ("constant", "inverse", "paper")
CATEGORIES = ("single", "multi")
# What a running mean keeps at each step.
MEMORY = 0.9


class ICNN(InterpretableLoss):
    """The filter loss, minus the mutual information of a unit's maps and the part templates, beside part masks.

    The penalty is the mean over units, and over layers, of each unit's loss on the images of the step: at least
    -log N, so it compares between equal batches only. It is computed in float32 or wider.

    Parameters
    ----------
    weight
        Of the penalty beside the classification loss. At 0 the masks are all there is.
    gradient
        ``exact``: of the loss, no labels needed. ``single-template``: the paper's approximation, each map pulled by
        its own template on images of its unit's category and by the negative one on others, with the sign put right.
        ``release``: as the authors' code pulls, a mean 0.1 over the images of either kind; with the mean over U units
        taken here the weight of the code is 1e-5 U with the schedule ``inverse``; and where the code knows how common
        each category is in the whole set, here a running mean of the batches tells. Whatever the gradient, the value
        is the exact loss.
    clamp
        For ``release``: weights of images below 0 count as 0. The code lets them push an image away from its own
        template, or turn the whole batch round.
    tau
        Scale of the templates: ``calibrated`` to a running mean of each unit's peak level, ``paper`` 0.5 / (h w), or a
        number. With ``calibrated`` a unit that is silent, or at less than 5 % of the median level, gets no loss.
    c
        Times kappa over the peak level is the calibrated scale. Half of what units are judged by: on photographs it
        gave steadier units and the better accuracy.
    beta
        How steeply templates and masks fall.
    learn_beta
        Whether each mask's beta follows its unit's spread, by a running mean of the release's target. The templates of
        the loss keep ``beta``.
    beta_rate
        Share of the way to its target that a mask's slope goes in one step.
    position
        Where a map has its place: ``argmax``, its peak, or ``centre``, its rounded centre of mass.
    schedule
        What the weight is multiplied by in epoch t, from 1: ``constant`` 1, ``inverse`` 1 / t, ``paper`` the mean peak
        of the unit's maps / t.
    categories
        For the gradients that need labels, and ``learn_beta``. ``multi``: a unit's category is the one on whose images
        its summed map is largest in a running mean; ``single``: all units are of one category.
    category
        For ``single``: which of the classes, from 0.
    """

    masked: ClassVar[bool] = True

    def __init__(
        self,
        weight: float = 1.0,
        *,
        gradient: Gradient = "exact",
        clamp: bool = True,
        tau: float | str = "calibrated",
        c: float = 1.0,
        beta: float = BETA,
        learn_beta: bool = False,
        beta_rate: float = 0.01,
        position: Position = "argmax",
        schedule: Schedule = "constant",
        categories: Literal["single", "multi"] = "multi",
        category: int = 0,
    ) -> None:
        check_number("weight", weight, least=0)
        check_choice("gradient", gradient, GRADIENTS)
        check_choice("position", position, POSITIONS)
        check_choice("schedule", schedule, SCHEDULES)
        check_choice("categories", categories, CATEGORIES)
        for name, number in (("c", c), ("beta", beta), ("beta_rate", beta_rate)):
            check_number(name, number, above=0)
        if isinstance(tau, str):
            check_choice("tau", tau, ("calibrated", "paper"))
        else:
            check_number("tau", tau, above=0)
        check_flag("clamp", clamp)
        check_flag("learn_beta", learn_beta)
        check_whole("category", category, least=0)
        super().__init__(weight)
        self.gradient, self.clamp, self.tau, self.c = gradient, clamp, tau, c
        self.beta, self.learn_beta, self.beta_rate, self.position = beta, learn_beta, beta_rate, position
        self.schedule, self.categories, self.category = schedule, categories, category
        self.units = nn.ModuleList()
        self._layers: Mapping[str, Layer] = {}
        self._said: dict[str, Tensor] = {}

    def attach(self, layers: Mapping[str, Layer], *, classes: int, multi: bool, epochs: int) -> None:
        """Get ready for a network; its docstring is `InterpretableLoss.attach`."""
        if self.categories == "single" and self.category >= classes:
            raise InterpkitError(f"there is no category {self.category}: the {classes} classes count from 0")
        for layer in layers.values():
            check_cells(*layer.size)
        self._layers = dict(layers)
        self.units = nn.ModuleList(_Units(layer.units, classes) for layer in layers.values())

    def forward(self, step: Step) -> Tensor:
        """The classification loss, and the filter loss as far as it has weight."""
        passed = step.run(None)
        task = step.task(passed.outputs)
        self._said = {"task": task.detach()}
        if self.weight == 0:
            return task
        with torch.autocast(passed.outputs.device.type, enabled=False):
            each = [
                self._penalty(passed.maps[name], step, layer=layer, units=units) for name, layer, units in self._each()
            ]
            penalty = torch.stack(each).mean()
        self._said["penalty"] = penalty.detach()
        return task + self.weight * penalty

    def after_step(self, epoch: int) -> None:
        """Let the masks follow their units, where they learn."""
        with torch.no_grad():
            for _, layer, units in self._each():
                if units.slope is not None and layer.mask is not None:
                    w = release.slope(layer.mask.beta, layer.size)
                    moved = w + self.beta_rate * (units.slope - w)
                    # A batch without an image of a unit's category has nothing to teach its mask.
                    layer.mask.beta.copy_(release.steepness(torch.where(units.slope.isnan(), w, moved), layer.size))
                    units.slope = None

    def said(self) -> dict[str, float]:
        """The classification loss and the penalty; how many units were left out as silent."""
        numbers = {name: float(value) for name, value in self._said.items()}
        if self.tau == "calibrated" and "penalty" in numbers:
            numbers["silent"] = float(sum(int(units.silent().sum()) for _, _, units in self._each()))
        return numbers

    def learnt(self) -> dict[str, Tensor]:
        """By layer: the scales, the masks' betas and the units' categories, where they were learnt."""
        found: dict[str, Tensor] = {}
        for name, layer, units in self._each():
            if self.tau == "calibrated":
                found[f"tau.{name}"] = self._scale(units, layer)
            if self.learn_beta and layer.mask is not None:
                found[f"beta.{name}"] = layer.mask.beta.detach().clone()
            if self._labelled and self.categories == "multi":
                found[f"category.{name}"] = units.category()
        return found

    def warnings(self) -> tuple[str, ...]:
        """Units that were silent at the end."""
        if self.weight == 0 or self.tau != "calibrated":
            return ()
        return tuple(
            f"{int(silent.sum())} of {len(silent)} units of {name} ended silent, and without a filter loss"
            for name, _, units in self._each()
            if bool((silent := units.silent()).any())
        )

    @property
    def _labelled(self) -> bool:
        """Whether it matters which category a unit is of."""
        return self.weight > 0 and (self.gradient != "exact" or self.learn_beta)

    def _each(self) -> Iterator[tuple[str, Layer, "_Units"]]:
        for (name, layer), units in zip(self._layers.items(), self.units, strict=True):
            yield name, layer, cast("_Units", units)

    def _penalty(self, maps: Tensor, step: Step, *, layer: Layer, units: "_Units") -> Tensor:
        """The mean of a layer's filter losses, as the schedule weighs them."""
        peaks = maps.detach().amax((2, 3)).to(torch.promote_types(maps.dtype, torch.float32))
        units.observe_peaks(peaks)
        tau = self._scale(units, layer)
        exact = self.gradient == "exact"
        loss = -mutual_information(maps if exact else maps.detach(), tau, beta=self.beta)
        if self._labelled:
            units.observe_classes(maps.detach(), step.member)
            loss = self._guided(loss, maps, step.member, tau=tau, layer=layer, units=units)
        heard = torch.where(units.silent(), 0.0, loss) if self.tau == "calibrated" else loss
        return (heard * self._factor(peaks, step.epoch)).mean()

    def _scale(self, units: "_Units", layer: Layer) -> Tensor:
        """(U,) or () tau."""
        if self.tau == "calibrated":
            level = units.level.clamp(min=0)
            return torch.where(level > 0, self.c * kappa(*layer.size, self.beta) / level, 0.0)
        return units.level.new_tensor(paper_tau(layer.size) if isinstance(self.tau, str) else self.tau)

    def _factor(self, peaks: Tensor, epoch: int) -> Tensor | float:
        """What the schedule multiplies the weight by, (U,) or one number."""
        if self.schedule == "constant":
            return 1.0
        return (peaks.mean(0) if self.schedule == "paper" else 1.0) / (epoch + 1)

    def _guided(
        self, loss: Tensor, maps: Tensor, member: Tensor, *, tau: Tensor, layer: Layer, units: "_Units"
    ) -> Tensor:
        """The loss (U,), with the gradient that the labels say; what a mask should learn is noted on the way."""
        x = maps.detach().to(torch.promote_types(maps.dtype, torch.float32))
        category = units.category() if self.categories == "multi" else torch.full_like(units.category(), self.category)
        of_category = member[:, category] > 0
        beta = self.beta if layer.mask is None else layer.mask.beta
        template = fitted(x, beta, self.position)
        if self.learn_beta:
            units.slope = release.target_slope(x, template, of_category, position=self.position)
        if self.gradient == "exact":
            return loss
        if self.gradient == "single-template":
            row, column, _ = place(x, self.position)
            h, w = layer.size
            target = torch.where(of_category, row * w + column, h * w).long()
            gradient = single_template_gradient(x, tau, target, beta=self.beta)
        else:
            inside, outside = (side[category] for side in self._balance(units))
            gradient = release.release_gradient(x, template, of_category, clamp=self.clamp)
            gradient *= (torch.where(of_category, inside, outside) / len(x))[..., None, None]
        return pulled(loss, maps, gradient)

    def _balance(self, units: "_Units") -> tuple[Tensor, Tensor]:
        """(K,) how much images of each category count in the release's gradient, and how much the others."""
        even = torch.ones_like(units.share)
        return release.balance(units.share) if self.categories == "multi" else (even, even)


class _Units(nn.Module):
    """What is remembered of a layer's units from step to step; -1 stands for what was never seen."""

    level: Tensor
    summed: Tensor
    share: Tensor

    def __init__(self, units: int, classes: int) -> None:
        super().__init__()
        # Peak levels, summed maps by class, and how common the classes are.
        self.register_buffer("level", torch.full((units,), -1.0))
        self.register_buffer("summed", torch.full((units, classes), -1.0))
        self.register_buffer("share", torch.full((classes,), -1.0))
        # Where a mask's slope is to go after this step.
        self.slope: Tensor | None = None

    def observe_peaks(self, peaks: Tensor) -> None:
        """Take a batch's peaks (N, U) into the level: the mean of their largest quarter, as `peak_level`."""
        top = peaks.topk(math.ceil(len(peaks) / 4), 0).values.mean(0).clamp(min=0)
        self.level.copy_(_running(self.level, top))

    def observe_classes(self, maps: Tensor, member: Tensor) -> None:
        """Take a batch's maps (N, U, h, w) and classes (N, K) into the means by class."""
        images = member.sum(0)
        summed = maps.sum((2, 3), dtype=member.dtype).T @ member / images.clamp(min=1)
        self.summed.copy_(torch.where(images > 0, _running(self.summed, summed), self.summed))
        self.share.copy_(_running(self.share, images / len(member)))

    def silent(self) -> Tensor:
        """(U,) bool: the calibration would blow up what is left of them."""
        low: Tensor = (self.level <= 0) | (self.level < DEAD_SHARE * self.level.quantile(0.5))
        return low

    def category(self) -> Tensor:
        """(U,) the class on whose images the summed map is largest."""
        return self.summed.argmax(1)


def _running(old: Tensor, new: Tensor) -> Tensor:
    return torch.where(old < 0, new, MEMORY * old + (1 - MEMORY) * new)


OFFER = ICNN
