"""Trainings that are cut off and gone on with, and folders that hold something already."""

import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from full_disk import full_disk
from made_finetuning import SHORT, SIZE, CutOffError, colours, cut_off, net, same_weights, trained, weights

from interpkit import losses
from interpkit.errors import InterpkitError, ResultError
from interpkit.finetuning import finetune
from interpkit.finetuning._checkpoint import KEYS, read_checkpoint, write_checkpoint
from interpkit.labels import LabelSet
from interpkit.models import load_model
from interpkit.results import FineTuning, load

LOSSES = ("none", *losses.names())
# 4 steps an epoch.
EPOCHS, STEPS = 5, 20


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> LabelSet:
    return colours(tmp_path_factory.mktemp("labels") / "set")


def options(loss: str) -> dict:
    """Dropout, augmentation and trained batch norms: whatever is random or has a state."""
    own = {"class-gate": {"warmup": 0, "period": 2}, "icnn": {"learn_beta": True, "gradient": "release"}}
    return {
        "network": net(dropout=0.5),
        "loss": loss,
        "options": own.get(loss),
        "epochs": EPOCHS,
        "head": "classifier",
        "train_from": "all",
        "patience": EPOCHS,
    }


@pytest.fixture(scope="module", params=LOSSES)
def whole(request, labels, tmp_path_factory) -> tuple[str, Path, FineTuning]:
    out = tmp_path_factory.mktemp("whole") / request.param
    return request.param, out, trained(labels, out, **options(request.param))


@pytest.mark.parametrize("steps", [(0,), (7, 9), (STEPS - 1,)], ids=str)
def test_cut_off_and_resumed_is_the_same_bit_for_bit(whole, labels, tmp_path, steps):
    """Steps count from where it is gone on with: 7 and 9 cut off the two gated epochs, 4 steps each."""
    loss, out, result = whole
    for step in steps:
        with cut_off(step), pytest.raises(CutOffError):
            trained(labels, tmp_path / "out", **options(loss), resume=True)
    again = trained(labels, tmp_path / "out", **options(loss), resume=True)
    assert same_weights(out, tmp_path / "out")
    for column in result.history:
        np.testing.assert_array_equal(result.history[column].to_numpy(), again.history[column].to_numpy(), column)
    assert {name: value.tolist() for name, value in result.learnt.items()} == {
        name: value.tolist() for name, value in again.learnt.items()
    }
    assert not (tmp_path / "out" / "checkpoint.pt").exists()


def test_dropout_and_mirroring_are_drawn_anew_in_every_epoch(labels, tmp_path):
    """Otherwise the test above would see nothing of them."""
    base = {**options("none"), "patience": None, "epochs": 1}
    trained(labels, tmp_path / "with", **base)
    trained(labels, tmp_path / "without", **{**base, "network": net()})
    trained(labels, tmp_path / "plain", **{**base, "augment": "none"})
    assert not same_weights(tmp_path / "with", tmp_path / "without")
    assert not same_weights(tmp_path / "with", tmp_path / "plain")


@pytest.fixture
def interrupted(labels, tmp_path) -> Path:
    with cut_off(5), pytest.raises(CutOffError):
        trained(labels, tmp_path / "out")
    return tmp_path / "out"


def test_what_is_cut_off_is_no_network_yet(interrupted):
    assert sorted(path.name for path in interrupted.iterdir()) == ["checkpoint.pt"]


def test_changed_options_are_refused_and_listed(interrupted, labels):
    words = "epochs: 3 there, 4 asked for; rate: 0.01 there, 0.1 asked for"
    with pytest.raises(ResultError, match=words) as error:
        trained(labels, interrupted, rate=0.1, epochs=4, resume=True)
    assert "\n" not in str(error.value)
    with pytest.raises(ResultError, match=r"resumed: option c: 1\.0 there, 3\.0 asked for$"):
        trained(labels, interrupted, options={"c": 3.0}, resume=True)
    # Of another loss the options say nothing.
    with pytest.raises(ResultError, match=r"resumed: loss: icnn there, class-gate asked for$"):
        trained(labels, interrupted, loss="class-gate", resume=True)
    with pytest.raises(ResultError, match="model: "):
        trained(labels, interrupted, network=net(seed=1), resume=True)
    trained(labels, interrupted, resume=True)


