"""Maps kept small, and how the fit looks at them."""

from collections import namedtuple

import numpy as np
import psutil
import pytest
import torch
from spotted import probe, spotted

from interpkit.errors import ModelError
from interpkit.graph._store import Kept, Maps, fill, room_for
from interpkit.running import fed, silent

N, U, H, W = 7, 5, 4, 6


@pytest.fixture
def maps() -> np.ndarray:
    """(N, U, H, W): unit 1 silent on image 2, unit 3 everywhere, unit 4 a thousand times as high."""
    values = np.random.default_rng(0).normal(0.2, 1, (N, U, H, W)).astype(np.float32)
    values[2, 1] = -1
    values[:, 3] = 0
    values[:, 4] *= 1000
    return values


def kept(maps: np.ndarray, kind: type[np.generic], *, step: int = 3) -> Kept:
    one = Kept(np.empty(maps.shape, kind), np.empty(maps.shape[:2], np.float32))
    for first in range(0, len(maps), step):
        one.put(first, maps[first : first + step].copy())
    return one


def view(one: Kept, rows, filters, scale, *, mirrored=None) -> Maps:
    return Maps(
        kept=one,
        rows=np.array(rows),
        filters=np.array(filters),
        scale=np.array(scale, np.float32),
        device=torch.device("cpu"),
        turned=np.zeros(len(one.shares), np.bool_),
        mirrored=mirrored,
    )


@pytest.mark.parametrize(("kind", "step"), [(np.float16, 2.0**-12), (np.uint8, 0.5 / 255)])
def test_maps_come_back_rectified_to_within_half_a_step(maps, kind, step):
    scale = [1.0, 2.0, 4.0, 1.0, 8.0]
    found = view(kept(maps, kind), range(N), range(U), scale)[0:N].numpy()
    expected = np.maximum(maps, 0) / np.array(scale)[:, None, None]
    # Of each map's own maximum, so that a filter of small values keeps its shades.
    highest = expected.max((2, 3), keepdims=True)
    assert (np.abs(found - expected) <= 1.001 * step * highest).all()
    np.testing.assert_array_equal(found.max((2, 3)), highest[..., 0, 0].astype(np.float32))
    assert (found[2, 1] == 0).all()
    assert (found[:, 3] == 0).all()


@pytest.mark.parametrize("kind", [np.float16, np.uint8])
def test_the_batches_of_the_pass_change_no_bit(maps, kind):
    one, other = kept(maps, kind, step=1), kept(maps, kind, step=N)
    np.testing.assert_array_equal(one.shares, other.shares)
    np.testing.assert_array_equal(one.highest, other.highest)


@pytest.mark.parametrize("kind", [np.float16, np.uint8])
def test_a_view_is_of_its_rows_and_filters(maps, kind):
    one = kept(maps, kind)
    whole = view(one, range(N), range(U), np.ones(U))[0:N]
    part = view(one, [5, 1, 2], [4, 0], [2.0, 1.0])
    assert part.shape == (3, 2, H, W)
    assert torch.equal(part[0:3], whole[[5, 1, 2]][:, [4, 0]] / torch.tensor([2.0, 1.0])[:, None, None])
    for step in (1, 2):
        pieces = [part[first : first + step] for first in range(0, 3, step)]
        assert torch.equal(torch.cat(pieces), part[0:3])
    assert part[0:3].dtype == torch.float32


def test_a_view_follows_what_is_turned(maps):
    plain, mirrored = kept(maps, np.float16), kept(maps[..., ::-1].copy(), np.float16)
    looked = view(plain, [0, 3, 6], range(U), np.ones(U), mirrored=mirrored)
    before = looked[0:3]
    looked.turned[[1, 3]] = True
    after = looked[0:3]
    assert torch.equal(after[1], before[1].flip(-1))
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert torch.equal(looked.seen(np.zeros(N, np.bool_))[0:3], before)


def test_means_are_of_some_images(maps):
    found = kept(maps, np.float16).means(np.array([1, 4]))
    np.testing.assert_allclose(found, np.maximum(maps, 0)[[1, 4]].mean((0, 2, 3)), rtol=1e-3)


