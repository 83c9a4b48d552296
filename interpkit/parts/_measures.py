"""The three measures of one layer, from what the pass kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from interpkit import location
from interpkit.errors import ImageError
from interpkit.geometry import Field, Placement, receptive_fields
from interpkit.labels import LabelSet, part_masks, part_rows
from interpkit.parts import _association as association
from interpkit.parts._checks import Classes
from interpkit.parts._observe import Observed
from interpkit.probe import Probe
from interpkit.results import Association, Stability, TemplateScores
from interpkit.running import Progress
from interpkit.templates import BETA, auc, calibrated_tau, dead, paper_tau, peak_level, template_statistics

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Under as many annotated images a unit's lowest mean over several classes owes more to luck than to the unit.
FEW_ANNOTATED = 50
SWEEP = (1.0, 2.0, 4.0)
CHOSEN = 1


@dataclass(frozen=True, eq=False)
class Landmarks:
    """P landmarks of N images: their names, and (N, P, 2) input pixels (row, column), NaN where not annotated."""

    names: tuple[str, ...]
    places: Floats


def landmarks_of(labels: LabelSet, size: tuple[int, int], *, skip_bad: bool) -> Landmarks | None:
    """The landmarks on an input of ``size`` (H, W); None for a set without any.

    Raises
    ------
    LabelSetError
        If a landmark lies outside its image.
    ImageError
        If an image with landmarks cannot be read, unless ``skip_bad``.
    """
    if labels.landmarks is None:
        return None
    if not skip_bad:
        return Landmarks(*labels.landmarks_of_input(size))
    readable = [row for row in range(len(labels)) if _has_size(labels, row)]
    if not readable:
        return None  # the pass will say so
    names, there = labels.without(set(range(len(labels))) - set(readable)).landmarks_of_input(size)
    places = np.full((len(labels), *there.shape[1:]), np.nan)
    places[readable] = there
    return Landmarks(names, places)


def _has_size(labels: LabelSet, row: int) -> bool:
    """Whether the header of an image can be read."""
    try:
        labels.stored_size(row)
    except ImageError:
        return False
    return True


def cell_centres(placement: Placement, map_size: tuple[int, int]) -> Floats:
    """(h w, 2) where the cells' centres lie, input pixels."""
    rows, columns = (
        start + step * np.arange(cells)
        for start, step, cells in zip(placement.start, placement.stride, map_size, strict=True)
    )
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def measure_stability(
    seen: Observed,
    landmarks: Landmarks,
    classes: Classes,
    *,
    cells: Floats,
    input_size: tuple[int, int],
    top: int,
    seed: int,
) -> Stability:
    """Location instability within each class, and what chance gives on the same landmarks."""
    diagonal = float(np.hypot(*input_size))
    found, chance = [], []
    for k in range(len(classes.names)):
        mine = np.flatnonzero(classes.member[:, k])
        places = landmarks.places[mine]
        found.append(
            location.instability(cells[seen.cell[mine]], seen.located[mine], places, diagonal=diagonal, top=top)
        )
        chance.append(location.baselines(places, cells, diagonal=diagonal, top=top, seed=seed + k))
    return Stability(
        classes=classes.names,
        parts=landmarks.names,
        deviation=np.stack([one.deviation for one in found], axis=-1),
        explained=np.stack([one.explained for one in found], axis=-1),
        spread=np.stack([one.spread for one in found], axis=-1),
        judged=_judged(seen, landmarks, classes, top=top),
        used=np.stack([one.used for one in found], axis=-1),
        random=np.stack([one.random for one in chance], axis=-1),
        centre=np.stack([one.centre for one in chance], axis=-1),
        constant=np.stack([one.constant for one in chance], axis=-1),
        top=top,
    )


def few_annotated(landmarks: Landmarks, classes: Classes) -> tuple[str, ...]:
    """What must be said where a landmark of a class is annotated in few images; ``classes`` of the same images."""
    annotated = np.isfinite(landmarks.places).all(2)
    counts = np.stack([(annotated & of_class[:, None]).sum(0) for of_class in classes.member.T], axis=-1)
    few = (counts >= 2) & (counts < FEW_ANNOTATED)
    if not few.any():
        return ()
    p, k = np.unravel_index(np.where(few, counts, FEW_ANNOTATED).argmin(), counts.shape)
    least = f"{landmarks.names[p]} of {classes.names[k]}" if classes.names[k] else landmarks.names[p]
    return (
        f"{few.sum():,} of {(counts >= 2).sum():,} landmarks of a class are annotated in fewer than {FEW_ANNOTATED} "
        f"images, {least} in {counts[p, k]}: a deviation over few images may be small by luck",
    )


