"""score_parts() as a whole, against what it says it measures, and the laws that hold for every run."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from class_sets import class_of, coloured, landmark_set, listed_set
from labels_on_disk import photograph, write_csv
from numpy.typing import NDArray
from reference import location as plain
from reference import templates as shapes
from reference.broden_reader import read_broden
from sameness import assert_same, same_numbers
from small_networks import probe, small_network

from interpkit import feeding
from interpkit.errors import ImageError, InterpkitError, LabelSetError, ModelError, ResultError
from interpkit.labels import LabelSet
from interpkit.parts import planned_fingerprint, score_parts, score_parts_layers
from interpkit.parts._checks import check_maps
from interpkit.probe import Probe
from interpkit.results import PartScores, Stability, load, save

LAYERS = ("early", "relu", "norm")
FED: dict[str, Any] = {"batch_size": 4, "memory_format": "contiguous"}
CLASSES = ("blue", "green", "red")
# Half-pixel centres of cell (0, 0) and the step between cells, on 32 x 32 pixels.
CELLS = {"early": (0.5, 2.0), "relu": (0.5, 2.0), "norm": (1.5, 4.0)}
Floats = NDArray[np.float64]
Point = tuple[float, float]


@pytest.fixture(autouse=True, scope="module")
def _links_followed():
    """Other tables beside the same images: the sets here lead there by links."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERPKIT_FOLLOW_LINKS", "1")
        yield


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> LabelSet:
    """Landmarks and classes."""
    return landmark_set(tmp_path_factory.mktemp("labels") / "set")


@pytest.fixture(scope="module")
def masks(tmp_path_factory) -> LabelSet:
    """Part masks and classes."""
    return listed_set(tmp_path_factory.mktemp("labels") / "masks", images=24)


@pytest.fixture(scope="module")
def whole(labels) -> dict[str, PartScores]:
    return score_parts_layers(probe(LAYERS), labels, **FED)


@pytest.fixture(scope="module")
def covered(masks) -> dict[str, PartScores]:
    return score_parts_layers(probe(LAYERS), masks, **FED)


def maps_of(labels: LabelSet, layer: str) -> Floats:
    """(N, U, h, w), what is above 0, four images at a time as ``FED`` says."""
    look = probe([layer])
    images = [feeding.read_image(labels, row, look.preprocessing) for row in range(len(labels))]
    batches = [look(feeding.stack(images[i : i + 4], "contiguous"))[layer] for i in range(0, len(images), 4)]
    return np.maximum(torch.cat(batches).numpy().astype(np.float64), 0)


def landmarks_of(labels: LabelSet) -> dict[str, list[Point]]:
    """Each landmark in pixels of the 32 x 32 input, by hand: the images have 24 x 40."""
    rows = [line.split(",") for line in (labels.root / "landmarks.csv").read_text().splitlines()]
    header, *rows = rows
    found: dict[str, list[Point]] = {}
    for part in ("head", "tail"):
        at = [header.index(f"{part}_row"), header.index(f"{part}_col")]
        found[part] = [
            ((float(row[at[0]]) + 0.5) / 24 * 32 - 0.5, (float(row[at[1]]) + 0.5) / 40 * 32 - 0.5)
            if row[at[0]]
            else (math.nan, math.nan)
            for row in rows
        ]
    return found


def peaks_of(maps: Floats, *, start: float, stride: float) -> tuple[list[list[Point]], Floats]:
    """Where each unit peaks on each image, and how high."""
    n, units, h, w = maps.shape
    where: list[list[Point]] = []
    height = np.zeros((n, units))
    for unit in range(units):
        where.append([])
        for image in range(n):
            cells = [(maps[image, unit, i, j], -i, -j) for i in range(h) for j in range(w)]
            value, i, j = max(cells)  # of equal cells the first
            where[unit].append((start - i * stride, start - j * stride))
            height[image, unit] = value
    return where, height


