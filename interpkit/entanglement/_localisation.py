"""How well a layer's maps find the object of an image's class, without having been shown where it is."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from interpkit.entanglement._head import Head
from interpkit.entanglement._objects import Objects, drawn, find_objects
from interpkit.entanglement._sample import Sample
from interpkit.probe import unit_gradients
from interpkit.quantiles import UpperQuantile
from interpkit.results import Localisation

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# Share of an image, and of a unit's activations, that counts as foreground.
SHARE = 0.3
# Units read on the label grid at a time: 26 MB on a grid of 112 x 112.
_CHUNK = 512
# Of the gradient map's blur, as a share of the image's height: 30 pixels of 128, cut off after as many.
_BLUR = 30 / 128


def localise(
    sample: Sample,
    head: Head,
    *,
    ranking: Floats | None = None,
    units: int = 30,
    at_most: int = 1000,
    gradients: int = 60,
    seed: int = 0,
) -> tuple[Localisation, ...]:
    """Compare three kinds of maps with the masks of objects: class activation maps, activation maps, gradient maps.

    After the evaluation of Liang et al. (ECCV 2020), released code. Half of the images choose units, the other half is
    judged; and every map is also judged by the mask of another image, which is what chance gives.

    Class activation map: the head's view of the image's class, read on the label grid; its highest 30 % of pixels.
    Activation map: each unit where it reaches the value that 30 % of its activations reach; a unit stands for the class
    it finds most often on the images that choose. Neither counts a place at the minimum. Gradient map: for the units
    that are highest on a class, the size of the gradient of their mean activation by pixel, in units of its root mean
    square, blurred; where it is above 1.

    Parameters
    ----------
    sample : Sample
    head : Head
    ranking : (U, K) | None
        Units for the gradient maps are those with the highest values of a class; default: their mean pooled activation.
    units : int
        How many units a class for the gradient maps.
    at_most, gradients : int
        On how many images at most; gradient maps take a backward pass for every unit.
    seed : int
        For the halves and the masks of chance.

    Raises
    ------
    InterpkitError
        If the label set has no masks of its classes.
    """
    objects = find_objects(sample, at_most=at_most, seed=seed)
    if ranking is None:
        ranking = _mean_activation(sample, objects)
    chosen = drawn(objects, at_most=gradients, seed=seed)
    return (
        _class_maps(sample, head, objects),
        _activation_maps(sample, objects),
        _gradient_maps(sample, objects, chosen, order=np.argsort(-ranking, axis=0, kind="stable")[:units]),
    )


def rates(ious: Floats, *, inclusive: bool) -> tuple[float, float, float]:
    """Mean of IoUs (n,), and the shares of them above 0.2 and above 0.3; with ``inclusive``, or equal to.

    Examples
    --------
    >>> rates(np.array([0.2, 0.4]), inclusive=False)
    (0.30000000000000004, 0.5, 0.5)
    """
    reach = np.greater_equal if inclusive else np.greater
    return float(ious.mean()), float(reach(ious, 0.2).mean()), float(reach(ious, 0.3).mean())


def overlap(foreground: Tensor, masks: Tensor) -> Tensor:
    """IoU (..., n, m) of foregrounds (..., n, pixels) with masks (..., m, pixels), of 0 and 1; 0 for an empty union."""
    both = foreground @ masks.transpose(-1, -2)
    either = foreground.sum(-1)[..., :, None] + masks.sum(-1)[..., None, :] - both
    return both / either.clamp(min=1)


def on_grid(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """Maps (n, m, h, w) read bilinearly on a grid, cells spread evenly: (n, m, sh * sw)."""
    return functional.interpolate(maps, size=grid, mode="bilinear", align_corners=False).flatten(2)


def highest(maps: Tensor, share: float = SHARE) -> Tensor:
    """Foreground of maps (..., pixels): 1 from the floor(share * pixels)-th largest value upwards, else 0.

    Never where a map is at its minimum: behind a ReLU that may be most of it.
    """
    count = max(1, int(share * maps.shape[-1]))
    level = maps.topk(count).values[..., -1:]
    return ((maps >= level) & (maps > maps.amin(-1, keepdim=True))).float()


def steepest(gradient: Tensor, grid: tuple[int, int], *, blurred: bool = True) -> Tensor:
    """Foreground (n, sh * sw) of gradients (n, channels, H, W) with respect to images."""
    size = gradient.float().norm(dim=1, keepdim=True)
    size = size / size.square().mean((2, 3), keepdim=True).sqrt().clamp(min=1e-30)
    if blurred:
        size = _blur(size)
    return (on_grid(size, grid)[:, 0] > 1).float()


def _blur(maps: Tensor) -> Tensor:
    """Maps (n, 1, H, W) under a Gaussian."""
    height, width = maps.shape[2:]
    deviation = _BLUR * height
    half = min(round(deviation), height - 1, width - 1)
    steps = torch.arange(-half, half + 1, dtype=maps.dtype, device=maps.device)
    bell = torch.exp(-0.5 * (steps / deviation) ** 2)
    bell = bell / bell.sum()
    maps = functional.pad(maps, (half, half, half, half), mode="reflect")
    return functional.conv2d(functional.conv2d(maps, bell[None, None, :, None]), bell[None, None, None, :])


def _mean_activation(sample: Sample, objects: Objects) -> Floats:
    """(U, K) mean pooled activation over the images of each class that choose."""
    chooses = ~objects.judged
    means = np.zeros((sample.pooled.shape[1], len(sample.names)))
    for one in np.unique(objects.label[chooses]):
        means[:, one] = sample.pooled[objects.place[chooses & (objects.label == one)]].mean(0, dtype=np.float64)
    return means


@dataclass(eq=False)
class _Found:
    """IoUs of pairs with their own masks and with their partners', (n, 2) at a time."""

    ious: list[npt.NDArray[np.float32]] = field(default_factory=list)

    def add(self, ious: Tensor) -> None:
        self.ious.append(ious.cpu().numpy())

    def result(self, method: str, words: str, *, inclusive: bool) -> Localisation:
        own, chance = np.concatenate(self.ious).astype(np.float64).T
        rated = (rates(one, inclusive=inclusive) for one in (own, chance))
        return _result(method, words, next(rated), chance=next(rated), images=len(own))


