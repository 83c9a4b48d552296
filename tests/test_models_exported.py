"""Exported networks: read, unflattened, and refused where opening them could run code."""

import io
import json
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import nn

from interpkit.errors import InterpkitError
from interpkit.models import load_model

ANY = torch.export.Dim("batch")


class Net(nn.Module):
    """In-place ReLU used twice, batch norm, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(4, 8, 3, stride=2), nn.BatchNorm2d(8))
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout()
        self.classes = nn.Linear(8, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.relu(self.block(self.relu(self.first(images))))
        return self.classes(self.drop(maps.mean((2, 3))))


@pytest.fixture(scope="module")
def net() -> Net:
    torch.manual_seed(5)
    return Net().eval()


@pytest.fixture(scope="module")
def exported(net, tmp_path_factory) -> Path:
    return export(net, tmp_path_factory.mktemp("exported") / "net.pt2", shapes=({0: ANY},))


def export(net: nn.Module, path: Path, *, shapes: object = None, inputs: tuple[torch.Tensor, ...] = ()) -> Path:
    with warnings.catch_warnings():
        # Deprecations inside torch.export.
        warnings.simplefilter("ignore")
        program = torch.export.export(net, inputs or (torch.zeros(2, 3, 32, 32),), dynamic_shapes=shapes)
        torch.export.save(program, path)
    return path


def rewritten(path: Path, target: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """A copy of the archive whose members went through ``change``."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as copy:
        for name in source.namelist():
            copy.writestr(name, change(name, source.read(name)))
    return target


def refusal(path: Path) -> str:
    with pytest.raises(InterpkitError) as error:
        load_model(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_exported_network_computes_the_same_and_has_its_modules_back(net, exported):
    loaded = load_model(exported)
    images = torch.rand(5, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded.module(images), net(images))
    assert {"first", "block.0", "block.1", "relu", "classes"} <= dict(loaded.module.named_modules()).keys()
    assert (loaded.form, loaded.name, loaded.spec, loaded.fixed_batch) == ("export", "net", str(exported), None)
    assert loaded.notes == ()
    assert not any(module.training for module in loaded.module.modules())


def test_hooks_see_the_modules_of_an_exported_network(net, exported):
    loaded = load_model(exported)
    seen, expected = [], []
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        with_hook(loaded.module, "block", seen, images)
        with_hook(net, "block", expected, images)
    assert len(seen) == 1
    assert torch.equal(seen[0], expected[0])


def with_hook(module: nn.Module, name: str, seen: list[torch.Tensor], images: torch.Tensor) -> None:
    handle = module.get_submodule(name).register_forward_hook(lambda _, __, output: seen.append(output.clone()))
    module(images)
    handle.remove()


def test_size_is_the_exported_one_and_values_are_assumed(exported):
    loaded = load_model(exported)
    assert loaded.preprocessing.size == (32, 32)
    assert loaded.preprocessing.record == "assumed: 32 x 32, ImageNet mean 0.485 0.456 0.406, std 0.229 0.224 0.225"
    assert load_model(exported, mean=[0.5] * 3, std=[0.5] * 3).preprocessing.record.startswith("as given: mean and std")
    with pytest.raises(InterpkitError, match="exported for images of"):
        load_model(exported, size=64)
    assert load_model(exported, size=32).preprocessing.size == (32, 32)


def test_fixed_batch_is_noticed_and_said(net, tmp_path):
    loaded = load_model(export(net, tmp_path / "four.pt2", inputs=(torch.zeros(4, 3, 32, 32),)))
    assert loaded.fixed_batch == 4
    assert "batch of 4" in loaded.notes[0]


def test_free_size(tmp_path):
    side = torch.export.Dim("side", min=8, max=512)
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU())
    path = export(net, tmp_path / "free.pt2", shapes=({0: ANY, 2: side, 3: side},), inputs=(torch.zeros(2, 1, 32, 32),))
    loaded = load_model(path, size=48)
    assert loaded.preprocessing.size == (48, 48)
    assert loaded.preprocessing.channels == 1
    assert loaded.module(torch.zeros(3, 1, 48, 48)).shape == (3, 2, 48, 48)


def test_sha_is_that_of_the_weights(net, exported, tmp_path):
    again = export(net, tmp_path / "again.pt2", shapes=({0: ANY},))
    assert load_model(again).sha == load_model(exported).sha
    other = Net().eval()
    assert load_model(export(other, tmp_path / "other.pt2", shapes=({0: ANY},))).sha != load_model(exported).sha