def test_the_same_training_spelt_out_goes_on(interrupted, labels):
    """Defaults may be named: the weight, options, the layer that is taken anyway, its number of units."""
    assert trained(labels, interrupted, weight=1.0, options={"c": 1.0}, filters=6, resume=True).epochs == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": 24}, r"resumed: size: \[16, 16\] there, \[24, 24\] asked for$"),
        ({"size": SIZE, "mean": (0.2,) * 3}, r"resumed: mean: \[0\.485.* there, \[0\.2.* asked for$"),
        ({"size": SIZE, "std": (0.2,) * 3}, "resumed: std: "),
        ({"size": SIZE, "interpolation": "nearest"}, "resumed: interpolation: bilinear there, nearest asked for$"),
    ],
)
@pytest.mark.parametrize("whole", [False, True], ids=["cut off", "finished"])
def test_another_preprocessing_is_another_training(labels, tmp_path, changes, words, whole):
    """Of a folder that was cut off and of one that was finished."""
    with nullcontext() if whole else cut_off(5), nullcontext() if whole else pytest.raises(CutOffError):
        trained(labels, tmp_path / "out")
    with pytest.raises(ResultError, match=words):
        finetune(load_model(net(), **changes), labels, tmp_path / "out", **SHORT, resume=True)


def test_a_training_goes_on_as_it_was_fed(labels, tmp_path, monkeypatch):
    """Sums taken in another order would give other weights, so room that came or went in between decides nothing."""
    asked = {"augment": "flip", "network": net(dropout=0.5)}
    begun: dict[str, FineTuning] = {}

    def none(*_: object, **__: object) -> tuple[str, str]:
        return "none", ""

    for name, first, last in (("kept", False, True), ("read", True, False)):
        for out, parts in (("whole", (first,)), ("out", (first, last))):
            for number, full in enumerate(parts):
                with monkeypatch.context() as patched:
                    if full:
                        patched.setattr("interpkit.finetuning._supply.choose", none)
                    if len(parts) == 2 and number == 0:
                        with cut_off(5), pytest.raises(CutOffError):
                            trained(labels, tmp_path / name / out, **asked)
                    else:
                        begun[name] = trained(labels, tmp_path / name / out, **asked, resume=True)
        assert same_weights(tmp_path / name / "whole", tmp_path / name / "out")
    kept, read = begun["kept"].provenance.notes, begun["read"].provenance.notes
    assert any(note.startswith("features below") and note.endswith("kept") for note in kept)
    assert "images read in every epoch" in read


def test_features_that_were_kept_and_find_no_room(labels, tmp_path, monkeypatch):
    with cut_off(5), pytest.raises(CutOffError):
        trained(labels, tmp_path / "out")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("interpkit.finetuning._supply.choose", lambda *_, **__: ("none", ""))
        patched.setattr("interpkit.mapstore.os.posix_fallocate", full)
        with pytest.raises(ResultError, match=r"no room in .* for the kept features below added.*TMPDIR") as error:
            trained(labels, tmp_path / "out", resume=True)
    assert "--cache" not in str(error.value)
    assert trained(labels, tmp_path / "out", resume=True).epochs == 3


def test_a_cut_that_is_no_more_is_said(interrupted, labels):
    path = interrupted / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    torch.save({**state, "fed": {"cut": "elsewhere", "kept": True}}, path)
    with pytest.raises(ResultError, match="kept features below elsewhere, where this network cannot be fed"):
        trained(labels, interrupted, resume=True)


def test_a_training_that_ended_is_given_back(labels, tmp_path):
    result = trained(labels, tmp_path / "out", epochs=1)
    before = (tmp_path / "out" / "weights.safetensors").stat().st_mtime_ns
    again = trained(labels, tmp_path / "out", epochs=1, resume=True)
    assert again.summary() == result.summary()
    assert (tmp_path / "out" / "weights.safetensors").stat().st_mtime_ns == before
    with pytest.raises(ResultError, match="epochs: 1 there, 2 asked for"):
        trained(labels, tmp_path / "out", epochs=2, resume=True)


