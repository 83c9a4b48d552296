"""Two thousand damaged files for every reader of files from strangers, and that the harness would see a fault."""

import importlib
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest

from interpkit.errors import ModelError

FUZZ = Path(__file__).parent / "fuzz"
READERS = ("model", "index", "image", "result", "published")


def test_damaged_files_are_read_or_refused_in_one_line():
    told = {"FUZZ_INPUTS": "2000", "FUZZ_BY": "hypothesis"}
    run = subprocess.run(
        [sys.executable, str(FUZZ / "fuzz.py"), *READERS],
        capture_output=True,
        text=True,
        env={**os.environ, **told},
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    rows = [line for line in run.stdout.splitlines() if line.split("|")[1:2] and " hypothesis " in line]
    assert [row.split("|")[1].strip() for row in rows] == list(READERS)
    for row in rows:
        inputs, refused = (int(cell.strip().replace(",", "")) for cell in row.split("|")[3:5])
        # Edits that change nothing, or everything, would try nothing.
        assert inputs >= 2000
        assert 0.3 < refused / inputs < 0.995, row


@pytest.fixture
def readers(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FUZZ))
    return importlib.import_module("readers")


def tried(readers: ModuleType, folder: Path, read) -> None:
    reader = readers.Reader(lambda _: [("file", b"sound")], read)
    (folder / "file").write_bytes(b"sound")
    readers.Bench(reader, folder, reader.seeds(folder)).try_one(0, lambda data: data + b"!")


def test_a_reader_that_crashes_is_seen(readers, tmp_path):
    with pytest.raises(IndexError):
        tried(readers, tmp_path, lambda folder, name: (folder / name).read_bytes()[99])
    assert (tmp_path / "file").read_bytes() == b"sound"


def test_a_refusal_that_is_no_line_is_seen(readers, tmp_path, monkeypatch):
    monkeypatch.setattr(ModelError, "__str__", Exception.__str__)

    def read(folder, name):
        raise ModelError("two\nlines")

    with pytest.raises(readers.FaultError, match="not one line"):
        tried(readers, tmp_path, read)


def test_code_that_ran_is_seen(readers, tmp_path):
    import pickle

    def read(folder, name):
        pickle.loads(pickle.dumps(readers.Toucher(readers.trace(folder))))

    with pytest.raises(readers.FaultError, match="ran"):
        tried(readers, tmp_path, read)


def test_a_reader_that_hangs_is_stopped(readers, tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "SECONDS", 0.2)

    def read(folder, name):
        while True:
            try:
                sum(range(1000))
            except Exception:  # such as a reader has, for whatever a damaged file leads to
                return

    with pytest.raises(readers.TooLongError):
        tried(readers, tmp_path, read)


def test_every_edit_gives_bytes(readers):
    edits = importlib.import_module("edits")
    sound = [b"", b"{", b'{"a": [1, 2]}', b"a,b\n1,2\n", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n", b"\x93NUMPY", b"\x80\x02"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for data in sound:
            for kind in range(64):
                for value in range(0, 64, 3):
                    assert isinstance(edits.damaged(data, [(kind, value, 3 * value, value)]), bytes)
