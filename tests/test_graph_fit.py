"""Graphs fitted from images: what is found, what changes nothing, and what is refused."""

import itertools
from inspect import signature

import numpy as np
import pytest
import torch
from spotted import LAYERS, SIDE, colours, picture, probe, save, spotted

from interpkit import InterpkitError, LabelSet, fit_graph, load
from interpkit import save as save_result
from interpkit.em import fitting as em_fitting
from interpkit.em.steps import Nodes
from interpkit.graph import _asked, _fit, _fitting, _layers, planned_fingerprint
from interpkit.probe import Probe
from interpkit.results import ExplanatoryGraph, GraphPictures

FED = {"batch_size": 4, "memory_format": "contiguous", "threads": 1}
SMALL = {
    **FED,
    "class_name": "beast",
    "nodes": (6, 4),
    "edges": 5,
    "iterations": 8,
    "shots": (1, 3),
    "align": "half-pixel",
}
NOTHING = GraphPictures(
    mean="",
    layer=np.zeros(0, np.int64),
    node=np.zeros(0, np.int64),
    strips=(),
    images=(),
    where=np.zeros((0, 6, 2)),
    patch=9,
    heat_images=(),
    heat=np.zeros((0, 2, 4, 4), np.uint8),
)
NUMBERS = ("place", "sigma", "used", "mean", "agreement", "score", "likelihood")


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> LabelSet:
    return spotted(tmp_path_factory.mktemp("spotted"))


@pytest.fixture(scope="module")
def fitted(labels):
    """A graph of the beasts, where whose nodes are, and the stages of its progress."""
    return watched(labels)


def watched(labels, **options):
    kept, stages = {}, []
    with pytest.MonkeyPatch.context() as patch:
        judged = _fit.evaluate
        patch.setattr(_fit, "evaluate", lambda found, *a, **k: kept.update(found) or judged(found, *a, **k))
        graph = fit_graph(probe(), labels, progress=lambda *now: stages.append(now), **{**SMALL, **options})
    return graph, kept, stages