def assert_steady(
    stability: Stability,
    maps: Floats,
    landmarks: dict[str, list[Point]],
    *,
    members: Sequence[Sequence[int]],
    top: int = 100,
    start: float,
    stride: float,
) -> None:
    """Every unit, landmark and class is the definition's; ``members`` are the images of each class."""
    where, height = peaks_of(maps, start=start, stride=stride)
    height = np.where(maps.max((2, 3)) > np.maximum(maps.min((2, 3)), 0), height, 0)  # a flat map has no place
    for unit in range(maps.shape[1]):
        for k, mine in enumerate(members):
            spreads = []
            for p, places in enumerate(landmarks.values()):
                answer = plain.steady(
                    [where[unit][n] for n in mine],
                    [height[n, unit] for n in mine],
                    [places[n] for n in mine],
                    diagonal=math.hypot(32, 32),
                    top=top,
                )
                assert stability.deviation[unit, p, k] == pytest.approx(answer.deviation, abs=1e-9, nan_ok=True)
                assert stability.judged[unit, p, k] == len(answer.images)
                assert stability.explained[unit, p, k] == pytest.approx(answer.explained, abs=1e-7, nan_ok=True)
                spreads += [] if math.isnan(answer.spread) else [answer.spread]
                assert stability.used[p, k] == sum(not math.isnan(places[n][0]) for n in mine)
            assert stability.spread[unit, k] == pytest.approx(np.mean(spreads) if spreads else math.nan, nan_ok=True)


def of_class(labels: LabelSet) -> list[list[int]]:
    """The images of each class."""
    return [[n for n in range(len(labels)) if class_of(n) == name] for name in CLASSES]


# --- location instability


@pytest.mark.parametrize("layer", LAYERS)
def test_instability_is_the_definitions(whole, labels, layer):
    stability = whole[layer].stability
    assert stability.classes == CLASSES
    assert stability.parts == ("head", "tail")
    start, stride = CELLS[layer]
    maps = maps_of(labels, layer)
    assert_steady(stability, maps, landmarks_of(labels), members=of_class(labels), start=start, stride=stride)
    # A unit that never varies and one that never fires have no place.
    assert np.isfinite(stability.deviation).any(axis=(1, 2)).sum() >= maps.shape[1] - 2


def test_a_unit_without_a_peak_has_no_place(whole):
    dead = whole["relu"].stability
    assert np.isnan(dead.deviation[1]).all()
    assert dead.best_class()[1] == -1
    row = whole["relu"].table().loc[1]
    assert (row["steadiest_class"], row["nearly_dead"]) == ("", True)


def test_a_bright_spot_is_found(whole):
    """Some unit follows the head, which can be seen, and none the tail, which cannot."""
    stability = whole["early"].stability
    head, tail = (stability.deviation[1:, p, 2] for p in (0, 1))  # of the largest class; unit 0 is constant
    assert np.nanmin(head) < 0.02 < 0.05 < np.nanmin(stability.random[:, 0, 2])
    assert np.nanmin(tail) > 0.05
    steadiest = 1 + int(np.nanargmin(head))
    assert stability.explained[steadiest, 0, 2] > 0.95
    assert stability.explained[steadiest, 1, 2] < 0.5


@pytest.mark.parametrize("top", [2, 4])
def test_a_unit_is_judged_on_its_highest_peaks(labels, top):
    result = score_parts(probe(["norm"]), labels, top=top, **FED)
    maps = maps_of(labels, "norm")
    assert result.stability.top == top
    assert_steady(
        result.stability, maps, landmarks_of(labels), members=of_class(labels), top=top, start=1.5, stride=4.0
    )


def test_receptive_fields_place_the_cells_as_published(labels):
    result = score_parts(probe(["norm"]), labels, align="receptive-field", **FED)
    assert result.placement == ((0.0, 0.0), (4.0, 4.0))
    assert_steady(
        result.stability,
        maps_of(labels, "norm"),
        landmarks_of(labels),
        members=of_class(labels),
        start=0.0,
        stride=4.0,
    )


def test_half_pixel_is_the_default(whole):
    assert whole["early"].placement == ((0.5, 0.5), (2.0, 2.0))
    assert whole["norm"].placement == ((1.5, 1.5), (4.0, 4.0))
    assert (whole["norm"].map_size, whole["norm"].input_size) == ((8, 8), (32, 32))


def test_without_classes_all_images_are_one(tmp_path):
    labels = landmark_set(tmp_path / "set", classes=False)
    result = score_parts(probe(["norm"]), labels, **FED)
    assert result.stability.classes == ("",)
    maps = maps_of(labels, "norm")
    assert_steady(result.stability, maps, landmarks_of(labels), members=[range(30)], start=1.5, stride=4.0)
    assert result.templates.classes == ()
    assert result.templates.auc.shape == (8, 0)
    np.testing.assert_array_equal(
        Stability.single(result.stability.deviation), Stability.multi(result.stability.deviation)
    )


