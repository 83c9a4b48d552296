"""How images are shared, and a group of one process; several are in test_torchrun."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpkit.errors import InterpkitError
from interpkit.processes import ALONE, Group, process_group


@given(st.integers(0, 3000), st.integers(1, 200), st.integers(1, 12))
def test_every_image_is_taken_once_in_whole_blocks(images, block, world):
    shares = [Group(rank, world).share(images, block=block) for rank in range(world)]
    assert [row for share in shares for row in share] == list(range(images))
    assert all(share.start % block == 0 for share in shares if share)
    assert all(share.stop % block == 0 or share.stop == images for share in shares)
    sizes = [math.ceil(len(share) / block) for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_one_process_is_the_first_and_does_all():
    brought: list[int] = []
    ALONE.merge(4, brought.append)
    assert brought == [4]
    assert ALONE.first
    assert ALONE.agreed(lambda: "mine") == "mine"
    ALONE.check()
    ALONE.meet()


def test_mistakes_and_bugs_stay_what_they_are():
    for error in (InterpkitError("a mistake"), KeyError("a bug"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, ALONE.together():
            raise error
        assert caught.value is error
    with pytest.raises(InterpkitError, match="a mistake"):
        ALONE.agreed(lambda: (_ for _ in ()).throw(InterpkitError("a mistake")))


def test_without_torchrun_there_is_one_process_on_the_device_that_was_named():
    with process_group("cpu") as (group, device):
        assert (group, device) == (Group(0, 1), "cpu")
    with process_group(None) as (group, device):
        assert (group.world, device) == (1, None)
