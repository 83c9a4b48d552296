"""Trainings that were killed and are asked for again."""

import logging
from pathlib import Path
from zipfile import ZipFile

import pytest
from full_disk import largest_file
from labels_on_disk import photograph
from made_finetuning import CutOffError, colours, cut_off, net, trained
from stopping import assert_same_files

from interpkit.errors import ResultError
from interpkit.finetuning import _job
from interpkit.holding import Held
from interpkit.labels import LabelSet
from interpkit.writing import undamaged

ASKED = {"augment": "flip", "network": net(dropout=0.5)}


@pytest.fixture
def labels(tmp_path) -> LabelSet:
    return colours(tmp_path / "set")


def test_the_same_command_goes_on_by_itself_and_says_so(labels, tmp_path, caplog):
    """What killed processes were writing is gone in the end, and no file tells that there were any."""
    trained(labels, tmp_path / "whole", **ASKED)
    out = tmp_path / "out"
    for step in (3, 7):
        with cut_off(step), pytest.raises(CutOffError):
            trained(labels, out, **ASKED)
    for name in (".checkpoint.pt.99", ".weights.safetensors.part", ".index.html.5", "images/.a-01234567.jpg.12"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(b"half")
    (out / ".added.stage1-finetune.x1y2").mkdir()
    (out / ".added.act-finetune.x1y2").mkdir()
    (out / ".added.act-finetune.x1y2" / "scores.npz").write_bytes(b"half")
    with caplog.at_level(logging.INFO):
        trained(labels, out, **ASKED)
    assert f"going on with the training in {out}, which was cut off after epoch 1" in caplog.messages
    (out / ".added.stage1-finetune.x1y2").rmdir()  # of another result, so not ours
    assert_same_files(out, tmp_path / "whole")


def test_a_state_of_a_killed_process_alone_is_no_obstacle(labels, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".held").write_text("{}")
    (out / ".checkpoint.pt.99").write_bytes(b"half")
    trained(labels, out, epochs=1)
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("whole", [False, True], ids=["cut off", "finished"])
@pytest.mark.parametrize("resume", [False, True])
def test_images_that_have_changed_are_another_training(labels, tmp_path, whole, resume):
    """Though their files have the names and, as bitmaps, the sizes that they had."""
    if whole:
        trained(labels, tmp_path / "out", epochs=1)
    else:
        with cut_off(5), pytest.raises(CutOffError):
            trained(labels, tmp_path / "out")
    asked = {"epochs": 1} if whole else {}
    path, before = labels.path(0), labels.sha
    content = path.read_bytes()
    path.write_bytes(content)
    if whole:  # written anew with the same bytes: the same images
        trained(labels, tmp_path / "out", **asked)
    changed = photograph(tmp_path / "other.png", seed=7).read_bytes()
    path.write_bytes(changed[: len(content)].ljust(len(content), b"\0") if whole else changed)
    again = LabelSet.open(labels.root)
    if not whole:
        with pytest.raises(ResultError, match=r"labels: |have changed since"):
            trained(again, tmp_path / "out", resume=resume)
        return
    assert again.sha == before
    with pytest.raises(ResultError, match=r"on other images: files of .* have changed since; choose another folder"):
        trained(again, tmp_path / "out", **asked, resume=resume)


def test_one_at_a_time_in_a_folder(labels, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with Held(out, doing="another training"):
        with pytest.raises(
            ResultError, match=r"in use by process .*\(another training\); wait for it, or choose"
        ) as said:
            trained(labels, out)
        assert "\n" not in str(said.value)
    trained(labels, out, epochs=1)
    # Whoever has what it asked for disturbs nobody.
    with Held(out, doing="another training"):
        assert trained(labels, out, epochs=1).epochs == 1


def test_a_training_that_ended_while_one_waited_is_given_back(labels, tmp_path, monkeypatch):
    out = tmp_path / "out"
    whole = trained(labels, tmp_path / "whole", epochs=1)
    make = _job.make

    def late(folder: Path) -> list[Path]:
        (tmp_path / "whole").rename(folder)
        return make(folder)

    monkeypatch.setattr(_job, "make", late)
    assert trained(labels, out, epochs=1).provenance.when == whole.provenance.when


def test_no_room_keeps_what_is_done(labels, tmp_path):
    out = tmp_path / "out"
    trained(labels, tmp_path / "whole")
    with cut_off(9), pytest.raises(CutOffError):
        trained(labels, out)
    kept = (out / "checkpoint.pt").read_bytes()
    with largest_file(4096), pytest.raises(ResultError, match=r"cannot write|no room") as said:
        trained(labels, out)
    assert "\n" not in str(said.value)
    assert (out / "checkpoint.pt").read_bytes() == kept
    trained(labels, out)
    assert_same_files(out, tmp_path / "whole")


def test_a_state_in_which_a_bit_has_turned_is_not_gone_on_with(labels, tmp_path):
    out = tmp_path / "out"
    with cut_off(9), pytest.raises(CutOffError):
        trained(labels, out)
    path = out / "checkpoint.pt"
    assert undamaged(path)
    with ZipFile(path) as archive:
        # Of a tensor: what lies between the parts of an archive is filled up with nothing.
        value = max((one for one in archive.infolist() if "/data/" in one.filename), key=lambda one: one.file_size)
        held = archive.read(value)
    content = path.read_bytes()
    at = content.index(held, value.header_offset)
    path.write_bytes(content[:at] + bytes([held[0] ^ 1]) + content[at + 1 :])
    with pytest.raises(ResultError, match="damaged"):
        trained(labels, out)
