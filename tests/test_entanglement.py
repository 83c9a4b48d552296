"""entangle() as a whole, against what it says it measures, and the laws that hold for every run."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from class_sets import CLASSES, class_of, coloured, folder_set, listed_set
from labels_on_disk import photograph, write_csv
from numpy.typing import NDArray
from reference import information as plain
from sameness import assert_same, same_numbers
from small_networks import probe, small_network

from interpkit import feeding
from interpkit.binning import levels
from interpkit.counts import BLOCKS, block_of
from interpkit.entanglement import _requests, entangle, entangle_layers, planned_fingerprint
from interpkit.errors import ImageError, InterpkitError, LabelSetError, ModelError, ResultError
from interpkit.labels import LabelSet
from interpkit.models import load_model
from interpkit.probe import Probe
from interpkit.results import Adversarial, Entanglement, load, save

LAYERS = ("early", "relu", "norm", "head")
FED: dict[str, Any] = {"batch_size": 4, "memory_format": "contiguous"}
DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(("split", "limit", "device", "threads")),
    **{"skip_bad": False, "seed": 0, **FED},
    **{"target": "label", "pool": "mean", "rectify": "auto", "estimator": "histogram"},
    **{"analyses": (), "class_limit": 50},
}
Floats = NDArray[np.float64]


@pytest.fixture(autouse=True, scope="module")
def _links_followed():
    """Other tables beside the same images: the sets here lead there by links."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERPKIT_FOLLOW_LINKS", "1")
        yield


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> LabelSet:
    return listed_set(tmp_path_factory.mktemp("labels") / "set")


@pytest.fixture(scope="module")
def whole(labels) -> dict[str, Entanglement]:
    """The run that most tests compare with."""
    return entangle_layers(probe(LAYERS), labels, **FED)


def maps_of(labels: LabelSet, layer: str) -> Floats:
    """(N, U, cells) four images at a time as ``FED`` says."""
    look = probe([layer])
    images = [feeding.read_image(labels, row, look.preprocessing) for row in range(len(labels))]
    batches = [look(feeding.stack(images[i : i + 4], "contiguous"))[layer] for i in range(0, len(images), 4)]
    return torch.cat(batches).flatten(2).numpy().astype(np.float64)


def members(names: Sequence[str], classes: Sequence[str] = CLASSES) -> NDArray[np.bool_]:
    """(N, K) from each image's class, or classes joined by +."""
    return np.array([[one in name.split("+") for one in classes] for name in names])


def own_classes(labels: LabelSet) -> NDArray[np.bool_]:
    return members([class_of(int(name[:2])) for name in labels.images["image"]])


def levels_of(member: NDArray[np.bool_], *, signed: bool) -> Floats:
    share = member.mean(0)
    return levels(len(member), float(np.minimum(share, 1 - share).min()), signed=signed)


