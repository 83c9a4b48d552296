"""Plots draw what the result says."""

import matplotlib as mpl
import pytest
from labels_on_disk import small_broden
from made_pages import detecting, unlabelled, with_threshold
from networks import tiny

from interpkit import Dissection, LabelSet, Probe, dissect, load_model, plot

mpl.use("Agg")


@pytest.fixture
def result(tmp_path) -> Dissection:
    probe = Probe(load_model(tiny(), size=16), ["body"])
    return dissect(probe, LabelSet.open(small_broden(tmp_path / "set")), batch_size=1, threads=1)


@pytest.fixture(autouse=True)
def closed():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.mark.parametrize("rule", ["top-label", "every-category"])
def test_a_bar_for_every_concept_found(rule):
    result = detecting()
    ax = plot.concepts(result, rule=rule)
    found = result.by_concept(rule)
    assert len(found) > 1
    assert sorted(bar.get_height() for bar in ax.patches) == sorted(found["count"])
    assert {tick.get_text() for tick in ax.get_xticklabels()} == set(found["name"])
    ax.figure.canvas.draw()


@pytest.mark.parametrize("bare", [with_threshold(detecting(), 0.99), unlabelled()])
def test_nothing_found_is_drawn_too(bare):
    plot.concepts(bare).figure.canvas.draw()
    plot.iou_distribution(bare).figure.canvas.draw()


def test_the_distribution_holds_every_unit_and_the_threshold(result):
    ax = plot.iou_distribution(result)
    assert sum(bar.get_height() for bar in ax.patches) == result.units
    assert ax.lines[0].get_xdata()[0] == result.iou_threshold


def test_colours_stay_with_their_categories():
    colours = plot.category_colours(["part", "tissue", "object"])
    assert colours["part"] == plot.COLOURS["part"]
    assert colours["object"] == plot.COLOURS["object"]
    assert len(set(colours.values())) == 3
