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
from interpkit.keeping import LostError, Work
from interpkit.mapstore import DiskStore, Filled, MapStore, RamStore, choose, kept_arrays, settled, store_size

Batch = dict[str, NDArray[np.float32]]
GB = 10**9


def batches(seed: int, sizes: list[int]) -> list[Batch]:
    rng = np.random.default_rng(seed)
    return [
        {"a": rng.normal(size=(n, 3, 4, 5)).astype(np.float32), "b.0": rng.normal(size=(n, 2, 1, 1)).astype(np.float32)}
        for n in sizes
    ]


def kept_in(store: MapStore, count: int) -> list[Batch]:
    back = [store.get(number) for number in range(count)]
    assert store.get(count) is None
    return [maps for maps in back if maps is not None]


def put_all(store: MapStore, kept: list[Batch]) -> None:
    for number, maps in enumerate(kept):
        store.put(number, maps)


def assert_given_back(store: MapStore, given_in: list[Batch]) -> None:
    back = kept_in(store, len(given_in))
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
    put_all(store, kept)
    assert_given_back(store, kept)
    assert_given_back(store, kept)


def test_maps_that_lie_otherwise_in_memory(store):
    array = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32).transpose(0, 3, 1, 2)
    put_all(store, [{"a": array}, {"a": array[::-1]}])
    assert_given_back(store, [{"a": array}, {"a": array[::-1]}])


def test_special_values_keep_their_bits(store):
    array = np.array([np.nan, -0.0, np.inf, 1e-45, np.finfo(np.float32).min], np.float32).reshape(1, 5, 1, 1)
    store.put(0, {"a": array})
    (back,) = kept_in(store, 1)
    assert back["a"].tobytes() == array.tobytes()


def test_nothing_put_gives_nothing(store):
    assert kept_in(store, 0) == []


@settings(max_examples=20)
@given(st.integers(0, 99), st.lists(st.integers(0, 5), max_size=5))
def test_disk_and_memory_hold_the_same(tmp_path_factory, seed, sizes):
    kept = batches(seed, sizes)
    with DiskStore(tmp_path_factory.mktemp("maps")) as store:
        put_all(store, kept)
        assert_given_back(store, kept)


def test_the_file_has_no_name_and_goes_with_the_store(tmp_path):
    with DiskStore(tmp_path) as store:
        store.put(0, batches(0, [2])[0])
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="closed"):
        store.put(0, batches(0, [2])[0])


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
    put_all(store, kept)
    assert_given_back(store, kept)
    store.close()


def fill(store: DiskStore) -> None:
    put_all(store, batches(0, [400] * 20))


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
        def seek(self, _: int) -> None:
            pass

        def write(self, _: object) -> int:
            raise OSError(code, "no room")

    store = DiskStore(tmp_path)
    file = store._file
    monkeypatch.setattr(store, "_file", Full())
    with pytest.raises(ResultError) as caught:
        store.put(0, batches(0, [1])[0])
    assert_one_line(caught.value, tmp_path)
    file.close()


def test_other_faults_of_the_disk_are_not_called_full(tmp_path, monkeypatch):
    class Broken:
        def seek(self, _: int) -> None:
            pass

        def write(self, _: object) -> int:
            raise OSError(errno.EIO, "broken")

    store = DiskStore(tmp_path)
    file = store._file
    monkeypatch.setattr(store, "_file", Broken())
    with pytest.raises(OSError, match="broken"):
        store.put(0, batches(0, [1])[0])
    file.close()


def test_a_file_that_ends_early_holds_no_maps(tmp_path):
    with DiskStore(tmp_path) as store:
        store.put(0, batches(0, [2])[0])
        store._file.truncate(100)
        assert store.get(0) is None


def test_a_named_file_is_there_for_the_next_process(tmp_path):
    file, kept = tmp_path / "maps.bin", batches(0, [4, 4, 1, 3])
    with DiskStore(tmp_path, file=file) as store:
        put_all(store, kept[:2])
        state = store.state()
        store.put(2, kept[3])  # after the state: as if it had never been
    with DiskStore(tmp_path, file=file) as store:
        assert store.get(0) is None
        store.restore(state)
        assert_given_back(store, kept[:2])
        store.put(2, kept[2])
        store.put(3, kept[3])
        assert_given_back(store, kept)


