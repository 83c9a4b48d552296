"""Before and after: one network trained twice from the same start, both measured on the same images."""

import inspect
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from class_sets import folder_set, landmark_set, listed_set
from networks import tiny
from safetensors.torch import load_file
from sameness import assert_same

import interpkit
from interpkit.comparison import compare
from interpkit.dissection import dissect
from interpkit.entanglement import entangle
from interpkit.errors import ImageError, InterpkitError, ResultError
from interpkit.finetuning import finetune
from interpkit.holding import Held, InUseError, holder
from interpkit.labels import LabelSet
from interpkit.models import LoadedModel, load_model
from interpkit.parts import score_parts
from interpkit.probe import Probe
from interpkit.results import Comparison, FineTuning, load, load_run, save
from interpkit.studies import _before_after, before_after
from interpkit.studies._look import shown
from interpkit.studies._reopen import reopened

SPEC = "python:networks:tiny"
ASKED: dict[str, Any] = {"epochs": 2, "batch_size": 8, "validation": 0.5, "layer": "body", "threads": 1}


@pytest.fixture(scope="module")
def marks(tmp_path_factory: pytest.TempPathFactory) -> LabelSet:
    """Classes and landmarks."""
    return landmark_set(tmp_path_factory.mktemp("marks") / "marks", images=36)


@pytest.fixture(scope="module")
def concepts(tmp_path_factory: pytest.TempPathFactory) -> LabelSet:
    """Label maps, to dissect on."""
    return listed_set(tmp_path_factory.mktemp("concepts") / "set", images=12)


@pytest.fixture
def network() -> LoadedModel:
    return load_model(SPEC, size=16)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, marks: LabelSet, concepts: LabelSet) -> tuple[Path, Comparison]:
    """One study and its folder."""
    out = tmp_path_factory.mktemp("study") / "run"
    return out, before_after(load_model(SPEC, size=16), marks, out, dissect_labels=concepts, **ASKED)


def results(out: Path, name: str) -> dict[str, Any]:
    return {one.provenance.verb: one for one in load_run(out / name)}


# --- what it leaves


def test_both_networks_and_all_results_are_there(study: tuple[Path, Comparison]) -> None:
    out, made = study
    assert {path.name for path in out.iterdir()} == {"ordinary", "interpretable", "images", "added.act-compare"}
    for name in ("ordinary", "interpretable"):
        there = {path.name for path in (out / name).iterdir() if path.is_dir()}
        assert there == {"images", "added.act", "added.act-entangle", "added.act-finetune", "added.act-parts"}
        assert (out / name / "weights.safetensors").is_file()
    assert made.pages == ("ordinary/index.html", "interpretable/index.html")
    assert_same(made, load(out / "added.act-compare"), but=("pictures",))
    assert made.columns == ("ordinary", "interpretable")


def test_the_measures_are_those_of_the_networks(
    study: tuple[Path, Comparison], marks: LabelSet, concepts: LabelSet
) -> None:
    out, made = study
    for name, side in (("ordinary", "before"), ("interpretable", "after")):
        found = results(out, name)
        tuned = found["finetune"]
        loaded = load_model(out / name, trust=True)
        rows = [i for i, image in enumerate(marks.images["image"]) if image not in tuned.validation]
        kept = marks.without(rows)
        fed = {"batch_size": found["parts"].provenance.batch_size, "threads": 1}
        fed["memory_format"] = found["parts"].provenance.memory_format
        probe = Probe(loaded, "added.act")
        steady = score_parts(probe, kept, **fed)
        assert steady.images == len(tuned.validation) == 18
        assert steady.stability is not None
        assert getattr(made.measure("instability"), side) == steady.stability.summary()["multi"]["instability"]
        assert getattr(made.measure("template"), side) == steady.templates.summary()["ratio"]
        assert getattr(made.measure("mis"), side) == entangle(probe, kept, **fed).mis
        detecting = dissect(probe, concepts, **fed)
        assert getattr(made.measure("iou"), side) == detecting.best()[1].mean()
        assert getattr(made.measure("accuracy"), side) == tuned.accuracy
        assert getattr(made.measure("margin"), side) == tuned.outputs.margin