def assert_measures(result: Entanglement, pooled: Floats, member: NDArray[np.bool_], *, signed: bool) -> None:
    """The matrix, its chance level, and what follows from them are those of pooled activations (N, U)."""
    some = levels_of(member, signed=signed)
    expected = plain.measured(pooled, member, some)
    np.testing.assert_allclose(result.information, expected, atol=1e-9)
    order = np.random.default_rng(result.provenance.seed).permutation(len(member))
    np.testing.assert_allclose(result.permuted, plain.measured(pooled, member[order], some), atol=1e-9)
    binned = [plain.bins_of(unit.tolist(), some.tolist()) for unit in pooled.T]
    assert result.bins.tolist() == [len(set(unit)) for unit in binned]
    assert result.signed == signed
    np.testing.assert_allclose(result.entropy, [plain.entropy(one.tolist(), miller_madow=False) for one in member.T])
    higher = [pooled[one].mean(0) for one in member.T]
    owner = [owner_of(row, [of_class[unit] for of_class in higher]) for unit, row in enumerate(expected)]
    assert result.owner.tolist() == owner
    assert result.class_images.tolist() == member.sum(0).tolist()
    np.testing.assert_allclose(result.mean, pooled.mean(0), rtol=1e-5, atol=1e-6)
    means = [[pooled[one, unit].mean() for unit in range(pooled.shape[1])] for one in member.T]
    np.testing.assert_allclose(result.class_mean, means, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(result.mass, mass_of(pooled, member, owner), rtol=1e-5, atol=1e-7)


def owner_of(known: Sequence[float], means: Sequence[float]) -> int:
    """The class that a unit knows best; of equals, the one on which it is highest; -1 for none."""
    if max(known) <= 0:
        return -1
    equals = [k for k, nats in enumerate(known) if math.isclose(nats, max(known), rel_tol=1e-9)]
    return max(equals, key=lambda k: means[k])


def mass_of(pooled: Floats, member: NDArray[np.bool_], owner: Sequence[int]) -> Floats:
    """(K, K) by the definition: an image and a class at a time."""
    active = np.maximum(pooled, 0)
    size = np.sqrt((active**2).mean(0))
    classes = member.shape[1]
    shares = np.zeros((classes, classes))
    for k in range(classes):
        for n in np.flatnonzero(member[:, k]):
            scaled = [a / s if s > 0 else 0.0 for a, s in zip(active[n], size, strict=True)]
            for j in range(classes):
                mine = sum(value for value, one in zip(scaled, owner, strict=True) if one == j)
                shares[k, j] += mine / (sum(scaled) + 1e-12) / member[:, k].sum()
    return shares


# --- against the definition


@pytest.mark.parametrize("layer", LAYERS)
def test_every_number_is_the_definitions(whole, labels, layer):
    maps = maps_of(labels, layer)
    assert_measures(whole[layer], maps.mean(2), own_classes(labels), signed=bool(maps.min() < 0))
    assert whole[layer].classes == CLASSES
    assert (whole[layer].images, whole[layer].multi_label) == (60, False)


def test_the_network_holds_every_kind_of_unit(whole):
    assert whole["early"].dead.tolist() == [True] + [False] * 5
    assert whole["norm"].dead[1]
    assert [whole[layer].signed for layer in LAYERS] == [True, False, True, True]
    assert set(whole["norm"].owner) == {-1, 1, 2}
    assert whole["norm"].owner[1] == -1
    assert 0 < whole["norm"].positive.sum() < 7
    assert whole["norm"].mis > 10 * whole["norm"].mis_floor > 0


@pytest.mark.parametrize(("pool", "rectify"), [("max", "auto"), ("mean", "yes"), ("max", "yes"), ("mean", "no")])
@pytest.mark.parametrize("layer", ["early", "norm"])
def test_pooling_and_rectifying_are_the_definitions(labels, layer, pool, rectify):
    result = entangle(probe([layer]), labels, pool=pool, rectify=rectify, **FED)
    maps = maps_of(labels, layer)
    maps = np.maximum(maps, 0) if rectify == "yes" else maps
    pooled = maps.mean(2) if pool == "mean" else maps.max(2)
    assert_measures(result, pooled, own_classes(labels), signed=rectify != "yes")


def test_not_to_rectify_is_the_default(whole, labels):
    same_numbers(whole["norm"], entangle(probe(["norm"]), labels, rectify="no", **FED))


def test_rectifying_what_is_never_negative_changes_nothing(whole, labels):
    same_numbers(whole["relu"], entangle(probe(["relu"]), labels, rectify="yes", **FED))


def test_what_is_left_without_a_block_is_the_definitions(whole, labels):
    member, names = own_classes(labels), labels.images["image"].tolist()
    blocks = np.array([block_of(name) for name in names])
    some = levels_of(member, signed=True)
    pooled = maps_of(labels, "norm").mean(2)
    expected = plain.without_blocks(pooled, member, some, blocks=blocks, left_out=range(BLOCKS))
    np.testing.assert_allclose(whole["norm"].without_block, expected, atol=1e-9)


def test_units_are_compared_by_activation_and_by_weight(whole, labels):
    pooled = maps_of(labels, "early").mean(2)
    pairs = np.zeros((6, 6))
    pairs[1:, 1:] = np.corrcoef(pooled[:, 1:].T)  # unit 0 is constant
    np.testing.assert_allclose(whole["early"].correlation, pairs, atol=1e-3)
    assert whole["early"].correlation.dtype == np.float16
    weights = small_network().early.weight.detach().numpy().reshape(6, -1).astype(np.float64)
    for i in range(6):
        for j in range(6):
            size = np.linalg.norm(weights[i]) * np.linalg.norm(weights[j])
            expected = weights[i] @ weights[j] / size if size else 0
            assert whole["early"].cosine[i, j] == pytest.approx(expected, abs=1e-3)
    # An activation function and a normalisation have no weights of their own to compare; a linear layer has.
    assert whole["relu"].cosine is None
    assert whole["norm"].cosine is None
    assert whole["head"].cosine.shape == (4, 4)


def test_redundancy_is_told_within_and_between_owners(whole, labels):
    one = whole["early"]
    pooled = maps_of(labels, "early").mean(2)
    found: dict[str, list[float]] = {"within": [], "between": []}
    for i in range(6):
        for j in range(i):
            if min(one.owner[i], one.owner[j]) >= 0:
                where = "within" if one.owner[i] == one.owner[j] else "between"
                found[where].append(abs(float(np.corrcoef(pooled[:, i], pooled[:, j])[0, 1])))
    for where, values in found.items():
        assert one.redundancy[f"correlation_{where}"] == pytest.approx(np.mean(values), rel=1e-4)
        assert one.redundancy[f"correlation_{where}_high"] == np.mean([value > 0.5 for value in values])
    assert set(one.redundancy) == {
        f"{what}_{where}{high}"
        for what in ("correlation", "cosine")
        for where in ("within", "between")
        for high in ("", "_high")
    }
    assert "cosine_within" not in whole["relu"].redundancy


def test_grouped_convolutions_have_no_weights_to_compare(labels):
    class Grouped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide = torch.nn.Conv2d(3, 6, 3)
            self.deep = torch.nn.Conv2d(6, 6, 3, groups=6)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.deep(self.wide(images))

    torch.manual_seed(0)
    results = entangle_layers(Probe(load_model(Grouped().eval(), size=32), ["wide", "deep"]), labels, **FED)
    assert results["wide"].cosine is not None
    assert results["deep"].cosine is None


def test_nearest_neighbours_agree_with_the_histogram_about_the_owner(whole, labels):
    one = entangle(probe(["norm"]), labels, estimator="knn", **FED)
    assert not one.bins.any()
    assert np.isnan(one.without_block).all()
    assert one.mis > 3 * one.mis_floor
    sure = np.sort(whole["norm"].information, axis=1)
    sure = sure[:, -1] - sure[:, -2] > 0.2
    assert sure.any()
    np.testing.assert_array_equal(one.owner[sure], whole["norm"].owner[sure])


# --- which images, and which classes


def test_a_folder_a_class_gives_the_classes(tmp_path):
    labels = LabelSet.open(folder_set(tmp_path / "set", {"red": 9, "blue": 7}))
    result = entangle(probe(["norm"]), labels, **FED)
    assert result.classes == ("blue", "red")
    assert result.class_images.tolist() == [7, 9]
    maps = maps_of(labels, "norm")
    member = members([Path(name).parent.name for name in labels.images["image"]], ("blue", "red"))
    assert_measures(result, maps.mean(2), member, signed=True)


def test_images_may_have_several_classes(tmp_path):
    names = ["red", "green+red", "blue", "", "blue+red", "green", "", "blue+green+red"] * 6
    labels = listed_set(tmp_path / "set", images=48)
    header = [["image", *CLASSES]]
    rows = [[f"{i:02d}.png", *(int(one in name.split("+")) for one in CLASSES)] for i, name in enumerate(names)]
    for i, name in enumerate(names):
        coloured(labels.root / "images" / f"{i:02d}.png", name, seed=i)
    write_csv(labels.root / "classes.csv", header[0], rows)
    labels = LabelSet.open(labels.root)
    result = entangle(probe(["norm"]), labels, **FED)
    assert result.multi_label
    assert result.images == 48  # images of no class are part of a table of 0 and 1
    assert_measures(result, maps_of(labels, "norm").mean(2), members(names), signed=True)
    assert not any("no class" in warning for warning in result.warnings)


def test_images_without_a_class_are_left_out_and_counted(tmp_path):
    names = [class_of(i) if i % 4 else "" for i in range(40)]
    labels = listed_set(tmp_path / "set", images=40, classes=names)
    result = entangle(probe(["norm"]), labels, **FED)
    kept = [i for i in range(40) if i % 4]
    assert result.images == 30
    assert "10 images of set have no class and are left out" in result.warnings
    rest = labels.without([i for i in range(40) if i % 4 == 0])
    assert_measures(result, maps_of(rest, "norm").mean(2), members([names[i] for i in kept]), signed=True)
    same_numbers(result, entangle(probe(["norm"]), rest, **FED), but=["warnings"])
    limited = entangle(probe(["norm"]), labels, limit=20, **FED)
    assert limited.images == 20  # of those that have a class
    assert not any("no class" in warning for warning in limited.warnings)


def listed(labels: LabelSet, folder: Path, order: Sequence[int]) -> LabelSet:
    """The same files with the rows ``order`` of index.csv, in that order."""
    head, *rows = (labels.root / "index.csv").read_text().splitlines()
    names = {labels.images["image"].iloc[i] for i in order}
    first, *pairs = (labels.root / "classes.csv").read_text().splitlines()
    folder.mkdir()
    for path in labels.root.iterdir():
        if path.name not in {"index.csv", "classes.csv"}:
            (folder / path.name).symlink_to(path)
    (folder / "index.csv").write_text("\n".join([head, *(rows[i] for i in order)]) + "\n")
    kept = [pair for pair in pairs if pair.split(",")[0] in names]
    (folder / "classes.csv").write_text("\n".join([first, *kept]) + "\n")
    return LabelSet.open(folder)


@pytest.mark.parametrize("choice", [{"limit": 20}, {"split": "val"}, {"split": "train", "limit": 25}])
def test_a_part_of_the_images_counts_as_if_it_were_all(labels, tmp_path, choice):
    rows = list(range(60))
    if "split" in choice:
        rows = [i for i in rows if labels.images["split"].iloc[i] == choice["split"]]
    part = listed(labels, tmp_path / "part", rows[: choice.get("limit")])
    results = entangle_layers(probe(LAYERS), labels, **choice, **FED)
    for layer, one in entangle_layers(probe(LAYERS), part, **FED).items():
        same_numbers(results[layer], one)
        assert one.images == len(part) < 60


def shown_by(one: Entanglement) -> list[tuple[int, str]]:
    """(unit, image) of the gallery."""
    gallery = one.gallery
    return [(int(unit), gallery.names[image]) for unit, image in zip(gallery.unit, gallery.image, strict=True)]


def test_the_order_of_images_changes_no_information(labels, tmp_path):
    # One image a batch: in larger ones, an image's numbers may hang on its neighbours to the last bit.
    fed = {"batch_size": 1, "memory_format": "contiguous"}
    order = np.random.default_rng(0).permutation(60).tolist()
    first = entangle_layers(probe(LAYERS), labels, **fed)
    second = entangle_layers(probe(LAYERS), listed(labels, tmp_path / "other", order), **fed)
    for layer in LAYERS:
        a, b = first[layer], second[layer]
        for name in ("information", "without_block", "entropy", "bins", "dead"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name), name)
        for name in ("mean", "class_mean", "mass"):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-6, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(a.correlation, b.correlation, atol=1e-3)
        assert shown_by(a) == shown_by(b)
        assert shown_by(a)


