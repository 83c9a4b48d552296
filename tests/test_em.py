"""The steps of the explanatory graph against their definition, and against what was planted."""

import numpy as np
import pytest
import torch
from planted_parts import SIDE, TRAINING, Planted, Scene, scene, scored
from reference import explanatory_graph as slow

from interpkit import em
from interpkit.em import Above, Fitted, Settings, fit_layer, located, steps
from interpkit.em.fitting import _Fit
from interpkit.graph._checks import LEAST_NOISE, MOST_NOISE

H, W, FILTERS, NODES, IMAGES, ABOVE, EDGES = 7, 5, 3, 4, 6, 9, 3
NOISE = 0.01


def grid(h: int, w: int, *, size: tuple[int, int] = (SIDE, SIDE), kind: torch.dtype = torch.float32) -> em.Grid:
    return em.Grid(
        *(side / n * (torch.arange(n, dtype=kind) + 0.5) - 0.5 for side, n in zip(size, (h, w), strict=True))
    )


@pytest.fixture
def drawn():
    """Maps, nodes and a guide in double precision."""
    draws = torch.Generator().manual_seed(3)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=draws, dtype=torch.float64)

    maps = (random(IMAGES, FILTERS, H, W) - 0.4).clamp(min=0)
    nodes = em.Nodes(SIDE * random(FILTERS, NODES, 2), 15 + 40 * random(FILTERS, NODES))
    told = em.Guide(20 * random(IMAGES, FILTERS, NODES, 2) - 10, -2 * random(IMAGES, FILTERS, NODES))
    return maps, nodes, told