def test_cut_off_while_the_result_is_written(labels, tmp_path, monkeypatch):
    trained(labels, tmp_path / "whole", epochs=1)

    def fail(*_: object, **__: object) -> None:
        raise CutOffError

    monkeypatch.setattr("interpkit.finetuning._job.save", fail)
    with pytest.raises(CutOffError):
        trained(labels, tmp_path / "out", epochs=1)
    monkeypatch.undo()
    trained(labels, tmp_path / "out", epochs=1, resume=True)
    assert same_weights(tmp_path / "whole", tmp_path / "out")
    assert load(tmp_path / "out" / "added.act-finetune").epochs == 1


def test_a_folder_is_never_written_over_unasked(labels, tmp_path, interrupted):
    words = r"cut off; choose another folder, or clear it \(--overwrite\); it differs: epochs: 3 there, 4 asked for$"
    with pytest.raises(ResultError, match=words):
        trained(labels, interrupted, epochs=4)
    trained(labels, interrupted, epochs=1, overwrite=True)
    words = (
        r"a trained network; choose another folder, or clear it \(--overwrite\); it differs: epochs: 1 there, 3 asked"
    )
    with pytest.raises(ResultError, match=words):
        trained(labels, interrupted)
    (interrupted / "mine.txt").write_text("mine")
    trained(labels, interrupted, epochs=1, seed=1, overwrite=True)
    assert (interrupted / "mine.txt").read_text() == "mine"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    for asked in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(ResultError, match="holds no training"):
            trained(labels, tmp_path / "other", **asked)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="is a file"):
        trained(labels, tmp_path / "file")


def test_a_mistake_clears_nothing(labels, tmp_path):
    trained(labels, tmp_path / "out", epochs=1)
    before = weights(tmp_path / "out")
    with pytest.raises(InterpkitError, match="stage9"):
        trained(labels, tmp_path / "out", layer="stage9", overwrite=True)
    assert all(torch.equal(before[name], value) for name, value in weights(tmp_path / "out").items())


def test_resuming_where_nothing_is_starts(labels, tmp_path):
    assert trained(labels, tmp_path / "out", epochs=1, resume=True).epochs == 1


def test_a_damaged_checkpoint(interrupted, labels):
    """Nobody can tell whose it was, so nobody is told to throw it away."""
    path = interrupted / "checkpoint.pt"
    whole = path.read_bytes()
    state = torch.load(path, weights_only=True)
    path.write_bytes(whole[:200])
    for asked in ({"resume": True}, {"overwrite": True}):
        with pytest.raises(ResultError, match=r"holds a checkpoint\.pt that no training wrote, or that is damaged"):
            trained(labels, interrupted, **asked)
    assert path.read_bytes() == whole[:200]
    torch.save({**state, "format": 99}, path)
    with pytest.raises(ResultError, match="format 99"):
        trained(labels, interrupted, resume=True)


def test_a_checkpoint_runs_no_code(tmp_path):
    torch.save({"format": 1, "what": Path}, tmp_path / "checkpoint.pt")
    with pytest.raises(ResultError, match="damaged") as error:
        read_checkpoint(tmp_path)
    assert "weights_only" not in str(error.value)


def test_a_checkpoint_is_whole_or_the_one_before(tmp_path, monkeypatch):
    state = dict.fromkeys(KEYS - {"format"})
    write_checkpoint(tmp_path, {**state, "own": 1})

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space"):
        write_checkpoint(tmp_path, {**state, "own": 2})
    assert read_checkpoint(tmp_path)["own"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_full_disk_is_one_line(labels, tmp_path):
    with full_disk(tmp_path / "disk", room=1 << 14) as folder:
        with pytest.raises(InterpkitError, match="cannot write") as error:
            trained(labels, folder / "out")
        assert "\n" not in str(error.value)
        shutil.rmtree(folder / "out", ignore_errors=True)
