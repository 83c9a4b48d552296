"""Model files from strangers, whatever they are called and however their code is hidden: none of it runs."""

import io
import json
import os
import pickle
import struct
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from networks import tiny
from safetensors.torch import save

from interpkit.errors import InterpkitError
from interpkit.models import load_model

ARCH = "python:networks:tiny"
NAMES = ("m.pt", "m.pth", "m.pt2", "m.safetensors", "m.bin", "m")


@pytest.fixture(autouse=True)
def _no_catalogue(monkeypatch):
    # Which of torchvision's networks weights are like takes seconds to tell the first time, and reads nothing.
    monkeypatch.setattr("interpkit.models.fitting.closest", lambda _shapes: "like no other")


class Toucher:
    """Creates a folder when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.trace),)


def refused(path: Path, *, arch: str | None = ARCH) -> str:
    with pytest.raises(InterpkitError) as error:
        load_model(path, arch=arch, size=16)
    assert str(error.value).isprintable()
    return str(error.value)


def torched(content: object, *, zipped: bool = True) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def hidden(trace: Path) -> dict[str, bytes]:
    """Files with code of their own, each in another place."""
    ran, state = Toucher(trace), tiny().state_dict()
    sound = torched(state)
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sound)) as source, zipfile.ZipFile(stream, "w") as copy:
        for name in source.namelist():
            copy.writestr(name, pickle.dumps(ran, 2) if name.endswith("/data.pkl") else source.read(name))
    return {
        "plain": pickle.dumps(ran),
        "plain, protocol 0": pickle.dumps(ran, 0),
        "plain, below keys": pickle.dumps({"state_dict": {"a": [ran]}}, 2),
        "zip": torched(ran),
        "zip, beside the weights": torched({"state_dict": state, "hyperparameters": {"x": [ran]}}),
        "zip, as a key": torched({(1, 2): ran, **state}),
        "zip, its pickle exchanged": stream.getvalue(),
        "legacy": torched(ran, zipped=False),
        "legacy, beside the weights": torched({**state, "x": ran}, zipped=False),
        "after a safetensors header": save(state) + pickle.dumps(ran),
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", hidden(Path("x")))
def test_nothing_runs_under_any_name(tmp_path, name, form):
    trace, path = tmp_path / "it-ran", tmp_path / name
    path.write_bytes(hidden(trace)[form])
    refused(path)
    assert not trace.exists()


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_read_under_any_name(tmp_path, name):
    sha = load_model(tiny(), size=16).sha
    for content in (
        save(tiny().state_dict()),
        torched(tiny().state_dict()),
        torched(tiny().state_dict(), zipped=False),
    ):
        (tmp_path / name).write_bytes(content)
        assert load_model(tmp_path / name, arch=ARCH, size=16).sha == sha


@pytest.mark.parametrize("where", ["data.pkl", "constants.pkl", "code/x.py"])
def test_torchscript_is_refused_before_anything_in_it_is_read(tmp_path, where):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(tiny()).save(tmp_path / "sound.pt")
    trace, path = tmp_path / "it-ran", tmp_path / "m.pt"
    with zipfile.ZipFile(tmp_path / "sound.pt") as source, zipfile.ZipFile(path, "w") as copy:
        for name in source.namelist():
            changed = name.endswith(where)
            copy.writestr(name, pickle.dumps(Toucher(trace), 2) if changed else source.read(name))
    assert "TorchScript" in refused(path)
    assert not trace.exists()


def test_code_of_the_users_own_is_said_to_have_run():
    notes = load_model(ARCH, size=16).notes
    assert any("is code of yours and ran" in note for note in notes)


def shape_of(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize(
    "content",
    [
        shape_of(b'{"w":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4000000000000]}}'),
        shape_of(b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,99]}}') + bytes(8),
        shape_of(b'{"w":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}') + bytes(8),
        shape_of(b"{" * 90_000),
        struct.pack("<Q", 2**63) + b"{}",
        shape_of(json.dumps({"\x1b[2J": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}).encode()),
    ],
)
def test_headers_that_lie_are_refused_and_take_no_memory(tmp_path, content):
    (tmp_path / "m.safetensors").write_bytes(content)
    refused(tmp_path / "m.safetensors")


@pytest.mark.parametrize("name", ["archive/data/0", "archive/models/model.json"])
def test_an_archive_that_unpacks_to_more_than_weights_do_is_not_opened(tmp_path, monkeypatch, name):
    monkeypatch.setattr("interpkit.models._archive.SMALL", 2**20)
    with zipfile.ZipFile(tmp_path / "m.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"")
        archive.writestr("archive/archive_format", "pt2")
        archive.writestr(name, bytes(2**24))
    assert "unpacks to" in refused(tmp_path / "m.pt")


def test_a_pipe_and_a_device_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "m.pt")
    assert "is not a file" in refused(tmp_path / "m.pt")
    assert "is not a file" in refused(Path("/dev/zero"))


@pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_changed_stretch_is_an_error_or_other_weights(tmp_path, at, zipped):
    content = bytearray(torched(tiny().state_dict(), zipped=zipped))
    place = int(len(content) * at)
    content[place : place + 40] = bytes(255 - byte for byte in content[place : place + 40])
    (tmp_path / "m.pt").write_bytes(content)
    # In the middle of the weights other weights come of it; anything else is refused, and nothing crashes.
    with suppress(InterpkitError):
        assert load_model(tmp_path / "m.pt", arch=ARCH, size=16).form == "state-dict"
