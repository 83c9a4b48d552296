"""Results: what they say of themselves, and that disk gives back what was saved, all of it or nothing."""

import errno
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from full_disk import full_disk
from made_results import NAMES, Cells, Names, Shown, dissection, provenance, random_cells, small_dissection

from interpkit.counts import BLOCKS
from interpkit.errors import InterpkitError, ResultError
from interpkit.results import (
    PICTURES,
    Dissection,
    Provenance,
    _storage,
    load,
    load_run,
    picture_file,
    read_about,
    result_folder_name,
    result_folders,
    safe_name,
    save,
)


def assert_same(a: Any, b: Any) -> None:
    """Equal in every field, arrays bit for bit."""
    assert type(a) is type(b)
    for field in fields(a):
        one, other = getattr(a, field.name), getattr(b, field.name)
        if hasattr(one, "__dataclass_fields__"):
            assert_same(one, other)
        elif isinstance(one, np.ndarray):
            assert one.dtype == other.dtype, field.name
            assert one.shape == other.shape, field.name
            assert one.tobytes() == other.tobytes(), field.name
        elif isinstance(one, pd.DataFrame):
            pd.testing.assert_frame_equal(one, other)
        elif field.name == "scores":
            assert list(one) == list(other)
            assert all(one[name].tobytes() == other[name].tobytes() for name in one)
        else:
            assert dict(one) == dict(other) if field.name == "pictures" else one == other, field.name


# --- what a dissection says of itself


def by_hand() -> Dissection:
    """Four units whose IoU is easily told: 0 detects cat and leg, 1 cat alone, 2 nothing above the line, 3 is dead."""
    joint = np.array([[50, 0, 40, 0, 1, 0], [60, 0, 0, 0, 0, 0], [0, 3, 0, 0, 0, 0], [0] * 6])
    active = np.array([[1, 50, 40, 0, 100], [0, 100, 0, 0, 100], [0, 100, 0, 0, 200], [0] * 5])
    return dissection(Cells(joint, np.array([100, 100, 40, 90, 100, 0]), active, np.full(5, 900)), NAMES)


def test_best_is_the_first_of_the_largest():
    rows, value = by_hand().best()
    assert rows.tolist() == [2, 0, 1, -1]
    np.testing.assert_allclose(value, [1, 60 / 140, 3 / 197, 0])
    rows, value = by_hand().best("object")
    assert rows.tolist() == [0, 0, 1, -1]
    np.testing.assert_allclose(value, [0.5, 60 / 140, 3 / 197, 0])
    rows, value = by_hand().best("scene")  # a category without concepts
    assert rows.tolist() == [-1] * 4
    assert value.tolist() == [0] * 4


def test_detectors_and_both_unique_rules():
    one = by_hand()
    assert one.detectors().tolist() == [True, True, False, False]
    assert one.unique("top-label") == {"color": 0, "object": 1, "part": 1, "scene": 0}
    assert one.unique("every-category") == {"color": 0, "object": 1, "part": 1, "scene": 0}
    # With one unit the rules part: it counts once, or once in each category.
    first = small_dissection()
    first = replace(first, scores={"iou": np.tile([0.5, 0.1, 0.4, 0.04, 0.03, np.nan], (12, 1))})
    assert first.unique("top-label") == {"color": 0, "object": 1, "part": 0, "scene": 0}
    assert first.unique("every-category") == {"color": 0, "object": 1, "part": 1, "scene": 0}


def test_a_score_at_the_line_is_not_above_it():
    at = replace(small_dissection(), scores={"iou": np.full((12, 6), 0.04)})
    assert not at.detectors().any()
    assert sum(at.unique("every-category").values()) == 0


def test_an_unknown_unique_rule_is_refused():
    with pytest.raises(InterpkitError, match="top-label, every-category"):
        by_hand().unique("every category")


def test_an_unknown_category_is_refused():
    with pytest.raises(InterpkitError, match=r"'objects'.*color, object, part, scene"):
        by_hand().best("objects")


