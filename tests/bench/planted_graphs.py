"""What edges are worth where the parts are known: the table of docs/method/explanatory_graph.md.

    python tests/bench/planted_graphs.py [--seeds 4]

Scenes with planted parts (tests/planted_parts.py), fitted in several ways and beside their controls, as Markdown. A
minute in all on one core.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from planted_parts import SIDE, TRAINING, Planted, Scene, scene, scored

from interpkit import em
from interpkit.em import Above, Found, Settings, fit_layer, located

COLUMNS = ("recovered", "precision", "cover", "error", "instability", "pck")
TRAIN, HELD = slice(0, TRAINING), slice(TRAINING, None)
Row = dict[str, float]


def grid(side: int) -> em.Grid:
    """Where the cells of a square map lie."""
    cells = SIDE / side * (torch.arange(side) + 0.5) - 0.5
    return em.Grid(cells, cells)


def normalised(planted: Planted) -> torch.Tensor:
    """Maps as shares of the mean of their maxima on the training images."""
    scale = planted.maps[:TRAINING].max((2, 3)).mean(0)
    return torch.from_numpy(planted.maps / scale[:, None, None]).float()


@dataclass(eq=False)
class Fits:
    """Both layers of a scene."""

    made: Scene
    seed: int
    noise: float

    def __post_init__(self) -> None:
        """The upper layer fitted."""
        self.upper, self.lower = normalised(self.made.upper), normalised(self.made.lower)
        self.top = self.fit(self.upper, None, nodes=6)

    def fit(
        self,
        maps: torch.Tensor,
        above: Above | None,
        *,
        nodes: int,
        rule: em.fitting.Rule = "repick",
        fused: bool = False,
    ) -> em.Fitted:
        """One layer on the training images."""
        settings = Settings(nodes, 5, self.noise, 20, rule=rule, fused=fused, candidates=600, input_size=(SIDE, SIDE))
        draws = torch.Generator().manual_seed(self.seed)
        return fit_layer(maps[TRAIN], grid(maps.shape[-1]), above, settings=settings, draws=draws)

    def found(self, maps: torch.Tensor, fitted: em.Fitted, images: slice, *, above: Above | None) -> Found:
        """Where its nodes are."""
        nodes = em.Nodes(fitted.nodes.place, fitted.used)
        return located(maps[images], nodes, grid(maps.shape[-1]), above=above, edges=fitted.edges)

    def above(self, images: slice, *, shuffled: bool = False) -> Above:
        """The upper layer on some images, with the training images' means; dealt out at random among them if asked."""
        train = self.found(self.upper, self.top, TRAIN, above=None)
        _, mean = em.displacement(train.place.flatten(1, 2), train.score.flatten(1) > 0)
        found = self.found(self.upper, self.top, images, above=None)
        place, score = found.place.flatten(1, 2), found.score.flatten(1)
        if shuffled:
            order = torch.from_numpy(np.random.default_rng(self.seed).permutation(len(place)))
            place, score = place[order], score[order]
        return Above(place, score, mean, self.top.nodes.sigma.flatten())

    def judged(self, planted: Planted, found: Found, images: slice) -> Row:
        """The numbers of a row."""
        return scored(found.place.numpy(), found.score.numpy(), planted, parts=self.made.parts, images=images)

    def raw(self, planted: Planted) -> Row:
        """Each filter's arg-max."""
        flat = torch.from_numpy(planted.maps[TRAIN]).flatten(2)
        side = planted.maps.shape[-1]
        best, cell = flat.max(-1)
        rows, where = torch.div(cell, side, rounding_mode="floor"), grid(side)
        place = torch.stack([where.rows[rows], where.columns[cell % side]], -1)
        return self.judged(planted, Found(place[:, :, None], best[..., None]), TRAIN)

    def centre(self) -> Row:
        """The middle of the image, on every image."""
        middle = torch.full((TRAINING, len(self.made.lower.places), 1, 2), (SIDE - 1) / 2)
        row = self.judged(self.made.lower, Found(middle, torch.ones(middle.shape[:-1])), TRAIN)
        return {"instability": row["instability"]}

    def low(
        self,
        images: slice = TRAIN,
        *,
        edges: bool = True,
        shuffled: bool = False,
        rule: em.fitting.Rule = "repick",
        fused: bool = False,
    ) -> Row:
        """The lower layer, fitted in one way."""
        told = self.above(TRAIN, shuffled=shuffled) if edges else None
        fitted = self.fit(self.lower, told, nodes=8, rule=rule, fused=fused)
        above = self.above(images, shuffled=shuffled) if edges else None
        return self.judged(self.made.lower, self.found(self.lower, fitted, images, above=above), images)


WAYS: dict[str, Callable[[Fits], Row]] = {
    "raw arg-max, upper": lambda fits: fits.raw(fits.made.upper),
    "raw arg-max, lower": lambda fits: fits.raw(fits.made.lower),
    "the image's centre": lambda fits: fits.centre(),
    "upper layer": lambda fits: fits.judged(
        fits.made.upper, fits.found(fits.upper, fits.top, TRAIN, above=None), TRAIN
    ),
    "lower, no edges": lambda fits: fits.low(edges=False),
    "lower, edges to shuffled images": lambda fits: fits.low(shuffled=True),
    "lower, edges picked once": lambda fits: fits.low(rule="frozen"),
    "lower, deviations fused from the edges": lambda fits: fits.low(fused=True),
    "lower, edges re-picked": lambda fits: fits.low(),
    "the same, images held out": lambda fits: fits.low(HELD),
}
MOVED: dict[str, Callable[[Fits], Row]] = {
    "no edges": lambda fits: fits.low(edges=False),
    "edges": lambda fits: fits.low(),
    "shuffled": lambda fits: fits.low(shuffled=True),
}


def mean_of(rows: list[Row]) -> Row:
    """Of several seeds."""
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def cell(row: Row, name: str) -> str:
    """A number as the table has it."""
    return (
        f"{row[name]:.{1 if name == 'error' else 3 if name in {'instability', 'pck'} else 2}f}" if name in row else ""
    )


def table(seeds: int, *, noise: float) -> None:
    """Print how well each way finds what was planted."""
    fits = [Fits(scene(seed), seed, noise) for seed in range(seeds)]
    print(f"\nnoise {noise:g}, {seeds} seeds\n\n| | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
    for name, way in WAYS.items():
        row = mean_of([way(one) for one in fits])
        print(f"| {name} | {' | '.join(cell(row, column) for column in COLUMNS)} |", flush=True)


def sweep(seeds: int, *, noise: float) -> None:
    """Print how much the object has to move for edges to help."""
    print(
        f"\nPCK (instability), noise {noise:g}, {seeds} seeds\n\n| moves by | {' | '.join(MOVED)} |\n|---|---|---|---|"
    )
    for far in (0.0, 18.0, 30.0):
        fits = [Fits(scene(seed, translation=far), seed, noise) for seed in range(seeds)]
        rows = [mean_of([way(one) for one in fits]) for way in MOVED.values()]
        cells = [f"{row['pck']:.3f} ({row['instability']:.3f})" for row in rows]
        print(f"| {far:g} px | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4)
    seeds = parser.parse_args().seeds
    for noise in (0.1, 0.01):
        table(seeds, noise=noise)
    sweep(seeds, noise=0.1)


if __name__ == "__main__":
    main()
