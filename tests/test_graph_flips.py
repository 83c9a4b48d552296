"""Images seen mirrored where that makes the topmost layer's parts likelier."""

import numpy as np
import pytest
import torch
from spotted import SIDE, probe, spotted, watched

from interpkit import em, fit_graph, infer_graph
from interpkit.graph import _fit, _layers
from interpkit.graph._flips import likelier, mirrored_back
from interpkit.graph._infer import _Held

OPTIONS = {
    **{"batch_size": 4, "memory_format": "contiguous", "threads": 1, "class_name": "beast", "align": "half-pixel"},
    **{"nodes": (6, 6), "edges": 5, "iterations": 20, "shots": (1,), "controls": False, "train": 75},
}
TURNING = OPTIONS | {"flips": True}
IMAGES, MIRRORED = 100, 30


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    return spotted(tmp_path_factory.mktemp("spotted"), images=IMAGES, others=0, mirrored=MIRRORED)


@pytest.fixture(scope="module")
def fitted(labels):
    return watched(labels, TURNING)


def places(labels, names):
    """(N, 2, 2) landmarks on the input."""
    listed = labels.images["image"].tolist()
    return labels.landmarks_of_input((SIDE, SIDE))[1][[listed.index(name) for name in names]]


def looks_left(labels, names):
    there = places(labels, names)
    return there[:, 0, 1] > there[:, 1, 1]


def test_images_that_look_the_other_way_are_turned(fitted, labels):
    graph, _ = fitted
    other = looks_left(labels, graph.images)
    assert 5 < other.sum() < len(other) / 2
    assert graph.turned.dtype == np.bool_
    # Which of the two sides it settles on is all the same.
    assert max((graph.turned == other).mean(), (graph.turned != other).mean()) > 0.9


def test_places_are_on_the_images_as_they_are(fitted, labels):
    graph, found = fitted
    for layer, patterns in zip(graph.layers, found["graph"], strict=True):
        for names, seen in ((graph.images, patterns.training), (graph.held_out, patterns.held_out)):
            away = np.linalg.norm(seen.place[:, :, None] - places(labels, names)[:, None], axis=-1)
            for unit, landmark in ((0, 0), (1, 1)):
                assert np.median(away[:, layer.filter == unit, landmark], 0).min() < 4
            both = looks_left(labels, names)
            best = away[:, layer.filter == 0, 0].mean(0).argmin()
            assert np.median(away[both][:, layer.filter == 0, 0][:, best]) < 5


def test_raw_places_are_those_of_images_as_they_are(fitted, labels):
    _, found = fitted
    with pytest.MonkeyPatch.context() as patch:
        plain = {}
        patch.setattr(_fit, "evaluate", lambda found, *_, **__: plain.update(found))
        graph = fit_graph(probe(), labels, **{**OPTIONS, "iterations": 1})
    assert not graph.turned.any()
    for one, other in zip(found["raw"], plain["raw"], strict=True):
        np.testing.assert_array_equal(one.training.place, other.training.place)


@pytest.mark.parametrize("iterations", [20, 6])
def test_new_images_are_turned_by_the_same_rule(fitted, labels, iterations):
    # Of six iterations none turns images: they are turned by the nodes as they are in the end.
    graph, found = fitted if iterations == 20 else watched(labels, TURNING | {"iterations": iterations})
    assert graph.turned.any()
    new = infer_graph(graph, probe(), labels)
    listed = labels.images["image"].tolist()
    for patterns in found["graph"]:
        for names, seen in ((graph.images, patterns.training), (graph.held_out, patterns.held_out)):
            mine = new[patterns.layer].place[[listed.index(name) for name in names]]
            # Features were rounded for the fit: a few cells that are all but equal differ.
            assert (np.abs(mine - seen.place).max(-1) < 1e-3).mean() > 0.97


def test_images_are_turned_while_the_topmost_layer_is_fitted(labels, monkeypatch):
    turned = _layers.turn
    calls = []
    monkeypatch.setattr(_layers, "turn", lambda maps, *a, **k: calls.append(len(maps.rows)) or turned(maps, *a, **k))
    watched(labels, TURNING)
    # At the fifth iteration and the tenth, and in the end, when held-out images are too.
    assert calls == [75, 75, 75, 25]


def test_off_unless_asked_for(labels):
    kept = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_fit, "evaluate", lambda *_, **__: None)
        filled = _fit.fill
        patch.setattr(_fit, "fill", lambda *a, **k: kept.update(k["store"].mirrored) or filled(*a, **k))
        graph = fit_graph(probe(), labels, **{**OPTIONS, "iterations": 1})
    assert not graph.turned.any()
    assert not kept


def test_columns_are_mirrored_about_the_middle():
    place = torch.tensor([[[3.0, 0.0], [5.0, 10.0]], [[3.0, 0.0], [5.0, 10.0]]])
    back = mirrored_back(place, np.array([True, False]), 48)
    assert back.tolist() == [[[3.0, 47.0], [5.0, 37.0]], [[3.0, 0.0], [5.0, 10.0]]]
    assert mirrored_back(place, np.array([False, False]), 48) is place


def test_the_side_with_less_activation_is_not_preferred():
    grid = em.Grid(*(torch.arange(8.0) * 6 for _ in range(2)))
    nodes = em.Nodes(torch.tensor([[[12.0, 12.0]]]), torch.tensor([[6.0]]))
    away = torch.exp(-((grid.rows[:, None] - 12) ** 2 + (grid.columns - 12) ** 2) / 72)[None, None]
    strong, weak = _Held(torch.cat([3 * away, away])), _Held(torch.cat([away, away.flip(-1) / 3]))
    assert likelier(strong, weak, nodes, grid=grid, noise=0.01).tolist() == [False, False]
    assert likelier(weak, strong, nodes, grid=grid, noise=0.01).tolist()[1]
    nothing = _Held(torch.zeros(1, 1, 8, 8))
    assert likelier(nothing, nothing, nodes, grid=grid, noise=0.01).tolist() == [False]
