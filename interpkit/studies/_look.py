"""What a page shows of both networks: the same units on the same images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from interpkit.comparison import Look
from interpkit.gallery import Outlining, make_gallery
from interpkit.geometry import half_pixel
from interpkit.labels import LabelSet
from interpkit.probe import Probe
from interpkit.running import Fed, LabelSetPictures, fed, forward, label_grid

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Two units a class on three images each, looked for on the first images of the largest classes.
CLASSES, UNITS_A_CLASS, IMAGES, LOOKED_AT = 12, 2, 3, 24
# The images are few: no need to try how they are fed fastest.
_BATCH = 8


def look_at(probes: tuple[Probe, Probe], labels: LabelSet, *, threads: int | None, skip_bad: bool) -> Look:
    """The units that tell a class best in the second network, in both networks, on the same images of that class.

    A unit is outlined where it is above half of its highest peak on the images looked at, in either network by its own.
    Nothing is shown of a set without classes.
    """
    candidates, member = _candidates(labels)
    if not len(candidates):
        return Look()
    feeding: dict[str, Any] = {"batch_size": _BATCH, "memory_format": "contiguous"}
    seen = []
    for probe in probes:
        with fed(probe, candidates, threads=threads, skip_bad=skip_bad, **feeding) as ready:
            seen.append((ready.feeding, *_peaks(probe, ready)))
    (_, rows, before), (_, _, after) = seen
    entries = [(unit, int(rows[image])) for unit, image in shown(before, after, member[rows])]
    first, last = (
        make_gallery(probe, candidates, entries, outlining=_outlining(probe, candidates, peaks), feeding=how)
        for probe, (how, _, peaks) in zip(probes, seen, strict=True)
    )
    return Look((first, last), LabelSetPictures(candidates, first.names))


def shown(before: Floats, after: Floats, member: Bools) -> list[tuple[int, int]]:
    """Pairs (unit, image): for each class the units that tell it best after, on its images where they peak in both.

    A unit tells a class by how far its mean peak there lies above that on other images, as a share of its highest.

    Parameters
    ----------
    before, after
        (n, U) largest activations in either network.
    member
        (n, K) which image is of which class.
    """
    scaled = [one / np.maximum(one.max(0), np.finfo(np.float32).tiny) for one in (before, after)]
    height = scaled[0] + scaled[1]
    entries: list[tuple[int, int]] = []
    taken = np.zeros(after.shape[1], np.bool_)
    for of_class in member.T:
        if not of_class.any() or of_class.all():
            continue
        gap = np.where(taken, 0, scaled[1][of_class].mean(0) - scaled[1][~of_class].mean(0))
        for unit in np.argsort(-gap, kind="stable")[:UNITS_A_CLASS].tolist():
            if gap[unit] > 0:
                images = np.flatnonzero(of_class)
                best = images[np.argsort(-height[images, unit], kind="stable")][:IMAGES]
                entries += [(unit, int(image)) for image in best]
                taken[unit] = True
    return entries


def of_names(labels: LabelSet, names: Sequence[str]) -> LabelSet:
    """The images of these names."""
    wanted = set(names)
    return labels.without(i for i, name in enumerate(labels.images["image"]) if str(name) not in wanted)


def _candidates(labels: LabelSet) -> tuple[LabelSet, Bools]:
    """The first images of the largest classes, and (N, K) which of them is of which class."""
    table = labels.classes
    if table is None:
        return of_names(labels, ()), np.zeros((0, 0), np.bool_)
    largest = sorted(table["class"].value_counts().index[:CLASSES])
    images = {name: table.loc[table["class"] == name, "image"].tolist() for name in largest}
    chosen = of_names(labels, [image for one in images.values() for image in one[:LOOKED_AT]])
    of = {name: set(one) for name, one in images.items()}
    member = [[image in of[name] for name in largest] for image in chosen.images["image"]]
    return chosen, np.array(member, np.bool_).reshape(len(chosen), len(largest))


def _peaks(probe: Probe, ready: Fed) -> tuple[Ints, Floats]:
    """(n,) the rows that could be read, and (n, U) each unit's largest activation on them."""
    rows, peaks = [], []
    for batch in ready.feeder.batches():
        rows.append(batch.rows)
        peaks.append(forward(probe, batch)[probe.layers[0]].max((2, 3)))
    return np.concatenate(rows), np.concatenate(peaks)


def _outlining(probe: Probe, labels: LabelSet, peaks: Floats) -> Outlining:
    """Outlines of half of each unit's own peak."""
    layer = probe.layers[0]
    _, h, w = probe.shapes()[layer]
    thresholds = peaks.max(0) / 2
    return Outlining(
        layer=layer,
        placement=half_pixel(probe.preprocessing.size, (h, w)),
        grid=label_grid(labels, probe),
        thresholds=thresholds,
        silent=thresholds <= 0,
    )