def filled(labels, look, **options):
    given = {"flips": False, "precision": "float16", "cache": "auto", "scratch": None, **options}
    with (
        room_for(look.shapes(), len(labels), **given) as store,
        fed(look, labels, batch_size=4, memory_format="channels_last", threads=1, skip_bad=False) as ready,
    ):
        rows = fill(look, labels, ready, store=store, progress=silent)
        return store, rows, {name: one.shares.copy() for name, one in {**store.kept}.items()}


def test_mirrored_maps_are_those_of_mirrored_images(tmp_path):
    labels = spotted(tmp_path, images=6, others=0)
    look = probe()
    with torch.no_grad():
        # A kernel that looks to one side: its map of a mirrored image is no mirrored map.
        look.model.low[0].weight[0, 0] = torch.tensor([[0.0, 0, 1], [0, 0, 1], [0, 0, 0]])
    store, rows, _ = filled(labels, look, flips=True)
    assert rows.tolist() == list(range(6))
    images = torch.from_numpy(np.stack([look.preprocessing(labels.image(row)) for row in range(6)]))
    for name, maps in look(images.flip(-1)).items():
        np.testing.assert_allclose(store.mirrored[name].highest, maps.amax((2, 3)), rtol=1e-5)
        shares = maps / maps.amax((2, 3), keepdim=True).clamp(min=1e-9)
        np.testing.assert_allclose(store.mirrored[name].shares.astype(np.float32), shares, atol=1e-3)
    plain = store.kept["low"].shares[:, 0, :, ::-1].astype(np.float32)
    assert np.abs(plain - store.mirrored["low"].shares[:, 0].astype(np.float32)).max() > 0.1
    assert filled(labels, look)[0].mirrored == {}


def test_disk_and_memory_keep_the_same(tmp_path):
    labels = spotted(tmp_path / "set", images=6, others=0)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    _, _, on_disk = filled(labels, probe(), cache="disk", scratch=scratch)
    _, _, in_memory = filled(labels, probe(), cache="ram")
    assert list(scratch.iterdir()) == []
    for name, shares in in_memory.items():
        np.testing.assert_array_equal(shares, on_disk[name])


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    labels = spotted(tmp_path, images=6, others=0)
    look = probe(("low.0", "high"))
    with torch.no_grad():
        look.model.low[0].bias[2] = -torch.inf  # which rectified would be silence
    with pytest.raises(ModelError, match=r"layer 'low.0' gives .* not finite .* on image '00.png'"):
        filled(labels, look)


SHAPES = {"a": (10, 10, 10), "b": (20, 5, 5)}
MAPS = 1500 * 8  # numbers of 8 images


@pytest.mark.parametrize(
    ("free", "cache", "kind", "where"),
    [
        (2 * MAPS * 4, "auto", np.float16, "ram"),
        (2 * MAPS * 4 - 1, "auto", np.uint8, "ram"),
        (MAPS * 4 - 1, "auto", np.uint8, "disk"),
        (2 * MAPS * 4, "ram", np.float16, "ram"),
        (10, "ram", np.uint8, "ram"),
        (2 * MAPS * 4, "disk", np.uint8, "disk"),
    ],
)
def test_precision_follows_the_memory(monkeypatch, tmp_path, free, cache, kind, where):
    memory = namedtuple("memory", "available")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(free))
    with room_for(SHAPES, 8, flips=False, precision="auto", cache=cache, scratch=tmp_path) as store:
        assert store.kept["a"].shares.dtype == kind
        assert store.kept["b"].shares.shape == (8, 20, 5, 5)
        assert store.where.startswith(where)
        assert store.where.endswith(kind.__name__)


def test_mirrored_maps_take_room_too(monkeypatch, tmp_path):
    memory = namedtuple("memory", "available")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(2 * MAPS * 4))
    with room_for(SHAPES, 8, flips=True, precision="auto", cache="auto", scratch=tmp_path) as store:
        assert store.kept["a"].shares.dtype == np.uint8
        assert store.mirrored["b"].shares.shape == (8, 20, 5, 5)