def test_images_that_cannot_be_read_are_left_out_when_asked(labels, tmp_path):
    copy = listed(labels, tmp_path / "copy", range(60))
    (copy.root / "images").unlink()
    (copy.root / "images").mkdir()
    for path in (labels.root / "images").iterdir():
        (copy.root / "images" / path.name).symlink_to(path)
    for name in ("04.png", "31.png"):
        (copy.root / "images" / name).unlink()
        (copy.root / "images" / name).write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"04\.png"):
        entangle(probe(["norm"]), copy, **FED)
    result = entangle(probe(["norm"]), copy, skip_bad=True, **FED)
    assert result.skipped == ("04.png", "31.png")
    assert result.images == 58
    rest = listed(labels, tmp_path / "rest", [i for i in range(60) if i not in (4, 31)])
    same_numbers(result, entangle(probe(["norm"]), rest, **FED), but=["skipped"])


def test_a_class_left_with_one_readable_image_is_refused(tmp_path):
    root = folder_set(tmp_path / "set", {"red": 5, "blue": 3})
    for name in ("00", "02"):
        (root / "blue" / f"{name}.png").write_bytes(b"no image")
    with pytest.raises(LabelSetError, match="class 'blue' is left with 1 readable image; it takes at least 2"):
        entangle(probe(["norm"]), LabelSet.open(root), skip_bad=True, **FED)
    for path in root.rglob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(LabelSetError, match="none of its 8 images can be read"):
        entangle(probe(["norm"]), LabelSet.open(root), skip_bad=True, **FED)


