"""Folders of fine-tuned networks: written, read again without the base's weights, refused where they are not whole."""

import json
import os
import pickle
import shutil
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import networks
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from interpkit.errors import InterpkitError, ModelError
from interpkit.models import LoadedModel, load_model
from interpkit.models._torchvision import import_timm
from interpkit.models.finetuned import read_recipe, started, write_folder
from interpkit.probe import Probe, default_layer, survey
from interpkit.surgery import Surgery, operate

TINY = "python:networks:tiny"
CLASSES = ("cat", "dog", "other")
SIDE = 32


def images() -> Tensor:
    return torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))


def trained(model: LoadedModel, folder: Path, *, layer: str = "stem", **changes: Any) -> nn.Module:
    """What a training leaves in ``folder``; the network, its weights not those that surgery drew."""
    done = Surgery.from_dict({"layer": layer, "classes": 3, "mask": "argmax", "seed": 5, **changes})
    operated = operate(model.module, done, images())
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in operated.module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    write_folder(folder, operated.module, recipe_of(model, done, sites=[vars(site) for site in operated.sites]))
    return operated.module.eval()


def recipe_of(model: LoadedModel, done: Surgery, *, sites: list[dict[str, str]]) -> dict[str, Any]:
    about = {"surgery": done.to_dict(), "sites": sites, "classes": list(CLASSES), "loss": {"name": "icnn"}}
    return {**started(model), **about}


def changed(folder: Path, **values: Any) -> Path:
    """The folder with other values in its recipe."""
    path = folder / "recipe.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return folder