def _judged(seen: Observed, landmarks: Landmarks, classes: Classes, *, top: int) -> Ints:
    """(U, P, K) images of class k that show landmark p and on which the unit fires, at most ``top``."""
    fires = (seen.located > 0).astype(np.float64)
    annotated = np.isfinite(landmarks.places).all(2)
    counts = [fires.T @ (annotated & of_class[:, None]) for of_class in classes.member.T]
    judged: Ints = np.minimum(np.stack(counts, axis=-1), top).astype(np.int64)
    return judged


def measure_templates(seen: Observed, classes: Classes, *, seed: int, progress: Progress) -> TemplateScores:
    """The template diagnostics at the calibrated heights and at the paper's, and those of shuffled values."""
    images, units, h, w = seen.maps.shape
    level = peak_level(seen.peak)
    taus = [calibrated_tau(level, (h, w), c=c) for c in SWEEP] + [np.full(units, paper_tau((h, w)))]
    found = template_statistics(seen.maps, taus, progress=partial(progress, "templates"))
    shuffled = template_statistics(
        seen.maps, [taus[CHOSEN]], shuffle=seed, progress=partial(progress, "shuffled templates")
    )[0]
    known = classes.known and len(classes.names) > 1
    member = classes.member if known else np.zeros((images, 0), np.bool_)
    return TemplateScores(
        classes=classes.names if known else (),
        settings=(*(f"c = {c:g}" for c in SWEEP), "paper"),
        chosen=CHOSEN,
        tau=np.stack([one.tau for one in found]),
        information=np.stack([one.information for one in found]),
        ratio=np.stack([one.ratio for one in found]),
        inter=np.stack([one.inter for one in found]),
        spatial=np.stack([one.spatial for one in found]),
        auc=auc(found[CHOSEN].log_odds, member),
        flagged=dead(level),
        chance=shuffled.ratio,
        beta=BETA,
        images=images,
    )


def masked_parts(labels: LabelSet) -> Ints:
    """Rows of the concepts that are parts with masks; empty for a set without label maps."""
    return part_rows(labels.concepts).astype(np.int64) if labels.grid else np.zeros(0, np.int64)


def radius_of(probe: Probe, layer: str, *, asked: float | None) -> tuple[float, str]:
    """The radius of the disc that stands for an active cell, and where it comes from, in words."""
    size = probe.preprocessing.size
    largest = association.LARGEST_RADIUS * min(size)
    if asked is not None:
        return asked, "as asked"
    field = receptive_fields(probe.loaded, [layer])[layer]
    if not isinstance(field, Field):
        return largest, f"an eighth of the image: the layer has no receptive field to measure ({field})"
    radius = association.default_radius(field, size)
    if radius < largest:
        return radius, "half the measured receptive field"
    rows, columns = field.size
    return radius, f"an eighth of the image, since the receptive field is {rows} x {columns} pixels"


def measure_association(
    seen: Observed,
    labels: LabelSet,
    rows: Ints,
    *,
    placement: Placement,
    probe: Probe,
    layer: str,
    radius: float | None,
    seed: int,
    progress: Progress,
) -> Association | None:
    """How well the units' fields overlap part masks, and the masks of other images; None where no image has a part."""
    concepts = masked_parts(labels)
    length, why = radius_of(probe, layer, asked=radius)
    grid = labels.grid or (1, 1)
    tally = association.Association(
        seen.thresholds,
        placement,
        map_size=(seen.maps.shape[2], seen.maps.shape[3]),
        input_size=probe.preprocessing.size,
        grid=grid,
        radius=length,
        parts=len(concepts),
    )
    partner = _others(len(rows), seed=seed)
    for place, row in enumerate(rows.tolist()):
        masks = part_masks(labels.labels(row), concepts)
        other = part_masks(labels.labels(int(rows[partner[place]])), concepts)
        tally.add(seen.maps[place], masks, other)
        progress("part masks", place + 1, len(rows))
    found = tally.result()
    used = found.images > 0
    if not used.any():
        return None
    names: Sequence[str] = labels.concepts["name"].iloc[concepts[used]].tolist()
    return Association(
        parts=tuple(names),
        strict=found.strict[:, used],
        loose=found.loose[:, used],
        chance_strict=found.chance_strict[:, used],
        chance_loose=found.chance_loose[:, used],
        images=found.images[used],
        radius=length,
        why=why,
    )


def _others(images: int, *, seed: int) -> Ints:
    """(N,) for each image another one, each serving once: a random cycle through all."""
    order = np.random.default_rng(seed).permutation(images)
    partner = np.empty(images, np.int64)
    partner[order] = np.roll(order, 1)
    return partner
