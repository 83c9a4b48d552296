"""What a page draws of a graph: nodes, patches, the mean image, heat maps, and the names they go by."""

import io
from dataclasses import replace

import numpy as np
import pytest
from drawn_graph import SIZE, blob_set, found, layer, map_set, patterns
from PIL import Image
from small_networks import probe

from interpkit.errors import ImageError
from interpkit.feeding import Feeding, read_image
from interpkit.graph._album import Album, jpeg
from interpkit.graph._found import Found, Patterns
from interpkit.graph._heat import heat_maps, strongest
from interpkit.graph._patches import best_images, cut, draw_strips, mean_input, patch_side, to_pixels
from interpkit.graph._shown import draw, shown_nodes
from interpkit.graph._some import spread
from interpkit.labels import LabelSet
from interpkit.models import Preprocessing

FEEDING = Feeding(4, "contiguous", 1)
WHOLE = Preprocessing((SIZE, 2 * SIZE), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    assert image.format == "JPEG"
    return image


# Heat maps


def brute_heat(place, score, size):
    """Cell by cell and node by node."""
    gh, gw = (round(56 * side / max(size)) for side in size)
    sigma = 15 / 224 * min(size)
    order = sorted(range(len(score)), key=lambda v: (-score[v], v))[: -(-len(score) // 2)]
    heat = np.zeros((gh, gw))
    for r in range(gh):
        for c in range(gw):
            y, x = (r + 0.5) * size[0] / gh - 0.5, (c + 0.5) * size[1] / gw - 0.5
            for v in order:
                if score[v] > 0:
                    heat[r, c] += np.exp(-((place[v][0] - y) ** 2 + (place[v][1] - x) ** 2) / (2 * sigma**2))
    return 255 * (heat - heat.min()) / (heat.max() - heat.min())


@pytest.mark.parametrize("size", [(32, 32), (24, 48), (224, 160)])
def test_heat_is_that_of_the_plain_definition(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    place = rng.uniform(0, size, (3, 9, 2)).astype(np.float32)
    score = rng.uniform(0, 1, (3, 9)).astype(np.float32)
    score[1, 2:] = 0  # fewer than half have a place
    maps = heat_maps(Found(place, score), input_size=size)
    assert maps.dtype == np.uint8
    for image in range(3):
        assert np.abs(maps[image] - brute_heat(place[image], score[image], size)).max() <= 0.5001
        assert (maps[image].min(), maps[image].max()) == (0, 255)


def test_an_image_without_nodes_stays_cold() -> None:
    silent = Found(np.full((1, 4, 2), np.nan, np.float32), np.zeros((1, 4), np.float32))
    assert not heat_maps(silent, input_size=(32, 32)).any()


def test_the_hottest_place_is_where_most_nodes_lie() -> None:
    place = np.float32([[[50, 180], [52, 182], [48, 178], [200, 20], [10, 10], [11, 11], [10, 9], [9, 10]]])
    score = np.float32([[5, 5, 5, 5, 1, 1, 1, 1]])
    heat = heat_maps(Found(place, score), input_size=(224, 224))[0]
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert abs(row * 4 + 1.5 - 50) <= 4
    assert abs(column * 4 + 1.5 - 180) <= 4
    assert heat[2, 2] == 0  # the weaker half draws nothing


def test_the_strongest_are_rounded_up_and_ties_go_to_the_first() -> None:
    assert strongest(np.float32([1, 2, 2, 2, 0]), 0.5).tolist() == [1, 2, 3]
    assert strongest(np.float32([1, 0, 0]), 1).tolist() == [0]


# Patches


def test_a_patch_is_cut_around_the_nodes_place(tmp_path) -> None:
    labels = map_set(tmp_path)
    mine = patterns(layer(nodes=2), 12, 0, silent=0.3)
    place = np.random.default_rng(3).uniform(8, [24, 56], mine.training.place.shape).astype(np.float32)
    mine = Patterns("norm", Found(place, mine.training.score), mine.held_out)
    training = [11, 3, 5, 7, 0, 1, 2, 4, 6, 8, 9, 10]
    nodes = [(0, node) for node in range(14)]
    strips = draw_strips(
        nodes, [mine], labels, training=training, turned=np.zeros(12, bool), input_size=(SIZE, 2 * SIZE)
    )
    for (_, node), strip in zip(nodes, strips, strict=True):
        score = mine.training.score[:, node]
        order = [i for i in np.argsort(-score, kind="stable") if score[i] > 0][:6]
        assert strip.images == tuple(training[i] for i in order)
        assert strip.pixels.shape == (140, 140 * len(order), 3)
        np.testing.assert_array_equal(strip.where, place[order, node])
        for at, image in enumerate(order):
            middle = strip.pixels[69:71, 140 * at + 69 : 140 * at + 71].reshape(4, 3).mean(0)
            wanted = [*(255 * (place[image, node] + 0.5) / (SIZE, 2 * SIZE)), 20 * training[image]]
            np.testing.assert_allclose(middle, wanted, atol=2.5)


def test_a_patch_spans_its_share_of_the_input(tmp_path) -> None:
    labels = map_set(tmp_path, images=1, size=(448, 448))
    one = Patterns(
        "a", Found(np.float32([[[111.5, 111.5]]]), np.ones((1, 1), np.float32)), found(layer(nodes=1, units=2), 0)
    )
    (strip,) = draw_strips([(0, 0)], [one], labels, training=[0], turned=np.zeros(1, bool), input_size=(224, 224))
    rows = strip.pixels[:, 70, 0].astype(float) / 255 * 224
    # 70 pixels of the input, at two pixels of the picture each: from 77 to 147.
    np.testing.assert_allclose(rows[[0, -1]], [77.25, 146.75], atol=1)


def test_patches_of_images_that_were_turned_are_mirrored(tmp_path) -> None:
    labels = map_set(tmp_path, images=2)
    one = patterns(layer(nodes=1), 2, 0, silent=0)
    size = (SIZE, 2 * SIZE)
    plain = draw_strips([(0, 3)], [one], labels, training=[0, 1], turned=np.zeros(2, bool), input_size=size)[0]
    turned = draw_strips([(0, 3)], [one], labels, training=[0, 1], turned=np.array([False, True]), input_size=size)[0]
    first = plain.images.index(1)
    for at in range(2):
        here, there = (strip.pixels[:, 140 * at : 140 * at + 140] for strip in (plain, turned))
        np.testing.assert_array_equal(there, here[:, ::-1] if at == first else here)
    np.testing.assert_array_equal(plain.where, turned.where)


@pytest.mark.parametrize("place", [(0.0, 0.0), (31.0, 20.0), (-9.0, 45.0), (15.5, 31.5)])
def test_beyond_the_border_the_image_is_reflected(place: tuple[float, float]) -> None:
    whole = np.random.default_rng(0).integers(0, 255, (96, 144, 3)).astype(np.uint8)
    patch = cut(whole, np.float32(place), zoom=3, side=140)
    padded = np.pad(whole, ((200, 200), (200, 200), (0, 0)), mode="reflect")
    top, left = (int(np.floor((at + 0.5) * 3 - 70 + 0.5)) + 200 for at in place)
    np.testing.assert_array_equal(patch, padded[top : top + 140, left : left + 140])


def test_an_image_of_one_pixel_gives_a_patch_of_its_colour() -> None:
    assert (cut(np.full((1, 1, 3), 7, np.uint8), np.float32([0, 0]), zoom=1, side=5) == 7).all()


def test_images_that_are_listed_twice_are_shown_once() -> None:
    score = np.float32([[3], [5], [5], [0], [4]])
    names = np.array(["a", "b", "b", "c", "a"])
    assert best_images(Found(np.zeros((5, 1, 2), np.float32), score), 0, names) == [1, 4]


def test_a_node_without_any_place_has_an_empty_strip(tmp_path) -> None:
    silent = Patterns("a", *2 * (Found(np.zeros((3, 1, 2), np.float32), np.zeros((3, 1), np.float32)),))
    (strip,) = draw_strips(
        [(0, 0)], [silent], map_set(tmp_path, images=3), training=[0, 1, 2], turned=np.zeros(3, bool), input_size=(8, 8)
    )
    assert (strip.images, strip.pixels.shape, strip.where.shape) == ((), (140, 0, 3), (0, 2))


def test_the_patch_grows_with_the_input() -> None:
    assert [patch_side(size) for size in ((224, 224), (448, 448), (32, 96), (4, 4))] == [70, 140, 10, 2]


# The mean image


def test_the_mean_image_is_the_mean_of_the_inputs_as_they_were_turned(tmp_path) -> None:
    labels = blob_set(tmp_path, images=5)
    how = Preprocessing((20, 24), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    turned = np.array([False, True, True, False])
    rows = [4, 0, 2, 1]
    mean = mean_input(labels, rows, preprocessing=how, turned=turned)
    inputs = [read_image(labels, row, how) for row in rows]
    wanted = np.mean([x[:, :, ::-1] if t else x for x, t in zip(inputs, turned, strict=True)], 0)
    np.testing.assert_allclose(mean, wanted, atol=1e-6)
    pixels = to_pixels(inputs[0], how)
    np.testing.assert_array_equal(pixels, np.asarray(labels.image(4).resize((24, 20), Image.Resampling.BILINEAR)))


def test_luminance_is_drawn_in_grey() -> None:
    how = Preprocessing((2, 3), (0.5,), (0.25,))
    pixels = to_pixels(np.float32([[[-2, 0, 2], [9, -9, 1]]]), how)
    assert pixels.shape == (2, 3, 3)
    assert pixels[..., 0].tolist() == pixels[..., 2].tolist() == [[0, 128, 255], [255, 0, 191]]


# Which nodes


def scattered(places, score):
    """One unit's nodes at these places."""
    return layer(units=2, nodes=len(places), mean=np.array(places, float), score=np.array(score, float))


def test_two_nodes_of_one_place_are_shown_only_where_others_are_lacking() -> None:
    places = [(10, 10), (12, 12), (20, 20), (10, 20), (11, 11)]
    one = scattered(places, [5, 4, 3, 2, 1])
    assert [node for _, node in shown_nodes([one], (32, 32), count=3)] == [0, 2, 3]
    assert [node for _, node in shown_nodes([one], (32, 32), count=4)] == [0, 1, 2, 3]
    assert [node for _, node in shown_nodes([one], (32, 32))] == [0, 1, 2, 3, 4]


def test_nodes_at_the_border_come_last() -> None:
    one = scattered([(1, 16), (16, 31), (16, 16), (8, 24)], [9, 8, 2, 1])
    assert [node for _, node in shown_nodes([one], (32, 32), count=3)] == [2, 3, 0]


def test_nodes_that_stand_for_others_or_for_nothing_are_not_shown() -> None:
    one = scattered([(8, 8), (16, 16), (24, 24)], [3, 2, 1])
    one = replace(one, representative=np.array([0, 0, 2]), idle=np.array([True, False, False]))
    assert shown_nodes([one], (32, 32)) == [(0, 2)]


def test_every_lower_layer_shows_nodes_that_are_tied_to_what_is_shown_above() -> None:
    rng = np.random.default_rng(4)
    inside = rng.uniform(4, 28, (3, 120, 2))
    top = layer("c", units=31, nodes=4, mean=inside[0])
    edges = [rng.integers(0, 120, (120, 3)) for _ in range(2)]
    middle = layer("b", units=31, nodes=4, edges=edges[0], mean=inside[1], seed=1)
    bottom = layer("a", units=31, nodes=4, edges=edges[1], mean=inside[2], seed=2)
    shown = shown_nodes([bottom, middle, top], (32, 32), count=4)
    assert [number for number, _ in shown] == [2] * 4 + [1] * 4 + [0] * 4
    of = {number: [node for where, node in shown if where == number] for number in range(3)}
    for number, layers in ((1, middle), (0, bottom)):
        assert all(set(layers.edges[node]) & set(of[number + 1]) for node in of[number])
    assert shown == shown_nodes([bottom, middle, top], (32, 32), count=4)


def hanging(edges, agreement, *, score):
    """A lower layer of these nodes in a row."""
    places = [(4.0 + 7 * n, 16) for n in range(len(edges))]
    return layer(
        "a",
        units=2,
        nodes=len(edges),
        edges=np.array(edges),
        agreement=np.array(agreement),
        mean=np.array(places),
        score=np.array(score, float),
    )


def of_layer(shown, number):
    return [node for where, node in shown if where == number]


def test_of_two_layers_the_lower_one_brings_the_nodes_that_it_is_tied_to() -> None:
    top = scattered([(8, 8), (8, 24), (24, 8), (24, 24)], [4, 3, 2, 1])
    low = hanging([[2, 3], [3, 2]], [[0.9, 0.1], [0.5, 0.5]], score=[2, 1])
    assert of_layer(shown_nodes([low, top], (32, 32), count=2), 1) == [2, 3]
    # What nobody is tied to fills up.
    assert of_layer(shown_nodes([low, top], (32, 32), count=3), 1) == [0, 2, 3]


def test_of_three_layers_the_middle_one_brings_those_above_and_below() -> None:
    top = scattered([(8, 8), (8, 24), (24, 8), (24, 24)], [4, 3, 2, 1])
    middle = hanging([[0, 3], [3, 1]], [[0.2, 0.9], [0.3, 0.2]], score=[2, 1])
    # Under node 0: 5 x .2, 4 x .9, 9 x 0; under node 1: 2 x .9.
    low = hanging([[0], [1], [0], [0]], [[0.2], [0.9], [0.9], [0.0]], score=[5, 2, 4, 9])
    shown = shown_nodes([low, middle, top], (32, 32), count=2)
    # Node 0 brings 3 (1 x .9 before 4 x .2), then node 1 its best other one: 3 x .2.
    assert of_layer(shown, 2) == [1, 3]
    assert of_layer(shown, 1) == [0, 1]
    assert of_layer(shown, 0) == [2, 1]
    # In the second round node 0 brings its next; what is tied to nothing comes last.
    assert set(of_layer(shown_nodes([low, middle, top], (32, 32), count=3), 0)) == {2, 1, 0}


def test_no_node_gathers_all_lines_where_others_have_some() -> None:
    top = scattered([(8, 16), (24, 16)], [9, 1])
    middle = hanging([[0], [1]], [[0.9], [0.9]], score=[2, 1])
    low = hanging([[0]] * 6 + [[1]] * 6, [[0.9]] * 12, score=[*range(100, 94, -1), *range(6, 0, -1)])
    low = replace(low, mean=np.array([(y, x) for y in (5.0, 12, 19, 26) for x in (6.0, 14, 22)]))
    shown = of_layer(shown_nodes([low, middle, top], (32, 32), count=4), 0)
    assert sum(node < 6 for node in shown) == 2


# Which images


def test_images_are_spread_over_the_held_out_ones() -> None:
    some = spread([1, 2], list(range(10, 31)), 6)
    assert (some.rows, some.held_out) == ((10, 14, 18, 22, 26, 30), True)
    assert spread([4, 9], [], 6) == type(some)((4, 9), (0, 1), held_out=False)
    assert spread([1], list(range(3)), 6).rows == (0, 1, 2)
    mine = patterns(layer(), 2, 21)
    np.testing.assert_array_equal(some.of(mine).place, mine.held_out.place[[0, 4, 8, 12, 16, 20]])
    np.testing.assert_array_equal(spread([4, 9], [], 6).of(mine).score, mine.training.score)


# All together


def graph(training: int, held_out: int):
    top = layer("norm")
    low = layer("early", units=6, map_size=(16, 16), edges=np.random.default_rng(5).integers(0, 21, (15, 4)), seed=6)
    return [low, top], [patterns(low, training, held_out, seed=7), patterns(top, training, held_out, seed=8)]


@pytest.mark.parametrize("held_out", [0, 5])
def test_every_picture_that_is_named_is_there_and_no_other(held_out: int, tmp_path) -> None:
    labels = map_set(tmp_path, images=12)
    layers, found_ = graph(7, held_out)
    training, others = list(range(2, 9)), [0, 1, 9, 10, 11][:held_out]
    shown, pictures = draw(layers, found_, labels, training=training, held_out=others, probe=probe(), feeding=FEEDING)
    assert list(pictures) != []
    assert set(pictures) == set(shown.names)
    assert len(pictures) == len(shown.names)
    assert opened(pictures[shown.mean]).size == (32, 32)
    assert shown.layer.tolist() == [1] * 8 + [0] * 8
    assert shown.patch == 10
    for card, strip in enumerate(shown.strips):
        assert opened(pictures[strip]).size == (140 * len(shown.images[card]), 140)
        assert np.isfinite(shown.where[card]).all(1).sum() == len(shown.images[card])
    names = [f"{row:02d}.png" for row in (others or training)]
    assert set(shown.heat_images) <= set(names)
    assert len(shown.heat_images) == min(6, len(names))
    assert shown.heat.shape == (len(shown.heat_images), 2, 56, 56)
    assert [opened(pictures[name]).size for name in shown.heat_images] == [(128, 64)] * len(shown.heat_images)
    # The first image is the first of its kind, and the layers stand as they were given.
    first = found_[1].held_out if others else found_[1].training
    wanted = heat_maps(Found(first.place[:1], first.score[:1]), input_size=(32, 32))[0]
    np.testing.assert_array_equal(shown.heat[0, 1], wanted)
    assert (shown.synthesis, shown.synthesis_layer) == ((), "")
    again, same = draw(layers, found_, labels, training=training, held_out=others, probe=probe(), feeding=FEEDING)
    assert again.names == shown.names
    assert dict(same) == dict(pictures)


def test_pictures_of_other_nodes_go_by_other_names(tmp_path) -> None:
    labels = map_set(tmp_path, images=8)
    layers, found_ = graph(8, 0)
    names = []
    for rows in (list(range(8)), list(range(7, -1, -1))):
        shown, _ = draw(layers, found_, labels, training=rows, held_out=[], probe=probe(), feeding=FEEDING)
        names.append(set(shown.strips))
    assert not names[0] & names[1]


def test_a_made_picture_never_goes_by_the_name_of_an_image(tmp_path) -> None:
    map_set(tmp_path, images=1)
    content = jpeg(np.zeros((2, 2, 3), np.uint8))
    wanted = Album(LabelSet.open(tmp_path)).add("mean", content)
    Image.new("RGB", (9, 9)).save(tmp_path / wanted)
    album = Album(LabelSet.open(tmp_path))
    kept = album.add("mean", content)
    album.show([wanted])
    assert kept != wanted
    assert album[kept] == content
    assert opened(album[wanted]).size == (9, 9)
    assert sorted(album) == sorted([kept, wanted])
    with pytest.raises(KeyError):
        album["00.png"]


def test_an_image_that_is_gone_ends_the_drawing(tmp_path) -> None:
    labels = map_set(tmp_path, images=3)
    (tmp_path / "01.png").unlink()
    with pytest.raises(ImageError, match=r"01\.png"):
        mean_input(labels, [0, 1, 2], preprocessing=WHOLE)
