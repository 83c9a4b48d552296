"""The mutual information of maps and templates with its gradient in closed form: fast enough for every training step.

The same numbers as `Posterior.information`, which autograd can differentiate more than once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from interpkit.templates.formulas import BETA, prior, templates

# Scores taken at a time, over units: a few such blocks are alive at once, 4 MB each in float32.
_BLOCK = 1 << 20


def mutual_information(maps: Tensor, tau: Tensor, *, beta: float = BETA, alpha: float | None = None) -> Tensor:
    """(U,) mutual information in nats of N maps (N, U, h, w) and the templates: minus the filter loss (equation 1).

    Never more than log(h w + 1) nor log N. Maps count as they are, with the scale ``tau`` (U,) or (); computed in
    their precision, in float32 where that is lower. Gradients flow to the maps and to ``tau``, once: what is to be
    differentiated twice takes ``posterior(...).information``.

    Examples
    --------
    >>> spikes = 1000 * torch.eye(9).reshape(9, 1, 3, 3)
    >>> round(float(mutual_information(spikes, torch.tensor([1.0]))), 4)  # 0.9 log 9
    1.9775
    """
    wanted = torch.is_grad_enabled() and (maps.requires_grad or tau.requires_grad)
    with torch.no_grad(), torch.autocast(maps.device.type, enabled=False):
        value, gradient = _judge(maps, tau, _Work.of(maps, beta=beta, alpha=alpha), wanted=wanted)
    if tau.requires_grad and gradient is not None:
        # d s / d tau is the sum of map times template, so the same products serve.
        slope = (gradient * maps.detach()).sum((0, 2, 3))
        value = value + (tau - tau.detach()).to(value) * slope
    if gradient is None:
        return value
    return pulled(value, maps, gradient.mul_(tau.detach().to(gradient).expand(maps.shape[1])[:, None, None]))


def pulled(value: Tensor, maps: Tensor, gradient: Tensor) -> Tensor:
    """The value (U,) as it is, which moves maps (N, U, h, w) as if ``gradient`` were its derivative there; once."""
    moving: Tensor = _Pulled.apply(value, maps, gradient)  # type: ignore[no-untyped-call]
    return moving


def single_template_gradient(
    maps: Tensor, tau: Tensor, target: Tensor, *, beta: float = BETA, alpha: float | None = None
) -> Tensor:
    """The paper's approximate gradient of the filter loss: each map is pulled by one template alone.

    The last line of equation 4 with the sign put right: printed as it is, descent would raise the loss. It is not the
    derivative of anything, and where the templates have made up their mind it goes on pulling while the exact gradient
    vanishes.

    Parameters
    ----------
    maps, tau, beta, alpha
        As in `mutual_information`.
    target
        (N, U) the template of each map: r w + c for the one at cell (r, c), h w for the negative one.

    Returns
    -------
    (N, U, h, w).
    """
    n, units, h, w = maps.shape
    work = _Work.of(maps.detach(), beta=beta, alpha=alpha)
    gradient = torch.empty(h * w, units, n, dtype=work.shapes.dtype, device=maps.device)
    with torch.no_grad(), torch.autocast(maps.device.type, enabled=False):
        for part, x in work.rounds(maps):
            scale = tau[part] if tau.ndim else tau
            share, ratio = work.judged(x, scale)
            chosen = target[:, part].T
            pull = (share * ratio).gather(0, chosen[None])[0] * work.prior[chosen] * scale[..., None]
            gradient[:, part] = -work.shapes[chosen].permute(2, 0, 1) * pull
    return gradient.permute(2, 1, 0).reshape(maps.shape).to(maps.dtype)


@dataclass(frozen=True, eq=False)
class _Work:
    """What all rounds share: T templates (T, h w) and their prior (T,), in the precision of the work."""

    shapes: Tensor
    prior: Tensor

    @classmethod
    def of(cls, maps: Tensor, *, beta: float, alpha: float | None) -> "_Work":
        h, w = maps.shape[-2:]
        precision = torch.promote_types(maps.dtype, torch.float32)
        return cls(templates(h, w, beta=beta).to(maps.device, precision), prior(h, w, alpha).to(maps.device, precision))

    def rounds(self, maps: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """A few units at a time: which, and their maps (h w, u, N): images last, where the softmax runs."""
        n, units = maps.shape[:2]
        few = max(1, _BLOCK // (n * len(self.shapes)))
        for first in range(0, units, few):
            part = slice(first, min(first + few, units))
            yield part, maps[:, part].flatten(2).to(self.shapes.dtype).permute(2, 1, 0).contiguous()

    def judged(self, x: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
        """(T, u, N) p(x|T), and the log of its ratio to p(x)."""
        scores = (self.shapes @ x.flatten(1)).view(-1, *x.shape[1:])
        ratio = torch.log_softmax(scores.mul_(tau[..., None]), -1)
        share = ratio.exp()
        image = (self.prior @ share.flatten(1)).view(x.shape[1:])
        # Where p(x) rounds to 0 so do all p(x|T), and the ratio counts for nothing, if it is only finite.
        ratio -= image.clamp(min=torch.finfo(image.dtype).tiny).log()
        return share, ratio


def _judge(maps: Tensor, tau: Tensor, work: _Work, *, wanted: bool) -> tuple[Tensor, Tensor | None]:
    """The information (U,), and if wanted its gradient (N, U, h, w) at maps times tau, from what is at hand then."""
    value = work.prior.new_empty(maps.shape[1])
    gradient = torch.empty(maps.shape, dtype=value.dtype, device=value.device) if wanted else None
    scales = tau.to(value).expand(len(value))
    back = (work.shapes * work.prior[:, None]).T
    for part, x in work.rounds(maps):
        share, ratio = work.judged(x, scales[part])
        divergence = torch.linalg.vecdot(share, ratio)
        value[part] = work.prior @ divergence
        if gradient is not None:
            pull = ratio.sub_(divergence[..., None]).mul_(share)
            gradient.flatten(2)[:, part] = (back @ pull.flatten(1)).view(x.shape).permute(2, 1, 0)
    return value, gradient


class _Pulled(torch.autograd.Function):
    """A value (U,) with a gradient that was made beforehand."""

    @staticmethod
    def forward(value: Tensor, maps: Tensor, gradient: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ANN401
        _, maps, gradient = inputs
        ctx.save_for_backward(gradient)
        ctx.kind = maps.dtype

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, None]:  # noqa: ANN401
        (gradient,) = ctx.saved_tensors
        return upstream, (gradient * upstream[:, None, None]).to(ctx.kind), None
