"""Landmarks found from a few annotated images, against the definition and on scenes made by hand."""

import math

import numpy as np
import pytest
from reference import graph_evaluation as slow

from interpkit.graph._found import Found, Patterns
from interpkit.graph._landmarks import Landmarks
from interpkit.graph._localise import DRAWS, Voters, geometric_median, localise, placed, template, voters

SIZE = (112, 140)
SIDE = min(SIZE)
IMAGES, HELD, FILTERS = 20, 12, 90


def drawn(images: int, *, seed: int = 0, filters: int = FILTERS) -> Voters:
    rng = np.random.default_rng(seed)
    score = rng.uniform(0.1, 2, (images, filters)) * (rng.random((images, filters)) > 0.1)
    return Voters(rng.uniform(0, 1, (images, filters, 2)) * SIZE, score)


@pytest.mark.parametrize("shots", [1, 3, 8])
def test_templates_are_those_of_the_definition(shots):
    seen = drawn(shots)
    landmark = np.random.default_rng(1).uniform(20, 90, (shots, 2))
    mine = template(seen, landmark, side=SIDE)
    place = [[(float(a), float(b)) for a, b in image] for image in seen.place]
    expected = slow.template(place, seen.score.tolist(), [(float(a), float(b)) for a, b in landmark], side=SIDE)[:60]
    assert mine.filters.tolist() == [f for f, _, _ in expected]
    np.testing.assert_allclose(mine.offset, [way for _, way, _ in expected])
    np.testing.assert_allclose(mine.weight, [weight for _, _, weight in expected])


def test_filters_that_are_silent_on_a_shot_do_not_count():
    seen = drawn(3)
    seen.score[1, 5] = 0
    assert 5 not in template(seen, np.full((3, 2), 50.0), side=SIDE).filters
    seen.score[:] = 0
    nobody = template(seen, np.full((3, 2), 50.0), side=SIDE)
    assert not len(nobody.filters)


def test_the_geometric_median_has_the_least_sum_of_distances():
    rng = np.random.default_rng(2)
    points, weight = rng.normal(0, 10, (4, 15, 2)), rng.uniform(0, 1, (4, 15))
    weight[3, 0] = 30  # outweighs all others: the median lies on it
    at = geometric_median(points, weight, least=1e-6)
    for i in range(4):

        def total(place: np.ndarray, i: int = i) -> float:
            return float((weight[i] * np.linalg.norm(points[i] - place, axis=1)).sum())

        around = [total(at[i] + 0.5 * np.array([math.cos(a), math.sin(a)])) for a in np.linspace(0, 6, 12)]
        assert total(at[i]) < min(around)
    np.testing.assert_allclose(at[3], points[3, 0], atol=1e-3)


def test_votes_of_a_few_filters_gone_astray_are_outvoted():
    rng = np.random.default_rng(3)
    truth = rng.uniform(30, 80, (HELD, 2))
    ways = rng.uniform(-20, 20, (FILTERS, 2))
    seen = Voters(truth[:, None] - ways, np.ones((HELD, FILTERS)))
    one = template(seen, truth, side=SIDE)
    seen.place[:, one.filters[:20]] += 60
    np.testing.assert_allclose(placed(one, seen, side=SIDE), truth, atol=1.5)


def test_where_nobody_votes_the_landmark_is_where_it_usually_is():
    seen, landmark = drawn(3), np.array([[50.0, 20], [40, 20], [60, 50]])
    one = template(seen, landmark, side=SIDE)
    nothing = Voters(np.zeros((1, FILTERS, 2)), np.zeros((1, FILTERS)))
    np.testing.assert_allclose(placed(one, nothing, side=SIDE), [[50, 30]])
    nobody = template(Voters(seen.place, np.zeros_like(seen.score)), landmark, side=SIDE)
    np.testing.assert_allclose(placed(nobody, seen, side=SIDE), 3 * [[50, 30]])


def test_of_a_filters_nodes_the_strongest_votes():
    place = np.arange(2 * 6 * 2, dtype=np.float32).reshape(2, 6, 2)
    score = np.array([[1, 3, 2, 0, 0, 0], [3, 1, 1, 0, 0, 0]], np.float32)
    fitted, others = voters([Patterns("low", Found(place, score), Found(place[:1], 2 * score[:1]))], [2])
    # The second filter explains nothing on the training images.
    assert fitted.place.shape == (2, 1, 2)
    np.testing.assert_array_equal(fitted.place[:, 0], [place[0, 1], place[1, 0]])
    np.testing.assert_allclose(fitted.score[:, 0], [1, 1])
    np.testing.assert_allclose(others.score[:, 0], [2])


