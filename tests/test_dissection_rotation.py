"""rotate(): turns of random bases, and layers dissected in them."""

import json
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labels_on_disk import small_broden
from made_results import OPTIONS, provenance
from numpy.typing import NDArray
from reference import dissection as plain
from reference.broden_reader import read_broden
from small_networks import PRIMARY, SIZE, Small, probe, small_set

from interpkit import build_report, dissect_layers
from interpkit.cli import main
from interpkit.cli._dissect import dissect as command
from interpkit.cli._job import ROTATE
from interpkit.cli._shown import show
from interpkit.dissection import planned_rotation, rotate, rotate_layers
from interpkit.dissection._turning import Turn, random_rotation
from interpkit.errors import InterpkitError, LabelSetError, ModelError, ResultError
from interpkit.feeding import read_image, stack
from interpkit.labels import LabelSet
from interpkit.results import Dissection, Rotation, load, save

FED: dict[str, Any] = {"batch_size": 2, "memory_format": "contiguous"}
LAYERS = ("early", "norm")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> LabelSet:
    return small_set(tmp_path_factory.mktemp("labels") / "set")


@pytest.fixture(scope="module")
def turned(labels: LabelSet) -> dict[str, Rotation]:
    return rotate_layers(probe(LAYERS), labels, alphas=(1, 0, 0.4), rotations=2, quantile=0.05, iou=0.02, **FED)


# --- turns


@given(st.integers(1, 9), st.integers(0, 99))
def test_a_random_rotation_is_a_rotation(units: int, seed: int) -> None:
    q = random_rotation(units, seed=seed)
    np.testing.assert_allclose(q @ q.T, np.eye(units), atol=1e-12)
    assert np.linalg.det(q) == pytest.approx(1)


def test_no_rotation_is_likelier_than_another() -> None:
    # Of the Haar measure every entry has mean 0 and variance 1 / U; plain factors have a diagonal of one sign.
    draws = np.stack([random_rotation(4, seed=(7, n)) for n in range(4000)])
    np.testing.assert_allclose(draws.mean(0), 0, atol=0.04)
    np.testing.assert_allclose(draws.var(0), 0.25, atol=0.03)


def assert_powers(q: NDArray[np.float64]) -> None:
    """Powers of a rotation that add up, from nothing to all of it."""
    turn, units = Turn.of(q), len(q)
    np.testing.assert_allclose(turn.power(0), np.eye(units), atol=1e-10)
    np.testing.assert_allclose(turn.power(1), q, atol=1e-10)
    half, rest = turn.power(0.3), turn.power(0.7)
    np.testing.assert_allclose(half @ rest, q, atol=1e-10)
    np.testing.assert_allclose(half @ half.T, np.eye(units), atol=1e-10)
    assert np.linalg.det(half) == pytest.approx(1)
    # By the shortest way: no plane turns by more than its share of half a turn.
    cosines = np.linalg.eigvalsh((half + half.T) / 2)
    assert cosines.min() >= np.cos(0.3 * np.pi) - 1e-9


@given(st.integers(1, 9), st.integers(0, 99))
def test_powers_of_a_rotation_add_up(units: int, seed: int) -> None:
    assert_powers(random_rotation(units, seed=seed))


@pytest.mark.parametrize("diagonal", [[1, 1], [-1, -1], [-1, 1, -1], [1, -1, 1, -1, 1], [-1, -1, -1, -1]])
def test_powers_where_axes_are_kept_or_flipped(diagonal: list[int]) -> None:
    basis = random_rotation(len(diagonal), seed=3)
    assert_powers(np.diag(np.array(diagonal, float)))
    assert_powers(basis @ np.diag(diagonal) @ basis.T)


# --- layers


def test_unturned_is_the_dissection_bit_for_bit(labels: LabelSet, turned: dict[str, Rotation]) -> None:
    for layer, whole in dissect_layers(probe(LAYERS), labels, quantile=0.05, iou=0.02, **FED).items():
        found = turned[layer]
        assert found.alphas.tolist() == [0, 0.4, 1]
        for r in range(2):
            for g, category in enumerate(whole.categories):
                rows, value = whole.best(category)
                assert found.concept[0, r, :, g].tolist() == rows.tolist()
                assert found.iou[0, r, :, g].tolist() == value.tolist()
            assert whole.chance is not None
            assert found.luck_at(0, r).iou.tolist() == whole.chance.iou.tolist()
        summary = whole.summary()
        first = found.table().iloc[0]
        assert first["unique_detectors_every_category"] == summary["unique_detectors_every_category"]
        assert first["detectors"] == summary["detectors"] > 0


