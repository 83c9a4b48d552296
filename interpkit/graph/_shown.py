"""What a page draws of a graph: which nodes, their patches, the mean image, heat maps and synthesised images."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from interpkit.feeding import Feeding
from interpkit.graph._album import Album, jpeg
from interpkit.graph._found import Patterns
from interpkit.graph._heat import heat_maps
from interpkit.graph._patches import PATCHES, Strip, draw_strips, mean_input, patch_side, to_pixels
from interpkit.graph._picked import shown_nodes
from interpkit.graph._some import spread
from interpkit.graph._synthesis import Decoding, Synthesis, synthesise
from interpkit.labels import LabelSet
from interpkit.probe import Probe
from interpkit.results import GraphLayer, GraphPictures
from interpkit.running import Progress, silent

# Images that heat maps are made for.
HEATED = 6

Bools = npt.NDArray[np.bool_]


def draw(
    layers: Sequence[GraphLayer],
    patterns: Sequence[Patterns],
    labels: LabelSet,
    *,
    training: Sequence[int],
    held_out: Sequence[int],
    probe: Probe,
    feeding: Feeding,
    turned: tuple[Bools, Bools] | None = None,
    decoding: Decoding | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[GraphPictures, Mapping[str, bytes]]:
    """Pictures of a fitted graph.

    Parameters
    ----------
    layers, patterns
        The layers from low to high, and where their nodes are.
    training, held_out
        Rows of ``labels`` that the I and J images of ``patterns`` stand in.
    feeding
        How images are fed where a decoder is trained.
    turned
        (I,) and (J,) training and held-out images that were mirrored; None for none. Patches, and the share of an
        image in the mean, are shown as the network saw them.
    decoding
        None: no images are made from features.

    Returns
    -------
    shown : GraphPictures
        With the names of its pictures.
    pictures : Mapping[str, bytes]
        JPEG bytes of exactly these.

    Raises
    ------
    ImageError
        If an image cannot be read any more.
    ResultError
        If the decoder's folder is not of this network, layer and images.
    """
    album, how = Album(labels), probe.preprocessing
    both = (np.zeros(len(training), np.bool_), np.zeros(len(held_out), np.bool_)) if turned is None else turned
    mean = mean_input(labels, training, preprocessing=how, turned=both[0], progress=progress)
    nodes = shown_nodes(layers, how.size)
    strips = draw_strips(nodes, patterns, labels, training=training, turned=both[0], input_size=how.size)
    heated = spread(training, held_out, HEATED)
    heat = [heat_maps(heated.of(one), input_size=how.size) for one in patterns]
    made = Synthesis()
    if decoding is not None:
        made = synthesise(
            (layers, patterns),
            (probe, feeding),
            labels,
            training=training,
            held_out=held_out,
            turned=both,
            decoding=decoding,
            album=album,
            seed=seed,
            progress=progress,
        )
    album.show(names := _names(labels, heated.rows))
    shown = GraphPictures(
        mean=album.add("mean", jpeg(to_pixels(mean, how))),
        layer=np.array([layer for layer, _ in nodes], np.int64),
        node=np.array([node for _, node in nodes], np.int64),
        strips=tuple(
            album.add(f"patches/{layers[layer].layer}/{node}", jpeg(strip.pixels))
            for (layer, node), strip in zip(nodes, strips, strict=True)
        ),
        images=tuple(_names(labels, strip.images) for strip in strips),
        where=_padded(strips),
        patch=patch_side(how.size),
        heat_images=names,
        heat=np.stack(heat, 1),
        synthesis=made.triples,
        synthesis_layer=made.layer,
        synthesis_error=made.error,
    )
    return shown, album


def _names(labels: LabelSet, rows: Sequence[int]) -> tuple[str, ...]:
    return tuple(str(labels.images["image"].iloc[row]) for row in rows)


def _padded(strips: Sequence[Strip]) -> npt.NDArray[np.float64]:
    """(E, k, 2) the nodes' places on the images of their strips, NaN past the last."""
    where = np.full((len(strips), PATCHES, 2), np.nan)
    for row, strip in zip(where, strips, strict=True):
        row[: len(strip.where)] = strip.where
    return where
