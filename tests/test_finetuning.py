"""finetune() as a whole: what it trains, what it leaves alone, what it writes."""

import json
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from class_sets import coloured
from labels_on_disk import write_csv
from made_finetuning import SHORT, SIZE, colours, loaded, net, same_weights, several, trained, weights
from sameness import assert_same, same_numbers
from torch import nn
from torch.nn.functional import cross_entropy

from interpkit import losses
from interpkit.errors import InterpkitError
from interpkit.feeding import read_image
from interpkit.finetuning import DECIDING, finetune
from interpkit.finetuning._evaluate import Judged
from interpkit.finetuning._objective import Plain
from interpkit.finetuning._train import Trainer
from interpkit.labels import LabelSet
from interpkit.losses.icnn import ICNN
from interpkit.models import LoadedModel, load_model
from interpkit.models.finetuned import read_recipe
from interpkit.results import FineTuning, load
from interpkit.surgery import PartMask, Surgery, operate

LOSSES = ("none", *losses.names())


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> LabelSet:
    return colours(tmp_path_factory.mktemp("labels") / "set")


@pytest.fixture(scope="module", params=LOSSES)
def run(request, labels, tmp_path_factory) -> tuple[str, Path, FineTuning]:
    """Each loss once."""
    out = tmp_path_factory.mktemp("runs") / request.param
    return request.param, out, trained(labels, out, loss=request.param)


def fresh(out: Path, network: nn.Module | None = None) -> nn.Module:
    """A folder's network before it was trained."""
    surgery = Surgery.from_dict(read_recipe(out)["surgery"])
    return operate(net() if network is None else network, surgery, torch.zeros(1, 3, SIZE, SIZE)).module


def opened(out: Path, network: nn.Module | None = None) -> nn.Module:
    """The trained network as a folder gives it, on a base that stands for what the recipe cannot build."""
    module = fresh(out, network)
    module.load_state_dict(weights(out))
    return module.eval()


def inputs(labels: LabelSet, names: Any, model: LoadedModel) -> torch.Tensor:
    rows = [labels.images["image"].tolist().index(name) for name in names]
    return torch.from_numpy(np.stack([read_image(labels, row, model.preprocessing) for row in rows]))


def test_the_result_says_what_the_folder_does(run, labels):
    _, out, result = run
    images = inputs(labels, result.validation, loaded())
    truth = torch.tensor([result.classes.index(name.split("/")[0]) for name in result.validation])
    with torch.no_grad():
        outputs = opened(out)(images)
    said = outputs.argmax(1)
    assert result.accuracy == pytest.approx((said == truth).float().mean().item())
    assert result.confusion.tolist() == [[int(((truth == i) & (said == j)).sum()) for j in range(3)] for i in range(3)]
    last = result.history.iloc[-1]
    assert last["validation_loss"] == pytest.approx(float(cross_entropy(outputs, truth)), rel=1e-5)
    assert last["validation_accuracy"] == result.accuracy
    p = outputs.double().softmax(1)
    assert result.outputs.top == pytest.approx(float(p.amax(1).mean()), rel=1e-5)
    assert result.outputs.entropy == pytest.approx(float(-(p * p.log()).sum(1).mean()), rel=1e-5)
    best = outputs.sort(1).values
    assert result.outputs.margin == pytest.approx(float((best[:, -1] - best[:, -2]).mean()), rel=1e-5)
    assert result.chance_accuracy == pytest.approx(1 / 3)


def test_the_result_is_kept_whole(run):
    name, out, result = run
    again = load(out / "added.act-finetune")
    same_numbers(result, again, but=("history", "recipe"))
    assert_same(dict(result.recipe), dict(again.recipe))
    for column, values in result.history.items():
        np.testing.assert_array_equal(values.to_numpy(), again.history[column].to_numpy(), column)
    assert sorted(path.name for path in out.iterdir()) == [
        "added.act-finetune",
        "images",
        "recipe.json",
        "weights.safetensors",
    ]
    assert again.summary()["loss"] == name


def test_the_history_adds_up(run):
    name, _, result = run
    history = result.history
    assert history["epoch"].tolist() == [1, 2, 3]
    assert result.epochs == 3
    np.testing.assert_allclose(history["loss"], history["task"] + history["penalty"])
    assert (history["penalty"] != 0).any() == (name == "icnn")
    assert history["rate"].tolist() == [0.01] * 3