def test_the_networks_differ_in_the_loss_alone(study: tuple[Path, Comparison]) -> None:
    out, made = study
    apart = {name.rpartition(".")[0] if "options" in name else name for name, _, _ in made.differs}
    assert apart <= {"surgery.mask", "loss.name", "loss.options"}
    assert {"surgery.mask", "loss.name"} <= apart
    first, last = (results(out, name)["finetune"] for name in ("ordinary", "interpretable"))
    assert first.validation == last.validation
    assert (first.loss, last.loss) == ("none", "icnn")
    assert made.equal["training.epochs"] == "2"
    assert all(history is not None and len(history["epoch"]) == 2 for history in made.histories)


def test_both_are_fed_alike_and_looked_at_before_the_mask(study: tuple[Path, Comparison]) -> None:
    out, made = study
    found = [results(out, name) for name in ("ordinary", "interpretable")]
    assert {one.layer for side in found for one in side.values()} == {"added.act"}
    fed = {
        (one.provenance.batch_size, one.provenance.memory_format)
        for side in found
        for verb, one in side.items()
        if verb != "finetune"
    }
    assert len(fed) == 1
    assert made.layer == "added.act"


def test_it_says_what_it_rests_on_and_how_to_repeat_it(
    study: tuple[Path, Comparison], marks: LabelSet, concepts: LabelSet
) -> None:
    out, made = study
    assert made.images == 18
    assert made.sets["parts"] == "marks, 18 images"
    assert made.sets["dissect"] == "set, 12 images"
    assert made.warnings[0] == "18 validation images of marks: parts and classes are measured on these alone"
    # Both trainings warn of the same classes: said once, and not of one network alone.
    both = list(results(out, "ordinary")["finetune"].warnings)
    assert both
    assert [made.warnings.count(words) for words in both] == [1] * len(both)
    assert not [words for words in made.warnings if words.startswith(("ordinary: ", "interpretable: "))]
    words = made.provenance.command.split()
    assert words[:3] == ["interpkit", "finetune", SPEC]
    assert words[-3:] == ["--before-after", "--dissect-labels", str(concepts.root)]
    assert ["--labels", str(marks.root)] == words[words.index("--labels") :][:2]
    found = results(out, "interpretable")
    # The study alone chooses the validation images; the dissection can be made again by itself.
    assert found["parts"].provenance.command == made.provenance.command
    assert found["dissect"].provenance.command.startswith("interpkit dissect ")


def test_the_same_units_are_shown_on_the_same_images(study: tuple[Path, Comparison], marks: LabelSet) -> None:
    out, made = study
    assert made.galleries is not None
    first, last = made.galleries
    assert len(first.unit) > 0
    np.testing.assert_array_equal(first.unit, last.unit)
    np.testing.assert_array_equal(first.image, last.image)
    assert first.names == last.names
    validation = set(results(out, "ordinary")["finetune"].validation)
    assert set(first.names) <= validation
    probe = Probe(load_model(out / "interpretable", trust=True), "added.act")
    from interpkit.feeding import read_image, stack

    rows = {str(name): row for row, name in enumerate(marks.images["image"])}
    for unit, image, peak in zip(last.unit, last.image, last.peak, strict=True):
        picture = read_image(marks, rows[last.names[image]], probe.preprocessing)
        maps = probe(stack([picture], "contiguous"))["added.act"]
        assert float(maps[0, unit].max()) == pytest.approx(float(peak), rel=1e-4)
    assert set(made.pictures) == set(first.names)
    assert {path.suffix for path in (out / "images").iterdir()} == {".jpg"}


def test_nothing_is_left_changed(tmp_path: Path, marks: LabelSet) -> None:
    given = load_model(SPEC, size=16)
    before = {name: value.clone() for name, value in given.module.state_dict().items()}
    flags = [module.training for module in given.module.modules()]
    state = torch.random.get_rng_state()
    before_after(given, marks, tmp_path / "run", dissect_labels=None, **{**ASKED, "epochs": 1})
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [module.training for module in given.module.modules()] == flags
    for name, value in given.module.state_dict().items():
        assert torch.equal(value, before[name])