def test_classes_that_every_image_is_of_are_refused(tmp_path):
    labels = listed_set(tmp_path / "set", images=6, classes=["blue+red"] * 6)
    with pytest.raises(LabelSetError, match="every image is of all 2 classes"):
        entangle(probe(["norm"]), labels, **FED)


# --- the network's own answers


@pytest.fixture(scope="module")
def spread() -> Probe:
    """A probe whose network predicts all four of its outputs on the coloured images."""
    net = small_network()
    mean = torch.tensor([-0.079, 0.507, 0.336, -0.034])
    deviation = torch.tensor([0.311, 0.136, 0.056, 0.122])
    with torch.no_grad():
        net.head.bias.sub_(mean).div_(deviation)
        net.head.weight.div_(deviation[:, None])
    return probe(["norm", "head"], net)


def strongest(look: Probe, labels: LabelSet) -> NDArray[np.int64]:
    """(N,) an image at a time."""
    images = [feeding.read_image(labels, row, look.preprocessing) for row in range(len(labels))]
    return np.array([int(look(torch.from_numpy(one)[None])["head"].flatten().argmax()) for one in images])


def test_the_target_may_be_what_the_network_predicts(spread, labels, tmp_path):
    results = entangle_layers(spread, labels, target="prediction", **FED)
    predicted = strongest(spread, labels)
    kinds, counts = np.unique(predicted, return_counts=True)
    assert kinds.tolist() == [0, 1, 2, 3]
    assert counts.min() > 1
    for result in results.values():
        assert result.classes == tuple(f"output {kind}" for kind in kinds)
        assert result.class_images.tolist() == counts.tolist()
        assert not result.multi_label
    # The same numbers as for a label set that says so.
    told = listed(labels, tmp_path / "told", range(60))
    rows = [[f"{i:02d}.png", f"output {kind}"] for i, kind in enumerate(predicted)]
    write_csv(told.root / "classes.csv", ["image", "class"], rows)
    for layer, one in entangle_layers(spread, LabelSet.open(told.root), **FED).items():
        same_numbers(results[layer], one)


def test_predicted_classes_have_the_network_s_names(spread, labels):
    named = Probe(replace(spread.loaded, classes=("ant", "bee", "cat", "dog")), ["norm"])
    result = entangle(named, labels, target="prediction", **FED)
    plainly = entangle(Probe(spread.loaded, ["norm"]), labels, target="prediction", **FED)
    assert result.classes == tuple(("ant", "bee", "cat", "dog")[int(name[-1])] for name in plainly.classes)