def test_the_summary_adds_up():
    summary = small_dissection(5).summary()
    assert summary["detectors"] == sum(one["detectors"] for one in summary["by_category"].values()) > 0
    for rule in ("top_label", "every_category"):
        parts = [one[f"unique_{rule}"] for one in summary["by_category"].values()]
        assert summary[f"unique_detectors_{rule}"] == sum(parts)
    assert summary["unique_detectors_top_label"] <= summary["unique_detectors_every_category"]
    assert (summary["units"], summary["images"], summary["skipped"], summary["dead"]) == (12, 17, 1, 1)
    json.dumps(summary, allow_nan=False)


def test_the_table_has_a_row_a_unit_in_order():
    one = small_dissection(5)
    table = one.table()
    assert table["unit"].tolist() == list(range(12))
    rows, value = one.best()
    assert table["concept"].tolist() == [NAMES.concepts[row][0] if row >= 0 else "" for row in rows]
    np.testing.assert_array_equal(table["iou"], value)
    np.testing.assert_array_equal(table["detector"], one.detectors())
    assert table.loc[3, "concept"] == table.loc[3, "category"] == table.loc[3, "object_concept"] == ""
    assert table.loc[3, "iou"] == 0
    for category in one.categories:
        np.testing.assert_array_equal(table[f"{category}_iou"], one.best(category)[1])
    assert (table["top_image"] == "a.png").all()


@pytest.mark.parametrize("rule", ["top-label", "every-category"])
def test_concepts_with_their_detectors(rule):
    one = small_dissection(5)
    table = one.by_concept(rule)
    for category, count in one.unique(rule).items():
        assert (table["category"] == category).sum() == count
    assert table["count"].is_monotonic_decreasing
    for row in table.itertuples():
        scores = [one.iou[unit, row.number - 1] for unit in row.units]
        assert row.count == len(row.units) == len(set(row.units))
        assert scores == sorted(scores, reverse=True)
        assert min(scores) > one.iou_threshold
    if rule == "top-label":
        assert table["count"].sum() == one.detectors().sum()


def test_the_distribution_counts_every_unit_once():
    one = small_dissection(5)
    bars = one.distribution(step=0.01)
    assert bars[[*one.categories, ""]].to_numpy().sum() == one.units
    value = one.best()[1]
    for row, low in enumerate(bars["low"]):
        inside = (value >= low - 1e-9) & (value < low + 0.01 - 1e-9)
        assert bars.drop(columns="low").iloc[row].sum() == inside.sum()


def reference_identities(table: pd.DataFrame, categories: tuple[str, ...]) -> None:
    """What holds in every published table."""
    for category in categories:
        part = table[[f"{category}-{name}" for name in ("truth", "activation", "intersect", "iou")]].to_numpy(float)
        truth, active, both, iou = part[table[f"{category}-label"] != ""].T
        np.testing.assert_allclose(iou, both / (truth + active - both), rtol=1e-12)
        assert (both <= truth).all()
    scores = table[[f"{category}-iou" for category in categories]]
    np.testing.assert_array_equal(table["score"], scores.max(axis=1))
    assert table["score"].is_monotonic_decreasing
    for _, row in table[table["label"] != ""].iterrows():
        assert row["label"] == row[f"{row['category']}-label"]
        assert row["score"] == row[f"{row['category']}-iou"]
    assert sorted(table["unit"]) == list(range(1, len(table) + 1))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rule", ["annotated", "all"])
def test_the_reference_table(seed, rule):
    options = {**provenance().options, "category_rule": rule}
    one = small_dissection(seed, made=provenance(options=options))
    table = one.reference_table()
    columns = [
        f"{category}-{name}"
        for category in ("color", "object", "part", "scene")
        for name in ("label", "truth", "activation", "intersect", "iou")
    ]
    assert list(table.columns) == ["unit", "category", "label", "score", *columns]
    reference_identities(table, one.categories)
    dead = table.set_index("unit").loc[4]
    assert dead["label"] == dead["object-label"] == ""
    assert dead["score"] == 0
    assert (table["scene-label"] == "").all()