def test_torchvision_network_goes_through(tmp_path):
    net = load_model("torchvision:mobilenet_v3_small@random").module
    loaded = load_model(export(net, tmp_path / "mobile.pt2", shapes=({0: ANY},), inputs=(torch.zeros(2, 3, 64, 64),)))
    images = torch.rand(3, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded.module(images), net(images))


def test_any_file_name_will_do(exported, tmp_path):
    path = tmp_path / "network.bin"
    path.write_bytes(exported.read_bytes())
    assert load_model(path).form == "export"


def test_exported_in_training_mode_is_refused(tmp_path):
    path = export(Net().train(), tmp_path / "train.pt2", inputs=(torch.zeros(4, 3, 32, 32),))
    assert "training mode: call model.eval()" in refusal(path)


def test_two_inputs_are_refused(tmp_path):
    class Two(nn.Module):
        def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            return first + second

    path = export(Two(), tmp_path / "two.pt2", inputs=(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)))
    assert "takes 2 inputs" in refusal(path)


def test_vector_input_is_refused(tmp_path):
    path = export(nn.Linear(4, 2), tmp_path / "vector.pt2", inputs=(torch.zeros(1, 4),))
    assert "should take one, (N, channels, H, W)" in refusal(path)


def test_arch_beside_an_exported_network(exported):
    with pytest.raises(InterpkitError, match="leave --arch"):
        load_model(exported, arch="torchvision:resnet18")


@pytest.mark.parametrize("share", [0.1, 0.6, 0.99])
def test_truncated(exported, share, tmp_path):
    content = exported.read_bytes()
    (tmp_path / "cut.pt2").write_bytes(content[: int(len(content) * share)])
    assert "cut short or damaged" in refusal(tmp_path / "cut.pt2")


@pytest.mark.parametrize("member", ["model.json", "model_weights_config.json", "weight_0", "archive_version"])
def test_damaged_member(exported, member, tmp_path):
    path = rewritten(exported, tmp_path / "d.pt2", lambda name, data: b"{oh" if name.endswith(member) else data)
    refusal(path)