def test_outputs_of_one_name_are_told_apart(spread, labels):
    named = Probe(replace(spread.loaded, classes=("crane",) * 4), ["norm"])
    result = entangle(named, labels, target="prediction", **FED)
    assert len(set(result.classes)) == len(result.classes)
    assert all(name.startswith("crane") for name in result.classes)


def test_images_need_no_class_where_the_network_predicts(spread, tmp_path):
    for seed in range(24):
        coloured(tmp_path / "photos" / f"{seed:02d}.png", class_of(seed), seed=seed)
    result = entangle(Probe(spread.loaded, ["norm"]), LabelSet.open(tmp_path / "photos"), target="prediction", **FED)
    assert result.images == 24
    assert not any("have no class" in warning for warning in result.warnings)


def test_an_output_predicted_once_is_no_class(spread, labels):
    predicted = strongest(spread, labels)
    limit = next(n for n in range(4, 60) if sorted(np.bincount(predicted[:n], minlength=4))[:3] == [1, 1, 2])
    counts = np.bincount(predicted[:limit], minlength=4).tolist()
    result = entangle(Probe(spread.loaded, ["norm"]), labels, target="prediction", limit=limit, **FED)
    assert result.images == limit
    assert result.class_images.tolist() == [count for count in counts if count > 1]
    assert "2 outputs predicted on a single image count as no class" in result.warnings


def test_a_network_that_predicts_one_class_alone_is_refused(labels):
    net = small_network()
    with torch.no_grad():
        net.head.bias[2] = 1e4
    with pytest.raises(LabelSetError, match=r"predicts 1 class on these images.*--target prediction needs"):
        entangle(probe(["norm"], net), labels, target="prediction", **FED)


def test_a_network_without_a_row_of_outputs_predicts_nothing(labels):
    headless = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()).eval()
    with pytest.raises(ModelError, match="row of outputs"):
        entangle(Probe(load_model(headless, size=32), ["0"]), labels, target="prediction", **FED)


# --- laws: what must not change the numbers


@pytest.mark.parametrize("fed", [{"batch_size": 1}, {"batch_size": 7}, {"memory_format": "channels_last"}])
def test_feeding_moves_numbers_by_rounding_alone(labels, whole, fed):
    for layer, one in entangle_layers(probe(LAYERS), labels, **{**FED, **fed}).items():
        a = whole[layer]
        for name in ("information", "permuted", "without_block", "mean", "class_mean", "mass"):
            np.testing.assert_allclose(getattr(one, name), getattr(a, name), rtol=1e-4, atol=1e-6, err_msg=name)
        assert one.gallery.unit.tolist() == a.gallery.unit.tolist()


def test_the_same_run_gives_the_same_bits(labels, whole):
    for layer, one in entangle_layers(probe(LAYERS), labels, **FED).items():
        same_numbers(whole[layer], one)


def test_the_seed_draws_the_chance_level_and_nothing_else(labels, whole):
    one = entangle(probe(["norm"]), labels, seed=1, **FED)
    same_numbers(whole["norm"], one, but=["permuted"])
    assert (one.permuted != whole["norm"].permuted).any()


@pytest.mark.parametrize("layer", LAYERS)
def test_one_layer_alone_gives_what_several_give(labels, whole, layer):
    same_numbers(whole[layer], entangle(probe([layer]), labels, **FED))


def test_layers_come_in_the_order_asked_for(labels):
    results = entangle_layers(probe(["norm", "early"]), labels, **FED)
    assert list(results) == ["norm", "early"]
    assert [one.order for one in results.values()] == [0, 1]


def test_a_unit_that_is_scaled_knows_what_it_knew(labels, whole):
    net = small_network()
    with torch.no_grad():
        net.norm.weight.mul_(8)
        net.norm.bias.mul_(8)
    one = entangle(probe(["norm"], net), labels, **FED)
    np.testing.assert_allclose(one.information, whole["norm"].information, atol=1e-9)
    np.testing.assert_allclose(one.mass, whole["norm"].mass, rtol=1e-5)
    np.testing.assert_allclose(one.mean, 8 * whole["norm"].mean, rtol=1e-5)


def test_the_model_is_left_as_it_was_found(labels):
    look = probe(["norm"], small_network().train())
    net = look.model
    before = {name: value.clone() for name, value in net.state_dict().items()}
    torch.manual_seed(3)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    entangle(look, labels, threads=2, **FED)
    assert net.training
    assert all(module.training for module in net.modules())
    assert all(value.equal(before[name]) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert torch.random.get_rng_state().equal(state)
    assert torch.get_num_threads() == threads
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())


# --- analyses on request


@pytest.fixture(scope="module")
def pictured(labels, tmp_path_factory) -> LabelSet:
    """The same images in two classes that are called like concepts of their label maps; the manifest tells outputs."""
    told = listed(labels, tmp_path_factory.mktemp("pictured") / "set", range(60))
    pairs = [[f"{i:02d}.png", "name1" if class_of(i) == "red" else "name3"] for i in range(60) if i % 3]
    write_csv(told.root / "classes.csv", ["image", "class"], pairs)
    (told.root / "manifest.toml").write_text("[model_index]\nname1 = 2\nname3 = 0\n")
    return LabelSet.open(told.root)