def test_turned_layers_agree_with_the_definition(labels: LabelSet, turned: dict[str, Rotation]) -> None:
    look, found = probe(["norm"]), turned["norm"]
    images = [read_image(labels, row, look.preprocessing) for row in range(len(labels))]
    maps = look(stack(images, "contiguous"))["norm"].numpy().astype(np.float64)
    written = read_broden(labels.root)
    start, stride = ((SIZE / 8 - 1) / 2,) * 2, (SIZE / 8,) * 2
    where = plain.Geometry((SIZE, SIZE), labels.grid or (0, 0), start, stride)
    checked = 0
    for a, r in ((1, 0), (2, 1)):
        matrix = Turn.of(random_rotation(8, seed=(0, r))).power(found.alphas[a])
        other = np.einsum("vu,nuhw->nvhw", matrix, maps).astype(np.float32)
        answer = plain.dissected(other, written, PRIMARY, quantile=0.05, geometry=where)
        numbers = found.concepts["number"].tolist()
        for unit in np.flatnonzero(np.array(answer.doubtful) == 0).tolist():
            for g, category in enumerate(found.categories):
                mine = [answer.iou[unit, n] for n in numbers if PRIMARY[n] == category]
                best = max([value for value in mine if value == value], default=0.0)
                assert found.iou[a, r, unit, g] == pytest.approx(best)
                checked += 1
    assert checked > 20
    assert not np.allclose(found.iou[1], found.iou[2])
    assert not np.allclose(found.iou[2, 0], found.iou[2, 1])


@pytest.mark.parametrize("cache", ["disk", "none"])
def test_where_maps_are_kept_changes_nothing(
    labels: LabelSet, turned: dict[str, Rotation], cache: Any, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"alphas": [1, 0, 0.4], "rotations": 2, "quantile": 0.05, "iou": 0.02}
    again = rotate_layers(probe(LAYERS), labels, cache=cache, scratch=tmp_path, **options, **FED)
    for layer, one in again.items():
        assert (one.iou == turned[layer].iou).all()
        assert (one.luck_concept == turned[layer].luck_concept).all()
    assert again["early"].provenance.fingerprint == turned["early"].provenance.fingerprint
    assert again["early"].provenance.is_of(
        planned_rotation(
            probe(LAYERS),
            labels,
            {**{name: p.default for name, p in signature(rotate_layers).parameters.items()}, **options, **FED},
        )
    )


@pytest.mark.parametrize(("cache", "passes"), [("ram", 1), ("none", 4)])
def test_kept_maps_spare_the_network(labels: LabelSet, cache: Any, passes: int) -> None:
    look = probe(["norm"])
    look.shapes()
    seen: list[int] = []
    assert isinstance(look.model, Small)
    look.model.norm.register_forward_hook(lambda _module, _inputs, output: seen.append(len(output)))
    rotate(look, labels, alphas=[0, 1], rotations=2, cache=cache, **FED)
    # Images that a layer is measured on beforehand come one or two at a time, and not for each pass.
    assert sum(seen) // len(labels) == passes


def test_a_single_alpha_and_images_that_cannot_be_read(labels: LabelSet, tmp_path: Path) -> None:
    damaged = small_set(tmp_path / "set")
    (damaged.root / "images" / damaged.images["image"].iloc[1]).write_bytes(b"no image")
    found = rotate(probe(["norm"]), damaged, alphas=[1], rotations=1, skip_bad=True, **FED)
    assert (found.alphas.tolist(), found.images, len(found.skipped)) == ([1.0], len(labels) - 1, 1)


@pytest.mark.parametrize("alphas", [(), (0, 0), (0, 1.5), (-0.1,), (float("nan"),)])
def test_other_alphas_are_refused(labels: LabelSet, alphas: tuple[float, ...]) -> None:
    with pytest.raises(InterpkitError, match="different numbers from 0 to 1"):
        rotate(probe(["norm"]), labels, alphas=alphas)


def test_no_rotation_and_no_labels_are_refused(labels: LabelSet, tmp_path: Path) -> None:
    with pytest.raises(InterpkitError, match="rotations must be at least 1, not 0"):
        rotate(probe(["norm"]), labels, rotations=0)
    (tmp_path / "a.png").write_bytes((labels.root / "images" / labels.images["image"].iloc[0]).read_bytes())
    with pytest.raises(LabelSetError, match="a rotation is judged by concepts"):
        rotate(probe(["norm"]), LabelSet.open(tmp_path))


def test_infinite_activations_name_the_turned_layer(labels: LabelSet) -> None:
    look = probe(["norm"])
    assert isinstance(look.model, Small)
    look.model.norm.weight.data.fill_(float("inf"))
    with pytest.raises(ModelError, match=r"layer 'norm turned by 0.5 of rotation 0' gives"):
        rotate(look, labels, alphas=[0.5], rotations=1, **FED)


# --- the result


def test_a_rotation_is_kept_whole(turned: dict[str, Rotation], tmp_path: Path) -> None:
    one = turned["norm"]
    again = load(save(one, tmp_path / "run" / "norm-rotate"))
    for name in ("alphas", "concept", "iou", "luck_concept", "luck_iou"):
        np.testing.assert_array_equal(getattr(again, name), getattr(one, name))
    assert again.summary() == one.summary()
    assert (again.provenance, again.skipped, again.order) == (one.provenance, one.skipped, 1)
    assert "random bases" in one._repr_html_()
    with np.load(tmp_path / "run/norm-rotate/scores.npz") as archive:
        arrays = dict(archive)
    np.savez(tmp_path / "run/norm-rotate/scores.npz", **{**arrays, "alphas": arrays["alphas"][:2]})
    with pytest.raises(ResultError, match="alphas has shape"):
        load(tmp_path / "run/norm-rotate")