class Toucher:
    """Creates a folder when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.trace),)


def pickled(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def test_code_in_the_example_images_does_not_run(exported, tmp_path):
    trace = tmp_path / "it-ran"
    harm = pickled(Toucher(trace))
    path = rewritten(exported, tmp_path / "e.pt2", lambda name, data: harm if "sample_inputs" in name else data)
    message = refusal(path)
    assert "can run code of its own" in message
    assert "--trust" in message
    assert not trace.exists()
    # The danger is real: torch falls back to plain unpickling.
    with pytest.raises(InterpkitError):
        load_model(path, trust=True)
    assert trace.exists()


def test_code_in_pickled_weights_does_not_run(exported, tmp_path):
    trace = tmp_path / "it-ran"
    harm = pickled(Toucher(trace))

    def change(name: str, data: bytes) -> bytes:
        if name.endswith("model_weights_config.json"):
            return data.replace(b'"use_pickle": false', b'"use_pickle": true', 1)
        return harm if name.endswith("/weight_0") else data

    assert "weight_0" in refusal(rewritten(exported, tmp_path / "w.pt2", change))
    assert not trace.exists()


def in_the_oldest_form(_files: dict[str, bytes], entry: dict, harm: bytes) -> dict[str, bytes]:
    return listing("weights", {"evil": {**entry, "use_pickle": True}}) | {f"data/weights/{entry['path_name']}": harm}


def said_to_be_numbers_too(files: dict[str, bytes], entry: dict, harm: bytes) -> dict[str, bytes]:
    table = {"evil": {**entry, "use_pickle": True}, "first": {**entry, "path_name": "weight_0"}}
    return in_the_oldest_form(files, entry, harm) | listing("weights", table)


def kept_as_an_object(_files: dict[str, bytes], entry: dict, harm: bytes) -> dict[str, bytes]:
    return listing("constants", {"evil": {**entry, "path_name": "opaque_obj_0"}}) | {
        "data/constants/opaque_obj_0": harm
    }


def said_to_be_numbers_by_another(_files: dict[str, bytes], entry: dict, harm: bytes) -> dict[str, bytes]:
    more = json.dumps({"config": {"x": {**entry, "path_name": "model.pt"}}}).encode()
    return {"data/sample_inputs/model.pt": harm, "data/sample_inputs/more.json": more}


def listing(kind: str, table: dict) -> dict[str, bytes]:
    return {f"data/{kind}/model_{kind}_config.json": json.dumps({"config": table}).encode()}


@pytest.mark.parametrize(
    ("hide", "protocol"),
    [
        (in_the_oldest_form, 0),
        (said_to_be_numbers_too, 2),
        (kept_as_an_object, 0),
        (kept_as_an_object, 2),
        (said_to_be_numbers_by_another, 2),
    ],
)
def test_code_that_torch_would_unpickle_does_not_run(exported, tmp_path, hide, protocol):
    trace, path = tmp_path / "it-ran", tmp_path / "h.pt2"
    harm = pickle.dumps(Toucher(trace), protocol)
    # As long as numbers of four bytes would be.
    harm += b"." * (-len(harm) % 4)
    with zipfile.ZipFile(exported) as archive:
        files = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    config = json.loads(files["data/weights/model_weights_config.json"])["config"]
    files |= hide(files, next(iter(config.values())), harm)
    write_package(path, files)
    refusal(path)
    assert not trace.exists()
    # The danger is real.
    with suppress(InterpkitError):
        load_model(path, trust=True)
    assert trace.exists()


def test_readers_that_differ_in_what_an_archive_holds_find_the_same(exported, tmp_path):
    trace, path = tmp_path / "it-ran", tmp_path / "h.pt2"
    with zipfile.ZipFile(exported) as archive:
        files = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    write_package(path, files | {"data/sample_inputs/model.pt": pickle.dumps(Toucher(trace), 2)})
    # One takes places from the beginning of the file, the other from where the list of contents stands.
    path.write_bytes(path.read_bytes() + exported.read_bytes())
    with suppress(InterpkitError):
        load_model(path)
    assert not trace.exists()


def test_names_that_differ_in_capitals_are_refused(exported, tmp_path):
    with zipfile.ZipFile(exported) as archive:
        files = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    write_package(tmp_path / "h.pt2", files | {"data/weights/Weight_0": b"1"})
    assert "twice" in refusal(tmp_path / "h.pt2")


def write_package(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"package/{name}", content)


def model_json(change: Callable[[dict], None]) -> Callable[[str, bytes], bytes]:
    def changed(name: str, data: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return data
        document = json.loads(data)
        change(document)
        return json.dumps(document).encode()

    return changed


@pytest.mark.parametrize(
    "target", ["torch.hub.os.system", "torch.ops.load_library", "torch.load", "_operator.methodcaller", "#evil:system"]
)
def test_graph_that_calls_other_functions_is_refused(target, exported, tmp_path):
    def change(document: dict) -> None:
        document["graph_module"]["graph"]["nodes"][0]["target"] = target

    message = refusal(rewritten(exported, tmp_path / "g.pt2", model_json(change)))
    assert f"its graph calls {target}" in message


def test_guards_of_the_graph_are_not_evaluated(exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def change(document: dict) -> None:
        document["guards_code"] = ["__import__('os').mkdir('it-ran') or True"]

    loaded = load_model(rewritten(exported, tmp_path / "g.pt2", model_json(change)))
    loaded.module(torch.zeros(2, 3, 32, 32))
    assert not (tmp_path / "it-ran").exists()


HARMFUL_SIZES = [
    "Symbol('__import__(1)')",
    "__import__('os').mkdir('it-ran')",
    "os.system",
    "eval(chr(49))",
    "s0.func",
    "exec(s0)",
    "[s0]",
]


@pytest.mark.parametrize("text", HARMFUL_SIZES)
def test_size_that_is_code_is_refused(text, exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def replaced(part: object) -> None:
        if isinstance(part, dict):
            if "expr_str" in part:
                part["expr_str"] = text
            for item in part.values():
                replaced(item)
        if isinstance(part, list):
            for item in part:
                replaced(item)

    message = refusal(rewritten(exported, tmp_path / "s.pt2", model_json(replaced)))
    assert "a size in it reads" in message
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize(
    "text",
    [
        "s0",
        "s77",
        "Symbol('s34', positive=True, integer=True)",
        "Add(Mul(Integer(2), Symbol('s0')), Float('0.5', precision=53))",
        "2*s0 + 1",
        "((s0 - 1)//2) + 1",
        "Max(1, s0)",
        "FloorDiv(s1, 2)",
        "32",
        "0.5*u0",
    ],
)
def test_usual_sizes_pass(text):
    from interpkit.models._archive import _harmless_size

    assert _harmless_size(text)


def test_compiled_code_and_doubled_members_are_refused(exported, tmp_path):
    for name, reason in (("net/data/aotinductor/model/lib.so", "compiled code"), ("net/models/model.json", "twice")):
        path = tmp_path / "c.pt2"
        path.write_bytes(exported.read_bytes())
        with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
            # zipfile warns that the name is there already: that is the point.
            warnings.simplefilter("ignore", UserWarning)
            archive.writestr(name, b"x")
        assert reason in refusal(path)
