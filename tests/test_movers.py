"""Units of two columns matched by number: when they are, and which of them changed most."""

from dataclasses import replace

import numpy as np
import pytest
from made_beside import blocked

from interpkit.comparison import side_by_side
from interpkit.errors import ResultError
from interpkit.results import Dissection


def test_matched_units_give_a_comparison_and_the_largest_movers():
    one, other = blocked(0), blocked(1)
    result, pair = side_by_side([[one], [other]], match="yes")
    assert pair is not None
    assert pair.columns == ("net 0", "net 1")
    assert (pair.provenance.model_sha, pair.provenance.labels_sha) == (
        result.provenance.model_sha,
        result.provenance.labels_sha,
    )
    moved = result.movers
    assert moved is not None
    units = moved.units.tolist()
    either = one.detectors() | other.detectors()
    assert set(units) <= set(np.flatnonzero(either).tolist())
    first, last = one.best(), other.best()
    names = [[column.table()["concept"][u] for u in units] for column in (one, other)]
    assert [list(row) for row in moved.concepts] == names
    assert moved.iou.tolist() == [first[1][units].tolist(), last[1][units].tolist()]
    renamed = [a != b or one.detectors()[u] != other.detectors()[u] for a, b, u in zip(*names, units, strict=True)]
    assert renamed == sorted(renamed, reverse=True)
    gaps = [abs(first[1][u] - last[1][u]) for u, changed in zip(units, renamed, strict=True) if changed]
    assert gaps == sorted(gaps, reverse=True)
    for gallery, column in zip(moved.galleries, (one, other), strict=True):
        u = units[0]
        entries = gallery.of(u)
        assert [gallery.names[gallery.image[e]] for e in entries] == [
            column.top.names[i] for i in column.top.image[u][:6] if i >= 0
        ]
        start, step = (np.array(pair) for pair in column.placement)
        cell = np.unravel_index(column.top.maps[u, 0].argmax(), column.map_size)
        np.testing.assert_allclose(gallery.position[entries[0]] * 32, start + np.array(cell) * step)
    assert set(result.pictures) == {name for gallery in moved.galleries for name in gallery.names}


@pytest.mark.parametrize(
    ("other", "match", "matched"),
    [
        (blocked(1, layer="else"), "auto", False),
        (blocked(1, layer="else"), "yes", True),
        (blocked(1, model="net 0"), "no", False),
        (blocked(1, model="net 0"), "auto", True),
        (blocked(1), "auto", False),
        (blocked(1, units=13), "auto", False),
    ],
)
def test_when_units_match(other, match, matched):
    result, pair = side_by_side([[blocked(0)], [other]], match=match)
    assert (pair is not None, result.movers is not None) == (matched, matched)


def test_networks_of_two_names_match_where_their_units_top_images_do():
    one, other = blocked(0, units=40), blocked(1, units=40)
    names = tuple(f"image {n}" for n in range(200))
    rng = np.random.default_rng(0)
    width = one.top.image.shape[1]
    seen = np.stack([rng.permutation(200)[:width] for _ in range(40)])

    def looking(result: Dissection, image: np.ndarray, order: np.ndarray) -> Dissection:
        # The same images, listed in another order.
        place = np.argsort(order)
        return replace(result, top=replace(result.top, names=tuple(names[n] for n in order), image=place[image]))

    straight, mixed = np.arange(200), rng.permutation(200)
    moved = np.where(rng.random(seen.shape) < 0.5, seen, rng.integers(0, 200, seen.shape))
    first = looking(one, seen, straight)
    for image, matched in (
        (moved, True),
        (np.roll(seen, 1, 0), False),
        (rng.permutation(seen.ravel()).reshape(seen.shape), False),
    ):
        assert (side_by_side([[first], [looking(other, image, mixed)]])[1] is not None) == matched


def test_a_match_that_cannot_be_is_refused():
    with pytest.raises(ResultError, match=r"net 0 12, net 1 13 units"):
        side_by_side([[blocked(0)], [blocked(1, units=13)]], match="yes")
