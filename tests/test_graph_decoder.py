"""The decoder: it learns, goes on where it stopped, keeps to its network, and shows what the strongest nodes hold."""

import errno
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn_graph import SIZE, blob_set, layer, map_set, patterns
from PIL import Image
from small_networks import probe, small_network

from interpkit.errors import InterpkitError, ModelError, ResultError, UnknownNameError
from interpkit.feeding import Feeding, read_image, stack
from interpkit.graph import _synthesis
from interpkit.graph._decoder import Network, Source, check_decoder, decoder_layer, rectified, train_decoder, trained
from interpkit.graph._found import Patterns
from interpkit.graph._shown import draw
from interpkit.graph._synthesis import Decoding, as_strong, errors, held
from interpkit.labels import LabelSet
from interpkit.models import Preprocessing

FEEDING = Feeding(4, "contiguous", 1)
FED: dict[str, Any] = {"batch_size": 4, "memory_format": "contiguous", "threads": 1}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> LabelSet:
    return blob_set(tmp_path_factory.mktemp("blobs") / "set")


@pytest.fixture(scope="module")
def straight(labels: LabelSet, tmp_path_factory) -> Path:
    """The folder of a decoder that was trained without a stop."""
    folder = tmp_path_factory.mktemp("decoder") / "one"
    train_decoder(probe(["early"]), labels, folder, epochs=3, **FED)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "decoder.pt", weights_only=True)["network"]


