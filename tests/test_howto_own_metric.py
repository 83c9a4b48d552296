"""The metric that docs/howto/own_metric.md shows: once its file is there, dissections have it; the laws are kept."""

import inspect
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from howto import code_of, law_tests, offered
from made_results import NAMES, dissection, random_cells
from small_networks import probe, small_set

from interpkit import dissect, load, metrics, save

NAME = "precision"
PAGE = "own_metric.md"


@pytest.fixture
def precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The page's first code as a file of the folder of metrics; its name."""
    with offered(metrics, NAME, code_of(PAGE)[0], folder=tmp_path / "more", monkeypatch=monkeypatch):
        yield NAME


def test_a_dissection_has_it_and_keeps_it(precision: str, tmp_path: Path) -> None:
    result = dissect(probe(["norm"]), small_set(tmp_path / "set"), batch_size=2, memory_format="contiguous", threads=1)
    scores = result.scores[precision]
    on = result.counts.state[1][:, result.counts.category]
    there = on > 0
    assert there.any()
    np.testing.assert_array_equal(scores[there], (result.counts.joint[1] / np.maximum(on, 1))[there])
    assert np.isnan(scores[~there]).all()
    assert (scores[there] >= result.iou[there]).all(), "the union is never smaller than the mask"
    save(result, tmp_path / "run")
    np.testing.assert_array_equal(load(tmp_path / "run").scores[precision], scores)


def test_an_earlier_dissection_is_scored_as_the_page_says(precision: str, tmp_path: Path) -> None:
    made = save(dissection(random_cells(), NAMES), tmp_path / "run")
    page = code_of(PAGE)
    said = page[2].replace("reports/resnet18-broden-mini-layer4/layer4", made.as_posix()) + page[3]
    told: dict[str, object] = {}
    *lines, last = said.strip().splitlines()
    exec("\n".join(lines), told)
    names = eval(last.partition("#")[0], told)
    scores, counts = told["scores"], load(made).counts
    assert scores.shape == (12, 6)
    np.testing.assert_array_equal(scores[0, 0], counts.joint[1][0, 0] / counts.state[1][0, counts.category[0]])
    assert names[0] == NAMES.concepts[int(np.nanargmax(scores[0]))][0]


def test_the_page_names_the_file_and_the_shapes(precision: str) -> None:
    page = code_of(PAGE, whole=True)
    assert f"`{precision}.py`" in page
    assert f'result.scores["{precision}"]' in page
    assert set(metrics.names()) - {precision} == {"iou", "mutual_information"}, "the page says what stands beside it"


def test_it_keeps_the_laws(precision: str) -> None:
    kept = 0
    for law in law_tests("test_metric_laws.py"):
        wanted = set(inspect.signature(law).parameters)
        for rule in ("annotated", "all") if "rule" in wanted else ("",):
            law(**{"name": precision, **({"rule": rule} if rule else {})})
            kept += 1
    assert kept >= 6
