"""All layers from the topmost down, each with its controls."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from interpkit.em import Settings
from interpkit.graph._evaluate import Judged
from interpkit.graph._found import Patterns
from interpkit.graph._keeping import fitted_once
from interpkit.graph._layers import Fit, Layer, Told, fit, patterns_of, raw_of, result_of, shuffled, told_by
from interpkit.keeping import Work
from interpkit.results import GraphLayer
from interpkit.running import Progress, Stopwatch

# How the layers below the topmost one are fitted as controls, by the words of `GraphEvaluation`.
WITHOUT, DEALT = "no edges", "shuffled"


@dataclass(frozen=True, eq=False)
class Result:
    """Fitted layers from low to high, and where whose nodes are, by the words of `GraphEvaluation`."""

    layers: tuple[GraphLayer, ...]
    found: Mapping[str, Sequence[Patterns]]


@dataclass(frozen=True, eq=False)
class Fitting:
    """How layers are fitted.

    Attributes
    ----------
    settings
        Of each layer, from low to high.
    seed
        Of the nodes' first places, the same for a layer and its controls, and of the shuffled control.
    controls
        Whether layers are also fitted without edges, and with edges to nodes whose places are of other images.
    judging
        What landmarks say of a layer's nodes; None without landmarks.
    work
        Where fitted layers are kept; None for nowhere.
    """

    settings: Sequence[Settings]
    seed: int
    controls: bool
    judging: Callable[[Patterns], Judged] | None
    watch: Stopwatch
    progress: Progress
    work: Work | None = None

    def fitted(self, layers: Sequence[Layer]) -> Result:
        """The layers from low to high. The topmost one's likelihood decides which images are seen mirrored."""
        results: list[GraphLayer] = []
        found: dict[str, list[Patterns]] = {"graph": []}
        told: Told | None = None
        for number in reversed(range(len(layers))):
            layer = layers[number]
            one = self._fit(layer, number, told)
            where = patterns_of(layer, one, width=self._width)
            found["graph"].insert(0, where)
            if told is not None and self.controls:
                for name, above in self._instead(told, number).items():
                    control = self._fit(layer, number, above, name=name)
                    found.setdefault(name, []).insert(0, patterns_of(layer, control, width=self._width))
            judged = {} if self.judging is None else asdict(self.judging(where))
            assert where.representative is not None
            results.insert(0, result_of(layer, one, told, representative=where.representative, judged=judged))
            told = told_by(one)
            self.watch.lap(f"fit of {layer.name}")
        found["raw"] = [raw_of(layer) for layer in layers]
        return Result(tuple(results), found)

    @property
    def _width(self) -> int:
        return self.settings[0].input_size[1]

    def _instead(self, told: Told, number: int) -> dict[str, Told | None]:
        """What the controls are told in place of what the layer above says."""
        return {WITHOUT: None, DEALT: shuffled(told, np.random.default_rng([self.seed, number]))}

    def _fit(self, layer: Layer, number: int, told: Told | None, *, name: str = "") -> Fit:
        stage = f"{layer.name}, {name}" if name else layer.name
        settings = self.settings[number]
        make = partial(
            fit,
            layer,
            told,
            settings=settings,
            draws=int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0]),
            progress=partial(self.progress, stage),
        )
        kept_as = f"fit-{number}-{name or 'graph'}".replace(" ", "-")
        one = fitted_once(self.work, kept_as, layer, make=make)
        self.progress(stage, settings.iterations, settings.iterations)
        return one
