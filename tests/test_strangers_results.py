"""Result folders and published tables from strangers: edited, cut, made to harm."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_comparison import comparison
from made_entanglement import analysed
from made_finetuning_page import finetuned
from made_graph import graph
from made_parts import partscores
from made_results import small_dissection

from interpkit.errors import ResultError
from interpkit.report import build
from interpkit.results import load, read_published, save
from interpkit.results._types import check_types

MADE: dict[str, Callable[[], object]] = {
    "dissection": small_dissection,
    "entanglement": lambda: analysed(12),
    "parts": lambda: partscores(12),
    "graph": graph,
    "finetuning": finetuned,
    "comparison": comparison,
}


# What a result knows from elsewhere too.
OWN = {"pictures", "layer"}


def refused(folder: Path) -> str:
    with pytest.raises(ResultError) as error:
        load(folder)
    text = str(error.value)
    assert text.isprintable()
    assert str(folder) in text
    return text


@pytest.fixture
def saved(tmp_path) -> Path:
    return save(small_dissection(), tmp_path / "layer")


def edit(folder: Path, **values: object) -> None:
    about = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps(about | values))


def member(content: bytes, name: str = "more.npy", *, times: int = 1) -> Callable[[Path], None]:
    """Adds a member to the archive of arrays."""

    def add(folder: Path) -> None:
        with zipfile.ZipFile(folder / "scores.npz", "a", zipfile.ZIP_DEFLATED) as archive:
            for _ in range(times):
                archive.writestr(name, content)

    return add


def header(shape: tuple[int, ...], kind: str = "<f8") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": kind, "fortran_order": False, "shape": shape})
    return stream.getvalue()


# --- every kind of result


@pytest.mark.parametrize("name", MADE)
def test_sound_results_hold_what_their_attributes_say(tmp_path, name):
    check_types(load(save(MADE[name](), tmp_path / "one")))


@pytest.mark.parametrize("name", MADE)
def test_a_value_of_another_kind_is_named(tmp_path, name):
    folder = save(MADE[name](), tmp_path / "one")
    about = json.loads((folder / "result.json").read_text())
    edit(folder, provenance={**about["provenance"], "model": ["x"]})
    assert "model is ['x']" in refused(folder)


@pytest.mark.parametrize("name", MADE)
def test_every_missing_document_is_named(tmp_path, name):
    folder = save(MADE[name](), tmp_path / "one")
    documents = [path for path in folder.glob("*.json") if path.name != "result.json"]
    assert documents
    for path in documents:
        content = path.read_bytes()
        path.unlink()
        assert f"{path.name} is missing" in refused(folder)
        path.write_bytes(content)
    load(folder)


@pytest.mark.parametrize("name", MADE)
def test_every_missing_value_is_named(tmp_path, name):
    folder = save(MADE[name](), tmp_path / "one")
    sound = json.loads((folder / "result.json").read_text())
    for key in sound.keys() - {"format", "kind", "summary", "moved"}:
        (folder / "result.json").write_text(json.dumps({name: value for name, value in sound.items() if name != key}))
        if key not in OWN:
            assert f"says nothing of {key}" in refused(folder)


@pytest.mark.parametrize("kind", ["M8[s]", "S3", "U3", "?", "c16", "i8"])
def test_arrays_of_another_kind_are_named(saved, kind):
    with np.load(saved / "scores.npz") as archive:
        arrays = dict(archive)
    arrays["thresholds"] = np.zeros(arrays["thresholds"].shape, kind)
    np.savez(saved / "scores.npz", **arrays)
    if kind == "i8":
        load(saved)
    else:
        assert "thresholds is an array of" in refused(saved)


# --- result.json


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, "too deep"),
        ('{"format": 1, "kind": "dissection", "images": NaN}', "NaN is no number"),
        ('{"format": 1, "kind": "dissection", "images": -Infinity}', "-Infinity is no number"),
        ('{"format": 1, "kind": "dissection", "images": 1e999}', "1e999 is no number"),
        ('{"format": 1e999, "kind": "dissection"}', "is no number"),
        ('{"format": true, "kind": "dissection"}', "its format is True"),
        ('{"format": 0, "kind": "dissection"}', "its format is 0"),
        ('{"format": 9, "kind": "dissection"}', "has format 9; this interpkit reads up to 1: upgrade it"),
        ('{"format": 1}', "its kind is None"),
        ('{"format": 1, "kind": "../x"}', "cannot read"),
        ('{"format": 1, "kind": "dissection", "layer": "\\ud800"}', "surrogates not allowed"),
        ('{"format": ' + "9" * 5000 + "}", "is damaged"),
    ],
)
def test_what_is_no_result_json_is_refused(saved, text, says):
    (saved / "result.json").write_text(text)
    assert says in refused(saved)


def test_a_whole_character_outside_the_first_plane_is_no_fault(saved):
    edit(saved, layer="\U0001f600")
    assert load(saved).layer == "\U0001f600"


@pytest.mark.parametrize("name", ["scores.npz", "outlines.json"])
def test_a_pipe_is_not_waited_for(saved, name):
    (saved / name).unlink()
    os.mkfifo(saved / name)
    assert f"{name} is not a file" in refused(saved)


def test_a_file_that_may_not_be_read_is_said(saved, monkeypatch):
    def refuse(*_arguments: object, **_more: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert "cannot be read: Permission denied" in refused(saved)


def test_a_table_for_people_may_be_cut(tmp_path):
    folder = save(graph(), tmp_path / "one")
    (folder / "nodes.csv").write_bytes((folder / "nodes.csv").read_bytes()[:100])
    assert len(load(folder).table()) == len(graph().table())


# --- scores.npz


def test_arrays_that_unpack_to_more_than_any_result_are_refused(saved, monkeypatch):
    monkeypatch.setattr("interpkit.results._reading.LARGEST", 2**20)
    member(bytes(2**21))(saved)
    assert (saved / "scores.npz").stat().st_size < 2**20
    assert "unpack to" in refused(saved)


@pytest.mark.parametrize("shape", [(10**6, 10**6), (0, 10**9), (-1,), (2**63, 2)])
def test_arrays_that_speak_of_more_than_they_hold_take_no_memory(saved, shape):
    member(header(shape) + bytes(64))(saved)
    assert "more.npy" in refused(saved)


def test_arrays_of_objects_are_refused(saved):
    member(header((1,), "|O") + b"cos\nsystem\n(S'true'\ntR.")(saved)
    assert "holds objects" in refused(saved)


def test_arrays_of_the_other_byte_order_are_read(saved):
    before = load(saved)
    with np.load(saved / "scores.npz") as archive:
        swapped = {name: array.astype(array.dtype.newbyteorder(">")) for name, array in archive.items()}
    np.savez(saved / "scores.npz", **swapped)
    assert load(saved).table().equals(before.table())
    assert load(saved)._repr_html_() == before._repr_html_()


def test_values_that_do_not_stand_together_are_said_of_the_page(tmp_path):
    run = tmp_path / "run"
    folder = save(small_dissection(), run / "layer")
    about = json.loads((folder / "result.json").read_text())
    about["provenance"]["preprocessing"]["mean"] = 3
    (folder / "result.json").write_text(json.dumps(about))
    with pytest.raises(ResultError, match="cannot be drawn: what its files hold does not fit together") as caught:
        build(run)
    assert str(caught.value).isprintable()
    assert not (run / "index.html").exists()


def test_an_array_that_stands_twice_is_refused(saved):
    with pytest.warns(UserWarning, match="Duplicate"):
        member(header((1,)) + bytes(8), times=2)(saved)
    assert "holds more twice" in refused(saved)


# --- published tables

HEAD = "unit,category,label,score,object-label,object-iou"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        HEAD.encode("utf-16"),
        HEAD.encode() + b"\n1,object,caf\xe9,0.1,x,0.1\n",
        HEAD.encode(),
        f"{HEAD}\n1,object,x,1e999,x,0.1\n".encode(),
        f"{HEAD}\n1,object,x,nan,x,0.1\n".encode(),
        f"{HEAD}\n1e300,object,x,0.1,x,0.1\n".encode(),
        f"{HEAD}\nnan,object,x,0.1,x,0.1\n".encode(),
        f"{HEAD}\n1.5,object,x,0.1,x,0.1\n".encode(),
        f"{HEAD}\n1,object,x,0.1,x,0.1,more\n".encode(),
        f"{HEAD},object-label\n1,object,x,0.1,x,0.1,y\n".encode(),
        f"{HEAD}\n2,object,x,0.1,x,0.1\n".encode(),
        f"{HEAD}\n1,object,x,-3,x,0.1\n".encode(),
        f"{HEAD}\n1,object,x,7,x,0.1\n".encode(),
    ],
)
def test_what_is_no_published_table_is_refused(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ResultError) as error:
        read_published(tmp_path / "t.csv")
    assert str(error.value).isprintable()


def test_a_pipe_is_no_published_table(tmp_path):
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(ResultError, match="is not a file"):
        read_published(tmp_path / "t.csv")
