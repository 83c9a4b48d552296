"""The part templates by their definition: every template, image and cell in a loop, in float64."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """Of one unit; T counts the positive templates in row order and the negative one last."""

    image_given_template: Floats  # (N, T)
    image: Floats  # (N,)
    template_given_image: Floats  # (N, T)
    information: float
    prior_entropy: float
    inter: float
    inter_bound: float
    spatial: float
    spatial_bound: float
    entropy: Floats  # (N,)
    positive: Floats  # (N,)


def template(h: int, w: int, cell: tuple[int, int] | None, *, beta: float) -> list[list[float]]:
    """The positive template of a cell, or the negative one for None."""
    if cell is None:
        return [[-1.0] * w for _ in range(h)]
    r, c = cell
    return [[max(1 - beta * (abs(i - r) + abs(j - c)) / max(h, w), -1.0) for j in range(w)] for i in range(h)]


def xlogx(p: float) -> float:
    return p * math.log(p) if p > 0 else 0.0


def judge(maps: Floats, *, tau: float, beta: float = 4.0, alpha: float | None = None) -> Answer:
    """Maps (N, h, w) of one unit."""
    n, h, w = maps.shape
    cells = h * w
    share = cells / (cells + 1) if alpha is None else alpha
    prior = [share / cells] * cells + [1 - share]
    shapes = [template(h, w, (r, c), beta=beta) for r in range(h) for c in range(w)] + [template(h, w, None, beta=beta)]
    given = np.empty((n, cells + 1))
    for t, shape in enumerate(shapes):
        scores = [tau * math.fsum(x[i][j] * shape[i][j] for i in range(h) for j in range(w)) for x in maps.tolist()]
        weights = [math.exp(score - max(scores)) for score in scores]
        given[:, t] = [weight / math.fsum(weights) for weight in weights]
    image = np.array([math.fsum(prior[t] * given[x, t] for t in range(cells + 1)) for x in range(n)])
    back = np.array([[prior[t] * given[x, t] / image[x] for t in range(cells + 1)] for x in range(n)])
    positive = back[:, :-1].sum(1)
    entropy = np.array([-math.fsum(xlogx(q / positive[x]) for q in back[x, :-1]) for x in range(n)])
    return Answer(
        image_given_template=given,
        image=image,
        template_given_image=back,
        information=math.fsum(
            prior[t] * given[x, t] * math.log(given[x, t] / image[x])
            for t in range(cells + 1)
            for x in range(n)
            if given[x, t] > 0
        ),
        prior_entropy=-math.fsum(xlogx(p) for p in prior),
        inter=-math.fsum(image[x] * (xlogx(back[x, -1]) + xlogx(positive[x])) for x in range(n)),
        inter_bound=-xlogx(share) - xlogx(1 - share),
        spatial=math.fsum(image[x] * positive[x] * entropy[x] for x in range(n)),
        spatial_bound=share * math.log(cells),
        entropy=entropy,
        positive=positive,
    )


def auc(evidence: list[float], member: list[bool]) -> float:
    """Share of pairs, one image of the class and one other, in which the class has more evidence; equal ones half."""
    inside = [e for e, m in zip(evidence, member, strict=True) if m]
    outside = [e for e, m in zip(evidence, member, strict=True) if not m]
    if not inside or not outside:
        return math.nan
    won = sum((a > b) + (a == b) / 2 for a in inside for b in outside)
    return won / (len(inside) * len(outside))