def test_the_gallery_shows_units_before_and_after_their_masks(run):
    name, _, result = run
    assert set(result.gallery.names) <= set(result.validation)
    assert result.gallery.unit.tolist() == result.masked.unit.tolist()
    assert (result.gallery.peak > 0).all()
    # A mask lets the peak through and nothing that lies far from it.
    np.testing.assert_allclose(result.gallery.peak, result.masked.peak, rtol=1e-6)
    if name != "icnn":
        assert result.gallery.outlines == result.masked.outlines


def test_the_recipe_says_how(run):
    name, out, _ = run
    recipe = json.loads((out / "recipe.json").read_text())
    assert recipe["loss"]["name"] == name
    assert recipe["classes"] == ["blue", "green", "red"]
    assert recipe["surgery"]["mask"] == ("argmax" if name == "icnn" else None)
    assert recipe["sites"] == [{"act": "added.act", "mask": "added.mask"}]
    assert {**SHORT, "threads": 1}.items() <= recipe["training"].items()
    assert recipe["split"] | {"words": ""} == {"words": "", "train": 27, "validation": 9}
    if name != "none":
        assert "weight" in recipe["loss"]["options"]


def test_a_named_network_comes_back_from_its_folder(labels, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    model = load_model("python:made_finetuning:net_without_norm", size=SIZE)
    result = finetune(model, labels, tmp_path / "out", **{**SHORT, "epochs": 1})
    again = load_model(tmp_path / "out", trust=True)
    assert again.layer == "added.act"
    assert again.classes == ("blue", "green", "red")
    images = inputs(labels, result.validation, again)
    with torch.no_grad():
        torch.testing.assert_close(again.module(images), opened(tmp_path / "out", net(norm=False))(images))
    assert "--layer stage1 --epochs 1" in result.provenance.command
    assert result.provenance.command.startswith("interpkit finetune python:made_finetuning:net_without_norm --size")


def test_options_of_a_loss_are_in_the_command(labels, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    model = load_model("python:made_finetuning:net_without_norm", size=SIZE)
    result = finetune(
        model, labels, tmp_path / "out", **{**SHORT, "epochs": 1}, weight=0.5, options={"position": "centre"}
    )
    assert "--weight 0.5 --set position=centre" in result.provenance.command
    assert result.recipe["surgery"]["mask"] == "centre"
    assert result.recipe["loss"]["options"]["weight"] == 0.5


def state_of(module: nn.Module) -> dict[str, Any]:
    tensors = {name: value.clone() for name, value in module.state_dict().items()}
    flags = {name: child.training for name, child in module.named_modules()}
    wanted = {name: one.requires_grad for name, one in module.named_parameters()}
    hooks = {name: (len(m._forward_hooks), len(m._forward_pre_hooks)) for name, m in module.named_modules()}
    return {"tensors": tensors, "flags": flags, "wanted": wanted, "hooks": hooks}


@pytest.mark.parametrize("head", ["pooled", "classifier"])
def test_nothing_is_left_behind(labels, tmp_path, head):
    network = net(dropout=0.5).train()
    network.stage1[1].eval()
    network.stage2[0].weight.requires_grad = False
    before = state_of(network)
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    trained(labels, tmp_path / "out", network=network, head=head, train_from="all", epochs=1, loss="class-gate")
    after = state_of(network)
    assert before["tensors"].keys() == after["tensors"].keys()
    assert all(torch.equal(before["tensors"][name], after["tensors"][name]) for name in before["tensors"])
    assert {name: before[name] for name in ("flags", "wanted", "hooks")} == {
        name: after[name] for name in ("flags", "wanted", "hooks")
    }
    assert torch.equal(states[0], torch.random.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])
    assert states[2] == random.getstate()


@pytest.mark.parametrize(
    ("changes", "moved"),
    [
        ({}, ("added.", "head.")),
        ({"train_from": "stage1.2"}, ("added.", "head.")),
        ({"train_from": "stage1.1"}, ("added.", "head.", "trunk.base.stage1.1")),
        ({"train_from": "all"}, ("added.", "head.", "trunk.base.stage1")),
        ({"layer": "stage2", "train_from": "stage2"}, ("added.", "head.", "trunk.base.stage2")),
        ({"head": "classifier"}, ("stage1.added.", "stage2.", "head.")),
        ({"head": "classifier", "train_from": "head"}, ("stage1.added.", "head.")),
        (
            {"head": "classifier", "add_layer": False, "train_from": "stage1"},
            ("stage1.body.", "stage2.", "head."),
        ),
    ],
)
def test_what_is_trained_moves_and_nothing_else(labels, tmp_path, changes, moved):
    """Frozen batch norms keep their statistics too."""
    trained(labels, tmp_path / "out", **changes, loss="none", epochs=1)
    start, end = fresh(tmp_path / "out").state_dict(), weights(tmp_path / "out")
    changed = {name for name in end if not torch.equal(start[name], end[name]) and name.endswith(("weight", "bias"))}
    learnt = {name for name in end if name.startswith(moved) and name.endswith(("weight", "bias"))}
    # The classifier's frozen old layers stay; whatever is trained has moved.
    assert changed == {name for name in learnt if name in changed}
    assert changed >= {name for name in learnt if name.endswith("weight")}
    frozen = net().state_dict()
    for name, value in end.items():
        if not name.startswith(moved):
            assert torch.equal(value, frozen[name.removeprefix("trunk.base.").replace(".body", "")]), name


def test_statistics_of_trained_batch_norms_follow(labels, tmp_path):
    trained(labels, tmp_path / "out", loss="none", epochs=1, train_from="all", layer="stage2")
    end, start = weights(tmp_path / "out"), net().state_dict()
    name = "stage1.1.running_mean"
    assert not torch.equal(end[f"trunk.base.{name}"], start[name])


@pytest.mark.parametrize("changes", [{}, {"head": "classifier", "train_from": "all"}])
def test_a_loss_without_weight_leaves_training_unchanged(labels, tmp_path, changes):
    trained(labels, tmp_path / "one", loss="none", **changes)
    trained(labels, tmp_path / "other", loss="class-gate", weight=0, **changes)
    assert same_weights(tmp_path / "one", tmp_path / "other")


def test_a_filter_loss_without_weight_leaves_a_masked_network_unchanged(labels, tmp_path, monkeypatch):
    trained(labels, tmp_path / "one", loss="icnn", weight=0)
    monkeypatch.setattr(ICNN, "forward", Plain.forward)
    trained(labels, tmp_path / "other", loss="icnn", weight=0.3)
    monkeypatch.undo()
    trained(labels, tmp_path / "third", loss="icnn", weight=0.3)
    assert same_weights(tmp_path / "one", tmp_path / "other")
    assert not same_weights(tmp_path / "one", tmp_path / "third")


def test_the_control_starts_from_the_same_weights(labels, tmp_path):
    for loss in ("none", "icnn"):
        trained(labels, tmp_path / loss, loss=loss, epochs=1)
    one, other = (fresh(tmp_path / loss).state_dict() for loss in ("none", "icnn"))
    assert {*other} - {*one} == {"added.mask.beta"}
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_training_again_gives_the_same_and_another_seed_does_not(run, labels, tmp_path):
    name, out, _ = run
    trained(labels, tmp_path / "again", loss=name)
    assert same_weights(out, tmp_path / "again")
    trained(labels, tmp_path / "seed", loss=name, seed=1)
    assert not same_weights(out, tmp_path / "seed")


def test_masks_stay_in_the_network_and_gates_do_not(run):
    name, out, _ = run
    masks = [child for child in opened(out).modules() if isinstance(child, PartMask)]
    assert len(masks) == (name == "icnn")
    assert not [one for one in weights(out) if "gate" in one]


def test_several_classes_an_image(tmp_path):
    labels = several(tmp_path / "set")
    result = trained(labels, tmp_path / "out", loss="class-gate", epochs=8, options={"warmup": 1})
    assert result.multi
    assert result.confusion.shape == (3, 4)
    assert (result.confusion.sum(1) == len(result.validation)).all()
    told = result.confusion[:, [0, 3]].sum() / result.confusion.sum()
    assert result.accuracy == pytest.approx(told)
    member = np.array([[name in truth(labels, image) for name in result.classes] for image in result.validation])
    assert result.chance_accuracy == pytest.approx(np.maximum(member.mean(0), 1 - member.mean(0)).mean())
    assert result.confusion[:, [0, 2]].sum(1).tolist() == member.sum(0).tolist()


def truth(labels: LabelSet, image: str) -> set[str]:
    return set(labels.classes["class"][labels.classes["image"] == image])


def test_patience_keeps_the_best_epoch(labels, tmp_path):
    result = trained(labels, tmp_path / "out", loss="none", epochs=30, patience=2, rate=0.3, rate_schedule="constant")
    accuracy = result.history["validation_accuracy"]
    best = int(accuracy.argmax())
    assert result.epochs == best + 1 + 2 < 30
    assert result.accuracy == accuracy[best]
    assert result.recipe["training"]["weights_of_epoch"] == best + 1
    assert any(f"the weights are those of epoch {best + 1}" in warning for warning in result.warnings)
    flatters = f"the accuracy is the best of {result.epochs} epochs on the validation images themselves, so it flatters"
    assert any(warning.startswith(flatters) for warning in result.warnings)
    trained(labels, tmp_path / "best", loss="none", epochs=best + 1, rate=0.3, rate_schedule="constant")
    assert same_weights(tmp_path / "out", tmp_path / "best")


@dataclass(frozen=True, eq=False)
class Told(Judged):
    """A network said to be as accurate as that."""

    told: float = 0.0

    @property
    def accuracy(self) -> float:
        return self.told


@pytest.mark.parametrize("mode", ["alternate", "joint"])
def test_the_best_epoch_is_one_that_the_gate_has_shaped_and_inference_knows(labels, tmp_path, monkeypatch, mode):
    """Not one before the first gated, nor a gated one; and what the loss has learnt is of that epoch as well."""
    told = [0.99, 0.98, 0.5, 0.97, 0.6, 0.96, 0.55, 0.5]
    judged = Trainer.judged

    def saying(self: Trainer) -> Told:
        return Told(**vars(judged(self)), told=told[min(self.done, 7)])

    monkeypatch.setattr(Trainer, "judged", saying)
    options = {"warmup": 1, "period": 2, "rate": 0.1, "mode": mode}
    result = trained(labels, tmp_path / "out", loss="class-gate", options=options, epochs=8, patience=7)
    gated, joint = ["ordinary", "gated"] * 3 + ["ordinary"] * 2, ["ordinary"] + ["joint"] * 7
    assert result.history["path"].tolist() == (joint if mode == "joint" else gated)
    best, choices = (2, 7) if mode == "joint" else (5, 4)
    assert result.recipe["training"]["weights_of_epoch"] == best
    assert any(f"the best of {choices} epochs" in warning for warning in result.warnings)
    density = result.history["density"]
    assert result.learnt["gate"].mean() == pytest.approx(density[best - 1])
    assert density[best - 1] != pytest.approx(density[7])


def test_patience_waits_through_gated_epochs(labels, tmp_path, monkeypatch):
    """They cannot be better, so they are no reason to stop."""
    told = [0.1, 0.1, 0.5, 0.1, 0.6, 0.1, 0.5, 0.1, 0.5, 0.1, 0.9, 0.1]
    judged = Trainer.judged
    monkeypatch.setattr(Trainer, "judged", lambda self: Told(**vars(judged(self)), told=told[min(self.done, 11)]))
    options = {"warmup": 1, "period": 2}
    result = trained(labels, tmp_path / "out", loss="class-gate", options=options, epochs=12, patience=2)
    assert result.epochs == 9
    assert result.recipe["training"]["weights_of_epoch"] == 5


@pytest.mark.parametrize("loss", ["none", "icnn"])
def test_a_layer_that_is_rectified_is_said_to_be(labels, tmp_path, loss):
    """Also without a loss: the control differs by the loss alone."""
    words = "what stage1 gives is rectified, with any loss and with none: a control shares the rectifier"
    own = {"add_layer": False, "train_from": "stage1", "head": "classifier"}
    assert words in trained(labels, tmp_path / "own", loss=loss, epochs=1, **own).provenance.notes
    assert words not in trained(labels, tmp_path / "added", loss=loss, epochs=1).provenance.notes


def test_a_base_that_gives_no_numbers_is_named(labels, tmp_path):
    network = net()
    network.stage1[0].weight.data[0] = math.nan
    with pytest.raises(
        InterpkitError, match=r"^Net gives numbers that are not finite.* weights stage1\.0\.weight"
    ) as error:
        trained(labels, tmp_path / "runs" / "out", network=network)
    assert "rate" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_room_is_looked_for_once(labels, tmp_path, monkeypatch):
    """What is free a moment later changes nothing."""
    asked = []

    def shrinking(*_: object, **__: object) -> tuple[str, str]:
        asked.append(1)
        return ("ram", "for now") if len(asked) == 1 else ("none", "")

    monkeypatch.setattr("interpkit.finetuning._supply.choose", shrinking)
    result = trained(labels, tmp_path / "out", epochs=1)
    assert "features below added kept" in result.provenance.notes
    assert len(asked) == 1


@pytest.mark.parametrize("precision", ["bf16", "16"])
def test_half_precision_trains_alike(run, labels, tmp_path, precision):
    name, out, whole = run
    result = trained(labels, tmp_path / "out", loss=name, precision=precision)
    assert result.history["loss"].tolist() == pytest.approx(whole.history["loss"].tolist(), abs=0.05)
    assert not same_weights(tmp_path / "out", out)


def test_progress_and_words_are_told(labels, tmp_path, caplog):
    told: list[tuple[str, int, int]] = []
    with caplog.at_level("INFO", "interpkit"):
        trained(labels, tmp_path / "out", progress=lambda *one: told.append(one))
    assert told[-1] == ("training", 81, 81)
    assert ("features", 36 + 27, 36 + 27) in told
    assert [line for line in caplog.messages if line.startswith("epoch 3 of 3: loss ")]


def test_images_that_cannot_be_read(tmp_path):
    labels = colours(tmp_path / "set")
    (tmp_path / "set" / "red" / "03.png").write_bytes(b"no image")
    with pytest.raises(InterpkitError, match=r"red/03\.png"):
        trained(labels, tmp_path / "one")
    result = trained(labels, tmp_path / "other", skip_bad=True, epochs=1)
    assert result.skipped == ("red/03.png",)
    assert result.images == 35


def one_class(root: Path) -> LabelSet:
    for i in range(8):
        coloured(root / "images" / f"{i}.png", "red", size=(SIZE, SIZE), seed=i)
    write_csv(root / "classes.csv", ["image", "class"], [[f"{i}.png", "red"] for i in range(8)])
    return LabelSet.open(root)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"loss": "icn"}, "no loss 'icn'; there is .*nearest: icnn"),
        ({"loss": "none", "weight": 1.0}, "the loss none has no options"),
        ({"options": {"taau": 1}}, "no option 'taau'; nearest: tau"),
        ({"loss": "class-gate", "options": {"density": 0.2}}, "density"),
        ({"weight": -1.0}, "weight"),
        ({"head": "pool"}, "no head 'pool'; there is pooled, classifier; nearest: pooled"),
        ({"augment": "flips"}, "nearest: flip"),
        ({"precision": "8"}, "no precision '8'"),
        ({"rate_schedule": "step"}, "nearest: steps"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"rate": 0.0}, "learning rate must be a positive number"),
        ({"rate": math.nan}, "learning rate must be a positive number"),
        ({"decay": -1.0}, "decay must be at least 0"),
        ({"validation": 1.0}, "between 0 and 1"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"add_layer": False, "filters": 3, "train_from": "all"}, "without an added layer"),
        ({"train_from": "stage3"}, "no layer 'stage3' to train from.*nearest: stage"),
        ({"train_from": "stage2"}, "'stage2' lies above stage1.*--head classifier"),
        ({"add_layer": False}, "would train nothing of stage1"),
        ({"add_layer": False, "head": "classifier", "train_from": "stage2"}, "would train nothing.*stage2 lies above"),
        ({"layer": "stage9"}, "stage9"),
        ({"layer": ""}, "layer is the name of a layer, not empty; leave --layer out"),
        ({"train_from": " "}, "train-from is the name of a layer, not empty"),
        ({"weight": 3.0, "options": {"weight": 2}}, r"asked for twice, weight 3 and among its options \(--set\) 2"),
        ({"layer": "head"}, "head"),
        ({"batch_size": 1, "train_from": "all"}, "batches of 1 image cannot train the batch norm"),
        ({"validation": 0.001, "limit": 3}, "class|images"),
        ({"device": "cuda:99"}, "no device"),
        ({"resume": True, "overwrite": True}, "one of the two"),
    ],
)
def test_mistakes_are_said_in_one_line_before_anything_is_written(labels, tmp_path, changes, words):
    with pytest.raises(InterpkitError, match=words) as error:
        trained(labels, tmp_path / "out", **changes)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_set_of_one_class_is_refused(tmp_path):
    with pytest.raises(InterpkitError, match="only one class, 'red'"):
        trained(one_class(tmp_path / "set"), tmp_path / "out", loss="class-gate")


