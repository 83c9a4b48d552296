"""Plots of an explanatory graph draw what the result says."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from made_graph import LAYERS, graph, without_landmarks

from interpkit import plot
from interpkit.errors import UnknownNameError

mpl.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def test_the_strongest_nodes_lie_where_they_are_on_average():
    result = graph()
    ax = plot.part_patterns(result, LAYERS[1], most=5)
    one = result.layers[1]
    best = one.best(5)
    np.testing.assert_allclose(ax.collections[0].get_offsets(), one.mean[best][:, ::-1])
    assert [text.get_text() for text in ax.texts] == [str(unit) for unit in one.filter[best]]
    assert len(ax.images) == 1
    assert ax.get_ylim() == (223.5, -0.5)
    ax.figure.canvas.draw()
    assert not plot.part_patterns(replace(result, pictures={}), LAYERS[1]).images


def test_a_layer_that_is_not_there_is_one_line():
    with pytest.raises(UnknownNameError, match=r"no layer 'features.2'; there is features.2"):
        plot.part_patterns(graph(), "features.2")


def test_every_control_stands_beside_the_nodes():
    result = graph()
    ax = plot.pattern_instability(result)
    lines = {line.get_label(): line.get_xdata() for line in ax.lines}
    assert list(lines) == ["no edges", "shuffled", "raw", "centre", "graph"]
    for name, values in lines.items():
        np.testing.assert_array_equal(values, [result.evaluation.at(layer, name) for layer in LAYERS])
    ax.figure.canvas.draw()


def test_no_landmarks_is_said():
    ax = plot.pattern_instability(without_landmarks())
    assert [text.get_text() for text in ax.texts] == ["no landmarks"]