def test_an_image_of_several_classes_counts_in_each(labels, tmp_path):
    for path in labels.root.iterdir():
        (tmp_path / path.name).symlink_to(path)
    pairs = [[f"{n:02d}.png", name] for n in range(30) for name in ("all", *(["even"] if n % 2 == 0 else []))]
    write_csv(tmp_path / "classes.csv", ["image", "class"], [pair for pair in pairs if pair[0] != "03.png"])
    both = LabelSet.open(tmp_path)
    result = score_parts(probe(["norm"]), both, **FED)
    assert result.stability.classes == ("all", "even")
    members = [[n for n in range(30) if n != 3], list(range(0, 30, 2))]
    maps = maps_of(both, "norm")
    assert_steady(result.stability, maps, landmarks_of(both), members=members, start=1.5, stride=4.0)
    assert result.images == 30  # an image of no class still has maps


def test_the_baselines_are_units_that_see_nothing(whole, labels):
    stability, places = whole["norm"].stability, landmarks_of(labels)
    cells = [(1.5 + 4 * i, 1.5 + 4 * j) for i in range(8) for j in range(8)]
    for k, mine in enumerate(of_class(labels)):
        for p, marks in enumerate(places.values()):
            seen = [marks[n] for n in mine if not math.isnan(marks[n][0])]

            def fixed(cell: Point, seen: list[Point] = seen) -> float:
                return plain.deviation_of([cell] * len(seen), seen) / math.hypot(32, 32)

            np.testing.assert_allclose(stability.constant[:, p, k], [fixed(cell) for cell in cells])
            assert stability.centre[p, k] == pytest.approx(fixed((15.5, 15.5)))
            rng = np.random.default_rng(5)
            drawn = [
                plain.deviation_of([cells[i] for i in rng.integers(0, 64, len(seen))], seen) / math.hypot(32, 32)
                for _ in range(400)
            ]
            assert stability.random.shape == (200, 2, 3)
            apart = np.mean(stability.random[:, p, k]) - np.mean(drawn)
            assert abs(apart) < 4 * np.std(drawn) / math.sqrt(200)


def test_the_baselines_know_the_landmarks_and_the_map_alone(labels, whole):
    other = score_parts(probe(["norm"], small_network(1)), labels, **FED).stability
    for name in ("random", "centre", "constant", "used"):
        np.testing.assert_array_equal(getattr(other, name), getattr(whole["norm"].stability, name))
    assert (other.deviation != whole["norm"].stability.deviation).any()


# --- templates


@pytest.mark.parametrize("layer", ["norm", "early"])
def test_templates_are_the_definitions(labels, layer):
    some = labels.select(limit=12)
    result = score_parts(probe([layer]), some, **FED)
    maps, one = maps_of(some, layer), result.templates
    side = maps.shape[2]
    levels = [np.mean(sorted(maps[:, unit].max((1, 2)))[-3:]) for unit in range(maps.shape[1])]  # a quarter of 12
    assert one.settings == ("c = 1", "c = 2", "c = 4", "paper")
    assert one.settings[one.chosen] == "c = 2"
    for unit in (2, 3):
        taus = [c * kappa(side) / levels[unit] for c in (1, 2, 4)] + [0.5 / side**2]
        np.testing.assert_allclose(one.tau[:, unit], taus, rtol=1e-6)
        for setting in (1, 3) if layer == "norm" else (1,):
            answer = shapes.judge(maps[:, unit], tau=taus[setting])
            assert one.information[setting, unit] == pytest.approx(answer.information, abs=1e-6)
            assert one.ratio[setting, unit] == pytest.approx(answer.information / answer.prior_entropy, abs=1e-6)
            assert one.inter[setting, unit] == pytest.approx(answer.inter / answer.inter_bound, abs=1e-6)
            assert one.spatial[setting, unit] == pytest.approx(answer.spatial / answer.spatial_bound, abs=1e-6)
            if setting == one.chosen:
                odds = log_odds(maps[:, unit], tau=taus[setting])
                for k, name in enumerate(CLASSES):
                    member = [class_of(n) == name for n in range(12)]
                    assert one.auc[unit, k] == pytest.approx(shapes.auc(odds, member), abs=1e-9)


def log_odds(maps: Floats, *, tau: float) -> list[float]:
    """log p(T+|x) / p(T-|x) of maps (N, h, w), by logarithms: the probabilities themselves round to 0."""
    _, h, w = maps.shape
    cells = [(i, j) for i in range(h) for j in range(w)]
    some = np.array([shapes.template(h, w, cell, beta=4.0) for cell in [*cells, None]])
    scores = tau * np.einsum("nij,tij->nt", maps, some)
    given = scores - np.logaddexp.reduce(scores, axis=0)
    return (np.logaddexp.reduce(given[:, :-1], axis=1) - given[:, -1]).tolist()


