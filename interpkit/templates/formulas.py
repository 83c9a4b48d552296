"""The templates, and what maps and templates say of each other: pure, differentiable tensor functions."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from interpkit.errors import InterpkitError

BETA = 4.0
# (cells)^2 numbers of templates: 134 MB here, and a unit's product with its maps takes seconds.
MAX_CELLS = 64 * 64
# One cell has no place, and of two each is the other's complement: the templates say nothing.
MIN_CELLS = 3


def templates(h: int, w: int, *, tau: float = 1.0, beta: float = BETA) -> Tensor:
    """The h w positive templates, one per cell in row order, and the negative one at the end.

    A positive template is tau at its cell, falls with the L1 distance, crosses zero at max(h, w) / beta and stays at
    -tau from twice that distance on; the negative template is -tau everywhere (section 3.1 of the paper).

    Returns
    -------
    (h w + 1, h w) float64.

    Raises
    ------
    InterpkitError
        If ``beta`` is not positive.

    Examples
    --------
    >>> templates(3, 3)[4].reshape(3, 3)
    tensor([[-1.0000, -0.3333, -1.0000],
            [-0.3333,  1.0000, -0.3333],
            [-1.0000, -0.3333, -1.0000]], dtype=torch.float64)
    """
    if beta <= 0:
        raise InterpkitError(f"templates need a positive beta, this is {beta:g}; the paper's is {BETA:g}")
    rows = torch.arange(h, dtype=torch.float64).repeat_interleave(w)
    columns = torch.arange(w, dtype=torch.float64).repeat(h)
    distance = (rows[:, None] - rows).abs() + (columns[:, None] - columns).abs()
    positive = (1 - beta * distance / max(h, w)).clamp(min=-1)
    return tau * torch.cat([positive, -positive.new_ones(1, h * w)])


def prior(h: int, w: int, alpha: float | None = None) -> Tensor:
    """Prior probabilities of the templates: ``alpha`` shared by the positive ones, the rest for the negative one.

    ``alpha`` None is the paper's h w / (1 + h w), by which all templates are equally likely.

    Returns
    -------
    (h w + 1,) float64.

    Raises
    ------
    InterpkitError
        If ``alpha`` does not lie between 0 and 1.
    """
    cells = h * w
    share = cells / (1 + cells) if alpha is None else alpha
    if not 0 < share < 1:
        raise InterpkitError(f"alpha lies between 0 and 1, this is {share:g}; the paper's is h w / (1 + h w)")
    return torch.cat(
        [torch.full((cells,), share / cells, dtype=torch.float64), torch.tensor([1 - share], dtype=torch.float64)]
    )


def kappa(h: int, w: int, beta: float = BETA) -> float:
    """The tau times height at which an isolated spike has half its posterior mass at its own template.

    The k that solves sum_mu exp(k (T_mu[c] - 1)) = 2 for the centre cell c = (h // 2, w // 2).

    Raises
    ------
    InterpkitError
        If the map has fewer than 3 cells.

    Examples
    --------
    >>> round(kappa(14, 14), 4)
    6.1704
    """
    check_cells(h, w)
    # The centre's column of the templates, without all the others.
    rows, columns = torch.arange(h, dtype=torch.float64), torch.arange(w, dtype=torch.float64)
    distance = ((rows - h // 2).abs()[:, None] + (columns - w // 2).abs()).flatten()
    gaps = (beta * distance[distance > 0] / max(h, w)).clamp(max=2)
    k = 0.0
    # log sum exp(-k gap) is convex and falls: Newton's steps from 0 stay left of the root.
    for _ in range(100):
        value = torch.logsumexp(-k * gaps, 0)
        step = float(value / (torch.softmax(-k * gaps, 0) @ gaps))
        k += step
        if abs(step) <= 1e-15 * k:
            break
    return k


def check_cells(h: int, w: int) -> None:
    """Refuse maps that are too small for templates.

    Raises
    ------
    InterpkitError
        If the map has fewer than 3 cells.
    """
    if h * w < MIN_CELLS:
        raise InterpkitError(f"templates need maps of at least {MIN_CELLS} cells, these have {h} x {w}")


@dataclass(frozen=True, eq=False)
class Posterior:
    """What maps say of templates and templates of maps, in the log domain; differentiable in the scores.

    T stands for the h w + 1 templates, the negative one last. Everything beyond the three arguments is computed when
    first asked for.

    Attributes
    ----------
    scores
        (N, U, T) s_T(x), the sum of map times template.
    log_prior
        (T,) log p(T).
    log_z
        (U, T) log of the sum of exp s_T(x) over all images, which may be more than the N at hand: what is summed
        over images then adds up.
    """

    scores: Tensor
    log_prior: Tensor
    log_z: Tensor

    @cached_property
    def log_image_given_template(self) -> Tensor:
        """(N, U, T) log p(x|T), equation 2."""
        return self.scores - self.log_z

    @cached_property
    def log_template_given_image(self) -> Tensor:
        """(N, U, T) log p(T|x)."""
        return self.log_image_given_template + self.log_prior - self.log_image[..., None]

    @cached_property
    def _positive(self) -> tuple[Tensor, Tensor]:
        """(N, U) log p(T+, x) and H(T+|x), from one pass of exponentials."""
        joint = self.scores[..., :-1] + (self.log_prior - self.log_z)[..., :-1]
        top = joint.detach().amax(-1, keepdim=True)
        below = joint - top
        share = below.exp()
        total = share.sum(-1)
        return top[..., 0] + total.log(), total.log() - (share * below).sum(-1) / total

    @property
    def log_positive(self) -> Tensor:
        """(N, U) log p(T+, x)."""
        return self._positive[0]

    @cached_property
    def log_negative(self) -> Tensor:
        """(N, U) log p(T-, x)."""
        return self.scores[..., -1] + (self.log_prior - self.log_z)[..., -1]

    @cached_property
    def log_image(self) -> Tensor:
        """(N, U) log p(x)."""
        return torch.logaddexp(self.log_positive, self.log_negative)

    @property
    def log_odds(self) -> Tensor:
        """(N, U) log of p(T+|x) / p(T-|x): orders images as p(T+|x) does, also where that rounds to 0 or 1."""
        return self.log_positive - self.log_negative

    @property
    def positive(self) -> Tensor:
        """(N, U) p(T+|x)."""
        return (self.log_positive - self.log_image).exp()

    @property
    def entropy(self) -> Tensor:
        """(N, U) H(T+|x), how undecided the place is on one image."""
        return self._positive[1]

    @cached_property
    def inter(self) -> Tensor:
        """(U,) inter-category entropy H(T'|X), T' being positive or negative."""
        positive = self.log_positive.exp() * (self.log_positive - self.log_image)
        negative = self.log_negative.exp() * (self.log_negative - self.log_image)
        return -(positive + negative).sum(0)

    @cached_property
    def spatial(self) -> Tensor:
        """(U,) spatial entropy, the sum of p(T+, x) H(T+|x) over images."""
        return (self.log_positive.exp() * self.entropy).sum(0)

    @property
    def information(self) -> Tensor:
        """(U,) mutual information of images and templates in nats, by the identity H(T) - H(T'|X) - spatial.

        Holds where the N images are all that ``log_z`` counts.
        """
        # No product of vectors, which autocast would round.
        return -(self.log_prior.exp() * self.log_prior).sum() - self.inter - self.spatial

    @property
    def divergence(self) -> Tensor:
        """(U, T) Kullback-Leibler divergence of p(x|T) from p(x), whose mean over p(T) is the information."""
        ratio = self.log_image_given_template - self.log_image[..., None]
        return (self.log_image_given_template.exp() * ratio).sum(0)


def posterior(maps: Tensor, tau: Tensor, *, beta: float = BETA, alpha: float | None = None) -> Posterior:
    """The posterior of maps (N, U, h, w) as they are, with the scale ``tau`` (U,) or ().

    Computed in the precision of the maps, in float32 where that is lower. Gradients flow to the maps and to ``tau``.
    """
    n, units, h, w = maps.shape
    precision = torch.promote_types(maps.dtype, torch.float32)
    shapes = templates(h, w, beta=beta).to(maps.device, precision)
    scale = tau.to(maps.device, precision).expand(units)
    # Autocast would take the product back to half precision.
    with torch.autocast(maps.device.type, enabled=False):
        scores = maps.reshape(n, units, h * w).to(precision) @ shapes.T * scale[:, None]
    log_prior = prior(h, w, alpha).log().to(maps.device, precision)
    return Posterior(scores, log_prior, torch.logsumexp(scores, 0))