def made(iou: NDArray[np.float64], concept: NDArray[np.int64]) -> Rotation:
    """A rotation of IoU (A, R, U, 1) with concepts of one category; luck finds nothing."""
    import pandas as pd

    return Rotation(
        layer="layer",
        concepts=pd.DataFrame({"number": [1, 2, 3], "name": ["a", "b", "<script>"], "category": ["object"] * 3}),
        categories=("object",),
        alphas=np.array([0.0, 1.0]),
        concept=concept,
        iou=iou,
        luck_concept=np.full(concept.shape, -1),
        luck_iou=np.zeros(iou.shape),
        images=5,
        provenance=provenance(verb="rotate", model="<script>", options={**OPTIONS, "rotations": 2}),
    )


def test_means_and_ranges_are_over_the_rotations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    iou = np.array([[[0.5, 0.3, 0.1]] * 2, [[0.5, 0.01, 0.02], [0.5, 0.3, 0.01]]])[..., None]
    concept = np.array([[[0, 1, 2]] * 2, [[0, 1, 2], [0, 1, 2]]])[..., None]
    one = made(iou, concept)
    first, last = one.summary()["alphas"]
    assert (first["unique_detectors_top_label"], first["range"]["detectors"]) == (3.0, [3, 3])
    assert (last["unique_detectors_top_label"], last["range"]["detectors"]) == (1.5, [1, 2])
    show(one)
    assert ["1", "1.5", "0.0", "1.5", "0.0"] in [line.split() for line in capsys.readouterr().out.splitlines()]
    assert "<script>" not in one._repr_html_()
    save(one, tmp_path / "layer-rotate")
    page = build_report(tmp_path).read_text()
    assert "3 unique detectors as the units are, 1.5 in a random basis" in page
    assert "what is lost belongs to the units" in page
    same = made(iou[[0, 0]], concept)
    save(same, tmp_path / "layer-rotate", overwrite=True)
    assert "the difference is within the spread" in build_report(tmp_path).read_text()
    more = made(iou[::-1], concept)
    save(more, tmp_path / "layer-rotate", overwrite=True)
    assert "random directions detect more" in build_report(tmp_path).read_text()


# --- the command


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["dissect", "python:networks:tiny", "--size", "16", "--layer", "body", *map(str, arguments)])
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out, said.err


def test_flags_are_the_signature() -> None:
    flags = {name: p.default for name, p in signature(command).parameters.items()}
    keywords = {n: p.default for n, p in signature(rotate_layers).parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert keywords.pop("progress") is None
    assert keywords.pop("work") is None
    assert set(ROTATE.options) == set(keywords)
    assert keywords.pop("alphas") == (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    assert {name: flags[name] for name in keywords} == keywords


def test_the_page_of_a_dissection_holds_its_rotation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, out = small_broden(tmp_path / "set"), tmp_path / "run"
    asked = ("--labels", labels, "--out", out, "--rotate", "1,0", "--rotations", "2", "--quiet")
    status, said, _ = run(capsys, *asked)
    assert status == 0
    assert "units turned towards 2 random bases" in said
    assert {path.name for path in out.iterdir()} >= {"body", "body-rotate", "index.html"}
    page = (out / "index.html").read_text()
    assert page.index("The same layer, turned") > page.index("How clear the detectors are")
    stored = load(out / "body-rotate")
    assert "--rotate 0.0,1.0 --rotations 2" in stored.provenance.command
    status, said, _ = run(capsys, *asked, "--json")
    assert status == 0
    told = json.loads(said)
    assert [step["alpha"] for step in told["rotate"][0]["alphas"]] == [0, 1]
    assert len(told["layers"]) == 1
    assert load(out / "body-rotate").provenance == stored.provenance
    status, _, said = run(capsys, "--labels", labels, "--out", out, "--rotate", "0")
    assert (status, "holds another run" in said) == (2, True)


def test_a_new_dissection_forgets_the_rotation_of_the_old(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, out = small_broden(tmp_path / "set"), tmp_path / "run"
    assert run(capsys, "--labels", labels, "--out", out, "--rotate", "0", "--no-report")[0] == 0
    asked = ("--labels", labels, "--out", out, "--no-report", "--quantile", "0.01")
    assert run(capsys, *asked)[0] == 2
    assert run(capsys, *asked, "--overwrite")[0] == 0
    assert not (out / "body-rotate").exists()
    assert isinstance(load(out), Dissection)


@pytest.mark.parametrize(("option", "value"), [("--rotate", "0,2"), ("--rotate", "a"), ("--rotations", "0")])
def test_mistakes_are_said_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    labels = small_broden(tmp_path / "set")
    more = () if option == "--rotate" else ("--rotate", "0,1")
    status, _, said = run(capsys, "--labels", labels, "--out", tmp_path / "run", *more, option, value, "--quiet")
    assert (status, len(said.splitlines())) == (2, 1)
    assert not (tmp_path / "run").exists()
