"""shuffle(): masks against the labels of other images, and how many detectors that makes luck."""

import json
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from labels_on_disk import small_broden
from made_results import OPTIONS, provenance
from numpy.typing import NDArray
from small_networks import probe, small_set

from interpkit import build_report, dissect_layers
from interpkit.cli import main
from interpkit.cli._dissect import dissect as command
from interpkit.cli._job import SHUFFLE
from interpkit.cli._shown import show
from interpkit.dissection import shuffle, shuffle_layers
from interpkit.errors import InterpkitError, LabelSetError, ResultError
from interpkit.labels import LabelSet
from interpkit.results import Shuffles, load, save

FED: dict[str, Any] = {"batch_size": 2, "memory_format": "contiguous", "quantile": 0.05, "iou": 0.02}
LAYERS = ("early", "norm")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> LabelSet:
    return small_set(tmp_path_factory.mktemp("labels") / "set")


@pytest.fixture(scope="module")
def shuffled(labels: LabelSet) -> dict[str, Shuffles]:
    return shuffle_layers(probe(LAYERS), labels, shuffles=4, **FED)


def test_the_first_shuffle_is_the_chance_level_of_the_dissection(
    labels: LabelSet, shuffled: dict[str, Shuffles]
) -> None:
    for layer, whole in dissect_layers(probe(LAYERS), labels, **FED).items():
        found = shuffled[layer]
        assert whole.chance is not None
        assert found.best().tolist() == whole.best()[1].tolist()
        for g, category in enumerate(whole.categories):
            assert found.concept[:, g].tolist() == whole.best(category)[0].tolist()
        assert (found.luck_iou[0] == whole.chance.iou).all()
        assert (found.luck_concept[0] == whole.chance.concept).all()
        assert found.summary()["detectors"] == whole.summary()["detectors"]


def test_shuffles_differ_and_a_shorter_run_is_their_beginning(labels: LabelSet, shuffled: dict[str, Shuffles]) -> None:
    found = shuffled["norm"]
    assert not any((found.luck_iou[a] == found.luck_iou[b]).all() for a in range(4) for b in range(a))
    two = shuffle(probe(["norm"]), labels, shuffles=2, **FED)
    assert (two.luck_iou == found.luck_iou[:2]).all()
    other = shuffle(probe(["norm"]), labels, shuffles=2, seed=1, **FED)
    assert not (other.luck_iou == two.luck_iou).all()
    assert (other.iou == two.iou).all()


def made(best: NDArray[np.float64], luck: NDArray[np.float64]) -> Shuffles:
    """Shuffles of units with best IoU (U,) and (K, U), of one concept in one category."""
    return Shuffles(
        layer="layer",
        concepts=pd.DataFrame({"number": [1], "name": ["<script>"], "category": ["object"]}),
        categories=("object",),
        concept=np.zeros((len(best), 1), np.int64),
        iou=best[:, None],
        luck_concept=np.zeros((*luck.shape, 1), np.int64),
        luck_iou=luck[..., None],
        images=5,
        provenance=provenance(verb="shuffle", model="<script>", options={**OPTIONS, "shuffles": len(luck)}),
    )


