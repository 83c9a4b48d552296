"""A folder is held by one process, until that lets go or dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from interpkit.errors import ResultError
from interpkit.holding import FILE, Held, InUseError, holder

HOLDING = """
import sys, time
from pathlib import Path
from interpkit.holding import Held
held = Held(Path(sys.argv[1]), doing="something long")
print("held", flush=True)
time.sleep(60)
"""


def test_the_second_is_told_who_is_first(tmp_path):
    assert holder(tmp_path) is None
    with Held(tmp_path, doing="dissecting"):
        expected = f"process {os.getpid()} on "
        assert str(holder(tmp_path)).startswith(expected)
        with pytest.raises(InUseError, match=rf"{tmp_path} is in use by {expected}.* since .* \(dissecting\); wait"):
            Held(tmp_path)
    assert holder(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_what_it_does_is_its_command_line_by_default(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["interpkit", "dissect", "my model.pt"])
    with Held(tmp_path):
        assert "(interpkit dissect 'my model.pt')" in str(holder(tmp_path))


def test_letting_go_twice_is_no_harm(tmp_path):
    held = Held(tmp_path)
    held.release()
    with Held(tmp_path):
        held.release()
        assert holder(tmp_path) is not None


def test_a_killed_process_holds_nothing(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert f"process {process.pid} on " in str(holder(tmp_path))
        with pytest.raises(InUseError, match="something long"):
            Held(tmp_path)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert (tmp_path / FILE).exists()
    assert holder(tmp_path) is None
    with Held(tmp_path, doing="next"):
        assert "(next)" in str(holder(tmp_path))


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\xff\xfe", b'{"process": 1}'])
def test_a_holder_that_says_nothing_is_another_process(tmp_path, text):
    with Held(tmp_path) as held:
        (tmp_path / FILE).write_bytes(text)
        assert holder(tmp_path) == "another process"
        with pytest.raises(InUseError, match="in use by another process"):
            Held(tmp_path)
        held.release()
    with Held(tmp_path):
        pass


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(ResultError, match=r"cannot write into .*none: No such file or directory"):
        Held(tmp_path / "none")
    assert holder(tmp_path / "none") is None


def test_a_lock_that_was_removed_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    """Whoever lets go removes the file between another's opening and locking it."""
    import fcntl

    locking, left = fcntl.flock, [1]

    def removing(file: int, how: int) -> None:
        if left[0]:
            left[0] -= 1
            (tmp_path / FILE).unlink()
        locking(file, how)

    monkeypatch.setattr(fcntl, "flock", removing)
    with Held(tmp_path):
        assert (tmp_path / FILE).exists()
        with pytest.raises(InUseError):
            Held(tmp_path)


def test_letting_go_leaves_the_lock_of_another(tmp_path):
    """Whoever removes all that is in a folder removes the lock too, and another process may take the folder then."""
    first = Held(tmp_path)
    (tmp_path / FILE).unlink()
    with Held(tmp_path):
        first.release()
        with pytest.raises(InUseError):
            Held(tmp_path)


def test_a_file_system_without_locks_is_one_line(tmp_path, monkeypatch):
    import errno
    import fcntl

    def none(_file: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(ResultError, match=rf"cannot hold {tmp_path} against other processes: No locks available"):
        Held(tmp_path)


def test_a_full_disk_does_not_keep_a_folder_from_being_held(tmp_path, monkeypatch):
    import errno

    def full(_file: int, _text: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with Held(tmp_path):
        assert holder(tmp_path) == "another process"
