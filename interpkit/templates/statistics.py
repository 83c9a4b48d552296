"""Every unit of a layer judged by the templates, after the fact: a few units at a time, in float64."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from interpkit.templates.formulas import BETA, Posterior, check_cells, kappa, prior, templates

Floats = npt.NDArray[np.float64]
Maps = Tensor | npt.NDArray[np.float32]

CALIBRATION = 2.0
# Below this share of its layer's median peak a unit counts as dead: the calibration would blow up its noise. Noise of
# 3 % of the others' peaks must be caught.
DEAD_SHARE = 0.05

# Activations read at a time: little memory, yet long enough stretches of a file.
_READ = 1 << 23
# Scores taken at a time: small enough for the caches, enough for two threads. A unit with more of them over its
# images is taken in rounds of images.
_BLOCK = 1 << 18
_ROUND = 1 << 21
# Ranks taken at a time.
_RANKS = 1 << 21


def peak_level(maxima: npt.NDArray[np.floating]) -> Floats:
    """(U,) mean of the largest quarter of a unit's peaks (N, U), one per image; negative peaks count as 0."""
    n = len(maxima)
    quarter = math.ceil(n / 4)
    top = np.partition(np.maximum(maxima, 0), n - quarter, axis=0)[n - quarter :]
    level: Floats = top.mean(0, dtype=np.float64)
    return level


def dead(level: Floats) -> npt.NDArray[np.bool_]:
    """(U,) units whose peak level is 0 or less than 5 % of the layer's median: their noise would look like parts."""
    low: npt.NDArray[np.bool_] = (level <= 0) | (level < DEAD_SHARE * np.median(level))
    return low


def calibrated_tau(level: Floats, size: tuple[int, int], *, c: float = CALIBRATION, beta: float = BETA) -> Floats:
    """(U,) the scale c kappa / level that fits the templates of ``size`` (h, w) to each unit's peak level.

    0 for a unit that never fires.

    Raises
    ------
    InterpkitError
        If the map has fewer than 3 cells.
    """
    scale = np.zeros(len(level))
    np.divide(c * kappa(*size, beta), level, out=scale, where=level > 0)
    return scale


def paper_tau(size: tuple[int, int]) -> float:
    """The paper's scale 0.5 / (h w), meant for maps that training adapts to it."""
    h, w = size
    return 0.5 / (h * w)


@dataclass(frozen=True, eq=False)
class TemplateStatistics:
    """What the templates say of each unit at one scale.

    Attributes
    ----------
    tau
        (U,) the scale of the templates.
    information
        (U,) mutual information of images and templates, nats.
    ratio
        (U,) the same as a share of H(T), which bounds it: 0 to 1.
    inter
        (U,) inter-category entropy as a share of H(T'): 0 where a unit fires on some images and is silent on the
        others, 1 where images make no difference.
    spatial
        (U,) spatial entropy as a share of alpha log(h w): 0 where a unit fires at one place of an image, 1 where it
        fires all over.
    log_odds
        (N, U) float32, log of ``p(T+|x) / p(T-|x)``.
    """

    tau: Floats
    information: Floats
    ratio: Floats
    inter: Floats
    spatial: Floats
    log_odds: npt.NDArray[np.float32]

    @property
    def positive(self) -> Floats:
        """(N, U) p(T+|x). `auc` had better take ``log_odds``, which does not round to 1."""
        share: Floats = np.exp(-np.logaddexp(0, -self.log_odds.astype(np.float64)))
        return share