def _result(method: str, words: str, own: Sequence[float], *, chance: Sequence[float], images: int) -> Localisation:
    return Localisation(
        method=method,
        words=words,
        mean_iou=own[0],
        ap20=own[1],
        ap30=own[2],
        chance_iou=chance[0],
        chance_ap20=chance[1],
        chance_ap30=chance[2],
        images=images,
    )


def _class_maps(sample: Sample, head: Head, objects: Objects) -> Localisation:
    """CAM or Grad-CAM of every judged pair's class."""
    found, done = _Found(), 0
    with sample.batches(np.unique(objects.place[objects.judged])) as batches:
        for batch in batches:
            for pairs, inside in objects.of(batch.rows, objects.judged):
                maps = head.surface(batch.images[inside], objects.place[pairs], classes=objects.label[pairs])
                foreground = highest(on_grid(maps[:, None].float(), objects.grid))
                masks = torch.from_numpy(objects.both(pairs)).to(foreground.device)
                found.add(overlap(foreground, masks)[:, 0])
                done += len(pairs)
            sample.progress("class activation maps", done, int(objects.judged.sum()))
    graded = "the head is no linear layer on pooled maps, so the maps are weighted by its gradient; "
    why = "" if head.surface_method == "CAM" else graded
    words = f"{why}the {SHARE:.0%} highest pixels of the map of each image's class; head: {head.words}"
    return found.result(head.surface_method, words, inclusive=False)


