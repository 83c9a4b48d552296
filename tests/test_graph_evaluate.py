"""What landmarks say of a graph's nodes, against the definitions and on scenes whose parts are known."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from planted_parts import SIDE, TRAINING, scene
from reference import graph_evaluation as slow

from interpkit import em
from interpkit.graph._evaluate import all_merged, evaluate, judge, near, purities, steadiness, strongest
from interpkit.graph._found import Found, Patterns
from interpkit.graph._landmarks import Landmarks, landmarks_of
from interpkit.labels import LabelSet
from interpkit.results import GraphEvaluation

SIZE = (90, 120)
DIAGONAL, LONGER = math.hypot(*SIZE), max(SIZE)
IMAGES, HELD, NODES = 40, 12, 30
NAMES = ("head", "legs", "tail")


def found(rng: np.random.Generator, images: int, nodes: int = NODES, *, silent: float = 0.2) -> Found:
    """Nodes anywhere, some of them silent, scores in steps so that some are equal."""
    score = rng.integers(1, 60, (images, nodes)) / 8 * (rng.random((images, nodes)) > silent)
    place = rng.uniform(0, 1, (images, nodes, 2)) * SIZE
    place[rng.random((images, nodes)) < 0.05] = np.nan
    return Found(place.astype(np.float32), score.astype(np.float32))


def marks(rng: np.random.Generator, images: int, *, missing: float = 0.3) -> np.ndarray:
    places = rng.uniform(0.2, 0.8, (images, len(NAMES), 2)) * SIZE
    places[rng.random(places.shape[:2]) < missing] = np.nan
    return places


@pytest.fixture
def drawn() -> tuple[Patterns, Landmarks]:
    rng = np.random.default_rng(4)
    patterns = Patterns("low", found(rng, IMAGES), found(rng, HELD))
    return patterns, Landmarks(NAMES, marks(rng, IMAGES), marks(rng, HELD))


def written_out(one: Found, node: int) -> tuple[list[tuple[float, float]], list[float]]:
    return [(float(a), float(b)) for a, b in one.place[:, node]], one.score[:, node].tolist()


def points(places: np.ndarray) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a, b in places]


@pytest.mark.parametrize("silent", [0.2, 0.85])
def test_judged_nodes_are_those_of_the_definition(drawn, silent):
    _, landmarks = drawn
    one = found(np.random.default_rng(7), IMAGES, silent=silent)
    mine = judge(Patterns("low", one, one), landmarks, input_size=SIZE)
    expected = [points(image) for image in landmarks.training]
    for v in range(NODES):
        position, score = written_out(one, v)
        purity, part = slow.purity(position, score, expected, reach=0.1 * DIAGONAL, top=20)
        assert mine.purity[v] == pytest.approx(purity, nan_ok=True)
        assert mine.part[v] == part
        each = [
            slow.instability(position, score, points(landmarks.training[:, p]), diagonal=DIAGONAL, top=20)[0]
            for p in range(len(NAMES))
        ]
        assert mine.instability[v] == pytest.approx(slow.mean_of(each), nan_ok=True, rel=1e-6)
    assert np.isnan(mine.purity).any() == (silent > 0.5)


def test_blocks_of_nodes_change_nothing(drawn, monkeypatch):
    patterns, landmarks = drawn
    whole = judge(patterns, landmarks, input_size=SIZE)
    monkeypatch.setattr("interpkit.graph._evaluate._BLOCK", 7 * IMAGES)
    for name, value in vars(judge(patterns, landmarks, input_size=SIZE)).items():
        np.testing.assert_array_equal(value, getattr(whole, name))


def test_a_node_on_a_landmark_is_pure_and_steady():
    rng = np.random.default_rng(0)
    landmarks = marks(rng, IMAGES, missing=0) * (1, 0.4) + np.array([[0, 0], [0, 40], [0, 70]])
    place = np.stack([landmarks[:, 1] + (3, -4), np.full((IMAGES, 2), 45.0)], 1).astype(np.float32)
    both = Found(place, np.ones((IMAGES, 2), np.float32))
    mine = judge(Patterns("low", both, both), Landmarks(NAMES, landmarks, landmarks[:0]), input_size=SIZE)
    assert mine.part[0] == 1
    assert mine.purity[0] == 1
    deviation, explained = steadiness(both, landmarks, diagonal=DIAGONAL)
    assert deviation[0, 1] == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(explained[:, 1], [1, 0], atol=1e-6)


def test_a_node_without_a_place_is_near_nothing():
    landmarks = np.full((10, 1, 2), 50.0)
    one = Found(np.full((10, 2, 2), 50, np.float32), np.ones((10, 2), np.float32))
    one.score[:3, 1] = 0
    shares, means = near(one, landmarks, within=9)
    np.testing.assert_allclose(shares[:, 0], [1, 0.7])
    assert means[0, 0] == 0 < means[1, 0]
    landmarks[4:] = np.nan
    shares, _ = near(one, landmarks, within=9)
    assert np.isnan(shares).all()


def cells(table: pd.DataFrame, **asked: object) -> pd.DataFrame:
    for name, value in asked.items():
        table = table[table[name] == value]
    return table


def everything(patterns: Patterns, landmarks: Landmarks, **more: list[Patterns]) -> GraphEvaluation:
    return evaluate({"graph": [patterns], "raw": [patterns], **more}, landmarks, input_size=SIZE, shots=(1, 3), seed=0)


def test_the_table_is_that_of_the_definition(drawn):
    patterns, landmarks = drawn
    table = everything(patterns, landmarks).table
    training = patterns.training
    best = [np.sort(training.score[:, v])[::-1][:20].mean() for v in range(NODES)]
    chosen = sorted(range(NODES), key=lambda v: (-best[v], v))[:20]
    for p, name in enumerate(NAMES):
        for images, one, places in (
            ("training", training, landmarks.training[:, p]),
            ("held out", patterns.held_out, landmarks.held_out[:, p]),
        ):
            rows = cells(table, positions="graph", images=images, top=20, landmark=name)
            assert len(rows) == 1
            row = rows.iloc[0]
            assert row["nodes"] == 20
            both = [slow.instability(*written_out(one, v), points(places), diagonal=DIAGONAL, top=20) for v in chosen]
            assert row["instability"] == pytest.approx(slow.mean_of([a for a, _ in both]), rel=1e-6)
            assert row["explained"] == pytest.approx(slow.mean_of([b for _, b in both]), rel=1e-5)
            trained = [
                slow.share_near(*written_out(training, v), points(landmarks.training[:, p]), 0.1 * LONGER)
                for v in chosen
            ]
            rivals = [v for v, share in zip(chosen, trained, strict=True) if share == max(trained)]
            shares = {slow.share_near(*written_out(one, v), points(places), 0.1 * LONGER) for v in rivals}
            assert min(abs(row["pck"] - share) for share in shares) < 1e-9


def test_all_is_the_mean_of_the_landmarks_and_the_sum_of_what_is_pure(drawn):
    patterns, landmarks = drawn
    rng = np.random.default_rng(1)
    near = np.nan_to_num(landmarks.training[:, [0, 0, 1]], nan=1e4) + rng.normal(0, 2, (IMAGES, 3, 2))
    place = np.concatenate([patterns.training.place, near], 1).astype(np.float32)
    training = Found(place, np.concatenate([patterns.training.score, np.full((IMAGES, 3), 5, np.float32)], 1))
    held = Found(place[:HELD], training.score[:HELD])
    table = everything(Patterns("low", training, held), landmarks).table
    for _, rows in table.groupby(["positions", "images", "top"]):
        single, every = rows[rows["landmark"] != "all"], rows[rows["landmark"] == "all"].iloc[0]
        for name in ("instability", "explained", "pck"):
            assert every[name] == pytest.approx(np.nanmean(single[name]))
        assert every["pure"] == pytest.approx(single["pure"].sum())
    rows = cells(table, positions="graph", images="training", top=100).set_index("landmark")
    mine = judge(Patterns("low", training, held), landmarks, input_size=SIZE)
    assert rows.loc["all", "pure"] == pytest.approx((mine.purity >= 0.8).mean())
    assert rows.loc["all", "pure"] > 0
    assert rows.loc["all", "purity"] == pytest.approx(mine.purity.mean())
    assert rows.loc["head", "pure"] == pytest.approx(((mine.purity >= 0.8) & (mine.part == 0)).mean())
    assert rows.loc["legs", "pure"] > rows.loc["head", "pure"]
    assert rows.loc["head", "purity"] == pytest.approx(mine.purity[mine.part == 0].mean())


def test_the_centre_is_judged_on_all_images(drawn):
    patterns, landmarks = drawn
    table = cells(everything(patterns, landmarks).table, positions="centre", images="training", landmark="head")
    there = landmarks.training[:, 0][np.isfinite(landmarks.training[:, 0, 0])]
    away = np.linalg.norm(there - (44.5, 59.5), axis=1)
    np.testing.assert_allclose(table["instability"], away.std(ddof=1) / DIAGONAL, rtol=1e-6)
    np.testing.assert_allclose(table["pck"], (away <= 0.1 * LONGER).mean())
    np.testing.assert_allclose(table["explained"], 0)
    assert table["nodes"].tolist() == [1, 1]


def test_nodes_that_coincide_count_once_in_all_or_in_none(drawn):
    patterns, landmarks = drawn
    own = np.arange(NODES)
    own[:10] = 10
    merged = Patterns("low", patterns.training, patterns.held_out, own)
    assert set(strongest(merged, merged=True)) == set(range(10, NODES))
    assert len(strongest(merged, merged=False)) == NODES
    assert all_merged({"graph": merged, "no edges": merged, "raw": patterns})
    one = everything(merged, landmarks, **{"no edges": [merged]})
    other = everything(merged, landmarks, **{"no edges": [patterns]})
    assert set(cells(one.table, positions="graph", top=100)["nodes"]) == {NODES - 10}
    assert set(cells(one.table, positions="no edges", top=100)["nodes"]) == {NODES - 10}
    assert set(cells(other.table, positions="graph", top=100)["nodes"]) == {NODES}
    assert [note for note in other.notes if "coincide" in note]
    assert not [note for note in one.notes if "coincide" in note]


def test_idle_nodes_are_not_judged(drawn):
    patterns, landmarks = drawn
    patterns.training.score[:, 3] = 0
    assert 3 not in strongest(patterns, merged=False)
    patterns.training.score[:] = 0
    table = everything(patterns, landmarks).table
    empty = cells(table, positions="graph")
    assert set(empty["nodes"]) == {0}
    assert empty[["instability", "explained", "pck", "purity", "pure"]].isna().all(axis=None)


def test_few_annotated_images_are_not_judged_and_it_is_said(drawn):
    patterns, landmarks = drawn
    landmarks.held_out[4:, 1] = np.nan
    result = everything(patterns, landmarks)
    rows = cells(result.table, images="held out", landmark="legs")
    assert rows[["instability", "explained", "pck"]].isna().all(axis=None)
    assert any("legs" in note and "too few" in note for note in result.notes)
    restored = GraphEvaluation.restored(result.document())
    pd.testing.assert_frame_equal(restored.table, result.table, check_dtype=False)
    pd.testing.assert_frame_equal(restored.localisation, result.localisation, check_dtype=False)
    assert result.at("low", "graph", top=20) == pytest.approx(
        cells(result.table, positions="graph", images="held out", top=20, landmark="all")["instability"].iloc[0]
    )


def test_without_held_out_images(drawn):
    patterns, landmarks = drawn
    none = Found(patterns.held_out.place[:0], patterns.held_out.score[:0])
    result = everything(
        Patterns("low", patterns.training, none), Landmarks(NAMES, landmarks.training, landmarks.held_out[:0])
    )
    assert set(result.table["images"]) == {"training"}
    assert not len(result.localisation)
    assert any("held out" in note for note in result.notes)
    restored = GraphEvaluation.restored(result.document())
    assert list(restored.localisation.columns) == list(result.localisation.columns)


def test_purity_needs_a_landmark_within_reach():
    landmarks = np.full((10, 2, 2), np.nan)
    landmarks[:8, 0] = 50
    place = np.full((10, 1, 2), 50, np.float32)
    place[:4] += 9
    one = Found(place, np.ones((10, 1), np.float32))
    # On 8 images there is a landmark; on 4 of them it is out of reach.
    purity, part = purities(one, landmarks, reach=10)
    assert (purity[0], part[0]) == (0.5, 0)
    purity, part = purities(one, landmarks, reach=13)
    assert (purity[0], part[0]) == (1, 0)


def test_landmarks_of_rows(tmp_path):
    from PIL import Image

    (tmp_path / "images").mkdir()
    lines = ["image,head_row,head_col,tail_row,tail_col"]
    for n in range(6):
        Image.new("RGB", (20, 10)).save(tmp_path / "images" / f"{n}.png")
        lines.append(f"{n}.png,{n},{n},,") if n != 2 else lines.append("2.png,,,,")
    (tmp_path / "landmarks.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    labels = LabelSet.open(tmp_path)
    one = landmarks_of(labels, [5, 1, 2], [4, 0], input_size=(20, 20))
    assert one is not None
    assert one.names == ("head",)
    assert one.training.shape == (3, 1, 2)
    assert one.held_out.shape == (2, 1, 2)
    np.testing.assert_allclose(one.training[:, 0], [[10.5, 5], [2.5, 1], [np.nan, np.nan]])
    np.testing.assert_allclose(one.held_out[:, 0], [[8.5, 4], [0.5, 0]])
    assert landmarks_of(labels, [2], [], input_size=(20, 20)) is None
    assert landmarks_of(labels, [2], [1], input_size=(20, 20)) is None


class Scene:
    """A scene's layers, fitted; its parts are the landmarks."""

    def __init__(self) -> None:
        made = scene(1)
        self.landmarks = Landmarks(tuple("abcdef"), made.parts[:TRAINING], made.parts[TRAINING:])
        self.upper, self.lower = (
            torch.from_numpy(one.maps / one.maps[:TRAINING].max((2, 3)).mean(0)[:, None, None]).float()
            for one in (made.upper, made.lower)
        )
        top, above = self.fit(self.upper, None, nodes=6)
        order = torch.from_numpy(np.random.default_rng(0).permutation(TRAINING))
        order = torch.cat([order, torch.arange(TRAINING, len(made.parts)).flip(0)])
        dealt = em.Above(above.place[order], above.score[order], above.mean, above.sigma)
        self.found = {
            "graph": [self.fit(self.lower, above, nodes=8)[0], top],
            "no edges": [self.fit(self.lower, None, nodes=8)[0]],
            "shuffled": [self.fit(self.lower, dealt, nodes=8)[0]],
            "raw": [self.highest(self.lower), self.highest(self.upper)],
        }

    def fit(self, maps: torch.Tensor, above: em.Above | None, *, nodes: int) -> tuple[Patterns, em.Above]:
        """Fitted to the training images; its places on all, and what it says of the layer below."""
        grid, rows = self.grid(maps), slice(0, TRAINING)
        settings = em.Settings(nodes, 5, 0.1, 15, rule="repick", fused=False, candidates=600, input_size=(SIDE, SIDE))
        told = above and em.Above(above.place[rows], above.score[rows], above.mean, above.sigma)
        one = em.fit_layer(maps[rows], grid, told, settings=settings, draws=torch.Generator().manual_seed(1))
        where = em.located(maps, em.Nodes(one.nodes.place, one.used), grid, above=above, edges=one.edges)
        place, score = where.place.flatten(1, 2), where.score.flatten(1)
        _, mean = em.displacement(place[rows], score[rows] > 0)
        return self.split(maps, place, score), em.Above(place, score, mean, one.nodes.sigma.flatten())

    def highest(self, maps: torch.Tensor) -> Patterns:
        """Filters at their arg-max."""
        grid, (high, cell) = self.grid(maps), maps.flatten(2).max(2)
        place = torch.stack([grid.rows[cell // maps.shape[3]], grid.columns[cell % maps.shape[3]]], -1)
        return self.split(maps, place, high)

    def split(self, maps: torch.Tensor, place: torch.Tensor, score: torch.Tensor) -> Patterns:
        parts = (
            Found(place[rows].numpy(), score[rows].numpy()) for rows in (slice(0, TRAINING), slice(TRAINING, None))
        )
        return Patterns("low" if maps is self.lower else "high", *parts)

    def grid(self, maps: torch.Tensor) -> em.Grid:
        rows, columns = (SIDE / n * (torch.arange(n) + 0.5) - 0.5 for n in maps.shape[2:])
        return em.Grid(rows, columns)


@pytest.fixture(scope="module")
def planted() -> GraphEvaluation:
    made = Scene()
    return evaluate(made.found, made.landmarks, input_size=(SIDE, SIDE), shots=(1, 3, 10), seed=0)


@pytest.mark.parametrize("images", ["training", "held out"])
def test_edges_are_seen_to_help_where_parts_move_together(planted, images):
    at = {name: planted.at("low", name, images=images) for name in ("graph", "no edges", "shuffled", "raw", "centre")}
    assert at["graph"] < 0.8 * min(at["no edges"], at["shuffled"])
    assert at["graph"] < 0.8 * at["centre"]
    assert at["raw"] > 1.5 * at["centre"]
    rows = cells(planted.table, layer="low", images=images, top=100, landmark="all").set_index("positions")
    assert rows.loc["graph", "explained"] > rows.drop("graph")["explained"].max() + 0.1
    assert rows.loc["graph", "pck"] > max(rows.loc["no edges", "pck"], rows.loc["raw", "pck"])
    # The topmost layer has no edges, and so no controls of them.
    assert math.isnan(planted.at("high", "no edges", images=images))


def test_landmarks_are_localised_better_than_by_filters_alone(planted):
    error = planted.localisation.groupby(["shots", "positions"])["error"].mean().unstack()
    assert (error["graph"] < 0.9 * error["raw"]).all()
    assert (error["graph"] < 0.8 * error["mean place"]).all()
    assert error.loc[10, "graph"] < error.loc[1, "graph"]