def kappa(side: int) -> float:
    """The height at which the posterior of the right template on an isolated spike is one half."""
    middle = side // 2
    at = [shapes.template(side, side, (i, j), beta=4.0)[middle][middle] for i in range(side) for j in range(side)]
    low, high = 0.0, 50.0
    for _ in range(80):
        k = (low + high) / 2
        share = 1 / sum(math.exp(k * (value - 1)) for value in at)
        low, high = (k, high) if share < 0.5 else (low, k)
    return low


def test_units_that_hardly_fire_are_flagged(whole, labels):
    for layer in LAYERS:
        maps = maps_of(labels, layer)
        heights = np.sort(maps.max((2, 3)), axis=0)[-8:].mean(0)  # a quarter of 30, rounded up
        flagged = (heights <= 0) | (heights < 0.05 * np.median(heights))
        assert whole[layer].templates.flagged.tolist() == flagged.tolist()
    assert whole["relu"].templates.flagged[:2].all()


def test_the_chance_level_is_the_same_values_at_other_places(whole, labels):
    """Of values that are shuffled over images and cells, the statistic is that of any other shuffling."""
    one = whole["norm"].templates
    maps = maps_of(labels, "norm")
    rng = np.random.default_rng(9)
    for unit in (0, 2, 5):
        values = maps[:, unit].copy()
        drawn = []
        for _ in range(3):
            shuffled = rng.permutation(values.ravel()).reshape(values.shape)
            answer = shapes.judge(shuffled[:, :, :], tau=float(one.tau[one.chosen, unit]))
            drawn.append(answer.information / answer.prior_entropy)
        assert one.chance[unit] == pytest.approx(np.mean(drawn), abs=0.03)
    assert one.images == 30


def test_maps_of_too_few_cells_are_refused_before_the_pass(labels, monkeypatch):
    look = probe(["norm", "head"])
    look.shapes()
    monkeypatch.setattr(Probe, "__call__", never)
    with pytest.raises(InterpkitError, match=r"'head'.*1 x 1"):
        score_parts_layers(look, labels, **FED)


# --- part masks


@pytest.mark.parametrize("radius", [None, 2.0, 9.0])
@pytest.mark.parametrize("layer", ["early", "norm"])
def test_overlap_with_part_masks_is_the_definitions(masks, layer, radius):
    result = score_parts(probe([layer]), masks, radius=radius, **FED)
    maps, one = maps_of(masks, layer), result.association
    assert one.parts == ("name3", "name4")
    # Receptive fields of 3 and 7 pixels; an eighth of the image is 4.
    assert one.radius == (radius or {"early": 1.5, "norm": 3.5}[layer])
    start, stride = CELLS[layer]
    images = read_broden(masks.root)
    held = {p: [n for n in range(24) if images[n].pixels.get(3 + p)] for p in (0, 1)}
    assert one.images.tolist() == [len(held[0]), len(held[1])] == [16, 16]
    for unit in range(maps.shape[1]):
        threshold = np.quantile(maps[:, unit].astype(np.float32), 0.995)
        hits = np.zeros((2, 2))
        for n in range(24):
            active = [(int(i), int(j)) for i, j in np.argwhere(maps[n, unit].astype(np.float32) > threshold)]
            seen = plain.sight(
                active,
                start=(start, start),
                stride=(stride, stride),
                input_size=(32, 32),
                grid=(16, 16),
                radius=one.radius,
            )
            for p in (0, 1):
                if n in held[p]:
                    part = set(images[n].pixels[3 + p])
                    both, either = plain.overlap(seen, part)
                    hits[:, p] += both > 0.2 * either, both > 0.04 * either
        np.testing.assert_allclose(one.strict[unit], hits[0] / 16, err_msg=f"unit {unit}")
        np.testing.assert_allclose(one.loose[unit], hits[1] / 16, err_msg=f"unit {unit}")
    assert one.loose.any()