def written_out(maps, nodes, told):
    """The arguments of the slow version."""
    where = grid(H, W, kind=torch.float64)
    cells = np.stack(np.meshgrid(where.rows.numpy(), where.columns.numpy(), indexing="ij"), -1)
    shift = np.zeros((IMAGES, FILTERS, NODES, 2)) if told is None else told.shift.numpy()
    factor = np.ones((IMAGES, FILTERS, NODES)) if told is None else told.log_agreement.exp().numpy()
    spread = (nodes.place.numpy(), nodes.sigma.numpy())
    return (maps.numpy(), spread, cells), {"shift": shift, "factor": factor, "noise": NOISE / where.cell}


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize(("kind", "close"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_sums_are_those_of_the_mixture_written_out(drawn, guided, kind, close):
    maps, nodes, told = drawn
    told = told if guided else None
    given, named = written_out(maps, nodes, told)
    cast = None if told is None else em.Guide(told.shift.to(kind), told.log_agreement.to(kind))
    found = em.expect(
        maps.to(kind),
        em.Nodes(nodes.place.to(kind), nodes.sigma.to(kind)),
        grid(H, W, kind=kind),
        told=cast,
        noise=NOISE,
    )
    np.testing.assert_allclose(found.likelihood, slow.likelihood(*given, **named), rtol=min(close, 1e-5))
    for mine, expected in zip((found.weight, found.first, found.second), slow.moments(*given, **named), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=close, atol=close * np.abs(expected).max())


def test_the_slope_of_the_likelihood_leads_to_the_new_places(drawn):
    maps, nodes, told = drawn
    given, named = written_out(maps, nodes, told)
    sums = em.expect(maps, nodes, grid(H, W, kind=torch.float64), told=told, noise=NOISE)
    new = em.maximise(nodes, sums, bounds=(1.0, 500.0))
    (place, sigma), step = given[1], 1e-4
    for d, n, axis in ((0, 0, 0), (1, 2, 1), (2, 3, 0)):
        sides = []
        for sign in (1, -1):
            moved = place.copy()
            moved[d, n, axis] += sign * step
            sides.append(slow.likelihood(given[0], (moved, sigma), given[2], **named)[d])
        slope = (sides[0] - sides[1]) / (2 * step)
        expected = float(sums.weight[d, n]) / sigma[d, n] ** 2 * float(new.place[d, n, axis] - place[d, n, axis])
        assert slope == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("rate", [1.0, 0.4])
def test_deviations_are_those_about_the_new_places(drawn, rate):
    maps, nodes, told = drawn
    (_, (place, sigma), cells), named = written_out(maps, nodes, told)
    sums = em.expect(maps, nodes, grid(H, W, kind=torch.float64), told=told, noise=NOISE)
    new = em.maximise(nodes, sums, bounds=(1.0, 500.0), rate=rate)
    for d in range(FILTERS):
        weight, square = np.zeros(NODES), np.zeros(NODES)
        for i, shift in enumerate(named["shift"][:, d]):
            parts = slow.mixture((place[d], sigma[d]), cells, shift, factor=named["factor"][i, d])
            shares = maps[i, d].numpy() * parts / (named["noise"] + parts.sum(0))
            away = cells - (new.place[d].numpy() + shift)[:, None, None]
            weight += shares.sum((1, 2))
            square += (shares * (away**2).sum(-1)).sum((1, 2))
        np.testing.assert_allclose(new.sigma[d], np.sqrt(square / (2 * weight)))


def test_each_step_raises_the_likelihood(drawn):
    maps, nodes, told = drawn
    where, last = grid(H, W, kind=torch.float64), -np.inf
    for _ in range(15):
        sums = em.expect(maps, nodes, where, told=told, noise=NOISE)
        assert float(sums.likelihood.sum()) >= last
        last = float(sums.likelihood.sum())
        nodes = em.maximise(nodes, sums, bounds=(1.0, 500.0), rate=0.7)


def test_a_product_of_gaussians_is_one():
    draws = np.random.default_rng(0)
    moved, sigma = draws.normal(0, 20, (2, ABOVE, 2)), draws.uniform(4, 30, ABOVE)
    edges = np.stack([draws.choice(ABOVE, EDGES, replace=False) for _ in range(4)]).reshape(2, 2, EDGES)
    seen = np.ones((2, ABOVE))
    found = em.guide(*map(torch.from_numpy, (moved, sigma, edges)), seen=torch.from_numpy(seen))
    for i, d, n in np.ndindex(2, 2, 2):
        middle, _, factor = slow.fused(moved[i][edges[d, n]], sigma[edges[d, n]])
        np.testing.assert_allclose(found.shift[i, d, n], middle, rtol=1e-9)
        assert float(found.log_agreement[i, d, n]) == pytest.approx(np.log(factor), abs=1e-9)
        # The product itself, at some place.
        at = draws.normal(0, 20, 2)
        each = [slow.gaussian(at, moved[i, m], sigma[m]) for m in edges[d, n]]
        spread = 1 / np.sqrt(np.mean(1 / sigma[edges[d, n]] ** 2))
        assert np.prod(each) ** (1 / EDGES) == pytest.approx(factor * slow.gaussian(at, middle, spread), rel=1e-6)


def test_a_neighbour_without_a_place_says_nothing():
    moved, sigma = torch.tensor([[[5.0, 0], [9, 9], [1, 2]]]), torch.tensor([4.0, 6, 8])
    seen, edges = torch.tensor([[1.0, 0, 1]]), torch.tensor([[[0, 1, 2]]])
    found = em.guide(moved, sigma, edges, seen=seen)
    alone = em.guide(moved[:, [0, 2]], sigma[[0, 2]], torch.tensor([[[0, 1]]]), seen=torch.ones(1, 2))
    torch.testing.assert_close(found.shift, alone.shift)
    torch.testing.assert_close(found.log_agreement, alone.log_agreement)
    nobody = em.guide(moved, sigma, edges, seen=torch.zeros(1, 3))
    assert not nobody.shift.any()
    assert not nobody.log_agreement.any()


def test_inference_finds_the_best_cell(drawn):
    maps, nodes, told = drawn
    maps[0, 1] = 0
    where = grid(H, W, kind=torch.float64)
    found = em.infer(maps, nodes, where, told=told)
    (_, (place, sigma), cells), named = written_out(maps, nodes, told)
    for i, d, n in np.ndindex(IMAGES, FILTERS, NODES):
        middle = place[d, n] + named["shift"][i, d, n]
        all_cells = maps[i, d].numpy() * named["factor"][i, d, n] * slow.gaussian(cells, middle, sigma[d, n])
        assert float(found.score[i, d, n]) == pytest.approx(all_cells.max())
        expected = cells.reshape(-1, 2)[all_cells.argmax()] if all_cells.any() else middle
        np.testing.assert_allclose(found.place[i, d, n], expected)


@pytest.mark.parametrize("guided", [False, True])
def test_filters_at_a_time_change_no_bit(drawn, guided, monkeypatch):
    maps, nodes, told = drawn
    told = told if guided else None
    whole = em.infer(maps, nodes, grid(H, W, kind=torch.float64), told=told)
    monkeypatch.setattr(steps, "_DENSE", 1)
    one = em.infer(maps, nodes, grid(H, W, kind=torch.float64), told=told)
    assert torch.equal(one.place, whole.place)
    assert torch.equal(one.score, whole.score)


def test_the_noise_that_is_allowed_gives_numbers():
    """Narrow nodes and far cells: between them single precision has nothing but the noise."""
    nodes = em.Nodes(torch.tensor([[[20.0, 20], [30, 40]]]), torch.full((1, 2), 4.0))
    maps = 1000 * torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for noise in (LEAST_NOISE, MOST_NOISE):
        found = em.expect(maps, nodes, grid(28, 28), told=None, noise=noise)
        for name in ("weight", "first", "second", "likelihood"):
            assert torch.isfinite(getattr(found, name)).all()


def test_laws(drawn):
    maps, nodes, told = drawn
    where = grid(H, W, kind=torch.float64)
    whole = em.expect(maps, nodes, where, told=told, noise=NOISE)
    # Chunks.
    parts = None
    for images in (slice(0, 1), slice(1, 5), slice(5, 6)):
        one = em.Guide(told.shift[images], told.log_agreement[images])
        parts = em.expect(maps[images], nodes, where, told=one, noise=NOISE, before=parts)
    for name in ("weight", "first", "second", "likelihood"):
        assert torch.equal(getattr(parts, name), getattr(whole, name))
    # A silent image.
    one = em.Guide(told.shift[:1], told.log_agreement[:1])
    silent = em.expect(torch.zeros_like(maps[:1]), nodes, where, told=one, noise=NOISE, before=whole)
    assert torch.equal(silent.first, whole.first)
    # Mirrored images and mirrored places.
    flipped = em.Nodes(nodes.place * torch.tensor([1, -1]) + torch.tensor([0, SIDE - 1]), nodes.sigma)
    across = em.Guide(told.shift * torch.tensor([1, -1]), told.log_agreement)
    mirrored = em.expect(maps.flip(3), flipped, where, told=across, noise=NOISE)
    torch.testing.assert_close(mirrored.first, whole.first * torch.tensor([1, -1]))
    # Filters and nodes in another order.
    turned = em.expect(
        maps.flip(1),
        em.Nodes(nodes.place.flip(0, 1), nodes.sigma.flip(0, 1)),
        where,
        told=em.Guide(told.shift.flip(1, 2), told.log_agreement.flip(1, 2)),
        noise=NOISE,
    )
    torch.testing.assert_close(turned.second, whole.second.flip(0, 1))


def test_a_node_that_explains_nothing_keeps_its_parameters(drawn):
    _, nodes, _ = drawn
    zero = torch.zeros(FILTERS, NODES, dtype=torch.float64)
    nothing = em.Sums(zero, torch.zeros(FILTERS, NODES, 2, dtype=torch.float64), zero, zero[:, 0])
    new = em.maximise(nodes, nothing, bounds=(1.0, 500.0))
    assert torch.equal(new.place, nodes.place)
    assert torch.equal(new.sigma, nodes.sigma)


class Fits:
    """Both layers of a scene fitted, and the lower one without edges and with shuffled ones."""

    def __init__(self, seed: int, **asked: float) -> None:
        made: Scene = scene(seed, **asked)
        self.made, self.seed = made, seed
        self.upper, self.lower = (normalised(one) for one in (made.upper, made.lower))
        self.above = self.fit(self.upper, None, nodes=6)
        self.with_edges = self.fit(self.lower, self.seen(slice(0, TRAINING)), nodes=8)
        self.without = self.fit(self.lower, None, nodes=8)
        order = torch.from_numpy(np.random.default_rng(seed).permutation(TRAINING))
        told = self.seen(slice(0, TRAINING))
        shuffled = Above(told.place[order], told.score[order], told.mean, told.sigma)
        self.shuffled = self.fit(self.lower, shuffled, nodes=8), shuffled

    def fit(self, maps: torch.Tensor, above: Above | None, *, nodes: int) -> Fitted:
        settings = Settings(nodes, 5, 0.1, 20, rule="repick", fused=False, candidates=600, input_size=(SIDE, SIDE))
        draws = torch.Generator().manual_seed(self.seed)
        return fit_layer(maps[:TRAINING], grid(*maps.shape[2:]), above, settings=settings, draws=draws)

    def found(self, maps: torch.Tensor, fitted: Fitted, images: slice, *, above: Above | None) -> em.Found:
        nodes = em.Nodes(fitted.nodes.place, fitted.used)
        return located(maps[images], nodes, grid(*maps.shape[2:]), above=above, edges=fitted.edges)

    def seen(self, images: slice) -> Above:
        """The upper layer on some images, with the means of the training images."""
        means = self.found(self.upper, self.above, slice(0, TRAINING), above=None)
        flat = means.place.flatten(1, 2), means.score.flatten(1)
        _, mean = em.displacement(flat[0], flat[1] > 0)
        found = self.found(self.upper, self.above, images, above=None)
        return Above(found.place.flatten(1, 2), found.score.flatten(1), mean, self.above.nodes.sigma.flatten())

    def judged(self, planted: Planted, found: em.Found, images: slice) -> dict[str, float]:
        cut = Planted(planted.maps, planted.places, planted.there)
        return scored(found.place.numpy(), found.score.numpy(), cut, parts=self.made.parts, images=images)


def normalised(planted: Planted) -> torch.Tensor:
    scale = planted.maps[:TRAINING].max((2, 3)).mean(0)
    return torch.from_numpy(planted.maps / scale[:, None, None]).float()


TRAIN, HELD = slice(0, TRAINING), slice(TRAINING, None)


@pytest.fixture(scope="module")
def fits() -> list[Fits]:
    return [Fits(seed) for seed in range(3)]


def mean_of(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def test_the_upper_layer_is_recovered(fits):
    rows = [one.judged(one.made.upper, one.found(one.upper, one.above, TRAIN, above=None), TRAIN) for one in fits]
    found = mean_of(rows)
    assert found["recovered"] >= 0.85
    assert found["instability"] <= 0.07


def test_filters_at_their_highest_cell_find_far_less(fits):
    """Clutter beats the parts on half of the maps, and the scene is of use only if it does."""
    for layer in ("upper", "lower"):
        rows = []
        for one in fits:
            maps, planted = getattr(one, layer)[TRAIN], getattr(one.made, layer)
            where, cell = grid(*maps.shape[2:]), maps.flatten(2).argmax(2)
            place = torch.stack([where.rows[cell // maps.shape[3]], where.columns[cell % maps.shape[3]]], -1)
            rows.append(one.judged(planted, em.Found(place[:, :, None], maps.amax((2, 3))[..., None]), TRAIN))
        found = mean_of(rows)
        assert found["instability"] >= 0.11
        assert found["recovered"] <= 0.1


def test_edges_make_the_lower_layer_steadier_than_none_and_than_shuffled_ones(fits):
    told = [one.seen(TRAIN) for one in fits]
    edges = mean_of(
        [
            one.judged(one.made.lower, one.found(one.lower, one.with_edges, TRAIN, above=above), TRAIN)
            for one, above in zip(fits, told, strict=True)
        ]
    )
    none = mean_of(
        [one.judged(one.made.lower, one.found(one.lower, one.without, TRAIN, above=None), TRAIN) for one in fits]
    )
    shuffled = mean_of(
        [
            one.judged(one.made.lower, one.found(one.lower, one.shuffled[0], TRAIN, above=one.shuffled[1]), TRAIN)
            for one in fits
        ]
    )
    assert edges["recovered"] >= 0.8
    assert edges["precision"] >= 0.9
    assert edges["error"] <= 16
    assert edges["instability"] <= 0.8 * none["instability"]
    assert edges["instability"] <= 0.8 * shuffled["instability"]
    assert edges["pck"] >= shuffled["pck"] + 0.05


def test_images_kept_apart_are_judged_alike(fits):
    upper = (
        mean_of([one.judged(one.made.upper, one.found(one.upper, one.above, rows, above=None), rows) for one in fits])
        for rows in (HELD, TRAIN)
    )
    lower = (
        mean_of(
            [
                one.judged(one.made.lower, one.found(one.lower, one.with_edges, rows, above=one.seen(rows)), rows)
                for one in fits
            ]
        )
        for rows in (HELD, TRAIN)
    )
    for kept, trained in (upper, lower):
        assert kept["instability"] <= trained["instability"] + 0.01
        assert kept["recovered"] >= trained["recovered"] - 0.05


def test_the_likelihood_does_not_fall(fits):
    for one in fits:
        for fitted in (one.above, one.with_edges, one.without):
            total = fitted.likelihood.sum(1).numpy()
            assert (np.diff(total) >= -1e-6 * np.abs(total[:-1])).all()


def test_edges_that_rest_never_let_the_likelihood_fall(fits):
    """Chosen once, at the second iteration."""
    one = fits[0]
    above = one.seen(TRAIN)
    settings = Settings(8, 5, 0.1, 20, rule="frozen", fused=False, candidates=600, input_size=(SIDE, SIDE))
    draws = torch.Generator().manual_seed(0)
    where = grid(*one.lower.shape[2:])
    total = fit_layer(one.lower[TRAIN], where, above, settings=settings, draws=draws).likelihood.sum(1).numpy()[2:]
    assert (np.diff(total) >= -1e-6 * np.abs(total[:-1])).all()


def test_maps_that_are_exchanged_do_not_end_the_fit(fits):
    """Of stronger maps the likelihood is lower; that is no sign that the fit has settled."""
    maps, times = fits[0].upper[TRAIN].clone(), []

    def turn(_: em.Nodes) -> None:
        maps.mul_(2)
        times.append(1)

    settings = Settings(6, 5, 0.01, 30, rule="repick", fused=False, candidates=600, input_size=(SIDE, SIDE))
    fit_layer(maps, grid(14, 14), None, settings=settings, draws=torch.Generator().manual_seed(0), turn=turn)
    assert len(times) == 4


def test_edges_go_to_the_nodes_that_move_most_alike():
    draws = torch.Generator().manual_seed(0)
    moves = 20 * torch.randn(40, 5, 2, generator=draws)
    # The nodes below move as nodes 1 and 3 above do, on images where both are seen.
    place = torch.stack([moves[:, 1], moves[:, 3]], 1)[:, None] + 100 + torch.randn(40, 1, 2, 2, generator=draws)
    found = em.Found(place, torch.ones(40, 1, 2))
    score = torch.ones(40, 5)
    above = em.candidates(112 + moves, score, edge=(0, SIDE, 0, SIDE))
    # Half of the nodes move too little.
    assert len(above.index) == 2
    everybody = em.Candidates(torch.arange(5), em.displacement(112 + moves, score > 0)[0], score > 0)
    edges = em.pick_edges(found, everybody, 2)
    assert edges.shape == (1, 2, 2)
    assert edges[0, :, 0].tolist() == [1, 3]
    few = em.pick_edges(found, em.Candidates(torch.tensor([4]), everybody.moved[:, [4]], everybody.seen[:, [4]]), 3)
    assert few.tolist() == [[[4], [4]]]


def test_edges_are_those_of_their_definition():
    draws = np.random.default_rng(5)
    images, number, many, edges = 230, 300, 12, 4
    place, score = draws.normal(100, 20, (images, 1, number, 2)), draws.uniform(0, 1, (images, 1, number))
    score[draws.random(score.shape) < 0.2] = 0
    moved, seen = draws.normal(0, 20, (images, many, 2)), draws.random((images, many)) > 0.2
    moved[~seen] = 0
    above = em.Candidates(torch.arange(many) + 7, torch.from_numpy(moved), torch.from_numpy(seen))
    found = em.pick_edges(em.Found(torch.from_numpy(place), torch.from_numpy(score)), above, edges)
    looked = np.linspace(0, images - 1, 200).round().astype(int)
    for n in (0, 17, 255, 256, 299):
        here = score[:, 0, n] > 0
        mine = place[:, 0, n] - place[here, 0, n].mean(0)
        squared = ((mine[looked, None] - moved[looked]) ** 2).sum(-1)
        both = here[looked, None] & seen[looked]
        worth = (score[looked, 0, n, None] * both * np.exp(-squared / (2 * squared[both].mean()))).sum(0)
        assert found[0, n].tolist() == (np.argsort(-worth)[:edges] + 7).tolist()


def test_candidates_move_and_do_not_lie_at_the_border():
    draws = torch.Generator().manual_seed(1)
    place = torch.tensor([[5.0, 112], [112, 112], [100, 90], [60, 150]]) + torch.tensor([9.0, 9, 1, 4])[
        :, None
    ] * torch.randn(30, 4, 2, generator=draws)
    score = torch.ones(30, 4) * torch.tensor([4.0, 1, 3, 2])
    score[:15, 3] = 0
    found = em.candidates(place, score, edge=(20, 200, 20, 200))
    assert found.index.tolist() == [1]
    assert em.candidates(place, score, edge=(0, 224, 0, 224), limit=1).index.tolist() == [0]
    # An image on which a node has no place says nothing of how it moves.
    assert not em.displacement(place, score > 0)[0][:15, 3].any()


def test_nodes_that_coincide_are_represented_by_the_strongest():
    place = torch.zeros(10, 1, 3, 2)
    place[:, 0, 0], place[:, 0, 1], place[:, 0, 2] = 50.0, 52.0, 90.0
    found = em.Found(place, torch.tensor([1.0, 2, 3]).expand(10, 1, 3))
    assert em.representatives(found, cell=8.0).tolist() == [[1, 1, 2]]
    assert em.representatives(found, cell=1.0).tolist() == [[0, 1, 2]]


def test_nodes_that_coincide_are_those_of_the_definition():
    draws = torch.Generator().manual_seed(7)
    images, filters, number, cell = 12, 5, 9, 20.0
    place = 60 * torch.rand(1, filters, number, 2, generator=draws) + 12 * torch.rand(
        images, filters, number, 2, generator=draws
    )
    score = torch.rand(images, filters, number, generator=draws)
    score[torch.rand(score.shape, generator=draws) < 0.3] = 0
    score[:, 2, 4] = 0
    found = em.representatives(em.Found(place, score), cell=cell)
    for d in range(filters):
        kept: list[int] = []
        for n in sorted(range(number), key=lambda n: (-float(score[:, d, n].sum()), n)):
            stand = n
            for other in kept:
                both = [i for i in range(images) if score[i, d, n] > 0 and score[i, d, other] > 0]
                near = sum(float((place[i, d, n] - place[i, d, other]).norm()) < cell for i in both)
                if near > 0.8 * max(len(both), 1):
                    stand = other
                    break
            kept += [n] if stand == n else []
            assert int(found[d, n]) == stand
    # Some do, some do not.
    assert 0 < int((found != torch.arange(number)).sum()) < filters * number / 2


def test_the_likelihood_of_each_image_adds_up_to_that_of_all(fits):
    one = fits[0]
    nodes, where = em.Nodes(one.with_edges.nodes.place, one.with_edges.used), grid(*one.lower.shape[2:])
    above = one.seen(TRAIN)
    each = em.likelihoods(one.lower[TRAIN], nodes, where, above=above, edges=one.with_edges.edges, noise=0.1)
    assert each.shape == (TRAINING,)
    assert float(each.mean()) == pytest.approx(float(one.with_edges.likelihood[-1].sum()), rel=1e-5)
    # An image alone gives what it gives among others.
    few = Above(above.place[3:5], above.score[3:5], above.mean, above.sigma)
    alone = em.likelihoods(one.lower[3:5], nodes, where, above=few, edges=one.with_edges.edges, noise=0.1)
    torch.testing.assert_close(alone, each[3:5])


def test_agreement_is_that_of_its_definition():
    draws = np.random.default_rng(2)
    images, filters, number, above, edges = 7, 2, 3, 5, 2
    place = torch.from_numpy(draws.normal(100, 20, (images, filters, number, 2)))
    score = torch.from_numpy(draws.uniform(0, 1, (images, filters, number)))
    score[2, 0, 1] = 0
    score[:, 1, 2] = 0
    others, seen = torch.from_numpy(draws.normal(0, 20, (images, above, 2))), torch.ones(images, above, dtype=bool)
    seen[4, 1] = False
    tied = torch.from_numpy(draws.integers(0, above, (filters, number, edges)))
    everybody = em.Candidates(torch.arange(above), torch.where(seen[..., None], others, 0), seen)
    found = em.agreement(em.Found(place, score), everybody, tied)
    for d, n in np.ndindex(filters, number):
        here = score[:, d, n] > 0
        if not here.any():
            assert found[d, n].tolist() == [0, 0]
            continue
        moved = place[:, d, n] - place[here, d, n].mean(0)
        pairs = [(i, v) for v in range(above) for i in range(images) if here[i] and seen[i, v]]
        spread = np.mean([float((moved[i] - others[i, v]).square().sum()) for i, v in pairs])
        for m, v in enumerate(tied[d, n].tolist()):
            total = sum(
                float(score[i, d, n]) * np.exp(-float((moved[i] - others[i, v]).square().sum()) / (2 * spread))
                for i in range(images)
                if here[i] and seen[i, v]
            )
            assert float(found[d, n, m]) == pytest.approx(total / float(score[:, d, n].sum()))
    alike = em.agreement(
        em.Found(others[:, None, [0]] + 50, score[:, :1, :1]),
        em.Candidates(everybody.index, others - others.mean(0), seen | True),
        torch.tensor([[[0, 3]]]),
    )
    assert float(alike[0, 0, 0]) == pytest.approx(1)
    assert float(alike[0, 0, 1]) < 0.9


def test_images_may_be_turned_while_nodes_are_fitted(fits):
    """Half of the images mirrored: choosing the likelier of the two finds them, and never lowers the likelihood."""
    one = fits[0]
    mirrored = torch.arange(TRAINING) % 2 == 1
    straight, where = one.upper[TRAIN], grid(*one.upper.shape[2:])
    given = torch.where(mirrored[:, None, None, None], straight.flip(3), straight)
    maps, turned = given.clone(), torch.zeros(TRAINING, dtype=torch.bool)
    times = []

    def turn(nodes: em.Nodes) -> None:
        both = [em.likelihoods(m, nodes, where, above=None, edges=None, noise=0.01) for m in (given, given.flip(3))]
        turned[:] = both[1] > both[0]
        maps[:] = torch.where(turned[:, None, None, None], given.flip(3), given)
        times.append(int(turned.sum()))

    settings = Settings(6, 5, 0.01, 30, rule="repick", fused=False, candidates=600, input_size=(SIDE, SIDE))
    fitted = fit_layer(maps, where, None, settings=settings, draws=torch.Generator().manual_seed(0), turn=turn)
    assert len(times) == 4
    total = fitted.likelihood.sum(1).numpy()
    assert (np.diff(total) >= -1e-6 * np.abs(total[:-1])).all()
    # Which of the two ways round is the straight one nobody can tell.
    agree = float((turned == mirrored).float().mean())
    assert max(agree, 1 - agree) >= 0.9


def test_what_a_node_explains_is_in_the_units_of_its_filter(drawn):
    """A node in the middle of a lone active cell explains all of it, however narrow it is."""
    where = grid(H, W, kind=torch.float64)
    maps = torch.zeros(1, 1, H, W, dtype=torch.float64)
    maps[0, 0, 2, 3] = 0.7
    middle = torch.stack([where.rows[2], where.columns[3]]).expand(1, 2, 2)
    nodes = em.Nodes(middle.clone(), torch.tensor([[3.0, 40.0]], dtype=torch.float64))
    found = em.infer(maps, nodes, where, told=None)
    torch.testing.assert_close(em.explained(found, nodes), torch.full((1, 1, 2), 0.7, dtype=torch.float64))
    beside = em.Nodes(middle + torch.tensor([0.0, 40.0]), nodes.sigma)
    less = em.explained(em.infer(maps, beside, where, told=None), beside)
    assert float(less[0, 0, 1]) == pytest.approx(0.7 * np.exp(-0.5))


def test_a_mirrored_image_has_the_mirrored_band_of_candidates():
    """And maps of few cells leave a deviation room."""
    draws = torch.Generator().manual_seed(4)
    place = 224 * torch.rand(25, 40, 2, generator=draws)
    # Ten that move most lie between the band's edge and where it would be without the half pixel.
    place[:, 10:] = 112 + 0.1 * (place[:, 10:] - 112)
    place[:, :10, 1] = 22.2
    score = torch.rand(25, 40, generator=draws) + 0.1
    settings = Settings(2, 3, 0.01, 3, rule="repick", fused=False, candidates=600, input_size=(SIDE, SIDE))
    maps, where = torch.rand(25, 1, 3, 3, generator=draws), grid(3, 3)
    found = []
    for columns in (place[..., 1], SIDE - 1 - place[..., 1]):
        there = torch.stack([place[..., 0], columns], -1)
        _, mean = em.displacement(there, score > 0)
        above = Above(there, score, mean, torch.full((40,), 9.0))
        fit = _Fit(maps, where, above, settings, torch.Generator().manual_seed(0))
        found.append(sorted(fit.candidates.index.tolist()))
        low, high = fit.bounds
        assert 0 < low < high
    assert found[0] == found[1]