def test_analyses_stand_beside_the_matrix_and_move_nothing_in_it(pictured):
    layers = ["relu", "norm"]
    asked = ("ablation", "compression", "localisation")
    without = entangle_layers(probe(layers), pictured, **FED)
    for layer, one in entangle_layers(probe(layers), pictured, analyses=asked, **FED).items():
        same_numbers(without[layer], one, but=["head", "ablation", "compression", "localisation"])
        assert one.ablation.head == one.compression.head == one.head
        assert one.head.startswith("the network's own outputs by their numbers")
        assert one.ablation.ablated.tolist() == [0, 1]
        owned = [int(((one.owner == k) & one.positive).sum()) for k in (0, 1)]
        assert one.ablation.removed.tolist() == owned
        assert one.compression.removed[[0, -1]].tolist() == [0, one.units]
        assert one.compression.accuracy[0] == pytest.approx(one.ablation.accuracy)
        assert [found.method for found in one.localisation][1:] == ["activation map", "gradient map"]
        assert one.adversarial == ()
        again = entangle(probe([layer]), pictured, analyses=asked, **FED)
        same_numbers(one, again)
    for one in without.values():
        assert (one.head, one.ablation, one.compression, one.localisation, one.adversarial) == ("", None, None, (), ())


def test_an_image_that_goes_before_an_analysis_stops_the_run(pictured, monkeypatch, tmp_path):
    from interpkit.entanglement import _requests

    localise = _requests.localise

    def after(*given: Any, **options: Any) -> Any:
        image.rename(tmp_path / "away")
        try:
            return localise(*given, **options)
        finally:
            (tmp_path / "away").rename(image)

    image = pictured.path(1)
    monkeypatch.setattr(_requests, "localise", after)
    with pytest.raises(ImageError, match="is missing"):
        entangle(probe(["norm"]), pictured, analyses=("localisation",), **FED)


def test_an_analysis_alone_is_that_of_several(pictured):
    several = entangle(probe(["norm"]), pictured, analyses=("compression", "ablation"), **FED)
    alone = entangle(probe(["norm"]), pictured, analyses=("ablation",), **FED)
    assert_same(alone.ablation, several.ablation)
    assert alone.compression is None
    back = entangle(probe(["norm"]), pictured, analyses=["ablation"], **FED)  # a list will do
    assert_same(alone.ablation, back.ablation)
    assert back.provenance.fingerprint == alone.provenance.fingerprint


def test_classes_that_the_network_does_not_know_get_a_head_of_their_own(labels):
    one = entangle(probe(["norm"]), labels, analyses=("ablation",), class_limit=2, **FED)
    assert one.head.startswith("a logistic regression on the pooled activations of norm, 5 folds, out of fold")
    assert one.ablation.accuracy > 0.8
    assert one.ablation.ablated.tolist() == [1, 2]  # the two largest of three
    assert one.ablation.recall.shape == (2, 3)


def test_outputs_are_found_by_their_names(spread, labels):
    named = Probe(replace(spread.loaded, classes=("red", "blue", "green", "other")), ["norm"])
    one = entangle(named, labels, analyses=("ablation",), **FED)
    assert one.head.startswith("the network's own outputs by their names")
    outputs = maps_of_head(spread, labels)[:, [1, 2, 0]]  # blue, green, red
    right = [outputs[n].argmax() == CLASSES.index(class_of(n)) for n in range(60)]
    assert one.ablation.accuracy == pytest.approx(np.mean(right))


def maps_of_head(look: Probe, labels: LabelSet) -> Floats:
    """(N, outputs) an image at a time."""
    images = [feeding.read_image(labels, row, look.preprocessing) for row in range(len(labels))]
    return np.stack([look(torch.from_numpy(one)[None])["head"].flatten().double().numpy() for one in images])


def test_predictions_are_judged_by_the_network_and_not_by_a_manifest(spread, pictured):
    one = entangle(Probe(spread.loaded, ["norm"]), pictured, target="prediction", analyses=("ablation",), **FED)
    assert "model_index" not in one.head


def test_attacks_that_turn_few_images_are_said_and_the_rest_is_kept(labels):
    one = entangle(probe(["norm"]), labels, limit=9, analyses=("adversarial", "ablation"), **FED)
    assert one.adversarial == ()
    assert one.ablation is not None
    for attack in ("FGSM", "PGD"):
        said = f"no adversarial detection: {attack} with epsilon"
        assert [warning.startswith(said) for warning in one.warnings].count(True) == 1


