"""How well a layer tells adversarial images from clean ones."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import cross_entropy

from interpkit.entanglement._head import Head
from interpkit.entanglement._sample import Sample, evenly
from interpkit.errors import InterpkitError, nearest
from interpkit.probe import input_gradient
from interpkit.results import Adversarial

Attack = Literal["FGSM", "PGD"]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

ATTACKS: tuple[Attack, ...] = ("FGSM", "PGD")
FOLDS = 5
# With fewer, a fold holds a single pair.
FEWEST_PAIRS = 10


def detect(
    sample: Sample,
    head: Head,
    *,
    attack: Attack = "FGSM",
    epsilon: float = 8 / 255,
    steps: int = 10,
    at_most: int = 200,
    trees: int = 100,
    seeds: int = 3,
    seed: int = 0,
) -> Adversarial:
    """Attack the head's answers, and let a random forest find the attacked images by the layer's pooled activations.

    Every image that the head gets right and the attack turns gives a pair. The forest is cross-validated over pairs,
    so that it never knows an image's clean copy. Attacks and settings are ours (those of Liang et al., ECCV 2020, were
    not published).

    Parameters
    ----------
    sample : Sample
    head : Head
    attack : str
        ``FGSM``: one step along the sign of the gradient of the cross-entropy (Goodfellow et al., ICLR 2015); ``PGD``:
        ``steps`` steps of a quarter of ``epsilon``, from the image itself, each brought back to what ``epsilon`` allows
        (Madry et al., ICLR 2018).
    epsilon : float
        Largest change of a value on the 0..1 scale of the image.
    at_most : int
        On how many images at most, evenly over the classes.
    trees, seeds : int
        Trees of a forest, and how many forests.
    seed : int

    Raises
    ------
    InterpkitError
        If an image may be of several classes, an option makes no sense, or fewer than ten images were turned.
    """
    _check(sample, attack, epsilon=epsilon, least=min(steps, at_most, trees, seeds))
    label = sample.member.argmax(1)
    places = evenly(label, at_most=at_most, seed=seed)
    reach = Reach(epsilon, epsilon, 1) if attack == "FGSM" else Reach(epsilon, epsilon / 4, steps)
    clean, attacked, right = _pairs(sample, head, places, reach=reach)
    if len(clean) < FEWEST_PAIRS:
        raise InterpkitError(
            f"{attack} with epsilon {epsilon:g} turned {len(clean)} of {right} images that the head gets right; "
            f"a forest takes at least {FEWEST_PAIRS}: more images, or a larger epsilon"
        )
    judged = np.array([_judge(clean, attacked, trees=trees, seed=seed + turn) for turn in range(seeds)])
    mean, spread = judged.mean(0), judged.std(0, ddof=min(1, seeds - 1))
    return Adversarial(
        attack=attack,
        epsilon=float(epsilon),
        pairs=len(clean),
        error=float(mean[0]),
        error_sd=float(spread[0]),
        auroc=float(mean[1]),
        auroc_sd=float(spread[1]),
        seeds=seeds,
        fooled=len(clean) / right,
    )


@dataclass(frozen=True)
class Reach:
    """How far an attack goes on the 0..1 scale: at most ``epsilon``, in so many steps of one size."""

    epsilon: float
    step: float
    steps: int


def _check(sample: Sample, attack: str, *, epsilon: float, least: int) -> None:
    if attack not in ATTACKS:
        close = nearest(attack, ATTACKS, count=1)
        hint = f"; nearest: {close[0]}" if close else ""
        raise InterpkitError(f"no attack {attack!r}; there is {', '.join(ATTACKS)}{hint}")
    if not 0 < epsilon <= 1 or least < 1:
        raise InterpkitError(
            f"an attack has an epsilon in 0..1, not {epsilon:g}, and at least 1 step, image, tree and seed"
        )
    if (sample.member.sum(1) != 1).any():
        raise InterpkitError("adversarial images need one class an image; this label set gives several, or none")


def _pairs(sample: Sample, head: Head, places: Ints, *, reach: Reach) -> tuple[Floats, Floats, int]:
    """Pooled activations (P, U) of clean images and of their attacked copies, and how many images were right at all."""
    label = torch.from_numpy(sample.member.argmax(1))
    clean, attacked, right = [np.empty((0, head.units), np.float32)], [np.empty((0, head.units), np.float32)], 0
    with sample.batches(places) as batches:
        for batch in batches:
            pooled, answer = _answers(sample, head, batch.images, places=batch.rows)
            hit = answer == label[batch.rows]
            rows, images = batch.rows[hit.numpy()], batch.images[hit.to(batch.images.device)]
            if len(rows):
                changed = attack_images(sample, head, images, places=rows, reach=reach)
                after, answer = _answers(sample, head, changed, places=rows)
                turned = answer != label[rows]
                clean.append(pooled[hit][turned].numpy())
                attacked.append(after[turned].numpy())
                right += len(rows)
            sample.progress("attacks", int(np.searchsorted(places, batch.rows[-1])) + 1, len(places))
    return np.concatenate(clean), np.concatenate(attacked), right


def _answers(sample: Sample, head: Head, images: Tensor, *, places: Ints) -> tuple[Tensor, Tensor]:
    """Pooled activations (n, U) and the head's answers (n,)."""
    maps, output = sample.looked.through(images)
    found = maps[sample.layer]
    return sample.pooling(found).float().cpu(), head.scores(found, output, places).argmax(1).cpu()


def attack_images(sample: Sample, head: Head, images: Tensor, *, places: Ints, reach: Reach) -> Tensor:
    """Attacked copies of preprocessed images (n, channels, H, W).

    The images stay on the 0..1 scale, before mean and standard deviation are taken out.
    """
    preprocessing = sample.looked.preprocessing
    mean, spread = (
        torch.tensor(values, dtype=images.dtype, device=images.device)[:, None, None]
        for values in (preprocessing.mean, preprocessing.std)
    )
    label = torch.from_numpy(sample.member[places].argmax(1)).to(images.device)

    def loss(maps: Tensor, output: Tensor) -> Tensor:
        return cross_entropy(head.scores(maps, output, places), label, reduction="none")

    start = (images * spread + mean).clamp(0, 1)
    changed = start
    for _ in range(reach.steps):
        gradient = input_gradient(sample.looked, sample.layer, (changed - mean) / spread, score=loss)
        changed = changed + reach.step * gradient.sign()
        changed = changed.clamp(start - reach.epsilon, start + reach.epsilon).clamp(0, 1)
    return (changed - mean) / spread


def _judge(clean: Floats, attacked: Floats, *, trees: int, seed: int) -> tuple[float, float]:
    """Error and area under the ROC curve of forests that have not seen the pair they judge."""
    fold = np.random.default_rng(seed).permutation(len(clean)) % FOLDS
    values, truth = np.concatenate([clean, attacked]), np.repeat([0, 1], len(clean))
    fold = np.tile(fold, 2)
    certainty = np.empty(len(values))
    for one in range(FOLDS):
        forest = RandomForestClassifier(trees, random_state=seed).fit(values[fold != one], truth[fold != one])
        certainty[fold == one] = forest.predict_proba(values[fold == one])[:, 1]
    # A forest that cannot decide is right half of the time.
    wrong = np.where(certainty == 0.5, 0.5, (certainty > 0.5) != truth)
    return float(wrong.mean()), float(roc_auc_score(truth, certainty))
