"""A linear head for networks that were trained on other classes: logistic regression on pooled activations."""

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

FOLDS = 5
# Of the solver, which stops earlier where the classes can be told apart.
_STEPS = 300


@dataclass(frozen=True, eq=False)
class Fitted:
    """F linear heads, each fitted without the images of its fold.

    Attributes
    ----------
    weight, bias
        (F, K, U) and (F, K) float32: the logits of an image are ``weight[f] @ pooled + bias[f]``.
    fold
        (N,) of each image, f.
    """

    weight: Floats
    bias: Floats
    fold: npt.NDArray[np.int64]


def fit_logistic(pooled: Floats, member: Bools, *, seed: int) -> Fitted:
    """Fit a head on pooled activations (N, U) of images with classes (N, K).

    Activations are standardised; L2 penalty, C = 1; one multinomial regression where every image has one class, else
    one regression a class.
    """
    fold = folds(member, seed=seed)
    heads = [_fit(pooled[fold != f], member[fold != f]) for f in range(int(fold.max()) + 1)]
    weight, bias = zip(*heads, strict=True)
    return Fitted(np.stack(weight), np.stack(bias), fold)


def folds(member: Bools, *, seed: int) -> npt.NDArray[np.int64]:
    """(N,) fold of each image, 0 ... 4: every class, or set of classes, is spread over them as evenly as it goes.

    A class of two images or more is never missing from what a head is fitted on.
    """
    order = np.random.default_rng(seed).permutation(len(member))
    # Classes from the rarest, so that images of several go where their rarest class needs them.
    rarest = np.argsort(member.sum(0), kind="stable")
    order = order[np.argmax(member[order][:, rarest], axis=1).argsort(kind="stable")]
    fold = np.empty(len(member), np.int64)
    fold[order] = np.arange(len(member)) % min(FOLDS, len(member))
    return fold


def _fit(pooled: Floats, member: Bools) -> tuple[Floats, Floats]:
    mean = pooled.mean(0, dtype=np.float64)
    spread = pooled.std(0, dtype=np.float64)
    spread[spread == 0] = 1
    standard = ((pooled - mean) / spread).astype(np.float32)
    if (member.sum(1) == 1).all():
        weight, bias = _regression(standard, member.argmax(1), classes=member.shape[1])
    else:
        pairs = [_regression(standard, column.astype(np.int64), classes=2) for column in member.T]
        # Of the two classes, present and absent, the difference decides.
        weight = np.stack([w[1] - w[0] for w, _ in pairs])
        bias = np.stack([b[1] - b[0] for _, b in pairs])
    weight = weight / spread
    return weight.astype(np.float32), (bias - weight @ mean).astype(np.float32)


def _regression(
    standard: Floats, target: npt.NDArray[np.int64], *, classes: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Weights (classes, U) and biases (classes,) of a multinomial regression."""
    weight = np.zeros((classes, standard.shape[1]))
    # A class that no image here has is as unlikely as half an image makes it.
    bias = np.full(classes, -np.log(2 * len(target) + 1.0))
    have = np.unique(target)
    if len(have) == 1:
        bias[have] = 0
        return weight, bias
    model = LogisticRegression(max_iter=_STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(standard, target)
    binary = len(have) == 2
    weight[have] = np.concatenate([-model.coef_, model.coef_]) / 2 if binary else model.coef_
    bias[have] = np.concatenate([-model.intercept_, model.intercept_]) / 2 if binary else model.intercept_
    return weight, bias
