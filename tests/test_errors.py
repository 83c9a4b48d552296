import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpkit import errors
from interpkit.errors import InterpkitError, nearest

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_mistake_is_an_interpkit_error_with_status_2(kind):
    assert issubclass(kind, InterpkitError)
    assert kind.exit_status == 2
    assert str(kind("no layer 'x'")) == "no layer 'x'"


def test_a_bad_image_is_a_bad_label_set():
    assert issubclass(errors.ImageError, errors.LabelSetError)


@pytest.mark.parametrize(
    ("asked", "have", "best"),
    [
        ("layer_4", ["layer1", "layer4", "fc"], "layer4"),
        ("Layer4", ["layer1", "layer4"], "layer4"),
        ("resnet-18", ["resnet18", "resnet50", "vgg16"], "resnet18"),
        ("mixed_7c", ["Mixed_5b", "Mixed_7c"], "Mixed_7c"),
    ],
)
def test_the_nearest_comes_first(asked, have, best):
    assert nearest(asked, have)[0] == best


def test_nothing_is_near_enough():
    assert nearest("zzz", ["layer1", "fc"]) == []
    assert nearest("layer1", []) == []


def test_of_names_that_differ_in_case_alone_the_first_is_kept():
    assert nearest("conv", ["Conv", "conv"]) == ["Conv"]


@given(have=st.lists(st.text("abcXYZ1._", min_size=1, max_size=8)), count=st.integers(1, 5), data=st.data())
def test_near_names_exist_are_few_and_include_the_name_itself(have, count, data):
    asked = data.draw(st.sampled_from(have) if have else st.text())
    near = nearest(asked, iter(have), count=count)
    assert len(near) <= count
    assert set(near) <= set(have)
    assert not have or near[0].lower() == asked.lower()