def test_units_of_equal_score_stand_in_order():
    table = replace(small_dissection(), scores={"iou": np.full((12, 6), 0.5)}).reference_table()
    assert table["unit"].tolist() == list(range(1, 13))


def test_without_concepts_every_table_is_still_there():
    nothing = Cells(np.zeros((2, 0), np.int64), np.zeros(0, np.int64), np.ones((2, 1), np.int64), np.ones(1, np.int64))
    one = dissection(nothing, Names([], []))
    assert one.table()["concept"].tolist() == ["", ""]
    assert list(one.reference_table().columns) == ["unit", "category", "label", "score"]
    assert one.summary()["unique_detectors_every_category"] == 0
    assert "2 units" in one._repr_html_()


def test_a_category_without_concepts_next_to_no_concepts_at_all():
    nothing = Cells(np.zeros((2, 0), np.int64), np.zeros(0, np.int64), np.ones((2, 2), np.int64), np.ones(2, np.int64))
    table = dissection(nothing, Names([], ["object"])).reference_table()
    assert table["object-label"].tolist() == ["", ""]
    assert table["object-truth"].tolist() == [0, 0]


def test_notebooks_show_names_as_text():
    names = Names([("<script>alert(1)</script>", "object"), *NAMES.concepts[1:]], NAMES.categories)
    html = dissection(random_cells(), names, layer="<b>", made=provenance(model="<i>"))._repr_html_()
    assert "<script>" not in html
    assert "<i>" not in html
    assert html.count("<b>") == html.count("</b>") == 1
    assert "http" not in html


def test_results_do_not_change():
    with pytest.raises(FrozenInstanceError):
        by_hand().layer = "other"  # type: ignore[misc]


# --- the published tables


def published(path: Path) -> tuple[Dissection, pd.DataFrame]:
    """A dissection put together from a published table.

    Every (label, category) of the table becomes a concept; its truth, and of each unit the activation in every
    category and the intersection with the best label of every category, become the counts, all others staying 0. The
    scores are then computed from these counts. The table's empty texture label (activation 0) is no concept.
    """
    table = pd.read_csv(path, keep_default_na=False)
    categories = [column.removesuffix("-label") for column in table.columns if column.endswith("-label")]
    concepts: dict[tuple[str, str], int] = {}
    truth: dict[tuple[str, str], int] = {}
    units = len(table)
    active = np.zeros((units, len(categories) + 1), np.int64)
    entries = []
    for row in table.to_dict(orient="records"):
        for g, category in enumerate(categories):
            name = row[f"{category}-label"]
            if name:
                place = concepts.setdefault((name, category), len(concepts))
                assert truth.setdefault((name, category), row[f"{category}-truth"]) == row[f"{category}-truth"]
                entries.append((row["unit"] - 1, place, row[f"{category}-intersect"]))
                active[row["unit"] - 1, g] = row[f"{category}-activation"]
    joint = np.zeros((units, len(concepts)), np.int64)
    for unit, place, both in entries:
        joint[unit, place] = both
    cells = Cells(joint, np.array(list(truth.values())), active, np.full(len(categories) + 1, 10**10))
    return dissection(cells, Names(list(concepts), categories)), table


# Per table: units, sum of unique by every category, detectors and unique by top label, detectors by category.
PUBLISHED = {
    "ResNet-152-model_places365": (2048, 347, 1452, 278, "scene 743 object 437 texture 184 part 78 material 9 color 1"),
    "ResNet-152-model_imagenet": (2048, 242, 1325, 197, "object 633 texture 330 scene 276 part 67 material 16 color 3"),
    "caffe_reference_places365": (256, 91, 118, 72, "object 60 texture 38 part 9 scene 8 material 2 color 1"),
    "caffe_reference_places205": (256, 79, 107, 60, "object 64 texture 27 part 8 scene 5 material 2 color 1"),
    "caffe_reference_imagenet": (256, 61, 97, 50, "texture 40 object 32 part 16 color 4 material 3 scene 2"),
}