def test_an_exported_network_is_refused(labels, tmp_path):
    model = LoadedModel(net(), loaded().preprocessing, "graph", "graph.pt2", "export", "0", fixed_batch=4)
    with pytest.raises(InterpkitError, match="exported graph"):
        finetune(model, labels, tmp_path / "out")


@pytest.mark.parametrize("name", ["rate", "weight"])
def test_a_training_that_diverges_keeps_the_last_good_epoch(labels, tmp_path, monkeypatch, name):
    """One line that says where; the network of the epoch before is there and can be gone on with."""
    rated = {"rate": 0.01, "weight": 0.1}
    trained(labels, tmp_path / "good", epochs=2, rate_schedule="constant", **rated)
    begin = ICNN.begin

    def spoil(self: ICNN, epoch: int) -> None:
        begin(self, epoch)
        if epoch == 2 and name == "weight":
            self.weight = math.inf
        elif epoch == 2:
            self.register_forward_hook(lambda _m, _i, loss: loss * math.nan)

    monkeypatch.setattr(ICNN, "begin", spoil)
    words = r"epoch 3, step 1: the loss.* no longer finite.*smaller weight.*keeps the network as it was after epoch 2"
    with pytest.raises(InterpkitError, match=words) as error:
        trained(labels, tmp_path / "out", epochs=4, rate_schedule="constant", **rated)
    assert "\n" not in str(error.value)
    assert same_weights(tmp_path / "good", tmp_path / "out")
    assert (tmp_path / "out" / "checkpoint.pt").is_file()
    monkeypatch.undo()
    trained(labels, tmp_path / "out", epochs=4, rate_schedule="constant", resume=True, **rated)
    trained(labels, tmp_path / "whole", epochs=4, rate_schedule="constant", **rated)
    assert same_weights(tmp_path / "out", tmp_path / "whole")


