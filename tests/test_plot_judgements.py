"""What judges a dissection, drawn: every number in a figure is one of the result's."""

import matplotlib as mpl
import numpy as np
import pytest
from made_judgements import rotation, shuffles, untrained

from interpkit import plot
from interpkit.errors import UnknownNameError

mpl.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.mark.parametrize("count", ["unique_detectors_top_label", "unique_detectors_every_category", "detectors"])
def test_a_rotation_is_its_means_its_chance_and_a_dot_each(count):
    result = rotation()
    ax = plot.rotation(result, count=count)
    steps, table = result.summary()["alphas"], result.table()
    mean, luck = ax.lines
    np.testing.assert_allclose(mean.get_xydata(), [(one["alpha"], one[count]) for one in steps])
    np.testing.assert_allclose(luck.get_ydata(), [one["chance"][count] for one in steps])
    band, dots = ax.collections
    np.testing.assert_allclose(dots.get_offsets(), table[["alpha", count]])
    edges = band.get_paths()[0].vertices
    for one in steps:
        at = edges[edges[:, 0] == one["alpha"], 1]
        assert [at.min(), at.max()] == one["range"][count]
    assert ax.get_ylim()[0] == 0
    ax.figure.canvas.draw()


def test_another_count_is_refused():
    with pytest.raises(UnknownNameError, match="no count 'detector' of a rotation; nearest: detectors"):
        plot.rotation(rotation(), count="detector")


def test_shuffles_are_drawn_by_threshold():
    result = shuffles()
    ax = plot.shuffles(result)
    found, luck, own = ax.lines
    at = found.get_xdata()
    table = result.rates(at)
    np.testing.assert_array_equal(found.get_ydata(), table["detectors"])
    np.testing.assert_allclose(luck.get_ydata(), table["chance"])
    assert own.get_xdata()[0] == result.iou_threshold
    assert (at.min(), at.max()) == pytest.approx((0.02, 0.12))
    assert ax.texts[0].get_text().strip() == "false-detector rate 50.0% at 0.04"
    ax.figure.canvas.draw()


@pytest.mark.parametrize(("iou", "right"), [(0.0, 0.2), (0.5, 1.0)])
def test_any_threshold_can_be_drawn(iou, right):
    ax = plot.shuffles(shuffles(iou=iou))
    assert ax.get_xlim() == (iou / 2, right)
    ax.figure.canvas.draw()


def test_an_untrained_network_is_three_bars_beside_chance():
    result = untrained()
    ax = plot.untrained(result)
    said = result.summary()
    names = ["unique_detectors_top_label", "unique_detectors_every_category", "detectors"]
    assert [bar.get_height() for bar in ax.patches] == [said[name] for name in names]
    assert [line.get_ydata()[0] for line in ax.lines] == [said["chance"][name] for name in names]
    assert len(set(said["chance"].values()) | {said[name] for name in names}) > 2
    ax.figure.canvas.draw()


def test_axes_that_are_given_are_used():
    import matplotlib.pyplot as plt

    axes = plt.subplots(1, 3)[1]
    drawn = [draw(make(), ax=ax) for draw, make, ax in zip(DRAW, MADE, axes, strict=True)]
    assert all(one is ax for one, ax in zip(drawn, axes, strict=True))


DRAW, MADE = (plot.rotation, plot.shuffles, plot.untrained), (rotation, shuffles, untrained)
