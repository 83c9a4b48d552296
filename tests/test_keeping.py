"""Finished work on disk: what is kept is whole, what is damaged counts as not there."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from full_disk import full_disk, largest_file

from interpkit import keeping, writing
from interpkit.errors import ResultError
from interpkit.holding import FILE, InUseError
from interpkit.keeping import ABOUT, Work, unfinished, work_key


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "work" / "one" / "0-of-1"


def opened(folder: Path, **options: Any) -> Work:
    return Work(folder, title="a run", **options)


def begun(folder: Path, key: str = "a") -> Work:
    work = opened(folder)
    work.begin(key)
    return work


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {FILE}


def test_a_state_comes_back_as_it_was_committed(folder):
    arrays = {"a": np.arange(6, dtype=np.int16).reshape(2, 3), "b": np.array([np.nan, -0.0], np.float32)}
    with begun(folder) as work:
        assert work.state("pass") is None
        work.commit("pass", arrays, {"next": 3, "names": ["ä"]})
    with begun(folder) as work:
        back = work.state("pass")
        assert back is not None
        assert dict(back.plain) == {"next": 3, "names": ["ä"]}
        assert {name: (array.dtype, array.tobytes()) for name, array in back.arrays.items()} == {
            name: (array.dtype, array.tobytes()) for name, array in arrays.items()
        }


def test_a_later_state_takes_the_place_of_an_earlier_one(folder):
    with begun(folder) as work:
        for number in range(3):
            work.commit("pass", {}, {"next": number})
        assert work.state("pass").plain["next"] == 2
        assert names(folder) == {ABOUT, "pass.npz"}


def test_another_key_begins_with_nothing(folder):
    with begun(folder) as work:
        work.commit("pass", {}, {"next": 1})
        work.file("maps").write_bytes(b"maps")
    with begun(folder, "b") as work:
        assert work.state("pass") is None
        assert names(folder) == {ABOUT}
    with begun(folder, "a") as work:
        assert work.state("pass") is None


def test_the_same_key_goes_on_whatever_the_run_is_called(folder):
    with begun(folder) as work:
        work.commit("pass", {}, {"next": 1})
    with Work(folder, title="called otherwise") as work:
        work.begin("a")
        assert work.state("pass").plain == {"next": 1}


def test_a_state_in_the_place_of_another_counts_as_not_there(folder):
    with begun(folder) as work:
        work.commit("pass", {}, {"next": 1})
        work.commit("other", {}, {"next": 2})
        (folder / "pass.npz").write_bytes((folder / "other.npz").read_bytes())
        assert work.state("pass") is None
        assert [one.plain for one in work.states()] == [{"next": 2}]


def test_what_stands_above_stays_where_what_is_under_it_goes(folder):
    for number in range(2):
        with begun(folder) as work:
            work.under("files", {"stamp": "a"})
            work.under("feeding", {"batch": number})
            assert (work.state("pass") is None, names(folder) >= {"files.npz", "feeding.npz"}) == (True, True)
            work.commit("pass", {}, {"next": 1})
    with begun(folder) as work:
        work.under("files", {"stamp": "b"})
        assert names(folder) == {ABOUT, "files.npz"}


def test_a_run_that_kept_nothing_leaves_no_folder(folder):
    with opened(folder):
        assert folder.is_dir()
    assert not folder.parent.exists()
    with begun(folder) as work:
        work.commit("pass", {}, {"next": 1})
    assert names(folder) == {ABOUT, "pass.npz"}


@pytest.mark.parametrize(
    "about", [b"", b"[]", b"3", b'{"format": 99, "key": "a", "title": ""}', b'{"key": "a"}', b"\xff"]
)
def test_a_damaged_key_begins_with_nothing(folder, about):
    with begun(folder) as work:
        work.commit("pass", {}, {"next": 1})
    (folder / ABOUT).write_bytes(about)
    with begun(folder) as work:
        assert work.state("pass") is None


def test_a_removal_that_is_cut_short_leaves_nothing_that_passes_for_work(folder, monkeypatch):
    with begun(folder) as work:
        work.commit("pass", {}, {"next": 1})

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    with opened(folder) as work:
        monkeypatch.setattr(work, "_others", stopped)
        with pytest.raises(KeyboardInterrupt):
            work.begin("b")
    with begun(folder, "a") as work:
        assert work.state("pass") is None


def test_what_a_killed_process_was_writing_is_gone(folder):
    with begun(folder) as work:
        work.commit("pass", {}, {"next": 1})
        (folder / ".pass.npz.4711").write_bytes(b"half")
    with begun(folder):
        assert names(folder) == {ABOUT, "pass.npz"}


@pytest.mark.parametrize("at", range(0, 1000, 60))
def test_a_byte_that_changed_is_never_read_as_another_number(folder, at):
    values = np.arange(100, dtype=np.int64)
    with begun(folder) as work:
        work.commit("pass", {"values": values}, {"next": 1})
        path = folder / "pass.npz"
        data = bytearray(path.read_bytes())
        data[at % len(data)] ^= 0x10
        path.write_bytes(data)
        back = work.state("pass")
        assert back is None or (back.plain == {"next": 1} and back.arrays["values"].tobytes() == values.tobytes())


@pytest.mark.parametrize("length", [0, 1, 50, 400])
def test_a_state_cut_short_is_none(folder, length):
    with begun(folder) as work:
        work.commit("pass", {"values": np.arange(100)}, {"next": 1})
        os.truncate(folder / "pass.npz", length)
        assert work.state("pass") is None


def test_once_is_once(folder):
    made = iter([{"size": 4}, {"size": 8}])
    with begun(folder) as work:
        assert work.once("feeding", lambda: next(made)) == {"size": 4}
    with begun(folder) as work:
        assert work.once("feeding", lambda: next(made)) == {"size": 4}


def test_work_under_other_values_goes(folder):
    with begun(folder) as work:
        work.under("feeding", {"size": (4, 2)})
        work.commit("pass", {}, {"next": 1})
        work.file("maps").write_bytes(b"maps")
        work.under("feeding", {"size": (4, 2)})
        assert work.state("pass") is not None
        work.under("feeding", {"size": (8, 2)})
        assert names(folder) == {ABOUT, "feeding.npz"}


def test_two_runs_do_not_share_a_folder(folder):
    with opened(folder), pytest.raises(InUseError, match=rf"in use by process {os.getpid()} .* \(a run\)"):
        opened(folder)
    opened(folder).release()


def test_dropped_work_leaves_nothing(folder):
    work = begun(folder)
    work.commit("pass", {}, {})
    work.drop()
    assert not folder.parent.exists()
    again = begun(folder)
    (folder.parent / "1-of-2").mkdir()
    again.drop()
    assert not folder.exists()
    assert folder.parent.exists()


def test_released_work_stays(folder):
    with begun(folder) as work:
        work.commit("pass", {}, {"next": 1})
    assert names(folder) == {ABOUT, "pass.npz"}


# --- how often


def test_commits_come_when_they_are_due(folder, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(keeping.time, "monotonic", lambda: now[0])
    with opened(folder, every=20) as work:
        work.begin("a")
        assert not work.due()
        now[0] = 119.9
        assert not work.due()
        now[0] = 120.0
        assert work.due()
        packing = np.savez

        def slow(*args: Any, **arrays: Any) -> None:
            now[0] += 3
            packing(*args, **arrays)

        monkeypatch.setattr(keeping.np, "savez", slow)
        work.commit("pass", {}, {})
        now[0] += 59  # 3 s are 5 % of 60
        assert not work.due()
        now[0] += 1
        assert work.due()
    with opened(folder, every=0) as work:
        assert work.due()


# --- disks


def test_a_full_disk_is_one_line_and_keeps_what_was_committed(tmp_path):
    with full_disk(tmp_path / "disk") as disk, begun(disk / "work") as work:
        work.commit("pass", {"values": np.arange(10)}, {"next": 1})
        with pytest.raises(ResultError, match=r"cannot keep finished work in .*: No space left on device") as caught:
            work.commit("pass", {"values": np.arange(10**6)}, {"next": 2})
        assert "\n" not in str(caught.value)
        assert work.state("pass").plain == {"next": 1}
        assert names(disk / "work") == {ABOUT, "pass.npz"}


def test_a_file_that_may_not_grow_is_one_line(folder):
    with begun(folder) as work:
        work.commit("pass", {}, {"next": 1})
        with largest_file(1 << 12), pytest.raises(ResultError, match="cannot keep finished work"):
            work.commit("pass", {"values": np.arange(10**6)}, {"next": 2})
        assert work.state("pass").plain == {"next": 1}


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResultError, match=r"cannot keep finished work in .*: Not a directory"):
        opened(tmp_path / "file" / "work")


def test_other_faults_are_not_swallowed(folder, monkeypatch):
    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, "broken")

    with begun(folder) as work:
        monkeypatch.setattr(writing.os, "fsync", broken)
        with pytest.raises(OSError, match="broken"):
            work.commit("pass", {}, {})


# --- what is there


def test_unfinished_work_is_listed(tmp_path):
    root = tmp_path / "root"
    assert list(unfinished(root)) == []
    with Work(root / "b" / "0-of-1", title="second") as held:
        held.begin("key")
        held.commit("pass", {"values": np.zeros(10**5)}, {})
        with Work(root / "a" / "0-of-1", title="first") as work:
            work.begin("key")
        (root / "c").mkdir()
        (root / "c" / ABOUT).write_text(json.dumps([]))
        first, second = unfinished(root)
        assert (first.title, first.folder, first.holder) == ("first", root / "a" / "0-of-1", None)
        assert second.title == "second"
        assert second.size >= 800_000
        assert f"process {os.getpid()} " in str(second.holder)


def test_keys_tell_runs_apart():
    assert work_key("a", ["b"]) == work_key("a", ["b"])
    assert len({work_key("a", "b"), work_key("ab"), work_key(["a", "b"]), work_key("a", None), work_key("a", 1)}) == 5