def test_rates_and_probabilities_are_counts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    one = made(np.array([0.2, 0.05, 0.05, 0.01]), np.array([[0.1, 0.01, 0.06, 0.0], [0.0, 0.0, 0.05, 0.01]]))
    table = one.rates(np.array([0.04, 0.3]))
    assert table["detectors"].tolist() == [3, 0]
    assert table["chance"].tolist() == [1.5, 0.0]
    assert (table["lowest"].tolist(), table["highest"].tolist()) == ([1, 0], [2, 0])
    assert table["rate"].iloc[0] == pytest.approx(0.5)
    assert np.isnan(table["rate"].iloc[1])
    np.testing.assert_allclose(one.probability(), [1 / 3, 1 / 3, 1.0, 2 / 3])
    assert one.table()["largest_by_chance"].tolist() == [0.1, 0.01, 0.06, 0.01]
    assert one.summary()["false_detector_rate"] == pytest.approx(0.5)
    show(one)
    assert "false-detector rate at IoU > 0.04: 50.0%" in capsys.readouterr().out
    assert "<script>" not in one._repr_html_()
    save(one, tmp_path / "layer-shuffle")
    page = build_report(tmp_path).read_text()
    assert "3 detectors at IoU &gt; .04; with the labels shuffled, 1.5" in page
    assert "The false-detector rate is <b>50 %</b>" in page
    # More luck than detectors is no more than all of them.
    assert made(np.array([0.2, 0.0]), np.ones((2, 2))).summary()["false_detector_rate"] == 1
    nothing = made(np.zeros(2), np.zeros((1, 2)))
    assert nothing.summary()["false_detector_rate"] is None
    save(nothing, tmp_path / "layer-shuffle", overwrite=True)
    assert "0 detectors at IoU" in build_report(tmp_path).read_text()


def test_shuffles_are_kept_whole(shuffled: dict[str, Shuffles], tmp_path: Path) -> None:
    one, folder = shuffled["norm"], tmp_path / "norm-shuffle"
    again = load(save(one, folder))
    for name in ("concept", "iou", "luck_concept", "luck_iou"):
        np.testing.assert_array_equal(getattr(again, name), getattr(one, name))
    assert (again.summary(), again.provenance, again.order) == (one.summary(), one.provenance, 1)
    with np.load(folder / "scores.npz") as archive:
        arrays = dict(archive)
    np.savez(folder / "scores.npz", **{**arrays, "iou": arrays["iou"][:2]})
    with pytest.raises(ResultError, match="iou has shape"):
        load(folder)


def test_no_shuffle_and_no_labels_are_refused(labels: LabelSet, tmp_path: Path) -> None:
    with pytest.raises(InterpkitError, match="shuffles must be at least 1, not 0"):
        shuffle(probe(["norm"]), labels, shuffles=0)
    with pytest.raises(LabelSetError, match="labels are shuffled among two images or more; of label set set 1 is used"):
        shuffle(probe(["norm"]), labels, limit=1)
    (tmp_path / "a.png").write_bytes((labels.root / "images" / labels.images["image"].iloc[0]).read_bytes())
    with pytest.raises(LabelSetError, match="a shuffle of labels is judged by concepts"):
        shuffle(probe(["norm"]), LabelSet.open(tmp_path))


def test_flags_are_the_signature() -> None:
    flags = {name: p.default for name, p in signature(command).parameters.items()}
    keywords = {n: p.default for n, p in signature(shuffle_layers).parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert set(SHUFFLE.options) | {"progress", "work"} == set(keywords)
    assert {name: flags[name] for name in set(SHUFFLE.options) - {"shuffles"}} == {
        name: keywords[name] for name in set(SHUFFLE.options) - {"shuffles"}
    }


def test_the_page_of_a_dissection_holds_its_shuffles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, out = small_broden(tmp_path / "set"), tmp_path / "run"
    asked = ["dissect", "python:networks:tiny", "--size", "16", "--layer", "body", "--labels", str(labels)]
    for count, more, status in (("3", (), 0), ("0", (), 2), ("3", ("--limit", "1"), 2)):
        with pytest.raises(SystemExit) as stop:
            main([*asked, "--out", str(out), "--shuffle-labels", count, "--json", "--quiet", *more])
        assert int(stop.value.code or 0) == status
    said = capsys.readouterr()
    assert json.loads(said.out)["shuffle"][0]["shuffles"] == 3
    assert "shuffles must be at least 1, not 0" in said.err
    assert "among two images or more" in said.err
    assert "How many detectors are luck" in (out / "index.html").read_text()
    assert "--shuffle-labels 3" in load(out / "body-shuffle").provenance.command
