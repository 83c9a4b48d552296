"""Units shown on images: which ones, where they peak, and their outlines."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from class_sets import listed_set
from numpy.typing import NDArray
from reference import dissection as plain
from small_networks import probe

from interpkit.entanglement import entangle
from interpkit.entanglement._gallery import exclusive_units
from interpkit.errors import ImageError
from interpkit.feeding import Feeding, read_image, stack
from interpkit.gallery import Outlining, make_gallery
from interpkit.geometry import Placement, half_pixel
from interpkit.labels import LabelSet
from interpkit.results import Entanglement, Gallery, owners
from interpkit.running import label_grid

FEEDING = Feeding(3, "contiguous", threads=1)
GRID = (16, 16)


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> LabelSet:
    return listed_set(tmp_path_factory.mktemp("labels") / "set", images=30)


def maps_of(labels: LabelSet, layer: str) -> NDArray[np.float32]:
    look = probe([layer])
    images = [read_image(labels, row, look.preprocessing) for row in range(len(labels))]
    return np.concatenate([look(stack([image], "contiguous"))[layer].numpy() for image in images])


def outlining(layer: str, units: int, *, placement: Placement | None = None, **changes: Any) -> Outlining:
    side = {"early": 16, "relu": 16, "norm": 8}[layer]
    values: dict[str, Any] = {
        "layer": layer,
        "placement": placement or half_pixel((32, 32), (side, side)),
        "grid": GRID,
        "thresholds": np.linspace(0.1, 0.6, units).astype(np.float32),
        "silent": np.arange(units) == 2,
    }
    return Outlining(**{**values, **changes})


def area(path: str) -> int:
    """Pixels inside an outline, counted line by line: an edge that goes down or up changes in and out."""
    edges: list[tuple[int, int]] = []  # (row, column) of every unit of a vertical edge
    for subpath in filter(None, path.split("z")):
        head, *_ = subpath[1:].replace("h", " h").replace("v", " v").split(" h")[0].split(" v")
        column, row = (int(number) for number in head.split())
        start = row
        for step in subpath[1:].replace("h", " h").replace("v", " v").split()[2:]:
            length = int(step[1:])
            if step[0] == "h":
                column += length
            else:
                edges += [(y, column) for y in range(min(row, row + length), max(row, row + length))]
                row += length
        edges += [(y, column) for y in range(min(row, start), max(row, start))]
    rows: dict[int, list[int]] = {}
    for y, x in edges:
        rows.setdefault(y, []).append(x)
    return sum(b - a for xs in rows.values() for a, b in zip(sorted(xs)[::2], sorted(xs)[1::2], strict=True))


# --- the gallery against the maps


@pytest.mark.parametrize("layer", ["early", "norm"])
@pytest.mark.parametrize("start", [None, 0.0])
def test_peaks_places_and_outlines_are_those_of_the_maps(labels, layer, start):
    maps = maps_of(labels, layer)
    units, side = maps.shape[1], maps.shape[2]
    stride = 32 / side
    placement = None if start is None else Placement((start, start), (stride, stride))
    how = outlining(layer, units, placement=placement)
    entries = [(unit, row) for unit in (3, 2, 5, 0) for row in (7, 29, 0, 12)]
    gallery = make_gallery(probe([layer]), labels, entries, outlining=how, feeding=FEEDING)
    first = (stride - 1) / 2 if start is None else start
    geometry = plain.Geometry((32, 32), GRID, (first, first), (stride, stride))
    assert gallery.grid == GRID
    shown = 0
    for e, (unit, row) in enumerate(entries):
        cells = maps[row, unit]
        assert gallery.peak[e] == pytest.approx(cells.max(), rel=1e-5)
        i, j = np.unravel_index(cells.argmax(), cells.shape)
        np.testing.assert_allclose(gallery.position[e], [(first + k * stride + 0.5) / 32 for k in (i, j)])
        surface = plain.resampled(cells, geometry)
        if (np.abs(surface - how.thresholds[unit]) > 1e-5).all():
            mask = plain.mask_of(surface, float(how.thresholds[unit]), strict=bool(how.silent[unit]))
            assert area(gallery.outlines[e]) == mask.sum()
            assert (gallery.outlines[e] == "") == (not mask.any())
            shown += int(mask.any())
    assert shown >= 4


def test_units_mostly_at_their_floor_are_outlined_where_they_are_above_it(labels):
    maps = maps_of(labels, "relu")
    at_floor = {"thresholds": np.zeros(6, np.float32), "silent": np.ones(6, np.bool_)}
    fires = (maps > 0).mean((2, 3))
    row, unit = (int(place) for place in np.argwhere((fires > 0.05) & (fires < 0.5))[0])
    look = probe(["relu"])
    one = make_gallery(look, labels, [(unit, row)], outlining=outlining("relu", 6, **at_floor), feeding=FEEDING)
    surface = plain.resampled(maps[row, unit], plain.Geometry((32, 32), GRID, (0.5, 0.5), (2.0, 2.0)))
    assert area(one.outlines[0]) == (surface > 0).sum() > 0
    loud = outlining("relu", 6, **{**at_floor, "silent": np.zeros(6, np.bool_)})
    assert area(make_gallery(look, labels, [(unit, row)], outlining=loud, feeding=FEEDING).outlines[0]) == 256


def test_entries_stay_in_their_order_and_images_are_named_once(labels):
    entries = [(4, 9), (4, 2), (1, 2), (0, 9), (0, 28)]
    gallery = make_gallery(probe(["norm"]), labels, entries, outlining=outlining("norm", 8), feeding=FEEDING)
    assert gallery.unit.tolist() == [4, 4, 1, 0, 0]
    assert gallery.names == ("09.png", "02.png", "28.png")
    assert [gallery.names[i] for i in gallery.image] == ["09.png", "02.png", "02.png", "09.png", "28.png"]
    assert gallery.of(4).tolist() == [0, 1]
    assert gallery.of(7).tolist() == []


@pytest.mark.parametrize("size", [1, 2, 30])
def test_how_the_network_is_fed_moves_nothing_that_is_shown(labels, size):
    entries = [(unit, row) for unit in (0, 3) for row in (5, 1, 22)]
    how = outlining("norm", 8)
    one = make_gallery(probe(["norm"]), labels, entries, outlining=how, feeding=FEEDING)
    fed = Feeding(size, "channels_last", threads=1)
    other = make_gallery(probe(["norm"]), labels, entries, outlining=how, feeding=fed)
    np.testing.assert_allclose(one.peak, other.peak, rtol=1e-5)
    np.testing.assert_array_equal(one.position, other.position)
    assert one.outlines == other.outlines


def test_each_image_is_run_once(labels, monkeypatch):
    look = probe(["norm"])
    look.shapes()
    seen = []
    run = type(look).__call__

    def counted(self: Any, images: Any) -> Any:
        seen.append(len(images))
        return run(self, images)

    monkeypatch.setattr(type(look), "__call__", counted)
    entries = [(unit, row) for unit in range(8) for row in (3, 1, 4, 15)]
    make_gallery(look, labels, entries, outlining=outlining("norm", 8), feeding=FEEDING)
    assert seen == [3, 1]


def test_the_layer_is_found_among_several(labels):
    entries = [(2, 4), (3, 4)]
    several = make_gallery(probe(["early", "norm"]), labels, entries, outlining=outlining("norm", 8), feeding=FEEDING)
    alone = make_gallery(probe(["norm"]), labels, entries, outlining=outlining("norm", 8), feeding=FEEDING)
    np.testing.assert_allclose(several.peak, alone.peak)
    assert several.outlines == alone.outlines


def test_nothing_to_show_gives_an_empty_gallery(labels):
    gallery = make_gallery(probe(["norm"]), labels, [], outlining=outlining("norm", 8), feeding=FEEDING)
    assert (gallery.names, gallery.outlines, gallery.grid) == ((), (), GRID)
    assert gallery.position.shape == (0, 2)
    back = Gallery.restored(gallery.document(), gallery.arrays())
    assert back.position.shape == (0, 2)


def test_an_image_that_went_away_is_named(labels, tmp_path):
    copy = listed_set(tmp_path / "set", images=3)
    (copy.root / "images" / "01.png").unlink()
    with pytest.raises(ImageError, match=r"01\.png"):
        make_gallery(probe(["norm"]), copy, [(0, 1)], outlining=outlining("norm", 8), feeding=FEEDING)


def test_outlines_lie_on_the_label_maps_or_on_half_the_input(labels, tmp_path):
    assert label_grid(labels, probe(["norm"])) == (16, 16)
    (tmp_path / "photos").mkdir()
    for path in (labels.root / "images").glob("0?.png"):
        (tmp_path / "photos" / path.name).symlink_to(path)
    assert label_grid(LabelSet.open(tmp_path / "photos"), probe(["norm"])) == (16, 16)


# --- storage


def stored(**changes: Any) -> Gallery:
    values: dict[str, Any] = {
        "names": ("a.png", "b.png"),
        "unit": np.array([3, 3, 1]),
        "image": np.array([0, 1, 1]),
        "peak": np.array([2, 1, 4], np.float32),
        "position": np.full((3, 2), 0.5),
        "outlines": ("M0 0h1v1h-1z", "", ""),
        "grid": (4, 6),
    }
    return Gallery(**{**values, **changes})


def test_a_gallery_comes_back_from_storage():
    one = stored()
    back = Gallery.restored(one.document(), one.arrays())
    assert (back.names, back.outlines, back.grid) == (one.names, one.outlines, one.grid)
    for name in ("unit", "image", "peak", "position"):
        assert getattr(back, name) is getattr(one, name)


@pytest.mark.parametrize("name", ["unit", "image", "peak", "position", "outlines", "names"])
def test_parts_of_different_galleries_are_refused(name):
    one = stored()
    cut = replace(one, **{name: getattr(one, name)[:-1]})
    with pytest.raises(ValueError, match=r"outlines are not those|pictures are listed"):
        Gallery.restored(cut.document(), cut.arrays())


# --- which units are shown


def by_definition(information: NDArray[np.float64], means: NDArray[np.float64], mean: NDArray[np.float64]) -> list[int]:
    """Up to three units a class, most exclusive first; the 40 classes whose best unit is the most exclusive."""
    chosen: dict[int, list[tuple[float, int]]] = {}
    for unit, row in enumerate(information.tolist()):
        k = row.index(max(row))
        lead = max(row) - max(row[:k] + row[k + 1 :])
        if lead > 0 and means[k, unit] > mean[unit]:
            chosen.setdefault(k, []).append((-lead, unit))
    best = {k: sorted(units)[:3] for k, units in chosen.items()}
    classes = sorted(sorted(best, key=lambda k: (best[k][0][0], k))[:40])
    return [unit for k in classes for _, unit in best[k]]


@pytest.mark.parametrize("classes", [3, 5, 60])
def test_the_most_exclusive_units_are_shown(classes):
    rng = np.random.default_rng(classes)
    information = rng.random((400, classes)) * (rng.random((400, classes)) < 0.5)
    information[:5] = 0
    information[5:9] = 0.5  # as much of every class
    means, mean = rng.random((classes, 400)), np.full(400, 0.4)
    found = exclusive_units(information, *owners(information, means, mean))
    assert found == by_definition(information, means, mean)
    assert len(set(information[found].argmax(1))) == min(classes, 40)
    assert 2 * min(classes, 40) < len(found) <= 3 * min(classes, 40)
    assert not set(found) & set(range(9))


def test_no_unit_may_be_exclusive():
    information = np.zeros((4, 3))
    assert exclusive_units(information, *owners(information, np.ones((3, 4)), np.zeros(4))) == []


def names_of(one: Entanglement, entries: Sequence[int]) -> list[str]:
    return [one.gallery.names[one.gallery.image[entry]] for entry in entries]


def test_entangled_units_are_shown_where_they_fire_most(labels):
    one = entangle(probe(["norm"]), labels, batch_size=1, memory_format="contiguous")
    assert list(dict.fromkeys(one.gallery.unit.tolist())) == exclusive_units(one.information, one.owner, one.positive)
    peaks = maps_of(labels, "norm").max((2, 3))
    assert len(one.gallery.unit) > 0
    for unit in set(one.gallery.unit.tolist()):
        order = np.argsort(-peaks[:, unit], kind="stable")[:6]
        assert names_of(one, one.gallery.of(unit)) == [f"{row:02d}.png" for row in order]
    few = entangle(probe(["norm"]), labels, limit=8, batch_size=1, memory_format="contiguous", skip_bad=True)
    assert all(len(few.gallery.of(unit)) == 6 for unit in few.gallery.unit)