@pytest.mark.data
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_tables_are_read_as_their_authors_did(name, shared_data):
    one, table = published(shared_data / "netdissect-published" / f"{name}.csv")
    units, every, detectors, top, by_category = PUBLISHED[name]
    summary = one.summary()
    assert summary["units"] == units
    assert summary["unique_detectors_every_category"] == every
    assert summary["detectors"] == detectors
    assert summary["unique_detectors_top_label"] == top
    words = by_category.split()
    expected = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    assert {c: one["detectors"] for c, one in summary["by_category"].items()} == expected
    ours = one.reference_table()
    assert list(ours.columns) == list(table.columns)
    reference_identities(ours, one.categories)
    # Where the table lists an empty texture, we list none; all else is equal, row by row.
    blank = table["texture-label"] == ""
    table.loc[blank, ["texture-truth", "texture-activation", "texture-intersect", "texture-iou"]] = 0
    for column in table.columns:
        if column.endswith(("iou", "score")):
            np.testing.assert_allclose(ours[column], table[column], rtol=1e-12)
        else:
            assert ours[column].tolist() == table[column].tolist(), column


# --- on disk

ODD = (
    "<script>alert('x')</script>.png",
    "two words/a b.jpg",
    "straße/日本.webp",
    "same.png",
    "same.jpg",
    "same",
    "a/same.png",
    "../up.png",
    "x" * 200 + ".png",
    "x" * 199 + "y.png",
    'quote".png',
    "back\\slash.png",
)


def odd_dissection(layer: str = "layer") -> Dissection:
    """Image and concept names of every kind, and lists that are not full."""
    image = [[i % len(ODD), (i + 5) % len(ODD), -1] for i in range(12)]
    names = Names(
        [("<script>", "object"), ('a,"b"\n', "object"), ("Füße", "part"), *NAMES.concepts[3:]], NAMES.categories
    )
    return dissection(random_cells(), names, layer=layer, shown=Shown(ODD, image))


@pytest.mark.parametrize("layer", ["layer", "features.0#2", "<script>", "a b", "schön", "images", "x[1]", "..", "a/b"])
def test_what_was_saved_is_loaded(tmp_path, layer):
    one = odd_dissection(layer)
    folder = save(one, tmp_path / "run" / safe_name(layer))
    assert folder.parent == tmp_path / "run"
    assert_same(load(folder), one)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted([folder.name, PICTURES])
    assert sorted(path.name for path in folder.iterdir()) == ["outlines.json", "result.json", "scores.npz", "units.csv"]
    assert len(list((tmp_path / "run" / PICTURES).iterdir())) == len(ODD)


def test_loading_and_saving_again_gives_the_same(tmp_path):
    first = load(save(odd_dissection(), tmp_path / "a" / "layer"))
    second = load(save(first, tmp_path / "b" / "layer"))
    assert_same(first, second)
    for name in ("result.json", "units.csv", "outlines.json"):
        assert (tmp_path / "a/layer" / name).read_bytes() == (tmp_path / "b/layer" / name).read_bytes()


def test_units_csv_is_the_reference_table(tmp_path):
    one = odd_dissection()
    folder = save(one, tmp_path / "layer")
    back = pd.read_csv(folder / "units.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(back, one.reference_table(), check_dtype=False)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("layer4.1", "layer4.1"),
        ("a/b", "a-b"),
        ("../x", "..-x"),
        ("..", "..-layer"),
        (".", ".-layer"),
        ("", "-layer"),
        ("images", "images-layer"),
        ("ü b", "--b"),
    ],
)
def test_folder_names(name, safe):
    assert safe_name(name) == safe


def test_different_images_have_different_files():
    files = {picture_file(name) for name in ODD}
    assert len(files) == len(ODD)
    assert all(len(file) < 90 and safe_name(file) == file for file in files)


