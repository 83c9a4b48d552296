"""Where a graph's nodes are on other images."""

import numpy as np
import pytest
import torch
from spotted import LAYERS, SIDE, colours, probe, spotted, watched
from torch import nn

from interpkit import InterpkitError, Probe, infer_graph, load, save
from interpkit.models import load_model

OPTIONS = {
    **{"batch_size": 4, "memory_format": "contiguous", "threads": 1, "class_name": "beast", "align": "half-pixel"},
    **{"nodes": (6, 4), "edges": 5, "iterations": 8, "shots": (1,), "controls": False},
}


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    return spotted(tmp_path_factory.mktemp("spotted"), others=0)


@pytest.fixture(scope="module")
def fitted(labels):
    return of_graph(labels)


def of_graph(labels, **options):
    """A graph, and where its nodes are."""
    graph, found = watched(labels, {**OPTIONS, **options})
    return graph, found["graph"]


@pytest.fixture(scope="module")
def inputs(labels):
    look = probe()
    return torch.from_numpy(np.stack([look.preprocessing(labels.image(row)) for row in range(len(labels))]))


@pytest.mark.parametrize("sigma", ["fitted", "fused"])
def test_images_of_the_fit_are_seen_as_in_the_fit(fitted, labels, sigma):
    graph, patterns = fitted if sigma == "fitted" else of_graph(labels, sigma=sigma)
    low = graph.layers[0]
    assert np.array_equal(low.used, low.sigma) == (sigma == "fitted")
    found = infer_graph(graph, probe(), labels)
    assert list(found) == list(LAYERS)
    listed = labels.images["image"].tolist()
    for one in patterns:
        for names, seen in ((graph.images, one.training), (graph.held_out, one.held_out)):
            rows = [listed.index(name) for name in names]
            # The fit's features were rounded: cells that are all but equal may change places.
            near = np.abs(found[one.layer].place[rows] - seen.place).max(-1) < 1e-3
            assert near.mean() > 0.98
            np.testing.assert_allclose(found[one.layer].score[rows][near], seen.score[near], rtol=0.02, atol=1e-6)


def test_an_image_alone_is_seen_as_among_others(fitted, inputs):
    graph, _ = fitted
    together = infer_graph(graph, probe(), inputs)
    for row in (0, 5, 29):
        alone = infer_graph(graph, probe(), inputs[row : row + 1])
        for layer in LAYERS:
            np.testing.assert_array_equal(alone[layer].place[0], together[layer].place[row])
            np.testing.assert_array_equal(alone[layer].score[0], together[layer].score[row])
    backwards = infer_graph(graph, probe(), inputs.flip(0))
    for layer in LAYERS:
        np.testing.assert_array_equal(backwards[layer].place[::-1], together[layer].place)


def test_a_label_set_and_its_inputs_give_the_same(fitted, labels, inputs):
    graph, _ = fitted
    for other in (infer_graph(graph, probe(), inputs), infer_graph(graph, probe(), inputs.numpy())):
        for layer, found in infer_graph(graph, probe(), labels).items():
            np.testing.assert_array_equal(found.place, other[layer].place)
            np.testing.assert_array_equal(found.score, other[layer].score)


def test_a_graph_from_disk_sees_the_same(fitted, inputs, tmp_path):
    graph, _ = fitted
    again = load(save(graph, tmp_path / "run" / "graph"))
    for layer, found in infer_graph(graph, probe(), inputs[:5]).items():
        np.testing.assert_array_equal(found.place, infer_graph(again, probe(), inputs[:5])[layer].place)


def test_a_black_image_has_no_places(fitted):
    graph, _ = fitted
    found = infer_graph(graph, probe(), torch.zeros(1, 3, SIDE, SIDE))
    for layer in graph.layers:
        assert (found[layer.layer].score == 0).all()
        # Where they would be expected: no layer above says otherwise.
        np.testing.assert_allclose(found[layer.layer].place[0], layer.place, rtol=1e-5)


def test_more_layers_in_another_order_do_no_harm(fitted, inputs):
    graph, _ = fitted
    more = infer_graph(graph, probe(("high", "low.0", "low")), inputs[:3])
    for layer, found in infer_graph(graph, probe(), inputs[:3]).items():
        np.testing.assert_array_equal(found.place, more[layer].place)
    assert list(more) == list(LAYERS)


def test_no_images(fitted):
    graph, _ = fitted
    found = infer_graph(graph, probe(), torch.zeros(0, 3, SIDE, SIDE))
    assert [(one.place.shape, one.score.shape) for one in found.values()] == [
        ((0, 24, 2), (0, 24)),
        ((0, 16, 2), (0, 16)),
    ]


def test_what_cannot_be_looked_at(fitted, inputs):
    graph, _ = fitted
    other = colours()
    nn.init.ones_(other.head.bias)
    with pytest.raises(InterpkitError, match="the probe of other weights"):
        infer_graph(graph, probe(net=other), inputs)
    with pytest.raises(InterpkitError, match=r"the graph has layer 'high', the probe has not; nearest: low"):
        infer_graph(graph, probe(("low", "low.0")), inputs)
    larger = Probe(load_model(colours(), size=64, mean=[0, 0, 0], std=[1, 1, 1]), LAYERS)
    with pytest.raises(InterpkitError, match=r"of inputs of \(48, 48\), the probe takes \(64, 64\)"):
        infer_graph(graph, larger, inputs)
    with pytest.raises(InterpkitError, match=r"images are \(N, 3, 48, 48\), preprocessed, not \(3, 48, 48\)"):
        infer_graph(graph, probe(), inputs[0])
    with pytest.raises(InterpkitError, match=r"images are \(N, 3, 48, 48\), preprocessed, not \(2, 1, 48, 48\)"):
        infer_graph(graph, probe(), inputs[:2, :1])
    with pytest.raises(InterpkitError, match="at least 1 image, not 0"):
        infer_graph(graph, probe(), inputs, batch_size=0)
    with pytest.raises(InterpkitError, match="not finite"):
        infer_graph(graph, probe(), inputs[:1] * torch.nan)


def test_an_image_that_cannot_be_read(fitted, tmp_path):
    graph, _ = fitted
    labels = spotted(tmp_path, images=4, others=0)
    (tmp_path / "images" / "01.png").write_bytes(b"no image")
    with pytest.raises(InterpkitError, match=r"01\.png"):
        infer_graph(graph, probe(), labels)
    found = infer_graph(graph, probe(), labels.without([1]))
    assert found["low"].place.shape == (3, 24, 2)