# --- analyses that cannot be made


def test_what_the_images_do_not_allow_is_left_out_and_said(tmp_path: Path) -> None:
    labels = LabelSet.open(folder_set(tmp_path / "few", {"red": 6, "blue": 6, "green": 3}))
    asked = {**ASKED, "validation": 0.25, "epochs": 1}
    made = before_after(load_model(SPEC, size=16), labels, tmp_path / "run", dissect_labels=None, **asked)
    names = [one.name for one in made.measures]
    assert "template" in names
    assert not {"mis", "instability", "detectors"} & set(names)
    said = [words for words in made.warnings if words.startswith("entangle is left out: ")]
    assert len(said) == 1
    assert "only one image" in said[0]
    assert any("no landmarks" in words for words in made.warnings)
    assert {path.name for path in (tmp_path / "run/ordinary").iterdir() if path.is_dir()} == {
        "images",
        "added.act-finetune",
        "added.act-parts",
    }


def test_a_network_given_in_python_is_measured_too(tmp_path: Path, marks: LabelSet) -> None:
    given = load_model(tiny(), size=16)
    made = before_after(given, marks, tmp_path / "run", dissect_labels=None, **{**ASKED, "epochs": 1})
    assert {"instability", "mis", "template", "accuracy"} <= {one.name for one in made.measures}
    assert made.provenance.command.startswith("before_after(")
    folder = tmp_path / "run" / "interpretable"
    again, weights = reopened(folder, given).module.state_dict(), load_file(folder / "weights.safetensors")
    assert set(again) == set(weights)
    assert all(torch.equal(again[name], weights[name]) for name in weights)
    assert isinstance(load(folder / "added.act-finetune"), FineTuning)


# --- where it may write


def test_the_control_cannot_be_compared_with_itself(tmp_path: Path, network: LoadedModel, marks: LabelSet) -> None:
    with pytest.raises(InterpkitError, match="which loss none is itself; choose icnn or class-gate"):
        before_after(network, marks, tmp_path / "run", loss="none")
    assert not (tmp_path / "run").exists()


def test_what_does_not_suit_the_loss_stops_before_the_control(
    tmp_path: Path, network: LoadedModel, marks: LabelSet
) -> None:
    with pytest.raises(InterpkitError, match="taus"):
        before_after(network, marks, tmp_path / "run", options={"taus": 3}, **ASKED)
    assert not (tmp_path / "run" / "ordinary").exists()


def test_an_unknown_set_to_dissect_on_stops_before_any_training(
    tmp_path: Path, network: LoadedModel, marks: LabelSet
) -> None:
    with pytest.raises(InterpkitError, match="broden-mni"):
        before_after(network, marks, tmp_path / "run", dissect_labels="broden-mni", **ASKED)
    assert not (tmp_path / "run").exists()


def test_folders_of_others_are_left_alone(tmp_path: Path, network: LoadedModel, marks: LabelSet) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to.txt").write_text("dear")
    with pytest.raises(ResultError, match=r"letters holds no study, but to\.txt, so it is left alone"):
        before_after(network, marks, tmp_path / "letters", overwrite=True)
    with pytest.raises(ResultError, match=r"to\.txt is a file"):
        before_after(network, marks, tmp_path / "letters" / "to.txt")


def test_a_study_is_not_written_over_unasked(
    study: tuple[Path, Comparison], network: LoadedModel, marks: LabelSet
) -> None:
    out, _ = study
    # Nothing is written: the comparison found is as old as it was.
    when = (out / "added.act-compare" / "result.json").stat().st_mtime_ns
    with pytest.raises(ResultError, match=r"holds another study; choose .*: dissected on set .* there, on broden"):
        before_after(network, marks, out, **ASKED)
    with pytest.raises(ResultError, match=r"another study; choose another out, or overwrite this one: .*rate"):
        before_after(network, marks, out, **ASKED, rate=0.5)
    assert (out / "added.act-compare" / "result.json").stat().st_mtime_ns == when
    with pytest.raises(ResultError, match="holds no study, but a single result"):
        before_after(network, marks, out / "added.act-compare", overwrite=True)