def refused(folder: Path, **options: Any) -> str:
    with pytest.raises(InterpkitError) as error:
        load_model(folder, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.fixture
def tiny() -> LoadedModel:
    return load_model(TINY, size=SIDE, mean=(0.1, 0.2, 0.3))


def small_resnet() -> LoadedModel:
    return load_model("torchvision:resnet18@random", size=SIDE)


@pytest.mark.parametrize("head", ["pooled", "classifier"])
def test_a_folder_is_a_model(tmp_path, head):
    base = small_resnet()
    module = trained(base, tmp_path / "run.7", layer="layer2", head=head, mask_layer=True)
    model = load_model(tmp_path / "run.7")
    assert torch.equal(model.module(images()), module(images()))
    assert (model.form, model.name, model.classes) == ("finetuned", "run.7", CLASSES)
    assert model.spec == str(tmp_path / "run.7")
    assert model.preprocessing == base.preprocessing
    assert model.flags == ()
    assert not any(child.training for child in model.module.modules())
    assert (
        "fine-tuned from torchvision:resnet18@random above layer2 with --loss icnn, with part masks" in model.notes[0]
    )
    assert load_model(str(tmp_path / "run.7")).sha == model.sha


def test_the_default_layer_is_the_topmost_site(tmp_path, tiny):
    trained(tiny, tmp_path / "net", mask_layer=True)
    model = load_model(tmp_path / "net", trust=True)
    assert model.layer == "added.act"
    assert default_layer(model) == "added.act"
    assert Probe(model).layers == ("added.act",)
    assert Probe(model, "head").layers == ("head",)
    assert [info.name for info in survey(model) if info.default] == ["added.act"]


def test_flags_override_the_recorded_preprocessing(tmp_path):
    trained(small_resnet(), tmp_path / "net", layer="layer1")
    model = load_model(tmp_path / "net", size=48, std=(0.5, 0.5, 0.5))
    assert model.preprocessing.size == (48, 48)
    assert model.preprocessing.std == (0.5, 0.5, 0.5)
    assert model.preprocessing.record.startswith("as given: size and std; the rest: ")
    assert model.flags == ("--size", "48x48", "--std", "0.5,0.5,0.5")


def test_no_weights_of_the_base_are_needed(tmp_path, monkeypatch):
    state = tmp_path / "weights.pt"
    torch.save(small_resnet().module.state_dict(), state)
    base = load_model(state, arch="torchvision:resnet18", size=SIDE)
    module = trained(base, tmp_path / "net", layer="layer1")
    state.unlink()
    monkeypatch.setattr(torch, "load", None)
    assert torch.equal(load_model(tmp_path / "net").module(images()), module(images()))


def test_code_of_the_base_runs_only_with_trust(tmp_path, tiny):
    module = trained(tiny, tmp_path / "net")
    message = refused(tmp_path / "net")
    assert message.endswith(
        "was trained from python:networks:tiny, whose code runs to build it: --trust if you trust it"
    )
    model = load_model(tmp_path / "net", trust=True)
    assert torch.equal(model.module(images()), module(images()))
    assert model.flags == ("--trust",)
    assert model.preprocessing.mean == (0.1, 0.2, 0.3)


def test_weights_of_the_users_own_architecture(tmp_path, tiny):
    torch.save(tiny.module.state_dict(), tmp_path / "w.pt")
    base = load_model(tmp_path / "w.pt", arch=TINY, size=SIDE)
    module = trained(base, tmp_path / "net")
    assert "--trust" in refused(tmp_path / "net")
    assert torch.equal(load_model(tmp_path / "net", trust=True).module(images()), module(images()))


def test_a_pickled_base(tmp_path, tiny, monkeypatch):
    torch.save(tiny.module, tmp_path / "whole.pt")
    monkeypatch.chdir(tmp_path)
    module = trained(load_model("whole.pt", trust=True, size=SIDE), tmp_path / "net")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert f"the pickled network {tmp_path / 'whole.pt'}, whose code runs" in refused(tmp_path / "net")
    assert torch.equal(load_model(tmp_path / "net", trust=True).module(images()), module(images()))
    torch.save(small_resnet().module, tmp_path / "whole.pt")
    assert refused(tmp_path / "net", trust=True).endswith("whole.pt, and that file or its code has changed since")
    (tmp_path / "whole.pt").unlink()
    assert refused(tmp_path / "net", trust=True).startswith("no file ")


def test_a_base_from_python_has_to_be_named(tmp_path):
    module = trained(load_model(networks.tiny(), size=SIDE), tmp_path / "net")
    message = refused(tmp_path / "net", trust=True)
    assert "a network given in Python: name what builds it, --arch python:package.module:factory" in message
    assert "--trust" in refused(tmp_path / "net", arch=TINY)
    model = load_model(tmp_path / "net", arch=TINY, trust=True)
    assert torch.equal(model.module(images()), module(images()))
    assert model.flags == ("--arch", TINY, "--trust")
    assert "does not fit" in refused(
        changed(tmp_path / "net", surgery={"layer": "body", "classes": 3}), arch=TINY, trust=True
    )


def test_a_base_that_is_named_takes_no_other(tmp_path):
    trained(small_resnet(), tmp_path / "net", layer="layer1")
    assert "leave --arch torchvision:vgg16 out" in refused(tmp_path / "net", arch="torchvision:vgg16")


def test_a_network_trained_twice_stands_by_itself(tmp_path):
    trained(small_resnet(), tmp_path / "first", layer="layer2")
    once = load_model(tmp_path / "first")
    module = trained(once, tmp_path / "second", layer="added", filters=7)
    shutil.rmtree(tmp_path / "first")
    model = load_model(tmp_path / "second")
    assert torch.equal(model.module(images()), module(images()))
    assert once.classes == model.classes
    # Once more, below the first cut.
    again = trained(model, tmp_path / "third", layer="trunk.base.trunk.base.layer1")
    assert torch.equal(load_model(tmp_path / "third").module(images()), again(images()))


def test_a_network_from_python_trained_twice_can_be_read(tmp_path):
    trained(load_model(networks.tiny(), size=SIDE), tmp_path / "first")
    once = load_model(tmp_path / "first", arch=TINY, trust=True)
    module = trained(once, tmp_path / "second", layer="added", filters=7)
    assert "python:networks:tiny, whose code runs" in refused(tmp_path / "second")
    assert torch.equal(load_model(tmp_path / "second", trust=True).module(images()), module(images()))
    named = load_model(tmp_path / "second", arch=TINY, trust=True)
    assert torch.equal(named.module(images()), module(images()))
    recipe = json.loads((tmp_path / "second" / "recipe.json").read_text())
    unnamed = changed(tmp_path / "second", base={**recipe["base"], "arch": None})
    assert "a network given in Python: name what builds it" in refused(unnamed, trust=True)


def test_a_layer_that_was_cut_away_is_not_built_as_large_as_a_recipe_likes(tmp_path):
    trained(small_resnet(), tmp_path / "first", layer="layer2", filters=5)
    once = load_model(tmp_path / "first")
    module = trained(once, tmp_path / "second", layer="trunk.base.layer1")
    assert torch.equal(load_model(tmp_path / "second").module(images()), module(images()))
    base = json.loads((tmp_path / "second" / "recipe.json").read_text())["base"]
    base["recipe"]["surgery"]["filters"] = 10**11
    again = load_model(changed(tmp_path / "second", base=base))
    assert torch.equal(again.module(images()), module(images()))


@pytest.mark.parametrize("head", ["pooled", "classifier"])
def test_a_layer_that_was_kept_is_held_against_its_weights(tmp_path, head):
    trained(small_resnet(), tmp_path / "first", layer="layer1", filters=64, head=head, mask_layer=True)
    once = load_model(tmp_path / "first")
    layer = {"pooled": "added", "classifier": "layer1"}[head]
    module = trained(once, tmp_path / "second", layer=layer, head="classifier", mask_layer=True)
    assert torch.equal(load_model(tmp_path / "second").module(images()), module(images()))
    base = json.loads((tmp_path / "second" / "recipe.json").read_text())["base"]
    base["recipe"]["surgery"]["filters"] = 10**11
    inner = {"pooled": "added.body.conv.weight", "classifier": "layer1.body.added.conv.weight"}[head]
    message = refused(changed(tmp_path / "second", base=base))
    assert message.endswith(f"{inner} is (64, 64, 3, 3), not of 100000000000 filters")


def test_networks_that_transform_their_input_keep_doing_so(tmp_path):
    base = load_model("torchvision:googlenet@random", size=SIDE)
    base.module.transform_input = True  # type: ignore[assignment]
    module = trained(base, tmp_path / "net", layer="inception3a")
    assert torch.equal(load_model(tmp_path / "net").module(images()), module(images()))


class Tied(nn.Module):
    """Two layers that share a weight, and one that is not contiguous."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.second = nn.Conv2d(3, 3, 3, padding=1)
        self.second.weight = self.first.weight
        self.first.bias = nn.Parameter(torch.arange(6.0)[::2])
        self.register_buffer("empty", torch.zeros(0))
        self.register_buffer("also_empty", torch.zeros(0))

    def forward(self, maps: Tensor) -> Tensor:
        return self.second(self.first(maps))


def test_tied_weights_are_written_once(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "tied", Tied, raising=False)
    base = load_model("python:networks:tied", size=SIDE)
    module = trained(base, tmp_path / "net", layer="second")
    stored = load_file(tmp_path / "net" / "weights.safetensors")
    assert "trunk.base.first.weight" in stored
    assert "trunk.base.second.weight" not in stored
    assert {"trunk.base.empty", "trunk.base.also_empty"} <= stored.keys()
    again = load_model(tmp_path / "net", trust=True).module
    assert torch.equal(again(images()), module(images()))
    assert again.get_submodule("trunk.base.first").weight is again.get_submodule("trunk.base.second").weight


def edit_weights(folder: Path, change: Any) -> Path:
    path = folder / "weights.safetensors"
    state = load_file(path)
    save_file(change(state), path)
    return folder


def without(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: without(state, "head.bias"), "1 missing (head.bias)"),
        (lambda state: {**state, "foreign": torch.zeros(3)}, "1 unexpected (foreign)"),
        (lambda state: {**state, "head.bias": torch.zeros(4)}, "head.bias is (4,), not (3,)"),
        (lambda state: without(state, "added.mask.beta"), "1 missing (added.mask.beta)"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, tiny, change, words):
    trained(tiny, tmp_path / "net")
    message = refused(edit_weights(tmp_path / "net", change), trust=True)
    assert "weights.safetensors does not fit the network of recipe.json beside it" in message
    assert words in message


def test_damaged_folders_are_refused(tmp_path, tiny):
    whole = tmp_path / "whole"
    trained(tiny, whole)

    def copy(name: str) -> Path:
        return Path(shutil.copytree(whole, tmp_path / name))

    cut = copy("cut")
    os.truncate(cut / "weights.safetensors", 300)
    assert "weights.safetensors is cut short or damaged" in refused(cut, trust=True)
    bare = copy("bare")
    (bare / "weights.safetensors").unlink()
    assert "holds a recipe, but no weights.safetensors" in refused(bare, trust=True)
    unfinished = copy("unfinished")
    (unfinished / "recipe.json").unlink()
    assert "holds no recipe.json: its training did not end; run it again with --resume" in refused(unfinished)
    torn = copy("torn")
    (torn / "recipe.json").write_text('{"format": 1,')
    assert "recipe.json is cut short or damaged" in refused(torn)
    (torn / "recipe.json").write_bytes(b"\xff\xfe")
    assert "recipe.json is cut short or damaged" in refused(torn)
    (torn / "recipe.json").write_text("[]")
    assert "is no recipe of a fine-tuned network" in refused(torn)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "is a folder, not a model file" in refused(empty)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"format": 2}, "has format 2; this version reads format 1"),
        ({"kind": "graph"}, "is no recipe of a fine-tuned network"),
        ({"surgery": {"layer": "stem", "classes": 3, "depth": 4}}, "recipe.json is damaged"),
        ({"surgery": {"layer": "stem", "classes": 0}}, "at least 1 class"),
        ({"surgery": {"layer": "gone", "classes": 3}}, "its base is not what it was: no layer 'gone'"),
        ({"surgery": [1]}, "recipe.json is damaged"),
        ({"base": {"form": "lite"}}, "recipe.json is damaged: 'spec'"),
        ({"base": None}, "recipe.json is damaged"),
        ({"preprocessing": {"size": [0, 0], "mean": [0], "std": [1]}}, "two positive numbers"),
        ({"preprocessing": {}}, "recipe.json is damaged"),
        ({"preprocessing": {"size": [9, 9.5], "mean": [0], "std": [1]}}, "preprocessing.size is [9, 9.5]"),
        ({"preprocessing": {"size": [9, 9], "mean": ["0"], "std": [1]}}, "preprocessing.mean is ['0']"),
        ({"preprocessing": {"size": [9, 9], "mean": [0], "std": [1], "record": 1}}, "preprocessing.record is 1"),
        (
            {"preprocessing": {"size": [200000, 200000], "mean": [0], "std": [1]}},
            "images of 1 x 200000 x 200000 are more than",
        ),
        ({"sites": [{"mask": "x"}]}, "recipe.json is damaged: 'act'"),
        ({"sites": [{"act": "nope", "mask": "x"}]}, "its sites are not those of the network that it describes"),
        ({"sites": []}, "its sites are not those"),
        ({"loss": None}, "recipe.json is damaged"),
        ({"classes": "abc"}, "classes are a list of names, not 'abc'"),
        ({"classes": ["a"]}, "it names 1 classes, and its surgery makes 3 outputs"),
        ({"base": {"form": ["python"], "spec": "x", "arch": None, "transform_input": None}}, "base.form is ['python']"),
        ({"surgery": {"layer": "stem", "classes": 10**12}}, "its surgery makes 1000000000000 outputs"),
        ({"surgery": {"layer": "stem", "classes": 3, "filters": 10**11}}, "not of 100000000000 filters"),
        ({"surgery": {"layer": "stem", "classes": 3, "seed": "a"}}, "seed is of type int, not 'a'"),
        ({"surgery": {"layer": "stem", "classes": 3, "seed": 10**30}}, "seeds lie between 0 and"),
        ({"surgery": {"layer": "stem", "classes": 3, "beta": 10**400}}, "part masks need a positive beta"),
    ],
)
def test_damaged_recipes_are_refused(tmp_path, tiny, values, words):
    trained(tiny, tmp_path / "net")
    assert words in refused(changed(tmp_path / "net", **values), trust=True)


@pytest.mark.parametrize("head", ["pooled", "classifier"])
def test_classes_are_held_against_the_weights(tmp_path, head):
    trained(small_resnet(), tmp_path / "net", layer="layer1", head=head)
    recipe = json.loads((tmp_path / "net" / "recipe.json").read_text())
    names = [str(k) for k in range(70_001)]
    done = {**recipe["surgery"], "classes": len(names)}
    message = refused(changed(tmp_path / "net", surgery=done, classes=names))
    assert message.endswith("does not fit the network of recipe.json beside it: they are not of 70001 classes")


def test_what_no_memory_holds_is_said_in_one_line(tmp_path, tiny, monkeypatch):
    trained(tiny, tmp_path / "net")

    def full(*_given: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory\nat line 9")

    monkeypatch.setattr("interpkit.models.finetuned.operate", full)
    assert "its base is not what it was: DefaultCPUAllocator: can't" in refused(tmp_path / "net", trust=True)


def test_endless_nesting_is_refused(tmp_path, tiny):
    trained(tiny, tmp_path / "net")
    recipe = json.loads((tmp_path / "net" / "recipe.json").read_text())
    nested = dict(recipe)
    for _ in range(40):
        nested["base"] = {**recipe["base"], "form": "finetuned", "recipe": dict(nested)}
    assert "more than 32 fine-tunings lie on top of each other" in refused(changed(tmp_path / "net", **nested))
    (tmp_path / "net" / "recipe.json").write_text("[" * 200_000)
    assert "recipe.json is cut short or damaged" in refused(tmp_path / "net")


@pytest.mark.parametrize("place", ["spec", "arch"])
def test_the_hub_is_asked_only_with_trust(tmp_path, monkeypatch, place):
    def contacted(*_given: object, **_options: object) -> nn.Module:
        raise OSError("no network")

    monkeypatch.setattr(import_timm(), "create_model", contacted)
    trained(small_resnet(), tmp_path / "net", layer="layer1")
    base = json.loads((tmp_path / "net" / "recipe.json").read_text())["base"]
    folder = changed(tmp_path / "net", base={**base, "form": "timm", place: "timm:hf-hub:org/name"})
    assert refused(folder).endswith(
        "timm:hf-hub:org/name, whose description is fetched from the Hugging Face hub to build it: "
        "--trust if you trust it"
    )
    assert "could not be had" in refused(folder, trust=True)


def test_files_are_as_readable_as_the_user_has_new_files(tmp_path, tiny):
    before = os.umask(0o027)
    try:
        trained(tiny, tmp_path / "net")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "net").iterdir()}
    assert modes == {"recipe.json": 0o640, "weights.safetensors": 0o640}


def test_recipes_without_a_part_are_refused(tmp_path, tiny):
    trained(tiny, tmp_path / "net")
    path = tmp_path / "net" / "recipe.json"
    recipe = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in recipe.items() if name not in ("base", "sites")}))
    assert "it says nothing of base, sites" in refused(tmp_path / "net", trust=True)


def test_the_recipe_comes_last_and_whole(tmp_path, tiny, monkeypatch):
    folder = tmp_path / "net"
    trained(tiny, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["recipe.json", "weights.safetensors"]
    recipe = read_recipe(folder)
    assert (recipe["format"], recipe["kind"], recipe["base"]["spec"]) == (1, "finetuned", TINY)

    def full(*_given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("interpkit.models.finetuned.save_file", full)
    with pytest.raises(ModelError, match=r"^cannot write .*net: No space left on device$"):
        trained(tiny, folder)
    # What is there is no mixture of two trainings: it counts as unfinished.
    assert sorted(path.name for path in folder.iterdir()) == ["weights.safetensors"]


def test_a_place_that_is_a_file_is_refused(tmp_path, tiny):
    (tmp_path / "net").write_text("")
    with pytest.raises(ModelError, match="cannot write"):
        trained(tiny, tmp_path / "net")


def test_exported_networks_cannot_be_started_from(tiny):
    with pytest.raises(ModelError, match="an exported network cannot be trained"):
        started(replace(tiny, form="export"))


def test_nothing_in_a_folder_is_unpickled(tmp_path, tiny):
    trained(tiny, tmp_path / "net")
    (tmp_path / "net" / "checkpoint.pt").write_bytes(pickle.dumps(os.getcwd))
    assert load_model(tmp_path / "net", trust=True).form == "finetuned"
    (tmp_path / "net" / "weights.safetensors").write_bytes(pickle.dumps({"head.bias": 1}))
    assert "cut short or damaged" in refused(tmp_path / "net", trust=True)
