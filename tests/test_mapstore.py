"""Maps come back as they were put, in order; where they are kept is decided by what is free."""

import errno
import os
import shutil
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from full_disk import full_disk, largest_file
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from interpkit.errors import InterpkitError, ResultError
from interpkit.mapstore import DiskStore, MapStore, RamStore, choose, kept_arrays, store_size

Batch = dict[str, NDArray[np.float32]]
GB = 10**9


def batches(seed: int, sizes: list[int]) -> list[Batch]:
    rng = np.random.default_rng(seed)
    return [
        {"a": rng.normal(size=(n, 3, 4, 5)).astype(np.float32), "b.0": rng.normal(size=(n, 2, 1, 1)).astype(np.float32)}
        for n in sizes
    ]


def assert_given_back(store: MapStore, given_in: list[Batch]) -> None:
    back = list(store)
    assert [list(maps) for maps in back] == [list(maps) for maps in given_in]
    for maps, expected in zip(back, given_in, strict=True):
        for layer, array in maps.items():
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, expected[layer])


@pytest.fixture(params=["ram", "disk"])
def store(request, tmp_path) -> Iterator[MapStore]:
    made: Callable[[], MapStore] = {"ram": RamStore, "disk": lambda: DiskStore(tmp_path)}[request.param]
    one = made()
    yield one
    one.close()


def test_maps_come_back_in_order_and_as_often_as_asked(store):
    kept = batches(0, [4, 4, 1])
    for maps in kept:
        store.put(maps)
    assert_given_back(store, kept)
    assert_given_back(store, kept)


def test_maps_that_lie_otherwise_in_memory(store):
    array = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32).transpose(0, 3, 1, 2)
    store.put({"a": array})
    store.put({"a": array[:, ::2]})
    assert_given_back(store, [{"a": array}, {"a": array[:, ::2]}])


def test_special_values_keep_their_bits(store):
    array = np.array([np.nan, -0.0, np.inf, 1e-45, np.finfo(np.float32).min], np.float32).reshape(1, 5, 1, 1)
    store.put({"a": array})
    (back,) = list(store)
    assert back["a"].tobytes() == array.tobytes()


def test_nothing_put_gives_nothing(store):
    assert list(store) == []


@settings(max_examples=20)
@given(st.integers(0, 99), st.lists(st.integers(0, 5), max_size=5))
def test_disk_and_memory_hold_the_same(tmp_path_factory, seed, sizes):
    kept = batches(seed, sizes)
    with DiskStore(tmp_path_factory.mktemp("maps")) as store:
        for maps in kept:
            store.put(maps)
        assert_given_back(store, kept)


def test_the_file_has_no_name_and_goes_with_the_store(tmp_path):
    with DiskStore(tmp_path) as store:
        store.put(batches(0, [2])[0])
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="closed"):
        store.put(batches(0, [2])[0])


def test_short_writes_are_taken_up_again(tmp_path, monkeypatch):
    store = DiskStore(tmp_path)

    class Slow:
        """A file that takes and gives at most seven bytes at once, as a file may."""

        def __init__(self, file) -> None:
            self.file = file

        def write(self, data) -> int:
            return self.file.write(data[:7])

        def readinto(self, data) -> int:
            return self.file.readinto(data[:7])

        def seek(self, place: int) -> int:
            return self.file.seek(place)

        def close(self) -> None:
            self.file.close()

    monkeypatch.setattr(store, "_file", Slow(store._file))
    kept = batches(1, [1, 2])
    for maps in kept:
        store.put(maps)
    assert_given_back(store, kept)
    store.close()


def fill(store: DiskStore) -> None:
    for maps in batches(0, [400] * 20):
        store.put(maps)


def assert_one_line(error: BaseException, folder: Path) -> None:
    message = str(error)
    assert "\n" not in message
    assert str(folder) in message
    assert "--cache none" in message


def test_a_full_disk_is_said_in_one_line(tmp_path):
    with full_disk(tmp_path / "disk") as folder, DiskStore(folder) as store:
        with pytest.raises(ResultError) as caught:
            fill(store)
        assert_one_line(caught.value, folder)
        assert list(folder.iterdir()) == []


def test_a_file_that_may_not_grow_is_said_in_one_line(tmp_path):
    with largest_file(1 << 16), DiskStore(tmp_path) as store, pytest.raises(ResultError) as caught:
        fill(store)
    assert_one_line(caught.value, tmp_path)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_becomes_full_is_said_in_one_line(tmp_path, monkeypatch, code):
    class Full:
        def write(self, _: object) -> int:
            raise OSError(code, "no room")

    store = DiskStore(tmp_path)
    file = store._file
    monkeypatch.setattr(store, "_file", Full())
    with pytest.raises(ResultError) as caught:
        store.put(batches(0, [1])[0])
    assert_one_line(caught.value, tmp_path)
    file.close()