def fit(labels, *, net=None, layers=LAYERS, **options) -> ExplanatoryGraph:
    """A graph alone, neither judged nor drawn, which takes longer than the fit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_fit, "landmarks_of", lambda *_, **__: None)
        patch.setattr(_fit, "draw", lambda *_, **__: (NOTHING, {}))
        return fit_graph(probe(layers, net), labels, **{**SMALL, **options})


def assert_same(one: ExplanatoryGraph, other: ExplanatoryGraph, *, close: float = 0.0) -> None:
    for mine, theirs in zip(one.layers, other.layers, strict=True):
        for name in NUMBERS:
            a, b = getattr(mine, name), getattr(theirs, name)
            np.testing.assert_allclose(a, b, rtol=close, atol=close * np.abs(b).max(initial=1), err_msg=name)
        np.testing.assert_array_equal(mine.edges, theirs.edges)


# --- what is found


def test_a_graph_of_one_class(fitted, labels):
    graph, _, _ = fitted
    assert graph.class_name == "beast"
    assert [one.layer for one in graph.layers] == list(LAYERS)
    assert (len(graph.images), len(graph.held_out)) == (22, 8)
    assert not set(graph.images) & set(graph.held_out)
    mine = labels.classes.loc[labels.classes["class"] == "beast", "image"]
    assert {*graph.images, *graph.held_out} == set(mine)
    low, high = graph.layers
    assert low.filters.tolist() == [0, 1, 3, 5]  # 4 is dead, and nothing is blue
    assert high.filters.tolist() == [0, 1, 2, 4]
    assert (low.nodes, high.nodes) == (6, 4)
    assert low.edges.shape == (24, 5)
    assert high.edges.shape == (16, 0)
    assert not graph.turned.any()
    assert graph.evaluation is not None
    assert set(graph.pictures) == set(graph.shown.names)
    assert graph.provenance.verb == "graph"
    assert "--class beast" in graph.provenance.command or "class_name='beast'" in graph.provenance.command


def test_scales_are_the_mean_maxima_of_the_training_images(fitted, labels):
    graph, _, _ = fitted
    rows = [labels.images["image"].tolist().index(name) for name in graph.images]
    look = probe()
    images = torch.from_numpy(np.stack([look.preprocessing(labels.image(row)) for row in rows]))
    for layer in graph.layers:
        highest = look(images)[layer.layer].amax((2, 3)).mean(0)[layer.filters]
        np.testing.assert_allclose(layer.scale, highest, rtol=1e-6)


def test_head_and_tail_are_found_on_images_kept_apart(fitted, labels):
    graph, found, _ = fitted
    where = labels.without(set(range(len(labels))) - set(rows_of(labels, graph.held_out)))
    names, landmarks = where.landmarks_of_input((SIDE, SIDE))
    assert names == ("head", "tail")
    for layer, patterns in zip(graph.layers, found["graph"], strict=True):
        away = np.linalg.norm(patterns.held_out.place[:, :, None] - landmarks[:, None], axis=-1)
        for unit, landmark in ((0, 0), (1, 1)):
            assert np.median(away[:, layer.filter == unit, landmark], 0).min() < 4


def rows_of(labels, names):
    listed = labels.images["image"].tolist()
    return [listed.index(name) for name in names]


def test_a_result_can_be_kept(fitted, tmp_path):
    graph, _, _ = fitted
    again = load(save_result(graph, tmp_path / "run" / "graph"))
    assert_same(graph, again)
    assert again.summary() == graph.summary()
    assert dict(again.pictures) == dict(graph.pictures)


def test_the_fingerprint_is_known_before(labels):
    defaults = {name: one.default for name, one in signature(fit_graph).parameters.items()}
    arguments = {**defaults, **SMALL, "nodes": [6, 4]}
    planned = planned_fingerprint(probe(), labels, arguments)
    assert fit(labels).provenance.is_of(planned)


def test_raw_places_are_the_highest_cells(fitted, labels):
    graph, found, _ = fitted
    look = probe()
    for layer, patterns in zip(graph.layers, found["raw"], strict=True):
        for names, seen in ((graph.images, patterns.training), (graph.held_out, patterns.held_out)):
            images = torch.from_numpy(np.stack([look.preprocessing(labels.image(r)) for r in rows_of(labels, names)]))
            maps = look(images)[layer.layer][:, layer.filters]
            cell = maps.flatten(2).argmax(2).numpy()
            step = SIDE / maps.shape[-1]
            expected = np.stack([cell // maps.shape[-1], cell % maps.shape[-1]], -1) * step + (step - 1) / 2
            on = maps.amax((2, 3)).numpy() > 0
            np.testing.assert_allclose(seen.place[on], expected[on])
            assert np.isnan(seen.place[~on]).all()
            assert ((seen.score > 0) == on).all()
            np.testing.assert_allclose(seen.score, maps.amax((2, 3)).numpy() / layer.scale, rtol=1e-5, atol=1e-7)


def test_scores_places_and_means_are_those_of_the_training_images(fitted):
    graph, found, _ = fitted
    for layer, patterns in zip(graph.layers, found["graph"], strict=True):
        place, score = patterns.training.place, patterns.training.score
        np.testing.assert_allclose(layer.score, score.mean(0, dtype=np.float64), rtol=1e-5)
        np.testing.assert_array_equal(layer.idle, ~(score > 0).any(0))
        seen = (score > 0)[..., None]
        mean = (place * seen).sum(0, dtype=np.float64) / np.maximum(seen.sum(0), 1)
        np.testing.assert_allclose(layer.mean[~layer.idle], mean[~layer.idle], rtol=1e-4)
        np.testing.assert_allclose(layer.mean[layer.idle], layer.place[layer.idle])
        np.testing.assert_array_equal(patterns.representative, layer.representative)
        assert (layer.filter[layer.representative] == layer.filter).all()
        assert (layer.score[layer.representative] >= layer.score * (1 - 1e-6)).all()


def test_likelihood_and_agreement_are_those_of_the_fit(labels, monkeypatch):
    ones, fitted = [], _fitting.fit
    monkeypatch.setattr(_fitting, "fit", lambda *a, **k: ones.append(fitted(*a, **k)) or ones[-1])
    graph = fit(labels)
    for layer, one in zip(graph.layers, ones[::-1], strict=True):
        np.testing.assert_allclose(layer.likelihood, one.fitted.likelihood.numpy().sum(1))
    (top, low), edges = ones, graph.layers[0].edges
    scores, moved = [], []
    for one in (low.training, top.training):
        score = one.score.flatten(1).double().numpy()
        place, seen = one.place.flatten(1, 2).double().numpy(), (score > 0)[..., None]
        scores.append(score)
        moved.append(np.where(seen, place - (place * seen).sum(0) / np.maximum(seen.sum(0), 1), 0))
    both = (scores[0] > 0)[:, :, None] & (scores[1] > 0)[:, None]
    away = ((moved[0][:, :, None] - moved[1][:, None]) ** 2).sum(-1)
    width = 2 * (away * both).sum((0, 2)) / both.sum((0, 2))
    for node in range(0, len(edges), 5):
        weight = scores[0][:, node, None] * both[:, node, edges[node]]
        expected = (weight * np.exp(-away[:, node, edges[node]] / width[node])).sum(0) / scores[0][:, node].sum()
        np.testing.assert_allclose(graph.layers[0].agreement[node], expected, rtol=1e-3)


def test_likelihood_of_the_topmost_layer_rises(fitted):
    top = fitted[0].layers[-1].likelihood
    assert (np.diff(top) >= -1e-6 * np.abs(top[:-1])).all()


def test_layers_are_taken_from_low_to_high(labels):
    graph, other = fit(labels), fit(labels, layers=LAYERS[::-1])
    assert_same(graph, other)
    assert not [note for note in graph.provenance.notes if "low to high" in note]
    assert "layers from low to high, as the network runs: low, high" in other.provenance.notes


def test_nodes_follow_the_size_of_the_map(labels):
    graph = fit(labels, nodes=None, iterations=1)
    assert [one.nodes for one in graph.layers] == [29, 15]


def test_the_strongest_filters_alone(labels):
    graph = fit(labels, filters=2, iterations=2)
    look = probe()
    images = torch.from_numpy(np.stack([look.preprocessing(labels.image(r)) for r in rows_of(labels, graph.images)]))
    for layer in graph.layers:
        means = look(images)[layer.layer].mean((0, 2, 3))
        assert layer.filters.tolist() == sorted(means.argsort(descending=True)[:2].tolist())


def test_images_are_squashed_to_the_input(tmp_path):
    labels = spotted(tmp_path, others=0, size=(40, 64))
    graph, found, _ = watched(labels, controls=False)
    _, landmarks = labels.without(set(range(len(labels))) - set(rows_of(labels, graph.held_out))).landmarks_of_input(
        (SIDE, SIDE)
    )
    away = np.linalg.norm(found["graph"][0].held_out.place[:, :, None] - landmarks[:, None], axis=-1)
    assert np.median(away[:, graph.layers[0].filter == 0, 0], 0).min() < 4


# --- controls


def test_controls_are_of_the_lower_layers(fitted):
    graph, found, stages = fitted
    assert set(found) == {"graph", "no edges", "shuffled", "raw"}
    assert [len(found[name]) for name in ("graph", "raw", "no edges", "shuffled")] == [2, 2, 1, 1]
    assert {one.layer for name in ("no edges", "shuffled") for one in found[name]} == {"low"}
    names = {stage for stage, _, _ in stages}
    assert {"activations", "high", "low", "low, no edges", "low, shuffled"} <= names
    assert {"graph", "no edges", "shuffled", "raw", "centre"} == set(graph.evaluation.table["positions"])
    for stage in ("high", "low", "low, no edges"):
        assert [now for now in stages if now[0] == stage][-1][1:] == (8, 8)


def test_controls_start_where_the_graph_does(labels):
    _, found, _ = watched(labels, iterations=1)  # edges come with the second
    for name in ("no edges", "shuffled"):
        for side in ("training", "held_out"):
            mine, theirs = getattr(found["graph"][0], side), getattr(found[name][0], side)
            np.testing.assert_array_equal(mine.place, theirs.place)
            np.testing.assert_array_equal(mine.score, theirs.score)
    _, found, _ = watched(labels, iterations=4)
    places = [found[name][0].training.place for name in ("graph", "no edges", "shuffled")]
    assert all((one != other).any() for one, other in itertools.combinations(places, 2))


def test_without_edges_is_the_layer_fitted_alone(labels):
    _, found, _ = watched(labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_fitting, "told_by", lambda one: None)
        _, alone, _ = watched(labels)
    np.testing.assert_array_equal(found["no edges"][0].training.place, alone["graph"][0].training.place)


def test_shuffled_places_are_another_images():
    draws = torch.Generator().manual_seed(0)
    numbers = (torch.rand(7, 3, 2, generator=draws), torch.rand(7, 3, generator=draws), torch.rand(3, 2), torch.rand(3))
    above = _layers.em.Above(*numbers)
    told = _layers.Told(above, _layers.em.Above(*(one[:4] for one in numbers[:2]), *numbers[2:]))
    dealt = _layers.shuffled(told, np.random.default_rng(0))
    for before, after in ((told.training, dealt.training), (told.held_out, dealt.held_out)):
        giver = [int((before.score == row).all(1).nonzero()) for row in after.score]
        assert sorted(giver) == list(range(len(before.score)))
        assert all(i != j for i, j in enumerate(giver))
        assert torch.equal(after.place, before.place[giver])
        assert after.mean is before.mean
        assert after.sigma is before.sigma
    again = _layers.shuffled(told, np.random.default_rng(1))
    assert not torch.equal(again.training.score, dealt.training.score)


def test_nothing_is_judged_without_landmarks(tmp_path):
    for i in range(12):
        save(tmp_path / f"{i:02d}.png", picture(np.array([20.0 + i, 24.0]), seed=i))
    labels = LabelSet.open(tmp_path)
    stages = []
    graph = fit_graph(probe(), labels, progress=lambda *now: stages.append(now[0]), **{**SMALL, "class_name": None})
    assert graph.class_name == ""
    assert graph.evaluation is None
    assert not [stage for stage in stages if "edges" in stage or "shuffled" in stage]
    assert any("no landmarks" in warning for warning in graph.warnings)
    assert any("10 images were fitted" in warning for warning in graph.warnings)
    assert (len(graph.images), len(graph.held_out)) == (10, 2)
    assert np.isnan(graph.layers[0].purity).all()
    assert (graph.layers[0].part == -1).all()


def test_all_images_may_be_fitted(labels):
    graph = fit(labels, train=30)
    assert (len(graph.images), graph.held_out) == (30, ())
    assert graph.images == tuple(sorted(graph.images))


# --- what changes nothing


def test_the_seed_decides(labels):
    graph = fit(labels, seed=1)
    assert_same(graph, fit(labels, seed=1))
    other = fit(labels, seed=2)
    assert graph.images != other.images
    # Of the same images too: where nodes start is drawn.
    one, other = (fit(labels, seed=seed, train=30, iterations=1).layers[1] for seed in (1, 2))
    assert (one.place != other.place).any()


def test_chunks_and_files_change_no_bit(labels, monkeypatch):
    graph = fit(labels)
    monkeypatch.setattr(em_fitting, "_BLOCK", 1)
    assert_same(graph, fit(labels, cache="disk", precision="float16"))


def test_batches_change_nothing_but_rounding(labels):
    assert_same(fit(labels), fit(labels, batch_size=1), close=1e-5)


def test_bytes_are_nearly_as_good(labels):
    graph, coarse = fit(labels), fit(labels, precision="uint8")
    assert any("float16" in note for note in graph.provenance.notes)
    assert any("uint8" in note for note in coarse.provenance.notes)
    for mine, theirs in zip(graph.layers, coarse.layers, strict=True):
        np.testing.assert_allclose(mine.scale, theirs.scale)
        assert np.median(np.abs(mine.place - theirs.place)) < 0.1


def test_scaling_a_filter_changes_nothing(labels):
    net = colours()
    with torch.no_grad():
        net.low[0].weight[1] *= 8
        net.low[0].bias[1] *= 8
        net.high[0].weight[:, 1] /= 8
    graph, scaled = fit(labels), fit(labels, net=net)
    assert_same(graph, scaled)
    np.testing.assert_allclose(scaled.layers[0].scale, graph.layers[0].scale * [1, 8, 1, 1])


def test_permuting_filters_permutes_nodes(labels, monkeypatch):
    def everywhere_alike(filters, number, grid, *, sigma, draws):
        rows = torch.linspace(0, len(grid.rows) - 1, number).round().long()
        place = torch.stack([grid.rows[rows], grid.columns[rows.flip(0)]], -1).expand(filters, -1, -1).contiguous()
        return Nodes(place, torch.full((filters, number), sigma))

    monkeypatch.setattr(em_fitting, "start", everywhere_alike)
    order = torch.tensor([3, 0, 4, 2, 1])
    net = colours()
    with torch.no_grad():
        for values in (net.high[0].weight, net.high[0].bias):
            values.copy_(values[order])
    graph, permuted = fit(labels), fit(labels, net=net)
    one, other = graph.layers[1], permuted.layers[1]
    assert other.filters.tolist() == [1, 2, 3, 4]  # unit 3, dead, comes first
    moved = [one.filters.tolist().index(unit) for unit in order.tolist() if unit != 3]
    nodes = (np.array(moved)[:, None] * 4 + np.arange(4)).reshape(-1)
    for name in ("place", "sigma", "mean", "score"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name)[nodes], rtol=1e-5)
    np.testing.assert_array_equal(nodes[other.representative], one.representative[nodes])
    # The lower layer hangs on the same nodes by their new numbers, of equals perhaps in another order.
    ties = zip(permuted.layers[0].edges, graph.layers[0].edges, strict=True)
    same = [set(nodes[mine]) == set(theirs) for mine, theirs in ties]
    assert np.mean(same) > 0.9


def test_a_black_image_changes_no_node(tmp_path):
    labels = spotted(tmp_path, others=0, images=20)
    graph = fit(labels, train=20)
    save(tmp_path / "images" / "99.png", np.zeros((SIDE, SIDE, 3), np.uint8))
    with (tmp_path / "landmarks.csv").open("a") as stream:
        stream.write("99.png,beast,,,,\n")
    darker, found, _ = watched(LabelSet.open(tmp_path), train=21, controls=False)
    assert darker.images[-1] == "99.png"
    for one, other in zip(graph.layers, darker.layers, strict=True):
        np.testing.assert_allclose(other.scale * 21, one.scale * 20)
        for name in ("place", "sigma", "mean"):
            np.testing.assert_allclose(getattr(other, name), getattr(one, name), rtol=2e-3)
        np.testing.assert_array_equal(one.edges, other.edges)
    for raw, patterns in zip(found["raw"], found["graph"], strict=True):
        assert np.isnan(raw.training.place[-1]).all()
        assert not np.isnan(raw.training.place[:-1]).all(2).any()
        assert not raw.training.score[-1].any()
        assert not patterns.training.score[-1].any()
        assert np.isfinite(patterns.training.place).all()


def test_a_node_that_explains_nothing_lies_where_it_would_be_expected(labels, monkeypatch):
    fitted = _fitting.fit

    def without_node_two(*args, **options):
        one = fitted(*args, **options)
        one.training.score[:, 0, 2] = 0
        return one

    monkeypatch.setattr(_fitting, "fit", without_node_two)
    for layer in fit(labels).layers:
        assert np.flatnonzero(layer.idle).tolist() == [2]
        np.testing.assert_array_equal(layer.mean[2], layer.place[2])
        assert layer.score[2] == 0
        assert (layer.agreement[2] == 0).all()
        assert 2 not in layer.best()


def test_the_network_is_left_as_it_was(labels):
    look = probe()
    before = {name: value.clone() for name, value in look.model.state_dict().items()}
    state = torch.random.get_rng_state()
    look.model.train()
    fit_graph(look, labels, **{**SMALL, "iterations": 1})
    assert look.model.training
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in look.model.state_dict().items())
    assert not any(module._forward_hooks for module in look.model.modules())


# --- fewer than asked for


def test_fewer_nodes_above_than_edges(labels):
    graph = fit(labels, nodes=(4, 1), edges=50, iterations=6)
    assert 1 <= graph.layers[0].edges.shape[1] <= 4


def test_one_iteration_picks_no_edges_and_it_is_said(labels):
    for iterations, number in ((1, 0), (2, 5)):
        graph = fit(labels, iterations=iterations)
        assert graph.layers[0].edges.shape == (24, number)
        assert any("second iteration" in one for one in graph.warnings) == (number == 0)


def test_an_image_that_cannot_be_read_is_left_out(tmp_path):
    labels = spotted(tmp_path, others=0)
    whole = fit(labels)
    bad = whole.images[3]
    (tmp_path / "images" / bad).write_bytes(b"no image")
    with pytest.raises(InterpkitError, match=bad):
        fit(LabelSet.open(tmp_path))
    graph = fit(LabelSet.open(tmp_path), skip_bad=True)
    assert graph.skipped == (bad,)
    assert bad not in (*graph.images, *graph.held_out)
    # The draw is the same, the next image moves up.
    assert len(set(graph.images) - set(whole.images)) <= 1


def test_too_few_are_left(tmp_path):
    labels = spotted(tmp_path, images=11, others=0)
    for name in ("00.png", "01.png"):
        (tmp_path / "images" / name).write_bytes(b"no image")
    with pytest.raises(InterpkitError, match="9 images to fit a graph to; it takes at least 10"):
        fit(labels, skip_bad=True)


def test_a_layer_without_a_receptive_field_is_spread_evenly(labels, monkeypatch):
    graph = fit(labels, align="receptive-field", iterations=1)
    assert graph.layers[0].placement == ((0, 0), (2, 2))
    assert not [note for note in graph.provenance.notes if "receptive" in note]
    known = _asked.receptive_fields
    monkeypatch.setattr(_asked, "receptive_fields", lambda *asked: {**known(*asked), "high": "it sees everything"})
    mixed = fit(labels, align="receptive-field", iterations=1)
    assert [one.placement for one in mixed.layers] == [((0, 0), (2, 2)), ((1.5, 1.5), (4, 4))]
    assert "no receptive field, cells spread evenly: high (it sees everything)" in mixed.provenance.notes


# --- what is refused


REFUSED = [
    ({"class_name": None}, r"of one class; name one of .*: beast, blank"),
    ({"class_name": "beats"}, r"has no class 'beats'; nearest: beast"),
    ({"class_name": "blank", "limit": 9}, r"has 9 images of class 'blank'; a graph takes at least 10"),
    ({"train": 31}, r"31 images to train on, but .* has 30 of class 'beast'; default: 22"),
    ({"train": 9}, "train must be at least 10, not 9"),
    ({"train": 12.5}, "train takes whole numbers, not 12.5"),
    ({"shots": [1.5]}, "shots takes whole numbers, not 1.5"),
    ({"nodes": (3,)}, "nodes has 1 numbers for 2 layers; one each, from low to high: low, high"),
    ({"nodes": (3, 145)}, "145 nodes a filter for layer 'high': its maps of 12 x 12 take 1 to 144; default: 15"),
    ({"edges": 0}, "edges must be at least 1"),
    ({"noise": 0.0}, "noise must be a positive number, 1e-12 to 1e\\+12, not 0; the paper: 0.1"),
    ({"noise": float("nan")}, "noise must be a positive number"),
    ({"noise": 1e-300}, "noise must be a positive number, .* not 1e-300"),
    ({"noise": 1e300}, "noise must be a positive number, .* not 1e\\+300"),
    ({"iterations": 0}, "iterations must be at least 1"),
    ({"rule": "frosen"}, "rule 'frosen' does not exist; there is repick, frozen; nearest: frozen"),
    ({"sigma": "fit"}, "nearest: fitted"),
    ({"precision": "float32"}, "nearest: float16"),
    ({"align": "receptive"}, "nearest: receptive-field"),
    ({"candidates": 0}, "candidates must be at least 1"),
    ({"filters": 0}, "filters must be at least 1"),
    ({"shots": ()}, "shots must be numbers of images"),
    ({"shots": (0, 3)}, "shots must be numbers of images"),
    ({"seed": -1}, "seed must be at least 0"),
    ({"cache": "none"}, "have to be kept"),
    ({"split": "test"}, "no split 'test'"),
]


@pytest.mark.parametrize(("options", "said"), REFUSED)
def test_mistakes_are_one_line(labels, options, said):
    with pytest.raises(InterpkitError, match=said) as caught:
        fit(labels, **options)
    assert "\n" not in str(caught.value)


def test_layers_that_make_no_graph(labels, monkeypatch):
    with pytest.raises(InterpkitError, match=r"two layers or more, .* has 1 \(low\)"):
        fit(labels, layers=("low",))
    with pytest.raises(InterpkitError, match="has 1"):
        fit(labels, layers=("low", "low"))
    with pytest.raises(InterpkitError, match=r"'low' and 'low#1' are the same"):
        fit(labels, layers=("low", "low#1"))
    monkeypatch.setattr(Probe, "shapes", lambda _: {"low": (6, 24, 24), "high": (5, 2, 12)})
    with pytest.raises(InterpkitError, match=r"'high' gives maps of 2 x 12.* at least 3 x 3"):
        fit(labels)


def test_a_dead_layer_and_numbers_that_are_none(labels):
    net = colours()
    with torch.no_grad():
        net.high[0].bias.fill_(-100)
    with pytest.raises(InterpkitError, match="layer 'high': all 5 filters are silent on the 22 training images"):
        fit(labels, net=net)
    with torch.no_grad():
        net.high[0].bias[2] = torch.nan
    with pytest.raises(InterpkitError, match="not finite"):
        fit(labels, net=net)


def test_classes_that_are_not_needed(tmp_path):
    labels = spotted(tmp_path, others=0)
    assert fit(labels, class_name=None, iterations=1).class_name == "beast"
    (tmp_path / "plain").mkdir()
    bare = spotted(tmp_path / "plain", others=0, classes=False)
    assert fit(bare, class_name=None, iterations=1).class_name == ""
    with pytest.raises(InterpkitError, match=r"no class 'beast': .* has no classes; leave it out"):
        fit(bare)


def test_a_decoder_of_other_images_is_refused_before_the_fit(labels, tmp_path):
    folder, stages = tmp_path / "decoder", []
    options = {**SMALL, "iterations": 1, "controls": False, "decoder": folder, "decoder_epochs": 1, "limit": 12}
    graph = fit_graph(probe(), labels, **options)
    assert graph.shown.synthesis_layer == "low"
    assert graph.provenance.options["decoder"] == str(folder)
    with pytest.raises(InterpkitError, match="images: 10 there, 11 asked for"):
        fit_graph(probe(), labels, train=11, progress=lambda stage, *_: stages.append(stage), **options)
    assert set(stages) == {"activations"}
    with pytest.raises(InterpkitError, match="decoder_epochs must be at least 1"):
        fit(labels, decoder=folder, decoder_epochs=0)


# --- photographs


def test_photographs_of_all_sizes(lite0, shared_data):
    labels = LabelSet.open(shared_data / "animal-parts")
    looked = Probe(lite0, ["_blocks.15", "_blocks.10"])
    options = {"class_name": "cat", "limit": 14, "nodes": (8, 4), "edges": 5, "iterations": 7, "filters": 12}
    graph = fit_graph(looked, labels, shots=(1, 3), controls=False, **FED, **options)
    assert [one.layer for one in graph.layers] == ["_blocks.10", "_blocks.15"]
    assert [one.map_size for one in graph.layers] == [(14, 14), (7, 7)]
    assert (len(graph.images), len(graph.held_out)) == (10, 4)
    low, _ = graph.layers
    assert low.edges.shape == (96, 5)
    assert ((low.mean > -20) & (low.mean < 244)).all()
    assert graph.evaluation.landmarks == ("head", "legs")
    assert np.isfinite(graph.evaluation.at("_blocks.10", "graph", top=20, images="training"))