def test_every_attack_is_made(labels, monkeypatch):
    def detect(sample: Any, head: Any, *, attack: str, seed: int) -> Adversarial:
        assert sample.layer == "norm"
        return Adversarial(attack, 0.1, 20, error=0.2, error_sd=0, auroc=0.9, auroc_sd=0, seeds=seed, fooled=0.5)

    monkeypatch.setattr(_requests, "detect", detect)
    one = entangle(probe(["norm"]), labels, analyses=("adversarial",), seed=5, **FED)
    assert [(found.attack, found.seeds) for found in one.adversarial] == [("FGSM", 5), ("PGD", 5)]


def test_analyses_that_the_labels_do_not_allow_end_before_the_pass(no_pass, labels, tmp_path):
    with pytest.raises(InterpkitError, match="localisation needs masks"):
        entangle(no_pass, labels, analyses=("localisation",), **FED)
    several = listed_set(tmp_path / "set", images=8, classes=["red", "blue", "red+blue", "blue"] * 2)
    with pytest.raises(InterpkitError, match="one class an image"):
        entangle(no_pass, several, analyses=("adversarial",), **FED)
    read = Probe(no_pass.loaded, ["norm"], reshape=lambda maps: maps)
    with pytest.raises(ModelError, match="reshape="):
        entangle(read, labels, analyses=("adversarial",), **FED)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ({"blue": 0, "green": 1}, "names no output for class 'red'"),
        ({"blue": 0, "green": 1, "red": 1}, "'green' and 'red' the same output"),
        ({"blue": 0, "green": 1, "red": 9}, "class 'red' output 9; the network has outputs 0 to 3"),
    ],
)
def test_a_manifest_that_does_not_fit_ends_before_the_pass(no_pass, labels, index, said):
    told = replace(labels, manifest={**labels.manifest, "model_index": index})
    with pytest.raises(LabelSetError, match=said):
        entangle(no_pass, told, analyses=("ablation",), **FED)


def test_the_order_of_analyses_is_no_other_run(labels):
    asked = {**DEFAULTS, "analyses": ["compression", "ablation", "compression"]}
    same = {**DEFAULTS, "analyses": ("ablation", "compression")}
    assert planned_fingerprint(probe(["norm"]), labels, asked) == planned_fingerprint(probe(["norm"]), labels, same)


def test_of_two_classes_each_has_its_own_units(tmp_path):
    labels = listed_set(tmp_path / "set", images=40, classes=["red", "blue"] * 20)
    one = entangle(probe(["norm"]), labels, analyses=("ablation",), **FED)
    np.testing.assert_allclose(one.information[:, 0], one.information[:, 1], atol=1e-12)
    assert one.units_per_class.min() > 0
    higher = one.class_mean[1] > one.class_mean[0]
    knows = one.best > 0
    assert one.owner[knows].tolist() == higher[knows].astype(int).tolist()
    assert one.positive[knows].all()
    assert len(one.gallery.unit) > 0
    assert one.ablation.removed.tolist() == one.units_per_class.tolist()
    assert any("two classes" in warning for warning in one.warnings)


def test_a_limit_that_leaves_one_class_is_named(no_pass, tmp_path):
    labels = listed_set(tmp_path / "set", images=12, classes=["blue"] * 6 + ["red"] * 6)
    with pytest.raises(LabelSetError, match="of the first 6 images alone"):
        entangle(no_pass, labels, limit=6, **FED)


def test_analyses_go_to_disk_and_back(pictured, tmp_path):
    one = entangle(probe(["norm"]), pictured, analyses=("ablation", "compression", "localisation"), **FED)
    back = load(save(one, tmp_path / "norm"))
    same_numbers(one, back)
    assert back.summary() == one.summary()
    assert back.provenance.is_of(one.provenance.fingerprint)


# --- what is refused


def never(*_: Any, **__: Any) -> None:
    pytest.fail("a forward pass was run")


@pytest.fixture
def no_pass(monkeypatch) -> Probe:
    """A probe that must not be run on images."""
    look = probe(["norm"])
    look.shapes()
    monkeypatch.setattr(Probe, "__call__", never)
    return look


def test_sets_without_two_classes_are_refused_before_the_pass(no_pass, tmp_path):
    for seed in range(3):
        photograph(tmp_path / "photos" / f"{seed}.png", seed=seed)
    cases = {
        "has no classes": LabelSet.open(tmp_path / "photos"),
        "only one class, 'red'": listed_set(tmp_path / "one", images=4, classes=["red"] * 4),
        "class 'blue' has only one image": listed_set(tmp_path / "single", images=4, classes=["red"] * 3 + ["blue"]),
        "only one class, 'green'": LabelSet.open(folder_set(tmp_path / "folder", {"green": 3, "red": 3})).select(
            limit=3
        ),
    }
    for said, labels in cases.items():
        with pytest.raises(LabelSetError, match=said):
            entangle(no_pass, labels, **FED)