@pytest.mark.parametrize("changes", [{"rate": 1e25}, {"weight": 1e30}])
def test_too_large_a_rate_or_weight_is_stopped(labels, tmp_path, changes):
    with pytest.raises(InterpkitError, match="finite"):
        trained(labels, tmp_path / "out", epochs=20, **changes)


def test_deciding_arguments_are_those_of_the_signature():
    from inspect import signature

    aside = {"model", "labels", "out", "resume", "overwrite", "progress"}
    assert set(DECIDING) == set(signature(finetune).parameters) - aside


def test_kept_features_and_images_read_anew_give_the_same(labels, tmp_path, monkeypatch):
    trained(labels, tmp_path / "kept")
    monkeypatch.setattr("interpkit.finetuning._supply.choose", lambda *_, **__: ("none", ""))
    result = trained(labels, tmp_path / "read")
    assert "images read in every epoch" in result.provenance.notes
    one, other = weights(tmp_path / "kept"), weights(tmp_path / "read")
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-5)


def test_standard_augmentation_reads_anew(labels, tmp_path):
    result = trained(labels, tmp_path / "out", augment="standard", epochs=1)
    assert "images read in every epoch" in result.provenance.notes
    trained(labels, tmp_path / "again", augment="standard", epochs=1)
    trained(labels, tmp_path / "none", augment="none", epochs=1)
    assert same_weights(tmp_path / "out", tmp_path / "again")
    assert not same_weights(tmp_path / "out", tmp_path / "none")


def test_a_network_may_be_trained_on(labels, tmp_path, monkeypatch):
    """A trained network is a network, also for the next training; but not into its own folder."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    model = load_model("python:made_finetuning:net_without_norm", size=SIZE)
    finetune(model, labels, tmp_path / "one", **{**SHORT, "epochs": 1})
    again = load_model(tmp_path / "one", trust=True)
    options = {**SHORT, "epochs": 1, "layer": "added.mask", "loss": "none"}
    result = finetune(again, labels, tmp_path / "two", **options)
    assert result.layer == "added.act"
    assert load_model(tmp_path / "two", trust=True).classes == again.classes
    with pytest.raises(InterpkitError, match="starts from"):
        finetune(again, labels, tmp_path / "one", **options, overwrite=True)