def test_the_same_study_again_is_found(
    study: tuple[Path, Comparison], network: LoadedModel, marks: LabelSet, concepts: LabelSet, monkeypatch: Any
) -> None:
    out, made = study

    def never(*arguments: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(_before_after._Study, "compared", never)
    files = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    for resume in (False, True):
        again = before_after(network, marks, out, dissect_labels=concepts, resume=resume, **ASKED)
        assert_same(made, again, but=("pictures",))
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == files


def test_a_finished_study_is_dissected_on_another_set_when_resumed(
    tmp_path: Path, study: tuple[Path, Comparison], marks: LabelSet
) -> None:
    shutil.copytree(study[0], tmp_path / "run")
    written = (tmp_path / "run/interpretable/weights.safetensors").stat().st_mtime_ns
    made = before_after(load_model(SPEC, size=16), marks, tmp_path / "run", dissect_labels=None, resume=True, **ASKED)
    assert "detectors" not in [one.name for one in made.measures]
    assert (tmp_path / "run/interpretable/weights.safetensors").stat().st_mtime_ns == written


@pytest.mark.parametrize("flag", ["resume", "overwrite"])
def test_results_of_others_in_out_stop_it_before_any_training(
    tmp_path: Path, study: tuple[Path, Comparison], network: LoadedModel, marks: LabelSet, flag: str
) -> None:
    out, made = study
    asked: dict[str, Any] = {"dissect_labels": None, flag: True, **ASKED}
    mine = load(out / "interpretable" / "added.act-entangle")
    save(mine, tmp_path / "alone" / "body-entangle")
    with pytest.raises(ResultError, match="alone holds no study, but body-entangle, so it is left alone"):
        before_after(network, marks, tmp_path / "alone", **asked)
    other = replace(made, columns=("old", "new"))
    save(other, tmp_path / "compared" / "added.act-compare")
    with pytest.raises(ResultError, match=r"compared holds no study, but added\.act-compare"):
        before_after(network, marks, tmp_path / "compared", **asked)
    shutil.copytree(out, tmp_path / "run")
    save(mine, tmp_path / "run" / "body-entangle")
    with pytest.raises(ResultError, match="run holds body-entangle, which is no part of its study; move it, or choose"):
        before_after(network, marks, tmp_path / "run", **asked)
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("my own")
    with pytest.raises(ResultError, match=r"page holds no study, but index\.html"):
        before_after(network, marks, tmp_path / "page", **asked)
    (tmp_path / "half" / "ordinary").mkdir(parents=True)
    (tmp_path / "half" / "ordinary" / "notes.txt").write_text("mine")
    with pytest.raises(ResultError, match="ordinary exists and holds no training, so it is left alone"):
        before_after(network, marks, tmp_path / "half", **asked)
    assert (tmp_path / "alone/body-entangle/result.json").is_file()
    assert not (tmp_path / "alone/interpretable").exists()
    assert not (tmp_path / "half/interpretable").exists()


@pytest.mark.parametrize("flag", ["resume", "overwrite"])
def test_results_of_others_beside_a_network_stay(
    tmp_path: Path, study: tuple[Path, Comparison], marks: LabelSet, flag: str
) -> None:
    shutil.copytree(study[0], tmp_path / "run")
    mine = load(study[0] / "interpretable" / "added.act-entangle")
    folder = save(mine, tmp_path / "run" / "interpretable" / "body-entangle")
    before = (folder / "result.json").read_bytes()
    made = before_after(
        load_model(SPEC, size=16), marks, tmp_path / "run", dissect_labels=None, **{flag: True}, **ASKED
    )
    assert (folder / "result.json").read_bytes() == before
    # Measured on the network before: said where that is no more.
    said = "interpretable also holds body-entangle, measured on the network that was there before and left alone"
    assert [words for words in made.warnings if "also holds" in words] == ([said] if flag == "overwrite" else [])
    # What the study before measured of a network that is no more is no more.
    for name in ("ordinary", "interpretable"):
        assert (tmp_path / "run" / name / "added.act").exists() is (flag == "resume")


@pytest.mark.parametrize("at", ["ordinary", "interpretable", "."])
def test_the_network_to_start_from_is_not_written_over(
    tmp_path: Path, study: tuple[Path, Comparison], marks: LabelSet, at: str
) -> None:
    out = tmp_path / "run"
    shutil.copytree(study[0], out)
    if at == ".":
        out = out / "ordinary"
    base = load_model(tmp_path / "run" / ("ordinary" if at == "." else at), trust=True)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(ResultError, match=r"the network that training starts from, lies in .*; choose another out"):
        before_after(base, marks, out, dissect_labels=None, overwrite=True, epochs=1, threads=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == files


def test_a_part_of_another_study_is_not_gone_on_with(
    tmp_path: Path, study: tuple[Path, Comparison], network: LoadedModel, marks: LabelSet
) -> None:
    shutil.copytree(study[0] / "ordinary", tmp_path / "run" / "ordinary")
    with pytest.raises(ResultError, match=r"choose another folder, or clear it \(--overwrite\); it differs: rate: "):
        before_after(network, marks, tmp_path / "run", dissect_labels=None, **{**ASKED, "rate": 0.5})
    assert not (tmp_path / "run/interpretable").exists()


def test_a_full_disk_is_not_taken_for_images_that_do_not_suit(
    tmp_path: Path, marks: LabelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **keywords: Any) -> None:
        raise ResultError("no space for the kept maps")

    asked = {**ASKED, "epochs": 1, "dissect_labels": None}
    with monkeypatch.context() as patch:
        patch.setitem(_before_after._ANALYSES, "parts", full)  # type: ignore[arg-type]
        with pytest.raises(ResultError, match="no space for the kept maps"):
            before_after(load_model(SPEC, size=16), marks, tmp_path / "run", **asked)
    made = before_after(load_model(SPEC, size=16), marks, tmp_path / "run", resume=True, **asked)
    assert "template" in [one.name for one in made.measures]


def test_arms_that_stop_at_different_epochs_are_said(study: tuple[Path, Comparison]) -> None:
    out, made = study
    assert made.equal["training.epochs_trained"] == "2"
    assert not [name for name, *_ in made.differs if name == "training.trained"]
    first, last = ([load(out / name / "added.act-finetune")] for name in ("ordinary", "interpretable"))
    apart = compare([replace(first[0], epochs=1)], last, names=("ordinary", "interpretable"))
    assert ("training.epochs_trained", "1", "2") in apart.differs


def test_several_processes_are_refused(
    tmp_path: Path, network: LoadedModel, marks: LabelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InterpkitError, match="runs in one process"):
        before_after(network, marks, tmp_path / "run", **ASKED)


def test_a_study_that_was_cut_off_goes_on(
    tmp_path: Path, study: tuple[Path, Comparison], marks: LabelSet, concepts: LabelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, whole = study

    def cut(at: str) -> None:
        def stop(self: Any, *arguments: Any, **keywords: Any) -> None:
            if at != "ordinary" or arguments[0] == at:
                raise KeyboardInterrupt
            return train(self, *arguments, **keywords)

        train = _before_after._Study.train
        with monkeypatch.context() as patch:
            patch.setattr(_before_after._Study, "train" if at == "ordinary" else "_measured", stop)
            with pytest.raises(KeyboardInterrupt):
                again(resume=at != "ordinary")

    def again(*, resume: bool) -> Comparison:
        given = load_model(SPEC, size=16)
        return before_after(given, marks, tmp_path / "run", dissect_labels=concepts, resume=resume, **ASKED)

    cut("ordinary")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"interpretable"}
    cut("analyses")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"interpretable", "ordinary"}
    written = (tmp_path / "run/interpretable/weights.safetensors").read_bytes()
    made = again(resume=True)
    assert (tmp_path / "run/interpretable/weights.safetensors").read_bytes() == written
    for one, other in zip(made.measures, whole.measures, strict=True):
        assert (one.name, one.before, one.after) == (
            other.name,
            pytest.approx(other.before, nan_ok=True),
            pytest.approx(other.after, nan_ok=True),
        )


def test_overwriting_leaves_nothing_of_the_study_before(
    tmp_path: Path, marks: LabelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {**ASKED, "epochs": 1, "dissect_labels": None}
    before_after(load_model(SPEC, size=16), marks, tmp_path / "run", **asked)
    asked |= {"add_layer": False, "head": "classifier", "train_from": "body", "overwrite": True}
    train = _before_after._Study.train

    def stop(self: Any, name: str) -> FineTuning:
        if name == "ordinary":
            raise KeyboardInterrupt
        return train(self, name)

    with monkeypatch.context() as patch:
        patch.setattr(_before_after._Study, "train", stop)
        with pytest.raises(KeyboardInterrupt):
            before_after(load_model(SPEC, size=16), marks, tmp_path / "run", **asked)
    # The networks it compared are no more.
    assert not list((tmp_path / "run").glob("*-compare"))
    made = before_after(load_model(SPEC, size=16), marks, tmp_path / "run", **asked)
    folders = {path.parent.name for path in (tmp_path / "run").rglob("result.json")}
    assert made.layer == "body.act"
    assert folders == {f"body.act-{verb}" for verb in ("compare", "finetune", "parts", "entangle")}


def test_an_image_that_vanishes_stops_the_study_which_then_goes_on(
    tmp_path: Path, marks: LabelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(marks.root, tmp_path / "marks")
    labels = LabelSet.open(tmp_path / "marks")
    asked = {**ASKED, "epochs": 1, "dissect_labels": None}
    image, away = labels.path(0), tmp_path / "away.png"
    measure = _before_after._Study._measured

    def vanished(self: Any, probes: Any, sets: Any) -> Any:
        path = sets["parts"].path(0)
        path.rename(away)
        try:
            return measure(self, probes, sets)
        finally:
            away.rename(path)

    with monkeypatch.context() as patch:
        patch.setattr(_before_after._Study, "_measured", vanished)
        with pytest.raises(ImageError):
            before_after(load_model(SPEC, size=16), labels, tmp_path / "run", **asked)
    assert image.exists()
    assert not list((tmp_path / "run").glob("*-compare"))
    made = before_after(load_model(SPEC, size=16), labels, tmp_path / "run", **asked)
    assert not [words for words in made.warnings if "is left out" in words]


def test_a_study_holds_its_folder_to_its_end(tmp_path: Path, marks: LabelSet, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {**ASKED, "epochs": 1, "dissect_labels": None}
    out, measure, held = tmp_path / "runs" / "run", _before_after._Study._measured, []

    def second(self: Any, *arguments: Any) -> Any:
        held.append(holder(out))
        with pytest.raises(InUseError) as said:
            before_after(load_model(SPEC, size=16), marks, out, **asked)
        assert "\n" not in str(said.value)
        return measure(self, *arguments)

    monkeypatch.setattr(_before_after._Study, "_measured", second)
    before_after(load_model(SPEC, size=16), marks, out, **asked)
    assert len(held) == 1
    assert held[0]
    assert not list(out.rglob(".held"))
    # Whoever has what it asked for disturbs nobody.
    with Held(out):
        before_after(load_model(SPEC, size=16), marks, out, **asked)
        with pytest.raises(InUseError):
            before_after(load_model(SPEC, size=16), marks, out, overwrite=True, **asked)


def test_a_study_that_came_to_nothing_leaves_no_folder(tmp_path: Path, network: LoadedModel, marks: LabelSet) -> None:
    with pytest.raises(InterpkitError, match="nowhere"):
        before_after(network, marks, tmp_path / "runs" / "run", **{**ASKED, "layer": "nowhere"}, dissect_labels=None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", range(3))
def test_a_study_that_was_cut_off_while_the_one_before_was_removed(
    tmp_path: Path, study: tuple[Path, Comparison], marks: LabelSet, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    out, whole, removals = tmp_path / "run", shutil.rmtree, iter(range(99))
    shutil.copytree(study[0], out)
    asked: dict[str, Any] = {**ASKED, "epochs": 1, "dissect_labels": None, "overwrite": True}

    def killed(folder: Any, *arguments: Any, **keywords: Any) -> None:
        found = sorted(Path(folder).rglob("result.json"))
        if not found or "finetune" in Path(folder).name or next(removals) < cut:
            return whole(folder, *arguments, **keywords)
        found[0].unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            before_after(load_model(SPEC, size=16), marks, out, **asked)
    made = before_after(load_model(SPEC, size=16), marks, out, **asked)
    assert_same(made, load(out / "added.act-compare"), but=("pictures",))
    assert not list(out.rglob(".*"))


def test_what_killed_processes_left_in_a_study_is_removed_and_what_they_replaced_is_back(
    tmp_path: Path, study: tuple[Path, Comparison], marks: LabelSet
) -> None:
    out = tmp_path / "run"
    shutil.copytree(study[0], out)
    shutil.rmtree(out / "added.act-compare")
    kept = (out / "ordinary" / "added.act" / "result.json").read_bytes()
    replaced = out / "ordinary" / ".added.act.old.x1y2z3_4"
    replaced.mkdir()
    (out / "ordinary" / "added.act").rename(replaced / "result")
    for place in (out, out / "ordinary", out / "interpretable"):
        (place / ".body-parts.x1y2z3_4" / "was").mkdir(parents=True)
    (out / ".git").mkdir()
    before_after(load_model(SPEC, size=16), marks, out, dissect_labels=None, **ASKED)
    assert [path.name for path in out.rglob(".*")] == [".git"]
    assert (out / "ordinary" / "added.act" / "result.json").read_bytes() == kept


# --- which units are shown


def test_units_shown_tell_their_class_best() -> None:
    member = np.repeat(np.eye(3, dtype=bool), 5, axis=0)
    rng = np.random.default_rng(0)
    before, after = (rng.uniform(0, 1, (15, 9)).astype(np.float32) for _ in range(2))
    after[:, 8] = 0  # dead, so it tells nothing
    for unit, k in ((4, 0), (2, 1), (7, 2), (1, 2)):
        after[member[:, k], unit] += 3 + 0.1 * unit
    after[~member[:, 2], 0] += 4  # tells two classes from the third, and is shown once
    after[:, 7] *= 100  # how large a unit's values are says nothing of the unit
    entries = shown(before, after, member)
    units = list(dict.fromkeys(unit for unit, _ in entries))
    assert (units[:3], set(units[-2:])) == ([4, 0, 2], {1, 7})
    assert len(entries) == 3 * len(units)
    assert 8 not in units
    for unit in units:
        rows = [row for one, row in entries if one == unit]
        k = int(member[rows[0]].argmax())
        height = before[:, unit] / before[:, unit].max() + after[:, unit] / after[:, unit].max()
        best = sorted(np.flatnonzero(member[:, k]), key=lambda row, height=height: -height[row])[:3]
        assert rows == best


def test_one_class_alone_shows_nothing() -> None:
    peaks = np.ones((4, 3), np.float32)
    assert shown(peaks, peaks, np.ones((4, 1), np.bool_)) == []
    assert shown(peaks, peaks, np.eye(4, 2, dtype=bool)) == []


# --- its signature


def test_the_signature_is_that_of_the_training() -> None:
    of_training = dict(inspect.signature(finetune).parameters)
    of_study = dict(inspect.signature(before_after).parameters)
    assert of_study.pop("dissect_labels").default == "broden-mini"
    assert {n: one.default for n, one in of_study.items()} == {n: one.default for n, one in of_training.items()}
    assert interpkit.before_after is before_after
    assert interpkit.finetune is finetune


def test_what_is_stored_is_plain(study: tuple[Path, Comparison]) -> None:
    out, made = study
    about = json.loads((out / "added.act-compare/result.json").read_text())
    assert about["kind"] == "comparison"
    assert about["summary"] == made.summary()
    assert replace(made).measures == made.measures
