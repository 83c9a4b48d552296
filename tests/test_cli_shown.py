"""What the terminal says of a result: the same as its page."""

from dataclasses import replace

import pytest
from made_comparison import comparison, small_finetuning

from interpkit.cli._shown import show


def test_several_classes_an_image_have_words_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    show(replace(small_finetuning(), multi=True))
    said = capsys.readouterr().out
    assert "loss icnn: 80.0% of the classes told rightly on 15 validation images" in said
    assert "always the commoner answer 40.0%" in said
    assert "commonest" not in said
    show(small_finetuning())
    assert "always the commonest class 40.0%" in capsys.readouterr().out


def test_changes_too_small_to_count_are_about_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    made = comparison()
    accuracy, *rest = made.measures
    show(made)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[-3:] == ["about", "the", "same"]
    (explained,) = [line for line in lines if line.startswith("  about the same: ")]
    assert explained.endswith("over the units of one training each; another training may differ by more")
    show(replace(made, measures=tuple(replace(one, least=0.0) for one in (accuracy, *rest))))
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[-1] == "worse"
    assert not [line for line in lines if line.startswith("  about the same: ")]