def same_weights(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def inputs(labels: LabelSet, rows) -> np.ndarray:
    return np.stack([read_image(labels, row, probe(["early"]).preprocessing) for row in rows])


# What it learns


def test_it_comes_closer_to_new_images_than_the_mean_image_does(labels: LabelSet, tmp_path: Path) -> None:
    source = Source(probe(["early"]), labels, tuple(range(16)), "early", FEEDING)
    decoder = trained(source, tmp_path / "d", epochs=25, kept=("ram", None), seed=0, progress=lambda *_: None)
    assert decoder.loss[-1] < 0.5 * decoder.loss[0]
    ours, theirs = errors(decoder, source, range(16, 24), mean=inputs(labels, range(16)).mean(0))
    assert ours < 0.6 * theirs


def test_its_errors_are_those_of_the_plain_definition(labels: LabelSet, straight: Path) -> None:
    source = Source(probe(["early"]), labels, tuple(range(24)), "early", FEEDING)
    decoder = train_decoder(probe(["early"]), labels, straight, epochs=3, **FED)
    rows = [3, 1, 4, 15, 9]
    features = probe(["early"])(torch.from_numpy(inputs(labels, rows)))["early"].clamp(min=0)
    with torch.no_grad():
        made = decoder.network(features).numpy()
    mean = np.float32(np.random.default_rng(0).normal(size=(3, SIZE, SIZE)))
    wanted = [float(np.square(one - inputs(labels, rows)).mean()) for one in (made, mean)]
    np.testing.assert_allclose(errors(decoder, source, rows, mean=mean), wanted, rtol=1e-5)
    assert np.isnan(errors(decoder, source, [], mean=mean)).all()


def test_features_are_what_the_layer_gives_without_what_is_negative(labels: LabelSet) -> None:
    source = Source(probe(["norm", "early"]), labels, (0,), "norm", FEEDING)
    mine = np.concatenate(list(rectified(source, [7, 2, 2, 5, 0])))
    wanted = [probe(["norm"])(stack([inputs(labels, [row])[0]], "contiguous"))["norm"] for row in (7, 2, 2, 5, 0)]
    np.testing.assert_allclose(mine, torch.cat(wanted).clamp(min=0).numpy(), atol=1e-6)
    assert (mine == 0).any()


@pytest.mark.parametrize(
    ("units", "map_size", "output", "doublings"),
    [
        (512, (14, 14), (3, 224, 224), 4),
        (5, (7, 9), (1, 32, 48), 2),
        (40, (13, 13), (3, 50, 61), 2),
        (3, (8, 8), (3, 8, 8), 0),
    ],
)
def test_any_map_becomes_an_image_of_the_inputs_size(units, map_size, output, doublings) -> None:
    network = Network(units, map_size, output)
    assert sum(isinstance(one, torch.nn.Upsample) for one in network.stages) == doublings
    with torch.no_grad():
        assert network(torch.ones(2, units, *map_size)).shape == (2, *output)
    widths = [one.out_channels for one in network.stages if isinstance(one, torch.nn.Conv2d)]
    assert widths == [max(16, widths[0] >> stage) for stage in range(doublings + 1)]
    assert widths[0] == {512: 256, 5: 16, 40: 64, 3: 16}[units]


def test_scaling_a_units_features_changes_nothing(labels: LabelSet, straight: Path, tmp_path: Path) -> None:
    loud = small_network()
    with torch.no_grad():
        loud.early.weight *= 64
        loud.early.bias *= 64
    one = train_decoder(probe(["early"], loud), labels, tmp_path / "loud", epochs=3, **FED)
    other = train_decoder(probe(["early"]), labels, straight, epochs=3, **FED)
    np.testing.assert_allclose(one.loss, other.loss, rtol=1e-3)


def test_every_epoch_looks_at_every_image_in_an_order_of_its_own(labels, tmp_path, monkeypatch) -> None:
    looked: list[int] = []

    def watched(of: LabelSet, row: int, how: Preprocessing) -> np.ndarray:
        looked.append(row)
        return read_image(of, row, how)

    monkeypatch.setattr("interpkit.graph._decoder.read_image", watched)
    train_decoder(probe(["early"]), labels, tmp_path / "d", epochs=2, **FED)
    assert looked[:24] == list(range(24))  # the features
    first, second = looked[24:48], looked[48:]
    assert sorted(first) == sorted(second) == list(range(24))
    assert first != second


def test_dead_units_do_no_harm(labels: LabelSet, tmp_path: Path) -> None:
    net = small_network()
    with torch.no_grad():
        net.early.weight[:3] = 0
        net.early.bias[:3] = -1
    decoder = train_decoder(probe(["early"], net), labels, tmp_path / "d", epochs=1, **FED)
    assert decoder.network.scale[:3].tolist() == [1, 1, 1]
    assert np.isfinite(decoder.loss).all()


# Stopping and going on


def test_a_training_in_two_parts_ends_like_one(labels: LabelSet, straight: Path, tmp_path: Path) -> None:
    folder = tmp_path / "two"
    train_decoder(probe(["early"]), labels, folder, epochs=1, **FED)
    (tmp_path / "before").hardlink_to(folder / "decoder.pt")
    before = (folder / "decoder.pt").read_bytes()
    decoder = train_decoder(probe(["early"]), labels, folder, epochs=3, **FED)
    assert len(decoder.loss) == 3
    assert (tmp_path / "before").read_bytes() == before  # another file has taken its place
    assert same_weights(folder, straight)
    assert (folder / "decoder.json").read_text() == (straight / "decoder.json").read_text()


def test_a_training_that_was_stopped_goes_on(labels: LabelSet, straight: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stopped"

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "decoder" and done > 36:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_decoder(probe(["early"]), labels, folder, epochs=3, progress=stop, **FED)
    assert json.loads((folder / "decoder.json").read_text())["epochs"] == 1
    assert sorted(path.name for path in folder.iterdir()) == ["decoder.json", "decoder.pt"]
    with torch.inference_mode():  # nor does it matter what the caller has switched off
        train_decoder(probe(["early"]), labels, folder, epochs=3, **FED)
    assert same_weights(folder, straight)


def test_a_training_stopped_before_its_first_epoch_begins_anew(
    labels: LabelSet, straight: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "early"

    def stop(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_decoder(probe(["early"]), labels, folder, epochs=3, progress=stop, **FED)
    train_decoder(probe(["early"]), labels, folder, epochs=3, **FED)
    assert same_weights(folder, straight)


def test_a_decoder_that_has_had_its_epochs_is_not_trained(labels: LabelSet, straight: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in straight.iterdir()}
    stages: list[str] = []
    for epochs in (3, 2):
        decoder = train_decoder(
            probe(["early"]), labels, straight, epochs=epochs, progress=lambda stage, *_: stages.append(stage), **FED
        )
        assert len(decoder.loss) == 3
        assert not decoder.network.training
    assert stages == []
    assert before == {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in straight.iterdir()}


def test_a_training_leaves_the_network_and_random_numbers_as_they_were(labels: LabelSet, tmp_path: Path) -> None:
    look = probe(["early"])
    before = {name: value.clone() for name, value in look.model.state_dict().items()}
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    train_decoder(look, labels, tmp_path / "d", epochs=1, **FED)
    assert torch.equal(torch.get_rng_state(), state[0])
    assert (np.random.get_state()[1] == state[1]).all()
    assert all(torch.equal(value, before[name]) for name, value in look.model.state_dict().items())
    assert all(parameter.grad is None for parameter in look.model.parameters())


def test_what_was_trained_is_written_down(straight: Path) -> None:
    about = json.loads((straight / "decoder.json").read_text())
    wanted = {
        "kind": "decoder",
        "model_sha": probe(["early"]).loaded.sha,
        "layer": "early",
        "units": 6,
        "map_size": [16, 16],
        "input_size": [32, 32],
        "channels": 3,
        "images": 24,
        "seed": 0,
        "epochs": 3,
    }
    assert {name: about[name] for name in wanted} == wanted
    assert len(about["loss"]) == 3


# What is refused


def test_a_folder_of_another_network_is_refused(labels: LabelSet, straight: Path) -> None:
    other = probe(["early"], small_network(seed=1))
    with pytest.raises(ResultError, match=r"holds a decoder of layer early of .*, not of layer early of .*choose"):
        train_decoder(other, labels, straight, epochs=3, **FED)
    with pytest.raises(ResultError, match="not of layer early"):
        check_decoder(other, straight)


def test_a_folder_of_another_layer_is_refused(labels: LabelSet, straight: Path) -> None:
    with pytest.raises(ResultError, match=r"holds a decoder of layer early of .*not of layer norm"):
        train_decoder(probe(["norm"]), labels, straight, epochs=3, **FED)
    check_decoder(probe(["norm", "early"]), straight, layer="early")
    with pytest.raises(ResultError, match="not of layer norm"):
        check_decoder(probe(["norm", "early"]), straight, layer="norm")


def test_a_folder_of_other_images_or_another_seed_is_refused(labels: LabelSet, straight: Path) -> None:
    with pytest.raises(ResultError, match="trained otherwise: images: 24 there, 23 asked for; images_sha"):
        train_decoder(probe(["early"]), labels.without([4]), straight, epochs=3, **FED)
    with pytest.raises(ResultError, match="seed: 0 there, 1 asked for"):
        train_decoder(probe(["early"]), labels, straight, epochs=3, seed=1, **FED)


def test_other_images_of_the_same_names_are_refused(straight: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"trained otherwise: images_sha: .* there, .* asked for; choose"):
        train_decoder(probe(["early"]), blob_set(tmp_path, seed=1), straight, epochs=3, **FED)


def test_a_folder_of_something_else_is_left_alone(labels: LabelSet, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ResultError, match="holds no decoder, so it is left alone"):
        train_decoder(probe(["early"]), labels, tmp_path, epochs=1, **FED)
    with pytest.raises(ResultError, match=r"notes\.txt"):
        train_decoder(probe(["early"]), labels, tmp_path / "notes.txt", epochs=1, **FED)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "decoder"}', '{"kind": "other", "format": 1}', "\x00"])
def test_a_description_that_is_none_is_refused(labels: LabelSet, tmp_path: Path, text: str) -> None:
    (tmp_path / "decoder.json").write_text(text)
    with pytest.raises(ResultError, match=r"decoder\.json"):
        train_decoder(probe(["early"]), labels, tmp_path, epochs=1, **FED)


def test_a_newer_format_is_refused(labels: LabelSet, straight: Path, tmp_path: Path) -> None:
    about = json.loads((straight / "decoder.json").read_text()) | {"format": 9}
    (tmp_path / "decoder.json").write_text(json.dumps(about))
    with pytest.raises(ResultError, match="has format 9"):
        train_decoder(probe(["early"]), labels, tmp_path, epochs=1, **FED)


class Harmful:
    def __reduce__(self):
        return (pytest.fail, ("code ran",))


@pytest.mark.parametrize("content", [b"", b"no archive", pickle.dumps(Harmful()), "other"])
def test_a_state_that_is_none_is_refused_and_runs_no_code(labels, straight, tmp_path, content) -> None:
    (tmp_path / "decoder.json").write_bytes((straight / "decoder.json").read_bytes())
    if content == "other":
        buffer = io.BytesIO()
        torch.save({"network": {}}, buffer)
        content = buffer.getvalue()
    (tmp_path / "decoder.pt").write_bytes(content)
    with pytest.raises(ResultError, match=r"decoder\.pt is (damaged|not the decoder)"):
        train_decoder(probe(["early"]), labels, tmp_path, epochs=4, **FED)


def test_a_state_of_another_training_is_refused(labels: LabelSet, straight: Path, tmp_path: Path) -> None:
    train_decoder(probe(["early"]), labels, tmp_path / "d", epochs=1, seed=1, **FED)
    (tmp_path / "d" / "decoder.json").write_bytes((straight / "decoder.json").read_bytes())
    with pytest.raises(ResultError, match=r"decoder\.pt is not the decoder that decoder\.json describes"):
        train_decoder(probe(["early"]), labels, tmp_path / "d", epochs=4, **FED)


def test_a_disk_that_fills_up_leaves_the_last_epoch_whole(labels, straight, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "full"
    train_decoder(probe(["early"]), labels, folder, epochs=1, **FED)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write_bytes = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if "decoder.pt" not in path.name:
            return write_bytes(path, content)
        write_bytes(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ResultError, match=r"cannot write the decoder into .*: No space left on device"):
        train_decoder(probe(["early"]), labels, folder, epochs=3, **FED)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    train_decoder(probe(["early"]), labels, folder, epochs=3, **FED)
    assert same_weights(folder, straight)


def test_a_place_that_cannot_be_written_is_one_line(labels: LabelSet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot"):
        train_decoder(probe(["early"]), labels, tmp_path / "file" / "d", epochs=1, **FED)


def test_the_layer_is_the_deepest_with_maps_large_enough() -> None:
    shapes = {"a": (8, 28, 28), "b": (8, 7, 9), "c": (8, 6, 14)}
    assert decoder_layer(shapes) == "a"
    assert decoder_layer({"b": (8, 7, 9), "b2": (8, 13, 40), "c": (8, 6, 14)}) == "b2"
    assert decoder_layer({"a": (8, 14, 14), "a2": (8, 14, 15), "b": (8, 7, 9)}) == "a2"
    assert decoder_layer(shapes, "c") == "c"
    with pytest.raises(UnknownNameError, match="no layer 'bb' to decode; there is a, b, c; nearest: b"):
        decoder_layer(shapes, "bb")
    with pytest.raises(InterpkitError, match="at least 7x7 cells; there is c 6x14"):
        decoder_layer({"c": (8, 6, 14)})


def test_no_epochs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InterpkitError, match="at least 1 epoch, not 0"):
        check_decoder(probe(["early"]), tmp_path / "d", epochs=0)


def test_activations_that_are_not_finite_are_refused(labels: LabelSet, tmp_path: Path) -> None:
    net = small_network()
    with torch.no_grad():
        net.early.bias[2] = float("nan")
    with pytest.raises(ModelError, match=r"'early' gives .* not finite .*00\.png"):
        train_decoder(probe(["early"], net), labels, tmp_path / "d", epochs=1, **FED)


# What the strongest nodes hold


def test_only_cells_of_the_strongest_tenth_are_kept() -> None:
    one = layer(units=8, nodes=9, map_size=(8, 10))
    mine = patterns(one, 4, 0, silent=0.3).training
    mine.score[3] = 0
    mine.place[3] = np.nan  # nobody has a place there
    wanted = np.zeros((4, 8, 8, 10), bool)
    for image in range(3):
        order = sorted(range(63), key=lambda v: (-mine.score[image, v], v))[:7]
        for node in order:
            row, column = (mine.place[image, node] - one.placement[0]) / one.placement[1]
            wanted[image, 1 + node // 9, round(float(row)), round(float(column))] = True
    np.testing.assert_array_equal(held(one, mine), wanted)


def test_what_is_kept_is_as_strong_as_what_was_there() -> None:
    rng = np.random.default_rng(0)
    features, scale = np.float32(rng.uniform(0, 9, (3, 5, 4, 4))), np.float32([1, 2, 3, 4, 5])
    kept = features * (rng.random(features.shape) < 0.1)
    kept[2] = 0
    raised = as_strong(kept, features, scale=scale)
    for image in range(2):
        energy = [sum((one[image, u] / scale[u]) ** 2 for u in range(5)).sum() for one in (raised, features)]
        assert energy[0] == pytest.approx(energy[1], rel=1e-5)
        on = kept[image] > 0
        np.testing.assert_allclose(np.ptp(raised[image][on] / kept[image][on]), 0, atol=1e-5)
        assert not raised[image][~on].any()
    assert not raised[2].any()


@pytest.mark.parametrize("held_out", [0, 5])
def test_images_that_were_turned_are_made_from_what_was_seen(held_out: int, tmp_path: Path) -> None:
    labels = map_set(tmp_path / "set", images=12)
    low = layer("early", units=6, map_size=(16, 16))
    seen = patterns(low, 7, held_out)
    training, others = list(range(2, 9)), [0, 1, 9, 10, 11][:held_out]
    given: list[np.ndarray] = []
    turned = np.ones(7, bool), np.ones(held_out, bool)
    with pytest.MonkeyPatch.context() as patch:
        plain = _synthesis.held
        patch.setattr(_synthesis, "held", lambda one, found: given.append(found.place) or plain(one, found))
        features = []
        looked = _synthesis.as_strong
        patch.setattr(
            _synthesis, "as_strong", lambda kept, whole, **named: features.append(whole) or looked(kept, whole, **named)
        )
        for which in (None, turned):
            draw(
                [low, layer("norm")],
                [seen, patterns(layer("norm"), 7, held_out)],
                labels,
                training=training,
                held_out=others,
                probe=probe(),
                feeding=FEEDING,
                turned=which,
                decoding=Decoding(tmp_path / "decoder", epochs=1, layer="early"),
            )
    straight, mirrored = given
    np.testing.assert_allclose(mirrored[..., 1], SIZE - 1 - straight[..., 1])
    np.testing.assert_array_equal(mirrored[..., 0], straight[..., 0])
    rows = (others or training)[:1]
    look = probe(["early"])
    image = read_image(labels, rows[0], look.preprocessing)
    for maps, one in zip(features, (image, image[:, :, ::-1].copy()), strict=True):
        wanted = look(torch.from_numpy(one)[None])["early"][0].clamp(min=0)
        np.testing.assert_allclose(maps[0], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("held_out", [0, 5])
def test_synthesised_images_stand_beside_their_image(held_out: int, tmp_path: Path) -> None:
    labels = map_set(tmp_path / "set", images=12)
    low = layer("early", units=6, map_size=(16, 16), edges=np.zeros((15, 1), np.int64))
    layers = [low, layer("norm")]
    mine: list[Patterns] = [patterns(one, 7, held_out) for one in layers]
    training, others = list(range(2, 9)), [0, 1, 9, 10, 11][:held_out]
    made = {}
    for epochs in (1, 2):
        shown, pictures = draw(
            layers,
            mine,
            labels,
            training=training,
            held_out=others,
            probe=probe(),
            feeding=FEEDING,
            decoding=Decoding(tmp_path / "decoder", epochs=epochs),
        )
        made[epochs] = shown, dict(pictures)
    shown, pictures = made[1]
    assert shown.synthesis_layer == "early"
    rows = others or training
    assert [triple[0] for triple in shown.synthesis] == [
        f"{rows[at]:02d}.png" for at in ([0, 1, 3, 4], [0, 2, 4, 6])[not held_out]
    ]
    assert set(pictures) == set(shown.names)
    for triple in shown.synthesis:
        sizes = {Image.open(io.BytesIO(pictures[name])).size for name in triple}
        assert sizes == {(128, 64)}
        assert pictures[triple[1]] != pictures[triple[2]]
    assert np.isfinite(shown.synthesis_error).all() == bool(held_out)
    assert made[1][0].synthesis != made[2][0].synthesis
    assert json.loads((tmp_path / "decoder" / "decoder.json").read_text())["images"] == 7
