"""Where the units of a layer can be masked: behind its batch norm, its activation, and whatever goes around it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import nn

from interpkit.errors import ModelError
from interpkit.finetuning._paths import Paths, Run, Vertex, operator, paths, sources
from interpkit.models import LoadedModel
from interpkit.probe.addresses import find
from interpkit.probe.tracing import check
from interpkit.templates import MIN_CELLS

# Between strides 16 and 32, in ratio: 13 cells of 224 pixels count as stride 16, as AlexNet's do.
COARSEST = 16 * 2**0.5

_NORMS = ("norm", "frozenbn")
_ACTIVATIONS = tuple("normact relu elu gelu silu swish mish sigmoid tanh softplus activation".split())
_PASSIVE = ("pool", "drop", "identity", "upsample")


@dataclass(frozen=True)
class Place:
    """Where masks can stand.

    Attributes
    ----------
    layer
        The module whose maps are masked, by its name in the network.
    words
        What was chosen and why.
    units, size
        U and (h, w) of its maps.
    """

    layer: str
    words: str
    units: int
    size: tuple[int, int]


def place(model: LoadedModel, layer: str | None = None) -> Place:
    """Where the units of ``layer`` can be masked so that nothing goes around the mask.

    Parameters
    ----------
    model
    layer
        A module, or one of its runs (``relu#3``); None for the last place whose maps have at least a sixteenth of the
        input's side, between two stages where the network has stages, else for the last place there is.

    Raises
    ------
    UnknownNameError
        If there is no such layer.
    ModelError
        If it cannot be masked; the message names the nearest that can.
    """
    where = _Where(model, paths(model))
    return where.default() if layer is None else where.named(layer)


@dataclass(frozen=True, eq=False)
class _Where:
    model: LoadedModel
    seen: Paths

    @cached_property
    def named_at(self) -> dict[Vertex, Run]:
        """For every place on the chain the outermost module that gives it and runs once."""
        found: dict[Vertex, Run] = {}
        for run in self.before_outputs:
            at = run.gave
            if at not in self.on_chain or not run.cells or self.seen.times(run.name) > 1 or _passive(run):
                continue
            if at not in found or run.name.count(".") < found[at].name.count("."):
                found[at] = run
        return found

    @cached_property
    def on_chain(self) -> frozenset[Vertex]:
        return frozenset(self.seen.chain)

    @cached_property
    def before_outputs(self) -> tuple[Run, ...]:
        """What finished before the layer that makes the outputs: the last with weights, where they are rows."""
        weighted = [
            number for number, run in enumerate(self.seen.runs) if isinstance(run.module, nn.Linear | nn.Conv2d)
        ]
        return self.seen.runs[: weighted[-1]] if weighted and self.seen.rows else self.seen.runs

    def default(self) -> Place:
        """The last place that is fine enough."""
        run = self._last()
        at, steps = self._behind(run)
        units, h, w = at.shape
        behind = f", behind {run.name}, its {steps}" if steps else ""
        why = "the last there is" if self._coarse(run) else "the last with a sixteenth of the image's side or more"
        return self._at(at, f"{at.name}{behind}: {units} units, {h} x {w} maps, {why}, and nothing goes around it")

    def named(self, layer: str) -> Place:
        """The place for a layer of the user's."""
        run = self._run(layer)
        vertex = _gave(run)
        if vertex in self.on_chain:
            at, steps = self._behind(run)
            if _gave(at) == vertex:
                # Several modules may give the same maps: the one asked for keeps its name, if it has one for itself.
                at = run if self.seen.times(run.name) == 1 else self.named_at.get(vertex, run)
                self._check_alone(at, layer)
                return self._at(at, f"{at.name}: nothing goes around it")
            return self._at(at, f"{layer} is masked after {at.name}, behind its {steps}")
        outer = self._stage_end(self._joined(run, layer))
        at, steps = self._behind(outer)
        adds = _is_addition(self.seen.after(vertex)[0])
        inside = "a residual block" if adds else "a block with several ways through it"
        met = "behind the addition" if adds else "where they have met"
        rest = _rectified(outer) + (f", behind {steps}" if steps else "")
        return self._at(at, f"{layer} is inside {inside}: masked after {at.name}, {met}{rest}")

    def _run(self, layer: str) -> Run:
        """The run that a name stands for.

        Raises
        ------
        ModelError
            If nothing of it can be masked.
        """
        asked = find(layer, self.model.module)
        address = check(asked, Counter(run.name for run in self.seen.runs))
        run = next(one for one in self.seen.runs if (one.name, one.call) == (address.module, address.call))
        why = self._why_not(run)
        if why is not None:
            raise ModelError(f"layer {layer!r} cannot be masked: {why}{self._near(run)}")
        return run

    def _why_not(self, run: Run) -> str | None:
        if not run.cells:
            return f"it gives no maps, but {' x '.join(map(str, run.shape)) or 'no tensor'} an image"
        if run not in self.before_outputs:
            return "it makes the network's outputs"
        if run.gave is None or run.gave not in self.seen.leading:
            return "the network's output does not depend on it"
        if run.cells < MIN_CELLS:
            return f"its maps of {run.shape[1]} x {run.shape[2]} are too small, part masks need {MIN_CELLS} cells"
        return None

    def _check_alone(self, run: Run, layer: str) -> None:
        if self.seen.times(run.name) > 1:
            why = f"{run.name} runs several times, and no module around it gives the same"
            raise ModelError(f"layer {layer!r} cannot be masked: {why}{self._near(run)}")

    def _near(self, run: Run) -> str:
        """The last layer before a run that can be masked, else the first, as the end of a message."""
        order = {one: number for number, one in enumerate(self.seen.runs)}
        before = [one for one in self.maskable if order[one] < order[run]][-1:] or self.maskable[:1]
        return f"; the nearest that can is {self._behind(before[0])[0].name!r}" if before else ""

    @cached_property
    def maskable(self) -> tuple[Run, ...]:
        """Places that convolutions and blocks give, not what merely follows one."""
        return tuple(run for run in self.named_at.values() if run.cells >= MIN_CELLS and _makes_maps(run))

    def _last(self) -> Run:
        """The last of the outermost modules with the coarsest maps that are fine enough; of all, where none is.

        Raises
        ------
        ModelError
            If no maps can be masked.
        """
        found = self.maskable
        if not found:
            raise ModelError(f"{self.model.name} has no layer that can be masked: each is too small or bypassed")
        fine = [run for run in found if not self._coarse(run)]
        cells = min((run.cells for run in fine), default=0)
        alike = [run for run in fine if run.cells == cells] or found
        depth = min(map(self._depth, alike))
        return [run for run in alike if self._depth(run) == depth][-1]

    def _coarse(self, run: Run) -> bool:
        sides = zip(self.model.preprocessing.size, run.shape[1:], strict=True)
        return any(pixels > COARSEST * cells for pixels, cells in sides)

    def _depth(self, run: Run) -> int:
        """How many modules are around it; a list of modules, which never runs itself, does not count."""
        parts = run.name.split(".")
        return sum(self.seen.times(".".join(parts[:end])) > 0 for end in range(1, len(parts)))

    def _behind(self, run: Run) -> tuple[Run, str]:
        """``run``, or the last place behind the norm and the activation that follow it at once; and which they are."""
        if _is(run, _ACTIVATIONS):
            return run, ""
        weighted = isinstance(run.module, nn.Conv2d) or _is(run, _NORMS)
        best, latest, steps = run, run, list[str]()
        at = self._next(_gave(run))
        while at is not None:
            vertex, step, activates = at
            latest = self.named_at.get(vertex, latest)
            steps.append(step)
            # What follows a block's norm alone is the next block's business.
            if activates or weighted:
                best = latest
            at = None if activates else self._next(vertex)
        return best, "" if best is run else " and ".join(steps)

    def _next(self, at: Vertex) -> tuple[Vertex, str, bool] | None:
        """The vertex behind a norm or an activation that takes ``at``, its name, and whether it is an activation."""
        for run in self.seen.runs:
            if run.took == at and run.gave != at and run.gave in self.on_chain and _is(run, _NORMS + _ACTIVATIONS):
                return _gave(run), type(run.module).__name__, _is(run, _ACTIVATIONS)
        following = self.seen.after(at)[:1]
        if not following or sources(following[0]) != [at]:
            return None
        name = operator(following[0]).partition("Backward")[0]
        return (following[0], name, True) if any(word in name.lower() for word in _ACTIVATIONS) else None

    def _joined(self, run: Run, layer: str) -> Run:
        """The first place at which all ways around a run have come together again.

        Raises
        ------
        ModelError
            If they do so only where there are no maps any more.
        """
        for at in self.seen.after(_gave(run)):
            met = self.named_at.get(at)
            if met is not None and not _pools(at) and met.cells >= MIN_CELLS:
                return met
        why = "something goes around it until there are no maps of 3 cells any more"
        raise ModelError(f"layer {layer!r} cannot be masked: {why}{self._near(run)}")

    def _stage_end(self, run: Run) -> Run:
        """From one residual block on to the last that adds to the same maps."""
        while True:
            here = _gave(run)
            following = self.seen.after(here)[:1]
            if not following or not _is_addition(following[0]) or here not in sources(following[0]):
                return run
            ends = [self.named_at[one] for one in (*following, *self.seen.after(following[0])) if one in self.named_at]
            if not ends or ends[0].shape != run.shape:
                return run
            run = ends[0]

    def _at(self, run: Run, words: str) -> Place:
        units, h, w = run.shape
        return Place(run.name, words, units, (h, w))


def _gave(run: Run) -> Vertex:
    assert run.gave is not None
    return run.gave


def _is(run: Run, words: Sequence[str]) -> bool:
    """Whether a module is called by one of the words, and is no block: it has weights of its own, or no modules."""
    single = next(run.module.children(), None) is None or any(True for _ in run.module.parameters(recurse=False))
    return single and any(word in type(run.module).__name__.lower() for word in words)


def _weighted(run: Run) -> bool:
    return any(True for _ in run.module.parameters())


def _passive(run: Run) -> bool:
    return _is(run, _PASSIVE) and not _weighted(run)


def _makes_maps(run: Run) -> bool:
    return _weighted(run) and not _is(run, _NORMS + _ACTIVATIONS) and not _pools(_gave(run))


def _pools(vertex: Vertex) -> bool:
    return "Pool" in operator(vertex)


def _rectified(run: Run) -> str:
    name = operator(_gave(run)).lower()
    return " and its activation" if any(word in name for word in _ACTIVATIONS) else ""


def _is_addition(vertex: Vertex) -> bool:
    return operator(vertex).startswith("Add")
