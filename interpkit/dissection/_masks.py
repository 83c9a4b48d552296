"""Masks of a dissected layer's units, image by image, for other programs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from interpkit.errors import InterpkitError, UnknownNameError, nearest
from interpkit.geometry import Placement, Resampler
from interpkit.labels import LabelSet
from interpkit.probe import Probe
from interpkit.results import Dissection, picture_file
from interpkit.running import Progress, fed, forward, silent

Form = Literal["png", "rle"]
FORMS = ("png", "rle")
# Pictures in one folder of units, at most: more are no use to anybody, and file systems suffer.
MOST_PICTURES = 100_000

Mask = npt.NDArray[np.uint8]


def export_masks(
    result: Dissection,
    probe: Probe,
    labels: LabelSet,
    *,
    folder: str | Path,
    form: Form = "rle",
    units: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write where units fire on every image, on the label grid: the masks that the dissection counted.

    The images run through the network once more, fed as before, so that the masks are the dissection's own. Masks
    without a pixel are left out.

    Parameters
    ----------
    result
        The dissection, with its thresholds.
    probe, labels
        The network and the label set it was made of; of the probe's layers the result's is looked at.
    folder
        Where to; made where it is missing.
    form
        ``rle``: ``masks.json`` in COCO's layout. ``images`` are of the label grid's size; ``categories`` are the units,
        ``id`` the unit (0-based), ``name`` its best concept; each of the ``annotations`` holds ``segmentation`` as
        ``{"size": [sh, sw], "counts": [...]}``: lengths of runs down the columns, off and on in turn, off first.
        ``png``: a black and white picture (sh, sw) for each unit and image, ``<unit>/<image>.png``.
    units
        Which ones; default: all.
    progress
        Called as progress("masks", done, total).

    Returns
    -------
    The file ``masks.json``, or the folder.

    Raises
    ------
    InterpkitError
        If there is no such form or unit, for far too many pictures, or where network or labels are others.
    """
    chosen = _checked(result, probe, labels, units=units, form=form)
    into = Path(folder)
    into.mkdir(parents=True, exist_ok=True)
    writer: _Coco | _Pictures = _Coco(into / "masks.json", result) if form == "rle" else _Pictures(into)
    with writer as write:
        for image, unit, mask in _masks(result, probe, labels, units=chosen, progress=progress or silent):
            write(image, unit, mask)
    return into / "masks.json" if form == "rle" else into


def check_form(form: str, *, units: int, images: int) -> None:
    """Stop at a form of masks that there is not, and at more pictures than one folder should hold.

    Raises
    ------
    InterpkitError
        Saying which there are, or how many it would be.
    """
    if form not in FORMS:
        close = ", ".join(nearest(form, FORMS, count=1) or FORMS)
        raise InterpkitError(f"no form {form!r} of masks; there is {', '.join(FORMS)}; nearest: {close}")
    if form == "png" and units * images > MOST_PICTURES:
        raise InterpkitError(
            f"{units:,} units on {images:,} images would be {units * images:,} pictures; choose units or concepts "
            "(--units, --concepts), or write rle"
        )


def _checked(
    result: Dissection, probe: Probe, labels: LabelSet, *, units: Sequence[int] | None, form: str
) -> npt.NDArray[np.int64]:
    """The units (n,) to write."""
    made = result.provenance
    if (probe.loaded.sha, labels.sha) != (made.model_sha, made.labels_sha):
        raise InterpkitError(
            f"the dissection is of {made.model} on {made.labels}, with other weights or labels than "
            f"{probe.loaded.name} on {labels.name}"
        )
    chosen = np.arange(result.units) if units is None else np.array(sorted(set(units)), np.int64)
    if len(chosen) and not 0 <= chosen[0] <= chosen[-1] < result.units:
        strange = next(unit for unit in chosen.tolist() if not 0 <= unit < result.units)
        raise UnknownNameError(f"layer {result.layer!r} has no unit {strange}; there is 0 to {result.units - 1}")
    check_form(form, units=len(chosen), images=result.images)
    return chosen


