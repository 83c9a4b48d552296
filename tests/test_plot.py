"""Plots draw what the result says."""

import matplotlib as mpl
import numpy as np
import pytest
from labels_on_disk import small_broden
from made_entanglement import CLASSES, entanglement
from made_finetuning_page import compared, finetuned, history, several_an_image
from made_pages import detecting, unlabelled, with_threshold
from made_parts import partscores, without_landmarks
from networks import tiny

from interpkit import Dissection, LabelSet, Probe, dissect, load_model, plot
from interpkit.errors import UnknownNameError

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


def test_blocks_hold_every_unit_once_by_owner():
    result = entanglement()
    blocks = plot.owner_blocks(result)
    assert sorted(blocks.units) == list(range(result.units))
    assert blocks.sizes.tolist() == [*result.units_per_class[blocks.classes], (result.owner < 0).sum()]
    starts = np.cumsum([0, *blocks.sizes])
    for place, k in enumerate(blocks.classes.tolist()):
        mine = blocks.units[starts[place] : starts[place + 1]]
        assert mine.tolist() == result.units_of(CLASSES[k]).tolist()


def test_the_matrix_is_drawn_by_owner():
    result = entanglement()
    ax = plot.entanglement_matrix(result)
    blocks = plot.owner_blocks(result)
    want = result.information[blocks.units][:, blocks.classes].T
    np.testing.assert_array_equal(ax.images[0].get_array(), want)
    assert [tick.get_text()[:39] for tick in ax.get_yticklabels()] == [result.classes[k][:39] for k in blocks.classes]
    ax.figure.canvas.draw()


def test_a_bar_for_every_class():
    result = entanglement()
    ax = plot.units_per_class(result, most=5)
    assert [bar.get_height() for bar in ax.patches] == sorted(result.units_per_class, reverse=True)[:5]
    ax.figure.canvas.draw()


def test_information_beside_permuted_labels():
    result = entanglement()
    ax = plot.information_distribution(result)
    assert sum(bar.get_height() for bar in ax.patches[:-1]) == (result.best > 0).sum()
    assert ax.lines[0].get_xdata()[0] == result.mis
    ax.figure.canvas.draw()


def test_the_three_baselines_are_drawn():
    result = partscores()
    ax = plot.instability(result)
    one = result.stability.summary()["multi"]
    assert [line.get_xdata()[0] for line in ax.lines] == [one[name] for name in plot.BASELINES]
    assert sum(bar.get_height() for bar in ax.patches) == judged(result)
    ax.figure.canvas.draw()


def test_a_dot_for_every_unit():
    result = partscores()
    ax = plot.template_scatter(result)
    dots = np.concatenate([np.ma.filled(one.get_offsets(), np.nan) for one in ax.collections])
    assert np.isfinite(dots).all(1).sum() == judged(result)
    ax.figure.canvas.draw()


def judged(result):
    return np.isfinite(result.stability.multi(result.stability.deviation)).sum()


def test_no_landmarks_is_said():
    for draw in (plot.instability, plot.template_scatter):
        assert draw(without_landmarks()).texts[0].get_text() == "no landmarks"


def test_the_confusion_stands_in_the_order_that_pairs_what_is_confused():
    result = finetuned("none", classes=tuple(f"class {i}" for i in range(8)))
    order = plot.confusion_order(result)
    assert sorted(order.tolist()) == list(range(8))
    # Each class is mostly taken for its neighbour of the same pair.
    assert all(order[i] // 2 == order[i + 1] // 2 for i in range(0, 8, 2))
    ax = plot.confusion(result)
    shares = result.confusion / result.confusion.sum(1, keepdims=True)
    np.testing.assert_allclose(ax.images[0].get_array(), shares[order][:, order])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [f"class {i}" for i in order]
    ax.figure.canvas.draw()
    assert plot.confusion(several_an_image()).texts[0].get_text() == "several classes an image"


def test_a_training_is_drawn_from_before_its_first_epoch():
    result = finetuned("class-gate")
    ax = plot.training(result)
    drawn = ax.lines[1]
    assert drawn.get_xdata()[0] == 0
    np.testing.assert_allclose(drawn.get_ydata(), [result.start_accuracy, *result.history["validation_accuracy"]])
    assert len(ax.patches) == (history(loss="class-gate")["path"] == "gated").sum()
    assert ax.lines[2].get_ydata()[0] == result.chance_accuracy
    ax.figure.canvas.draw()


def test_before_and_after_of_every_unit():
    result = compared()
    ax = plot.before_after(result, "instability")
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), result.per_unit["instability"].T)
    assert ax.get_xlabel() == "Location instability, ordinary"
    assert ax.get_ylabel() == "Location instability, interpretable"
    ax.figure.canvas.draw()
    with pytest.raises(UnknownNameError, match="no measure 'instabilty'; there is instability"):
        plot.before_after(result, "instabilty")
