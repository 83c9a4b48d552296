"""Rectified maps of a class's images, kept small; and how the fit looks at them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from interpkit.errors import LabelSetError
from interpkit.feeding import Batch
from interpkit.keeping import Work
from interpkit.labels import LabelSet
from interpkit.mapstore import Cache, Filled, choose, kept_arrays, scratch_folder
from interpkit.probe import Probe
from interpkit.running import Fed, Progress, check_finite, forward, resumed

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Precision = Literal["float16", "uint8", "auto"]

KINDS: dict[str, type[np.generic]] = {"float16": np.float16, "uint8": np.uint8}


@dataclass(frozen=True, eq=False)
class Kept:
    """One layer's rectified maps of N images, each as shares of its own maximum.

    Attributes
    ----------
    shares
        (N, U, h, w) float16, 0 to 1, or uint8, 0 to 255.
    highest
        (N, U) the maxima, float32.
    """

    shares: npt.NDArray[Any]
    highest: Floats

    @property
    def one(self) -> float:
        """The number that stands for the maximum."""
        return 255.0 if self.shares.dtype == np.uint8 else 1.0

    def put(self, first: int, maps: Floats) -> None:
        """Keep the maps (n, U, h, w) of some images, from place ``first`` on; negative values count as 0."""
        maps = np.maximum(maps, 0)
        highest = maps.max((2, 3))
        maps /= np.where(highest > 0, highest, 1)[:, :, None, None]
        if self.shares.dtype == np.uint8:
            maps = np.rint(255 * maps)
        self.shares[first : first + len(maps)] = maps
        self.highest[first : first + len(maps)] = highest

    def means(self, rows: Ints) -> npt.NDArray[np.float64]:
        """(U,) mean activation over some of the images."""
        total = np.zeros(self.shares.shape[1])
        for row in rows:
            total += self.highest[row] * self.shares[row].mean((1, 2), dtype=np.float64)
        return total / (len(rows) * self.one)


@dataclass(frozen=True, eq=False)
class Maps:
    """F of some filters on some images: maps divided by their filters' scale, as `interpkit.em` asks for them.

    Attributes
    ----------
    kept, mirrored
        Of the images as they are, and of their mirror images where those may be chosen.
    rows
        (I,) which of the kept images.
    filters, scale
        (D,) which units, and what each is divided by.
    turned
        (N,) which of the kept images are to be seen mirrored; may change between two looks.
    device
        Where tensors go.
    """

    kept: Kept
    rows: Ints
    filters: Ints
    scale: Floats
    device: torch.device
    turned: Bools
    mirrored: Kept | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(I, D, h, w)."""
        h, w = self.kept.shares.shape[2:]
        return len(self.rows), len(self.filters), h, w

    def __getitem__(self, images: slice) -> torch.Tensor:
        """(B, D, h, w) float32 of some images."""
        rows = self.rows[images]
        turned = self.turned[rows]
        if self.mirrored is None or not turned.any():
            return self._read(self.kept, rows)
        found = torch.empty(len(rows), *self.shape[1:], device=self.device)
        for kept, here in ((self.kept, ~turned), (self.mirrored, turned)):
            found[torch.from_numpy(here).to(self.device)] = self._read(kept, rows[here])
        return found

    def _read(self, kept: Kept, rows: Ints) -> torch.Tensor:
        every = len(self.filters) == kept.shares.shape[1]
        shares = kept.shares[rows] if every else kept.shares[rows[:, None], self.filters]
        factor = kept.highest[rows[:, None], self.filters] / (kept.one * self.scale)
        there = torch.from_numpy(shares).to(self.device).float()
        return there.mul_(torch.from_numpy(factor.astype(np.float32)).to(self.device)[:, :, None, None])

    def seen(self, turned: Bools) -> "Maps":
        """The same with the images ``turned`` (N,) says."""
        return replace(self, turned=turned)


@dataclass(frozen=True, eq=False)
class Store:
    """The maps of every layer.

    Attributes
    ----------
    kept, mirrored
        By layer; the second is empty unless mirror images were looked at.
    where
        In words.
    """

    kept: Mapping[str, Kept]
    mirrored: Mapping[str, Kept]
    where: str


