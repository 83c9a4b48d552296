"""The result of fit_graph(): part patterns of several layers, and how those of one layer hang on those above."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interpkit.results._brief import Brief
from interpkit.results._graph import GraphEvaluation, GraphLayer, GraphPictures, check_numbers
from interpkit.results._parts import Parts
from interpkit.results._provenance import Provenance
from interpkit.strangers import escape


@dataclass(frozen=True, eq=False, repr=False)
class ExplanatoryGraph(Brief):
    """Part patterns of a network on the images of one class (Zhang et al., AAAI 2018).

    Attributes
    ----------
    class_name
        The class; '' for a set without classes.
    layers
        From low to high; the edges of each lead to the next.
    input_size
        (H, W) that all places are in.
    images, held_out, skipped
        Names of the images the graph was fitted to, of those it was judged on, and of those that could not be read.
    turned
        (I,) which of ``images`` were mirrored; all False unless flips were allowed. Places are those on the image as it
        is, but ``place`` and ``mean`` of nodes belong to the images as they were turned.
    evaluation
        None for a set without landmarks.
    shown
        What a page draws.
    """

    class_name: str
    layers: tuple[GraphLayer, ...]
    input_size: tuple[int, int]
    images: tuple[str, ...]
    held_out: tuple[str, ...]
    turned: npt.NDArray[np.bool_]
    evaluation: GraphEvaluation | None
    shown: GraphPictures
    provenance: Provenance
    warnings: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def layer(self) -> str:
        """The layers' names in one, from high to low."""
        return ", ".join(one.layer for one in reversed(self.layers))

    @property
    def order(self) -> int:
        """Place among the results of the same run."""
        return 0

    @property
    def nodes(self) -> int:
        """How many nodes there are in all layers."""
        return sum(len(one) for one in self.layers)

    def table(self) -> pd.DataFrame:
        """One row a node: layer, filter and node (0-based), place, deviation, score, and what landmarks say."""
        landmarks = np.array([*(() if self.evaluation is None else self.evaluation.landmarks), ""], dtype=object)
        rows = [
            pd.DataFrame(
                {
                    "layer": one.layer,
                    "node": np.arange(len(one)),
                    "filter": one.filter,
                    "row": one.mean[:, 0],
                    "column": one.mean[:, 1],
                    "sigma": one.sigma,
                    "score": one.score,
                    "representative": one.representative,
                    "idle": one.idle,
                    "landmark": landmarks[one.part],
                    "purity": one.purity,
                    "instability": one.instability,
                }
            )
            for one in self.layers
        ]
        return pd.concat(rows, ignore_index=True)

    def edges(self) -> pd.DataFrame:
        """One row an edge, best of a node first: ``layer``, ``node``, ``above``, ``node_above``, ``agreement``."""
        rows = [
            pd.DataFrame(
                {
                    "layer": low.layer,
                    "node": np.repeat(np.arange(len(low)), low.edges.shape[1]),
                    "above": high.layer,
                    "node_above": low.edges.reshape(-1),
                    "agreement": low.agreement.reshape(-1),
                }
            )
            for low, high in zip(self.layers[:-1], self.layers[1:], strict=True)
        ]
        names = ["layer", "node", "above", "node_above", "agreement"]
        return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=names)

    def likelihood(self) -> pd.DataFrame:
        """One row an iteration and layer: ``layer``, ``iteration`` (0 before the first), ``likelihood``."""
        rows = [
            pd.DataFrame(
                {"layer": one.layer, "iteration": np.arange(len(one.likelihood)), "likelihood": one.likelihood}
            )
            for one in self.layers
        ]
        return pd.concat(rows, ignore_index=True)

    def summary(self) -> dict[str, Any]:
        """The headline, with its controls."""
        values: dict[str, Any] = {
            "verb": "graph",
            "class": self.class_name,
            "images": len(self.images),
            "held_out": len(self.held_out),
            "skipped": len(self.skipped),
            "nodes": self.nodes,
            "layers": [
                {
                    "layer": one.layer,
                    "filters": len(one.filters),
                    "nodes": len(one),
                    "idle": int(one.idle.sum()),
                    "iterations": len(one.likelihood) - 1,
                    "likelihood": float(one.likelihood[-1]),
                    **({} if self.evaluation is None else {"instability": self._instability(one.layer)}),
                }
                for one in self.layers
            ],
        }
        return values

    def _instability(self, layer: str) -> dict[str, float | None]:
        assert self.evaluation is not None
        images = "held out" if self.held_out else "training"
        found = {
            name: self.evaluation.at(layer, name, images=images)
            for name in ("graph", "no edges", "shuffled", "raw", "centre")
        }
        return {name: None if np.isnan(value) else value for name, value in found.items()}

    def to_parts(self) -> Parts:
        """Everything, as plain values and arrays for storage."""
        about = {
            "layer": self.layer,
            "class_name": self.class_name,
            "summary": self.summary(),
            "layers": [one.about() for one in self.layers],
            "input_size": list(self.input_size),
            "images": list(self.images),
            "held_out": list(self.held_out),
            "evaluation": None if self.evaluation is None else self.evaluation.document(),
            "warnings": list(self.warnings),
            "skipped": list(self.skipped),
            "pictures": list(self.shown.names),
            "provenance": self.provenance.to_dict(),
        }
        arrays: dict[str, Any] = {"turned": self.turned, **self.shown.arrays()}
        for number, one in enumerate(self.layers):
            arrays |= one.arrays(f"layer{number}")
        return Parts(
            about=about,
            arrays=arrays,
            tables={"nodes": self.table(), "edges": self.edges(), "likelihood": self.likelihood()},
            documents={"shown": self.shown.document()},
            pictures=self.pictures,
        )

    @classmethod
    def from_parts(cls, parts: Parts) -> "ExplanatoryGraph":
        """The inverse of ``to_parts``."""
        about, arrays = parts.about, parts.arrays
        result = cls(
            class_name=about["class_name"],
            layers=tuple(
                GraphLayer.restored(one, arrays, f"layer{number}") for number, one in enumerate(about["layers"])
            ),
            input_size=tuple(about["input_size"]),
            images=tuple(about["images"]),
            held_out=tuple(about["held_out"]),
            turned=arrays["turned"],
            evaluation=None if about["evaluation"] is None else GraphEvaluation.restored(about["evaluation"]),
            shown=GraphPictures.restored(parts.documents["shown"], arrays),
            provenance=Provenance.from_dict(about["provenance"]),
            warnings=tuple(about["warnings"]),
            skipped=tuple(about["skipped"]),
            pictures=parts.pictures,
        )
        result.check()
        return result

    def check(self) -> None:
        """Stop at parts that do not belong together.

        Raises
        ------
        ValueError
            Naming them.
        """
        for low, high in zip(self.layers[:-1], self.layers[1:], strict=True):
            check_numbers(low.edges, f"the end of an edge of {low.layer}", end=len(high))
        landmarks = () if self.evaluation is None else self.evaluation.landmarks
        for one in self.layers:
            check_numbers(one.part, f"a landmark of {one.layer}", end=len(landmarks), least=-1)
        check_numbers(self.shown.layer, "the layer of a node that is shown", end=len(self.layers))
        for layer, node in zip(self.shown.layer, self.shown.node, strict=True):
            check_numbers(node[None], f"a node of layer {layer} that is shown", end=len(self.layers[layer]))
        if self.shown.heat.shape[1:2] != (len(self.layers),):
            raise ValueError(f"heat maps of shape {self.shown.heat.shape} are not of {len(self.layers)} layers")
        if self.layers and self.layers[-1].edges.size:
            raise ValueError(f"nothing is above {self.layers[-1].layer} that its edges could lead to")
        if self.turned.shape != (len(self.images),):
            raise ValueError(f"{len(self.turned)} images are turned or not, of {len(self.images)}")

    def _repr_html_(self) -> str:
        """The headline, for notebooks: static, no network."""
        made = self.provenance
        of = f" of {escape(self.class_name)}" if self.class_name else ""
        items = "".join(
            f"<li>{escape(one.layer)}: {len(one):,} part patterns of {len(one.filters):,} filters</li>"
            for one in reversed(self.layers)
        )
        return f"<p><b>{escape(made.model)}</b>: explanatory graph{of}, {len(self.images):,} images</p><ul>{items}</ul>"


OFFER = ExplanatoryGraph