def test_maps_that_changed_in_a_named_file_are_not_given_back(tmp_path):
    file, kept = tmp_path / "maps.bin", batches(0, [2, 2])
    with DiskStore(tmp_path, file=file) as store:
        put_all(store, kept)
        state = store.state()
    data = bytearray(file.read_bytes())
    data[3] ^= 1
    file.write_bytes(data)
    with DiskStore(tmp_path, file=file) as store:
        store.restore(state)
        assert store.get(0) is None
        assert_same(store.get(1), kept[1])
        store.put(0, kept[0])
        assert_given_back(store, kept)


def assert_same(maps: Batch | None, expected: Batch) -> None:
    assert maps is not None
    for layer, array in expected.items():
        np.testing.assert_array_equal(maps[layer], array)


@pytest.mark.parametrize("name", ["ram", "nameless"])
def test_other_stores_leave_nothing_to_go_on_with(tmp_path, name):
    first, second = (RamStore() if name == "ram" else DiskStore(tmp_path) for _ in range(2))
    put_all(first, batches(0, [2]))
    second.restore(first.state())
    assert second.get(0) is None
    first.close()
    second.close()


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
        assert all(isinstance(array, np.memmap) == where.startswith("disk") for array in arrays)
        # What has no name any more goes with the process, however that ends.
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
def work(tmp_path) -> Iterator[Work]:
    with Work(tmp_path / "work", title="a run") as one:
        one.begin("key")
        yield one


def test_arrays_of_a_run_are_there_when_it_goes_on(work):
    shapes = [(4, 3), (4, 2, 2)]
    with kept_arrays(shapes, work=work, name="maps") as (arrays, where):
        assert where == "disk (112 B of maps)"
        filled = Filled(arrays)
        arrays[0][:2], arrays[1][:2] = 7, 8
        filled.upto(1)
        said = filled.upto(2)
        arrays[0][2:] = 9  # after the state
    with kept_arrays(shapes, work=work, name="maps") as (arrays, _):
        again = Filled(arrays)
        assert again.restore(said) == 2
        assert (arrays[0][:2] == 7).all()
        assert (arrays[1][:2] == 8).all()
        arrays[0][2:], arrays[1][2:] = 1, 2
        whole = again.upto(4)
        other = Filled(arrays)
        assert other.restore(whole) == 4
        arrays[1][0, 0, 0] += 1
        with pytest.raises(LostError):
            Filled(arrays).restore(whole)
    assert sorted(path.name for path in work.folder.glob("*.bin")) == ["maps-0.bin", "maps-1.bin"]


@pytest.mark.parametrize("loss", ["gone", "short", "memory"])
def test_arrays_that_are_lost_are_said_to_be(work, loss):
    with kept_arrays([(4, 3)], work=work, name="maps") as (arrays, _):
        arrays[0][...] = 7
        said = Filled(arrays).upto(3)
    if loss != "memory":
        file = work.file("maps-0")
        file.unlink() if loss == "gone" else os.truncate(file, 20)
    cache, name = ("ram", "others") if loss == "memory" else ("disk", "maps")
    with kept_arrays([(4, 3)], cache=cache, work=work, name=name) as (arrays, _):
        if loss == "memory":
            arrays[0][...] = 0
        with pytest.raises(LostError):
            Filled(arrays).restore(said)


def test_maps_stay_where_they_were_when_a_run_goes_on(work, free):
    free(200 * GB, 6 * GB)
    assert settled("auto", GB, scratch=None, work=work, name="maps")[0] == "disk"
    free(200 * GB, GB)  # the maps themselves have taken the room
    assert settled("auto", GB, scratch=None, work=work, name="maps")[0] == "disk"


def test_a_file_of_a_run_on_a_full_disk_goes_again(tmp_path):
    with (
        full_disk(tmp_path / "disk") as disk,
        Work(disk / "work", title="a run") as one,
        pytest.raises(ResultError, match="no space for the kept maps in"),
        kept_arrays([(1000, 1000)], cache="disk", work=one),
    ):
        pytest.fail("4 MB on a disk of 64 KB")
    assert not (tmp_path / "disk" / "work" / "maps-0.bin").exists()


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
    # Nothing that another time would say otherwise.
    assert "free" not in why
    assert "\n" not in why


@pytest.mark.parametrize(
    ("size", "kind"), [(0, "disk"), (3 * GB, "disk"), (3 * GB + 1, "ram"), (50 * GB, "ram"), (50 * GB + 1, "none")]
)
def test_where_a_run_may_go_on_a_file_comes_first(free, tmp_path, size, kind):
    free(200 * GB, 6 * GB)
    assert choose("auto", size, scratch=tmp_path, lasting=True)[0] == kind


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