@contextmanager
def room_for(
    shapes: Mapping[str, tuple[int, int, int]],
    images: int,
    *,
    flips: bool,
    precision: Precision,
    cache: Cache,
    scratch: str | Path | None,
    work: Work | None = None,
) -> Iterator[Store]:
    """An empty store for maps (U, h, w) of so many images.

    ``auto`` precision: half floats where memory holds them, else bytes, in memory where it holds those, else in a file.

    Raises
    ------
    InterpkitError
        As `kept_arrays`.
    """
    names = [*shapes, *shapes] if flips else list(shapes)
    wanted = [(images, *shapes[layer]) for layer in names]

    before = None if work is None else work.state("precision")
    if before is None:
        kind: str = _precision(precision, wanted, cache=cache, scratch=scratch)
    else:
        kind = str(before.plain["kind"])
    if work is not None:
        # What was fitted to maps of another precision goes with them.
        work.under("precision", {"kind": kind})
    with ExitStack() as stack:
        arrays, where = stack.enter_context(
            kept_arrays(wanted, cache=cache, scratch=scratch, kind=KINDS[kind], work=work)
        )
        kept = [Kept(one, np.zeros(one.shape[:2], np.float32)) for one in arrays]
        number = len(shapes)
        yield Store(
            dict(zip(shapes, kept[:number], strict=True)),
            dict(zip(shapes, kept[number:], strict=True)) if flips else {},
            f"{where}, {kind}",
        )


def _precision(
    asked: Precision, shapes: Sequence[tuple[int, ...]], *, cache: Cache, scratch: str | Path | None
) -> Literal["float16", "uint8"]:
    if asked != "auto":
        return asked
    size = 2 * sum(int(np.prod(shape)) for shape in shapes)
    fits = cache != "disk" and choose("auto", size, scratch=scratch_folder(scratch))[0] == "ram"
    return "float16" if fits else "uint8"


class _Pass:
    """A store filled image by image."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._every = [*store.kept.values(), *store.mirrored.values()]
        self._filled = Filled([one.shares for one in self._every])
        self._rows = [np.empty(0, np.int64)]
        self.done = 0

    def add(self, rows: Ints) -> None:
        """The maps of these images have been put in the next places."""
        self._rows.append(rows)
        self.done += len(rows)

    @property
    def rows(self) -> Ints:
        """(N,) rows of the images whose maps are there."""
        return np.concatenate(self._rows)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What it holds."""
        highest = {f"highest-{i}": one.highest[: self.done] for i, one in enumerate(self._every)}
        return {**highest, "filled": self._filled.upto(self.done), "rows": self.rows}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """The inverse of ``state``."""
        self.done = self._filled.restore(arrays["filled"])
        for i, one in enumerate(self._every):
            one.highest[: self.done] = arrays[f"highest-{i}"]
        self._rows = [arrays["rows"]]


def fill(probe: Probe, labels: LabelSet, fed: Fed, *, store: Store, progress: Progress) -> Ints:
    """Run every image through the network, and its mirror image where the store has room; gives the rows kept.

    The maps of image ``rows[i]`` are at place i.

    Raises
    ------
    ModelError
        If an activation is not finite.
    LabelSetError
        If no image can be read.
    """
    names = labels.images["image"].to_numpy(str)
    seen = _Pass(store)
    for batch in resumed(fed.feeder, seen, work=fed.work, name="activations"):
        _put(forward(probe, batch), store.kept, names=names[batch.rows], first=seen.done)
        if store.mirrored:
            mirror = Batch(batch.rows, batch.images.flip(-1), batch.stop)
            _put(forward(probe, mirror), store.mirrored, names=names[batch.rows], first=seen.done)
        seen.add(batch.rows)
        progress("activations", int(batch.rows[-1]) + 1, len(labels))
    if not len(seen.rows):
        raise LabelSetError(f"label set {labels.name}: none of its {len(labels)} images can be read")
    return seen.rows


def _put(maps: Mapping[str, Floats], kept: Mapping[str, Kept], *, names: npt.NDArray[np.str_], first: int) -> None:
    for layer, values in maps.items():
        # Before negative values go: minus infinity would pass for silence.
        check_finite(values.reshape(*values.shape[:2], -1).swapaxes(0, 1), layer, names.tolist())
        kept[layer].put(first, values)
