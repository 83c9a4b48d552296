"""Masks written for other programs: those that were counted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labels_on_disk import small_broden
from numpy.typing import NDArray
from PIL import Image
from small_networks import probe, small_network, small_set

from interpkit import dissect
from interpkit.cli import main
from interpkit.dissection import _masks as masks
from interpkit.dissection import check_form, export_masks
from interpkit.errors import InterpkitError, UnknownNameError
from interpkit.labels import LabelSet
from interpkit.results import Dissection, load, picture_file

FED: dict[str, Any] = {"batch_size": 2, "memory_format": "contiguous", "quantile": 0.05, "iou": 0.02}


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> LabelSet:
    return small_set(tmp_path_factory.mktemp("labels") / "set")


@pytest.fixture(scope="module")
def result(labels: LabelSet) -> Dissection:
    return dissect(probe(["norm"]), labels, **FED)


def decoded(segmentation: dict[str, Any]) -> NDArray[np.bool_]:
    """(sh, sw) by the definition: pixel after pixel down the columns, each run other than the one before."""
    height, width = segmentation["size"]
    mask, place, on = np.zeros((height, width), bool), 0, False
    for length in segmentation["counts"]:
        for _ in range(length):
            mask[place % height, place // height] = on
            place += 1
        on = not on
    assert place == height * width
    return mask


def test_every_mask_adds_up_to_what_was_counted(labels: LabelSet, result: Dissection, tmp_path: Path) -> None:
    path = export_masks(result, probe(["early", "norm"]), labels, folder=tmp_path / "masks")
    document = json.loads(path.read_text())
    assert path.name == "masks.json"
    assert [p.name for p in path.parent.iterdir()] == ["masks.json"]
    area = np.zeros(result.units, np.int64)
    pairs = []
    for number, one in enumerate(document["annotations"], start=1):
        mask = decoded(one["segmentation"])
        assert (one["id"], one["area"], one["iscrowd"]) == (number, mask.sum(), 1)
        x, y, width, height = one["bbox"]
        assert mask[y : y + height, x : x + width].sum() == one["area"] > 0
        inside = mask[y : y + height, x : x + width]
        assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))
        area[one["category_id"]] += one["area"]
        pairs.append((one["image_id"], one["category_id"]))
    assert area.tolist() == result.counts.state[1][:, -1].tolist()
    assert len(set(pairs)) == len(pairs)
    images = {one["id"]: one for one in document["images"]}
    assert {one["file_name"] for one in images.values()} <= set(labels.images["image"])
    assert {(one["height"], one["width"]) for one in images.values()} == {result.grid}
    table = result.table()
    for one in document["categories"]:
        row = table.iloc[one["id"]]
        assert (one["name"], one["supercategory"]) == (row["concept"] or "none", row["category"])
    assert {one["id"] for one in document["categories"]} == {unit for _, unit in pairs}


def test_pictures_are_the_same_masks(labels: LabelSet, result: Dissection, tmp_path: Path) -> None:
    coco = json.loads(export_masks(result, probe(["norm"]), labels, folder=tmp_path / "a", units=[5, 2]).read_text())
    folder = export_masks(result, probe(["norm"]), labels, folder=tmp_path / "b", form="png", units=[2, 5])
    names = {one["id"]: one["file_name"] for one in coco["images"]}
    written = {str(path.relative_to(folder)) for path in folder.rglob("*.png")}
    assert len(written) == len(coco["annotations"]) > 2
    for one in coco["annotations"]:
        name = Path(str(one["category_id"])) / Path(picture_file(names[one["image_id"]])).with_suffix(".png")
        with Image.open(folder / name) as image:
            assert image.mode == "1"
            assert (np.array(image) == decoded(one["segmentation"])).all()
    assert {path.name for path in folder.iterdir()} <= {"2", "5"}


def test_runs_begin_with_what_is_off() -> None:
    assert masks.runs(np.ones((2, 2), np.uint8)) == [0, 4]
    assert masks.runs(np.zeros((2, 2), np.uint8)) == [4]
    rng = np.random.default_rng(0)
    for _ in range(50):
        mask = (rng.random((4, 3)) < 0.5).astype(np.uint8)
        assert (decoded({"size": [4, 3], "counts": masks.runs(mask)}) == mask).all()


def test_what_does_not_exist_is_refused(
    labels: LabelSet, result: Dissection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = probe(["norm"])
    for units in ([8], [-1, 2]):
        with pytest.raises(UnknownNameError, match=rf"no unit {units[0]};"):
            export_masks(result, look, labels, folder=tmp_path / "x", units=units)
    wrong: Any = "pgn"
    with pytest.raises(InterpkitError, match="no form 'pgn' of masks; there is png, rle; nearest: png"):
        export_masks(result, look, labels, folder=tmp_path / "x", form=wrong)
    with pytest.raises(InterpkitError, match="with other weights or labels"):
        export_masks(result, probe(["norm"], small_network(1)), labels, folder=tmp_path / "x")
    monkeypatch.setattr(masks, "MOST_PICTURES", 79)
    with pytest.raises(InterpkitError, match=r"8 units on 10 images would be 80 pictures"):
        export_masks(result, look, labels, folder=tmp_path / "x", form="png")
    check_form("rle", units=8, images=10)
    check_form("png", units=7, images=10)
    assert not (tmp_path / "x").exists()


def test_a_document_that_was_not_finished_is_not_there(labels: LabelSet, result: Dissection, tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_masks(result, probe(["norm"]), labels, folder=tmp_path, progress=stop)
    assert list(tmp_path.iterdir()) == []


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["dissect", "python:networks:tiny", "--size", "16", "--layer", "body", *map(str, arguments)])
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out, said.err


def test_the_command_lists_and_exports_units(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, out = small_broden(tmp_path / "set"), tmp_path / "run"
    asked = ("--labels", labels, "--out", out, "--no-report", "--quiet", "--quantile", "0.2")
    status, said, _ = run(capsys, *asked, "--export-masks", "rle", "--units", "3,1")
    assert status == 0
    assert str(out / "body/masks/masks.json") in said
    assert {one["id"] for one in json.loads((out / "body/masks/masks.json").read_text())["categories"]} <= {1, 3}
    rows = [line.split() for line in said.splitlines() if line.startswith("  ")]
    head = rows.index(["unit", "concept", "category", "IoU", "detector", "top", "image"])
    assert [row[0] for row in rows[head + 1 :]] == ["1", "3"]
    assert "body: units 3, 1" in said.splitlines()
    status, said, _ = run(capsys, *asked, "--export-masks", "png", "--units", "3", "--json")
    told = json.loads(said)
    assert (status, told["run"], told["masks"]) == (0, str(out), [str(out / "body/masks")])
    assert (out / "body/masks/3").is_dir()
    table = load(out / "body").table()
    assert told["units"]["body"] == [{name: table[name].iloc[3] for name in told["units"]["body"][0]}]
    name = LabelSet.open(labels).concepts["name"].iloc[0]
    status, said, _ = run(capsys, *asked, "--concepts", str(name))
    assert status == 0
    assert "masks" not in json.loads(run(capsys, *asked, "--json")[1])


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--export-masks", "gif", "no form 'gif' of masks; there is png, rle"),
        ("--units", "99", "no unit 99"),
        ("--units", "x", "not a list of whole numbers"),
        ("--concepts", "zzz", "no concept 'zzz'"),
        ("--concepts", ",", "not a list of names"),
    ],
)
def test_mistakes_are_said_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, words: str
) -> None:
    labels = small_broden(tmp_path / "set")
    status, _, said = run(capsys, "--labels", labels, "--out", tmp_path / "run", option, value, "--quiet")
    assert (status, len(said.splitlines()), words in said) == (2, 1, True)
    assert not (tmp_path / "run").exists()


def test_far_too_many_pictures_are_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, out = small_broden(tmp_path / "set"), tmp_path / "run"
    images = len(LabelSet.open(labels))
    monkeypatch.setattr(masks, "MOST_PICTURES", 2 * images)
    asked = ("--labels", labels, "--out", out, "--quiet", "--no-report", "--export-masks", "png")
    status, _, said = run(capsys, *asked)
    assert (status, f"8 units on {images} images would be {8 * images} pictures" in said) == (2, True)
    assert run(capsys, *asked, "--units", "0,1,2")[0] == 2
    assert not out.exists()
    assert run(capsys, *asked, "--units", "0,1,1")[0] == 0
