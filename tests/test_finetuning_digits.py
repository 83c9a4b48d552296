"""Class gates on the digits of scikit-learn: filters come to serve one class each, and accuracy stays.

Bounds: the measured numbers of such networks, with room for another machine's arithmetic.
"""

from pathlib import Path

import numpy as np
import pytest
from made_finetuning import digits, digits_net

from interpkit.entanglement import entangle
from interpkit.finetuning import finetune
from interpkit.labels import LabelSet
from interpkit.models import load_model
from interpkit.probe import Probe
from interpkit.results import Entanglement, FineTuning

ARCH = "python:made_finetuning:digits_net"


def judged(labels: LabelSet, folder: Path, result: FineTuning) -> Entanglement:
    """What the trained network's units know of the validation images."""
    kept = set(result.validation)
    aside = [row for row, name in enumerate(labels.images["image"]) if name not in kept]
    model = load_model(folder, arch=ARCH, trust=True)
    return entangle(
        Probe(model),
        labels.without(aside),
        analyses=("ablation",),
        batch_size=64,
        memory_format="contiguous",
    )


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> dict[str, tuple[FineTuning, Entanglement]]:
    """The ordinary network and the gated one, from the same start."""
    folder = tmp_path_factory.mktemp("digits")
    labels = digits(folder / "set")
    model = load_model(digits_net(), size=8, mean=0.0, std=1.0)
    found = {}
    for loss in ("none", "class-gate"):
        result = finetune(
            model,
            labels,
            folder / loss,
            loss=loss,
            layer="third",
            add_layer=False,
            head="classifier",
            train_from="all",
            augment="none",
            epochs=30,
            rate=2e-3,
            head_rate=1.0,
            rate_schedule="steps",
            validation=0.4,
        )
        found[loss] = result, judged(labels, folder / loss, result)
    return found


def test_gated_filters_know_one_class_and_the_network_as_much_as_ever(both):
    (ordinary, without), (gated, with_gates) = both["none"], both["class-gate"]
    assert len(ordinary.validation) == len(gated.validation) == pytest.approx(719, abs=5)
    assert ordinary.accuracy > 0.98
    assert gated.accuracy >= ordinary.accuracy - 0.02
    assert with_gates.mis >= 1.2 * without.mis
    gate = gated.learnt["gate"]
    assert gate.shape == (10, 32)
    assert gate.mean() <= 0.12
    assert np.mean(gate.argmax(0) == with_gates.information.argmax(1)) >= 0.8
    drop = {name: one.ablation for name, (_, one) in both.items()}
    assert drop["class-gate"].drop_own >= 2 * drop["none"].drop_own


def test_the_kept_network_answers_as_the_training_said(both):
    for result, judgement in both.values():
        assert judgement.ablation.accuracy == pytest.approx(result.accuracy)


def test_gated_epochs_are_told_from_ordinary_ones(both):
    history = both["class-gate"][0].history
    gated = history["path"] == "gated"
    assert 5 <= gated.sum() <= 10
    # Accuracy under a gate that knows the answer is no accuracy.
    assert history["train_accuracy"].isna().tolist() == gated.tolist()
    assert history["path"].iloc[-1] == "ordinary"