def test_of_two_images_each_meets_the_others_parts(tmp_path):
    labels = listed_set(tmp_path / "set", images=3)  # the first has no part
    two = labels.without([0])
    own = score_parts(probe(["norm"]), two, radius=9.0, **FED).association
    files = [tmp_path / "set/images" / f"{n:02d}_part_{layer}.png" for n in (1, 2) for layer in (0, 1)]
    bytes_ = [file.read_bytes() for file in files]
    for file, content in zip(files, bytes_[2:] + bytes_[:2], strict=True):
        file.write_bytes(content)
    swapped = score_parts(probe(["norm"]), LabelSet.open(labels.root).without([0]), radius=9.0, **FED).association
    np.testing.assert_array_equal(own.chance_strict, swapped.strict)
    np.testing.assert_array_equal(own.chance_loose, swapped.loose)
    assert (own.loose != own.chance_loose).any()


def test_where_the_radius_comes_from_is_said(covered, masks):
    assert covered["norm"].association.why == "half the measured receptive field"
    asked = score_parts(probe(["norm"]), masks, radius=2, **FED).association
    assert (asked.radius, asked.why) == (2, "as asked")
    wide = small_network()
    wide.early = torch.nn.Conv2d(3, 6, 15, stride=2, padding=7)
    capped = score_parts(probe(["norm"], wide.eval()), masks, **FED).association
    assert capped.radius == 4
    assert capped.why == "an eighth of the image, since the receptive field is 19 x 19 pixels"


def test_parts_that_no_image_has_are_left_out(masks, covered):
    assert "name9" in masks.concepts["name"].tolist()
    assert covered["norm"].association.parts == ("name3", "name4")
    none = score_parts(probe(["norm"]), masks, limit=1, **FED)
    assert none.association is None
    assert any("no part masks" in warning for warning in none.warnings)
    none.summary()
    none.table()


# --- what a set need not have


def test_a_set_without_landmarks_says_nothing_of_places(covered):
    one = covered["norm"]
    assert one.stability is None
    assert "the label set has no landmarks, so nothing is said of how steadily units fire" in one.warnings
    assert "instability" not in one.table()
    assert "stability" not in one.summary()
    assert set(one.gallery.unit) <= set(range(8))
    assert len(one.gallery.unit) > 0
    assert np.isnan(one.shown).all()


def test_a_set_without_part_masks_says_nothing_of_parts(whole):
    one = whole["norm"]
    assert one.association is None
    assert "the label set has no part masks, so nothing is said of which parts units cover" in one.warnings
    assert "part_interpretability" not in one.table()
    assert "association" not in one.summary()


def test_photographs_alone_still_have_templates(tmp_path):
    for seed in range(8):
        coloured(tmp_path / f"{seed}.png", "red", seed=seed)
    one = score_parts(probe(["norm"]), LabelSet.open(tmp_path), **FED)
    assert (one.stability, one.association) == (None, None)
    assert one.templates.classes == ()
    assert one.summary()["templates"]["auc"] is None
    assert "auc" not in one.table()


def test_few_annotated_images_are_warned_of(whole):
    said = [warning for warning in whole["norm"].warnings if "annotated in fewer than 50 images" in warning]
    assert len(said) == 1
    used = whole["norm"].stability.used
    assert said[0].startswith(f"{(used >= 2).sum()} of {(used >= 2).sum()} landmarks of a class")
    assert f"in {used[used >= 2].min()}: a deviation" in said[0]


def test_maps_of_too_many_cells_are_refused_before_the_pass():
    with pytest.raises(InterpkitError, match=r"layer 'stem' gives maps of 80 x 80: .* beyond 4,096 cells"):
        check_maps({"stem": (4, 80, 80)})
    check_maps({"stem": (4, 64, 64)})


def test_few_images_for_the_map_are_warned_of(whole, labels, tmp_path):
    warned = "30 images for maps of 64 cells: template information is bounded by log(30)"
    assert any(warning.startswith(warned) for warning in whole["norm"].warnings)
    assert any("above 320" in warning for warning in whole["norm"].warnings)


# --- landmarks and images that are wrong


def never(*_: Any, **__: Any) -> None:
    pytest.fail("a forward pass was run")


@pytest.fixture
def no_pass(monkeypatch) -> Probe:
    """A probe that must not be run on images."""
    look = probe(["norm"])
    look.shapes()
    monkeypatch.setattr(Probe, "__call__", never)
    return look


def copy_of(labels: LabelSet, folder: Path) -> Path:
    """The same files, of which images and landmarks may be changed."""
    (folder / "images").mkdir(parents=True)
    for path in labels.path(0).parent.iterdir():
        (folder / "images" / path.name).symlink_to(path)
    (folder / "landmarks.csv").write_bytes((labels.root / "landmarks.csv").read_bytes())
    return folder


