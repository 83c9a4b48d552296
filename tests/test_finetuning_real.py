"""Photographs with landmarks: the filter loss makes units steadier and more part-like, and costs no accuracy."""

import pytest

from interpkit import LabelSet, Probe, finetune, load_model, score_parts
from interpkit.results import FineTuning, PartScores

UNITS = "added.act"


@pytest.fixture(scope="module")
def trained(shared_data, lite0, tmp_path_factory) -> dict[str, tuple[FineTuning, PartScores]]:
    """The ordinary network and the interpretable one, in fewer epochs than the defaults."""
    folder = tmp_path_factory.mktemp("photographs")
    labels = LabelSet.open(shared_data / "animal-parts")
    found = {}
    for loss in ("none", "icnn"):
        result = finetune(
            lite0, labels, folder / loss, loss=loss, layer="_blocks.10", augment="none", epochs=15, validation=0.4
        )
        others = [row for row, name in enumerate(labels.images["image"]) if name not in set(result.validation)]
        probe = Probe(load_model(folder / loss), [UNITS])
        scores = score_parts(probe, labels.without(others), batch_size=4, memory_format="channels_last")
        found[loss] = result, scores
    return found


def test_units_become_steadier_and_more_part_like(trained):
    (_, before), (_, after) = trained["none"], trained["icnn"]
    steady = {name: one.summary()["stability"] for name, (_, one) in trained.items()}
    assert steady["icnn"]["multi"]["instability"] <= steady["none"]["multi"]["instability"] - 0.012
    assert steady["icnn"]["explained"] >= steady["none"]["explained"] + 0.05
    assert after.summary()["templates"]["ratio"] >= before.summary()["templates"]["ratio"] + 0.1


def test_it_costs_no_more_than_three_points_of_accuracy(trained):
    (ordinary, _), (interpretable, _) = trained["none"], trained["icnn"]
    assert ordinary.validation == interpretable.validation
    assert ordinary.accuracy > 0.6
    assert interpretable.accuracy >= ordinary.accuracy - 0.03