class Hand:
    """An object anywhere on the image; a filter's node sees it in one half of the image, another in the other."""

    def __init__(self, *, annotated: int = IMAGES) -> None:
        rng = np.random.default_rng(5)
        truth = rng.uniform(0.1, 0.9, (IMAGES + HELD, 2)) * SIZE
        ways = rng.uniform(-25, 25, (FILTERS, 2))
        there = truth[:, None] - ways
        left = (truth[:, 1] < SIZE[1] / 2)[:, None]
        nodes = np.stack([there, rng.uniform(0, 1, there.shape) * SIZE], 2)
        score = np.stack([np.ones(there.shape[:2]), np.full(there.shape[:2], 0.5)], 2)
        nodes = np.where(left[..., None, None], nodes, nodes[:, :, ::-1])
        score = np.where(left[..., None], score, score[:, :, ::-1])
        stray = np.where(rng.random(there.shape[:2])[..., None] < 0.5, there, rng.uniform(0, 1, there.shape) * SIZE)
        self.found = {
            "graph": [self.patterns(nodes.reshape(len(truth), -1, 2), score.reshape(len(truth), -1))],
            "raw": [self.patterns(stray, np.ones(there.shape[:2]))],
        }
        trained = truth[:IMAGES, None].copy()
        trained[annotated:] = np.nan
        self.landmarks = Landmarks(("head",), trained, truth[IMAGES:, None])

    @staticmethod
    def patterns(place: np.ndarray, score: np.ndarray) -> Patterns:
        both = (
            Found(place[rows].astype(np.float32), score[rows].astype(np.float32))
            for rows in (slice(0, IMAGES), slice(IMAGES, None))
        )
        return Patterns("low", *both)


def test_places_that_are_right_localise_and_those_that_are_not_do_so_less():
    made = Hand()
    table, notes = localise(made.found, made.landmarks, input_size=SIZE, shots=(1, 5), seed=0)
    assert notes == ()
    assert list(table["positions"][:4]) == ["graph", "raw", "mean place", "centre"]
    error = table.set_index(["shots", "positions"])["error"]
    within = table.set_index(["shots", "positions"])["within"]
    for shots in (1, 5):
        assert error[shots, "graph"] < 1e-3
        assert within[shots, "graph"] == 1
        assert error[shots, "graph"] < error[shots, "raw"] < error[shots, "mean place"]
    assert set(table["draws"]) == {DRAWS}


def test_the_floors_are_those_of_the_shots_and_of_the_middle():
    made = Hand(annotated=3)
    made.landmarks.held_out[0, 0] = (55.5, 69.5 + 13)  # a tenth of the longer side is 14
    table, notes = localise(made.found, made.landmarks, input_size=SIZE, shots=(3, 4), seed=0)
    assert set(table["shots"]) == {3}
    assert len(notes) == 1
    assert "head with 4" in notes[0]
    rows, truth = table.set_index("positions"), made.landmarks.held_out[:, 0]
    # All three that are annotated are drawn each time.
    for name, at in (("mean place", made.landmarks.training[:3, 0].mean(0)), ("centre", np.array([55.5, 69.5]))):
        away = np.linalg.norm(truth - at, axis=1)
        assert rows.loc[name, "error"] == pytest.approx(away.mean() / math.hypot(*SIZE))
        assert rows.loc[name, "within"] == pytest.approx((away <= 14).mean())
        assert rows.loc[name, "spread"] == pytest.approx(0, abs=1e-12)


def test_the_seed_decides():
    made = Hand()
    one, again, other = (
        localise(made.found, made.landmarks, input_size=SIZE, shots=(2,), seed=seed)[0] for seed in (0, 0, 1)
    )
    assert one.equals(again)
    assert not one["error"].equals(other["error"])
    alone = localise(made.found, made.landmarks, input_size=SIZE, shots=(1, 2), seed=0)[0]
    assert alone[alone["shots"] == 2].reset_index(drop=True).equals(one)


def test_filters_of_layers_vote_together():
    made = Hand()
    half = {
        name: [
            Patterns(
                layer,
                *(
                    Found(found.place[:, part], found.score[:, part])
                    for found in (several[0].training, several[0].held_out)
                ),
            )
            for layer, part in (
                ("low", slice(0, several[0].training.score.shape[1] // 2)),
                ("high", slice(several[0].training.score.shape[1] // 2, None)),
            )
        ]
        for name, several in made.found.items()
    }
    one, other = (
        localise(found, made.landmarks, input_size=SIZE, shots=(3,), seed=0)[0] for found in (half, made.found)
    )
    np.testing.assert_allclose(one["error"], other["error"])


def test_without_held_out_images_there_is_a_note():
    made = Hand()
    some = Landmarks(("head",), made.landmarks.training, made.landmarks.held_out[:0])
    table, notes = localise(made.found, some, input_size=SIZE, shots=(1,), seed=0)
    assert not len(table)
    assert "held-out" in notes[0]