def test_other_faults_of_the_disk_are_not_called_full(tmp_path, monkeypatch):
    class Broken:
        def write(self, _: object) -> int:
            raise OSError(errno.EIO, "broken")

    store = DiskStore(tmp_path)
    file = store._file
    monkeypatch.setattr(store, "_file", Broken())
    with pytest.raises(OSError, match="broken"):
        store.put(batches(0, [1])[0])
    file.close()


def test_a_file_that_ends_early_is_an_error(tmp_path):
    with DiskStore(tmp_path) as store:
        store.put(batches(0, [2])[0])
        store._file.truncate(100)
        with pytest.raises(ResultError, match="ended early"):
            list(store)


# --- arrays that are wanted unit by unit


@pytest.mark.parametrize("cache", ["ram", "disk", "auto"])
def test_arrays_are_of_the_shapes_asked_for_and_can_be_filled(tmp_path, cache):
    shapes = [(5, 3), (5, 2, 4, 6)]
    with kept_arrays(shapes, cache=cache, scratch=tmp_path) as (arrays, where):
        assert where.startswith(("ram (", "disk (")) if cache == "auto" else where.startswith(f"{cache} (as asked")
        assert [(array.shape, array.dtype) for array in arrays] == [(shape, np.float32) for shape in shapes]
        for number, array in enumerate(arrays):
            array[...] = np.arange(array.size).reshape(array.shape) + number
        for number, array in enumerate(arrays):
            np.testing.assert_array_equal(array.ravel(), np.arange(array.size) + number)
        assert bool(list(tmp_path.iterdir())) == where.startswith("disk")
    assert list(tmp_path.iterdir()) == []


def test_files_of_arrays_go_after_an_error_too(tmp_path):
    with pytest.raises(KeyError), kept_arrays([(2, 2)], cache="disk", scratch=tmp_path):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_arrays_have_to_be_kept_somewhere(tmp_path, free):
    with pytest.raises(InterpkitError, match="have to be kept"), kept_arrays([(2, 2)], cache="none"):
        pass
    free(4.0, 4.0)
    with pytest.raises(InterpkitError, match=r"16 B of maps fit neither .*; use --cache disk"), kept_arrays([(2, 2)]):
        pass
    with pytest.raises(InterpkitError, match="does not exist"), kept_arrays([(2, 2)], scratch=tmp_path / "none"):
        pass


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system takes no room beforehand")
def test_arrays_on_a_full_disk_are_refused_before_they_are_written(tmp_path):
    with (
        full_disk(tmp_path / "disk") as folder,
        pytest.raises(ResultError) as caught,
        kept_arrays([(1000, 1000)], cache="disk", scratch=folder),
    ):
        pytest.fail("4 MB on a disk of 64 KB")
    assert str(tmp_path / "disk") in str(caught.value)
    assert "--scratch" in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system takes no room beforehand")
def test_a_file_system_that_takes_no_room_beforehand_is_used_as_it_is(tmp_path, monkeypatch):
    def unable(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr(os, "posix_fallocate", unable)
    with kept_arrays([(3, 2)], cache="disk", scratch=tmp_path) as (arrays, _):
        arrays[0][...] = 7
        assert arrays[0].sum() == 42


@pytest.fixture
def free(monkeypatch) -> Callable[[float, float], None]:
    """Sets how much memory and disk is free."""
    memory = namedtuple("memory", "available")
    disk = namedtuple("disk", "free")

    def set_free(memory_free: float, disk_free: float) -> None:
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(memory_free))
        monkeypatch.setattr(shutil, "disk_usage", lambda _: disk(disk_free))

    return set_free


@pytest.mark.parametrize(
    ("size", "kind"), [(0, "ram"), (2 * GB, "ram"), (2 * GB + 1, "disk"), (50 * GB, "disk"), (50 * GB + 1, "none")]
)
def test_auto_takes_a_quarter_of_memory_or_half_of_the_disk(free, tmp_path, size, kind):
    free(8 * GB, 100 * GB)
    chosen, why = choose("auto", size, scratch=tmp_path)
    assert chosen == kind
    assert "8.0 GB of memory" in why
    assert "\n" not in why


def test_the_disk_that_counts_is_the_scratch_folders(monkeypatch, tmp_path, free):
    free(1, 1)
    asked = []
    usage = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: asked.append(folder) or usage(folder))
    choose("auto", GB, scratch=tmp_path)
    assert asked == [tmp_path]


@pytest.mark.parametrize("cache", ["ram", "disk", "none"])
def test_what_is_asked_for_is_taken(free, tmp_path, cache):
    free(1, 1)
    assert choose(cache, 10 * GB, scratch=tmp_path) == (cache, "as asked, 10.0 GB of maps")


def test_a_cache_that_does_not_exist(tmp_path):
    with pytest.raises(InterpkitError, match=r"'memory'.*auto, ram, disk, none"):
        choose("memory", 1, scratch=tmp_path)  # type: ignore[arg-type]


def test_the_size_of_maps_is_that_of_their_bytes():
    kept = batches(0, [7])[0]
    shapes = [array.shape[1:] for array in kept.values()]
    assert store_size(shapes, 7) == sum(array.nbytes for array in kept.values())  # type: ignore[arg-type]
