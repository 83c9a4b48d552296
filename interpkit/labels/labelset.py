"""LabelSet: a folder of images with what is known about them."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from interpkit.errors import ImageError, LabelSetError, UnknownNameError, nearest
from interpkit.labels.contents import Contents, ImageLabels
from interpkit.labels.decoding import decode_photograph, image_size, small_jpeg
from interpkit.labels.extras import classes_file, landmarks_file, read_classes, read_landmarks
from interpkit.labels.findings import Complain, Finding, refuse
from interpkit.labels.inside import check_folder, check_inside
from interpkit.labels.landmarks import landmarks_of_input
from interpkit.labels.places import Found, locate
from interpkit.labels.showing import shown
from interpkit.labels.targets import Targets, classified, targets

_UNLABELLED = ("images", "image-folder")


@dataclass(frozen=True, eq=False, repr=False)
class LabelSet:
    """Images, their label maps, whole-image labels, classes and landmarks, read from a folder as it lies.

    Reading is lazy and needs no lock: one set may serve several threads.

    Attributes
    ----------
    name, root, layout
        What the set is called, its folder, and the layout it was recognised as.
    images
        (N rows) ``image``: path relative to the images folder, ``/`` between its parts; ``split``: '' where there is
        none; ``line``: where the image is listed; whatever else the layout gives.
    concepts
        (C rows, rising by number) ``number``, ``name``, ``category`` (the primary one), ``frequency``, ``coverage``
        (NaN where the layout does not give them).
    categories
        G names.
    classes
        ``image``, ``class``; an image with several classes has several rows. None without classes.
    landmarks
        ``image``, ``<part>_row``, ``<part>_col`` in 0-based pixels of the stored image, NaN for none. None without.
    manifest
        What manifest.toml says.
    """

    name: str
    root: Path
    layout: str
    images: pd.DataFrame
    classes: pd.DataFrame | None
    landmarks: pd.DataFrame | None
    manifest: Mapping[str, Any]
    _contents: Contents = field()
    _rows: NDArray[np.intp] = field()
    _told: frozenset[str] | None = field(default=None)

    @classmethod
    def open(cls, path_or_name: str | Path) -> Self:
        """Open the label set in a folder, or the one called by a name.

        Names are looked for in ./datasets, in $INTERPKIT_DATA (default: the user's cache folder), and in the package.

        Raises
        ------
        UnknownNameError
            If there is neither such a folder nor such a name.
        LabelSetError
            If the folder holds no label set, or one that is incomplete or contradicts itself.
        """
        found = locate(path_or_name)
        try:
            return cls.read(found, refuse)
        except LabelSetError as error:
            raise type(error)(f"label set {found.root}: {error}") from error

    @classmethod
    def read(cls, found: Found, complain: Complain) -> Self:
        """Read the tables of a folder; ``complain`` is called with every fault that can be passed over."""
        contents = found.layout.read(found.root, found.manifest, complain)
        check_folder(contents.folder, found.root)
        told = read_classes(found, contents.images, complain)
        classes = contents.classes if told is None else told.table
        landmarks = read_landmarks(found, contents.images, complain)
        if landmarks is None:
            landmarks = contents.landmarks
        if landmarks is not None and "class" in landmarks:
            if classes is None:
                named = landmarks[landmarks["class"] != ""]
                classes = named[["image", "class"]].reset_index(drop=True)
            landmarks = landmarks.drop(columns="class")
        return cls(
            name=found.name,
            root=found.root,
            layout=found.layout.name,
            images=contents.images,
            classes=classes,
            landmarks=landmarks,
            manifest=found.manifest,
            _contents=contents,
            _rows=np.arange(len(contents.images)),
            _told=None if told is None else told.told,
        )

    def __len__(self) -> int:
        """N, the number of images."""
        return len(self._rows)

    @property
    def whole(self) -> bool:
        """Whether this is all of the set, not a selection."""
        return len(self) == len(self._contents.images)

    def __repr__(self) -> str:
        """Name, layout and sizes."""
        held = f"{len(self.concepts)} concepts" if self.grid else "no label maps"
        return f"LabelSet({self.name!r}, {self.layout}, {len(self)} images, {held})"

    def _repr_html_(self) -> str:
        """What the set holds, for notebooks: static, no network."""
        return shown(self, listed=len(self._contents.images))

    @property
    def concepts(self) -> pd.DataFrame:
        """(C rows) number, name, category, frequency, coverage."""
        return self._contents.concepts

    @property
    def categories(self) -> tuple[str, ...]:
        """G category names, in the order of the set's own table."""
        return self._contents.categories

    @property
    def grid(self) -> tuple[int, int] | None:
        """(sh, sw) of the label maps; None for a set without them."""
        return None if self._contents.source is None else self._contents.source.grid

    @property
    def licence(self) -> str:
        """The licence as the manifest states it, or ''."""
        return str(self.manifest.get("licence", ""))

    @property
    def citation(self) -> str:
        """How the set is cited, or ''."""
        return str(self.manifest.get("citation", ""))

    @cached_property
    def _names(self) -> list[str]:
        return [str(name) for name in self.images["image"]]

    @cached_property
    def _lines(self) -> NDArray[np.int64]:
        return self.images["line"].to_numpy(np.int64)

    @cached_property
    def _real_root(self) -> str:
        return str(self.root.resolve())

    @cached_property
    def _upright(self) -> bool:
        # Label maps and landmarks belong to the pixels as they are stored.
        return self.layout in _UNLABELLED and self.landmarks is None

    @cached_property
    def sha(self) -> str:
        """SHA-256 over the tables' bytes and over path and size of every listed file, computed at first use.

        A file that is missing counts as such.
        """
        digest = hashlib.sha256()
        digest.update(
            repr([self.layout, self.grid, self.manifest.get("ignore"), self.manifest.get("categories")]).encode()
        )
        extras = [self.root / name(self.manifest) for name in (classes_file, landmarks_file)]
        for table in (*self._contents.tables, *extras):
            if table.is_file():
                digest.update(f"{table.name}\0".encode() + table.read_bytes())
        for i in range(len(self)):
            for file in self.files(i):
                try:
                    size = file.stat().st_size
                except OSError:
                    size = -1  # missing: named when it is read, or left out by skip_bad
                digest.update(f"{file.relative_to(self.root).as_posix()}\0{size}\0".encode())
        return digest.hexdigest()

    @cached_property
    def stamp(self) -> str:
        """SHA-256 over ``sha`` and the times at which each listed file was last changed, on this machine.

        Another one as soon as a byte of any file may be another; computed at first use, without reading them.
        """
        digest = hashlib.sha256(self.sha.encode())
        for i in range(len(self)):
            for file in self.files(i):
                try:
                    told = file.stat()
                    times = (told.st_size, told.st_mtime_ns, told.st_ctime_ns)
                except OSError:
                    times = (-1, -1, -1)
                digest.update(repr(times).encode())
        return digest.hexdigest()

    def files(self, i: int) -> list[Path]:
        """List the file of image ``i`` and its label files."""
        source = self._contents.source
        return [self.path(i), *(source.files(int(self._rows[i])) if source else [])]

    def path(self, i: int) -> Path:
        """Give the file of image ``i``."""
        return self._contents.folder / self._names[i]

    def image(self, i: int) -> Image.Image:
        """Image ``i``, fully decoded to 8-bit RGB.

        In sets without label maps and landmarks it is turned as its EXIF orientation says; elsewhere its pixels stay
        as stored, since the labels belong to those.

        Raises
        ------
        ImageError
            If the file is missing or cannot be decoded; the message names image and row.
        """
        try:
            check_inside(self.path(i), self._real_root)
            return decode_photograph(self.path(i), upright=self._upright)
        except ImageError as error:
            raise ImageError(f"{self._place(i)}: image {self._names[i]} {error}") from error

    def stored_size(self, i: int) -> tuple[int, int]:
        """(H, W) of image ``i`` as stored, from its header alone.

        Raises
        ------
        ImageError
            If the file is missing or no image; the message names image and row.
        """
        try:
            check_inside(self.path(i), self._real_root)
            return image_size(self.path(i))
        except ImageError as error:
            raise ImageError(f"{self._place(i)}: image {self._names[i]} {error}") from error

    def labels(self, i: int) -> ImageLabels:
        """Read the labels of image ``i``: (L, sh, sw) rows of ``concepts`` and whole-image labels.

        Raises
        ------
        ImageError
            If a label map is missing or cannot be decoded.
        LabelSetError
            If the set has no label maps, or this one has another size or holds a number that is not listed.
        """
        return self.labels_with(i, self._refuse)

    def labels_with(self, i: int, complain: Complain) -> ImageLabels:
        """As ``labels``; faults are handed to ``complain`` with the image's place, and the layers at fault left out."""
        source = self._contents.source
        if source is None:
            raise LabelSetError(f"{self.name} ({self.layout}) has no label maps")

        def placed(finding: Finding) -> None:
            complain(replace(finding, file=self.listed_in(i), row=self.line(i)))

        return source.labels(int(self._rows[i]), image=self._names[i], complain=placed, root=self._real_root)

    def _refuse(self, finding: Finding) -> None:
        raise finding.error(f"{self.name}, {finding}")

    def listed_in(self, i: int) -> str:
        """Name the table that lists image ``i``, or where there is none the image itself."""
        return self._contents.table or self._names[i]

    def line(self, i: int) -> int | None:
        """Give the line that lists image ``i``, counted from 1 with the header; None without a table."""
        return int(self._lines[i]) if self._contents.table else None

    def _place(self, i: int) -> str:
        row = self.line(i)
        return self.name if row is None else f"{self.name}, {self._contents.table} row {row}"

    @property
    def landmarked_in(self) -> str:
        """Name the table that ``landmarks`` comes from."""
        file = landmarks_file(self.manifest)
        return file if (self.root / file).is_file() else self._contents.landmarks_table

    def landmarks_of_input(self, size: tuple[int, int]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Give the landmarks where they lie once an image is squashed to an input of ``size`` = (H, W) pixels.

        Returns
        -------
        names : tuple[str, ...]
            P landmarks, in the order of the table.
        points : (N, P, 2) float64
            Row and column in 0-based pixels of the input, rescaled about pixel centres; NaN where there is none.

        Raises
        ------
        LabelSetError
            If no image has a landmark, or one lies outside its image (an ``ImageError`` for an image that cannot be
            read).
        """
        return landmarks_of_input(self, size)

    def targets(self) -> Targets:
        """Give the classes of every image, in the order of ``images``.

        Raises
        ------
        LabelSetError
            If there are no classes or one only, an image has none, or a class has one image only. In a table of 0 and 1
            an image may be of no class.
        """
        return targets(self, self._told)

    def classified(self) -> "LabelSet":
        """Keep the images whose classes are known."""
        return self._only(classified(self, self._told))

    def select(self, *, split: str | None = None, limit: int | None = None) -> "LabelSet":
        """Keep the images of one split, and of those the first ``limit``.

        Raises
        ------
        UnknownNameError
            If no image is in that split; the message lists the splits.
        LabelSetError
            If ``limit`` is below 1.
        """
        rows = np.arange(len(self))
        if split is not None:
            rows = np.flatnonzero((self.images["split"] == split).to_numpy())
            if not rows.size:
                have = sorted(set(self.images["split"]) - {""})
                raise UnknownNameError(f"{self.name} has no split {split!r}; it has {', '.join(have) or 'no splits'}")
        if limit is not None:
            if limit < 1:
                raise LabelSetError(f"a limit of {limit} images leaves none; it must be at least 1")
            rows = rows[:limit]
        return self._only(rows)

    def without(self, rows: Iterable[int]) -> "LabelSet":
        """Leave out the images at positions ``rows`` (0-based, as in ``image``)."""
        keep = np.ones(len(self), np.bool_)
        keep[list(rows)] = False
        return self._only(np.flatnonzero(keep))

    def _only(self, rows: NDArray[np.intp]) -> "LabelSet":
        images = self.images.iloc[rows].reset_index(drop=True)

        def held(table: pd.DataFrame | None) -> pd.DataFrame | None:
            return None if table is None else table[table["image"].isin(images["image"])].reset_index(drop=True)

        return replace(
            self, images=images, classes=held(self.classes), landmarks=held(self.landmarks), _rows=self._rows[rows]
        )

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: i for i, name in reversed(list(enumerate(self._names)))}

    def picture(self, name: str, *, side: int = 224) -> bytes:
        """Image ``name`` as a JPEG whose longest side is at most ``side``; its own bytes if it is such a JPEG.

        Raises
        ------
        UnknownNameError
            If the set holds no such image.
        ImageError
            If it cannot be decoded.
        """
        i = self._positions.get(name)
        if i is None:
            close = nearest(name, self._names[:2000], count=1)
            raise UnknownNameError(f"{self.name} holds no image {name!r}" + (f"; nearest: {close[0]}" if close else ""))
        try:
            check_inside(self.path(i), self._real_root)
            return small_jpeg(self.path(i), side=side, upright=self._upright)
        except ImageError as error:
            raise ImageError(f"{self._place(i)}: image {name} {error}") from error