def template_statistics(
    maps: Maps,
    taus: Sequence[Floats],
    *,
    beta: float = BETA,
    alpha: float | None = None,
    shuffle: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[TemplateStatistics, ...]:
    """Judge each unit by the templates, at one scale or at several that share the work.

    In float64, a few units at a time: beyond the maps and the results it takes about 100 MB and the maps of one unit.

    Parameters
    ----------
    maps
        (N, U, h, w) tensor, array or memory map; negative values count as 0.
    taus
        The scales, each (U,): see `calibrated_tau` and `paper_tau`.
    beta, alpha
        As in `templates` and `prior`.
    shuffle
        A seed: each unit's values are first shuffled over images and cells, for the chance level. None: as they are.
    progress
        Called as progress(units done, U).

    Returns
    -------
    tuple[TemplateStatistics, ...]
        One for each of ``taus``.

    Raises
    ------
    InterpkitError
        If the maps have fewer than 3 cells.
    ValueError
        If a scale has another shape than (U,).
    """
    n, units, h, w = maps.shape
    check_cells(h, w)
    if any(np.shape(tau) != (units,) for tau in taus):
        raise ValueError(f"scales of {units} units are asked for, got shapes {[np.shape(tau) for tau in taus]}")
    log_prior = prior(h, w, alpha).log()
    entropies = np.empty((len(taus), 2, units))
    log_odds = np.empty((len(taus), n, units), np.float32)
    with torch.inference_mode():
        shapes = templates(h, w, beta=beta).T
        for part, x in _read(maps, shuffle):
            scores = _Scores(x, shapes.to(x.device))
            for number, tau in enumerate(taus):
                scale = torch.as_tensor(np.array(tau[part], np.float64), device=x.device)
                entropies[number, :, part], log_odds[number, :, part] = _judge(scores, scale, log_prior.to(x.device))
            if progress is not None:
                progress(part.stop, units)
    results = zip(taus, entropies, log_odds, strict=True)
    return tuple(_normalised(tau, sums, odds, log_prior=log_prior.numpy()) for tau, sums, odds in results)


def _read(maps: Maps, shuffle: int | None) -> Iterator[tuple[slice, Tensor]]:
    """A few units at a time: which ones, and their maps (N, u, h w), in the order of units."""
    n, units, h, w = maps.shape
    many = max(1, _READ // (n * h * w))
    few = max(1, _BLOCK // (n * (h * w + 1)))
    # One order serves all units: each of them sees its own values at random places.
    order = None if shuffle is None else np.random.default_rng(shuffle).permutation(n * h * w)
    for start in range(0, units, many):
        taken = maps[:, start : start + many]
        rectified = (taken if isinstance(taken, Tensor) else torch.from_numpy(np.array(taken))).clamp(min=0).flatten(2)
        for first in range(0, rectified.shape[1], few):
            part = rectified[:, first : first + few]
            if order is not None:
                values = part.transpose(0, 1).flatten(1)[:, torch.from_numpy(order).to(part.device)]
                part = values.reshape(len(values), n, h * w).transpose(0, 1)
            yield slice(start + first, start + first + part.shape[1]), part


class _Scores:
    """Maps (N, u, h w) times templates, image by image in rounds; kept where one round takes them all."""

    def __init__(self, x: Tensor, shapes: Tensor) -> None:
        self._x, self._shapes = x, shapes
        self._images = max(1, _ROUND // (x.shape[1] * shapes.shape[1]))
        self._kept = list(self._rounds()) if len(x) <= self._images else None

    def _rounds(self) -> Iterator[Tensor]:
        for first in range(0, len(self._x), self._images):
            yield self._x[first : first + self._images].double() @ self._shapes

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self._kept or self._rounds())


def _judge(scores: _Scores, tau: Tensor, log_prior: Tensor) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """The two entropies (2, u) of a few units, and their log odds (N, u)."""
    scale = tau[:, None]
    log_z = torch.full((), -torch.inf, dtype=torch.float64, device=tau.device)
    for product in scores:
        log_z = torch.logaddexp(log_z, torch.logsumexp(product * scale, 0))
    entropies = tau.new_zeros(2, len(tau))
    log_odds = []
    for product in scores:
        found = Posterior(product * scale, log_prior, log_z)
        entropies += torch.stack([found.inter, found.spatial])
        log_odds.append(found.log_odds.float())
    return entropies.cpu().numpy(), torch.cat(log_odds).cpu().numpy()


def _normalised(
    tau: Floats, entropies: Floats, log_odds: npt.NDArray[np.float32], *, log_prior: Floats
) -> TemplateStatistics:
    inter, spatial = entropies
    weights = np.exp(log_prior)
    whole = -float(weights @ log_prior)
    alpha, cells = 1 - weights[-1], len(weights) - 1
    two = -float(weights[-1] * log_prior[-1] + alpha * np.log(alpha))
    # Rounding can leave a unit without information a hair below 0.
    information = np.maximum(whole - inter - spatial, 0)
    return TemplateStatistics(
        tau=np.asarray(tau, np.float64),
        information=information,
        ratio=information / whole,
        inter=inter / two,
        spatial=spatial / (alpha * np.log(cells)),
        log_odds=log_odds,
    )


def auc(evidence: npt.NDArray[np.floating], member: npt.NDArray[np.bool_]) -> Floats:
    """Area under the ROC curve of each unit's evidence for each class against the other images.

    Parameters
    ----------
    evidence
        (N, U) finite numbers, higher for the class; only their order counts, and equal ones count half.
    member
        (N, K) which images belong to which class.

    Returns
    -------
    (U, K) from 0 to 1, 0.5 for evidence that says nothing; NaN for a class with no image or with all of them.
    """
    n, units = evidence.shape
    inside = member.sum(0, dtype=np.float64)
    outside = n - inside
    pairs = np.where(inside * outside > 0, inside * outside, np.nan)
    area = np.empty((units, member.shape[1]))
    step = max(1, _RANKS // max(n, 1))
    for first in range(0, units, step):
        ranks = _mean_ranks(evidence[:, first : first + step])
        area[first : first + step] = (ranks @ member - inside * (inside + 1) / 2) / pairs
    return area


def _mean_ranks(values: npt.NDArray[np.floating]) -> Floats:
    """(u, N) ranks from 1 of values (N, u) per unit; equal values share the mean of their ranks."""
    rows = np.ascontiguousarray(values.T)
    order = np.argsort(rows, axis=1)
    rising = np.take_along_axis(rows, order, axis=1)
    place = np.arange(rows.shape[1])
    change = rising[:, 1:] != rising[:, :-1]
    edge = np.ones((len(rows), 1), np.bool_)
    first = np.maximum.accumulate(np.where(np.hstack([edge, change]), place, 0), axis=1)
    ends = np.where(np.hstack([change, edge]), place, place.size)
    last = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty(rows.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, axis=1)
    return ranks