def test_nothing_is_pickled(tmp_path):
    folder = save(odd_dissection(), tmp_path / "layer")
    with zipfile.ZipFile(folder / "scores.npz") as archive:
        for name in archive.namelist():
            with archive.open(name) as stream:
                version = np.lib.format.read_magic(stream)
                header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                assert not header[version](stream)[2].hasobject, name


def test_pickled_arrays_are_refused(tmp_path):
    folder = save(small_dissection(), tmp_path / "layer")
    with np.load(folder / "scores.npz") as archive:
        arrays = dict(archive)
    arrays["thresholds"] = np.array([{"a": 1}] * 12, object)
    np.savez(folder / "scores.npz", **arrays)
    with pytest.raises(ResultError, match="damaged"):
        load(folder)


def test_pictures_are_read_when_asked_for(tmp_path):
    folder = save(odd_dissection(), tmp_path / "layer")
    pictures = load(folder).pictures
    assert list(pictures) == list(ODD)
    assert pictures["same.png"] == b"\xff\xd8same.png"
    with pytest.raises(KeyError):
        pictures["other.png"]
    assert "other.png" not in pictures
    assert json.loads((folder / "result.json").read_text())["pictures"] == list(ODD)


def test_layers_of_a_run_share_their_pictures(tmp_path):
    for layer in ("a", "b"):
        save(odd_dissection(layer), tmp_path / layer)
    assert len(list((tmp_path / PICTURES).iterdir())) == len(ODD)


def test_a_picture_that_changed_is_written_anew(tmp_path):
    for jpeg in (b"old", b"new"):
        one = dissection(random_cells(), NAMES, shown=Shown(jpeg={"a.png": jpeg}))
        folder = save(one, tmp_path / "layer", overwrite=True)
        assert load(folder).pictures["a.png"] == jpeg


def test_a_run_lists_its_layers_in_the_order_asked_for(tmp_path):
    options = {**provenance().options, "layers": ["z", "a", "m"]}
    for layer in ("a", "m", "z"):
        save(small_dissection(layer=layer, made=provenance(options=options)), tmp_path / layer)
    assert [one.layer for one in load_run(tmp_path)] == ["z", "a", "m"]
    assert [folder.name for folder in result_folders(tmp_path)] == ["a", "m", "z"]
    with pytest.raises(ResultError, match=r"holds 3 results; name one: .*a, .*m, .*z"):
        load(tmp_path)


def test_a_run_of_one_layer_stands_for_it(tmp_path):
    one = small_dissection()
    save(one, tmp_path / "run" / "layer")
    assert_same(load(tmp_path / "run"), load(tmp_path / "run" / "layer"))
    assert len(load_run(tmp_path / "run" / "layer")) == 1