def test_landmarks_outside_are_refused_before_the_pass(no_pass, labels, tmp_path):
    root = copy_of(labels, tmp_path / "set")
    lines = (root / "landmarks.csv").read_text().splitlines()
    cells = lines[2].split(",")
    lines[2] = ",".join([*cells[:2], "24.1", *cells[3:]])
    (root / "landmarks.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(LabelSetError, match=r"head of 01\.png at row 24\.1, column .* outside its 24 x 40 pixels"):
        score_parts(no_pass, LabelSet.open(root), **FED)


def test_a_set_whose_landmarks_are_all_blank_is_refused_before_the_pass(no_pass, tmp_path):
    photograph(tmp_path / "images" / "a.png")
    write_csv(tmp_path / "landmarks.csv", ["image", "head_row", "head_col"], [["a.png", "", ""]])
    with pytest.raises(LabelSetError, match="none of its 1 images has a landmark"):
        score_parts(no_pass, LabelSet.open(tmp_path), **FED)


def test_images_that_cannot_be_read_are_left_out_when_asked(labels, tmp_path):
    root = copy_of(labels, tmp_path / "set")
    for name in ("04.png", "07.png"):  # with landmarks
        (root / "images" / name).unlink()
        (root / "images" / name).write_bytes(b"no image")
    copy = LabelSet.open(root)
    with pytest.raises(ImageError, match=r"04\.png"):
        score_parts(probe(["norm"]), copy, **FED)
    result = score_parts(probe(["norm"]), copy, skip_bad=True, **FED)
    assert (result.images, result.skipped) == (28, ("04.png", "07.png"))
    same_numbers(result, score_parts(probe(["norm"]), labels.without([4, 7]), **FED), but=["skipped"])


def test_a_class_without_a_readable_image_has_no_numbers(tmp_path):
    labels = landmark_set(tmp_path / "set")
    for n in range(0, 30, 6):  # all that are blue
        (labels.root / "images" / f"{n:02d}.png").write_bytes(b"no image")
    result = score_parts(probe(["norm"]), LabelSet.open(labels.root), skip_bad=True, **FED)
    assert result.stability.classes == CLASSES
    assert np.isnan(result.stability.deviation[..., 0]).all()
    assert result.stability.used[:, 0].tolist() == [0, 0]
    assert np.isfinite(result.stability.deviation[0, :, 1:]).all()
    json.dumps(result.summary(), allow_nan=False)
    for path in (labels.root / "images").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(LabelSetError, match="none of its 30 images can be read"):
        score_parts(probe(["norm"]), LabelSet.open(labels.root), skip_bad=True, **FED)


REFUSED = {
    "top": ({"top": 1}, "top must be at least 2, not 1"),
    "radius": ({"radius": 0.0}, "radius must be a positive number"),
    "radius nan": ({"radius": math.nan}, "radius must be a positive number"),
    "seed": ({"seed": -1}, "seed must be at least 0"),
    "align": ({"align": "halfpixel"}, "nearest: half-pixel"),
    "cache": ({"cache": "tape"}, "auto, ram, disk, none"),
    "no cache": ({"cache": "none"}, "these maps have to be kept"),
    "scratch": ({"scratch": "nowhere"}, "nowhere does not exist"),
    "split": ({"split": "test"}, "no split 'test'"),
    "limit": ({"limit": 0}, "at least 1"),
    "threads": ({"threads": 0}, "threads must be at least 1"),
    "batch": ({"batch_size": 0}, "at least 1"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_arguments_that_cannot_be_used(no_pass, labels, what):
    arguments, said = REFUSED[what]
    with pytest.raises(InterpkitError, match=said):
        score_parts(no_pass, labels, **{**FED, **arguments})


def test_several_layers_need_the_other_function(labels):
    with pytest.raises(InterpkitError, match=r"score_parts\(\) takes one layer, the probe has 3.*score_parts_layers"):
        score_parts(probe(LAYERS), labels)


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_activations_that_are_not_finite_are_refused(labels, value):
    net = small_network()
    with torch.no_grad():
        net.early.bias[2] = value
    with pytest.raises(ModelError, match=r"layer 'early' gives 256 activations that are not finite.*00\.png"):
        score_parts(probe(["early"], net), labels, **FED)


# --- laws: what must not change the numbers


@pytest.mark.parametrize("cache", ["disk", "ram"])
def test_where_maps_are_kept_changes_nothing(labels, whole, cache, tmp_path):
    for layer, one in score_parts_layers(probe(LAYERS), labels, cache=cache, scratch=tmp_path, **FED).items():
        same_numbers(whole[layer], one)
        assert any(note.startswith(f"maps kept: {cache} (") for note in one.provenance.notes)
        assert one.provenance.fingerprint == whole[layer].provenance.fingerprint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fed", [{"batch_size": 1}, {"batch_size": 7}, {"memory_format": "channels_last"}])
def test_feeding_moves_numbers_by_rounding_alone(labels, whole, fed):
    one = score_parts(probe(["norm"]), labels, **{**FED, **fed})
    a, b = whole["norm"], one
    for name in ("deviation", "explained", "spread"):
        np.testing.assert_allclose(getattr(b.stability, name), getattr(a.stability, name), rtol=1e-6, atol=1e-9)
    for name in ("information", "ratio", "inter", "spatial"):
        np.testing.assert_allclose(getattr(b.templates, name), getattr(a.templates, name), rtol=1e-3, atol=1e-5)


def test_the_same_run_gives_the_same_bits(labels, whole, masks, covered):
    for layer, one in score_parts_layers(probe(LAYERS), labels, **FED).items():
        same_numbers(whole[layer], one)
    same_numbers(covered["norm"], score_parts(probe(["norm"]), masks, **FED))


def test_the_seed_draws_the_chance_levels_and_nothing_else(labels, masks, whole, covered):
    one = score_parts(probe(["norm"]), labels, seed=1, **FED)
    assert (one.stability.random != whole["norm"].stability.random).any()
    assert (one.templates.chance != whole["norm"].templates.chance).any()
    for name in ("deviation", "explained", "spread", "centre", "constant"):
        assert_same(getattr(one.stability, name), getattr(whole["norm"].stability, name))
    assert_same(one.templates.ratio, whole["norm"].templates.ratio)
    other = score_parts(probe(["norm"]), masks, seed=1, **FED).association
    assert_same(other.loose, covered["norm"].association.loose)
    assert (other.chance_loose != covered["norm"].association.chance_loose).any()


@pytest.mark.parametrize("layer", LAYERS)
def test_one_layer_alone_gives_what_several_give(labels, whole, layer):
    same_numbers(whole[layer], score_parts(probe([layer]), labels, **FED))


def test_a_part_of_the_images_counts_as_if_it_were_all(labels, masks):
    same_numbers(
        score_parts(probe(["norm"]), labels, limit=17, **FED),
        score_parts(probe(["norm"]), labels.without(range(17, 30)), **FED),
    )
    of_split = [n for n in range(24) if n % 5]
    same_numbers(
        score_parts(probe(["norm"]), masks, split="train", **FED),
        score_parts(probe(["norm"]), masks.without(set(range(24)) - set(of_split)), **FED),
    )


def test_a_unit_that_is_scaled_is_as_steady_as_it_was(labels, whole):
    net = small_network()
    with torch.no_grad():
        net.norm.weight.mul_(4)
        net.norm.bias.mul_(4)
    one = score_parts(probe(["norm"], net), labels, **FED)
    np.testing.assert_allclose(one.stability.deviation, whole["norm"].stability.deviation)
    calibrated = slice(0, 3)
    for name in ("ratio", "inter", "spatial"):
        a, b = (getattr(result.templates, name)[calibrated] for result in (one, whole["norm"]))
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert (one.templates.ratio[3] > 2 * whole["norm"].templates.ratio[3])[[0, 2, 3]].all()  # the paper's height


def test_the_model_is_left_as_it_was_found(labels):
    look = probe(["norm"], small_network().train())
    net = look.model
    before = {name: value.clone() for name, value in net.state_dict().items()}
    torch.manual_seed(3)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    score_parts(look, labels, threads=2, **FED)
    assert all(module.training for module in net.modules())
    assert all(value.equal(before[name]) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert torch.random.get_rng_state().equal(state)
    assert torch.get_num_threads() == threads


# --- what is shown


def test_the_gallery_holds_the_steadiest_units_on_their_highest_peaks(whole, labels):
    one, places = whole["norm"], landmarks_of(labels)
    maps = maps_of(labels, "norm")
    where, height = peaks_of(maps, start=1.5, stride=4.0)
    deviation = np.where(one.stability.judged >= 10, one.stability.deviation, np.nan)
    best = [float(np.nanmin(row)) if np.isfinite(row).any() else math.inf for row in deviation]
    order = [unit for unit in sorted(range(8), key=best.__getitem__) if best[unit] < math.inf]
    assert list(dict.fromkeys(one.gallery.unit.tolist())) == order
    assert len(order) >= 2
    members = of_class(labels)
    for unit in order:
        p, k = np.argwhere(deviation[unit] == best[unit])[0]
        marks = list(places.values())[p]
        mine = [n for n in members[k] if not math.isnan(marks[n][0]) and height[n, unit] > 0]
        expected = sorted(mine, key=lambda n: -height[n, unit])[:6]
        entries = one.gallery.of(unit)
        assert [one.gallery.names[one.gallery.image[e]] for e in entries] == [f"{n:02d}.png" for n in expected]
        for entry, n in zip(entries, expected, strict=True):
            np.testing.assert_allclose(one.shown[entry], (np.array(marks[n]) + 0.5) / 32)
            np.testing.assert_allclose(one.gallery.position[entry], (np.array(where[unit][n]) + 0.5) / 32)
            assert one.gallery.peak[entry] == pytest.approx(height[n, unit], rel=1e-5)


def test_without_landmarks_the_gallery_holds_the_units_with_most_template_information(covered, masks):
    one = covered["norm"]
    ratio = one.templates.ratio[one.templates.chosen]
    order = [unit for unit in np.argsort(-ratio, kind="stable") if not one.templates.flagged[unit] and ratio[unit] > 0]
    assert list(dict.fromkeys(one.gallery.unit.tolist())) == order
    peaks = maps_of(masks, "norm").max((2, 3))
    first = order[0]
    names = [one.gallery.names[one.gallery.image[entry]] for entry in one.gallery.of(first)]
    expected = sorted(range(24), key=lambda n: -peaks[n, first])[:6]
    assert names == [f"{n:02d}.png" for n in expected]


# --- what is said, and on disk


def test_the_result_says_how_it_was_made(labels, whole):
    made = whole["norm"].provenance
    assert (made.verb, made.batch_size, made.memory_format) == ("parts", 4, "contiguous")
    assert made.labels_sha == labels.sha
    assert made.options["layers"] == list(LAYERS)
    assert {"tuning", "activations", "stability of norm", "templates of norm"} <= made.stages.keys()
    assert made.command.startswith("score_parts_layers(Probe(model, ")
    asked = {**dict.fromkeys(("split", "limit", "device", "threads", "radius")), "skip_bad": False, "seed": 0}
    asked |= {"align": "half-pixel", "top": 100, **FED}
    assert made.is_of(planned_fingerprint(probe(LAYERS), labels, asked))
    assert not made.is_of(planned_fingerprint(probe(LAYERS), labels, {**asked, "top": 50}))


def test_progress_is_told(masks):
    told: dict[str, list[tuple[int, int]]] = {}
    score_parts(
        probe(["norm"]),
        masks,
        progress=lambda stage, done, all_: told.setdefault(stage, []).append((done, all_)),
        **FED,
    )
    assert told["activations"] == [(done, 24) for done in range(4, 25, 4)]
    assert told["part masks"] == [(done, 24) for done in range(1, 25)]


def test_a_run_goes_to_disk_and_back(whole, covered, tmp_path):
    for name, results in {"landmarks": whole, "masks": covered}.items():
        for layer, one in results.items():
            back = load(save(one, tmp_path / name / layer))
            same_numbers(one, back)
            assert back.provenance == one.provenance
            assert dict(back.pictures) == dict(one.pictures)
            assert back.summary() == one.summary()
            assert back.table().equals(one.table())
            listed = {path.name for path in (tmp_path / name / layer).iterdir()}
            assert listed == {"result.json", "scores.npz", "units.csv", "gallery.json"}


@pytest.mark.parametrize("which", ["whole", "covered"])
def test_arrays_that_were_cut_are_refused(which, request, tmp_path):
    one = request.getfixturevalue(which)["norm"]
    folder = save(one, tmp_path / "run" / "norm")
    with np.load(folder / "scores.npz") as archive:
        arrays = dict(archive)
    free = {"stability.random", "stability.constant"}  # as many draws and cells as there are
    for name in arrays.keys() - free:
        np.savez(folder / "scores.npz", **{**arrays, name: arrays[name][:-1]})
        with pytest.raises(ResultError, match="is damaged"):
            load(folder)
    for name in arrays.keys() & free:
        np.savez(folder / "scores.npz", **{**arrays, name: arrays[name][:, :-1]})
        with pytest.raises(ResultError, match="is damaged"):
            load(folder)