def _masks(
    result: Dissection, probe: Probe, labels: LabelSet, *, units: npt.NDArray[np.int64], progress: Progress
) -> Iterator[tuple[str, int, Mask]]:
    """Image, unit and mask (sh, sw) wherever a unit is on."""
    made, look = result.provenance, probe.only(result.layer)
    images = labels.select(split=made.options["split"], limit=made.options["limit"])
    names = images.images["image"].to_numpy(str)
    resampler = Resampler(
        Placement(*result.placement), map_size=result.map_size, input_size=result.input_size, grid=result.grid
    )
    feeding: dict[str, Any] = {name: getattr(made, name) for name in ("batch_size", "memory_format", "threads")}
    with fed(look, images, skip_bad=bool(made.options["skip_bad"]), **feeding) as ready:
        for batch in ready.feeder.batches():
            maps = forward(look, batch)[result.layer][:, units]
            for row, one in zip(batch.rows.tolist(), maps, strict=True):
                squares = resampler.squares(one, result.thresholds[units], strict=result.silent[units])
                for place in np.unique(squares.unit).tolist():
                    mask = resampler.mask(squares, place)
                    if mask.any():
                        yield str(names[row]), int(units[place]), mask
            progress("masks", int(batch.rows[-1]) + 1, len(images))


@dataclass
class _Pictures:
    """Writes a picture for every mask."""

    folder: Path

    def __enter__(self) -> "_Pictures":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, image: str, unit: int, mask: Mask) -> None:
        path = (self.folder / str(unit) / picture_file(image)).with_suffix(".png")
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(mask * np.uint8(255)).convert("1").save(path)


class _Coco:
    """Writes one document, mask by mask, so that memory does not grow; it stands in its place when it is whole."""

    def __init__(self, path: Path, result: Dissection) -> None:
        self._path, self._result = path, result
        self._part = path.with_name(f".{path.name}.part")
        self._images: dict[str, int] = {}
        self._units: set[int] = set()
        self._count = 0

    def __enter__(self) -> "_Coco":
        self._stream = self._part.open("w", encoding="utf-8")
        self._stream.write('{"annotations": [')
        return self

    def __call__(self, image: str, unit: int, mask: Mask) -> None:
        number = self._images.setdefault(image, len(self._images) + 1)
        self._units.add(unit)
        self._count += 1
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        left, top = int(columns[0]), int(rows[0])
        annotation = {
            "id": self._count,
            "image_id": number,
            "category_id": unit,
            "iscrowd": 1,
            "area": int(mask.sum()),
            "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
            "segmentation": {"size": list(mask.shape), "counts": runs(mask)},
        }
        self._stream.write(f"{',' if self._count > 1 else ''}\n{json.dumps(annotation)}")

    def __exit__(self, failed: object, *_: object) -> None:
        height, width = self._result.grid
        table = self._result.table()
        images = [
            {"id": number, "file_name": name, "height": height, "width": width} for name, number in self._images.items()
        ]
        rows = table[["unit", "concept", "category", "iou", "detector"]].to_dict(orient="records")
        categories = [
            {"id": row["unit"], "name": row["concept"] or "none", "supercategory": row["category"]}
            | {"iou": row["iou"], "detector": row["detector"]}
            for row in rows
            if row["unit"] in self._units
        ]
        made = self._result.provenance
        info = {"description": f"masks of {made.model} {self._result.layer} on {made.labels}", "command": made.command}
        rest = json.dumps({"images": images, "categories": categories, "info": info})
        with self._stream as stream:
            stream.write(f"\n],\n{rest[1:]}\n")
        if failed is None:
            self._part.replace(self._path)
        else:
            self._part.unlink()


def runs(mask: Mask) -> list[int]:
    """Lengths of the runs of a mask (sh, sw) down its columns, off and on in turn; off first, 0 where it starts on.

    Examples
    --------
    >>> runs(np.array([[1, 0], [1, 0], [0, 1]], np.uint8))
    [0, 2, 3, 1]
    """
    flat = mask.ravel(order="F") > 0
    ends = np.append(np.flatnonzero(np.diff(flat)) + 1, flat.size)
    lengths: list[int] = np.diff(ends, prepend=0).tolist()
    return [0, *lengths] if flat[0] else lengths
