"""What an explanatory graph is made of: its layers, its measures, its pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from interpkit.results._analyses import Stored, check_shapes

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GraphLayer(Stored):
    """The part patterns of one layer: V = D N nodes, those of a filter together.

    Attributes
    ----------
    layer, units, map_size, placement
        The layer, its U units, (h, w), and where cells lie, as in `Dissection`.
    nodes
        N, nodes a filter.
    filters
        (D,) the units that have nodes, rising; dead ones have none.
    scale
        (D,) what their maps were divided by, from the training images.
    place, sigma, used
        (V, 2), (V,) and (V,): prior middle, deviation that the layer below is guided by, and deviation of the node's
        own Gaussian (the same, unless it is fused from the edges); input pixels, rows first.
    mean
        (V, 2) mean of the places found on the training images, from which displacements are taken, also on new images.
    edges
        (V, M) nodes of the layer above, in its own numbering, best first; M = 0 for the topmost layer.
    agreement
        (V, M) how alike the two move, 0..1: mean over the training images, weighted by the node's score, of
        ``exp(-|d - d'|^2 / 2c)``.
    score
        (V,) mean over the training images of the activation that the node explains at its best cell, in units of the
        filter's scale: F(x) times the node's Gaussian over its peak.
    representative
        (V,) the node of the same filter, itself or one of higher score, with which it coincides on most images.
    idle
        (V,) explains nothing on any training image.
    purity
        (V,) share of its best images on which the node lies nearest to its commonest landmark, within a tenth of the
        diagonal; NaN without landmarks. A proxy for what a person would judge.
    part
        (V,) that landmark, -1 where none is near.
    instability
        (V,) location instability on its best training images, mean over landmarks; NaN without landmarks.
    likelihood
        (T + 1,) mean log-likelihood an image before each iteration and after the last, nats.
    """

    layer: str
    units: int
    map_size: tuple[int, int]
    placement: tuple[tuple[float, float], tuple[float, float]]
    nodes: int
    filters: Ints
    scale: Floats
    place: Floats
    sigma: Floats
    used: Floats
    mean: Floats
    edges: Ints
    agreement: Floats
    score: Floats
    representative: Ints
    idle: Bools
    purity: Floats
    part: Ints
    instability: Floats
    likelihood: Floats

    def __len__(self) -> int:
        """V."""
        return len(self.score)

    @property
    def filter(self) -> Ints:
        """(V,) the unit that each node belongs to."""
        return np.repeat(self.filters, self.nodes)

    def best(self, count: int | None = None) -> Ints:
        """Nodes by falling score, each that stands for itself and is not idle; at most ``count``."""
        own = np.flatnonzero((self.representative == np.arange(len(self))) & ~self.idle)
        return own[np.argsort(-self.score[own], kind="stable")][:count]

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Mapping[str, Any], prefix: str) -> Self:
        """The inverse of ``about`` and ``arrays``.

        Raises
        ------
        ValueError
            If the parts do not fit each other.
        """
        start, stride = about["placement"]
        placement = ((start[0], start[1]), (stride[0], stride[1]))
        result = super().restored({**about, "placement": placement}, arrays, prefix)
        result.check()
        return result

    def check(self) -> None:
        """Stop at arrays that do not fit each other.

        Raises
        ------
        ValueError
            Naming the array.
        """
        v, filters = len(self.score), (len(self.filters),)
        m = self.edges.shape[1:]
        of_nodes = dict.fromkeys(("sigma", "used", "score", "representative", "idle", "purity", "part"), (v,))
        shapes = {**of_nodes, "instability": (v,), "place": (v, 2), "mean": (v, 2), "scale": filters}
        shapes |= {"edges": (v, *m), "agreement": (v, *m)}
        check_shapes(self, shapes)
        if v != len(self.filters) * self.nodes:
            raise ValueError(f"{self.layer}: {v} nodes are not {self.nodes} for each of {len(self.filters)} filters")
        check_numbers(self.filters, f"a filter of {self.layer}", end=self.units)
        check_numbers(self.representative, f"what stands for a node of {self.layer}", end=v)
        if self.likelihood.ndim != 1 or not len(self.likelihood):
            raise ValueError(f"likelihood of {self.layer} has shape {self.likelihood.shape}, not (T + 1,)")


def check_numbers(numbers: npt.NDArray[Any], what: str, *, end: int, least: int = 0) -> None:
    """Stop at numbers of things that are not there.

    Raises
    ------
    ValueError
        Saying ``what`` they are of.
    """
    if numbers.dtype.kind != "i":
        raise ValueError(f"{what} is no whole number")
    if numbers.min(initial=least) < least or numbers.max(initial=least) >= max(end, least + 1):
        raise ValueError(f"{what} is not among {least} to {end - 1}")


@dataclass(frozen=True, eq=False)
class GraphEvaluation:
    """How steadily and how well nodes lie on landmarks, always beside the controls.

    ``positions`` says whose places are judged: ``graph``; ``no edges`` and ``shuffled``, nodes fitted alike but without
    edges, and with edges to nodes whose places were dealt out among the images at random; ``raw``, the filters'
    arg-max; ``centre``, the image's centre on every image.

    Attributes
    ----------
    landmarks
        P names.
    table
        ``layer``, ``positions``, ``images`` (``training`` or ``held out``), ``top`` (how many of the highest scores),
        ``nodes`` (how many there were), ``landmark`` (a name, or ``all``: the mean), ``instability`` (share of the
        diagonal), ``explained`` (share of the landmark's variance that a node's place explains: 0 for one that never
        moves, whose instability may be low all the same), ``pck`` (share of images on which the best node, chosen on
        the training images, is near), ``purity`` (mean purity of the nodes; by landmark of those whose commonest it
        is), ``pure`` (share of nodes of purity at least 0.8).
    localisation
        ``landmark``, ``shots``, ``positions`` (``graph``, ``raw``, ``mean place``: where the shots' landmarks lie on
        average, ``centre``), ``error`` (mean distance on the held-out images as a share of the diagonal), ``spread``
        (standard deviation of that over the draws), ``within`` (share of images within a tenth of the longer side),
        ``draws``.
    notes
        What limits the numbers, a sentence each.
    """

    landmarks: tuple[str, ...]
    table: pd.DataFrame
    localisation: pd.DataFrame
    notes: tuple[str, ...] = ()

    def at(self, layer: str, positions: str, *, images: str = "held out", top: int = 100) -> float:
        """Mean instability over landmarks of the ``top`` nodes of a layer; NaN where it was not measured."""
        t = self.table
        rows = t[(t["layer"] == layer) & (t["positions"] == positions) & (t["images"] == images)]
        rows = rows[(rows["top"] == top) & (rows["landmark"] == "all")]
        return float(rows["instability"].iloc[0]) if len(rows) else float("nan")

    def document(self) -> dict[str, Any]:
        """Plain values, for storage."""
        return {
            "landmarks": list(self.landmarks),
            "table": _columns(self.table),
            "localisation": _columns(self.localisation),
            "notes": list(self.notes),
        }

    @classmethod
    def restored(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of ``document``."""
        return cls(
            landmarks=tuple(document["landmarks"]),
            table=_table(document["table"]),
            localisation=_table(document["localisation"]),
            notes=tuple(document["notes"]),
        )


def _columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    return {str(name): list(column) for name, column in table.astype(object).where(table.notna(), None).items()}


def _table(columns: Mapping[str, list[Any]]) -> pd.DataFrame:
    numbers = ("instability", "explained", "pck", "purity", "pure", "error", "spread", "within")
    texts, counts = ("layer", "positions", "images", "landmark"), ("top", "nodes", "shots", "draws")
    for names, kind in ((texts, str), (counts, int)):
        for name in names:
            if not all(type(value) is kind for value in columns.get(name, ())):
                raise ValueError(f"column {name} holds what is no {'text' if kind is str else 'whole number'}")
    return pd.DataFrame(
        {name: np.array(values, np.float64) if name in numbers else values for name, values in columns.items()}
    )


@dataclass(frozen=True, eq=False)
class GraphPictures:
    """What a page draws of a graph. Names of pictures are keys of the result's ``pictures``.

    Attributes
    ----------
    mean
        Picture of the mean training image, at the input's size.
    layer, node
        (E,) of each card: which of the graph's layers, and which node of it; of a layer best first.
    strips
        E pictures: the node's best patches side by side, best first, each of ``patch`` input pixels a side, the node
        in its middle.
    images, where
        For each card, the names of those images, and (E, k, 2) the node's place on them, input pixels; NaN past the
        last.
    patch
        Side of a patch, input pixels.
    heat_images
        F names of images (keys of ``pictures``) that heat maps were made for.
    heat
        (F, L, gh, gw) uint8: where the stronger half of each layer's nodes lie, 0 to 255 on each image and layer.
    synthesis
        Triples of pictures: the image, what the decoder makes of all features, and of those that the strongest tenth
        of the nodes hold. Empty where no decoder was asked for.
    synthesis_layer, synthesis_error
        Of which layer, and the decoder's mean squared error on images it was not trained on beside that of the mean
        training image, normalised pixels; '' and NaN without.
    """

    mean: str
    layer: Ints
    node: Ints
    strips: tuple[str, ...]
    images: tuple[tuple[str, ...], ...]
    where: Floats
    patch: int
    heat_images: tuple[str, ...]
    heat: npt.NDArray[np.uint8]
    synthesis: tuple[tuple[str, str, str], ...] = ()
    synthesis_layer: str = ""
    synthesis_error: tuple[float, float] = (float("nan"), float("nan"))

    @property
    def names(self) -> tuple[str, ...]:
        """Every picture that is drawn."""
        triples = [name for triple in self.synthesis for name in triple]
        return tuple(dict.fromkeys((self.mean, *self.strips, *self.heat_images, *triples)))

    def arrays(self) -> dict[str, Any]:
        """The arrays for storage."""
        return {f"pictures.{name}": getattr(self, name) for name in ("layer", "node", "where", "heat")}

    def document(self) -> dict[str, Any]:
        """What is no array, for storage."""
        error = [None if np.isnan(value) else value for value in self.synthesis_error]
        return {
            "mean": self.mean,
            "strips": list(self.strips),
            "images": [list(names) for names in self.images],
            "patch": self.patch,
            "heat_images": list(self.heat_images),
            "synthesis": [list(triple) for triple in self.synthesis],
            "synthesis_layer": self.synthesis_layer,
            "synthesis_error": error,
        }

    @classmethod
    def restored(cls, document: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of ``arrays`` and ``document``.

        Raises
        ------
        ValueError
            If they belong to different graphs.
        """
        first, second = (float("nan") if value is None else float(value) for value in document["synthesis_error"])
        result = cls(
            mean=document["mean"],
            strips=tuple(document["strips"]),
            images=tuple(tuple(names) for names in document["images"]),
            patch=document["patch"],
            heat_images=tuple(document["heat_images"]),
            synthesis=tuple((a, b, c) for a, b, c in document["synthesis"]),
            synthesis_layer=document["synthesis_layer"],
            synthesis_error=(first, second),
            **{name: arrays[f"pictures.{name}"] for name in ("layer", "node", "where", "heat")},
        )
        cards = {len(one) for one in (result.layer, result.node, result.strips, result.images, result.where)}
        if len(cards) > 1 or len(result.heat) != len(result.heat_images):
            raise ValueError("the pictures are not those of these nodes")
        return result
