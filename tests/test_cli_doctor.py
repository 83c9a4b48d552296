"""interpkit doctor: each line says what is there, and what to do where that is wrong."""

import json
import sys
from importlib import metadata
from types import SimpleNamespace

import psutil
import pytest
import torch
from commands import runner

from interpkit.cli import _doctor
from interpkit.cli._doctor import Found, doctor, looked, pair


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("INTERPKIT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("INTERPKIT_WORK", str(tmp_path / "work"))
    return runner(capsys)


def found(run) -> tuple[int, dict[str, dict[str, str]]]:
    status, out, err = run("doctor", "--json")
    assert err == ""
    document = json.loads(out)
    assert document["sound"] == (status == 0)
    return status, {one["what"]: one for one in document["found"]}


def only(monkeypatch, *looks) -> None:
    monkeypatch.setattr(_doctor, "LOOKS", looks)


def test_this_machine_is_sound(run, tmp_path):
    status, lines = found(run)
    assert status == 0, [one for one in lines.values() if one["verdict"] == "wrong"]
    assert lines["torch"]["there"] == metadata.version("torch")
    assert str(tmp_path / "data") in lines["data"]["there"]
    assert str(tmp_path / "work") in lines["work"]["there"]
    expected = {"Python", "interpkit", "torch pair", "Pango", "Chromium", "threads", "memory", "reports", "broden-mini"}
    assert expected <= lines.keys()
    assert not (tmp_path / "data").exists()


def test_lines_are_for_people_without_json(run, monkeypatch):
    only(monkeypatch, lambda: iter([Found("a", "one"), Found("long name", "two\x1b[2J", "wrong", "mend it")]))
    status, out, _ = run("doctor")
    assert status == 1
    assert out.splitlines() == [
        "ok     a          one",
        r"wrong  long name  two\x1b[2J",
        "       -> mend it",
        "1 wrong",
    ]


def test_a_look_that_fails_is_a_finding(run, monkeypatch):
    def _disk():
        yield Found("before", "here")
        raise RuntimeError("no such thing")

    only(monkeypatch, _disk)
    assert [one.verdict for one in looked(_disk)] == ["ok", "wrong"]
    assert found(run)[1]["disk"]["there"] == "RuntimeError: no such thing"


@pytest.mark.parametrize(
    ("torch_version", "torchvision_version", "verdict"),
    [
        ("2.13.0+cpu", "0.28.0", "ok"),
        ("2.6.0", "0.21.1+cu128", "ok"),
        ("2.13.0", "0.27.0", "wrong"),
        ("2.6.0", "0.28.0", "wrong"),
        ("3.0.0", "0.40.0", "note"),
        ("2.13.0", "1.0", "note"),
    ],
)
def test_torch_and_torchvision_belong_together(torch_version, torchvision_version, verdict):
    one = pair(torch_version, torchvision_version)
    assert one.verdict == verdict
    assert bool(one.advice) == (verdict != "ok")


def test_a_package_that_is_missing_or_old(run, monkeypatch):
    versions = {"numpy": "1.26.4", "interpkit-cnn": "0"}
    monkeypatch.setattr(metadata, "requires", lambda _name: ["numpy>=2.0", "gone>=1.2", 'timm>=1; extra == "zoo"'])

    def version(name):
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(metadata, "version", version)
    only(monkeypatch, _doctor._versions)
    status, lines = found(run)
    assert status == 1
    assert lines["numpy"]["there"] == "1.26.4, older than 2.0"
    assert lines["gone"]["there"] == "not installed"
    assert "'gone>=1.2'" in lines["gone"]["advice"]
    assert "timm" not in lines


def test_an_old_python(run, monkeypatch):
    monkeypatch.setattr(_doctor, "sys", SimpleNamespace(version_info=(3, 9)))
    only(monkeypatch, _doctor._versions)
    assert found(run)[1]["Python"]["verdict"] == "wrong"
    assert sys.version_info >= (3, 11)


def test_what_is_optional_is_a_note(run, monkeypatch):
    monkeypatch.setattr(_doctor.ctypes.util, "find_library", lambda _name: None)
    monkeypatch.setattr(_doctor.shutil, "which", lambda _name: None)
    only(monkeypatch, _doctor._optional)
    status, lines = found(run)
    assert status == 0
    for name in ("Pango", "Chromium"):
        assert lines[name]["verdict"] == "note"
        assert "apt-get install" in lines[name]["advice"]


def test_a_folder_that_cannot_be_written_to(run, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INTERPKIT_WORK", str(tmp_path / "file" / "work"))

    def refuse(**_where):
        raise PermissionError(13, "Permission denied")

    only(monkeypatch, _doctor._folders)
    status, lines = found(run)
    assert status == 1
    assert lines["work"]["verdict"] == "wrong"
    assert "INTERPKIT_WORK" in lines["work"]["advice"]
    monkeypatch.setattr(_doctor, "TemporaryFile", refuse)
    status, lines = found(run)
    assert lines["data"]["there"].endswith("Permission denied")
    assert "INTERPKIT_DATA" in lines["data"]["advice"]


def test_little_memory_and_little_disk_are_notes(run, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1e9, total=4e9))
    monkeypatch.setattr(_doctor.shutil, "disk_usage", lambda _where: SimpleNamespace(free=1e6))
    only(monkeypatch, _doctor._memory, _doctor._folders)
    status, lines = found(run)
    assert status == 0
    assert {lines[name]["verdict"] for name in ("memory", "data", "work", "reports")} == {"note"}


def test_devices(run, monkeypatch):
    only(monkeypatch, _doctor._devices)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(_doctor.shutil, "which", lambda _name: "/usr/bin/nvidia-smi")
    assert found(run)[1]["device"]["verdict"] == "note"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

    def broken(_number):
        raise RuntimeError("CUDA driver version is insufficient")

    monkeypatch.setattr(torch.cuda, "get_device_name", broken)
    status, lines = found(run)
    assert status == 1
    assert lines["cuda:0"]["there"] == "CUDA driver version is insufficient"
    assert "--device cpu" in lines["cuda:0"]["advice"]


def test_more_threads_than_processors(run, monkeypatch):
    only(monkeypatch, _doctor._processor)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4096)
    assert "--threads" in found(run)[1]["threads"]["advice"]


def test_a_damaged_installation_is_wrong(run, monkeypatch):
    from interpkit.errors import LabelSetError
    from interpkit.labels import LabelSet

    def damaged(_name):
        raise LabelSetError("index.csv is missing")

    monkeypatch.setattr(LabelSet, "open", damaged)
    only(monkeypatch, _doctor._label_sets)
    monkeypatch.setattr("interpkit.labels.available", list)
    assert found(run)[1]["broden-mini"]["verdict"] == "wrong"
    assert doctor.__doc__