def _activation_maps(sample: Sample, objects: Objects) -> Localisation:
    """Every unit where it is high, judged by the class it finds most often."""
    level = _levels(sample, objects)
    # By half (choosing, judged), mask (own, partner's), and IoU or whether it is above 0.2 and 0.3.
    sums = np.zeros((2, 2, 3, sample.pooled.shape[1], len(sample.names)), np.float32)
    everyone = np.ones(len(objects.place), np.bool_)
    with sample.batches(np.unique(objects.place)) as batches:
        for batch in batches:
            maps = sample.looked(batch.images)[sample.layer]
            for pairs, inside in objects.of(batch.rows, everyone):
                masks = torch.from_numpy(objects.both(pairs)).to(maps.device)
                for pair, at, both in zip(pairs, inside, masks, strict=True):
                    ious = _unit_ious(maps[at], level, both, grid=objects.grid).T.cpu().numpy()
                    reached = np.stack([ious, ious > 0.2, ious > 0.3], axis=1)
                    sums[int(objects.judged[pair]), :, :, :, objects.label[pair]] += reached
            sample.progress("activation maps", int(batch.rows[-1]) + 1, len(sample.rows))
    counts = np.stack([np.bincount(objects.label[objects.judged == half], minlength=sums.shape[-1]) for half in (0, 1)])
    own, chance = (_by_unit(sums[:, mask], counts) for mask in (0, 1))
    words = (
        f"each unit where it is at least as high as in {SHARE:.0%} of all places, for the class it finds most often in "
        "the other half of the images; means over the units"
    )
    return _result("activation map", words, own, chance=chance, images=int(objects.judged.sum()))


def _levels(sample: Sample, objects: Objects) -> Tensor:
    """(U,) the value that each unit reaches in 30 % of all places, or the next one above its minimum."""
    count, h, w = sample.looked.shapes()[sample.layer]
    places = np.unique(objects.place)
    quantile = UpperQuantile(count, len(places) * h * w, quantile=SHARE)
    with sample.batches(places) as batches:
        for batch in batches:
            maps = sample.looked(batch.images)[sample.layer].float().cpu().numpy()
            quantile.add(np.ascontiguousarray(maps.swapaxes(0, 1).reshape(count, -1)))
            sample.progress("levels of activation", int(batch.rows[-1]) + 1, len(sample.rows))
    found = quantile.result()
    return torch.from_numpy(
        np.where(found > quantile.minimum, found, np.nextafter(quantile.minimum, np.float32(np.inf)))
    )


def _unit_ious(maps: Tensor, level: Tensor, masks: Tensor, *, grid: tuple[int, int]) -> Tensor:
    """(U, m) IoU of an image's maps (U, h, w), cut off at ``level`` (U,), with masks (m, pixels)."""
    level = level.to(maps.device)
    return torch.cat(
        [
            overlap((on_grid(some[None].float(), grid)[0] >= cut[:, None]).float(), masks)
            for some, cut in zip(torch.split(maps, _CHUNK), torch.split(level, _CHUNK), strict=True)
        ]
    )


def _by_unit(sums: npt.NDArray[np.float32], counts: npt.NDArray[np.int64]) -> list[float]:
    """Mean IoU, AP20 and AP30 over units, each on the class that it finds most often in the half that chooses.

    ``sums`` (2, 3, U, K) and ``counts`` (2, K) are by half.
    """
    share = sums[:, :, :, (counts > 0).all(0)].astype(np.float64) / counts[:, None, None, (counts > 0).all(0)]
    # Of classes found equally often, the one with the larger IoU.
    best = (share[0, 2] + 1e-6 * share[0, 0]).argmax(-1)
    return [float(one[np.arange(len(best)), best].mean()) for one in share[1]]


def _gradient_maps(sample: Sample, objects: Objects, chosen: Bools, *, order: npt.NDArray[np.int64]) -> Localisation:
    """The pixels on which the units ``order`` (F, K) of each class depend most, for the chosen pairs."""
    found, done = _Found(), 0
    with sample.batches(np.unique(objects.place[chosen])) as batches:
        for batch in batches:
            for pairs, inside in objects.of(batch.rows, chosen):
                units = torch.from_numpy(np.ascontiguousarray(order[:, objects.label[pairs]].T))
                masks = torch.from_numpy(objects.both(pairs)).to(batch.images.device)
                gradients = unit_gradients(sample.looked, sample.layer, batch.images[inside], units=units)
                ious = [overlap(steepest(one, objects.grid)[:, None], masks)[:, 0] for one in gradients]
                found.add(torch.stack(ious).mean(0))
                done += len(pairs)
            sample.progress("gradient maps", done, int(chosen.sum()))
    words = (
        f"{len(order)} unit{'' if len(order) == 1 else 's'} a class, the highest on the other half of the images; mean "
        "over them of the IoU of each one's gradient map"
    )
    return found.result("gradient map", words, inclusive=True)