def test_no_result_is_said_with_the_nearest(tmp_path):
    save(small_dissection(), tmp_path / "resnet18" / "layer")
    with pytest.raises(ResultError, match=r"no result in .*resnet81.*nearest: resnet18"):
        load(tmp_path / "resnet81")
    with pytest.raises(ResultError, match="no result in"):
        load_run(tmp_path / "nowhere" / "x")
    (tmp_path / "resnet18" / "layer" / "result.json").unlink()
    with pytest.raises(ResultError, match="no result in"):
        load(tmp_path / "resnet18" / "layer")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_result_is_not_overwritten_unasked(tmp_path):
    folder = save(small_dissection(0), tmp_path / "layer")
    before = tree(tmp_path)
    with pytest.raises(ResultError, match=r"already holds a result.*--overwrite"):
        save(small_dissection(1), folder)
    assert tree(tmp_path) == before
    save(small_dissection(1), folder, overwrite=True)
    assert_same(load(folder), small_dissection(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == [PICTURES, "layer"]


def test_a_folder_of_something_else_is_never_overwritten(tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter1.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(ResultError, match="holds no result"):
            save(small_dissection(), folder, overwrite=overwrite)
    (tmp_path / "file").write_text("a file")
    with pytest.raises(ResultError, match="holds no result"):
        save(small_dissection(), tmp_path / "file", overwrite=True)
    assert tree(tmp_path) == {"thesis/chapter1.tex": b"years of work", "file": b"a file"}


def test_an_empty_folder_may_be_filled(tmp_path):
    folder = tmp_path / "layer"
    folder.mkdir()
    save(small_dissection(), folder)
    assert_same(load(folder), small_dissection())


@contextmanager
def crash_at(step: str) -> Iterator[None]:
    """Let one of the steps of saving fail, as a crash would."""

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    rename, failed = Path.rename, []

    def move(self: Path, to: Path) -> Path:
        if Path(to).name == "layer" and not failed:
            failed.append(to)
            fail()
        return rename(self, to)

    where = {"savez_compressed": np, "to_csv": pd.DataFrame}.get(step, Path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, step, move if step == "rename" else fail)
        yield


CRASHES = pytest.mark.parametrize("step", ["savez_compressed", "to_csv", "write_text", "rename"])


@CRASHES
def test_a_crash_leaves_no_result(tmp_path, step):
    with crash_at(step), pytest.raises(KeyboardInterrupt):
        save(small_dissection(), tmp_path / "layer")
    assert [path.name for path in tmp_path.iterdir()] == [PICTURES]
    assert result_folders(tmp_path) == []


@CRASHES
def test_a_crash_leaves_the_old_result(tmp_path, step):
    folder = save(small_dissection(0), tmp_path / "layer")
    before = tree(tmp_path)
    with crash_at(step), pytest.raises(KeyboardInterrupt):
        save(small_dissection(1), folder, overwrite=True)
    assert tree(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [PICTURES, "layer"]


def test_result_json_is_written_last(tmp_path, monkeypatch):
    written: list[str] = []
    write_text = Path.write_text

    def seen(self: Path, *args: Any, **kwargs: Any) -> int:
        if self.name == "result.json":
            written.extend(path.name for path in self.parent.iterdir())
        return write_text(self, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", seen)
    save(small_dissection(), tmp_path / "layer")
    assert sorted(written) == ["outlines.json", "scores.npz", "units.csv"]


def test_the_old_result_stands_until_the_new_one_is_complete(tmp_path, monkeypatch):
    folder = save(small_dissection(0), tmp_path / "layer")
    move = _storage._move_into_place
    seen = []

    def look(part: Path, to: Path) -> None:
        seen.append(load(to).iou.tobytes() == small_dissection(0).iou.tobytes())
        seen.append((part / "result.json").is_file())
        move(part, to)

    monkeypatch.setattr(_storage, "_move_into_place", look)
    save(small_dissection(1), folder, overwrite=True)
    assert seen == [True, True]


def test_files_may_be_read_by_those_who_may_read_others(tmp_path):
    mask = os.umask(0o027)
    try:
        folder = save(small_dissection(), tmp_path / "layer")
    finally:
        os.umask(mask)
    assert folder.stat().st_mode & 0o777 == 0o750
    assert (folder / "result.json").stat().st_mode & 0o777 == 0o640


# --- full disks


def assert_nothing_half_written(run: Path) -> None:
    assert result_folders(run) == []
    left = [path for path in run.rglob("*") if path.is_file()]
    assert all(path.parent.name == PICTURES and path.suffix == ".jpg" for path in left)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("step", ["savez_compressed", "to_csv", "write_text", "write_bytes"])
def test_a_disk_that_becomes_full_is_said_in_one_line(tmp_path, monkeypatch, code, step):
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    where = {"savez_compressed": np, "to_csv": pd.DataFrame}.get(step, Path)
    monkeypatch.setattr(where, step, fail)
    with pytest.raises(ResultError) as caught:
        save(small_dissection(), tmp_path / "run" / "layer")
    assert "\n" not in str(caught.value)
    assert os.strerror(code) in str(caught.value)
    assert_nothing_half_written(tmp_path / "run")


@pytest.mark.parametrize("room", [1 << 13, 1 << 15])
def test_a_full_disk_is_said_in_one_line(tmp_path, room):
    big = dissection(random_cells(units=700), NAMES, shown=Shown(ODD, [[i % len(ODD)] * 9 for i in range(700)]))
    with full_disk(tmp_path / "disk", room=room) as disk:
        with pytest.raises(ResultError) as caught:
            save(big, disk / "run" / "layer")
        assert "\n" not in str(caught.value)
        assert "cannot write" in str(caught.value)
        assert_nothing_half_written(disk / "run")


def test_a_full_disk_keeps_the_old_result(tmp_path):
    big = dissection(random_cells(units=700), NAMES, shown=Shown(ODD, [[i % len(ODD)] * 9 for i in range(700)]))
    with full_disk(tmp_path / "disk", room=1 << 16) as disk:
        folder = save(small_dissection(), disk / "layer")
        with pytest.raises(ResultError):
            save(big, folder, overwrite=True)
        assert_same(load(folder), small_dissection())


def test_a_run_below_a_file_is_refused(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(ResultError, match="cannot write"):
        save(small_dissection(), tmp_path / "run" / "layer")


# --- damaged results


@pytest.fixture
def saved(tmp_path) -> Path:
    return save(small_dissection(), tmp_path / "layer")


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        about = json.loads((folder / "result.json").read_text())
        change(about)
        (folder / "result.json").write_text(json.dumps(about))

    return apply


def rewritten(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        with np.load(folder / "scores.npz") as archive:
            arrays = dict(archive)
        change(arrays)
        np.savez(folder / "scores.npz", **arrays)

    return apply


DAMAGE: dict[str, Callable[[Path], object]] = {
    "result.json empty": lambda f: (f / "result.json").write_text(""),
    "result.json cut": lambda f: (f / "result.json").write_text((f / "result.json").read_text()[:500]),
    "result.json a list": lambda f: (f / "result.json").write_text("[1, 2]"),
    "result.json null": lambda f: (f / "result.json").write_text("null"),
    "result.json no text": lambda f: (f / "result.json").write_bytes(b"\xff\xfe\x00"),
    "result.json {}": lambda f: (f / "result.json").write_text("{}"),
    "format no number": changed(lambda a: a.update(format="one")),
    "kind unknown": changed(lambda a: a.update(kind="dissertation")),
    "kind a list": changed(lambda a: a.update(kind=["dissection"])),
    "kind private": changed(lambda a: a.update(kind="_storage")),
    "layer missing": changed(lambda a: a.pop("layer")),
    "provenance missing": changed(lambda a: a.pop("provenance")),
    "provenance null": changed(lambda a: a.update(provenance=None)),
    "provenance a field more": changed(lambda a: a["provenance"].update(more=1)),
    "provenance a field less": changed(lambda a: a["provenance"].pop("seed")),
    "placement short": changed(lambda a: a.update(placement=[[1, 2]])),
    "placement null": changed(lambda a: a.update(placement=None)),
    "concepts cut": changed(lambda a: a["concepts"]["name"].pop()),
    "a concept less": changed(lambda a: [column.pop() for column in a["concepts"].values()]),
    "a category less": changed(lambda a: a["categories"].pop()),
    "pictures null": changed(lambda a: a.update(pictures=None)),
    "a picture less": changed(lambda a: a["pictures"].clear()),
    "scores.npz missing": lambda f: (f / "scores.npz").unlink(),
    "scores.npz empty": lambda f: (f / "scores.npz").write_bytes(b""),
    "scores.npz text": lambda f: (f / "scores.npz").write_text("no archive"),
    "scores.npz cut": lambda f: (f / "scores.npz").write_bytes((f / "scores.npz").read_bytes()[:-200]),
    "scores.npz a folder": lambda f: ((f / "scores.npz").unlink(), (f / "scores.npz").mkdir()),
    "an array missing": rewritten(lambda a: a.pop("counts.truth")),
    "thresholds short": rewritten(lambda a: a.update(thresholds=a["thresholds"][1:])),
    "scores of another layer": rewritten(lambda a: a.update({"score.iou": a["score.iou"][:, 1:]})),
    "half of the chance level": rewritten(lambda a: a.pop("chance.concept")),
    "chance of another layer": rewritten(lambda a: a.update({"chance.iou": a["chance.iou"][1:]})),
    "scores missing": rewritten(lambda a: a.pop("score.iou")),
    "outlines missing": lambda f: (f / "outlines.json").unlink(),
    "outlines cut": lambda f: (f / "outlines.json").write_text("[["),
    "outlines a number": lambda f: (f / "outlines.json").write_text("7"),
    "outlines short": lambda f: (f / "outlines.json").write_text("[]"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_said_in_one_line(saved, name):
    DAMAGE[name](saved)
    with pytest.raises(ResultError) as caught:
        load(saved)
    assert "\n" not in str(caught.value)
    assert str(saved) in str(caught.value)


def test_any_byte_may_be_damaged(saved):
    """Whatever is wrong with the archive, it is either harmless or said in one line."""
    sound = (saved / "scores.npz").read_bytes()
    rng = np.random.default_rng(0)
    said: list[str] = []
    for place in rng.integers(0, len(sound), 400).tolist():
        data = bytearray(sound)
        data[place] ^= int(rng.integers(1, 256))
        (saved / "scores.npz").write_bytes(data)
        try:
            load(saved)
        except ResultError as error:
            said.append(str(error))
    assert len(said) > 200
    assert not any("\n" in message for message in said)


def test_a_newer_format_is_refused(saved):
    changed(lambda a: a.update(format=2))(saved)
    with pytest.raises(ResultError, match="has format 2; this interpkit reads up to 1: upgrade it"):
        load(saved)


def test_a_picture_that_is_gone_is_an_error_when_asked_for(saved):
    one = load(saved)
    shutil.rmtree(saved.parent / PICTURES)
    with pytest.raises(ResultError, match=r"a\.png"):
        one.pictures["a.png"]


# --- provenance


def test_provenance_goes_through_json():
    one = provenance()
    back = Provenance.from_dict(json.loads(json.dumps(one.to_dict())))
    assert back == one
    assert back.fingerprint == one.fingerprint


DECIDING = {
    "verb": "entangle",
    "options": {"iou": 0.05},
    "model_sha": "c",
    "labels_sha": "d",
    "preprocessing": {"size": [64, 64]},
    "versions": {"interpkit": "0.2.0"},
}


@pytest.mark.parametrize("name", [field.name for field in fields(Provenance)])
def test_a_fingerprint_tells_what_decides_from_what_does_not(name):
    other = DECIDING.get(
        name, {"notes": ("x",), "stages": {}, "seconds": 9.0, "seed": 9, "threads": 9, "batch_size": 9}.get(name, "x")
    )
    same = provenance(**{name: other}).fingerprint == provenance().fingerprint
    assert same == (name not in DECIDING)


def test_a_fingerprint_does_not_depend_on_the_order_of_options():
    options = dict(reversed(provenance().options.items()))
    assert provenance(options=options).fingerprint == provenance().fingerprint


def test_reading_what_a_result_is_about(saved):
    about = read_about(saved)
    assert about["kind"] == "dissection"
    assert about["summary"] == json.loads(json.dumps(small_dissection().summary()))
    assert len(load(saved).blocks.truth) == BLOCKS


def test_folders_of_long_names_can_be_made_and_differ(tmp_path):
    """As of a graph of many layers, whose names are joined."""
    one, other = (replace(small_dissection(), layer="-".join(["features"] * 60) + end) for end in "ab")
    places = [save(result, tmp_path / result_folder_name(result)) for result in (one, other)]
    assert places[0] != places[1]
    assert load(places[0]).layer == one.layer
    save(one, places[0], overwrite=True)
