"""Stored explanatory graphs: what does not belong together is refused when it is read."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_graph import graph

from interpkit.results import ExplanatoryGraph


def put(value: float, at: object = 0) -> Callable[[Any], Any]:
    """An array with one number changed."""

    def changed(array: Any) -> Any:
        array = array.copy()
        array[at] = value
        return array

    return changed


WRONG = {
    "layer0.edges": [
        (put(32, (0, 0)), "the end of an edge of .* is not among 0 to 31"),
        (put(-1, (3, 1)), "the end of an edge of .* is not among 0 to 31"),
        (lambda edges: edges.astype(float), "the end of an edge of .* is no whole number"),
    ],
    "layer1.representative": [(put(32), "what stands for a node"), (put(-1), "what stands for a node")],
    "layer1.part": [(put(2), "a landmark of .* is not among -1 to 1")],
    "layer1.filters": [(put(11), "a filter of .* is not among 0 to 10")],
    "layer1.likelihood": [(lambda values: values[:0], r"likelihood of .* has shape \(0,\)")],
    "layer1.place": [(lambda place: place[:, :1], "place has shape")],
    "pictures.layer": [(put(3), "the layer of a node that is shown"), (put(-1), "the layer of a node that is shown")],
    "pictures.node": [(put(32), "a node of layer 0 that is shown"), (put(-1), "a node of layer 0 that is shown")],
    "pictures.heat": [(lambda heat: heat[:, :1], "heat maps of shape .* are not of 3 layers")],
    "turned": [(lambda turned: turned[1:], "39 images are turned or not, of 40")],
}


@pytest.mark.parametrize(
    ("name", "change", "said"), [(name, *one) for name, several in WRONG.items() for one in several]
)
def test_numbers_that_lead_nowhere_are_refused(name, change, said):
    parts = graph().to_parts()
    arrays = {**parts.arrays, name: change(parts.arrays[name])}
    with pytest.raises(ValueError, match=said):
        ExplanatoryGraph.from_parts(replace(parts, arrays=arrays))


def test_nothing_is_above_the_topmost_layer():
    parts = graph().to_parts()
    ends = {"layer2.edges": np.zeros((32, 1), np.int64), "layer2.agreement": np.ones((32, 1))}
    with pytest.raises(ValueError, match=r"nothing is above features\.28"):
        ExplanatoryGraph.from_parts(replace(parts, arrays={**parts.arrays, **ends}))


def test_what_is_kept_whole_is_read():
    one = graph()
    again = ExplanatoryGraph.from_parts(one.to_parts())
    np.testing.assert_array_equal(again.layers[0].edges, one.layers[0].edges)
