"""check(): everything that is wrong with a label set, and what it holds category by category."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpkit.errors import ImageError, LabelSetError
from interpkit.labels.contents import ImageLabels
from interpkit.labels.decoding import decode_photograph
from interpkit.labels.findings import Finding
from interpkit.labels.folders import list_pngs
from interpkit.labels.inside import check_inside
from interpkit.labels.labelset import LabelSet
from interpkit.labels.landmarks import outside, stored_landmarks
from interpkit.labels.places import locate
from interpkit.labels.tables import report_repeats


@dataclass(frozen=True, eq=False)
class CheckReport:
    """What ``check`` found.

    Attributes
    ----------
    name, root, layout
        The label set.
    images
        N, or 0 where its tables could not be read.
    findings
        Every fault, in the order of the set's tables.
    summary
        (G rows) ``category``; ``concepts``: how many are listed with it as their primary category; ``used``: how many
        of those occur; ``kind``: "pixel", "image" or both; ``images``: how many hold one; ``images per concept`` and
        ``coverage``: means over the concepts that occur, of the images that hold it and of the share of the label grid
        that it covers there.
    """

    name: str
    root: Path
    layout: str
    images: int
    findings: tuple[Finding, ...]
    summary: pd.DataFrame

    @property
    def good(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def lines(self) -> list[str]:
        """Write out the report: one line a finding, then the summary as a table, then the count."""
        head = f"{self.name}: {self.layout}, {self.images} images, in {self.root}"
        table = _aligned(self.summary) if len(self.summary) else []
        count = len(self.findings)
        verdict = "nothing wrong" if self.good else f"{count} finding" + ("s" if count > 1 else "")
        return [head, *map(str, self.findings), *table, verdict]


def check(path_or_name: str | Path) -> CheckReport:
    """Look at every table, image and label map of a label set.

    Found are: missing files, unreadable images and label maps, sizes that disagree with the index, label numbers that
    are not listed, paths that lead outside, rows listed twice, masks without an image and images without a mask,
    labels that never occur and categories without labels.

    Raises
    ------
    UnknownNameError, LabelSetError
        If there is no such label set. What is wrong inside one is never raised.
    """
    found = locate(path_or_name)
    findings: list[Finding] = []
    try:
        labels = LabelSet.read(found, findings.append)
    except LabelSetError as error:
        # Nothing more can be told of a set whose tables cannot be read.
        last = Finding(str(error), error=type(error))
        return CheckReport(found.name, found.root, found.layout.name, 0, (*findings, last), _summary(None, None))
    if labels.listed_in(0) != labels.images["image"].iloc[0]:
        report_repeats(labels.images, "image", file=labels.listed_in(0), complain=findings.append)
    tally = _Tally.empty(labels)
    for i in range(len(labels)):
        findings += _image_faults(labels, i)
        if labels.grid is not None:
            tally.add(labels.labels_with(i, findings.append))
    findings += [*_mask_faults(labels), *_landmark_faults(labels), *_label_faults(labels, tally)]
    return CheckReport(labels.name, labels.root, labels.layout, len(labels), tuple(findings), _summary(labels, tally))


def _image_faults(labels: LabelSet, i: int) -> Iterator[Finding]:
    name, place = str(labels.images["image"].iloc[i]), (labels.listed_in(i), labels.line(i))
    said = f"image {name} " if place[1] is not None else ""
    try:
        check_inside(labels.path(i), str(labels.root.resolve()))
        width, height = decode_photograph(labels.path(i), upright=False).size
    except ImageError as error:
        yield Finding(f"{said}{error}", *place, ImageError)
        return
    if {"ih", "iw"} <= set(labels.images.columns):
        ih, iw = (int(labels.images[column].iloc[i]) for column in ("ih", "iw"))
        if (height, width) != (ih, iw):
            yield Finding(f"{said}is {height} x {width} pixels where ih x iw is {ih} x {iw}", *place)


def _mask_faults(labels: LabelSet) -> Iterator[Finding]:
    """Find masks without an image and images without a mask, where nothing but their names joins them."""
    if labels.layout != "segmentation-folder":
        return
    files = [labels.files(i)[1:] for i in range(len(labels))]
    for i, masks in enumerate(files):
        if not masks:
            yield Finding("has no mask", str(labels.images["image"].iloc[i]))
    folder = labels.root / str(labels.manifest.get("masks", "masks"))
    used = {mask.relative_to(folder).as_posix() for masks in files for mask in masks}
    for mask in list_pngs(folder, root=labels.root):
        if mask not in used:
            yield Finding("belongs to no image", f"{folder.name}/{mask}")


def _landmark_faults(labels: LabelSet) -> Iterator[Finding]:
    """Find landmarks outside their images."""
    if labels.landmarks is None:
        return
    names, points = stored_landmarks(labels)
    sizes = np.ones((len(labels), 2))
    for i in np.flatnonzero(np.isfinite(points).any(axis=(1, 2))):
        try:
            sizes[i] = labels.stored_size(int(i))
        except ImageError:  # a finding of its own
            points[i] = np.nan
    yield from outside(labels, names, points=points, sizes=sizes)


def _label_faults(labels: LabelSet, tally: "_Tally") -> Iterator[Finding]:
    """Find labels that never occur and categories without labels."""
    if labels.grid is None:
        return
    table = "label.csv" if labels.layout == "broden" else "labels.csv"
    listed = labels.layout in {"broden", "segmentation-folder"}
    for number, name, images in zip(labels.concepts["number"], labels.concepts["name"], tally.images, strict=True):
        if not images and listed:
            yield Finding(f"label {number} ({name}) occurs in no image", table)
    for g, category in enumerate(labels.categories):
        if not tally.annotated[g]:
            yield Finding(f"category {category} has no label in any image", "category.csv" * (table == "label.csv"))


@dataclass(eq=False)
class _Tally:
    """Counts over images: (C,) images, pixel kind, whole kind and covered area in grids; (G,) annotated images."""

    images: NDArray[np.int64]
    in_pixels: NDArray[np.int64]
    in_whole: NDArray[np.int64]
    area: NDArray[np.float64]
    annotated: NDArray[np.int64]

    @classmethod
    def empty(cls, labels: LabelSet) -> "_Tally":
        concepts, categories = len(labels.concepts), len(labels.categories)
        images, in_pixels, in_whole = np.zeros((3, concepts), np.int64)
        return cls(images, in_pixels, in_whole, np.zeros(concepts), np.zeros(categories, np.int64))

    def add(self, image: ImageLabels) -> None:
        pixels = np.bincount(image.layers.ravel() + 1, minlength=len(self.images) + 1)[1:]
        whole = np.zeros(len(self.images), np.bool_)
        whole[image.whole] = True
        self.in_pixels += pixels > 0
        self.in_whole += whole
        self.images += (pixels > 0) | whole
        grid = max(1, image.layers.shape[1] * image.layers.shape[2])
        self.area += np.where(whole, 1.0, pixels / grid)
        self.annotated += image.annotated


def _summary(labels: LabelSet | None, tally: _Tally | None) -> pd.DataFrame:
    columns = ["category", "concepts", "used", "kind", "images", "images per concept", "coverage"]
    rows = []
    if labels is not None and tally is not None:
        for g, category in enumerate(labels.categories):
            mine = (labels.concepts["category"] == category).to_numpy()
            used = mine & (tally.images > 0)
            occurs = {"pixel": tally.in_pixels[mine].any(), "image": tally.in_whole[mine].any()}
            held = tally.images[used]
            mean = held.mean() if held.size else np.nan
            cover = (tally.area[used] / held).mean() if held.size else np.nan
            kind = " and ".join(kind for kind in occurs if occurs[kind]) or "none"
            rows.append((category, int(mine.sum()), int(used.sum()), kind, int(tally.annotated[g]), mean, cover))
    return pd.DataFrame(rows, columns=columns)


def _aligned(table: pd.DataFrame) -> list[str]:
    """Write a table as lines: names to the left, numbers to the right."""
    formats = {"images per concept": "{:,.1f}", "coverage": "{:.1%}"}
    columns = []
    for name in map(str, table.columns):
        cells = [name, *(_written(value, formats.get(name, "{:,}")) for value in table[name])]
        side = "<" if name in {"category", "kind"} else ">"
        columns.append([f"{cell:{side}{max(map(len, cells))}}" for cell in cells])
    return ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]


def _written(value: str | float, form: str) -> str:
    if isinstance(value, str):
        return value
    return "-" if np.isnan(value) else form.format(value)
