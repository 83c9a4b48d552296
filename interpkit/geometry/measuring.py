"""Receptive fields, measured: which cells notice when part of the image is poisoned.

Rows from r on are set to NaN, which every operation passes on. A cell is NaN exactly if its field reaches row r, so the
first such cell tells where the fields end, up to the layer's stride; a few further r, by bisection, tell it exactly.
Poisoned rows up to r tell in the same way where they begin. One forward pass serves all layers.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from interpkit.geometry.local import LocalPaths
from interpkit.models import LoadedModel
from interpkit.probe.addresses import Address, tensors
from interpkit.probe.tracing import pick
from interpkit.probe.watching import Reached, Run, device_of, dtype_of, undisturbed, watched

T = TypeVar("T")

_WIDTHS = (64, 96, 128, 256)
LONGEST = 8192
# Strips are lengthened by this much to see strides: a multiple of every stride in use; the second also of 5 and 7.
_STEPS = (192, 6720)
_PIXELS_AT_ONCE = 1 << 18
# Every usual total stride divides it; the strips grow by whole periods.
_PERIOD = 32

GLOBAL = "it looks at the whole image: a path to it is global"
BLIND = "it sees the image through global reductions alone"
UNREACHED = "the network takes no other image size up to here"
UNEVEN = "its fields are not the same from cell to cell"
CUT = "the strip is too short"


@dataclass(frozen=True)
class Span:
    """Along one axis: cell i sees the pixels from ``first + i * stride`` to ``last + i * stride``."""

    first: float
    last: float
    stride: float


@dataclass(frozen=True, eq=False)
class Strip:
    """A network seen along one axis (0 rows, 1 columns) on images that are ``across`` wide the other way."""

    model: LoadedModel
    axis: int
    across: int

    @property
    def native(self) -> int:
        """The network's own input size along the axis."""
        return self.model.preprocessing.size[self.axis]

    def images(self, length: int, count: int) -> Tensor:
        """``count`` equal noise images; noise, since on a blank image some operations divide by zero."""
        shape = (length, self.across) if self.axis == 0 else (self.across, length)
        noise = torch.randn((1, self.model.preprocessing.channels, *shape), generator=torch.Generator().manual_seed(0))
        return noise.repeat(count, 1, 1, 1).to(device_of(self.model.module), dtype_of(self.model.module))

    def cells(self, length: int, wanted: Mapping[str, Address]) -> dict[str, int]:
        """Cells along the axis of each layer that a strip of this length reaches."""
        return _run(self.model, self.images(length, 1), wanted, read=lambda maps: maps.shape[2 + self.axis])

    def poisoned(
        self, length: int, cuts: Sequence[int], *, side: str, wanted: Mapping[str, Address]
    ) -> dict[str, Tensor]:
        """Which cells (cut, cell) notice poison from each cut on (side ``last``) or up to it (``first``)."""
        per_pass = max(1, _PIXELS_AT_ONCE // (length * self.across))
        parts: dict[str, list[Tensor]] = {name: [] for name in wanted}
        other = 3 - self.axis
        for begin in range(0, len(cuts), per_pass):
            now = cuts[begin : begin + per_pass]
            images = self.images(length, len(now))
            for image, cut in zip(images, now, strict=True):
                start, stop = (cut, length) if side == "last" else (0, cut + 1)
                image.narrow(1 + self.axis, start, stop - start).fill_(math.nan)
            seen = _run(self.model, images, wanted, read=lambda maps: maps.isnan().any(dim=(1, other)).cpu())
            for name in wanted:
                parts[name].append(seen[name])
        return {name: torch.cat(part) for name, part in parts.items()}


@dataclass(eq=False)
class _Search:
    """What is known of one end of one layer's fields: an interval that every reading narrows.

    Cell i's end lies at ``end + i * stride``. ``readings`` keeps, for each cut, the outermost cell that noticed.
    """

    side: str
    stride: float
    low: float = -math.inf
    high: float = math.inf
    readings: dict[int, int] = field(default_factory=dict)

    def learn(self, cut: int, cell: int) -> None:
        self.readings[cut] = cell
        near = cut - cell * self.stride
        low, high = (near, near + self.stride - 1) if self.side == "last" else (near - self.stride + 1, near)
        self.low, self.high = max(self.low, low), min(self.high, high)

    @property
    def settled(self) -> bool:
        """Whether the end is known exactly, and the fields lie evenly."""
        return self.low == self.high and self.stride == int(self.stride)

    def next_cut(self, base: int) -> int | None:
        """The cut that halves the interval, from ``base`` on; None when there is nothing left to find out."""
        if self.low >= self.high or self.stride != int(self.stride):
            return None
        middle = (self.low + self.high + 1) // 2
        cut = base + int((middle - (self.side == "first") - base) % self.stride)
        return None if cut in self.readings else cut

    def averaged(self, base: int, period: int) -> float | None:
        """The end averaged over a period, for fields that alternate (upsampled maps); None where they do not repeat."""
        cells = [self.readings[cut] for cut in range(base, base + period)]
        if (self.readings[base + period] - cells[0]) * self.stride != period:
            return None
        mean = base + (period - 1) / 2 - self.stride * sum(cells) / period
        return mean + (self.stride - 1) / 2 * (1 if self.side == "last" else -1)


def measure_axis(model: LoadedModel, wanted: Mapping[str, Address], *, axis: int) -> dict[str, Span | str]:
    """The span of each layer's fields along one axis (0 rows, 1 columns), or why it has none."""
    strip, strides = _narrowest(model, wanted, axis)
    found: dict[str, Span | str] = dict.fromkeys((name for name in wanted if name not in strides), UNREACHED)
    found |= dict.fromkeys((name for name, stride in strides.items() if stride == math.inf), BLIND)
    pending = {name: address for name, address in wanted.items() if name not in found}
    # Padding may depend on the size: only whole periods keep it as it is on the network's own size.
    period = math.lcm(_PERIOD, *(int(strides[name]) for name in pending if strides[name] == int(strides[name])))
    length = strip.native + period * max(0, math.ceil((9 * period - strip.native) / period))
    while pending and length <= LONGEST:
        found |= _measure(_Bench(strip, length, period), pending, strides)
        pending = {name: address for name, address in pending.items() if name not in found}
        length += period * math.ceil(length / period)
    return found | dict.fromkeys(pending, GLOBAL)


@dataclass(frozen=True, eq=False)
class _Bench:
    """A strip of one length, and where cuts may lie on it so that borders do not matter."""

    strip: Strip
    length: int
    period: int

    def base(self, side: str) -> int:
        """The first of the period + 1 places for a cut."""
        return 2 * self.period if side == "first" else self.length - 4 * self.period

    def read(self, searches: dict[str, _Search], cuts: Sequence[int], wanted: Mapping[str, Address]) -> dict[str, str]:
        """Let each search learn from the cuts; names of the layers that could not, and why."""
        side = next(iter(searches.values())).side
        failed: dict[str, str] = {}
        noticed = self.strip.poisoned(self.length, cuts, side=side, wanted={name: wanted[name] for name in searches})
        for name, search in searches.items():
            for cut, cells in zip(cuts, noticed[name], strict=True):
                which = cells.nonzero().flatten()
                if len(which) == 0:
                    failed[name] = BLIND
                elif (int(which[0]) == 0) if side == "last" else (int(which[-1]) == len(cells) - 1):
                    failed.setdefault(name, CUT)
                else:
                    search.learn(cut, int(which[0] if side == "last" else which[-1]))
        return failed


def _measure(bench: _Bench, wanted: Mapping[str, Address], strides: Mapping[str, float]) -> dict[str, Span | str]:
    """Spans, or reasons, of the layers whose fields this strip does not cut."""
    ends: dict[str, dict[str, float | str | None]] = {"first": {}, "last": {}}
    left = dict(wanted)
    for side, found in ends.items():
        if left:
            found |= _ends(bench, side, wanted=left, strides=strides)
            left = {name: address for name, address in left.items() if not isinstance(found[name], str)}
    spans: dict[str, Span | str] = {}
    for name in wanted:
        first, last = ends["first"][name], ends["last"].get(name)
        reasons = [end for end in (first, last) if isinstance(end, str)]
        if reasons:
            spans[name] = reasons[0]
        elif isinstance(first, int | float) and isinstance(last, int | float):
            spans[name] = Span(first, last, strides[name])
        else:
            spans[name] = UNEVEN
    return {name: span for name, span in spans.items() if span != CUT}


def _ends(
    bench: _Bench, side: str, *, wanted: Mapping[str, Address], strides: Mapping[str, float]
) -> dict[str, float | str | None]:
    """One end of cell 0's field for each layer; a reason where it cannot be had; None where fields are uneven."""
    base, period = bench.base(side), bench.period
    searches = {name: _Search(side, strides[name]) for name in wanted}
    found: dict[str, float | str | None] = {}
    cuts = {base, base + period}
    while cuts and searches:
        found |= bench.read(searches, sorted(cuts), wanted)
        searches = {name: search for name, search in searches.items() if name not in found}
        cuts = {cut for search in searches.values() if (cut := search.next_cut(base)) is not None}
    uneven = {name: search for name, search in searches.items() if not search.settled}
    if uneven:
        found |= bench.read(uneven, range(base, base + period + 1), wanted)
    for name, search in searches.items():
        if name not in found:
            found[name] = search.low if search.settled else search.averaged(base, period)
    return found


def _narrowest(model: LoadedModel, wanted: Mapping[str, Address], axis: int) -> tuple[Strip, dict[str, float]]:
    """The narrowest strip on which all layers are reached, or as many as can be, and the layers' strides."""
    own = model.preprocessing.size[1 - axis]
    strip = Strip(model, axis, own)
    strides: dict[str, float] = {}
    for across in [*(width for width in _WIDTHS if width < own), own]:
        reached = _strides(Strip(model, axis, across), wanted)
        if len(reached) > len(strides):
            strip, strides = Strip(model, axis, across), reached
        if len(strides) == len(wanted):
            break
    return strip, strides


def _strides(strip: Strip, wanted: Mapping[str, Address]) -> dict[str, float]:
    """By how many pixels the image must grow for one more cell, for each layer that is reached; infinite if by none."""
    strides: dict[str, float] = {}
    before = strip.cells(strip.native + _STEPS[0], wanted)
    for step in _STEPS:
        left = {name: wanted[name] for name in before if not strides.get(name, 0.5).is_integer()}
        after = strip.cells(strip.native + _STEPS[0] + step, left) if left else {}
        for name, cells in after.items():
            grown = cells - before[name]
            strides[name] = step / grown if grown > 0 else math.inf
            if strides[name] < 1 or grown <= 0:
                before.pop(name)
    return strides


def _run(
    model: LoadedModel, images: Tensor, wanted: Mapping[str, Address], *, read: Callable[[Tensor], T]
) -> dict[str, T]:
    """What ``read`` makes of each layer's maps; without the layers behind one that does not take such images."""
    asked: dict[tuple[str, int], list[str]] = {}
    for name, address in wanted.items():
        asked.setdefault((address.module, address.call or 1), []).append(name)
    seen: dict[str, T] = {}

    def take(run: Run) -> None:
        for name in asked.pop(run.key, ()):
            seen[name] = read(pick(tensors(run.output), wanted[name]))
        if not asked:
            raise Reached

    names = {module for module, _ in asked}
    with torch.no_grad(), undisturbed(model.module), _exact(images.device), watched(model.module, names, take):
        try:
            with LocalPaths():
                model.module(images)
        except Exception:
            pass  # any network may refuse any size in any way
    return seen


def _exact(device: torch.device) -> AbstractContextManager[None]:
    # cuDNN may convolve by transforms of whole tiles, which carry poison to neighbours.
    return torch.backends.cudnn.flags(enabled=False) if device.type == "cuda" else nullcontext()