REFUSED = {
    "target": ({"target": "labels"}, "no target 'labels'; there is label, prediction; nearest: label"),
    "pool": ({"pool": "maxx"}, "nearest: max"),
    "rectify": ({"rectify": "on"}, "there is auto, yes, no"),
    "estimator": ({"estimator": "kmeans"}, "there is histogram, knn"),
    "analysis": ({"analyses": ("ablaton",)}, "no analysis 'ablaton'.*nearest: ablation"),
    "class limit": ({"class_limit": 1}, "class_limit must be at least 2"),
    "seed": ({"seed": -1}, "seed must be at least 0"),
    "split": ({"split": "test"}, "train, val"),
    "limit": ({"limit": 0}, "at least 1"),
    "threads": ({"threads": 0}, "threads must be at least 1"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_arguments_that_cannot_be_used(no_pass, labels, what):
    arguments, said = REFUSED[what]
    with pytest.raises(InterpkitError, match=said):
        entangle(no_pass, labels, **FED, **arguments)


def test_one_name_is_no_list_of_analyses(no_pass, labels):
    with pytest.raises(InterpkitError, match=r"analyses.*\('ablation',\)"):
        entangle(no_pass, labels, analyses="ablation", **FED)


def test_several_layers_need_the_other_function(labels):
    with pytest.raises(InterpkitError, match=r"entangle\(\) takes one layer, the probe has 2.*entangle_layers"):
        entangle(probe(["norm", "early"]), labels)


@pytest.mark.parametrize("rectify", ["auto", "yes"])
@pytest.mark.parametrize("value", [-torch.inf, torch.nan])
def test_activations_that_are_not_finite_are_refused(labels, value, rectify):
    net = small_network()
    with torch.no_grad():
        net.early.bias[2] = value
    with pytest.raises(ModelError, match=r"layer 'early' gives 256 activations that are not finite.*00\.png"):
        entangle(probe(["early"], net), labels, rectify=rectify, **FED)


# --- what is said


def test_few_images_are_warned_of(whole, tmp_path):
    first, second = whole["norm"].warnings
    assert first.startswith("60 images: below 1,000")
    assert second == "3 of 3 classes have fewer than 50 images, blue 10"
    counts = {"red": 55, "blue": 3}
    two = entangle(probe(["head"]), LabelSet.open(folder_set(tmp_path / "set", counts)), **FED)
    assert two.warnings[2] == "one class has fewer than 50 images, blue 3"


def test_the_result_says_how_it_was_made(labels, whole):
    made = whole["norm"].provenance
    assert made.labels_sha == labels.sha
    assert made.model_sha == probe().loaded.sha
    assert (made.verb, made.batch_size, made.memory_format, made.seed) == ("entangle", 4, "contiguous", 0)
    assert made.options["layers"] == list(LAYERS)
    assert {"tuning", "activations", "information of norm", "redundancy of norm"} <= made.stages.keys()
    assert made.seconds == pytest.approx(sum(made.stages.values()), abs=0.01)
    assert json.dumps(made.to_dict(), allow_nan=False)
    assert made.command.startswith("entangle_layers(Probe(model, ")


def test_the_fingerprint_is_known_beforehand(labels, whole):
    asked = DEFAULTS
    made = whole["norm"].provenance
    assert made.is_of(planned_fingerprint(probe(LAYERS), labels, asked))
    assert not made.is_of(planned_fingerprint(probe(LAYERS), labels, {**asked, "pool": "max"}))
    assert not made.is_of(planned_fingerprint(probe(["norm"]), labels, asked))


def test_progress_is_told(labels):
    told: dict[str, list[tuple[int, int]]] = {}
    tell = lambda stage, done, total: told.setdefault(stage, []).append((done, total))  # noqa: E731
    entangle(probe(["norm"]), labels, progress=tell, **FED)
    assert told["activations"] == [(done, 60) for done in range(4, 61, 4)]
    assert told["information"][-1] == (8, 8)


# --- on disk


def test_a_run_goes_to_disk_and_back(whole, tmp_path):
    for layer, one in whole.items():
        back = load(save(one, tmp_path / layer))
        same_numbers(one, back)
        assert back.provenance == one.provenance
        assert dict(back.pictures) == dict(one.pictures)
        assert back.summary() == one.summary()
        assert back.table().equals(one.table())
        listed = {path.name for path in (tmp_path / layer).iterdir()}
        assert listed == {"result.json", "scores.npz", "units.csv", "information.csv", "gallery.json"}


ARRAYS = (
    "class_images",
    "information",
    "permuted",
    "without_block",
    "entropy",
    "bins",
    "dead",
    "mean",
    "class_mean",
    "mass",
    "correlation",
    "cosine",
    "gallery.unit",
    "gallery.image",
    "gallery.peak",
    "gallery.position",
)


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_were_cut_are_refused(whole, tmp_path, name):
    folder = save(whole["early"], tmp_path / "run" / "early")
    with np.load(folder / "scores.npz") as archive:
        arrays = dict(archive)
    assert set(arrays) == set(ARRAYS)
    arrays[name] = arrays[name][:-1]
    np.savez(folder / "scores.npz", **arrays)
    with pytest.raises(ResultError, match="is damaged"):
        load(folder)
